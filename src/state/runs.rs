//! Runs as the window knows them: the records of the project, their series, and the one that is going.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use data::{
    alarms::Alarm,
    config::{Method, RunConfig},
    metrics::{Better, StoredMetric, judged},
};
use engine::protocol::{Event, HowFar, Outcome, RunControl};
use judge::RuleHead;
use store::{self, RunAbout, RunId, RunRecord, RunStatus, Seeded};

pub use super::history::{History, Loaded, LogEntry, Mark, StoredRun};
use super::{
    checkpoints::CheckpointsByRun,
    compare::{cells::RunCells, margin_scores::MarginScores},
    ignored::Ignored,
    joining::Joining,
    seen::SeenData,
};

/// The run that is going, or waits for its turn.
#[derive(Debug)]
pub struct LiveRun {
    pub run: RunId,
    pub control: Arc<RunControl>,
    /// What it is busy with when it is not stepping, and how far that is.
    pub phase: Option<(String, Option<HowFar>)>,
    pub step: u64,
    pub total_steps: u64,
    pub eta_secs: Option<f64>,
    pub paused: bool,
    /// Asked to stop; the checkpoint is being written.
    pub stopping: bool,
    /// A checkpoint was written since the last step.
    saved_lately: bool,
    /// Why its checkpoint could not be saved: it waits for an answer.
    pub unsaved: Option<String>,
}

impl LiveRun {
    pub fn new(run: RunId, control: Arc<RunControl>) -> Self {
        Self {
            run,
            control,
            phase: Some(("Waiting for the engine".to_owned(), None)),
            step: 0,
            total_steps: 0,
            eta_secs: None,
            paused: false,
            stopping: false,
            saved_lately: false,
            unsaved: None,
        }
    }

    pub fn fraction(&self) -> f32 {
        if self.total_steps == 0 { 0.0 } else { self.step as f32 / self.total_steps as f32 }
    }
}

/// What the window has to do after an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follow {
    /// Steps were dropped on the way: read the run's history again.
    ReadHistory(RunId),
    /// The run ended: read its record again.
    ReadRuns(RunId),
    /// One was written, and others may have made room for it.
    ReadCheckpoints,
}

/// A run's settings, read from its record once and not at every frame.
#[derive(Debug, Default)]
pub struct RunSettings {
    /// The text they were read from.
    toml: String,
    pub config: RunConfig,
    /// What tells runs apart that differ in their seed only.
    pub seeded: Seeded,
    /// Key and value of every setting, the method's own defaults written out.
    pub table: BTreeMap<String, String>,
}

impl RunSettings {
    /// Where the text cannot be read no setting is listed, and the defaults serve to show the rest.
    fn read(toml: &str) -> Self {
        let read = RunConfig::from_toml(toml).ok();
        let table = read.as_ref().map(RunConfig::texts_in_full).unwrap_or_default();
        let config = read.unwrap_or_default();
        let seeded = Seeded::of(&config).unwrap_or_default();
        Self { toml: toml.to_owned(), table, config, seeded }
    }
}

/// All runs of the project.
#[derive(Debug, Default)]
pub struct Runs {
    /// Oldest first.
    pub records: Vec<RunRecord>,
    settings: BTreeMap<RunId, RunSettings>,
    /// How often some were read.
    settings_read: u64,
    pub history: BTreeMap<RunId, History>,
    pub live: Option<LiveRun>,
    /// Handed to the engine while another run is going; next first.
    pub waiting: VecDeque<LiveRun>,
    /// The order of those that wait elsewhere, or waited when the program ended, as the project has it.
    pub order: Vec<RunId>,
    /// Steps whose checkpoints are on the disk, ascending.
    pub saved: CheckpointsByRun,
    pub joining: Joining,
    pub seen: SeenData,
    /// What the table of runs shows of those whose curves are not here.
    pub cells: RunCells,
    /// How the pairs fared that runs met more than once.
    pub fought: MarginScores,
    /// Whether something that was said about a run can be taken back, and said again.
    pub can_turn_about: [bool; 2],
    /// Alarms that are let be.
    pub ignored: Ignored,
    /// Runs in other hands that were asked to stop, until they have.
    pub asked_to_stop: BTreeSet<RunId>,
    /// The rules that answers are or were judged by, in their order.
    pub rules: Vec<RuleHead>,
}

/// Whether a run can go on from where it is.
pub fn can_continue(status: RunStatus) -> bool {
    match status {
        RunStatus::Stopped | RunStatus::Interrupted | RunStatus::Failed => true,
        RunStatus::Queued | RunStatus::Running | RunStatus::Paused | RunStatus::Completed | RunStatus::Away => false,
    }
}

impl Runs {
    /// The engine has this run now; it goes when the ones before it have ended.
    pub fn queue(&mut self, run: LiveRun) {
        if self.live.is_none() {
            self.live = Some(run);
        } else {
            self.waiting.push_back(run);
        }
    }

    /// Takes over what the project records.
    pub fn set_records(&mut self, records: Vec<RunRecord>) {
        let mut known = std::mem::take(&mut self.settings);
        for record in &records {
            let known = known.remove(&record.id).filter(|read| read.toml == record.config_toml);
            self.settings_read += u64::from(known.is_none());
            self.settings.insert(record.id, known.unwrap_or_else(|| RunSettings::read(&record.config_toml)));
        }
        self.records = records;
    }

    /// What is made of the settings of these runs holds as long as this stays the same.
    pub(crate) fn settings_read(&self) -> u64 {
        self.settings_read
    }

    /// What somebody just said about a run, until the project tells.
    pub fn set_about(&mut self, run: RunId, about: &RunAbout) {
        if let Some(record) = self.record_mut(run).filter(|record| RunAbout::of(record) != *about) {
            (record.name, record.marks) = (about.name.clone(), about.marks.clone());
            self.can_turn_about = [true, false];
        }
    }

    /// What rules counted of a run's answers, in the order of the rules.
    pub fn shares_of(&self, history: &History) -> Vec<String> {
        let shares = history.series.keys().filter(|name| judged::rule(name).is_some());
        let mut shares: Vec<String> = shares.cloned().collect();
        judged::in_order(&mut shares, &self.rules);
        shares
    }

    /// Which way a metric is better: as the table of metrics says, or as the rule does whose share it is.
    pub fn better(&self, metric: &str) -> Better {
        let Some(rule) = judged::rule(metric) else {
            return StoredMetric::of(metric).map_or(Better::Neither, |stored| stored.metric.better);
        };
        judge::better_of(&self.rules, rule)
    }

    /// Newest first, each followed by its forks one level deeper.
    pub fn tree(&self) -> Vec<(usize, &RunRecord)> {
        store::family(&self.records, self.records.iter().rev())
    }

    pub fn settings(&self, run: RunId) -> Option<&RunSettings> {
        self.settings.get(&run)
    }

    pub fn record(&self, run: RunId) -> Option<&RunRecord> {
        self.records.iter().find(|record| record.id == run)
    }

    pub fn history(&self, run: RunId) -> Option<&History> {
        self.history.get(&run)
    }

    /// Its alarms that nobody lets be, in the order in which they were raised.
    pub fn alarms(&self, run: RunId) -> impl Iterator<Item = &Alarm> {
        let alarms = self.history(run).map_or(&[][..], |history| &history.alarms);
        alarms.iter().filter(move |alarm| !self.ignored.holds(run, alarm.kind))
    }

    /// The run whose charts are shown: the one that was picked, else the live one, else the newest.
    pub fn shown(&self, picked: Option<RunId>) -> Option<RunId> {
        let picked = picked.filter(|run| self.record(*run).is_some());
        let live = || self.live.as_ref().map(|live| live.run);
        picked.or_else(live).or_else(|| self.records.last().map(|record| record.id))
    }

    /// The name of a run, also when its record is not here yet.
    pub fn name(&self, run: RunId) -> String {
        self.record(run).map_or_else(|| format!("Run {}", run.0), |record| record.name.clone())
    }

    /// What the next run will be, unless another program records one meanwhile.
    pub fn next(&self) -> RunId {
        RunId(self.records.last().map_or(1, |record| record.id.0 + 1))
    }

    /// Whether it fits a reward model.
    pub fn fits_rewards(&self, run: RunId) -> bool {
        self.settings(run).is_some_and(|settings| settings.config.objective.kind == Method::Reward)
    }

    /// The runs whose reward model is there, or will be when their turn has come; newest first. One that ended before
    /// its first checkpoint has none.
    pub fn reward_models(&self) -> impl Iterator<Item = &RunRecord> {
        let comes = |record: &RunRecord| {
            let in_hand = matches!(record.status, RunStatus::Queued | RunStatus::Running | RunStatus::Paused);
            in_hand || self.is_going(record.id) || self.place(record.id).is_some()
        };
        let is_one = move |record: &&RunRecord| {
            self.fits_rewards(record.id) && (comes(record) || self.no_weights(record.id).is_none())
        };
        self.records.iter().rev().filter(is_one)
    }

    pub fn is_going(&self, run: RunId) -> bool {
        self.live.as_ref().is_some_and(|live| live.run == run)
    }

    /// The one that a new run would wait for.
    pub fn last_in_line(&self) -> Option<&LiveRun> {
        self.waiting.back().or(self.live.as_ref())
    }

    /// Its place among those that wait, 0 = next.
    pub fn place(&self, run: RunId) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.run == run)
    }

    /// Whether it is about to leave the queue.
    pub fn is_leaving(&self, run: RunId) -> bool {
        self.waiting.iter().any(|waiting| waiting.run == run && waiting.stopping)
    }

    /// Another place among those that wait; gives the new order.
    pub fn reorder(&mut self, run: RunId, to: usize) -> Vec<RunId> {
        if let Some(waiting) = self.place(run).and_then(|at| self.waiting.remove(at)) {
            self.waiting.insert(to.min(self.waiting.len()), waiting);
        }
        self.waiting.iter().map(|waiting| waiting.run).collect()
    }

    /// The runs that wait, next first: those of this window, else those that another process has in hand.
    pub fn queue_shown(&self) -> Vec<&RunRecord> {
        if self.waiting.is_empty() {
            let mut theirs: Vec<&RunRecord> = self.theirs().filter(|run| run.status == RunStatus::Queued).collect();
            theirs.sort_by_key(|run| store::place(&self.order, run.id));
            return theirs;
        }
        self.waiting.iter().filter_map(|waiting| self.record(waiting.run)).collect()
    }

    /// Those whose turn had not come when the program ended, in the order in which they stood.
    pub fn waited(&self) -> Vec<&RunRecord> {
        let is_mine = |record: &RunRecord| self.is_going(record.id) || self.place(record.id).is_some();
        let mut waited: Vec<&RunRecord> =
            self.records.iter().filter(|record| record.waited() && !is_mine(record)).collect();
        waited.sort_by_key(|record| store::place(&self.order, record.id));
        waited
    }

    fn record_mut(&mut self, run: RunId) -> Option<&mut RunRecord> {
        self.records.iter_mut().find(|record| record.id == run)
    }

    fn live_mut(&mut self, run: RunId) -> Option<&mut LiveRun> {
        self.live.as_mut().filter(|live| live.run == run)
    }

    /// Folds one event of a run in. Events of requests are not for here.
    pub fn take(&mut self, event: &Event) -> Option<Follow> {
        match event {
            Event::Phase { run, what, done } => {
                let live = self.live_mut(*run)?;
                live.phase = Some((what.clone(), *done));
                if let Some(record) = self.record_mut(*run)
                    && record.status != RunStatus::Paused
                {
                    record.status = RunStatus::Running;
                    // How it ended the last time is over.
                    record.message = None;
                }
                None
            }
            Event::Resting { run, why } => {
                self.live_mut(*run)?.phase = why.clone().map(|why| (why, None));
                None
            }
            Event::Started { run, first_step, total_steps, arithmetic } => {
                let live = self.live_mut(*run)?;
                live.phase = None;
                live.step = first_step.saturating_sub(1);
                live.total_steps = *total_steps;
                self.history.entry(*run).or_default().begin_at(*first_step);
                if let Some(record) = self.record_mut(*run) {
                    record.status = RunStatus::Running;
                    record.step = first_step.saturating_sub(1);
                    record.total_steps = *total_steps;
                    record.message = None;
                    record.arithmetic = Some(arithmetic.clone());
                }
                None
            }
            Event::Step { run, step, total_steps, metrics, eta_secs } => {
                let missed = self.take_step(*run, *step, *total_steps, *eta_secs);
                self.history.entry(*run).or_default().take_metrics(*step, metrics);
                // Whether a checkpoint stays is settled before the next step.
                let saved = self.live_mut(*run).is_some_and(|live| std::mem::take(&mut live.saved_lately));
                if missed { Some(Follow::ReadHistory(*run)) } else { saved.then_some(Follow::ReadCheckpoints) }
            }
            Event::Evaluated { run, step, metrics } => {
                self.history.entry(*run).or_default().take_metrics(*step, metrics);
                None
            }
            Event::Saved { run, .. } => {
                self.live_mut(*run)?.saved_lately = true;
                Some(Follow::ReadCheckpoints)
            }
            Event::Logged { run, step, level, text, mark } => {
                let history = self.history.entry(*run).or_default();
                history.take_line(*step, *level, text, *mark);
                None
            }
            Event::Paused { run, .. } => {
                self.set_paused(*run, true);
                None
            }
            Event::Continued { run, .. } => {
                self.set_paused(*run, false);
                self.live_mut(*run)?.unsaved = None;
                None
            }
            Event::SaveFailed { run, error, .. } => {
                self.wait_for_answer(*run, error);
                None
            }
            Event::Finished { run, outcome } => Some(self.finish(*run, outcome)),
            Event::Sampled { .. }
            | Event::Token { .. }
            | Event::Generated { .. }
            | Event::Drawn { .. }
            | Event::AllDrawn { .. }
            | Event::Scored { .. }
            | Event::AllScored { .. }
            | Event::TokensRead { .. }
            | Event::Preflight { .. }
            | Event::Failed { .. } => None,
        }
    }

    /// The run has ended; the next in the queue is the live one.
    fn finish(&mut self, run: RunId, outcome: &Outcome) -> Follow {
        if self.is_going(run) {
            self.live = self.waiting.pop_front();
        } else {
            // Taken out of the queue.
            self.waiting.retain(|waiting| waiting.run != run);
        }
        if let Some(record) = self.record_mut(run) {
            (record.status, record.message) = match outcome {
                Outcome::Completed => (RunStatus::Completed, None),
                Outcome::Stopped { .. } => (RunStatus::Stopped, None),
                Outcome::Failed { error } => (RunStatus::Failed, Some(error.clone())),
            };
        }
        Follow::ReadRuns(run)
    }

    /// True when steps before this one never arrived.
    fn take_step(&mut self, run: RunId, step: u64, total_steps: u64, eta_secs: Option<f64>) -> bool {
        if let Some(record) = self.record_mut(run) {
            record.step = step;
            record.total_steps = total_steps;
        }
        let Some(live) = self.live_mut(run) else {
            return false;
        };
        let missed = step > live.step + 1;
        live.phase = None;
        live.step = step;
        live.total_steps = total_steps;
        live.eta_secs = eta_secs;
        missed
    }

    fn wait_for_answer(&mut self, run: RunId, error: &str) {
        if let Some(live) = self.live_mut(run) {
            live.phase = Some(("Waits: a checkpoint could not be saved".to_owned(), None));
            live.unsaved = Some(error.to_owned());
        }
        if let Some(record) = self.record_mut(run) {
            record.status = RunStatus::Paused;
        }
    }

    fn set_paused(&mut self, run: RunId, paused: bool) {
        if let Some(live) = self.live_mut(run) {
            live.paused = paused;
        }
        if let Some(record) = self.record_mut(run) {
            record.status = if paused { RunStatus::Paused } else { RunStatus::Running };
        }
    }
}

#[cfg(test)]
#[path = "runs_tests.rs"]
pub mod tests;
