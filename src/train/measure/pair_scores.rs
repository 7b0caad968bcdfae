//! A project's pairs under given weights: what is computed of each, and by which names it is found again.

use data::{
    Answer, Pair, Prompt,
    config::{Margin, Method, RunConfig},
};
use model::{Doc, Policy, PolicyError, Reads, Row, Tokens};
use store::{Project, RunId, Score, Scored, ToScore};
use text::{Codec, Limits};

use crate::{
    dataset::{documents::known, inputs, packing::pack_for},
    error::Result,
    measure::embedding,
    objective::{Dpo, Objective, Smoothing},
    reward::ScoreScale,
    run::checkpoint,
};

/// Which weights of a loaded policy are meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Under {
    Policy,
    /// Those that it started from; only where an adapter is trained.
    Reference,
    /// A reward model, its scores in standard deviations.
    Scores(ScoreScale),
    /// A reward model before it has learnt anything: every score is 0.
    NoScores,
}

/// By which what runs start from is found, as the project's settings are now.
pub fn start_name(project: &Project, config: &RunConfig) -> Result<String> {
    let model = inputs::model_folder(project, config)?;
    let adapters = [&config.model.start_adapter, &config.model.continue_adapter].into_iter().flatten();
    let mut name = format!("start {}", model.display());
    for adapter in adapters {
        name = format!("{name} with {}", adapter.display());
    }
    let Limits { max_prompt, max_answer } = limits(config);
    Ok(format!("{name}, {:?}, {max_prompt} + {max_answer}", config.model.dtype))
}

/// By which a checkpoint is found.
pub fn checkpoint_name(run: RunId, step: u64) -> String {
    format!("run {} step {step}", run.0)
}

/// Where prompts are too long and answers are cut.
pub fn limits(config: &RunConfig) -> Limits {
    Limits { max_prompt: config.data.max_prompt_tokens, max_answer: config.data.max_answer_tokens }
}

/// Of everything that scores depend on besides the texts. `weights`: [`Policy::numbers`], with what was trained since.
pub fn identity(weights: &str, codec: &Codec, limits: Limits) -> String {
    let mut hasher = blake3::Hasher::new();
    // Weights under which a template says another date are other ones.
    let day = codec.day();
    for text in [weights, codec.identity()].into_iter().chain(day.as_deref()) {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    for limit in [limits.max_prompt, limits.max_answer] {
        hasher.update(&(limit as u64).to_le_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The objective of a run as it stood at a step, or of the settings for what has no step: β may be turned on the way.
pub fn objective_at(project: &Project, config: &RunConfig, at: Option<(RunId, u64)>) -> Result<Objective> {
    let Some((run, step)) = at else { return Ok(Objective::of(&config.objective)) };
    if config.objective.kind == Method::Reward {
        // With scores in place of log-probs, and 0 at the start, the loss of DPO is that of Bradley and Terry; what is
        // told in standard deviations was fitted in the head's own unit.
        let scale = checkpoint::state_of(&project.run(run)?.checkpoints, step).and_then(|state| state.scale);
        let beta = scale.map_or(1.0, |scale| scale.std);
        return Ok(Objective::Dpo(Dpo { beta, margin: Margin::AnchoredSum, smoothing: Smoothing::None }));
    }
    let knobs = checkpoint::state_of(&project.run(run)?.checkpoints, step).map(|state| state.knobs);
    Ok(Objective::of(&knobs.map_or_else(|| config.objective.clone(), |knobs| knobs.turned(&config.objective))))
}

/// Scores the two answers of each pair, in rows of up to `row_tokens`; those that cannot be scored have none. With
/// `embedding`, what each pair's texts are like to the model comes of the same pass, unless it is a reward model.
/// `wanted` is asked before every row; when it says no, the answer is `None`.
pub fn score(
    (policy, under, embedding): (&Policy, Under, bool),
    codec: &Codec,
    limits: Limits,
    asked: &[ToScore],
    row_tokens: usize,
    wanted: &dyn Fn() -> bool,
) -> Result<Option<Vec<Scored>>> {
    let docs: Vec<Option<Doc>> =
        asked.iter().map(|one| encode(policy, codec, &one.pair, &one.answers(), limits).ok()).collect();
    let mut scores: Vec<Option<[Score; 2]>> = vec![None; docs.len()];
    let mut embeddings: Vec<Option<Vec<u8>>> = vec![None; docs.len()];
    let encoded = docs.iter().enumerate().filter_map(|(index, doc)| Some((index, doc.as_ref()?)));
    let reads = if matches!(under, Under::Scores(_) | Under::NoScores) { Reads::Ends } else { Reads::LogProbs };
    for packed in pack_for(encoded, row_tokens, reads).map_err(PolicyError::from)? {
        if !wanted() {
            return Ok(None);
        }
        let read = if embedding && reads == Reads::LogProbs {
            let of_answers = match under {
                Under::Reference => policy.reference_embeddings(&packed.row)?,
                _ => policy.embeddings(&packed.row)?,
            };
            for (index, answers) in packed.by_owner(&of_answers) {
                let of_answers: Vec<&[f32]> = answers.iter().map(|(_, embedding)| embedding.as_slice()).collect();
                embeddings[index] = Some(embedding::packed(&of_answers));
            }
            of_answers.into_iter().map(|(values, _)| as_told(under, values)).collect()
        } else {
            read_row((policy, under), &packed.row)?
        };
        for (index, answers) in packed.by_owner(&read) {
            if let ([a, b], Some(doc)) = (answers, &docs[index]) {
                let score = |values: &[f64], ids: &Tokens| Score { log_prob: values.iter().sum(), tokens: ids.len() };
                scores[index] = Some([score(a, &doc.continuations[0]), score(b, &doc.continuations[1])]);
            }
        }
    }
    let scored = asked.iter().zip(scores).zip(embeddings);
    Ok(Some(scored.map(|((one, scores), embedding)| Scored::new(one, scores).embedded(embedding)).collect()))
}

/// log π of each token of answers that share a prompt, in their order, or why they cannot be read.
pub fn read(
    (policy, under): (&Policy, Under),
    codec: &Codec,
    limits: Limits,
    prompt: &Prompt,
    answers: &[Answer],
) -> Result<Result<Vec<Vec<f32>>, String>> {
    let doc = match doc_of(policy, codec, prompt, &answers.iter().collect::<Vec<_>>(), limits) {
        Ok(doc) => doc,
        Err(reason) => return Ok(Err(reason)),
    };
    if policy.has_scalar_head() {
        return Ok(Err("a reward model scores whole answers and has no log-probs of tokens".to_owned()));
    }
    let row = Row::pack(&[doc]).map_err(PolicyError::from)?;
    let read = read_row((policy, under), &row)?;
    Ok(Ok(read.into_iter().map(|values| values.into_iter().map(|value| value as f32).collect()).collect()))
}

fn read_row((policy, under): (&Policy, Under), row: &Row) -> Result<Vec<Vec<f64>>> {
    let read = match under {
        Under::Reference => policy.reference_log_probs(row)?,
        Under::Policy | Under::Scores(_) => policy.log_probs(row)?,
        Under::NoScores => vec![vec![0.0]; row.scored().len()],
    };
    Ok(read.into_iter().map(|values| as_told(under, values)).collect())
}

/// Scores are told in standard deviations.
fn as_told(under: Under, values: Vec<f32>) -> Vec<f64> {
    let number = |value: f32| match under {
        Under::Scores(scale) => scale.apply(f64::from(value)),
        _ => f64::from(value),
    };
    values.into_iter().map(number).collect()
}

/// Answers of a pair, two or more, as training sees them, or why they cannot be scored.
pub fn encode(policy: &Policy, codec: &Codec, pair: &Pair, places: &[usize], limits: Limits) -> Result<Doc, String> {
    let Some(answers) = places.iter().map(|&place| pair.answers.get(place)).collect::<Option<Vec<_>>>() else {
        return Err("it has fewer than two answers".to_owned());
    };
    doc_of(policy, codec, &pair.prompt, &answers, limits)
}

fn doc_of(policy: &Policy, codec: &Codec, prompt: &Prompt, answers: &[&Answer], limits: Limits) -> Result<Doc, String> {
    let encoded = codec.encode_answers(prompt, answers, limits).map_err(|reason| reason.to_string())?;
    let doc = Doc::new(encoded.prefix, encoded.answers.into_iter().map(|answer| answer.ids));
    known(&doc, codec, policy.spec().vocab_size)?;
    Ok(doc)
}
