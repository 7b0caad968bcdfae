//! Token importance: how much each token of an answer counts in the margin.
//!
//! A kind of weights is a file that implements [`Weighing`], and an arm of [`kind_of`]. `tis`: from the contrast of two
//! models, pure. `ti`: from gradients and places, pure. `contrast`: the two models, fitted once and kept in the project
//! by content; `fitting`: how; `unfinished`: what a stopped fit leaves. `weigher`: the weights of a run's pairs as it
//! meets them. `training`: the same as part of a run. `anchored`: the answers that TI-DPO's triplet term samples.
//! `seen`: the weights of given answers, for whoever looks at them.
//!
//! Source: arXiv 2410.04350 (TIS-DPO) with its released code, 2505.19653 (TI-DPO).

pub mod anchored;
pub mod contrast;
mod fitting;
pub mod seen;
mod ti;
mod tis;
mod training;
mod unfinished;
pub mod weigher;

pub use weigher::Weigher;

use data::{
    PairSide,
    config::{RunConfig, TokenWeights},
};
use model::{AdapterShape, Policy};

use crate::{dataset::inputs, measure::reference::Reference};

/// A kind of token weights, by its settings: what they are made of, what they are, what they cost.
pub trait Weighing {
    fn reads(&self) -> TokenReads;

    /// Weighing of an answer's tokens from what was read of them. `ends`: its last token ends the turn.
    fn of_answer(&self, read: &[f32], side: PairSide, ends: bool) -> Vec<f32>;

    /// What a token's weight is, e.g. "ω = 0.7 to 1.3 by rank of ±δ in the answer".
    fn formula(&self) -> String;

    /// What they cost, in a sentence. `steps`: of the run, where that is known.
    fn cost(&self, steps: Option<u64>) -> String;

    /// Tokens that are computed for the weights alone, each forward and backward; a forward alone is half of that.
    fn tokens(&self, run: &Planned) -> f64;
}

/// What is read of tokens to weigh them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenReads {
    /// log π⁺ − log π⁻ of a contrast pair.
    Contrasts,
    /// Gradients under the model that the run started from.
    StartGradients,
    /// The same under the weights of the moment, at each visit of a pair.
    Gradients,
}

/// A run that may come, as far as the time of its weights hangs on it.
pub struct Planned {
    /// To train on and held out.
    pub pairs: usize,
    /// Tokens of a pair, on the mean.
    pub of_a_pair: f64,
    /// Pairs that a step meets.
    pub per_step: usize,
    pub steps: u64,
    /// The project has the contrast pair that it would fit.
    pub is_fitted: bool,
}

/// What weighs the tokens of a run; absent where all count alike.
pub fn kind_of(config: &RunConfig) -> Option<&dyn Weighing> {
    if !config.weighs_tokens() {
        return None;
    }
    match config.objective.token_weights {
        TokenWeights::None => None,
        TokenWeights::Tis => Some(&config.tis),
        TokenWeights::Ti => Some(&config.ti),
    }
}

/// What a run reads of tokens to weigh them.
pub fn reads(config: &RunConfig) -> Option<TokenReads> {
    kind_of(config).map(Weighing::reads)
}

/// Bytes that weighing tokens will hold beside a policy and does not yet: values and gradients of two adapters, and the
/// moments of the one that is fitted.
pub fn later_bytes(config: &RunConfig, policy: &Policy) -> u64 {
    const FLOAT: u64 = 4;
    if reads(config) == Some(TokenReads::Contrasts) { 6 * FLOAT * policy.trainable_parameters() as u64 } else { 0 }
}

/// By which gradients under the model that runs start from are kept.
fn at_start(base: &Reference) -> Reference {
    Reference { policy: format!("gradients {}", base.policy), ..base.clone() }
}

/// An adapter that has learnt nothing leaves the base as it is; the narrowest will do.
fn narrowest(config: &RunConfig) -> AdapterShape {
    AdapterShape { rank: 1, dropout: 0.0, ..inputs::adapter_shape(&config.lora, config.train.shuffle_seed) }
}

/// An answer that TI-DPO's triplet term sampled.
#[derive(Debug, Clone, PartialEq)]
pub struct Anchor {
    pub ids: Vec<u32>,
    /// log π_ref of each token.
    pub reference: Vec<f32>,
}

/// The side of the answer in this place of a pair's document.
fn side_of(place: usize) -> PairSide {
    if place == 0 { PairSide::Chosen } else { PairSide::Rejected }
}

/// Scales weights to a mean of 1; weights of nothing stay.
fn to_mean_one(weights: &mut [f64]) {
    let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
    if mean > 0.0 {
        for weight in weights {
            *weight /= mean;
        }
    }
}

fn narrow(weights: Vec<f64>) -> Vec<f32> {
    weights.into_iter().map(|weight| weight as f32).collect()
}
