//! What a run said: answers to the probes, and its log.

use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{
    Project, RunId, StoreError,
    project::{Keep, Result, now_ms},
};
use ::data::Prompt;

/// A probe answered by a run: the likeliest answer, so that only the weights change it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub prompt: Prompt,
    pub answer: String,
    pub tokens: usize,
    /// Whether the model ended the answer by itself.
    pub ended: bool,
    /// Others, drawn by seeds instead of the likeliest: one a seed, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<SeedAnswer>,
}

/// An answer that a seed has drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedAnswer {
    pub answer: String,
    pub ended: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SampleRecord {
    pub step: u64,
    pub probe: usize,
    pub sample: Sample,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Info,
    Warning,
    Error,
}

#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    pub step: u64,
    /// Unix time in milliseconds.
    pub at_ms: i64,
    pub level: LogLevel,
    pub text: String,
    /// Drawn on the charts: a knob was turned, new labels came in.
    pub mark: bool,
}

impl Project {
    /// A second answer to the same probe at the same step replaces the first.
    pub fn append_sample(&self, run: RunId, step: u64, probe: usize, sample: &Sample) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            tx.prepare_cached("INSERT OR REPLACE INTO samples (run, step, probe, body) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![run.0, step as i64, probe as i64, serde_json::to_string(sample)?])?;
            Ok(())
        })
    }

    /// By step, then probe.
    pub fn samples(&self, run: RunId) -> Result<Vec<SampleRecord>> {
        self.read_rows("SELECT step, probe, body FROM samples WHERE run = ?1 ORDER BY step, probe", [run.0], |row| {
            Ok(SampleRecord {
                step: row.get::<_, i64>(0)? as u64,
                probe: row.get::<_, i64>(1)? as usize,
                sample: serde_json::from_str(&row.get::<_, String>(2)?)?,
            })
        })
    }

    pub fn append_log(&self, run: RunId, step: u64, level: LogLevel, text: &str) -> Result<()> {
        self.append_line(run, step, level, text, false)
    }

    /// A log line that is also drawn on the charts.
    pub fn append_mark(&self, run: RunId, step: u64, level: LogLevel, text: &str) -> Result<()> {
        self.append_line(run, step, level, text, true)
    }

    fn append_line(&self, run: RunId, step: u64, level: LogLevel, text: &str, mark: bool) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            tx.prepare_cached("INSERT INTO log (run, step, at_ms, level, text, mark) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![run.0, step as i64, now_ms(), level.word(), text, mark])?;
            Ok(())
        })
    }

    /// Oldest first.
    pub fn log(&self, run: RunId) -> Result<Vec<LogLine>> {
        self.read_rows("SELECT step, at_ms, level, text, mark FROM log WHERE run = ?1 ORDER BY id", [run.0], |row| {
            let level: String = row.get(2)?;
            Ok(LogLine {
                step: row.get::<_, i64>(0)? as u64,
                at_ms: row.get(1)?,
                level: LogLevel::of_word(&level).ok_or_else(|| StoreError::Corrupted {
                    path: std::path::PathBuf::new(),
                    detail: format!("a log line has the unknown level {level:?}"),
                })?,
                text: row.get(3)?,
                mark: row.get(4)?,
            })
        })
    }
}

impl LogLevel {
    fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Error].into_iter().find(|level| level.word() == word)
    }
}
/// Samples by the prompt that they answer, by step, in the order of the probes. A probe whose prompt was replaced
/// meanwhile has a row of each.
pub fn by_prompt(mut samples: Vec<SampleRecord>) -> Vec<Vec<SampleRecord>> {
    samples.sort_by_key(|sample| (sample.probe, sample.step));
    let mut rows: Vec<Vec<SampleRecord>> = Vec::new();
    for sample in samples {
        match rows.iter_mut().find(|row| row[0].sample.prompt == sample.sample.prompt) {
            Some(row) => row.push(sample),
            None => rows.push(vec![sample]),
        }
    }
    for row in &mut rows {
        row.sort_by_key(|sample| sample.step);
    }
    rows
}
