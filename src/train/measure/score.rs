//! Log-probs of given pairs under given weights, token by token, or a reward model's scores of them: what other tools
//! can be compared with.

use std::{fmt::Display, ops::ControlFlow, path::Path};

use data::{Choice, Pair};
use files::FileError;
use model::{Doc, Policy, Tokens};
use serde::{Deserialize, Serialize};
use text::{Codec, Limits};

use crate::{
    error::{Result, TrainError},
    measure::{
        log_probs::{log_probs, sum},
        pair_scores,
    },
    reward,
};

/// One pair's token ids and log-probs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairScore {
    pub prompt_ids: Vec<u32>,
    pub chosen_ids: Vec<u32>,
    pub rejected_ids: Vec<u32>,
    /// Natural log-prob of each token of the chosen answer.
    pub chosen_logps: Vec<f32>,
    pub rejected_logps: Vec<f32>,
    /// Their sums.
    pub chosen_logp: f64,
    pub rejected_logp: f64,
    /// Chosen sum − rejected sum.
    pub margin: f64,
}

/// One pair's answers as a reward model scores them: as the head gives them, on no scale.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RewardScore {
    pub prompt_ids: Vec<u32>,
    pub chosen_ids: Vec<u32>,
    pub rejected_ids: Vec<u32>,
    pub chosen_score: f64,
    pub rejected_score: f64,
    /// Chosen − rejected.
    pub margin: f64,
    /// The answers beside these two.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<OtherScore>,
}

/// A further answer of a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OtherScore {
    /// Its place among the pair's answers, from 0.
    pub answer: usize,
    pub ids: Vec<u32>,
    pub score: f64,
}

/// A line of a batch file: ids as they are, with no tokenizer in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdPair {
    pub prompt: Vec<u32>,
    pub chosen: Vec<u32>,
    pub rejected: Vec<u32>,
    /// A reference answer that goes with the pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sft_prompt: Option<Vec<u32>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sft_completion: Option<Vec<u32>>,
}

/// Tokens of one packed row.
pub const ROW_TOKENS: usize = 2048;

/// A line of a batch file has no reason to be longer, in bytes; nor has the whole, which is held in memory.
const LONGEST_LINE: u64 = 16 << 20;
const LONGEST: u64 = 1 << 30;

/// Reads `{"prompt": [ids], "chosen": [ids], "rejected": [ids], ..}` a line; blank lines are skipped.
pub fn read_batch_file(path: &Path) -> Result<Vec<IdPair>> {
    let failed = |error: FileError| TrainError::Sentence(error.to_string());
    let mut pairs = Vec::new();
    for (index, line) in files::lines(path, LONGEST_LINE, LONGEST).map_err(failed)?.enumerate() {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        let at = |wrong: &dyn Display| TrainError::Sentence(format!("{}, line {}: {wrong}", path.display(), index + 1));
        let pair: IdPair = serde_json::from_str(&line).map_err(|error| at(&error))?;
        if pair.prompt.is_empty() || pair.chosen.is_empty() || pair.rejected.is_empty() {
            return Err(at(&"prompt, chosen and rejected need at least one id each"));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}

/// Scores pairs given as ids, in their order. `on_pair` hears how many are done.
pub fn score_ids(policy: &Policy, pairs: &[IdPair], on_pair: &mut dyn FnMut(usize)) -> Result<Vec<PairScore>> {
    score_docs(policy, pairs.iter().map(IdPair::doc).collect(), on_pair)
}

/// The same as a reward model scores them.
pub fn reward_ids(policy: &Policy, pairs: &[IdPair]) -> Result<Vec<RewardScore>> {
    reward_docs(policy, pairs.iter().map(|pair| (pair.doc(), vec![0, 1])).collect())
}

impl IdPair {
    fn doc(&self) -> Doc {
        Doc::new(self.prompt.clone(), vec![self.chosen.clone(), self.rejected.clone()])
    }
}

/// Scores labelled pairs: the chosen and the rejected answer of the verdict; the first two answers where there is no
/// order. A pair that cannot be encoded gives its reason instead.
pub fn score_pairs(
    policy: &Policy,
    codec: &Codec,
    pairs: &[Pair],
    limits: Limits,
    on_pair: &mut dyn FnMut(usize),
) -> Result<Vec<Result<PairScore, String>>> {
    let encoded = pairs.iter().map(|pair| pair_scores::encode(policy, codec, pair, &compared(pair), limits));
    each(encoded.collect(), |docs| score_docs(policy, docs, on_pair))
}

/// The same as a reward model scores them, with the answers beside those two.
pub fn reward_pairs(
    policy: &Policy,
    codec: &Codec,
    pairs: &[Pair],
    limits: Limits,
) -> Result<Vec<Result<RewardScore, String>>> {
    let encoded = pairs.iter().map(|pair| {
        let mut places = compared(pair).to_vec();
        places.extend((0..pair.answers.len()).filter(|place| !compared(pair).contains(place)));
        Ok((pair_scores::encode(policy, codec, pair, &places, limits)?, places))
    });
    each(encoded.collect(), |docs| reward_docs(policy, docs))
}

/// Works on what could be encoded; the rest keeps its reason.
fn each<D, S>(
    encoded: Vec<Result<D, String>>,
    work: impl FnOnce(Vec<D>) -> Result<Vec<S>>,
) -> Result<Vec<Result<S, String>>> {
    let mut docs = Vec::new();
    let reasons: Vec<Option<String>> = encoded.into_iter().map(|doc| doc.map(|doc| docs.push(doc)).err()).collect();
    let mut scores = work(docs)?.into_iter();
    reasons
        .into_iter()
        .map(|reason| match reason {
            Some(reason) => Ok(Err(reason)),
            None => scores.next().map(Ok).ok_or_else(|| TrainError::Sentence("A score is missing".to_owned())),
        })
        .collect()
}

/// Places of the chosen and the rejected answer.
fn compared(pair: &Pair) -> [usize; 2] {
    match pair.verdict.as_ref().map(|verdict| verdict.choice) {
        Some(Choice::Better { chosen, rejected, .. }) => [chosen, rejected],
        Some(Choice::Tie | Choice::BothBad | Choice::Skip) | None => [0, 1],
    }
}

/// Each document with the places of its answers in their pair, those of the chosen and the rejected one first.
fn reward_docs(policy: &Policy, docs: Vec<(Doc, Vec<usize>)>) -> Result<Vec<RewardScore>> {
    let all: Vec<&Doc> = docs.iter().map(|(doc, _)| doc).collect();
    let scores = reward::scores(policy, &all, ROW_TOKENS, &mut || Ok(ControlFlow::Continue(())))?;
    let docs = docs.into_iter().zip(scores.unwrap_or_default());
    docs.map(|((doc, places), scores)| {
        let mut answers = places.into_iter().zip(doc.continuations).zip(scores);
        let mut next = || {
            let ((answer, ids), score) = answers.next()?;
            Some(OtherScore { answer, ids: ids.to_vec(), score })
        };
        let (Some(chosen), Some(rejected)) = (next(), next()) else {
            return Err(TrainError::Sentence("A pair has two answers".to_owned()));
        };
        Ok(RewardScore {
            prompt_ids: doc.prefix.to_vec(),
            margin: chosen.score - rejected.score,
            chosen_ids: chosen.ids,
            rejected_ids: rejected.ids,
            chosen_score: chosen.score,
            rejected_score: rejected.score,
            others: std::iter::from_fn(next).collect(),
        })
    })
    .collect()
}

fn score_docs(policy: &Policy, docs: Vec<Doc>, on_pair: &mut dyn FnMut(usize)) -> Result<Vec<PairScore>> {
    if policy.has_scalar_head() {
        return Err(TrainError::Sentence("A reward model gives scores, and no log-probs of tokens".to_owned()));
    }
    let all: Vec<&Doc> = docs.iter().collect();
    let log_probs = log_probs(policy, &all, ROW_TOKENS, &mut |done| {
        on_pair(done);
        Ok(ControlFlow::Continue(()))
    })?;
    on_pair(docs.len());
    docs.into_iter().zip(log_probs.unwrap_or_default()).map(|(doc, log_probs)| PairScore::new(doc, log_probs)).collect()
}

impl PairScore {
    fn new(doc: Doc, log_probs: Vec<Vec<f32>>) -> Result<Self> {
        let two = "A pair has two answers".to_owned();
        let ids: [Tokens; 2] = doc.continuations.try_into().map_err(|_| TrainError::Sentence(two.clone()))?;
        let values: [Vec<f32>; 2] = log_probs.try_into().map_err(|_| TrainError::Sentence(two))?;
        let [chosen_ids, rejected_ids] = ids.map(|ids| ids.to_vec());
        let [chosen_logps, rejected_logps] = values;
        let (chosen_logp, rejected_logp) = (sum(&chosen_logps), sum(&rejected_logps));
        Ok(Self {
            prompt_ids: doc.prefix.to_vec(),
            chosen_ids,
            rejected_ids,
            chosen_logps,
            rejected_logps,
            chosen_logp,
            rejected_logp,
            margin: chosen_logp - rejected_logp,
        })
    }
}
