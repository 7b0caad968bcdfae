//! What a run takes on this machine, known before anybody asks: from the last check of a run that was like it.

use data::config::{Method, ObjectiveConfig, RunConfig, TrainConfig};
use engine::protocol::{Event, PreflightReport, RequestId};
use train::{importance::kind_of, measure::outlay::Outlay};

/// Models of more parameters are looked at only when a person asks: loading them takes its time and their memory.
const SMALL: u64 = 200_000_000;

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
    measuring: Outlay,
    peak_memory_bytes: u64,
}

impl Pace {
    /// Seconds and bytes that a run with these settings takes, as far as what was measured says something about it: the
    /// same model on the same machine, be the run longer or of other pairs.
    pub fn time_and_memory(&self, of: &RunConfig, steps: u64) -> Option<(f64, u64)> {
        let known = self.known.as_ref().filter(|known| alike(&known.config, of))?;
        let pairs = |steps: u64, train: &TrainConfig| steps as f64 * train.pairs_per_step as f64;
        let (measured, wanted) = (pairs(known.steps, &known.config.train), pairs(steps, &of.train));
        let secs = known.secs * wanted / measured + known.measuring.secs(&of.train, steps);
        (measured > 0.0).then_some((secs, known.peak_memory_bytes))
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

/// Whether two runs take the same for a pair.
fn alike(one: &RunConfig, other: &RunConfig) -> bool {
    let machine = |train: &TrainConfig| {
        (train.device.clone(), train.micro_batch_tokens, train.recompute, train.memory_mb, train.threads)
    };
    // What is written and scored before it is learnt from takes far longer; several rejected answers are longer rows, and a term
    // on texts has rows of its own.
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
        let secs = |pace: &Pace, config: &RunConfig, steps| pace.time_and_memory(config, steps).map(|(secs, _)| secs);
        assert_eq!(secs(&pace, &config, 10), Some(29.0));
        assert_eq!(secs(&pace, &config, 20), Some(40.0 + 15.0));
        config.train.eval_every = 0;
        assert_eq!(secs(&pace, &config, 20), Some(40.0 + 6.0));
        pace.forget();
        assert_eq!(secs(&pace, &config, 20), None);
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
        assert_eq!(pace.time_and_memory(&config, 30).map(|(secs, _)| secs), Some(60.0));

        let mut larger = config.clone();
        larger.train.pairs_per_step = 2 * config.train.pairs_per_step;
        assert_eq!(pace.time_and_memory(&larger, 10).map(|(secs, _)| secs), Some(40.0));

        let mut writes = config.clone();
        writes.objective.kind = Method::Ppo;
        assert_eq!(pace.time_and_memory(&writes, 10), None, "a pair of MPO says nothing of a rollout");

        let mut held = config.clone();
        held.objective.reference_weight = Some(0.0);
        assert_eq!(pace.time_and_memory(&held, 10), None, "without reference answers a step is shorter");

        let mut other = config;
        other.lora.rank += 1;
        assert_eq!(pace.time_and_memory(&other, 10), None);
        assert!(pace.is_worth_a_look(&other, Some(1_000_000)));
    }
}
