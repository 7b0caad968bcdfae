//! What a reward model's scores are like: on held-out pairs, before the first update, and on the answers of the
//! reference.

use std::ops::ControlFlow;

use data::config::{Method, RunConfig};
use model::{Doc, Policy, PolicyError, Reads};
use serde::{Deserialize, Serialize};

use crate::{
    dataset::{documents::PairDoc, packing::pack_for},
    error::{Result, TrainError},
    loss::StepDoc,
    measure::golden::{Golden, PAIRS},
    reward::{
        bradley_terry::BradleyTerry,
        loss::{RewardLoss, ScoredPair, metrics},
    },
    step::{go_on, gradient},
};

/// Mean and standard deviation of the raw scores of a reward model, on the answers of the reference where there are
/// any: it puts a KL coefficient on one scale for every project.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreScale {
    #[serde(with = "data::exact")]
    pub mean: f64,
    #[serde(with = "data::exact")]
    pub std: f64,
}

impl ScoreScale {
    /// Scores as the head gives them.
    pub const RAW: Self = Self { mean: 0.0, std: 1.0 };

    /// Of these scores; a spread of nothing is no scale to measure by, and counts as 1.
    pub fn of(scores: &[f64]) -> Self {
        let count = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / count;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / count;
        let std = variance.sqrt();
        Self { mean, std: if std > 1e-6 { std } else { 1.0 } }
    }

    /// A raw score in standard deviations.
    pub fn apply(self, raw: f64) -> f64 {
        (raw - self.mean) / self.std
    }
}

/// The loss that a config asks for.
pub fn objective(config: &RunConfig) -> BradleyTerry {
    BradleyTerry { center: config.reward.center, margin: config.reward.margin }
}

/// What a run reads of its rows.
pub fn reads(config: &RunConfig) -> Reads {
    if config.objective.kind == Method::Reward { Reads::Ends } else { Reads::LogProbs }
}

/// Raw scores of each answer of some documents, in rows of up to `row_tokens`. `tick` is asked before each row; when it
/// breaks, the answer is `None`.
pub fn scores(
    policy: &Policy,
    docs: &[&Doc],
    row_tokens: usize,
    tick: &mut dyn FnMut() -> Result<ControlFlow<()>>,
) -> Result<Option<Vec<Vec<f64>>>> {
    let mut scores = vec![Vec::new(); docs.len()];
    for packed in pack_for(docs.iter().copied().enumerate(), row_tokens, Reads::Ends).map_err(PolicyError::from)? {
        if tick()?.is_break() {
            return Ok(None);
        }
        let read = policy.log_probs(&packed.row)?;
        for (index, answers) in packed.by_owner(&read) {
            scores[index] = answers.iter().flatten().map(|&score| f64::from(score)).collect();
        }
    }
    Ok(Some(scores))
}

/// The scores of some pairs, of a policy nobody waits for.
fn scored(policy: &Policy, objective: BradleyTerry, pairs: &[PairDoc], row_tokens: usize) -> Result<Vec<ScoredPair>> {
    let docs: Vec<&Doc> = pairs.iter().map(|pair| &pair.doc).collect();
    let scores = scores(policy, &docs, row_tokens, &mut || Ok(ControlFlow::Continue(())))?.unwrap_or_default();
    Ok(together(objective, pairs, &scores))
}

/// Pairs with the raw scores of their answers.
pub fn together(objective: BradleyTerry, pairs: &[PairDoc], scores: &[Vec<f64>]) -> Vec<ScoredPair> {
    let pairs = pairs.iter().zip(scores);
    pairs.map(|(pair, scores)| ScoredPair::of(objective, pair, scores).0).collect()
}

/// Before the first update the head is 0, so every score is 0, the loss ln 2, and nothing but the head has a gradient.
pub fn check_start(policy: &mut Policy, config: &RunConfig, pairs: &[PairDoc], row_tokens: usize) -> Result<Golden> {
    let pairs = &pairs[..pairs.len().min(PAIRS)];
    let certain: Vec<PairDoc> = pairs.iter().map(|pair| PairDoc { certainty: 1.0, ..pair.clone() }).collect();
    let without = BradleyTerry { margin: 0.0, ..objective(config) };
    let scored = scored(policy, without, &certain, row_tokens)?;
    let of = |name: &str| metrics(&scored).into_iter().find(|(known, _)| known == name).map_or(0.0, |(_, value)| value);
    let golden =
        vec![("margin".to_owned(), of("margin"), 0.0), ("loss".to_owned(), of("loss"), std::f64::consts::LN_2)];
    for (name, measured, expected) in &golden {
        if (measured - expected).abs() > 1e-9 || !measured.is_finite() {
            return Err(TrainError::Golden(format!(
                "the {name} of the scores at step 0 is {measured:.6}, but before the first update every score is 0 and it must be {expected:.6}. The reward model disagrees with its definition"
            )));
        }
    }
    check_gradient(policy, without, &certain, row_tokens)?;
    Ok(golden)
}

/// ∂L/∂w = −½·mean(n_w − n_l), n being the normed states behind the answers, read from rows of one pair each; that of
/// the adapter is 0, exactly.
fn check_gradient(policy: &mut Policy, objective: BradleyTerry, pairs: &[PairDoc], row_tokens: usize) -> Result<()> {
    let wrong =
        |what: &str| TrainError::Golden(format!("{what}. The gradient of the scores disagrees with its definition"));
    let Some(head) = policy.score_slot() else {
        return Err(wrong("there is no head to score with"));
    };
    let docs = pairs.iter().enumerate().map(|(index, pair)| (StepDoc::Pair(index), &pair.doc));
    let rows = pack_for(docs, row_tokens, Reads::Ends).map_err(PolicyError::from)?;
    let mut loss = RewardLoss::new(objective, pairs, pairs.len());
    gradient(policy, None, 1, &rows, &mut loss, &mut go_on)?.done()?;
    let found = policy.gradients().to_vec().map_err(PolicyError::from)?;
    let of_head = head.offset..head.offset + head.len;
    let mut elsewhere = found.iter().enumerate().filter(|(place, _)| !of_head.contains(place));
    if elsewhere.any(|(_, slope)| *slope != 0.0) {
        return Err(wrong("the adapter has a gradient at step 0, where no score depends on it yet"));
    }
    let (mut expected, mut length) = (vec![0.0; head.len], 0.0);
    for pair in pairs {
        for packed in pack_for([((), &pair.doc)], pair.doc.tokens(), Reads::Ends).map_err(PolicyError::from)? {
            for ((_, state), share) in policy.embeddings(&packed.row)?.into_iter().zip([-0.5, 0.5]) {
                let share = share / pairs.len() as f64;
                expected.iter_mut().zip(&state).for_each(|(sum, value)| *sum += share * f64::from(*value));
                length += share.abs() * norm(state.iter().map(|value| f64::from(*value)));
            }
        }
    }
    let off = norm(found[of_head].iter().zip(&expected).map(|(found, expected)| f64::from(*found) - expected));
    if off <= ROUNDING * length {
        return Ok(());
    }
    Err(wrong(&format!("at step 0 the gradient of the scores is {off:.2e} away from what it must be")))
}

/// Of the states' length, packed otherwise and perhaps multiplied in 16 bits.
const ROUNDING: f64 = 0.02;

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_on_their_own_scale_have_mean_0_and_spread_1() {
        let raw = [1.0, 3.0, 5.0];
        let scale = ScoreScale::of(&raw);
        let scaled = raw.map(|score| scale.apply(score));
        assert!(scaled.iter().sum::<f64>().abs() < 1e-12);
        assert!((scaled.iter().map(|score| score * score).sum::<f64>() / 3.0 - 1.0).abs() < 1e-12);
        assert_eq!(ScoreScale::of(&[2.0, 2.0]).apply(2.5), 0.5);
        assert_eq!(ScoreScale::of(&[]).apply(1.0), 1.0);
    }
}
