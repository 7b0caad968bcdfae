//! Where the KL term has a say: which prompts the reference answers speak for, and where they fight the pairs.

use std::collections::HashSet;

use data::{
    PromptKey,
    config::{Method, RunConfig},
};

use super::documents::{Dataset, first};

/// What is wrong with it, as sentences.
pub fn coverage(config: &RunConfig, dataset: &Dataset) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.objective.kind == Method::Reward {
        // It writes nothing: there is no drift.
        return warnings;
    }
    let weight = config.objective.reference_weight();
    let references = &dataset.references;
    if weight > 0.0 && references.train.is_empty() {
        warnings.push(format!(
            "λ_ref is {weight}, but there are no reference answers, so the KL term has no say. Sample some from the model, or set λ_ref to 0"
        ));
    }
    let is_in_reward = config.objective.kind.samples() && config.kl_coef() > 0.0;
    if weight == 0.0 && !is_in_reward && !references.is_empty() {
        warnings.push("λ_ref is 0: the KL drift on the reference answers is measured but nothing holds it".to_owned());
    }
    let about: HashSet<PromptKey> = dataset.pairs.train.iter().map(|pair| pair.prompt).collect();
    let fighting = references.train.iter().filter(|answer| about.contains(&answer.prompt)).count();
    if weight > 0.0 && fighting > 0 {
        warnings.push(format!(
            "{fighting} of {} reference answers are on prompts that the pairs are about: there the KL term pulls against the preference",
            references.train.len()
        ));
    }
    let retention = config.objective.retention_weight();
    if retention > 0.0 && dataset.retention.train.is_empty() {
        warnings.push(format!("λ_pre is {retention}, but there is no retention text, so that term has no say"));
    }
    let measured = first(references.measured()).len();
    if measured < references.measured().len() {
        warnings.push(format!(
            "kl/ref is measured on the first {measured} of {} held-out reference answers",
            references.measured().len()
        ));
    }
    warnings
}
