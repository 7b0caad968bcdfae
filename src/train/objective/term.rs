//! What a pair contributes to a step, and what is told of it.

/// What one pair contributes to a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairTerm {
    pub loss: f64,
    /// ∂loss/∂(Σ log-probs of chosen), already divided by length for mean margins.
    pub grad_chosen: f64,
    /// ∂loss/∂(Σ log-probs of rejected).
    pub grad_rejected: f64,
    /// m_θ of the objective's own margin kind; of several rejected answers the smallest.
    pub margin: f64,
    /// Rewards with an anchor, β·(s_θ − s_θ0), for every method (TRL's `rewards/*`).
    pub chosen_reward: f64,
    pub rejected_reward: f64,
    /// ρ = σ(h)/μ, h = β·m.
    pub importance_weight: f64,
    /// |∂loss/∂m|, what this pair pulls with.
    pub push: f64,
    /// The push of a certain label at this margin is below [`super::ASLEEP`] of the most this objective can push.
    pub asleep: bool,
    /// c, as given: ties have no right answer to be accurate about.
    pub certainty: f64,
    /// Σ log π_θ, as given.
    pub policy_chosen: f64,
    /// Of several rejected answers the mean, as their reward above.
    pub policy_rejected: f64,
    /// The same at step 0.
    pub reference_chosen: f64,
    pub reference_rejected: f64,
    pub against: Against,
    /// Where tokens have weights of their own: the margin, the loss and the push are of those, all else is not.
    pub weighed: Option<Weighed>,
}

/// The rejected answers of a term.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Against {
    pub count: f64,
    /// (Σp_i)²/Σp_i², between 1 and `count`: how many of them have a say.
    pub effective: f64,
    /// Of the p_i among themselves, nats: log `count` where they are alike.
    pub entropy: f64,
    /// The highest of their rewards.
    pub best_reward: f64,
}

impl Against {
    pub(super) fn one(reward: f64) -> Self {
        Self { count: 1.0, effective: 1.0, entropy: 0.0, best_reward: reward }
    }
}

/// What a pair's token weights come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighed {
    /// Tokens of all its answers, the sum of their weights, and of the squares of these.
    pub tokens: f64,
    pub sum: f64,
    pub squares: f64,
    /// Share of the chosen answer's weight that the heaviest tenth of its tokens has.
    pub chosen_top: f64,
    /// β times the weighted change of the chosen answer − that of the best rejected one.
    pub reward_margin: f64,
}
