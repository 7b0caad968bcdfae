//! One pair through the objective: value, gradient, and what the window shows about it.

use data::config::Margin;

use super::{ASLEEP, Against, Objective, PairLogProbs, PairTerm, logistic::sigmoid};

impl Objective {
    /// Loss, gradient and measurements of one pair. The step's loss is the mean over its pairs: see
    /// [`PairTerm::coefficients`].
    pub fn evaluate(&self, pair: &PairLogProbs) -> PairTerm {
        let margin = pair.margin(self.margin());
        let weight = self.weight(pair);
        let c = pair.certainty;
        let loss = weight * (c * self.loss_at(margin) + (1.0 - c) * self.loss_at(-margin));
        // d/dm ℓ(−m) = −ℓ'(−m)
        let slope = weight * (c * self.slope_at(margin) - (1.0 - c) * self.slope_at(-margin));
        self.term(pair, margin, loss, slope)
    }

    /// ℓ(m): the loss of a certain, unweighted label at this margin.
    pub fn loss_at(&self, margin: f64) -> f64 {
        self.method().loss_at(margin)
    }

    /// |∂ℓ/∂m| of a certain, unweighted label at this margin.
    pub fn push_at(&self, margin: f64) -> f64 {
        self.slope_at(margin).abs()
    }

    /// A certain label at this margin is asleep: see [`ASLEEP`].
    pub fn asleep_at(&self, margin: f64) -> bool {
        self.push_at(margin) < ASLEEP * self.largest_push()
    }

    /// What [`ASLEEP`] is a share of.
    pub(super) fn largest_push(&self) -> f64 {
        self.method().largest_push()
    }

    pub fn margin(&self) -> Margin {
        self.method().margin()
    }

    /// β of h = β·m and of the reported rewards.
    pub fn beta(&self) -> f64 {
        self.method().beta()
    }

    /// Where the margin is pulled to, for a method that has a target.
    pub fn target_margin(&self) -> Option<f64> {
        self.method().target_margin()
    }

    /// The constant that scales its push: its letter, its key in `run.toml`, and its value.
    pub fn constant(&self) -> (&'static str, &'static str, f64) {
        self.method().constant()
    }

    /// The loss that every unweighted pair must have at step 0, whatever its certainty. `None` for a
    /// reference-free margin, which does not start at 0.
    pub fn golden(&self) -> Option<f64> {
        self.margin().is_anchored().then(|| self.loss_at(0.0))
    }

    /// Refuses constants that have no meaning, with a sentence that says what to do.
    pub fn validate(&self) -> Result<(), String> {
        let beta = self.beta();
        if !(beta.is_finite() && beta > 0.0) {
            return Err(format!("beta must be a number above 0, found {beta}: it scales the margin (0.1 is usual)."));
        }
        self.method().validate()
    }

    /// ∂ℓ/∂m.
    fn slope_at(&self, margin: f64) -> f64 {
        self.method().slope_at(margin)
    }

    /// r/μ, for the method that has importance weights.
    fn weight(&self, pair: &PairLogProbs) -> f64 {
        self.label_weight(pair.reward, pair.behaviour)
    }

    /// The same of a label with the reward r that its labeller gave with probability μ.
    pub fn label_weight(&self, reward: f64, behaviour: f64) -> f64 {
        self.method().weight(reward, behaviour)
    }

    fn term(&self, pair: &PairLogProbs, margin: f64, loss: f64, slope: f64) -> PairTerm {
        let (per_chosen, per_rejected) = pair.slopes(self.margin());
        let beta = self.beta();
        PairTerm {
            loss,
            grad_chosen: slope * per_chosen,
            grad_rejected: -slope * per_rejected,
            margin,
            chosen_reward: beta * (pair.policy_chosen - pair.reference_chosen),
            rejected_reward: beta * (pair.policy_rejected - pair.reference_rejected),
            importance_weight: sigmoid(beta * margin) / pair.behaviour,
            push: slope.abs(),
            asleep: self.asleep_at(margin),
            certainty: pair.certainty,
            policy_chosen: pair.policy_chosen,
            policy_rejected: pair.policy_rejected,
            reference_chosen: pair.reference_chosen,
            reference_rejected: pair.reference_rejected,
            against: Against::one(beta * (pair.policy_rejected - pair.reference_rejected)),
            weighed: None,
        }
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
pub(super) mod tests;
