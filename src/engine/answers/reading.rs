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
    let under = |speakers: &mut Speakers, weights: &Weights, under| {
        let Speaker { policy, codec, limits, .. } = speakers.get(weights)?;
        let read = pair_scores::read((policy, under), codec, *limits, prompt, answers)?;
        read.map_err(|reason| TrainError::Sentence(format!("This cannot be read: {reason}")))
    };
    let project = project.to_owned();
    let Some((run, step)) = run else {
        let start = under(speakers, &Weights::Start { project }, Under::Policy)?;
        return Ok(TokenLogProbs { now: start.clone(), start });
    };
    let weights = |step| Weights::Run { project: project.clone(), run, step: Some(step) };
    let now = under(speakers, &weights(step), Under::Policy)?;
    // A run of all weights has only its own: what it started from is loaded for itself.
    let start = if speakers.get(&weights(step))?.policy.trains_its_weights() {
        under(speakers, &weights(0), Under::Policy)?
    } else {
        under(speakers, &weights(step), Under::Reference)?
    };
    Ok(TokenLogProbs { now, start })
}
