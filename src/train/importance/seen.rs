//! The token weights of given answers, as a run has them: for the token view and the command line.

use std::ops::ControlFlow;

use data::{PairSide, config::RunConfig};
use model::{Doc, Policy, PolicyError, Row};
use store::{Project, RunRecord};
use text::Codec;

use super::{
    TokenReads, reads,
    weigher::{contrasts, of_answers},
};
use crate::{
    error::{Result, TrainError},
    measure::reference::{ReadRow, Reference, ReferenceSource, StartWeights},
    run::checkpoint::{self, Contrasted},
};

/// What a run whose tokens all count alike says of weights.
pub const ALIKE: &str = "This run counts all tokens alike (objective.token_weights)";

/// Weights of a document's answers, the first of them as a chosen one and the others as rejected, by the run's settings
/// and with `policy` holding its weights of `step`. A sentence where there are none.
pub fn weights(
    project: &mut Project,
    record: &RunRecord,
    step: u64,
    (policy, codec): (&mut Policy, &Codec),
    doc: &Doc,
) -> Result<Vec<Vec<f32>>> {
    let config = record.config()?;
    let read = match reads(&config).ok_or_else(|| TrainError::Sentence(ALIKE.to_owned()))? {
        TokenReads::Contrasts => {
            let state = checkpoint::state_of(&record.checkpoints, step);
            let contrasted = state.and_then(|state| state.contrast).ok_or_else(|| {
                TrainError::Sentence(
                    "This checkpoint names no contrast pair that its weights would come from".to_owned(),
                )
            })?;
            by_contrast(project, &contrasted, &config, (policy, codec), doc)?
        }
        TokenReads::StartGradients => {
            let base = Reference::of(policy, codec);
            let named = super::at_start(&base);
            let mut start = policy.beside(&super::narrowest(&config), None)?;
            kept(project, &named, &mut start, doc, &mut |start, row| Ok(start.attributions(row)?))?
        }
        TokenReads::Gradients => {
            policy.attributions(&Row::pack(std::slice::from_ref(doc)).map_err(PolicyError::from)?)?
        }
    };
    Ok(of_answers(&config, &read, &doc.continuations, codec.stop_ids()))
}

fn by_contrast(
    project: &mut Project,
    contrasted: &Contrasted,
    config: &RunConfig,
    (policy, codec): (&mut Policy, &Codec),
    doc: &Doc,
) -> Result<Vec<Vec<f32>>> {
    let sides = [PairSide::Chosen, PairSide::Rejected];
    let named = sides.map(|side| contrasted.as_reference(side, codec.identity()));
    let is_kept = |named: &Reference| named.has_all(project, &[doc]);
    let mut sets = if is_kept(&named[0])? && is_kept(&named[1])? {
        None
    } else {
        let opened = contrasted.open(project.dir(), policy, config)?;
        Some(opened.ok_or_else(|| {
            TrainError::Sentence(format!(
                "The contrast pair that these weights come from is gone from the project (contrast/{})",
                contrasted.name
            ))
        })?)
    };
    let mut of = |side: usize| match &mut sets {
        Some(sets) => kept(project, &named[side], &mut sets[side], doc, &mut |set, row| Ok(set.log_probs(row)?)),
        // All of it is kept: nothing is read.
        None => kept(project, &named[side], policy, doc, &mut |_, _| Err(TrainError::CutShort)),
    };
    let (positive, negative) = (vec![of(0)?], vec![of(1)?]);
    Ok(contrasts(&positive, &negative).pop().unwrap_or_default())
}

/// What `read` finds of a document's tokens, kept in the project under this name.
fn kept(
    project: &mut Project,
    named: &Reference,
    policy: &mut Policy,
    doc: &Doc,
    read: &mut ReadRow<'_>,
) -> Result<Vec<Vec<f32>>> {
    let mut source = ReferenceSource { cache: project, policy, origin: &StartWeights::Gone, budget: usize::MAX };
    let found = named.kept(&mut source, &[doc], read, &mut |_, _| ControlFlow::Continue(()))?;
    let answers = found.and_then(|found| found.log_probs.into_iter().next());
    answers.ok_or_else(|| TrainError::Sentence("Nothing was read of these answers".to_owned()))
}
