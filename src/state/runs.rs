//! Runs as the window knows them: the records of the project, their series, and the one that is going.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{launch::settings_in_full, on_disk::Saved, series::Series};
use crate::{
    engine::{
        config::RunConfig,
        protocol::{Event, LogLevel, Metrics, Outcome, RunControl},
    },
    store::{self, RunId, RunRecord, RunStatus},
};

/// How much of a run's history is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loaded {
    #[default]
    Absent,
    Asked,
    Ready,
}

/// Something happened at a step that explains a bend in the charts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub step: u64,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub step: u64,
    pub level: LogLevel,
    pub text: String,
}

/// Everything measured of one run.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub loaded: Loaded,
    pub series: BTreeMap<String, Series>,
    pub marks: Vec<Mark>,
    pub log: Vec<LogLine>,
}

/// What the store has of a run, read on the files thread.
#[derive(Debug, Default)]
pub struct Stored {
    pub steps: Vec<(u64, Metrics)>,
    pub log: Vec<store::LogLine>,
}

impl History {
    pub fn series(&self, name: &str) -> Option<&Series> {
        self.series.get(name).filter(|series| !series.is_empty())
    }

    /// The newest finite value of a metric.
    pub fn latest(&self, name: &str) -> Option<f64> {
        self.series(name)?.latest().map(|point| point[1])
    }

    pub fn last_step(&self) -> f64 {
        self.series.values().filter_map(Series::last_step).fold(0.0, f64::max)
    }

    /// Adds one step's metrics.
    fn take_metrics(&mut self, step: u64, metrics: &Metrics) {
        // Before the first update every reward is 0 but for rounding: no pair is right or wrong yet, and drawing what a
        // strict count of noise gives would squeeze everything that follows.
        const STILL: f64 = 1e-4;
        let unmoved = metrics.iter().any(|(name, value)| name.ends_with("rewards/margins") && value.abs() < STILL);
        for (name, value) in metrics {
            if unmoved && name.ends_with("rewards/accuracies") {
                continue;
            }
            if !self.series.contains_key(name) {
                self.series.insert(name.clone(), Series::default());
            }
            if let Some(series) = self.series.get_mut(name) {
                series.push(step as f64, *value);
            }
        }
    }

    /// The run trains `first_step` next: what it measured from there on in an earlier life is not its own any more.
    fn begin_at(&mut self, first_step: u64) {
        for series in self.series.values_mut() {
            series.truncate_from(first_step as f64);
        }
        self.marks.retain(|mark| mark.step < first_step);
        self.log.retain(|line| line.step < first_step);
    }

    /// Adds a line of the log, which may be a mark as well.
    fn take_line(&mut self, step: u64, level: LogLevel, text: &str, mark: bool) {
        let text = text.to_owned();
        if mark {
            let text = text.clone();
            self.marks.push(Mark { step, text });
        }
        self.log.push(LogLine { step, level, text });
    }

    /// Takes over what the store has beyond what is here.
    pub fn extend(&mut self, stored: Stored) {
        for (step, metrics) in &stored.steps {
            self.take_metrics(*step, metrics);
        }
        (self.log, self.marks) = Default::default();
        for line in stored.log {
            self.take_line(line.step, line.level, &line.text, line.mark);
        }
    }

    /// Takes over what the store has. What came in while it was being read is newer, and stays.
    pub fn fill(&mut self, stored: Stored) {
        let before = std::mem::take(self);
        self.loaded = Loaded::Ready;
        for (step, metrics) in &stored.steps {
            self.take_metrics(*step, metrics);
        }
        let read_to = stored.steps.last().map_or(0.0, |(step, _)| *step as f64);
        for (name, old) in before.series {
            let series = self.series.entry(name).or_default();
            for [step, value] in old.points().iter().filter(|point| point[0] > read_to) {
                series.push(*step, *value);
            }
        }
        for line in stored.log {
            self.take_line(line.step, line.level, &line.text, line.mark);
        }
        for line in before.log {
            if !self.log.contains(&line) {
                self.log.push(line);
            }
        }
        for mark in before.marks {
            if !self.marks.contains(&mark) {
                self.marks.push(mark);
            }
        }
    }
}

/// The run that is going, or waits for its turn.
#[derive(Debug)]
pub struct Live {
    pub run: RunId,
    pub control: Arc<RunControl>,
    /// What it is busy with when it is not stepping, with its share done.
    pub phase: Option<(String, Option<f32>)>,
    pub step: u64,
    pub total_steps: u64,
    pub eta_secs: Option<f64>,
    pub paused: bool,
    /// Asked to stop; the checkpoint is being written.
    pub stopping: bool,
    pub last_checkpoint: Option<u64>,
    /// Why its checkpoint could not be saved: it waits for an answer.
    pub unsaved: Option<String>,
}

impl Live {
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
            last_checkpoint: None,
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
    /// Key and value of every setting, the method's own defaults written out.
    pub table: BTreeMap<String, String>,
}

impl RunSettings {
    /// The defaults where the text cannot be read: only to be shown.
    fn read(toml: &str) -> Self {
        let config = RunConfig::from_toml(toml).unwrap_or_default();
        Self { toml: toml.to_owned(), table: settings_in_full(&config), config }
    }
}

/// All runs of the project.
#[derive(Debug, Default)]
pub struct Runs {
    /// Oldest first.
    pub records: Vec<RunRecord>,
    settings: BTreeMap<RunId, RunSettings>,
    pub history: BTreeMap<RunId, History>,
    pub live: Option<Live>,
    /// Handed to the engine while another run is going; next first.
    pub waiting: VecDeque<Live>,
    /// Steps whose checkpoints are on the disk, ascending.
    pub saved: Saved,
}

/// Whether a run can go on from where it is.
pub fn can_continue(status: RunStatus) -> bool {
    match status {
        RunStatus::Stopped | RunStatus::Interrupted | RunStatus::Failed => true,
        RunStatus::Queued | RunStatus::Running | RunStatus::Paused | RunStatus::Completed => false,
    }
}

impl Runs {
    /// The engine has this run now; it goes when the ones before it have ended.
    pub fn queue(&mut self, run: Live) {
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
            let read = known.remove(&record.id).filter(|read| read.toml == record.config_toml);
            self.settings.insert(record.id, read.unwrap_or_else(|| RunSettings::read(&record.config_toml)));
        }
        self.records = records;
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

    pub fn live_record(&self) -> Option<&RunRecord> {
        self.record(self.live.as_ref()?.run)
    }

    /// The name of a run, also when its record is not here yet.
    pub fn name(&self, run: RunId) -> String {
        self.record(run).map_or_else(|| format!("Run {}", run.0), |record| record.name.clone())
    }

    pub fn is_going(&self, run: RunId) -> bool {
        self.live.as_ref().is_some_and(|live| live.run == run)
    }

    /// Its place among those that wait, 0 = next.
    pub fn place(&self, run: RunId) -> Option<usize> {
        self.waiting.iter().position(|waiting| waiting.run == run)
    }

    /// Another place among those that wait; gives the new order.
    pub fn reorder(&mut self, run: RunId, to: usize) -> Vec<RunId> {
        if let Some(waiting) = self.place(run).and_then(|at| self.waiting.remove(at)) {
            self.waiting.insert(to.min(self.waiting.len()), waiting);
        }
        self.waiting.iter().map(|waiting| waiting.run).collect()
    }

    fn record_mut(&mut self, run: RunId) -> Option<&mut RunRecord> {
        self.records.iter_mut().find(|record| record.id == run)
    }

    fn live_mut(&mut self, run: RunId) -> Option<&mut Live> {
        self.live.as_mut().filter(|live| live.run == run)
    }

    /// Folds one event of a run in. Events of requests are not for here.
    pub fn take(&mut self, event: &Event) -> Option<Follow> {
        match event {
            Event::Phase { run, what, fraction } => {
                let live = self.live_mut(*run)?;
                live.phase = Some((what.clone(), *fraction));
                if let Some(record) = self.record_mut(*run)
                    && record.status != RunStatus::Paused
                {
                    record.status = RunStatus::Running;
                }
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
                missed.then_some(Follow::ReadHistory(*run))
            }
            Event::Evaluated { run, step, metrics } => {
                self.history.entry(*run).or_default().take_metrics(*step, metrics);
                None
            }
            Event::Saved { run, step } => {
                self.live_mut(*run)?.last_checkpoint = Some(*step);
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
mod tests {
    use super::*;

    fn loss(value: f64) -> Metrics {
        vec![("loss".to_owned(), value)]
    }

    fn step(run: i64, step: u64) -> Event {
        Event::Step { run: RunId(run), step, total_steps: 9, metrics: loss(step as f64), eta_secs: None }
    }

    fn record(id: i64) -> RunRecord {
        RunRecord {
            id: RunId(id),
            name: String::new(),
            method: String::new(),
            status: RunStatus::Completed,
            created_ms: 0,
            config_toml: String::new(),
            revision: store::Revision(0),
            parent: None,
            step: 0,
            total_steps: 0,
            message: None,
            arithmetic: None,
            dir: std::path::PathBuf::new(),
            checkpoints: Vec::new(),
        }
    }

    fn live(run: i64) -> Live {
        Live::new(RunId(run), Arc::default())
    }

    #[test]
    fn what_came_in_while_the_store_was_read_stays() {
        let mut history = History::default();
        for step in [4, 5] {
            history.take_metrics(step, &loss(step as f64));
        }
        history.fill(Stored { steps: (1..=4).map(|step| (step, loss(step as f64))).collect(), log: Vec::new() });
        let steps: Vec<f64> = history.series["loss"].points().iter().map(|p| p[0]).collect();
        assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn settings_are_read_again_only_when_they_change() {
        let with = |id, toml: &str| RunRecord { config_toml: toml.to_owned(), ..record(id) };
        let mut runs = Runs::default();
        runs.set_records(vec![with(1, "[objective]\nbeta = 0.25"), with(2, "no settings at all")]);
        assert_eq!(runs.settings(RunId(1)).unwrap().config.objective.beta, 0.25);
        assert_eq!(runs.settings(RunId(1)).unwrap().table["objective.beta"], "0.25");
        assert_eq!(runs.settings(RunId(2)).unwrap().config, RunConfig::default());
        runs.set_records(vec![with(1, "[objective]\nbeta = 0.5")]);
        assert_eq!(runs.settings(RunId(1)).unwrap().config.objective.beta, 0.5);
        assert!(runs.settings(RunId(2)).is_none(), "that run is gone");
    }

    #[test]
    fn a_value_that_is_no_number_stays_in_the_series() {
        let mut runs = Runs::default();
        runs.queue(live(1));
        for (at, value) in [(1, 0.5), (2, f64::NAN), (3, f64::INFINITY)] {
            runs.take(&Event::Step { run: RunId(1), step: at, total_steps: 9, metrics: loss(value), eta_secs: None });
        }
        let history = runs.history(RunId(1)).unwrap();
        assert_eq!(history.series["loss"].not_finite(), 2);
        assert_eq!(history.latest("loss"), Some(0.5));
    }

    #[test]
    fn a_gap_asks_for_the_history() {
        let mut runs = Runs::default();
        runs.queue(live(1));
        assert_eq!(runs.take(&step(1, 1)), None);
        assert_eq!(runs.take(&step(1, 4)), Some(Follow::ReadHistory(RunId(1))));
        assert_eq!(runs.take(&step(1, 5)), None);
    }

    #[test]
    fn the_next_run_is_live_when_one_ends() {
        let mut runs = Runs::default();
        runs.queue(live(1));
        runs.queue(live(2));
        let ended = Event::Finished { run: RunId(1), outcome: Outcome::Completed };
        assert_eq!(runs.take(&ended), Some(Follow::ReadRuns(RunId(1))));
        assert_eq!(runs.live.as_ref().unwrap().run, RunId(2));
        assert!(runs.waiting.is_empty());
    }

    #[test]
    fn g11_a_queued_run_is_moved_and_taken_out() {
        let mut runs = Runs::default();
        for run in 1..=4 {
            runs.queue(live(run));
        }
        assert_eq!((runs.place(RunId(1)), runs.place(RunId(2)), runs.place(RunId(4))), (None, Some(0), Some(2)));
        assert_eq!(runs.reorder(RunId(4), 0), [RunId(4), RunId(2), RunId(3)]);
        assert_eq!(runs.reorder(RunId(4), 99), [RunId(2), RunId(3), RunId(4)]);
        assert_eq!(runs.reorder(RunId(1), 0), [RunId(2), RunId(3), RunId(4)], "the one that is going stays");
        let out = Event::Finished { run: RunId(3), outcome: Outcome::Stopped { step: 0 } };
        runs.take(&out);
        assert!(runs.is_going(RunId(1)));
        assert_eq!(runs.place(RunId(4)), Some(1));
        assert_eq!(runs.place(RunId(3)), None);
    }

    #[test]
    fn g15_what_lies_beyond_the_resumed_step_is_not_shown_as_new() {
        let mut runs = Runs::default();
        runs.queue(live(1));
        let history = runs.history.entry(RunId(1)).or_default();
        for step in 1..=32 {
            history.take_metrics(step, &loss(step as f64));
        }
        history.take_metrics(25, &vec![("eval_loss".to_owned(), 0.1)]);
        history.take_line(30, LogLevel::Info, "λ_ref 0.3 → 0.7", true);
        history.take_line(3, LogLevel::Info, "kept", false);
        let arithmetic = store::Arithmetic::default();
        let begun =
            |first_step| Event::Started { run: RunId(1), first_step, total_steps: 80, arithmetic: arithmetic.clone() };
        runs.take(&begun(21));
        let history = runs.history(RunId(1)).unwrap();
        assert_eq!(history.last_step(), 20.0);
        assert_eq!(history.series("eval_loss").map(Series::len), None);
        assert!(history.marks.is_empty());
        assert_eq!(history.log.len(), 1);
        runs.take(&begun(1));
        assert_eq!(runs.history(RunId(1)).unwrap().series("loss").map(Series::len), None);
    }

    #[test]
    fn accuracy_is_not_drawn_before_anything_moved() {
        let mut history = History::default();
        let name = "eval_rewards/accuracies".to_owned();
        let measured = |accuracy, margin| vec![(name.clone(), accuracy), ("eval_rewards/margins".to_owned(), margin)];
        history.take_metrics(0, &measured(0.5, 1e-6));
        history.take_metrics(10, &measured(0.8, 1.5));
        assert_eq!(history.series[&name].points(), [[10.0, 0.8]]);
    }
}
