//! From scores and log-probs to advantages.

use data::config::{KlEstimator, RewardAt};

use super::clipped::k3;

/// γ and λ of generalised advantage estimation (arXiv 1506.02438).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gae {
    pub gamma: f64,
    pub lambda: f64,
}

/// What a token of an answer adds to its KL, from log π and log π_ref.
pub fn kl_of(estimator: KlEstimator, policy: f64, reference: f64) -> f64 {
    match estimator {
        KlEstimator::K1 => policy - reference,
        KlEstimator::K3 => k3(policy, reference).loss,
    }
}

/// The KL in the rewards: how it is estimated, and what a nat of it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Penalty {
    pub estimator: KlEstimator,
    pub coef: f64,
}

/// Rewards of an answer's slots: the penalty of each token, and the score at the last one or in a slot behind it.
pub fn token_rewards(policy: &[f64], reference: &[f64], penalty: Penalty, score: f64, at: RewardAt) -> Vec<f64> {
    let tokens = policy.iter().zip(reference);
    let mut rewards: Vec<f64> = tokens.map(|(p, q)| -penalty.coef * kl_of(penalty.estimator, *p, *q)).collect();
    match at {
        RewardAt::AfterEnd => rewards.push(score),
        RewardAt::LastToken => {
            if let Some(last) = rewards.last_mut() {
                *last += score;
            }
        }
    }
    rewards
}

impl Gae {
    /// Advantages of an answer's slots from their rewards and the values before each; behind the last slot the value is
    /// 0.
    pub fn advantages(self, rewards: &[f64], values: &[f64]) -> Vec<f64> {
        let mut advantages = vec![0.0; rewards.len()];
        let (mut later, mut next) = (0.0, 0.0);
        for (index, (reward, value)) in rewards.iter().zip(values).enumerate().rev() {
            let delta = reward + self.gamma * next - value;
            later = delta + self.gamma * self.lambda * later;
            advantages[index] = later;
            next = *value;
        }
        advantages
    }
}

/// Mean 0 and variance 1 (with n − 1) over all of them.
pub fn whiten(advantages: &mut [Vec<f64>]) {
    let count = advantages.iter().map(Vec::len).sum::<usize>();
    if count < 2 {
        return;
    }
    let mean = advantages.iter().flatten().sum::<f64>() / count as f64;
    let squares = advantages.iter().flatten().map(|a| (a - mean).powi(2)).sum::<f64>();
    let scale = 1.0 / (squares / (count - 1) as f64 + 1e-8).sqrt();
    for advantage in advantages.iter_mut().flatten() {
        *advantage = (*advantage - mean) * scale;
    }
}

/// RLOO: each answer's reward less the mean of the others to its prompt.
pub fn leave_one_out(rewards: &[f64]) -> Vec<f64> {
    let (count, sum) = (rewards.len() as f64, rewards.iter().sum::<f64>());
    rewards.iter().map(|reward| reward - (sum - reward) / (count - 1.0).max(1.0)).collect()
}

/// GRPO: each answer's score in standard deviations (with n − 1) of its group.
pub fn in_group(scores: &[f64]) -> Vec<f64> {
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let std = spread(scores);
    scores.iter().map(|score| (score - mean) / (std + 1e-4)).collect()
}

/// Standard deviation with n − 1.
pub fn spread(values: &[f64]) -> f64 {
    let count = values.len();
    if count < 2 {
        return 0.0;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1) as f64).sqrt()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn near(got: &[f64], want: &[f64]) {
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 2e-6, "{got:?} for {want:?}");
        }
    }

    const GAE: Gae = Gae { gamma: 1.0, lambda: 0.95 };
    const K1: Penalty = Penalty { estimator: KlEstimator::K1, coef: 0.05 };
    /// log π_old, log π_ref, values, the value at the end, score: of two answers.
    pub const ONE: (&[f64], &[f64], &[f64], f64, f64) =
        (&[-1.0, -0.5, -0.2], &[-1.1, -0.7, -0.2], &[0.1, 0.2, 0.3], 0.4, 1.0);
    pub const TWO: (&[f64], &[f64], &[f64], f64, f64) =
        (&[-0.8, -1.2, -0.4, -0.3], &[-0.6, -1.0, -0.5, -0.4], &[0.0, 0.1, -0.1, 0.2], f64::NAN, -0.5);

    /// TRL gives the widest answer of a batch its score on its last token whatever the mode.
    pub fn raw(at: RewardAt) -> [Vec<f64>; 2] {
        let one = token_rewards(ONE.0, ONE.1, K1, ONE.4, at);
        let two = token_rewards(TWO.0, TWO.1, K1, TWO.4, RewardAt::LastToken);
        let values: Vec<f64> = ONE.2.iter().copied().chain([ONE.3]).collect();
        [GAE.advantages(&one, &values[..one.len()]), GAE.advantages(&two, TWO.2)]
    }

    /// Over the tokens, an end slot left out.
    pub fn whitened(at: RewardAt) -> Vec<Vec<f64>> {
        let [one, two] = raw(at);
        let mut both = vec![one[..3].to_vec(), two];
        whiten(&mut both);
        both
    }

    #[test]
    fn a_lone_score_decays_backwards() {
        let reward = |at| token_rewards(&[0.0; 3], &[0.0; 3], K1, 1.0, at);
        let of = |rewards: &[f64]| GAE.advantages(rewards, &vec![0.0; rewards.len()]);
        near(&of(&reward(RewardAt::LastToken)), &[0.9025, 0.95, 1.0]);
        near(&of(&reward(RewardAt::AfterEnd)), &[0.857375, 0.9025, 0.95, 1.0]);
    }

    #[test]
    fn rewards_and_advantages_are_the_golden_ones() {
        near(&token_rewards(ONE.0, ONE.1, K1, ONE.4, RewardAt::LastToken), &[-0.005, -0.01, 1.0]);
        near(&token_rewards(ONE.0, ONE.1, K1, ONE.4, RewardAt::AfterEnd), &[-0.005, -0.01, 0.0, 1.0]);
        near(&token_rewards(TWO.0, TWO.1, K1, TWO.4, RewardAt::LastToken), &[0.01, 0.01, -0.005, -0.505]);
        // k = e^(q−ℓ) − 1 − (q−ℓ) with q − ℓ −0.1, −0.2, 0 and 0.2, 0.2, −0.1, −0.1.
        let k3 = Penalty { estimator: KlEstimator::K3, ..K1 };
        let [down, up] = [0.004837, 0.021403];
        near(&token_rewards(ONE.0, ONE.1, k3, ONE.4, RewardAt::LastToken), &[-0.05 * down, -0.05 * 0.018731, 1.0]);
        near(
            &token_rewards(TWO.0, TWO.1, k3, TWO.4, RewardAt::LastToken),
            &[-0.05 * up, -0.05 * up, -0.05 * down, -0.05 * down - 0.5],
        );
        let two = [-0.408712, -0.546013, -0.374750, -0.705000];
        let [first, second] = raw(RewardAt::LastToken);
        near(&first, &[0.812250, 0.755000, 0.700000]);
        near(&second, &two);
        let [first, second] = raw(RewardAt::AfterEnd);
        near(&first, &[0.785175, 0.726500, 0.670000, 0.600000]);
        near(&second, &two);
        let white = whitened(RewardAt::LastToken);
        near(&white[0], &[1.137358, 1.053771, 0.973470]);
        near(&white[1], &[-0.645283, -0.845746, -0.595698, -1.077872]);
        let white = whitened(RewardAt::AfterEnd);
        near(&white[0], &[1.140656, 1.053070, 0.968732]);
        near(&white[1], &[-0.641482, -0.846433, -0.590786, -1.083757]);
    }

    #[test]
    fn groups_compare_their_answers_with_each_other() {
        let scores = [1.0, 0.0, 0.5, -0.5];
        near(&leave_one_out(&scores), &[1.0, -0.333333, 0.333333, -1.0]);
        near(&[spread(&scores)], &[0.645497]);
        near(&in_group(&scores), &[1.161715, -0.387238, 0.387238, -1.161715]);
        let with_kl: Vec<f64> = scores.iter().zip([0.4, -0.1, 0.2, 0.0]).map(|(s, k)| s - 0.05 * k).collect();
        near(&leave_one_out(&with_kl), &[0.981667, -0.318333, 0.328333, -0.991667]);
        // A constant teaches nothing, and two answers pull against each other.
        near(&leave_one_out(&[3.0; 4]), &[0.0; 4]);
        near(&in_group(&[3.0; 4]), &[0.0; 4]);
        near(&leave_one_out(&[2.0, 0.5]), &[1.5, -1.5]);
        let shifted: Vec<f64> = scores.iter().map(|score| score + 9.0).collect();
        near(&leave_one_out(&shifted), &leave_one_out(&scores));
        assert!(leave_one_out(&with_kl).iter().sum::<f64>().abs() < 1e-12);
    }
}
