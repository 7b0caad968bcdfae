//! Of many rejected answers a few that are likely and unlike each other, chosen once before a run.
//!
//! The greedy rule of arXiv 2509.25717 for text: an answer's score is its log-prob a token at step 0 plus the distance
//! of its embedding from the chosen answer's, each scaled to 0..1 over the pair's answers; taken is the one with the
//! most of score + η · (distance from the nearest of those taken). Embedding: the mean of the last hidden states under
//! the start model.

use std::ops::ControlFlow;

use data::config::{Negatives, ObjectiveConfig};
use model::{Doc, Policy, PolicyError, Row, Tokens};
use store::{LogProbKey, Project};
use text::Codec;

use super::documents::{Dataset, PairDoc, with};
use crate::{error::Result, measure::reference::write_cache};

/// η: what unlikeness counts beside the score.
const UNLIKE: f64 = 0.5;

/// Cuts each pair with more than `negatives_max` rejected answers to those that the rule takes, if the settings ask for
/// it; the others stay out of training and measuring. `policy` is at step 0, or has its start weights in itself. What
/// was chosen is kept in the project by content. `tick` hears the share done; when it breaks, so is the answer.
pub fn choose(
    dataset: &mut Dataset,
    config: &ObjectiveConfig,
    (policy, codec): (&Policy, &Codec),
    cache: &mut Project,
    tick: &mut dyn FnMut(f32) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    if config.negatives != Negatives::Diverse {
        return Ok(ControlFlow::Continue(()));
    }
    let most = config.negatives_max;
    let pairs = dataset.pairs.train.iter_mut().chain(&mut dataset.pairs.eval);
    let mut crowded: Vec<&mut PairDoc> = pairs.filter(|pair| pair.rejected() > most).collect();
    let keys: Vec<LogProbKey> = crowded.iter().map(|pair| key(policy, codec, &pair.doc, most)).collect();
    let known = cache.cached_log_probs(&keys)?.log_probs;
    let count = crowded.len();
    for (done, ((pair, key), known)) in crowded.iter_mut().zip(keys).zip(known).enumerate() {
        if tick(done as f32 / count as f32)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let kept = known.and_then(|kept| places_of(&kept, pair.rejected(), most));
        let is_new = kept.is_none();
        let places = kept.map_or_else(|| unlike_of(policy, &pair.doc, most), Ok)?;
        if is_new {
            write_cache(cache, &[(key, places.iter().map(|place| *place as f32).collect())])?;
        }
        pair.doc = with(&pair.doc, &places);
    }
    Ok(ControlFlow::Continue(()))
}

/// Of everything that the choice depends on.
fn key(policy: &Policy, codec: &Codec, doc: &Doc, most: usize) -> LogProbKey {
    let rule = format!(
        "{most} unlike of {:?} {}",
        doc.continuations.iter().map(Tokens::len).collect::<Vec<_>>(),
        policy.identity()
    );
    LogProbKey::new(&rule, codec.identity(), &doc.prefix, &doc.continuations.concat())
}

/// Kept places, if they are such: the chosen answer, then some of the others in their order.
fn places_of(kept: &[f32], pool: usize, most: usize) -> Option<Vec<usize>> {
    let places: Vec<usize> = kept.iter().map(|place| *place as usize).collect();
    let ascends = places.windows(2).all(|two| two[0] < two[1]) && places.last().is_some_and(|last| *last <= pool);
    (ascends && places.len() == most + 1 && places[0] == 0).then_some(places)
}

/// Each document in a row of its own, so that what is chosen does not hang on the company.
fn unlike_of(policy: &Policy, doc: &Doc, most: usize) -> Result<Vec<usize>> {
    let row = Row::pack(std::slice::from_ref(doc)).map_err(PolicyError::from)?;
    // Full weights are those of step 0 before their first step.
    let answers = if policy.trains_its_weights() { policy.embeddings(&row) } else { policy.reference_embeddings(&row) };
    Ok(unlike(&answers?, most))
}

/// The places of the chosen answer and of `most` others, ascending, from each answer's log-probs and embedding.
fn unlike(answers: &[(Vec<f32>, Vec<f32>)], most: usize) -> Vec<usize> {
    let per_token = |at: usize| {
        let log_probs = &answers[at].0;
        log_probs.iter().map(|value| f64::from(*value)).sum::<f64>() / log_probs.len().max(1) as f64
    };
    let apart = |a: usize, b: usize| 1.0 - cosine(&answers[a].1, &answers[b].1);
    let others: Vec<usize> = (1..answers.len()).collect();
    let likely = scaled(others.iter().map(|at| per_token(*at)).collect());
    let far = scaled(others.iter().map(|at| apart(*at, 0)).collect());
    let mut taken: Vec<usize> = Vec::new();
    while taken.len() < most.min(others.len()) {
        let worth = |at: usize| {
            let nearest = taken.iter().map(|other| apart(at, *other)).fold(f64::INFINITY, f64::min);
            likely[at - 1] + far[at - 1] + if taken.is_empty() { 0.0 } else { UNLIKE * nearest }
        };
        let free = others.iter().copied().filter(|at| !taken.contains(at));
        // Of equal ones the better answer, which stands first.
        let best = free.rev().max_by(|a, b| worth(*a).total_cmp(&worth(*b)));
        taken.extend(best);
    }
    taken.push(0);
    taken.sort_unstable();
    taken
}

/// To 0..1; all 0 where they are equal.
fn scaled(values: Vec<f64>) -> Vec<f64> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.into_iter().map(|value| if high > low { (value - low) / (high - low) } else { 0.0 }).collect()
}

/// 0 where one of them is nothing.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_answers_that_are_unlike_each_other_are_taken() {
        let answer = |log_prob: f32, embedding: [f32; 2]| (vec![log_prob; 3], embedding.to_vec());
        let answers = [
            answer(-1.0, [1.0, 0.0]),
            answer(-1.0, [0.0, 1.0]),
            answer(-1.1, [0.1, 1.0]),
            answer(-3.0, [1.0, 0.1]),
            answer(-1.5, [-1.0, 0.0]),
        ];
        // Scores: likely (1, .95, 0, .75) + far (.498, .448, 0, 1): the last; then beside it the first two are 1.5 +
        // ½·1 and 1.4 + ½·1.1, and what remains of them is nearly the same as the one taken.
        assert_eq!(unlike(&answers, 1), [0, 4]);
        assert_eq!(unlike(&answers, 2), [0, 1, 4]);
        assert_eq!(unlike(&answers, 4), [0, 1, 2, 3, 4]);
        // Without the first, which is like the second, the second is taken; alike answers are taken best first.
        let alike = [answer(-1.0, [1.0, 0.0]), answer(-1.0, [1.0, 0.0]), answer(-1.0, [1.0, 0.0])];
        assert_eq!(unlike(&alike, 1), [0, 1]);
    }

    #[test]
    fn what_was_kept_is_read_with_care() {
        assert_eq!(places_of(&[0.0, 2.0, 3.0], 4, 2), Some(vec![0, 2, 3]));
        for kept in [&[0.0, 2.0][..], &[0.0, 2.0, 5.0], &[0.0, 3.0, 2.0], &[1.0, 2.0, 3.0], &[]] {
            assert_eq!(places_of(kept, 4, 2), None, "{kept:?}");
        }
    }
}
