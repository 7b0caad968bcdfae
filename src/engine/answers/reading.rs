//! What a model makes of given answers, token by token.

use std::path::Path;

use data::{Answer, Prompt};
use store::RunId;
use train::{
    Result, TrainError,
    measure::pair_scores::{self, Under},
};

use crate::{
    answers::{Speaker, Speakers},
    protocol::{TokenLogProbs, Weights},
};

/// Reads answers that share a prompt, as training would, under what runs start from or a run's checkpoint, and under what
/// that run started from.
pub fn read(
    speakers: &mut Speakers,
    project: &Path,
    run: Option<(RunId, u64)>,
    prompt: &Prompt,
    answers: &[Answer],
) -> Result<TokenLogProbs> {
    let mut under = |weights: &Weights, under| {
        let Speaker { policy, codec, limits, .. } = speakers.get(weights)?;
        let read = pair_scores::read((policy, under), codec, *limits, prompt, answers)?;
        read.map_err(|reason| TrainError::Sentence(format!("This cannot be read: {reason}")))
    };
    let project = project.to_owned();
    let Some((run, step)) = run else {
        let start = under(&Weights::Start { project }, Under::Policy)?;
        return Ok(TokenLogProbs { now: start.clone(), start });
    };
    let weights = |step| Weights::Run { project: project.clone(), run, step: Some(step) };
    let now = under(&weights(step), Under::Policy)?;
    // A run of all weights has only its own.
    let start = match under(&weights(step), Under::Reference) {
        Ok(start) => start,
        Err(_) => under(&weights(0), Under::Policy)?,
    };
    Ok(TokenLogProbs { now, start })
}
