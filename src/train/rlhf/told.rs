//! What is told of a step that sampled, by TRL's names where it has them. Padding is in none of the means.

use data::{
    config::{Method, RunConfig},
    metrics::{CRITIC_GRADIENT_NORM, GRADIENT_NORM, LOSS, STEP_PAIRS},
};

use crate::{
    loss::TextTerms,
    rlhf::{
        advantages::spread,
        loss::Moved,
        rollout::{Rollout, RolloutAnswer, Whole},
    },
};

/// The updates of a step: the policy's, with the texts beside them, and the critic's.
#[derive(Default)]
pub struct Updates {
    pub policy: Vec<Moved>,
    pub texts: Vec<TextTerms>,
    pub critic: Vec<Moved>,
    /// The longest gradient of either, before clipping.
    pub policy_norm: f64,
    pub critic_norm: f64,
    /// Tokens computed.
    pub tokens: usize,
}

impl Updates {
    /// `loss` and its parts with the gradients they gave, means over the updates. While the critic alone learns there
    /// is no loss of the policy to tell.
    pub fn losses(&self, config: &RunConfig) -> Vec<(String, f64)> {
        let mut told = Vec::new();
        if !self.policy.is_empty() {
            let texts = TextTerms::mean(&self.texts);
            let mut loss = over(&self.policy, Moved::loss) + texts.iter().map(|(_, term, _)| term).sum::<f64>();
            if !self.critic.is_empty() {
                loss += config.ppo.value_coef * over(&self.critic, Moved::loss);
            }
            told.push((LOSS.to_owned(), loss));
            told.extend(texts.into_iter().map(|(name, _, loss)| (name, loss)));
            told.push((GRADIENT_NORM.to_owned(), self.policy_norm));
        }
        if !self.critic.is_empty() {
            told.push((CRITIC_GRADIENT_NORM.to_owned(), self.critic_norm));
        }
        told
    }
}

fn over(updates: &[Moved], of: fn(&Moved) -> f64) -> f64 {
    updates.iter().map(of).sum::<f64>() / updates.len().max(1) as f64
}

/// What was sampled since the run began, this step counted.
pub struct SoFar {
    pub answers: u64,
    /// Of answers and their prompts, a prompt once with each answer.
    pub tokens: u64,
    /// Of training.
    pub secs: f64,
}

/// All but what every step tells.
pub fn metrics(config: &RunConfig, rollout: &Rollout, updates: &Updates, so_far: &SoFar) -> Vec<(String, f64)> {
    let count = rollout.answers().count().max(1) as f64;
    let mean = |of: &dyn Fn(&RolloutAnswer) -> f64| rollout.answers().map(of).sum::<f64>() / count;
    let scores: Vec<f64> = rollout.answers().map(|answer| answer.score).collect();
    let (kl, score) = (mean(&RolloutAnswer::kl), mean(&|answer| answer.score));
    let estimator = config.rlhf.kl_estimator;
    let penalty = match config.objective.kind {
        Method::Grpo => 0.0,
        _ => -config.kl_coef() * mean(&|answer| answer.kl_by(estimator)),
    };
    let ended = rollout.answers().filter(|answer| answer.ended).count() as f64;
    let groups = rollout.groups.len().max(1) as f64;
    let lengths = || rollout.answers().map(|answer| answer.old.len() as f64);
    let of_ended: f64 = rollout.answers().filter(|answer| answer.ended).map(|answer| answer.old.len() as f64).sum();
    let alike = rollout.groups.iter().filter(|group| {
        let mut scores = group.answers.iter().map(|answer| answer.score);
        let first = scores.next();
        scores.all(|score| Some(score) == first)
    });
    let mut metrics = vec![
        ("objective/scores", score),
        ("objective/rlhf_reward", score + penalty),
        ("objective/non_score_reward", penalty),
        ("objective/kl", kl),
        ("objective/entropy", mean(&|answer| -crate::measure::log_probs::sum(&answer.old))),
        ("reward/std", spread(&scores)),
        ("completions/mean_length", rollout.tokens() as f64 / count),
        ("completions/min_length", lengths().fold(f64::INFINITY, f64::min)),
        ("completions/max_length", lengths().fold(0.0, f64::max)),
        ("val/num_eos_tokens", ended),
        ("rollout/cut_share", 1.0 - ended / count),
        ("rollout/seconds", rollout.whole.as_secs_f64()),
        ("rollout/tokens_per_s", rollout.tokens() as f64 / rollout.sampling.as_secs_f64().max(1e-9)),
        ("frac_reward_zero_std", alike.count() as f64 / groups),
        ("episode", so_far.answers as f64),
        (STEP_PAIRS, rollout.groups.len() as f64),
    ];
    if ended > 0.0 {
        metrics.push(("completions/mean_terminated_length", of_ended / ended));
    }
    let whole = rollout.answers().map(|answer| answer.whole).collect::<Option<Vec<Whole>>>();
    if let Some(whole) = whole.filter(|whole| !whole.is_empty()) {
        let sum = |of: fn(&Whole) -> f64| whole.iter().map(of).sum::<f64>();
        metrics.extend([
            ("objective/kl_full", sum(|whole| whole.kl) / count),
            (ENTROPY, sum(|whole| whole.entropy) / rollout.tokens().max(1) as f64),
        ]);
    }
    if !updates.policy.is_empty() {
        let ratio = over(&updates.policy, Moved::ratio);
        let ratios: Vec<f64> = updates.policy.iter().map(Moved::ratio).collect();
        metrics.extend([
            ("loss/policy_avg", over(&updates.policy, Moved::loss)),
            ("policy/approxkl_avg", over(&updates.policy, Moved::approx_kl)),
            ("policy/clipfrac_avg", over(&updates.policy, Moved::clipped)),
            ("val/ratio", ratio),
            ("val/ratio_var", spread(&ratios).powi(2)),
        ]);
    }
    if !updates.critic.is_empty() {
        let slots = || rollout.answers().flat_map(|answer| answer.values.iter().zip(&answer.returns));
        let slot_count = slots().count().max(1) as f64;
        let returns: Vec<f64> = slots().map(|(_, target)| *target).collect();
        let errors: Vec<f64> = slots().map(|(value, target)| target - value).collect();
        let (of_errors, of_returns) = (spread(&errors).powi(2), spread(&returns).powi(2));
        metrics.extend([
            ("loss/value_avg", over(&updates.critic, Moved::loss)),
            ("val/clipfrac_avg", over(&updates.critic, Moved::clipped)),
            ("value/mean", slots().map(|(value, _)| *value).sum::<f64>() / slot_count),
            ("value/explained_variance", if of_returns > 0.0 { 1.0 - of_errors / of_returns } else { 0.0 }),
        ]);
    }
    if config.objective.kind == Method::Ppo {
        metrics.push(("eps", so_far.answers as f64 / so_far.secs.max(1e-9)));
    } else {
        let entropy = metrics.iter().find(|(name, _)| *name == ENTROPY).map(|(_, entropy)| ("entropy", *entropy));
        metrics.extend(entropy);
        metrics.extend(in_groups(config, rollout, updates, so_far));
    }
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

const ENTROPY: &str = "policy/entropy_avg";

/// By the names that TRL has where answers are compared within groups.
fn in_groups(config: &RunConfig, rollout: &Rollout, updates: &Updates, so_far: &SoFar) -> Vec<(&'static str, f64)> {
    let rewards: Vec<Vec<f64>> =
        rollout.groups.iter().map(|group| group.answers.iter().map(|answer| answer.reward(config)).collect()).collect();
    let count = rollout.answers().count().max(1) as f64;
    let cut = rollout.answers().filter(|answer| !answer.ended).count() as f64;
    let of_groups = rewards.iter().map(|rewards| spread(rewards)).sum::<f64>();
    let mut told = vec![
        ("reward", rewards.iter().flatten().sum::<f64>() / count),
        ("reward_std", of_groups / rewards.len().max(1) as f64),
        ("kl", rollout.answers().map(RolloutAnswer::kl).sum::<f64>() / rollout.tokens().max(1) as f64),
        ("completions/clipped_ratio", cut / count),
        ("num_tokens", so_far.tokens as f64),
    ];
    if !updates.policy.is_empty() {
        told.extend([
            ("clip_ratio/low_mean", over(&updates.policy, Moved::clipped_below)),
            ("clip_ratio/high_mean", over(&updates.policy, Moved::clipped_above)),
            ("clip_ratio/region_mean", over(&updates.policy, Moved::clipped)),
        ]);
    }
    told
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::Doc;

    use super::*;
    use crate::{loss::StepDoc, rlhf::rollout::RolloutGroup};

    fn answer(score: f64, kl: f32, tokens: usize, ended: bool) -> RolloutAnswer {
        let mut old = vec![-0.5; tokens];
        old[0] += kl;
        RolloutAnswer { score, old, reference: vec![-0.5; tokens], ended, ..RolloutAnswer::default() }
    }

    fn rollout() -> Rollout {
        let groups = [
            [answer(1.0, 0.5, 2, true), answer(0.0, 0.0, 4, false)],
            [answer(2.0, 0.0, 6, true), answer(2.0, 0.0, 4, false)],
        ];
        let group = |(place, answers): (usize, [RolloutAnswer; 2])| RolloutGroup {
            of: StepDoc::Pair(place),
            doc: Doc::new(vec![1], answers.iter().map(|answer| vec![2; answer.old.len()])),
            answers: answers.to_vec(),
        };
        let groups = groups.into_iter().enumerate().map(group).collect();
        Rollout { groups, sampling: Duration::ZERO, whole: Duration::ZERO }
    }

    #[test]
    fn what_is_told_has_trls_names_and_their_numbers() {
        let (rollout, so_far) = (rollout(), SoFar { answers: 30, tokens: 900, secs: 12.0 });
        let told = |kind, coef| {
            let mut config = RunConfig::default();
            (config.objective.kind, config.rlhf.kl_coef) = (kind, Some(coef));
            metrics(&config, &rollout, &Updates::default(), &so_far)
        };
        let of =
            |told: &[(String, f64)], name: &str| told.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        for (kind, coef, reward, std) in [
            (Method::Rloo, 0.4, 1.2, 0.8 / std::f64::consts::SQRT_2 / 2.0),
            (Method::Grpo, 0.4, 1.25, 1.0 / std::f64::consts::SQRT_2 / 2.0),
        ] {
            let told = told(kind, coef);
            for (name, value) in [
                ("pairs", 2.0),
                ("reward", reward),
                ("reward_std", std),
                ("kl", 0.5 / 16.0),
                ("completions/min_length", 2.0),
                ("completions/max_length", 6.0),
                ("completions/mean_terminated_length", 4.0),
                ("completions/clipped_ratio", 0.5),
                ("num_tokens", 900.0),
            ] {
                let got = of(&told, name).unwrap_or(f64::NAN);
                assert!((got - value).abs() < 1e-6, "{kind:?} {name}: {got} for {value}");
            }
            assert_eq!(of(&told, "eps"), None);
        }
        let ppo = told(Method::Ppo, 0.05);
        assert_eq!((of(&ppo, "eps"), of(&ppo, "pairs"), of(&ppo, "reward_std")), (Some(2.5), Some(2.0), None));
        for (name, _) in ppo.iter().chain(&told(Method::Grpo, 0.0)) {
            assert!(data::metrics::Metric::of(name).is_some(), "{name} stands in no table");
        }
    }
}
