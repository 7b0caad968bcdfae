//! Under which other settings a setting has a say.

use super::{Method, Negatives, RunConfig, TokenWeights};

/// Under which others a setting has a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    Method(Method),
    /// A policy is taught, not a reward model.
    Policy,
    /// A policy is taught from pairs alone.
    Preference,
    /// Answers are sampled between updates.
    Sampling,
    /// A method that may take several rejected answers of a pair at once.
    Softmax,
    /// It takes several.
    Several,
    /// Tokens have weights of their own.
    Weighed,
    /// Of this kind.
    Weights(TokenWeights),
    /// TI-DPO's triplet term has a weight.
    Triplet,
    /// DPO with label smoothing.
    Smoothed,
    /// An adapter is trained, not all weights.
    Adapter,
    /// No number of steps is set.
    ByEpochs,
    /// The drift has a limit.
    Limited,
}

impl When {
    pub fn holds(self, config: &RunConfig) -> bool {
        let objective = &config.objective;
        match self {
            Self::Always => true,
            Self::Method(method) => objective.kind == method,
            Self::Policy => objective.kind != Method::Reward,
            Self::Preference => Method::PREFERENCE.contains(&objective.kind),
            Self::Sampling => objective.kind.samples(),
            Self::Softmax => objective.kind.takes_several(),
            Self::Several => objective.kind.takes_several() && objective.negatives != Negatives::First,
            Self::Weighed => Self::Preference.holds(config) && objective.token_weights != TokenWeights::None,
            Self::Weights(kind) => Self::Preference.holds(config) && objective.token_weights == kind,
            Self::Triplet => Self::Weights(TokenWeights::Ti).holds(config) && config.ti.triplet_weight > 0.0,
            Self::Smoothed => objective.kind == Method::Dpo && objective.label_smoothing != 0.0,
            Self::Adapter => !config.lora.full,
            Self::ByEpochs => config.train.steps.is_none(),
            Self::Limited => config.train.kl_limit.is_some(),
        }
    }
}
