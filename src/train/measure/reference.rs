//! The reference: log-probs of the policy at step 0, computed once and kept in the project by content.
//!
//! There is no second model. A cached value is named by everything it depends on (weights, frozen adapters, tokenizer,
//! template, the exact ids), so an edited pair computes its own entry and nothing else.

use std::ops::ControlFlow;

use data::config::{ModelConfig, RunConfig};
use kernels::Tensor;
use model::{Doc, Policy, PolicyError, Row, Tokens};
use serde::{Deserialize, Serialize};
use store::{LogProbKey, Project, StoreError};

use crate::{
    dataset::packing::pack,
    error::{Result, TrainError},
    measure::log_probs::LogProbs,
};

/// Whose log-probs these are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// [`Policy::identity`] at step 0.
    pub policy: String,
    /// [`Policy::files`]; checkpoints that were written before it was kept have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub files: String,
    /// The codec's identity.
    pub codec: String,
    /// The graphics card that computed, in words; nothing for other devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Reads a number of each scored token of a row, by answer.
pub type ReadRow<'a> = dyn FnMut(&mut Policy, &Row) -> Result<Vec<Vec<f32>>> + 'a;

/// Rows computed between two writes to the cache: what a stop may lose.
const ROWS_A_WRITE: usize = 8;

/// How a policy that has moved on is, for a moment, what it was at step 0.
pub enum StartWeights {
    /// Its adapter began at zero: without it.
    WithoutAdapter,
    /// With the adapter that is trained further as it was.
    Adapter(Vec<(String, Tensor)>),
    /// Full weights: not once they have moved.
    Gone,
}

impl StartWeights {
    /// Of a policy that is at step 0.
    pub fn of(policy: &Policy, config: &RunConfig) -> Result<Self> {
        Ok(if config.lora.full {
            Self::Gone
        } else if config.model.continue_adapter.is_some() {
            Self::Adapter(policy.trainable()?)
        } else {
            Self::WithoutAdapter
        })
    }

    /// Whether the reference can still be computed after the first step.
    pub fn lasts(&self) -> bool {
        !matches!(self, Self::Gone)
    }

    /// The same way at every step, so that it makes no difference when a row's turn comes.
    pub(crate) fn log_probs(&self, policy: &mut Policy, row: &Row) -> Result<Vec<Vec<f32>>> {
        let log_probs = match self {
            Self::Gone => policy.log_probs(row),
            Self::WithoutAdapter => policy.reference_log_probs(row),
            Self::Adapter(at_start) => {
                let now = policy.trainable()?;
                policy.set_trainable(at_start)?;
                let log_probs = policy.log_probs(row);
                policy.set_trainable(&now)?;
                log_probs
            }
        };
        Ok(log_probs?)
    }
}

/// Where cached log-probs are, and what computes those that are not.
pub struct ReferenceSource<'a> {
    pub cache: &'a mut Project,
    pub policy: &'a mut Policy,
    pub origin: &'a StartWeights,
    /// Tokens of one packed row.
    pub budget: usize,
}

/// What was found in the cache or computed.
pub struct FoundLogProbs {
    pub log_probs: LogProbs,
    /// Documents that were computed now.
    pub computed: usize,
    /// Cached entries that were damaged, and are mended now.
    pub damaged: usize,
}

impl Reference {
    pub fn of(policy: &Policy, codec: &text::Codec) -> Self {
        Self {
            policy: policy.identity().to_owned(),
            files: policy.files().to_owned(),
            codec: codec.identity().to_owned(),
            card: policy.place().card(),
        }
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
        // What another card computed differs in its last digits.
        let policy = self.card.as_ref().map_or_else(|| self.policy.clone(), |card| format!("{} {card}", self.policy));
        doc.continuations.iter().map(|answer| LogProbKey::new(&policy, &self.codec, &doc.prefix, answer)).collect()
    }

    /// Reads what is cached, computes the rest and caches it.
    ///
    /// All documents are packed together, cached or not, and a row is computed whole: so a value does not depend on
    /// what a stopped run had computed already. `tick` hears the share done after every row; when it breaks, what was
    /// computed so far is kept and `None` returned.
    pub fn log_probs(
        &self,
        source: &mut ReferenceSource<'_>,
        docs: &[&Doc],
        tick: &mut dyn FnMut(&Policy, f32) -> ControlFlow<()>,
    ) -> Result<Option<FoundLogProbs>> {
        let origin = source.origin;
        self.kept(source, docs, &mut |policy, row| origin.log_probs(policy, row), tick)
    }

    /// The same of whatever `read` finds of each token of a row, as long as all that it depends on is in this name.
    pub fn kept(
        &self,
        source: &mut ReferenceSource<'_>,
        docs: &[&Doc],
        read: &mut ReadRow<'_>,
        tick: &mut dyn FnMut(&Policy, f32) -> ControlFlow<()>,
    ) -> Result<Option<FoundLogProbs>> {
        let keys: Vec<LogProbKey> = docs.iter().flat_map(|doc| self.keys(doc)).collect();
        let cached = source.cache.cached_log_probs(&keys)?;
        let mut entries = cached.log_probs.into_iter();
        let mut known: Vec<Option<Vec<Vec<f32>>>> = docs
            .iter()
            .map(|doc| {
                let of_doc: Vec<Option<Vec<f32>>> = entries.by_ref().take(doc.continuations.len()).collect();
                let lengths = doc.continuations.iter().map(Tokens::len);
                of_doc.into_iter().zip(lengths).map(|(values, len)| values.filter(|v| v.len() == len)).collect()
            })
            .collect();

        let computed = known.iter().filter(|doc| doc.is_none()).count();
        let rows = pack(docs.iter().copied().enumerate(), source.budget).map_err(PolicyError::from)?;
        let is_missing = |known: &[Option<Vec<Vec<f32>>>], index: usize| known[index].is_none();
        let rows: Vec<_> = rows.into_iter().filter(|row| row.owners().any(|index| is_missing(&known, index))).collect();
        let mut fresh: Vec<(LogProbKey, Vec<f32>)> = Vec::new();
        for (number, packed) in rows.iter().enumerate() {
            let log_probs = read(source.policy, &packed.row)?;
            for (index, answers) in packed.by_owner(&log_probs) {
                if is_missing(&known, index) {
                    fresh.extend(self.keys(docs[index]).into_iter().zip(answers.iter().cloned()));
                    known[index] = Some(answers.to_vec());
                }
            }
            let stopped = tick(source.policy, (number + 1) as f32 / rows.len() as f32).is_break();
            if stopped || (number + 1) % ROWS_A_WRITE == 0 || number + 1 == rows.len() {
                write_cache(source.cache, &fresh)?;
                fresh.clear();
            }
            if stopped {
                return Ok(None);
            }
        }
        let log_probs = known.into_iter().collect::<Option<LogProbs>>();
        let log_probs = log_probs.ok_or_else(|| TrainError::Sentence("A reference log-prob is missing".to_owned()))?;
        Ok(Some(FoundLogProbs { log_probs, computed, damaged: cached.damaged }))
    }

    /// Whether all of these documents are in the cache.
    pub fn has_all(&self, cache: &Project, docs: &[&Doc]) -> Result<bool> {
        let keys: Vec<LogProbKey> = docs.iter().flat_map(|doc| self.keys(doc)).collect();
        Ok(cache.cached_log_probs(&keys)?.log_probs.iter().all(Option::is_some))
    }

    /// Forgets what is cached of these documents.
    pub fn forget<'d>(&self, cache: &mut Project, docs: impl Iterator<Item = &'d Doc>) -> Result<()> {
        let keys: Vec<LogProbKey> = docs.flat_map(|doc| self.keys(doc)).collect();
        Ok(cache.forget_log_probs(&keys)?)
    }
}

/// A cache that cannot be written costs time later, and nothing else.
pub(crate) fn write_cache(cache: &mut Project, fresh: &[(LogProbKey, Vec<f32>)]) -> Result<()> {
    match cache.cache_log_probs(fresh) {
        Err(error @ (StoreError::DiskFull(_) | StoreError::Locked(_))) => {
            tracing::warn!("what can be computed again was not cached: {error}");
            Ok(())
        }
        kept => Ok(kept?),
    }
}
