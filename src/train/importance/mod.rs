//! Token importance: how much each token of an answer counts in the margin.
//!
//! `tis`: weights from the contrast of two models, pure. `ti`: weights from gradients and places, pure. `contrast`: the two
//! models, fitted once and kept in the project by content; `fitting`: how; `unfinished`: what a stopped fit leaves. `weigher`: the
//! weights of a run's pairs as it meets them. `training`: the same as part of a run. `anchored`: the answers that TI-DPO's triplet term
//! samples. `seen`: the weights of given answers, for whoever looks at them; `told`: all of it in symbols and in words.
//!
//! Source: arXiv 2410.04350 (TIS-DPO) with its released code, 2505.19653 (TI-DPO).

pub mod anchored;
pub mod contrast;
mod fitting;
pub mod seen;
pub mod ti;
pub mod tis;
pub mod told;
mod training;
mod unfinished;
pub mod weigher;

pub use weigher::Weigher;

use data::config::{RunConfig, TokenWeights};
use model::{AdapterShape, Policy};

use crate::{dataset::inputs, measure::reference::Reference};

/// Bytes that weighing tokens will hold beside a policy and does not yet: values and gradients of two adapters, and the moments
/// of the one that is fitted.
pub fn later_bytes(config: &RunConfig, policy: &Policy) -> u64 {
    const FLOAT: u64 = 4;
    let by_contrast = config.weighs_tokens() && config.objective.token_weights == TokenWeights::Tis;
    if by_contrast { 6 * FLOAT * policy.trainable_parameters() as u64 } else { 0 }
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

/// Which side of a pair an answer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Chosen,
    Rejected,
}

impl Side {
    /// Of the answer in this place of a pair's document.
    pub fn of(place: usize) -> Self {
        if place == 0 { Self::Chosen } else { Self::Rejected }
    }

    /// The model of a contrast pair that learns this side.
    fn model(self) -> &'static str {
        match self {
            Self::Chosen => "π⁺",
            Self::Rejected => "π⁻",
        }
    }
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
