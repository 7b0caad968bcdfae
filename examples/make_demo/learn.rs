//! Teaches the model the islands: next-token prediction on conversations and guide book pages, from random weights.
//!
//! Nothing of a preference is in here. What is trained is the project's own policy, by its own backward and optimizer.

use std::{collections::HashMap, path::Path, time::Instant};

use anyhow::{Context as _, Result};
use candle_core::{DType, Device, Tensor};
use nudge::{
    data::Prompt,
    model::{AdamW, AdamWOptions, Doc, LoadOptions, Policy},
    text::{Codec, Limits},
    train::{
        dataset::packing::Packed,
        step::{Loss, Plan, Slopes, Trainer, go_on},
    },
};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::{
    Stream,
    chat::{Question, conversation},
    guide, stream,
    world::World,
};

/// How long and how fast it learns.
pub struct Lessons {
    pub steps: u64,
    /// Tokens of one packed row, one row a step.
    pub row_tokens: usize,
    pub peak_learning_rate: f64,
}

/// One document in so many is a page of the guide book.
const PROSE_SHARE: f64 = 0.12;
const WARMUP_STEPS: f64 = 100.0;

/// Trains the folder's weights and writes them back in bf16.
pub fn learn(world: &World, seed: u64, folder: &Path, lessons: &Lessons) -> Result<()> {
    let codec = Codec::load(folder)?;
    let options = LoadOptions { full: true, ..LoadOptions::default() };
    let policy = Policy::load(folder, &options)?;
    let optimizer = AdamW::new(
        policy.parameters(),
        AdamWOptions { betas: [0.9, 0.98], weight_decay: 0.01, ..AdamWOptions::default() },
    )?;
    let mut trainer = Trainer { policy, optimizer, memory: None };
    let questions = Question::all(world);
    let mut rng = stream(seed, Stream::Lessons);
    let started = Instant::now();
    let (mut tokens, mut recent) = (0, 0.0);
    eprintln!(
        "{} parameters, {} steps of {} tokens",
        trainer.policy.total_parameters(),
        lessons.steps,
        lessons.row_tokens
    );
    for step in 0..lessons.steps {
        let docs = documents(world, &questions, &codec, lessons.row_tokens, &mut rng)?;
        let row = Packed::of(&docs.iter().map(|doc| ((), doc)).collect::<Vec<_>>())?;
        let mut loss = MeanNll::of(&docs);
        let plan =
            Plan { step: step + 1, rows: &[row], learning_rate: learning_rate(step, lessons), max_grad_norm: 1.0 };
        let done = trainer.step(plan, &mut loss, &mut go_on)?.done()?;
        let (nll, norm) = (loss.value(), done.gradient_norm);
        tokens += done.passes.tokens;
        recent = if step == 0 { nll } else { 0.95 * recent + 0.05 * nll };
        if (step + 1) % 50 == 0 || step + 1 == lessons.steps {
            let seconds = started.elapsed().as_secs_f64();
            eprintln!(
                "step {:5}  nll {recent:.3}  gradient {norm:.2}  {:.0} tokens/s  {seconds:.0} s",
                step + 1,
                tokens as f64 / seconds
            );
        }
    }
    save(&trainer.policy, folder)
}

/// Warms up, stays, and falls to nothing over the last two thirds.
fn learning_rate(step: u64, lessons: &Lessons) -> f64 {
    let (step, steps) = (step as f64, lessons.steps as f64);
    let warm = ((step + 1.0) / WARMUP_STEPS).min(1.0);
    let falling = ((steps - step) / (steps * 2.0 / 3.0)).min(1.0);
    lessons.peak_learning_rate * warm * falling
}

/// −log π_θ of every token, mean over a step's.
struct MeanNll {
    tokens: usize,
    log_probs: f64,
}

impl MeanNll {
    fn of(docs: &[Doc]) -> Self {
        Self { tokens: docs.iter().map(Doc::answer_tokens).sum(), log_probs: 0.0 }
    }
}

impl Loss<()> for MeanNll {
    fn add(&mut self, (): (), log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        for answer in log_probs {
            self.log_probs += answer.iter().map(|&log_prob| f64::from(log_prob)).sum::<f64>();
            slopes.answer(-1.0 / self.tokens as f32, answer.len());
        }
    }

    fn value(&self) -> f64 {
        -self.log_probs / self.tokens as f64
    }
}

/// Conversations and pages until a row is full.
fn documents(
    world: &World,
    questions: &[Question<'_>],
    codec: &Codec,
    row_tokens: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Doc>> {
    let mut docs = Vec::new();
    let mut tokens = 0;
    while tokens < row_tokens {
        let doc = if rng.random_bool(PROSE_SHARE) {
            Doc::text(&codec.encode_text(&guide::paragraph(world, rng))).context("a page of the guide book is empty")?
        } else {
            let mut turns = conversation(world, questions, rng);
            let answer = turns.pop().context("a conversation has an answer")?;
            let encoded = codec.encode_answers(&Prompt::chat(turns), &[&answer.content], Limits::NONE)?;
            Doc::new(encoded.prefix, encoded.answers.into_iter().map(|a| a.ids))
        };
        tokens += doc.tokens();
        docs.push(doc);
    }
    Ok(docs)
}

fn save(policy: &Policy, folder: &Path) -> Result<()> {
    let tensors: HashMap<String, Tensor> = policy
        .trainable()?
        .into_iter()
        .map(|(name, tensor)| {
            let values = Tensor::from_vec(tensor.to_vec::<f32>()?, tensor.dims(), &Device::Cpu)?;
            Ok((name, values.to_dtype(DType::BF16)?))
        })
        .collect::<Result<_>>()?;
    let path = folder.join("model.safetensors");
    candle_core::safetensors::save(&tensors, &path).with_context(|| format!("cannot write {}", path.display()))
}
