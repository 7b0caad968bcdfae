//! The learning rate of each step.

use data::config::{Method, OptimizerConfig, RunConfig, Schedule};

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

/// Says so where the warm-up leaves no step at the full rate, or few.
pub fn warm_up_remark(config: &OptimizerConfig, total: u64) -> Option<String> {
    let warmup = config.warmup_steps;
    let text = if warmup >= total {
        format!(
            "The warm-up of {warmup} steps is as long as the run of {total}, so the full learning rate is never reached; a \
             smaller optimizer.warmup_steps reaches it"
        )
    } else if 2 * warmup > total {
        format!(
            "The warm-up of {warmup} steps is more than half of the run of {total}, so most of it learns slowly; a smaller \
             optimizer.warmup_steps leaves more steps at the full rate"
        )
    } else {
        return None;
    };
    Some(text)
}

/// The same of PPO's critic, which the policy waits for.
pub fn critic_remark(config: &RunConfig, total: u64) -> Option<String> {
    let warmup = config.ppo.critic_warmup;
    (config.objective.kind == Method::Ppo && warmup >= total).then(|| {
        format!(
            "The critic learns alone for {warmup} steps (ppo.critic_warmup), as long as the run of {total}: the policy never \
             moves. A smaller one, or more steps, lets it"
        )
    })
}

/// What becomes of the learning rate when a run of `before` steps, of which `done` are done, goes on as one of `total`
/// steps: nothing to say where its next step takes what it would have taken.
///
/// The curve is that of the longer run, as if it had been planned so: one that began at the present rate would begin
/// where the shorter run's curve had ended, near 0, and hardly move the weights.
pub fn bend(config: &OptimizerConfig, scale: f64, done: u64, (before, total): (u64, u64)) -> Option<String> {
    if before == 0 || before == total {
        return None;
    }
    let next = scale * learning_rate(config, done + 1, total);
    let (was, which) = if done < before {
        (scale * learning_rate(config, done + 1, before), "instead of")
    } else {
        (scale * learning_rate(config, done, before), "after")
    };
    if (next - was).abs() <= 1e-9 * next.abs().max(was.abs()) {
        return None;
    }
    let curve = match config.schedule {
        Schedule::Constant => "warm-up",
        Schedule::Linear => "straight line",
        Schedule::Cosine => "cosine",
    };
    Some(format!(
        "The run has {total} steps now, not {before}, and from here on its learning rate follows the {curve} of a run of {total}: \
         step {} takes {next:.3e} {which} {was:.3e}",
        done + 1
    ))
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

    #[test]
    fn dl5_a_longer_run_says_how_its_rate_goes_on() {
        let config = OptimizerConfig { learning_rate: 1.0, warmup_steps: 0, ..OptimizerConfig::default() };
        // Ended on the last step of its curve: the longer one is higher there.
        let said = bend(&config, 1.0, 5, (5, 10)).unwrap();
        assert!(said.contains("step 6 takes 5.000e-1 after 9.549e-2"), "{said}");
        // Stopped on the way.
        let said = bend(&config, 0.5, 2, (4, 8)).unwrap();
        assert!(said.contains("step 3 takes 4.268e-1 instead of 2.500e-1"), "{said}");
        assert_eq!(bend(&config, 1.0, 2, (4, 4)), None);
        assert_eq!(bend(&config, 1.0, 0, (0, 4)), None, "a new run");
        let constant = OptimizerConfig { schedule: Schedule::Constant, ..config };
        assert_eq!(bend(&constant, 1.0, 5, (5, 10)), None, "nothing bends");
    }

    #[test]
    fn dl6_a_warm_up_as_long_as_the_run_is_told() {
        let config = OptimizerConfig { warmup_steps: 5, ..OptimizerConfig::default() };
        assert!(warm_up_remark(&config, 5).unwrap().contains("warm-up of 5 steps"));
        assert!(warm_up_remark(&config, 6).unwrap().contains("more than half of the run of 6"));
        assert_eq!(warm_up_remark(&config, 10), None);
    }
}
