//! The reference: log-probs of the policy at step 0, computed once and kept in the project by content.
//!
//! There is no second model. A cached value is named by everything it depends on (weights, frozen adapters, tokenizer,
//! template, the exact ids), so an edited pair computes its own entry and nothing else.

use std::{collections::HashSet, ops::ControlFlow};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{
    config::ModelConfig,
    error::{EngineError, Result},
    rows::pack,
};
use crate::{
    model::{Doc, Policy},
    store::{LogProbKey, Project},
};

/// Whose log-probs these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// [`Policy::identity`] at step 0.
    pub policy: String,
    /// The codec's identity.
    pub codec: String,
}

/// Σ log π_ref of each answer of each document, in their order.
pub type Sums = Vec<Vec<f64>>;

/// Entries whose cached values are computed again at the start of a run.
const SPOT_CHECKS: usize = 3;
/// A cached log-prob may differ from a fresh one by this much a token: rows are packed differently, so sums round differently.
const TOLERANCE_PER_TOKEN: f64 = 1e-3;
/// Rows computed between two writes to the cache: what a stop may lose.
const ROWS_A_WRITE: usize = 8;

impl Reference {
    pub fn of(policy: &Policy, codec: &crate::text::Codec) -> Self {
        Self { policy: policy.identity().to_owned(), codec: codec.identity().to_owned() }
    }

    /// The policy at step 0 in words, e.g. "the model as it is, blake3 3f9a…".
    pub fn describe(&self, model: &ModelConfig) -> String {
        let short = self.policy.get(..12).unwrap_or(&self.policy);
        let frozen =
            model.start_adapter.as_ref().map(|adapter| format!("the adapter {} frozen into it", adapter.display()));
        let further = model
            .continue_adapter
            .as_ref()
            .map(|adapter| format!("the adapter {}, which is trained further, as it was", adapter.display()));
        let with: Vec<String> = frozen.into_iter().chain(further).collect();
        if with.is_empty() {
            format!("the model as it is, blake3 {short}…")
        } else {
            format!("the model with {}, blake3 {short}…", with.join(" and "))
        }
    }

    fn keys(&self, doc: &Doc) -> Vec<LogProbKey> {
        doc.continuations.iter().map(|answer| LogProbKey::new(&self.policy, &self.codec, &doc.prefix, answer)).collect()
    }

    /// Reads what is cached, checks a few of it, computes the rest and caches it. The policy must be at step 0.
    ///
    /// `tick` hears the share done after every row; when it breaks, what was computed so far is kept and `None` returned.
    pub fn log_probs(
        &self,
        project: &mut Project,
        policy: &Policy,
        docs: &[&Doc],
        budget: usize,
        tick: &mut dyn FnMut(f32) -> ControlFlow<()>,
    ) -> Result<Option<Sums>> {
        let keys: Vec<LogProbKey> = docs.iter().flat_map(|doc| self.keys(doc)).collect();
        let mut cached = project.cached_log_probs(&keys)?.into_iter();
        let mut sums: Vec<Option<Vec<f64>>> = docs
            .iter()
            .map(|doc| {
                let of_doc: Vec<Option<Vec<f32>>> = cached.by_ref().take(doc.continuations.len()).collect();
                let lengths = doc.continuations.iter().map(Vec::len);
                of_doc
                    .iter()
                    .zip(lengths)
                    .map(|(values, len)| values.as_deref().filter(|v| v.len() == len).map(sum))
                    .collect()
            })
            .collect();
        spot_check(policy, docs, &sums, budget)?;

        let missing: Vec<usize> = (0..docs.len()).filter(|&i| sums[i].is_none()).collect();
        let rows =
            pack(missing.iter().map(|&index| (index, docs[index])), budget).map_err(crate::model::PolicyError::from)?;
        let mut fresh: Vec<(LogProbKey, Vec<f32>)> = Vec::new();
        for (number, packed) in rows.iter().enumerate() {
            let log_probs = policy.log_probs(&packed.row)?;
            for (index, answers) in packed.by_owner(&log_probs) {
                sums[index] = Some(answers.iter().map(|values| sum(values)).collect());
                fresh.extend(self.keys(docs[index]).into_iter().zip(answers.iter().cloned()));
            }
            let stopped = tick((number + 1) as f32 / rows.len() as f32).is_break();
            if stopped || (number + 1) % ROWS_A_WRITE == 0 || number + 1 == rows.len() {
                project.cache_log_probs(&fresh)?;
                fresh.clear();
            }
            if stopped {
                return Ok(None);
            }
        }
        sums.into_iter()
            .collect::<Option<Sums>>()
            .map(Some)
            .ok_or_else(|| EngineError::Sentence("A reference log-prob is missing".to_owned()))
    }
}

/// Computes a few cached entries again: a cache of another model would train against the wrong reference in silence.
fn spot_check(policy: &Policy, docs: &[&Doc], sums: &[Option<Vec<f64>>], budget: usize) -> Result<()> {
    let cached: Vec<usize> = (0..docs.len()).filter(|&i| sums[i].is_some()).collect();
    if cached.is_empty() {
        return Ok(());
    }
    let mut rng = ChaCha8Rng::from_rng(&mut rand::rng());
    let chosen: HashSet<usize> = (0..SPOT_CHECKS).map(|_| cached[rng.random_range(0..cached.len())]).collect();
    let mut chosen: Vec<usize> = chosen.into_iter().collect();
    chosen.sort_unstable();
    let rows =
        pack(chosen.iter().map(|&index| (index, docs[index])), budget).map_err(crate::model::PolicyError::from)?;
    for packed in &rows {
        let log_probs = policy.log_probs(&packed.row)?;
        for (index, answers) in packed.by_owner(&log_probs) {
            let Some(expected) = &sums[index] else {
                continue;
            };
            for (values, expected) in answers.iter().zip(expected) {
                let fresh = sum(values);
                let allowed = TOLERANCE_PER_TOKEN * values.len() as f64;
                if (fresh - expected).abs() > allowed || !fresh.is_finite() {
                    return Err(EngineError::Golden(format!(
                        "a cached reference log-prob is {expected:.4}, but the model at step 0 gives {fresh:.4}. The cache does not belong to these weights; remove the project's cached log-probs and start again"
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Σ in f64.
pub fn sum(log_probs: &[f32]) -> f64 {
    log_probs.iter().map(|&value| f64::from(value)).sum()
}
