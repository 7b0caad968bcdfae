//! MPO, DPO and IPO as pure functions of log-probs.
//!
//! Source: arXiv 2312.16430 (MPO), 2305.18290 (DPO), 2310.12036 (IPO), 2403.00409 (robust DPO).
//! Everything is f64: the sums are short, and the gradients of sleeping pairs are tiny.
//!
//! # How a label enters
//!
//! Every method has a loss ℓ(m) of the margin for the label "chosen is better". A label of certainty c knows
//! both actions, so a pair costs the expectation `c·ℓ(m) + (1−c)·ℓ(−m)`. With c = 1 that is ℓ(m), the method as
//! published. With c = 0.5, a tie, MPO has no push at all, while DPO and IPO pull the margin to 0.
//!
//! The logged reward r and the labeller's probability μ belong to the importance sampling of MPO: they scale the
//! whole expectation by `r/μ`, so `−(c·σ(h) + (1−c)·σ(−h))·r/μ`; with c = 1 this is the paper's `−r·σ(h)/μ`.
//! DPO and IPO know no such weights and ignore them.
//!
//! # Files
//!
//! `pair_loss`: what a method is. `mpo`, `dpo`, `ipo`: all there is to each. `margin`: m_θ of a pair. `of_config`: all
//! that `run.toml` asks for, told. `evaluate`: a pair through the objective. `term`: what a pair contributes to a step.
//! `several`: one chosen answer against more than one. `matched`: constants under which methods begin alike.
//! `diagnostics`: what a step's pairs look like. `standing`: what is made of a pair's scores in the project. `tokens`:
//! the terms that are means over tokens, and KL drift. `weighed`: the margin where some tokens count more than others.
//! `triplet`: a term beside it.

mod diagnostics;
mod dpo;
mod evaluate;
mod formula;
mod ipo;
pub(crate) mod logistic;
mod margin;
mod matched;
mod mpo;
mod of_config;
mod pair_loss;
mod several;
mod standing;
mod term;
mod tokens;
mod triplet;
mod weighed;

use data::config::{Method, ObjectiveConfig};
use serde::{Deserialize, Serialize};

use pair_loss::PairLoss;

pub use diagnostics::{Diagnostics, accuracy, summarize};
pub use dpo::{Dpo, Smoothing};
pub use ipo::Ipo;
pub use matched::match_first_gradient;
pub use mpo::Mpo;
pub use of_config::{formula, formula_parts, name, total};
pub use several::{AnswerLogProbs, Label, Term};
pub use standing::{Number, NumberBounds, Standing};
pub use term::{Against, PairTerm, Weighed};
pub use tokens::{TokenMean, kl_k3};
pub use triplet::Triplet;
pub use weighed::WeighedAnswer;

/// The preference objective, with its own constants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Objective {
    Mpo(Mpo),
    Dpo(Dpo),
    Ipo(Ipo),
}

impl Objective {
    /// What it is.
    fn method(&self) -> &dyn PairLoss {
        match self {
            Self::Mpo(mpo) => mpo,
            Self::Dpo(dpo) => dpo,
            Self::Ipo(ipo) => ipo,
        }
    }

    /// The one that this section asks for, with the method's defaults filled in.
    pub fn of(config: &ObjectiveConfig) -> Self {
        let (beta, margin) = (config.beta, config.margin());
        match config.kind {
            Method::Mpo => Self::Mpo(Mpo { beta, margin }),
            Method::Dpo => Self::Dpo(Dpo { beta, margin, smoothing: Smoothing::of(config) }),
            Method::Ipo => Self::Ipo(Ipo { tau: config.tau, margin, beta }),
            // What held-out pairs are measured by: the reward that a policy implies, as DPO has it.
            Method::Reward | Method::Ppo | Method::Rloo | Method::Grpo => {
                Self::Dpo(Dpo { beta, margin, smoothing: Smoothing::None })
            }
        }
    }
}

/// What the objective needs to know about one pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairLogProbs {
    /// Σ log π_θ over the answer's tokens.
    pub policy_chosen: f64,
    pub policy_rejected: f64,
    /// The same sums at step 0.
    pub reference_chosen: f64,
    pub reference_rejected: f64,
    /// Answer lengths in tokens, or the sums of their weights (0 is taken as 1).
    pub chosen_tokens: f64,
    pub rejected_tokens: f64,
    /// c: 1 certain, 0.5 a tie.
    pub certainty: f64,
    /// r.
    pub reward: f64,
    /// μ in (0, 1].
    pub behaviour: f64,
}

/// A pair is asleep when a certain label would push with less than this share of the objective's largest push.
///
/// The largest push is β/4 for MPO (at h = 0) and its supremum for DPO (β without smoothing). IPO's push has no bound;
/// its push at margin 0, 1/τ, stands for it, so an IPO pair sleeps once its margin is within 5 % of the target.
pub const ASLEEP: f64 = 0.05;
