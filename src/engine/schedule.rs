//! The learning rate of each step.

use super::config::{OptimizerConfig, Schedule};

/// Learning rate of the update that makes `step` (counted from 1) of `total`.
///
/// Warm-up is linear and already moves at the first step; then the schedule falls over what is left, and its last step
/// still moves.
pub fn learning_rate(config: &OptimizerConfig, step: u64, total: u64) -> f64 {
    let warmup = config.warmup_steps;
    if step <= warmup {
        return config.learning_rate * step as f64 / warmup as f64;
    }
    let done = (step - 1 - warmup) as f64;
    let rest = total.saturating_sub(warmup).max(1) as f64;
    let progress = (done / rest).min(1.0);
    config.learning_rate
        * match config.schedule {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - progress,
            Schedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, warmup_steps: u64, total: u64) -> Vec<f64> {
        let config = OptimizerConfig { learning_rate: 1.0, warmup_steps, schedule, ..OptimizerConfig::default() };
        (1..=total).map(|step| learning_rate(&config, step, total)).collect()
    }

    #[test]
    fn warm_up_rises_and_the_schedule_falls_from_the_full_rate() {
        assert_eq!(rates(Schedule::Constant, 2, 4), [0.5, 1.0, 1.0, 1.0]);
        assert_eq!(rates(Schedule::Linear, 2, 6), [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]);
        let cosine = rates(Schedule::Cosine, 0, 4);
        assert_eq!(cosine[0], 1.0);
        assert!((cosine[2] - 0.5).abs() < 1e-12);
        assert!(cosine[3] > 0.0, "the last step still moves");
    }

    #[test]
    fn a_warm_up_longer_than_the_run_never_reaches_the_full_rate() {
        assert_eq!(rates(Schedule::Cosine, 4, 2), [0.25, 0.5]);
    }
}
