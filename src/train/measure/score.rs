//! Log-probs of given pairs under given weights, token by token: what other tools can be compared with.

use std::{fmt::Display, ops::ControlFlow, path::Path};

use data::{Choice, Pair};
use files::FileError;
use model::{Doc, Policy};
use serde::{Deserialize, Serialize};
use text::{Codec, Limits};

use crate::{
    error::{Result, TrainError},
    measure::{
        log_probs::{log_probs, sum},
        pair_scores,
    },
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
    let docs = pairs
        .iter()
        .map(|pair| Doc {
            prefix: pair.prompt.clone(),
            continuations: vec![pair.chosen.clone(), pair.rejected.clone()],
        })
        .collect();
    score_docs(policy, docs, on_pair)
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
    let mut docs = Vec::new();
    let mut results: Vec<Option<String>> = Vec::with_capacity(pairs.len());
    for pair in pairs {
        match encode(policy, codec, pair, limits) {
            Ok(doc) => {
                docs.push(doc);
                results.push(None);
            }
            Err(reason) => results.push(Some(reason)),
        }
    }
    let mut scores = score_docs(policy, docs, on_pair)?.into_iter();
    results
        .into_iter()
        .map(|reason| match reason {
            Some(reason) => Ok(Err(reason)),
            None => scores.next().map(Ok).ok_or_else(|| TrainError::Sentence("A score is missing".to_owned())),
        })
        .collect()
}

fn encode(policy: &Policy, codec: &Codec, pair: &Pair, limits: Limits) -> Result<Doc, String> {
    let places = match pair.verdict.as_ref().map(|verdict| verdict.choice) {
        Some(Choice::Better { chosen, rejected, .. }) => [chosen, rejected],
        Some(Choice::Tie | Choice::BothBad | Choice::Skip) | None => [0, 1],
    };
    pair_scores::encode(policy, codec, pair, places, limits)
}

fn score_docs(policy: &Policy, docs: Vec<Doc>, on_pair: &mut dyn FnMut(usize)) -> Result<Vec<PairScore>> {
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
        let ids: [Vec<u32>; 2] = doc.continuations.try_into().map_err(|_| TrainError::Sentence(two.clone()))?;
        let values: [Vec<f32>; 2] = log_probs.try_into().map_err(|_| TrainError::Sentence(two))?;
        let [chosen_ids, rejected_ids] = ids;
        let [chosen_logps, rejected_logps] = values;
        let (chosen_logp, rejected_logp) = (sum(&chosen_logps), sum(&rejected_logps));
        Ok(Self {
            prompt_ids: doc.prefix,
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
