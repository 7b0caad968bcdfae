//! One pair through the objective: value, gradient, and what the window shows about it.

use data::config::Margin;

use super::{ASLEEP, Against, Objective, PairLogProbs, PairTerm, Smoothing, dpo, ipo, logistic::sigmoid, mpo};

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

    /// The same term with its gradient taken as E[ρ·r·∇ log π^p], ρ detached: the form the MPO paper derives.
    ///
    /// Equal to [`Objective::evaluate`] for MPO up to rounding. DPO and IPO have no such form and give their own.
    pub fn policy_gradient_form(&self, pair: &PairLogProbs) -> PairTerm {
        match *self {
            Self::Mpo { beta, .. } => {
                let term = self.evaluate(pair);
                let c = pair.certainty;
                // The two actions, "chosen is better" and "rejected is better", each with its own ρ and score.
                let agrees = mpo::policy_gradient_slope(beta, term.margin);
                let differs = -mpo::policy_gradient_slope(beta, -term.margin);
                let slope = self.weight(pair) * (c * agrees + (1.0 - c) * differs);
                self.term(pair, term.margin, term.loss, slope)
            }
            Self::Dpo { .. } | Self::Ipo { .. } => self.evaluate(pair),
        }
    }

    /// ℓ(m): the loss of a certain, unweighted label at this margin.
    pub fn loss_at(&self, margin: f64) -> f64 {
        match *self {
            Self::Mpo { beta, .. } => mpo::loss(beta, margin),
            Self::Dpo { beta, smoothing, .. } => dpo::loss(beta, smoothing, margin),
            Self::Ipo { tau, .. } => ipo::loss(tau, margin),
        }
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
        match *self {
            Self::Mpo { beta, .. } => mpo::largest_push(beta),
            Self::Dpo { beta, smoothing, .. } => dpo::largest_push(beta, smoothing),
            Self::Ipo { tau, .. } => ipo::push_at_start(tau),
        }
    }

    pub fn margin(&self) -> Margin {
        match *self {
            Self::Mpo { margin, .. } | Self::Dpo { margin, .. } | Self::Ipo { margin, .. } => margin,
        }
    }

    /// β of h = β·m and of the reported rewards.
    pub fn beta(&self) -> f64 {
        match *self {
            Self::Mpo { beta, .. } | Self::Dpo { beta, .. } | Self::Ipo { beta, .. } => beta,
        }
    }

    /// Where IPO pulls the margin to; the others have no target.
    pub fn target_margin(&self) -> Option<f64> {
        match *self {
            Self::Ipo { tau, .. } => Some(ipo::target(tau)),
            Self::Mpo { .. } | Self::Dpo { .. } => None,
        }
    }

    /// The loss that every unweighted pair must have at step 0, whatever its certainty. `None` for a
    /// reference-free margin, which does not start at 0.
    pub fn golden(&self) -> Option<f64> {
        self.margin().is_anchored().then(|| self.loss_at(0.0))
    }

    /// [`Objective::golden`] for this pair's own weights: MPO −0.5·r/μ, DPO ln 2, IPO 1/(4τ²).
    pub fn golden_for(&self, pair: &PairLogProbs) -> Option<f64> {
        self.golden().map(|golden| golden * self.weight(pair))
    }

    /// Refuses constants that have no meaning, with a sentence that says what to do.
    pub fn validate(&self) -> Result<(), String> {
        let beta = self.beta();
        if !(beta.is_finite() && beta > 0.0) {
            return Err(format!("beta must be a number above 0, found {beta}: it scales the margin (0.1 is usual)."));
        }
        match *self {
            Self::Mpo { .. } => Ok(()),
            Self::Dpo { margin, smoothing, .. } => {
                anchored("DPO", margin)?;
                match smoothing {
                    Smoothing::None => Ok(()),
                    Smoothing::Conservative(e) | Smoothing::Robust(e) => {
                        if (0.0..0.5).contains(&e) {
                            Ok(())
                        } else {
                            Err(format!(
                                "label_smoothing must be at least 0 and below 0.5, found {e}: it is the probability that a label is flipped."
                            ))
                        }
                    }
                }
            }
            Self::Ipo { tau, margin, .. } => {
                anchored("IPO", margin)?;
                if tau.is_finite() && tau > 0.0 {
                    Ok(())
                } else {
                    Err(format!("tau must be a number above 0, found {tau}: the target margin is 1/(2·tau)."))
                }
            }
        }
    }

    /// ∂ℓ/∂m.
    fn slope_at(&self, margin: f64) -> f64 {
        match *self {
            Self::Mpo { beta, .. } => mpo::slope(beta, margin),
            Self::Dpo { beta, smoothing, .. } => dpo::slope(beta, smoothing, margin),
            Self::Ipo { tau, .. } => ipo::slope(tau, margin),
        }
    }

    /// r/μ, for the method that has importance weights.
    fn weight(&self, pair: &PairLogProbs) -> f64 {
        match self {
            Self::Mpo { .. } => pair.reward / pair.behaviour,
            Self::Dpo { .. } | Self::Ipo { .. } => 1.0,
        }
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

fn anchored(method: &str, margin: Margin) -> Result<(), String> {
    if margin.is_anchored() {
        Ok(())
    } else {
        Err(format!(
            "{method} is defined against a reference, so its margin is anchored-sum or anchored-mean, found {}. MPO can do without.",
            margin.name()
        ))
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
pub(super) mod tests;
