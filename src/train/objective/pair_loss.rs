//! What a method is: ℓ(m) of a margin with its slope, what it needs, and how it is told. Each is a file beside this
//! one.

use data::config::{Margin, ObjectiveConfig};

/// A preference loss with its constants.
pub trait PairLoss {
    fn margin(&self) -> Margin;

    /// β of h = β·m and of the reported rewards.
    fn beta(&self) -> f64;

    /// ℓ(m): the loss of a certain, unweighted label at this margin.
    fn loss_at(&self, margin: f64) -> f64;

    /// ∂ℓ/∂m.
    fn slope_at(&self, margin: f64) -> f64;

    /// What [`super::ASLEEP`] is a share of.
    fn largest_push(&self) -> f64;

    /// Where it pulls the margin to, if it has a target.
    fn target_margin(&self) -> Option<f64> {
        None
    }

    /// What the reward r and the labeller's probability μ of a pair multiply its loss with: r/μ where the method has
    /// importance weights.
    fn weight(&self, _reward: f64, _behaviour: f64) -> f64 {
        1.0
    }

    /// Its form against several rejected answers; absent where it knows one.
    fn several(&self) -> Option<Softmax> {
        None
    }

    /// What the loss of a certain label weighs "the chosen one is best" and "another is" with: label smoothing.
    fn odds(&self) -> (f64, f64) {
        (1.0, 0.0)
    }

    /// Refuses constants that have no meaning, beside β, with a sentence that says what to do.
    fn validate(&self) -> Result<(), String>;

    /// Changes the settings of this method so that a pair which is pushed with `now` at step 0 is pushed with `push`.
    fn rescale(&self, config: &mut ObjectiveConfig, now: f64, push: f64);

    /// What [`Self::rescale`] changes: its letter, its key in `run.toml`, and its value.
    fn constant(&self) -> (&'static str, &'static str, f64);

    /// Its name with its variant, never ambiguous.
    fn name(&self) -> String;

    /// The loss of one certain, unweighted pair in symbols.
    fn loss_formula(&self) -> &'static str;

    /// The same against several rejected answers, mᵢ being the margin to each.
    fn several_formula(&self) -> &'static str {
        self.loss_formula()
    }

    /// What a pair pulls with, |∂L/∂m|, in symbols.
    fn push_formula(&self) -> &'static str;

    /// One plain sentence: what it does with a pair.
    fn in_words(&self) -> &'static str;
}

/// What of the softmax over all answers of a prompt the loss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// −p of the chosen answer.
    Probability,
    /// −log p of it.
    LogProbability,
}

/// Refuses a margin without a reference for a method that is defined against one.
pub fn anchored(method: &str, margin: Margin) -> Result<(), String> {
    if margin.is_anchored() {
        Ok(())
    } else {
        Err(format!(
            "{method} is defined against a reference, so its margin is anchored-sum or anchored-mean, found {}. MPO can do without.",
            margin.name()
        ))
    }
}
