//! What a run takes on this machine, known before anybody asks: from the last check of a run that was like it, and from
//! the steps of the last run that was.

use data::{
    config::{Method, ObjectiveConfig, RunConfig, TrainConfig},
    metrics::{EVAL_RUNTIME, STEP_PAIRS, STEP_TOKENS, TOKENS_PER_SEC},
};
use engine::protocol::{Event, PreflightReport, RequestId};
use train::{importance::kind_of, measure::outlay::Outlay};

use super::runs::{History, Runs};

/// Models of more parameters are looked at only when a person asks: loading them takes its time and their memory.
const SMALL: u64 = 200_000_000;

/// Fewer steps of a run say little of its pace; more than so many are not looked at.
const STEPS: [usize; 2] = [5, 200];

/// What a run should take.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// From and to.
    pub secs: [f64; 2],
    /// Longer than that, as long as other programs keep the processor busy.
    pub hindered: bool,
    pub peak_memory_bytes: u64,
    /// The run whose pace this is; absent where a single row was timed.
    pub as_in: Option<String>,
}

impl Estimate {
    /// Of so many runs one after the other.
    pub fn times(self, runs: usize) -> Self {
        Self { secs: self.secs.map(|secs| runs as f64 * secs), ..self }
    }

    /// "2 to 4 min", "about 3 min as MPO 1 went".
    pub fn time(&self) -> String {
        let [low, high] = self.secs;
        match &self.as_in {
            Some(run) => format!("about {} as {run} went", data::duration(low)),
            None => data::between(low, high) + if self.hindered { PreflightReport::LONGER } else { "" },
        }
    }
}

/// The newest measurement, and the one that is on its way.
#[derive(Debug, Default)]
pub struct Pace {
    known: Option<Measured>,
    /// What was asked about last, so that nothing is asked twice.
    asked: Option<(RequestId, Box<RunConfig>)>,
    /// Nothing is measured unasked.
    pub only_when_asked: bool,
}

#[derive(Debug)]
struct Measured {
    config: Box<RunConfig>,
    steps: u64,
    /// Of the steps alone.
    secs: f64,
    /// Up to so many times that.
    slower: f64,
    hindered: bool,
    measuring: Outlay,
    peak_memory_bytes: u64,
}

impl Pace {
    /// Time and memory that a run with these settings takes, as far as what was measured says something about it: the
    /// same model on the same machine, be the run longer or of other pairs. Where a run of these settings has gone, at
    /// its pace.
    pub fn estimate(&self, of: &RunConfig, steps: u64, runs: &Runs) -> Option<Estimate> {
        let known = self.known.as_ref().filter(|known| alike(&known.config, of))?;
        let pairs = |steps: u64, train: &TrainConfig| steps as f64 * train.pairs_per_step as f64;
        let (measured, wanted) = (pairs(known.steps, &known.config.train), pairs(steps, &of.train));
        if measured <= 0.0 {
            return None;
        }
        let (stepping, measuring) = (known.secs * wanted / measured, known.measuring.secs(&of.train, steps));
        let newest_first = runs.records.iter().rev();
        let mut went = newest_first.filter_map(|record| {
            let settings = runs.settings(record.id).filter(|settings| alike(&settings.config, of))?;
            let history = runs.history(record.id)?;
            let secs = secs_a_pair(history, settings.config.train.pairs_per_step)? * wanted;
            Some((secs, secs_an_evaluation(history), record.name.clone()))
        });
        let peak_memory_bytes = known.peak_memory_bytes;
        let Some((secs, an_evaluation, name)) = went.next() else {
            let secs = stepping + measuring;
            return Some(Estimate {
                secs: [secs, known.slower * secs],
                hindered: known.hindered,
                peak_memory_bytes,
                as_in: None,
            });
        };
        // What slows the steps down slows measuring down as much; where they went quicker than a single row, it need
        // not.
        let slower = if stepping > 0.0 { (secs / stepping).max(1.0) } else { 1.0 };
        let estimated = known.measuring.times(slower);
        let evaluation_secs = an_evaluation.unwrap_or(estimated.evaluation_secs);
        let measuring = Outlay { evaluation_secs, ..estimated }.secs(&of.train, steps);
        Some(Estimate { secs: [secs + measuring; 2], hindered: false, peak_memory_bytes, as_in: Some(name) })
    }

    /// Whether such a run is worth a look that nobody asked for: nothing known speaks for it, and it costs a moment.
    pub fn is_worth_a_look(&self, of: &RunConfig, parameters: Option<u64>) -> bool {
        let is_small = parameters.is_some_and(|count| count <= SMALL);
        let is_new = |config: &RunConfig| !alike(config, of);
        is_small
            && !self.only_when_asked
            && self.known.as_ref().is_none_or(|known| is_new(&known.config))
            && self.asked.as_ref().is_none_or(|(_, config)| is_new(config))
    }

    pub fn ask(&mut self, request: RequestId, config: Box<RunConfig>) {
        self.asked = Some((request, config));
    }

    /// Takes the answer to what was asked last. True when it was.
    pub fn take(&mut self, event: &Event) -> bool {
        let (Event::Preflight { request: answered, .. } | Event::Failed { request: answered, .. }) = event else {
            return false;
        };
        let Some((_, config)) = self.asked.as_ref().filter(|(request, _)| request == answered) else {
            return false;
        };
        if let Event::Preflight { report, .. } = event {
            self.note(config.clone(), report);
        }
        true
    }

    /// What a check found.
    pub fn note(&mut self, config: Box<RunConfig>, report: &PreflightReport) {
        self.known = Some(Measured {
            steps: report.total_steps,
            secs: report.estimated_secs - report.measuring.secs(&config.train, report.total_steps),
            slower: report.slower(),
            hindered: report.hindered(),
            measuring: report.measuring,
            peak_memory_bytes: report.memory.peak_memory_bytes,
            config,
        });
    }

    /// What was measured says nothing any more: other answers are judged.
    pub fn forget(&mut self) {
        *self = Self { only_when_asked: self.only_when_asked, ..Self::default() };
    }

    /// Whatever was asked was cut short by something that mattered more: it may be asked again.
    pub fn forget_what_was_asked(&mut self) {
        self.asked = None;
    }
}

/// What a pair took in the newest steps of a run, with the texts that went beside it.
fn secs_a_pair(history: &History, pairs_per_step: usize) -> Option<f64> {
    let newest = |name| Some(history.series(name)?.points().iter().rev().take(STEPS[1]));
    let mut met = newest(STEP_PAIRS)?.map(|point| point[1]);
    let steps = newest(STEP_TOKENS)?.zip(newest(TOKENS_PER_SEC)?).filter(|(tokens, speed)| tokens[0] == speed[0]);
    let (mut count, mut secs) = (0, 0.0);
    for (tokens, speed) in steps {
        // The last step of an epoch may have few pairs, and as many texts as ever.
        if met.next()? as usize >= pairs_per_step && speed[1] > 0.0 {
            secs += tokens[1] / speed[1];
            count += 1;
        }
    }
    (count >= STEPS[0]).then(|| secs / (count * pairs_per_step) as f64)
}

/// What the evaluations of a run took in the mean: its answers grow longer or shorter on the way.
fn secs_an_evaluation(history: &History) -> Option<f64> {
    let evaluations = history.series(EVAL_RUNTIME)?.points();
    let secs: f64 = evaluations.iter().map(|point| point[1]).sum();
    (!evaluations.is_empty()).then(|| secs / evaluations.len() as f64)
}

/// Whether two runs take the same for a pair.
fn alike(one: &RunConfig, other: &RunConfig) -> bool {
    let machine = |train: &TrainConfig| {
        (train.device.clone(), train.micro_batch_tokens, train.recompute, train.memory_mb, train.threads)
    };
    // What is written and scored before it is learnt from takes far longer; several rejected answers are longer rows,
    // and a term on texts has rows of its own.
    let work = |config: &RunConfig| {
        let ObjectiveConfig { kind, negatives, negatives_max, .. } = config.objective;
        let weights = [config.objective.reference_weight(), config.objective.retention_weight()];
        let samples = Some(kind).filter(|kind| !Method::PREFERENCE.contains(kind));
        // Token weights of which the same is said cost the same.
        let weighing = kind_of(config).map(|weights| weights.cost(None));
        (samples, negatives, negatives_max, weighing, weights.map(|weight| weight > 0.0))
    };
    let answers = |train: &TrainConfig| (train.eval_answers, train.sample_tokens, train.sample_seeds);
    one.model == other.model
        && one.lora == other.lora
        && work(one) == work(other)
        && machine(&one.train) == machine(&other.train)
        && answers(&one.train) == answers(&other.train)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measuring_is_counted_as_often_as_it_is_asked_for() {
        let mut pace = Pace::default();
        let mut config = RunConfig::default();
        (config.train.eval_every, config.train.sample_every) = (5, 0);
        let measuring = Outlay { evaluation_secs: 3.0, ..Outlay::default() };
        let report = PreflightReport {
            total_steps: 10,
            estimated_secs: 20.0 + measuring.secs(&config.train, 10),
            measuring,
            ..PreflightReport::default()
        };
        pace.note(Box::new(config.clone()), &report);
        assert_eq!(secs(&pace, &config, 10), Some(29.0));
        assert_eq!(secs(&pace, &config, 20), Some(40.0 + 15.0));
        config.train.eval_every = 0;
        assert_eq!(secs(&pace, &config, 20), Some(40.0 + 6.0));
        pace.forget();
        assert_eq!(secs(&pace, &config, 20), None);
    }

    /// The least that it takes, where no run has gone.
    fn secs(pace: &Pace, config: &RunConfig, steps: u64) -> Option<f64> {
        let estimate = pace.estimate(config, steps, &Runs::default())?;
        assert_eq!((estimate.secs[1], estimate.as_in), (2.0 * estimate.secs[0], None));
        Some(estimate.secs[0])
    }

    fn report(secs: f64) -> Box<PreflightReport> {
        Box::new(PreflightReport { total_steps: 10, estimated_secs: secs, ..PreflightReport::default() })
    }

    #[test]
    fn a_longer_run_of_the_same_kind_takes_longer() {
        let mut pace = Pace::default();
        let config = RunConfig::default();
        assert!(pace.is_worth_a_look(&config, Some(1_000_000)));
        assert!(!pace.is_worth_a_look(&config, Some(7_000_000_000)) && !pace.is_worth_a_look(&config, None));
        pace.ask(RequestId(1), Box::new(config.clone()));
        assert!(!pace.is_worth_a_look(&config, Some(1_000_000)), "it was asked");
        assert!(!pace.take(&Event::Failed { request: RequestId(2), error: String::new() }));
        assert!(pace.take(&Event::Preflight { request: RequestId(1), report: report(20.0) }));
        assert_eq!(secs(&pace, &config, 30), Some(60.0));

        let mut larger = config.clone();
        larger.train.pairs_per_step = 2 * config.train.pairs_per_step;
        assert_eq!(secs(&pace, &larger, 10), Some(40.0));

        let mut writes = config.clone();
        writes.objective.kind = Method::Ppo;
        assert_eq!(secs(&pace, &writes, 10), None, "a pair of MPO says nothing of a rollout");

        let mut held = config.clone();
        held.objective.reference_weight = Some(0.0);
        assert_eq!(secs(&pace, &held, 10), None, "without reference answers a step is shorter");

        let mut other = config;
        other.lora.rank += 1;
        assert_eq!(secs(&pace, &other, 10), None);
        assert!(pace.is_worth_a_look(&other, Some(1_000_000)));
    }

    #[test]
    fn a_run_that_went_says_more_than_a_row_that_was_tried() {
        use store::{RunRecord, RunStatus};

        let mut config = RunConfig::default();
        (config.train.pairs_per_step, config.train.eval_every, config.train.sample_every) = (4, 0, 0);
        let measuring = Outlay { evaluation_secs: 1.0, ..Outlay::default() };
        let estimated_secs = 20.0 + measuring.secs(&config.train, 10);
        let report = PreflightReport { total_steps: 10, estimated_secs, measuring, ..PreflightReport::default() };
        let mut pace = Pace::default();
        pace.note(Box::new(config.clone()), &report);
        let record = |id| RunRecord {
            id: store::RunId(id),
            name: format!("MPO {id}"),
            method: "MPO".to_owned(),
            config_toml: config.to_toml().unwrap(),
            status: RunStatus::Completed,
            ..RunRecord::default()
        };
        let mut runs = Runs::default();
        runs.set_records(vec![record(1), record(2)]);
        let mut went = |steps: u64, secs: f64, an_evaluation: Option<f64>| {
            let mut history = History::default();
            for step in 1..=steps {
                // Every fifth step is the rest of an epoch: one pair, and quick.
                let (pairs, tokens) = if step % 5 == 0 { (1.0, 100.0) } else { (4.0, 400.0) };
                let secs = if step % 5 == 0 { 0.1 } else { secs };
                history.take_metrics(
                    step,
                    &vec![
                        (STEP_PAIRS.to_owned(), pairs),
                        (STEP_TOKENS.to_owned(), tokens),
                        (TOKENS_PER_SEC.to_owned(), tokens / secs),
                    ],
                );
            }
            if let Some(took) = an_evaluation {
                history.take_metrics(steps, &vec![(EVAL_RUNTIME.to_owned(), took)]);
            }
            runs.history.insert(store::RunId(1), history);
            pace.estimate(&config, 10, &runs).unwrap()
        };
        let tried = went(3, 6.0, None);
        assert_eq!((tried.secs, tried.as_in.clone()), ([22.0, 44.0], None), "three steps say nothing yet");
        assert_eq!(tried.time(), "20 to 45 s");
        let known = went(50, 6.0, None);
        // Ten steps of six seconds instead of two: measuring takes three times as long as well.
        assert!((known.secs[0] - 66.0).abs() < 1e-9, "{known:?}");
        assert_eq!(known.time(), "about 66 s as MPO 1 went");
        // It was not quite that bad: its evaluations took two seconds, and there are two in any run.
        let told = went(50, 6.0, Some(2.0));
        assert!((told.secs[0] - 64.0).abs() < 1e-9, "{told:?}");
    }
}
