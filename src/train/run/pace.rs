//! How long the rest of a run takes, by what it has taken so far.

use std::time::Duration;

use data::config::TrainConfig;

/// What steps, evaluations and answers to the probe prompts have taken.
#[derive(Default)]
pub(super) struct Pace {
    step: Mean,
    evaluation: Mean,
    sampling: Mean,
}

impl Pace {
    pub fn stepped(&mut self, took: Duration) {
        self.step.add(took);
    }

    /// Its judged answers included.
    pub fn evaluated(&mut self, took: Duration) {
        self.evaluation.add(took);
    }

    pub fn sampled(&mut self, took: Duration) {
        self.sampling.add(took);
    }

    /// Seconds after `step` of `total` was done, with what is still to be measured. Not known before the first step;
    /// what was not measured yet counts for nothing.
    pub fn left(&self, train: &TrainConfig, step: u64, total: u64) -> Option<f64> {
        let steps = total.saturating_sub(step) as f64 * self.step.secs()?;
        let measured = |mean: &Mean, every| mean.secs().unwrap_or(0.0) * times(every, step, total) as f64;
        let evaluations = measured(&self.evaluation, train.eval_every);
        Some(steps + evaluations + measured(&self.sampling, train.sample_every))
    }
}

/// How often something is due from the border after `step` to that after `total`, the last of them included.
fn times(every: u64, step: u64, total: u64) -> u64 {
    if step > total {
        return 0;
    }
    let until = |step: u64| step.checked_div(every).unwrap_or(0);
    let at_the_end = every == 0 || !total.is_multiple_of(every);
    until(total) - until(step.saturating_sub(1)) + u64::from(at_the_end)
}

/// A mean that follows: of all that came, and once there are many, of the newest about.
#[derive(Default)]
struct Mean {
    count: u32,
    secs: f64,
}

impl Mean {
    /// So many count: fewer jump about with whatever else the machine does.
    const MANY: u32 = 20;

    fn add(&mut self, took: Duration) {
        self.count = (self.count + 1).min(Self::MANY);
        self.secs += (took.as_secs_f64() - self.secs) / f64::from(self.count);
    }

    fn secs(&self) -> Option<f64> {
        (self.count > 0).then_some(self.secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_counts_the_evaluations_to_come() {
        let train = TrainConfig { eval_every: 50, sample_every: 0, ..TrainConfig::default() };
        let mut pace = Pace::default();
        pace.evaluated(Duration::from_secs(30));
        pace.sampled(Duration::from_secs(7));
        assert_eq!(pace.left(&train, 1, 300), None, "no step was timed");
        pace.stepped(Duration::from_secs(1));
        // Evaluations after 50, 100, .. 300, the probes once at the end.
        assert_eq!(pace.left(&train, 1, 300), Some(299.0 + 6.0 * 30.0 + 7.0));
        assert_eq!(pace.left(&train, 50, 300), Some(250.0 + 6.0 * 30.0 + 7.0), "the one at this border is to come");
        assert_eq!(pace.left(&train, 51, 300), Some(249.0 + 5.0 * 30.0 + 7.0));
        assert_eq!(pace.left(&train, 290, 320), Some(30.0 + 2.0 * 30.0 + 7.0), "the last step is measured too");
    }

    #[test]
    fn one_slow_step_moves_what_is_left_by_its_share() {
        let train = TrainConfig { eval_every: 0, sample_every: 0, ..TrainConfig::default() };
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.stepped(Duration::from_secs(1));
        }
        pace.stepped(Duration::from_secs(21));
        let left = pace.left(&train, 100, 200).unwrap();
        assert!((left - 200.0).abs() < 1e-6, "{left}");
        for _ in 0..100 {
            pace.stepped(Duration::from_secs(3));
        }
        let left = pace.left(&train, 100, 200).unwrap();
        assert!((299.0..301.0).contains(&left), "it follows: {left}");
    }
}
