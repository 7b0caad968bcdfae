//! The margin where some tokens count more than others.
//!
//! m = Σ_t w_t·a_t of the chosen answer − the same of the rejected one, a = log π_θ − log π_ref; the mean kinds divide
//! by Σw. The weights know nothing of the objective and the objective nothing of where they come from, so they go with
//! every one: ∂L/∂(log-prob of a token) is the slope of its answer times w_t. Rewards and log-probs that are told stay
//! unweighted, so that runs compare.
//!
//! Source: arXiv 2410.04350 (TIS-DPO), 2505.19653 (TI-DPO).

use super::{Against, AnswerLogProbs, Label, Objective, PairTerm, Term, Weighed};

/// One answer, token by token.
#[derive(Debug, Clone, Copy)]
pub struct WeighedAnswer<'a> {
    /// log π_θ, and at step 0.
    pub policy: &'a [f32],
    pub reference: &'a [f32],
    pub weights: &'a [f32],
    /// How many answers of the pool it stands for; 1 where none was drawn.
    pub stands_for: f64,
}

impl WeighedAnswer<'_> {
    /// As its margin counts it.
    fn weighed(&self) -> AnswerLogProbs {
        let weigh = |log_probs: &[f32]| {
            let both = log_probs.iter().zip(self.weights);
            both.map(|(&log_prob, &weight)| f64::from(weight) * f64::from(log_prob)).sum::<f64>()
        };
        AnswerLogProbs {
            policy: weigh(self.policy),
            reference: weigh(self.reference),
            tokens: self.weights.iter().map(|&weight| f64::from(weight)).sum(),
            stands_for: self.stands_for,
        }
    }

    /// As it is told.
    fn plain(&self) -> AnswerLogProbs {
        let sum = |log_probs: &[f32]| log_probs.iter().map(|&log_prob| f64::from(log_prob)).sum::<f64>();
        AnswerLogProbs {
            policy: sum(self.policy),
            reference: sum(self.reference),
            tokens: self.policy.len() as f64,
            stands_for: self.stands_for,
        }
    }
}

impl Objective {
    /// [`Objective::evaluate_against`] of answers whose tokens have weights. Its slopes are those of the weighted sums:
    /// a token's is its answer's times its weight.
    pub fn evaluate_weighed(&self, label: Label, chosen: WeighedAnswer<'_>, rejected: &[WeighedAnswer<'_>]) -> Term {
        let weighed: Vec<AnswerLogProbs> = rejected.iter().map(WeighedAnswer::weighed).collect();
        let Term { pair, slopes } = self.evaluate_against(label, chosen.weighed(), &weighed);
        let plain: Vec<AnswerLogProbs> = rejected.iter().map(WeighedAnswer::plain).collect();
        let all = std::iter::once(&chosen).chain(rejected).map(|answer| answer.weights);
        let told = Weighed::of(all, pair.chosen_reward - pair.against.best_reward);
        Term { pair: pair.told_of(self.beta(), chosen.plain(), &plain, told), slopes }
    }
}

impl PairTerm {
    /// The same with the rewards and log-probs of these answers.
    fn told_of(self, beta: f64, chosen: AnswerLogProbs, rejected: &[AnswerLogProbs], weighed: Weighed) -> Self {
        let reward = |answer: &AnswerLogProbs| beta * (answer.policy - answer.reference);
        let count = rejected.len() as f64;
        let mean = |value: &dyn Fn(&AnswerLogProbs) -> f64| rejected.iter().map(value).sum::<f64>() / count;
        let best_reward = rejected.iter().map(reward).fold(f64::NEG_INFINITY, f64::max);
        Self {
            chosen_reward: reward(&chosen),
            rejected_reward: mean(&reward),
            policy_chosen: chosen.policy,
            policy_rejected: mean(&|answer| answer.policy),
            reference_chosen: chosen.reference,
            reference_rejected: mean(&|answer| answer.reference),
            against: Against { best_reward, ..self.against },
            weighed: Some(weighed),
            ..self
        }
    }
}

impl Weighed {
    /// Of the weights of the chosen answer, then of the others.
    fn of<'a>(answers: impl Iterator<Item = &'a [f32]> + Clone, reward_margin: f64) -> Self {
        let all = || answers.clone().flatten().map(|&weight| f64::from(weight));
        let chosen = answers.clone().next().unwrap_or_default();
        Self {
            tokens: all().count() as f64,
            sum: all().sum(),
            squares: all().map(|weight| weight * weight).sum(),
            chosen_top: heaviest_tenth(chosen),
            reward_margin,
        }
    }
}

/// Share of the weight that the heaviest tenth of the tokens has, at least one token; 0 where nothing has a weight.
fn heaviest_tenth(weights: &[f32]) -> f64 {
    let mut sorted: Vec<f64> = weights.iter().map(|&weight| f64::from(weight)).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (all, top) = (sorted.iter().sum::<f64>(), sorted.len().div_ceil(10));
    if all > 0.0 { sorted[..top].iter().sum::<f64>() / all } else { 0.0 }
}

#[cfg(test)]
#[path = "weighed_tests.rs"]
mod tests;
