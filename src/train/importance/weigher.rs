//! The token weights of a run's pairs, as it meets them.

use std::time::Duration;

use data::config::RunConfig;
use model::{Policy, Tokens};

use super::{TokenReads, kind_of, reads, side_of};
use crate::{loss::WeighedTokens, measure::log_probs::LogProbs};

/// What weighs the tokens of a run, and the weights that it has given.
pub struct Weigher {
    /// By training pair.
    train: Vec<Option<WeighedTokens>>,
    /// Of the held-out pairs that are measured.
    held_out: Vec<WeighedTokens>,
    /// The contrast pair, once it is needed.
    pub(super) contrast: Option<[Policy; 2]>,
    /// The model that the run started from, once it is needed.
    pub(super) start: Option<Policy>,
    /// Time that gradients took in the step that is going.
    pub(super) spent: Duration,
}

impl Weigher {
    /// Of a run that trains on so many pairs; absent where all tokens count alike.
    pub fn of(config: &RunConfig, pairs: usize) -> Option<Self> {
        config.weighs_tokens().then(|| Self {
            train: vec![None; pairs],
            held_out: Vec::new(),
            contrast: None,
            start: None,
            spent: Duration::ZERO,
        })
    }

    /// Of a training pair.
    pub fn of_pair(&self, index: usize) -> Option<&WeighedTokens> {
        self.train[index].as_ref().filter(|known| !known.weights.is_empty())
    }

    /// Of a held-out pair that is measured, in their order.
    pub fn of_held_out(&self, index: usize) -> Option<&WeighedTokens> {
        self.held_out.get(index).filter(|known| !known.weights.is_empty())
    }

    /// What gradients took of the step that lasted so long.
    pub fn share_of(&self, step: Duration) -> f64 {
        self.spent.as_secs_f64() / step.as_secs_f64().max(1e-9)
    }

    /// Takes in the log-probs at step 0 of a training pair.
    pub fn anchor(&mut self, index: usize, reference: &[Vec<f32>]) {
        if self.train[index].is_none() {
            self.train[index] = Some(WeighedTokens { weights: Vec::new(), reference: reference.to_vec() });
        }
    }

    /// The same of the held-out pairs that are measured.
    pub fn anchor_held_out(&mut self, references: &LogProbs) {
        let anchored = |reference: &Vec<Vec<f32>>| WeighedTokens { weights: Vec::new(), reference: reference.clone() };
        self.held_out = references.iter().map(anchored).collect();
    }

    /// Whose weights are not known yet.
    pub(super) fn unknown(&self, which: &[Which]) -> Vec<Which> {
        let is_known = |which: &&Which| match **which {
            Which::Train(index) => self.of_pair(index).is_some(),
            Which::HeldOut(index) => self.of_held_out(index).is_some(),
        };
        which.iter().filter(|which| !is_known(which)).copied().collect()
    }

    pub(super) fn set(&mut self, which: Which, weights: Vec<Vec<f32>>) {
        let known = match which {
            Which::Train(index) => self.train[index].as_mut(),
            Which::HeldOut(index) => self.held_out.get_mut(index),
        };
        if let Some(known) = known {
            known.weights = weights;
        }
    }

    /// The training pairs are others now: `before` gives the place that a pair had, where it is the same. `measured`:
    /// the held-out pairs that are measured stay.
    pub fn move_to(&mut self, pairs: usize, before: impl Fn(usize) -> Option<usize>, measured: bool) {
        let old = std::mem::take(&mut self.train);
        self.train = (0..pairs).map(|index| before(index).and_then(|place| old[place].clone())).collect();
        if !measured {
            self.held_out.clear();
        }
    }
}

/// A pair whose tokens are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Train(usize),
    HeldOut(usize),
}

/// Whether weights are those of the moment, and not kept from one step to the next.
pub fn weighs_each_step(config: &RunConfig) -> bool {
    reads(config) == Some(TokenReads::Gradients)
}

/// Weights of a pair's answers from what was read of their tokens. `stop_ids`: what ends a turn.
pub fn of_answers(config: &RunConfig, read: &[Vec<f32>], answers: &[Tokens], stop_ids: &[u32]) -> Vec<Vec<f32>> {
    let kind = kind_of(config);
    let of_answer = |(place, (read, ids)): (usize, (&Vec<f32>, &Tokens))| {
        let ends = ids.last().is_some_and(|last| stop_ids.contains(last));
        kind.map_or_else(|| vec![1.0; read.len()], |kind| kind.of_answer(read, side_of(place), ends))
    };
    read.iter().zip(answers).enumerate().map(of_answer).collect()
}

/// log π⁺ − log π⁻ of each token.
pub fn contrasts(positive: &LogProbs, negative: &LogProbs) -> LogProbs {
    let of_answer = |(positive, negative): (&Vec<f32>, &Vec<f32>)| {
        positive.iter().zip(negative).map(|(positive, negative)| positive - negative).collect()
    };
    let of_doc =
        |(positive, negative): (&Vec<Vec<f32>>, &Vec<Vec<f32>>)| positive.iter().zip(negative).map(of_answer).collect();
    positive.iter().zip(negative).map(of_doc).collect()
}
