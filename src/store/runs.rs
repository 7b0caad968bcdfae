//! Runs: what they are, where they stand, who has them in hand.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};

use ::data::config::RunConfig;

use super::{
    Away, LeftOut, Project, Revision, RunId, StoreError,
    marks::RunMarks,
    owner::{LIVE, Owner, live_owner},
    project::{Keep, Result, now_ms},
    stop,
};

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// Recorded, waiting for its turn.
    #[default]
    Queued,
    Running,
    Paused,
    /// Ended by the user; can be resumed.
    Stopped,
    Completed,
    Failed,
    /// Its process ended without a word; can be resumed from its last checkpoint.
    Interrupted,
    /// Handed over to another machine; what it has learnt there can be taken back.
    Away,
}

impl RunStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Away => "away",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::Paused,
            Self::Stopped,
            Self::Completed,
            Self::Failed,
            Self::Interrupted,
            Self::Away,
        ]
        .into_iter()
        .find(|status| status.word() == word)
    }

    /// Whether a living process has this run in hand.
    pub fn is_live(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Paused => true,
            Self::Stopped | Self::Completed | Self::Failed | Self::Interrupted | Self::Away => false,
        }
    }
}

impl std::fmt::Display for RunStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.word())
    }
}

/// What a run is before its first step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NewRun {
    /// Its method and its number where empty: "MPO anchored-sum 3".
    pub name: String,
    /// The whole `run.toml`, defaults written out.
    pub config_toml: String,
    /// For lists, e.g. "MPO anchored-sum".
    pub method: String,
    /// The data this run sees: [`super::Project::pairs_at`] gives exactly this again.
    pub revision: Revision,
    /// The run that this one is forked from.
    pub parent: Option<RunId>,
}

/// In what a run's numbers are kept and multiplied, which its settings leave open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Arithmetic {
    /// How the matrices that are not trained are kept: `f32`, `bf16`, `q8_0`, ..
    pub weights: String,
    /// In what they are multiplied: `f32` or `bf16`.
    pub compute: String,
    /// What takes the products on the processor: a run goes on with what it began with. Absent on a device, and of runs
    /// that were begun before this was noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<String>,
    /// By what, or why so, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

impl std::fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} weights, multiplied in {}", self.weights, self.compute)?;
        match &self.remark {
            Some(remark) => write!(f, " {remark}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunRecord {
    pub id: RunId,
    pub name: String,
    pub method: String,
    pub status: RunStatus,
    /// Unix time in milliseconds.
    pub created_ms: i64,
    pub config_toml: String,
    pub revision: Revision,
    /// The run that this one was forked from, as long as it is there.
    pub parent: Option<RunId>,
    /// The step of it that the fork goes on from, 0 for the same beginning; absent where the run is no fork.
    pub parent_step: Option<u64>,
    pub left_out: Option<LeftOut>,
    pub marks: RunMarks,
    /// The time that chat templates are told, Unix time in milliseconds: when the run was made, or the one it was
    /// forked from.
    pub day_ms: i64,
    /// The last step with metrics; 0 before the first.
    pub step: u64,
    /// 0 until the engine has counted them.
    pub total_steps: u64,
    /// Why it ended as it did, if there is something to say.
    pub message: Option<String>,
    /// Where it was handed over to another machine, and did not go on here since.
    pub away: Option<Away>,
    /// Absent until its model was loaded.
    pub arithmetic: Option<Arithmetic>,
    /// Its folder: `config.toml` and `checkpoints/`.
    pub dir: PathBuf,
    /// The folders that may hold its checkpoints: the one in `dir`, and those that it was sent to when that could not
    /// be written. New ones go to the last.
    pub checkpoints: Vec<PathBuf>,
}

/// The columns [`record_of`] reads.
const RECORD: &str = "id, name, method, status, created_ms, config_toml, revision, parent, \
    coalesce((SELECT max(step) FROM steps WHERE run = runs.id), 0), total_steps, message, arithmetic, \
    elsewhere, parent_step, left_out, coalesce(day_ms, created_ms), marks, away";

/// What a run leaves behind step by step.
pub(super) const BY_STEP: [&str; 7] = ["steps", "visits", "samples", "judged", "log", "metrics", "rollouts"];

/// What is said of a run whose turn had not come when its process ended: it can be put into the queue again.
const WAITED: &str = "It waited for its turn when the program ended";

impl RunRecord {
    /// Its settings.
    ///
    /// # Errors
    /// [`StoreError::RunSettings`], where they are another version's or were changed by hand.
    pub fn config(&self) -> Result<RunConfig> {
        RunConfig::from_toml(&self.config_toml).map_err(|reason| StoreError::RunSettings {
            run: self.id,
            name: self.name.clone(),
            reason,
        })
    }

    /// Its place in the tables of line colours and patterns, the same wherever it is drawn.
    pub fn look(&self) -> usize {
        let own = (self.id.0.unsigned_abs() as usize).wrapping_sub(1);
        self.marks.colour.map_or(own, usize::from)
    }

    /// Its turn had not come when its process ended.
    pub fn waited(&self) -> bool {
        self.status == RunStatus::Interrupted && self.message.as_deref() == Some(WAITED)
    }
}

/// What a run is called that nobody has named.
pub fn unnamed(method: &str, id: RunId) -> String {
    format!("{method} {}", id.0)
}

impl Project {
    /// The run leaves the queue because the program ends.
    pub fn set_waited(&self, run: RunId) -> Result<()> {
        self.set_run_status(run, RunStatus::Interrupted, Some(WAITED))
    }

    /// Also writes `runs/<id>/config.toml`. The run is in this process's hands from now on.
    pub fn create_run(&mut self, run: &NewRun) -> Result<RunId> {
        let owner = self.owner()?;
        let NewRun { name, config_toml, method, revision, parent } = run;
        let id = self.write(Keep::PowerLoss, |tx| {
            tx.execute(
                "INSERT INTO runs (name, method, status, owner, created_ms, config_toml, revision, parent,
                     reference_set, retention_set)
                 VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7,
                     (SELECT max(id) FROM text_sets WHERE kind = 'references'),
                     (SELECT max(id) FROM text_sets WHERE kind = 'retention'))",
                params![
                    name,
                    method,
                    owner.name(),
                    now_ms(),
                    config_toml,
                    revision.0 as i64,
                    parent.map(|parent| parent.0)
                ],
            )?;
            let id = RunId(tx.last_insert_rowid());
            if name.is_empty() {
                tx.execute("UPDATE runs SET name = ?1 WHERE id = ?2", params![unnamed(method, id), id.0])?;
            }
            Ok(id)
        })?;
        self.write_config(id, config_toml)?;
        Ok(id)
    }

    pub fn run(&self, run: RunId) -> Result<RunRecord> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {RECORD} FROM runs WHERE id = ?1"))?;
            let mut rows = statement.query([run.0])?;
            let row = rows.next()?.ok_or(StoreError::NoSuchRun(run))?;
            self.record_of(row)
        })
    }

    /// Oldest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        self.read_rows(&format!("SELECT {RECORD} FROM runs ORDER BY id"), [], |row| self.record_of(row))
    }

    /// A live status takes the run into this process's hands; [`StoreError::RunIsLive`] when it is in another's.
    pub fn set_run_status(&self, run: RunId, status: RunStatus, message: Option<&str>) -> Result<()> {
        let owner = status.is_live().then(|| self.owner()).transpose()?;
        let mine = owner.as_ref().map(|owner| owner.name());
        self.write(Keep::PowerLoss, |tx| self.write_status(tx, run, status, message, mine))
    }

    /// `mine`: the name of this process, where it has the run in hand from now on.
    pub(super) fn write_status(
        &self,
        tx: &Transaction<'_>,
        run: RunId,
        status: RunStatus,
        message: Option<&str>,
        mine: Option<&str>,
    ) -> Result<()> {
        let theirs = live_owner(tx, run)?;
        if mine.is_none() || mine != theirs.as_deref() {
            if mine.is_some() && theirs.is_some_and(|theirs| Owner::is_alive(&self.dir, &theirs)) {
                return Err(StoreError::RunIsLive(run));
            }
            stop::forget(tx, run)?;
        }
        let changed = tx.execute(
            "UPDATE runs SET status = ?2, message = ?3, owner = ?4, away = iif(?4 IS NULL, away, NULL) WHERE id = ?1",
            params![run.0, status.word(), message, mine],
        )?;
        existing(run, changed)
    }

    pub fn set_total_steps(&self, run: RunId, steps: u64) -> Result<()> {
        self.update_run(run, "total_steps", steps as i64)
    }

    pub fn set_arithmetic(&self, run: RunId, arithmetic: &Arithmetic) -> Result<()> {
        let json = serde_json::to_string(arithmetic)?;
        self.update_run(run, "arithmetic", json)
    }

    /// The run's checkpoints go to this folder from now on; the earlier ones stay where they are.
    pub fn keep_checkpoints_in(&self, run: RunId, folder: &Path) -> Result<()> {
        let mut elsewhere = self.run(run)?.checkpoints.split_off(1);
        elsewhere.retain(|known| known != folder);
        elsewhere.push(folder.to_owned());
        self.update_run(run, "elsewhere", serde_json::to_string(&elsewhere)?)
    }

    /// Also rewrites `runs/<id>/config.toml`, e.g. after a resume with more steps.
    pub fn set_run_config(&self, run: RunId, config_toml: &str) -> Result<()> {
        self.update_run(run, "config_toml", config_toml)?;
        self.write_config(run, config_toml)
    }

    /// With everything it measured and its folder. A run in the hands of a living process is refused.
    pub fn delete_run(&mut self, run: RunId) -> Result<()> {
        self.mark_interrupted()?;
        let elsewhere = self.run(run)?.checkpoints.split_off(1);
        self.write(Keep::PowerLoss, |tx| {
            if live_owner(tx, run)?.is_some() {
                return Err(StoreError::RunIsLive(run));
            }
            existing(run, tx.execute("DELETE FROM runs WHERE id = ?1", [run.0])?)
        })?;
        for folder in elsewhere.into_iter().chain([self.run_dir(run)]) {
            match fs::remove_dir_all(&folder) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("delete", &folder)(source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Drops metrics, visits, samples, judged and sampled answers, log lines and scores later than `step`, before a run
    /// goes on from there.
    pub fn truncate_after(&mut self, run: RunId, step: u64) -> Result<()> {
        self.write(Keep::PowerLoss, |tx| {
            for table in BY_STEP.iter().chain(&["scorings"]) {
                tx.execute(&format!("DELETE FROM {table} WHERE run = ?1 AND step > ?2"), params![run.0, step as i64])?;
            }
            Ok(())
        })
    }

    /// Live runs whose process is gone become [`RunStatus::Interrupted`]; whether there were any.
    pub fn mark_interrupted(&self) -> Result<bool> {
        let live = format!("SELECT DISTINCT owner FROM runs WHERE status IN {LIVE}");
        let owners: BTreeSet<Option<String>> = self.read_rows(&live, [], |row| Ok(row.get(0)?))?;
        let mut found = false;
        for owner in owners {
            let alive = owner.as_deref().is_some_and(|owner| Owner::is_alive(&self.dir, owner));
            if !alive {
                found = true;
                self.write(Keep::PowerLoss, |tx| {
                    tx.execute(
                        &format!(
                            "UPDATE runs SET owner = NULL, status = 'interrupted',
                                 message = iif(status = 'queued', ?2, 'Its process ended before the run did')
                             WHERE status IN {LIVE} AND owner IS ?1"
                        ),
                        params![owner, WAITED],
                    )?;
                    Ok(())
                })?;
            }
        }
        Ok(found)
    }

    pub(super) fn update_run(&self, run: RunId, column: &'static str, value: impl rusqlite::ToSql) -> Result<()> {
        self.write(Keep::PowerLoss, |tx| {
            let changed = tx.execute(&format!("UPDATE runs SET {column} = ?2 WHERE id = ?1"), params![run.0, value])?;
            existing(run, changed)
        })
    }

    pub(super) fn write_config(&self, run: RunId, config_toml: &str) -> Result<()> {
        let dir = self.run_dir(run);
        let write = || {
            fs::create_dir_all(&dir)?;
            let mut file = tempfile::NamedTempFile::new_in(&dir)?;
            file.write_all(config_toml.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(dir.join("config.toml"))?;
            Ok(())
        };
        write().map_err(StoreError::io("write config.toml in", &dir))
    }

    fn record_of(&self, row: &Row<'_>) -> Result<RunRecord> {
        let id = RunId(row.get(0)?);
        let status: String = row.get(3)?;
        let mut checkpoints = vec![self.run_dir(id).join("checkpoints")];
        if let Some(json) = row.get::<_, Option<String>>(12)? {
            checkpoints.extend(serde_json::from_str::<Vec<PathBuf>>(&json)?);
        }
        Ok(RunRecord {
            id,
            name: row.get(1)?,
            method: row.get(2)?,
            status: RunStatus::of_word(&status).ok_or_else(|| StoreError::Corrupted {
                path: PathBuf::new(),
                detail: format!("run {} has the unknown status {status:?}", id.0),
            })?,
            created_ms: row.get(4)?,
            config_toml: row.get(5)?,
            revision: Revision(row.get::<_, i64>(6)? as u64),
            parent: row.get::<_, Option<i64>>(7)?.map(RunId),
            step: row.get::<_, i64>(8)? as u64,
            total_steps: row.get::<_, i64>(9)? as u64,
            message: row.get(10)?,
            // Only to be shown: what a later version may have written otherwise is left out.
            arithmetic: row.get::<_, Option<String>>(11)?.and_then(|json| serde_json::from_str(&json).ok()),
            parent_step: row.get::<_, Option<i64>>(13)?.map(|step| step as u64),
            left_out: row.get::<_, Option<String>>(14)?.map(|json| serde_json::from_str(&json)).transpose()?,
            day_ms: row.get(15)?,
            // Only for people: what a later version may have written otherwise is left out.
            marks: row
                .get::<_, Option<String>>(16)?
                .and_then(|json| serde_json::from_str(&json).ok())
                .unwrap_or_default(),
            // Without it nothing can be taken back, which is told then.
            away: row.get::<_, Option<String>>(17)?.and_then(|json| serde_json::from_str(&json).ok()),
            dir: self.run_dir(id),
            checkpoints,
        })
    }
}

pub(super) fn existing(run: RunId, changed: usize) -> Result<()> {
    if changed == 0 { Err(StoreError::NoSuchRun(run)) } else { Ok(()) }
}
