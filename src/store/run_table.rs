//! Runs as a table: what a column shows, and which rows are in it.

use std::{cmp::Ordering, fmt, str::FromStr};

use ::data::metrics::{Better, StoredMetric};

use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{Project, RunId, RunRecord, project::Result};

/// Which of a metric's values stands for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pick {
    Last,
    Highest,
    Lowest,
    /// At this step, or the last one before it.
    At(u64),
}

/// A column of the table. Written as `last kl/ref`, `highest eval_rewards/accuracies`, `at 40 loss`,
/// `setting objective.beta`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RunColumn {
    Setting(String),
    Metric(Pick, String),
}

impl RunColumn {
    /// Which way is better, where runs of any method may be compared by it.
    pub fn better(&self) -> Better {
        match self {
            Self::Setting(_) => Better::Neither,
            Self::Metric(_, name) => StoredMetric::of(name).map_or(Better::Neither, |stored| stored.metric.better),
        }
    }

    /// The best first, and where nothing is better the largest; words by the alphabet.
    pub fn order(better: Better, one: &RunValue, other: &RunValue) -> Ordering {
        match (one, other) {
            (RunValue::Number(one), RunValue::Number(other)) if better == Better::Less => one.total_cmp(other),
            (RunValue::Number(one), RunValue::Number(other)) => other.total_cmp(one),
            (RunValue::Text(one), RunValue::Text(other)) => one.cmp(other),
            (RunValue::Number(_), RunValue::Text(_)) => Ordering::Less,
            (RunValue::Text(_), RunValue::Number(_)) => Ordering::Greater,
        }
    }
}

impl fmt::Display for RunColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(key) => write!(f, "setting {key}"),
            Self::Metric(Pick::Last, name) => write!(f, "last {name}"),
            Self::Metric(Pick::Highest, name) => write!(f, "highest {name}"),
            Self::Metric(Pick::Lowest, name) => write!(f, "lowest {name}"),
            Self::Metric(Pick::At(step), name) => write!(f, "at {step} {name}"),
        }
    }
}

impl From<RunColumn> for String {
    fn from(column: RunColumn) -> Self {
        column.to_string()
    }
}

impl TryFrom<String> for RunColumn {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl FromStr for RunColumn {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || {
            format!(
                "“{text}” is no column: write last, highest or lowest and a metric, at, a step and a metric, or setting and a key"
            )
        };
        let (word, rest) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let name = rest.trim().to_owned();
        match word {
            "setting" => Ok(Self::Setting(name)),
            "last" => Ok(Self::Metric(Pick::Last, name)),
            "highest" => Ok(Self::Metric(Pick::Highest, name)),
            "lowest" => Ok(Self::Metric(Pick::Lowest, name)),
            "at" => {
                let (step, name) = name.split_once(char::is_whitespace).ok_or_else(wrong)?;
                Ok(Self::Metric(Pick::At(step.parse().map_err(|_| wrong())?), name.trim().to_owned()))
            }
            _ => Err(wrong()),
        }
    }
}

/// What stands in a cell, or behind a name that a filter asks about.
#[derive(Debug, Clone, PartialEq)]
pub enum RunValue {
    Number(f64),
    Text(String),
}

impl RunValue {
    /// Of a setting: a number where it is one.
    pub fn of_setting(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Equal,
    NotEqual,
}

/// Longer signs before those that they begin with.
const RELATIONS: [(&str, Relation); 6] = [
    ("<=", Relation::LessOrEqual),
    (">=", Relation::MoreOrEqual),
    ("!=", Relation::NotEqual),
    ("<", Relation::Less),
    (">", Relation::More),
    ("=", Relation::Equal),
];

#[derive(Debug, Clone, PartialEq)]
enum Term {
    /// In lower case.
    Word(String),
    Compared {
        name: String,
        relation: Relation,
        to: String,
    },
}

/// Which runs are listed: every word is in the name, method, status, tags or note, and every comparison holds, such as
/// `kl/ref<0.05` (a metric's last value) or `objective.kind=dpo` (a setting).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunFilter(Vec<Term>);

impl RunFilter {
    /// Every text is a filter; a comparison that is not whole yet asks for nothing.
    pub fn of(text: &str) -> Self {
        let term = |word: &str| {
            let found = RELATIONS.iter().filter_map(|(sign, relation)| Some((word.find(sign)?, *sign, *relation)));
            // The first sign; of two at one place the longer one, which stands before the other in the table.
            match found.min_by_key(|(at, ..)| *at) {
                Some((at, sign, relation)) if at > 0 => {
                    let to = &word[at + sign.len()..];
                    let name = word[..at].to_owned();
                    (!to.is_empty()).then(|| Term::Compared { name, relation, to: to.to_owned() })
                }
                _ => Some(Term::Word(word.to_lowercase())),
            }
        };
        Self(text.split_whitespace().filter_map(term).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names that a comparison asks about.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|term| match term {
            Term::Word(_) => None,
            Term::Compared { name, .. } => Some(name.as_str()),
        })
    }

    /// `value`: of a metric or a setting of this run; nothing where it has none, and then no comparison holds.
    pub fn holds(&self, run: &RunRecord, value: impl Fn(&str) -> Option<RunValue>) -> bool {
        let words = || {
            let own = [&run.name, &run.method, &run.marks.note];
            let status = run.status.to_string();
            own.into_iter().chain(&run.marks.tags).map(|text| text.to_lowercase()).chain([status])
        };
        self.0.iter().all(|term| match term {
            Term::Word(word) => words().any(|text| text.contains(word)),
            Term::Compared { name, relation, to } => value(name).is_some_and(|value| compares(&value, *relation, to)),
        })
    }
}

fn compares(value: &RunValue, relation: Relation, to: &str) -> bool {
    let order = match (value, to.parse::<f64>()) {
        (RunValue::Number(value), Ok(to)) => value.partial_cmp(&to),
        (RunValue::Text(text), _) => Some(text.to_lowercase().as_str().cmp(to.to_lowercase().as_str())),
        (RunValue::Number(_), Err(_)) => None,
    };
    order.is_some_and(|order| match relation {
        Relation::Less => order.is_lt(),
        Relation::LessOrEqual => order.is_le(),
        Relation::More => order.is_gt(),
        Relation::MoreOrEqual => order.is_ge(),
        Relation::Equal => order.is_eq(),
        Relation::NotEqual => order.is_ne(),
    })
}

impl Project {
    /// One value of a metric of a run, without reading its whole curve; nothing where it has no number there.
    ///
    /// # Errors
    /// Of the document.
    pub fn picked(&self, run: RunId, name: &str, pick: Pick) -> Result<Option<f64>> {
        // What is no number is NULL; infinities are numbers to SQLite and none here.
        const FROM: &str = "FROM metrics WHERE run = ?1 AND metric = (SELECT id FROM metric_names WHERE name = ?2)
            AND step <= ?3 AND abs(value) < 1e308";
        let step = match pick {
            Pick::At(step) => step.min(i64::MAX as u64) as i64,
            Pick::Last | Pick::Highest | Pick::Lowest => i64::MAX,
        };
        let sql = match pick {
            Pick::Last | Pick::At(_) => format!("SELECT value {FROM} ORDER BY step DESC LIMIT 1"),
            Pick::Highest => format!("SELECT max(value) {FROM}"),
            Pick::Lowest => format!("SELECT min(value) {FROM}"),
        };
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let value: Option<Option<f64>> =
                statement.query_row(params![run.0, name, step], |row| row.get(0)).optional()?;
            Ok(value.flatten())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings, RunAbout, RunMarks};

    fn project() -> (tempfile::TempDir, Project, RunId) {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = NewRun {
            name: "Short answers".to_owned(),
            method: "DPO".to_owned(),
            revision: project.revision().unwrap(),
            ..NewRun::default()
        };
        let run = project.create_run(&new).unwrap();
        for (step, value) in [(1, 0.5), (2, f64::NAN), (3, 0.9), (4, 0.7), (5, f64::INFINITY)] {
            project.append_step(run, step, step, &[("kl/ref".to_owned(), value)]).unwrap();
        }
        (dir, project, run)
    }

    #[test]
    fn a_value_is_picked_without_its_curve() {
        let (_dir, project, run) = project();
        let picked = |pick| project.picked(run, "kl/ref", pick).unwrap();
        let all = [Pick::Last, Pick::Highest, Pick::Lowest, Pick::At(3), Pick::At(2), Pick::At(0)].map(picked);
        assert_eq!(all, [Some(0.7), Some(0.9), Some(0.5), Some(0.9), Some(0.5), None]);
        assert_eq!(project.picked(run, "loss", Pick::Last).unwrap(), None);
    }

    #[test]
    fn a_column_is_written_and_read_back_and_what_is_none_says_what_would_be() {
        for text in ["last kl/ref", "highest a/b", "lowest loss", "at 40 loss", "setting objective.beta"] {
            assert_eq!(text.parse::<RunColumn>().unwrap().to_string(), text);
        }
        for text in ["", "kl/ref", "at loss", "at x loss", "best loss"] {
            assert!(text.parse::<RunColumn>().unwrap_err().contains("is no column"), "{text}");
        }
    }

    #[test]
    fn a_filter_holds_words_and_comparisons_together() {
        let (_dir, project, run) = project();
        let mut marks = RunMarks::default();
        marks.set_tags("keep");
        project.set_about(run, &RunAbout { name: "Short answers".to_owned(), marks }).unwrap();
        let record = project.run(run).unwrap();
        let value = |name: &str| match name {
            "kl/ref" => Some(RunValue::Number(0.7)),
            "objective.kind" => Some(RunValue::of_setting("dpo")),
            _ => None,
        };
        let holds = |text: &str| RunFilter::of(text).holds(&record, value);
        for text in
            ["", "short dpo", "KEEP queued", "kl/ref<0.8", "kl/ref>=0.7 answers", "objective.kind=DPO", "kl/ref<"]
        {
            assert!(holds(text), "{text}");
        }
        for text in ["long", "kl/ref<0.7", "loss>0", "objective.kind!=dpo", "kl/ref<x"] {
            assert!(!holds(text), "{text}");
        }
        assert_eq!(RunFilter::of("a kl/ref<=0.8").names().collect::<Vec<_>>(), ["kl/ref"]);
    }
}
