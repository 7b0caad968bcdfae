//! The face of the store; bodies follow.
#![expect(unused_variables, reason = "bodies follow in the next commit")]

use std::path::{Path, PathBuf};

use super::{
    Counts, LogLevel, LogLine, LogProbKey, NewRun, PairQuery, PairRow, PairVisit, Probe, Revision,
    RunId, RunRecord, RunStatus, Sample, SampleRecord, StoreError,
};
use crate::data::{Change, Pair, PairId, ReferenceAnswer};

/// What a project is about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProjectSettings {
    pub name: String,
    /// Hugging Face folder of the model to tune.
    pub model: PathBuf,
    /// `run.toml` that a new run starts from; empty = the program's defaults.
    pub run_toml: String,
}

/// What an edit, an undo or a redo did.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    pub label: String,
    /// The pairs touched, new ones with the ids they were given, in the order of the edits.
    pub pairs: Vec<PairId>,
    pub revision: Revision,
}

/// An open project. Every thread opens its own.
pub struct Project {
    dir: PathBuf,
}

type Result<T> = std::result::Result<T, StoreError>;

impl Project {
    pub fn create(dir: &Path, settings: &ProjectSettings) -> Result<Self> {
        unimplemented!()
    }
    /// Runs whose process is gone are marked [`RunStatus::Interrupted`].
    pub fn open(dir: &Path) -> Result<Self> {
        unimplemented!()
    }
    pub fn dir(&self) -> &Path {
        &self.dir
    }
    pub fn settings(&self) -> Result<ProjectSettings> {
        unimplemented!()
    }
    pub fn set_settings(&self, settings: &ProjectSettings) -> Result<()> {
        unimplemented!()
    }
    /// Free-form settings by name, e.g. what the window remembers about this project.
    pub fn setting(&self, key: &str) -> Result<Option<String>> {
        unimplemented!()
    }
    pub fn set_setting(&self, key: &str, value: &str) -> Result<()> {
        unimplemented!()
    }

    pub fn revision(&self) -> Result<Revision> {
        unimplemented!()
    }
    /// One transaction, on the disk when this returns. New pairs ([`PairId::NEW`]) get their ids here.
    pub fn apply(&mut self, change: &Change) -> Result<Applied> {
        unimplemented!()
    }
    pub fn undo(&mut self) -> Result<Option<Applied>> {
        unimplemented!()
    }
    pub fn redo(&mut self) -> Result<Option<Applied>> {
        unimplemented!()
    }
    /// The label of what undo would take back.
    pub fn can_undo(&self) -> Result<Option<String>> {
        unimplemented!()
    }
    pub fn can_redo(&self) -> Result<Option<String>> {
        unimplemented!()
    }

    pub fn pair(&self, id: PairId) -> Result<Option<Pair>> {
        unimplemented!()
    }
    /// In the order asked for; ids that do not exist (any more) are left out.
    pub fn pairs(&self, ids: &[PairId]) -> Result<Vec<Pair>> {
        unimplemented!()
    }
    /// All pairs as they were, by id.
    pub fn pairs_at(&self, revision: Revision) -> Result<Vec<Pair>> {
        unimplemented!()
    }
    pub fn query(&self, query: &PairQuery) -> Result<Vec<PairId>> {
        unimplemented!()
    }
    /// What a table shows, in the order asked for; ids that do not exist are left out.
    pub fn rows(&self, ids: &[PairId]) -> Result<Vec<PairRow>> {
        unimplemented!()
    }
    pub fn counts(&self) -> Result<Counts> {
        unimplemented!()
    }
    /// Tags in use with the number of pairs that carry them, by name.
    pub fn tags(&self) -> Result<Vec<(String, usize)>> {
        unimplemented!()
    }

    pub fn references(&self) -> Result<Vec<ReferenceAnswer>> {
        unimplemented!()
    }
    pub fn set_references(&mut self, answers: &[ReferenceAnswer]) -> Result<()> {
        unimplemented!()
    }
    /// As they were when the run was created.
    pub fn references_of(&self, run: RunId) -> Result<Vec<ReferenceAnswer>> {
        unimplemented!()
    }
    /// Texts the model shall not forget, one document each.
    pub fn retention(&self) -> Result<Vec<String>> {
        unimplemented!()
    }
    pub fn set_retention(&mut self, texts: &[String]) -> Result<()> {
        unimplemented!()
    }
    /// As it was when the run was created.
    pub fn retention_of(&self, run: RunId) -> Result<Vec<String>> {
        unimplemented!()
    }
    pub fn probes(&self) -> Result<Vec<Probe>> {
        unimplemented!()
    }
    pub fn set_probes(&mut self, probes: &[Probe]) -> Result<()> {
        unimplemented!()
    }

    /// Also writes `runs/<id>/config.toml`. The run is in this process's hands from now on.
    pub fn create_run(&mut self, run: &NewRun) -> Result<RunId> {
        unimplemented!()
    }
    pub fn run(&self, run: RunId) -> Result<RunRecord> {
        unimplemented!()
    }
    /// Oldest first.
    pub fn runs(&self) -> Result<Vec<RunRecord>> {
        unimplemented!()
    }
    pub fn set_run_status(
        &self,
        run: RunId,
        status: RunStatus,
        message: Option<&str>,
    ) -> Result<()> {
        unimplemented!()
    }
    pub fn set_total_steps(&self, run: RunId, steps: u64) -> Result<()> {
        unimplemented!()
    }
    /// Also rewrites `runs/<id>/config.toml`, e.g. after a resume with more steps.
    pub fn set_run_config(&self, run: RunId, config_toml: &str) -> Result<()> {
        unimplemented!()
    }
    pub fn rename_run(&self, run: RunId, name: &str) -> Result<()> {
        unimplemented!()
    }
    /// With its folder.
    pub fn delete_run(&mut self, run: RunId) -> Result<()> {
        unimplemented!()
    }
    pub fn run_dir(&self, run: RunId) -> PathBuf {
        unimplemented!()
    }
    /// Drops metrics, visits, samples and log lines later than `step`, before a run goes on from there.
    pub fn truncate_after(&mut self, run: RunId, step: u64) -> Result<()> {
        unimplemented!()
    }

    /// Adds to the step if it already has metrics; a name that is there is replaced. `wall_ms`: since the run began.
    pub fn append_step(
        &mut self,
        run: RunId,
        step: u64,
        wall_ms: u64,
        metrics: &[(String, f64)],
    ) -> Result<()> {
        unimplemented!()
    }
    /// Names of all metrics of a run, in the order they first came.
    pub fn metrics(&self, run: RunId) -> Result<Vec<String>> {
        unimplemented!()
    }
    /// Points later than `after`; all when absent.
    pub fn series(&self, run: RunId, name: &str, after: Option<u64>) -> Result<Vec<(u64, f64)>> {
        unimplemented!()
    }
    pub fn steps(&self, run: RunId, after: Option<u64>) -> Result<Vec<(u64, Vec<(String, f64)>)>> {
        unimplemented!()
    }
    /// Milliseconds since the run began, by step.
    pub fn step_times(&self, run: RunId) -> Result<Vec<(u64, u64)>> {
        unimplemented!()
    }
    pub fn append_pair_visits(
        &mut self,
        run: RunId,
        step: u64,
        visits: &[PairVisit],
    ) -> Result<()> {
        unimplemented!()
    }
    /// Steps at which a run met a pair.
    pub fn pair_history(&self, run: RunId, pair: PairId) -> Result<Vec<(u64, PairVisit)>> {
        unimplemented!()
    }
    /// All pairs met in steps `from..=to`.
    pub fn visits(&self, run: RunId, from: u64, to: u64) -> Result<Vec<(u64, PairVisit)>> {
        unimplemented!()
    }
    pub fn append_sample(
        &self,
        run: RunId,
        step: u64,
        probe: usize,
        sample: &Sample,
    ) -> Result<()> {
        unimplemented!()
    }
    /// By step, then probe.
    pub fn samples(&self, run: RunId) -> Result<Vec<SampleRecord>> {
        unimplemented!()
    }
    pub fn append_log(&self, run: RunId, step: u64, level: LogLevel, text: &str) -> Result<()> {
        unimplemented!()
    }
    /// A log line that is also drawn on the charts.
    pub fn append_mark(&self, run: RunId, step: u64, text: &str) -> Result<()> {
        unimplemented!()
    }
    /// Oldest first.
    pub fn log(&self, run: RunId) -> Result<Vec<LogLine>> {
        unimplemented!()
    }

    /// Cached per-token log-probs of the policy at step 0, in the order asked for.
    pub fn cached_log_probs(&self, keys: &[LogProbKey]) -> Result<Vec<Option<Vec<f32>>>> {
        unimplemented!()
    }
    pub fn cache_log_probs(&mut self, entries: &[(LogProbKey, Vec<f32>)]) -> Result<()> {
        unimplemented!()
    }
}
