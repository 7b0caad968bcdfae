//! What is told of a step that sampled, by TRL's names where it has them. Padding is in none of the means.

use data::{
    config::{Method, RunConfig},
    metrics::{CRITIC_GRADIENT_NORM, GRADIENT_NORM, LOSS},
};

use crate::{
    loss::TextTerms,
    rlhf::{
        advantages::spread,
        loss::Moved,
        rollout::{Answer, Rollout, Whole},
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
    /// `loss` and its parts with the gradients they gave, means over the updates. While the critic alone learns there is no
    /// loss of the policy to tell.
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

/// All but what every step tells. `episode`: answers sampled so far, those of this step counted.
pub fn metrics(config: &RunConfig, rollout: &Rollout, updates: &Updates, episode: u64) -> Vec<(String, f64)> {
    let count = rollout.answers().count().max(1) as f64;
    let mean = |of: &dyn Fn(&Answer) -> f64| rollout.answers().map(of).sum::<f64>() / count;
    let scores: Vec<f64> = rollout.answers().map(|answer| answer.score).collect();
    let (kl, score) = (mean(&Answer::kl), mean(&|answer| answer.score));
    let penalty = if config.objective.kind == Method::Grpo { 0.0 } else { -config.kl_coef() * kl };
    let ended = rollout.answers().filter(|answer| answer.ended).count() as f64;
    let groups = rollout.groups.len().max(1) as f64;
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
        ("val/num_eos_tokens", ended),
        ("rollout/cut_share", 1.0 - ended / count),
        ("rollout/seconds", rollout.whole.as_secs_f64()),
        ("rollout/tokens_per_s", rollout.tokens() as f64 / rollout.sampling.as_secs_f64().max(1e-9)),
        ("frac_reward_zero_std", alike.count() as f64 / groups),
        ("episode", episode as f64),
    ];
    let whole = rollout.answers().map(|answer| answer.whole).collect::<Option<Vec<Whole>>>();
    if let Some(whole) = whole.filter(|whole| !whole.is_empty()) {
        let sum = |of: fn(&Whole) -> f64| whole.iter().map(of).sum::<f64>();
        metrics.extend([
            ("objective/kl_full", sum(|whole| whole.kl) / count),
            ("policy/entropy_avg", sum(|whole| whole.entropy) / rollout.tokens().max(1) as f64),
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
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
