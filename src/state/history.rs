//! Everything that is known of one run's course: its series, its marks, its log, its alarms.

use std::collections::BTreeMap;

use data::{
    alarms::{Alarm, Watch},
    config::RunConfig,
    metrics::says_nothing,
};
use engine::protocol::{LogLevel, Metrics};

use super::series::Series;

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

impl Mark {
    fn of(alarm: &Alarm) -> Self {
        Self { step: alarm.to, text: alarm.kind.title().to_owned() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    pub step: u64,
    pub level: LogLevel,
    pub text: String,
}

/// Everything measured of one run.
#[derive(Debug, Clone, Default)]
pub struct History {
    pub loaded: Loaded,
    pub series: BTreeMap<String, Series>,
    /// Seconds of training by step, where somebody looks at them.
    pub times: Series,
    /// The step up to which they were asked for.
    pub times_to: Option<u64>,
    pub marks: Vec<Mark>,
    pub log: Vec<LogEntry>,
    /// What its numbers say is wrong, in the order in which it was noticed.
    pub alarms: Vec<Alarm>,
    /// Looks at what comes next; absent until all that came before is here.
    pub watch: Option<Watch>,
}

/// What the store has of a run.
#[derive(Debug, Default)]
pub struct StoredRun {
    pub steps: Vec<(u64, Metrics)>,
    pub log: Vec<store::LogLine>,
    /// For the whole of a history: what has looked at its steps, and what it noticed.
    pub watched: Option<(Watch, Vec<Alarm>)>,
}

impl StoredRun {
    /// The whole history of a run of these settings, a fork's from the step that it goes on from. Goes through all
    /// steps.
    pub fn whole(
        (config, inherited): (&RunConfig, Option<u64>),
        steps: Vec<(u64, Metrics)>,
        log: Vec<store::LogLine>,
    ) -> Self {
        let mut watch = Watch::new(config, inherited);
        let alarms = steps.iter().flat_map(|(step, metrics)| watch.take(*step, metrics)).collect();
        Self { steps, log, watched: Some((watch, alarms)) }
    }
}

impl History {
    pub fn series(&self, name: &str) -> Option<&Series> {
        self.series.get(name).filter(|series| !series.is_empty())
    }

    /// What happened to the run by hand or by a controller: its marks without its alarms.
    pub fn changes(&self) -> impl Iterator<Item = &Mark> {
        let is_of = |mark: &Mark, alarm: &Alarm| mark.step == alarm.to && mark.text == alarm.kind.title();
        self.marks.iter().filter(move |mark| !self.alarms.iter().any(|alarm| is_of(mark, alarm)))
    }

    /// The newest finite value of a metric.
    pub fn latest(&self, name: &str) -> Option<f64> {
        self.series(name)?.latest().map(|point| point[1])
    }

    /// What was measured before the first step.
    pub fn at_start(&self, name: &str) -> Option<f64> {
        self.series(name)?.first().filter(|point| point[0] == 0.0).map(|point| point[1])
    }

    pub fn last_step(&self) -> f64 {
        self.series.values().filter_map(Series::last_step).fold(0.0, f64::max)
    }

    /// The step up to which times are to be read for what this metric measured, if they are not.
    pub fn times_wanted(&self, metric: &str) -> Option<u64> {
        let last = self.series(metric)?.last_step()? as u64;
        (self.times_to < Some(last)).then_some(last)
    }

    /// The same for all that it measured.
    pub fn all_times_wanted(&self) -> Option<u64> {
        let last = self.series.values().filter_map(Series::last_step).reduce(f64::max)? as u64;
        (self.times_to < Some(last)).then_some(last)
    }

    /// Adds one step's metrics.
    pub(super) fn take_metrics(&mut self, step: u64, metrics: &Metrics) {
        if let Some(watch) = &mut self.watch {
            for alarm in watch.take(step, metrics) {
                self.marks.push(Mark::of(&alarm));
                self.alarms.push(alarm);
            }
        }
        for (name, value) in metrics.iter().filter(|(name, _)| !says_nothing(name, metrics)) {
            if !self.series.contains_key(name) {
                self.series.insert(name.clone(), Series::default());
            }
            if let Some(series) = self.series.get_mut(name) {
                series.push(step as f64, *value);
            }
        }
    }

    /// The run trains `first_step` next: what it measured from there on in an earlier life is not its own any more.
    pub(super) fn begin_at(&mut self, first_step: u64) {
        let has_later = self.series.values().any(|series| series.last_step() >= Some(first_step as f64));
        for series in self.series.values_mut() {
            series.truncate_from(first_step as f64);
        }
        self.times.truncate_from(first_step as f64);
        self.times_to = self.times_to.filter(|to| *to < first_step);
        self.marks.retain(|mark| mark.step < first_step);
        self.log.retain(|line| line.step < first_step);
        self.alarms.retain(|alarm| alarm.to < first_step);
        if let Some(watch) = self.watch.as_mut().filter(|_| has_later) {
            let series = &self.series;
            watch.go_back(&self.alarms, |name| series.get(name).map_or(&[], Series::points));
        }
    }

    /// Adds a line of the log, which may be a mark as well.
    pub(super) fn take_line(&mut self, step: u64, level: LogLevel, text: &str, mark: bool) {
        let text = text.to_owned();
        if mark {
            let text = text.clone();
            self.marks.push(Mark { step, text });
        }
        self.log.push(LogEntry { step, level, text });
    }

    /// Takes over what the store has beyond what is here.
    pub fn extend(&mut self, stored: StoredRun) {
        for (step, metrics) in &stored.steps {
            // An evaluation comes after its step, and may be new where the step is not.
            let known = |name: &str| self.series.get(name).and_then(Series::last_step);
            let is_new = |(name, _): &&(String, f64)| known(name).is_none_or(|last| last < *step as f64);
            let said = metrics.iter().filter(|(name, _)| !says_nothing(name, metrics));
            let newer: Metrics = said.filter(is_new).cloned().collect();
            if !newer.is_empty() {
                self.take_metrics(*step, &newer);
            }
        }
        (self.log, self.marks) = (Vec::new(), self.alarms.iter().map(Mark::of).collect());
        for line in stored.log {
            self.take_line(line.step, line.level, &line.text, line.mark);
        }
    }

    /// Takes over what the store has. What came in while it was being read is newer, and stays.
    pub fn fill(&mut self, stored: StoredRun) {
        let before = std::mem::take(self);
        self.loaded = Loaded::Ready;
        let watched = stored.watched;
        for (step, metrics) in &stored.steps {
            self.take_metrics(*step, metrics);
        }
        if let Some((watch, alarms)) = watched {
            self.marks.extend(alarms.iter().map(Mark::of));
            (self.watch, self.alarms) = (Some(watch), alarms);
        }
        let read_to = stored.steps.last().map_or(0.0, |(step, _)| *step as f64);
        let mut newer: BTreeMap<u64, Metrics> = BTreeMap::new();
        for (name, old) in before.series {
            let first = old.points().partition_point(|point| point[0] <= read_to);
            for [step, value] in &old.points()[first..] {
                newer.entry(*step as u64).or_default().push((name.clone(), *value));
            }
        }
        for (step, metrics) in newer {
            self.take_metrics(step, &metrics);
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
