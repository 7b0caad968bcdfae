//! Which prompts a step answers.

use data::config::{Prompts, RunConfig};

use crate::{
    dataset::{
        documents::{Dataset, PairDoc},
        sampler::Sampler,
    },
    error::{Result, TrainError},
    run::{checkpoint::State, training::Training},
};

/// Whether the model can be asked this pair's prompt: it leaves room for an answer.
pub fn is_askable(pair: &PairDoc, context: usize) -> bool {
    pair.doc.prefix.len() < context
}

/// Prompts that fill the context leave no room for an answer to learn from.
pub fn refuse_full_prompts(dataset: &Dataset, context: usize) -> Result<()> {
    if dataset.pairs.train.iter().any(|pair| is_askable(pair, context)) {
        return Ok(());
    }
    Err(TrainError::NoPairs(format!(
        "every prompt fills the model's context of {context} tokens, so no answer can be sampled; shorten the prompts"
    )))
}

/// A sentence where prompts of reference answers were asked for and there are none.
pub fn no_references(config: &RunConfig, dataset: &Dataset) -> Option<String> {
    let asked = config.objective.kind.samples() && config.rlhf.prompts == Prompts::WithReference;
    (asked && dataset.references.train.is_empty()).then(|| {
        "rlhf.prompts asks for prompts of the reference answers too, and there are none to train on: all prompts are those of pairs".to_owned()
    })
}

impl Training {
    /// The prompts of the drawn pairs, every other one of them of a reference answer where that was asked for. One that
    /// leaves no room for an answer is passed over.
    pub(super) fn prompts(&self, drawn: &[usize], next: &mut State) -> Vec<Vec<u32>> {
        let references = &self.dataset.references.train;
        let with_references = self.config.rlhf.prompts == Prompts::WithReference && !references.is_empty();
        let seed = self.config.train.shuffle_seed;
        let prompt = |&pair: &usize| {
            next.prompts += 1;
            if with_references && next.prompts.is_multiple_of(2) {
                let order = next.reference_prompts.get_or_insert_with(|| Sampler::new(references.len(), seed, 3));
                if let Some(&reference) = order.take(1).first() {
                    return references[reference].doc.prefix.clone();
                }
            }
            self.dataset.pairs.train[pair].doc.prefix.clone()
        };
        let mut prompts: Vec<Vec<u32>> = drawn.iter().map(prompt).collect();
        let context = self.trainer.policy.spec().max_positions;
        prompts.retain(|prompt| prompt.len() < context);
        prompts
    }
}
