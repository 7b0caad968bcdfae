//! Which prompts a step answers.

use data::{
    config::{Prompts, RunConfig},
    counted,
};

use crate::{
    dataset::{
        documents::{Dataset, TextDoc},
        sampler::Sampler,
    },
    loss::StepDoc,
    run::{checkpoint::State, training::Training},
};

/// What a person should know about the prompts before the first step.
pub fn remarks(config: &RunConfig, dataset: &Dataset, context: usize) -> Vec<String> {
    let most = config.rlhf.max_tokens;
    let tight = dataset.pairs.train.iter().filter(|pair| pair.doc.prefix.len() + most > context).count();
    let of_context = (tight > 0 && config.objective.kind.samples()).then(|| {
        format!(
            "{} of {} leave less room in the model's context of {context} tokens than the {most} of rlhf.max_tokens: answers to them are cut where it ends",
            counted(tight, "prompt", "prompts"),
            counted(dataset.pairs.train.len(), "pair", "pairs")
        )
    });
    no_references(config, dataset).into_iter().chain(of_context).collect()
}

/// A sentence where prompts of reference answers were asked for and there are none.
fn no_references(config: &RunConfig, dataset: &Dataset) -> Option<String> {
    let asked = config.objective.kind.samples() && config.rlhf.prompts == Prompts::WithReference;
    (asked && dataset.references.train.is_empty()).then(|| {
        "rlhf.prompts asks for prompts of the reference answers too, and there are none to train on: all prompts are those of pairs".to_owned()
    })
}

/// The reference answers whose prompts are answered too.
pub fn of_references<'a>(config: &RunConfig, dataset: &'a Dataset) -> &'a [TextDoc] {
    let asked = config.objective.kind.samples() && config.rlhf.prompts == Prompts::WithReference;
    if asked { &dataset.references.train } else { &[] }
}

/// A prompt that a step answers.
pub struct RolloutPrompt {
    /// The training pair or the reference answer that it is of.
    pub of: StepDoc,
    pub prompt: Vec<u32>,
}

impl Training {
    /// The prompts of the drawn pairs, every other one of them of a reference answer where that was asked for. Each
    /// leaves room for an answer: it was kept with one that fits.
    pub(super) fn prompts(&self, drawn: &[usize], next: &mut State) -> Vec<RolloutPrompt> {
        let references = of_references(&self.config, &self.dataset);
        let seed = self.config.train.shuffle_seed;
        let may_be_asked = |reference: &usize| !self.state.aside.references.contains(reference);
        let asked = drawn.iter().map(|&pair| {
            next.prompts += 1;
            if !references.is_empty() && next.prompts.is_multiple_of(2) {
                let order = next.reference_prompts.get_or_insert_with(|| Sampler::new(references.len(), seed, 3));
                if let Some(reference) = order.take(1).into_iter().find(may_be_asked) {
                    let prompt = references[reference].doc.prefix.to_vec();
                    return RolloutPrompt { of: StepDoc::Reference(reference), prompt };
                }
            }
            RolloutPrompt { of: StepDoc::Pair(pair), prompt: self.dataset.pairs.train[pair].doc.prefix.to_vec() }
        });
        asked.collect()
    }

    /// What a prompt is of, for a sentence.
    pub(super) fn asked_of(&self, of: StepDoc) -> String {
        match of {
            StepDoc::Pair(index) => format!("of pair {}", self.dataset.pairs.train[index].id.0),
            StepDoc::Reference(_) | StepDoc::Retention(_) | StepDoc::Rollout(_) => "of a reference answer".to_owned(),
        }
    }
}
