//! What a model makes of given answers, token by token.

use std::path::Path;

use data::{Answer, Prompt};
use model::Doc;
use store::{Project, RunId};
use text::{Codec, Limits};
use train::{
    Result, TrainError, importance,
    measure::pair_scores::{self, Under},
};

use crate::{
    answers::{Speaker, Speakers},
    protocol::{TokenLogProbs, Weights},
};

/// Why nothing is weighed under what runs start from.
const NO_RUN: &str = "Weights are those of a run: choose a checkpoint of one that has token weights";

/// Reads answers that share a prompt, as training would, under what runs start from or a run's checkpoint, and under
/// what that run started from; with what each token counts in that run, the first answer being the chosen one.
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
        read.map_err(unreadable)
    };
    let project = project.to_owned();
    let Some((run, step)) = run else {
        let start = under(speakers, &Weights::Start { project }, Under::Policy)?;
        return Ok(TokenLogProbs { now: start.clone(), start, weights: Err(NO_RUN.to_owned()) });
    };
    let weights = |step| Weights::Run { project: project.clone(), run, step: Some(step) };
    let now = under(speakers, &weights(step), Under::Policy)?;
    // A run of all weights has only its own: what it started from is loaded for itself.
    let start = if speakers.get(&weights(step))?.policy.trains_its_weights() {
        under(speakers, &weights(0), Under::Policy)?
    } else {
        under(speakers, &weights(step), Under::Reference)?
    };
    let weights = weigh(speakers, &project, (run, step), prompt, answers).map_err(|error| error.to_string());
    Ok(TokenLogProbs { now, start, weights })
}

/// What each token counts in a run as it stood at a step, the first answer being the chosen one.
pub fn weigh(
    speakers: &mut Speakers,
    project: &Path,
    (run, step): (RunId, u64),
    prompt: &Prompt,
    answers: &[Answer],
) -> Result<Vec<Vec<f32>>> {
    let weights = Weights::Run { project: project.to_owned(), run, step: Some(step) };
    let Speaker { policy, codec, limits, .. } = speakers.get_mut(&weights)?;
    let doc = doc_of(codec, *limits, prompt, answers)?;
    let mut project = Project::open(project)?;
    let record = project.run(run)?;
    importance::seen::weights(&mut project, &record, step, (policy, codec), &doc)
}

/// The answers as a run's training has them.
pub fn doc_of(codec: &Codec, limits: Limits, prompt: &Prompt, answers: &[Answer]) -> Result<Doc> {
    let answers: Vec<&Answer> = answers.iter().collect();
    let encoded = codec.encode_answers(prompt, &answers, limits).map_err(|reason| unreadable(reason.to_string()))?;
    let continuations = encoded.answers.into_iter().map(|answer| answer.ids);
    Ok(Doc::new(encoded.prefix, continuations))
}

fn unreadable(reason: String) -> TrainError {
    TrainError::Sentence(format!("This cannot be read: {reason}"))
}
