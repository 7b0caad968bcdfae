//! Answering, measured: how fast prompts are read and how fast tokens come.

use std::{ops::ControlFlow, time::Instant};

use data::MEGABYTE;
use kernels::device;
use model::{GenerateOptions, LoadOptions, Policy};
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use super::{BenchModel, DeviceReport, SEED, load};
use crate::{
    error::{Result, TrainError},
    memory::process,
};

/// Tokens of a prompt, and prompts at once: no more than are read in one go.
const CASES: [(usize, usize); 4] = [(64, 1), (64, 8), (1000, 1), (1000, 4)];
/// Tokens of each answer.
const NEW_TOKENS: usize = 32;
/// The best of so many tries counts: what a neighbour disturbs is not the machine's speed.
const TRIES: usize = 3;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct GenerationReport {
    pub model: String,
    pub device: DeviceReport,
    pub dtype: String,
    pub threads: usize,
    pub cases: Vec<GenerationCase>,
    /// The most memory that was held on the device, loading included.
    pub peak_memory_mb: f64,
}

/// Some prompts of one length, answered greedily.
#[derive(Debug, Clone, Serialize)]
pub struct GenerationCase {
    pub prompt_tokens: usize,
    pub at_once: usize,
    /// Prompt tokens of all prompts, up to the first new token.
    pub prefill_tokens_per_s: f64,
    /// New tokens of all answers, after the first one.
    pub decode_tokens_per_s: f64,
}

/// Loads the model without an adapter and answers random prompts, on the current pool.
///
/// # Errors
///
/// A model that cannot be loaded or computed with.
pub fn generation(
    model: &BenchModel,
    options: &LoadOptions,
    on_phase: &mut dyn FnMut(&str),
) -> Result<GenerationReport> {
    on_phase("Loading the model");
    let (name, policy) = load(model, options, on_phase)?;
    let longest = policy.spec().max_positions.saturating_sub(NEW_TOKENS);
    let mut cases = Vec::new();
    for (prompt_tokens, at_once) in CASES {
        if prompt_tokens > longest {
            continue;
        }
        on_phase(&format!("{at_once} × {prompt_tokens} tokens"));
        let mut best = measure(&policy, prompt_tokens, at_once)?;
        for _ in 1..TRIES {
            let next = measure(&policy, prompt_tokens, at_once)?;
            best.prefill_tokens_per_s = best.prefill_tokens_per_s.max(next.prefill_tokens_per_s);
            best.decode_tokens_per_s = best.decode_tokens_per_s.max(next.decode_tokens_per_s);
        }
        cases.push(best);
    }
    if cases.is_empty() {
        return Err(TrainError::Sentence(format!(
            "{name} reads {} tokens at most; answers are measured after prompts of {} and more",
            policy.spec().max_positions,
            CASES[0].0
        )));
    }
    let peak = device::memory(policy.place()).map_or_else(process::peak_resident_bytes, |memory| memory.peak);
    Ok(GenerationReport {
        model: name,
        device: DeviceReport::of(policy.place()),
        dtype: policy.weight_format(),
        threads: rayon::current_num_threads(),
        cases,
        peak_memory_mb: peak as f64 / MEGABYTE as f64,
    })
}

fn measure(policy: &Policy, prompt_tokens: usize, at_once: usize) -> Result<GenerationCase> {
    let mut stream = rand_chacha::ChaCha8Rng::seed_from_u64(SEED);
    let vocabulary = policy.spec().vocab_size as u32;
    let mut prompt = || -> Vec<u32> {
        let ids = (0..prompt_tokens).map(|_| stream.random_range(0..vocabulary));
        ids.collect()
    };
    let prompts: Vec<Vec<u32>> = (0..at_once).map(|_| prompt()).collect();
    let options = GenerateOptions { max_new: NEW_TOKENS, ..GenerateOptions::default() };
    let begun = Instant::now();
    let (mut first, mut heard) = (begun, 0);
    policy.generate(&prompts, &options, &mut |_, _| {
        heard += 1;
        if heard == at_once {
            first = Instant::now();
        }
        ControlFlow::Continue(())
    })?;
    let ended = Instant::now();
    let rest = at_once * (NEW_TOKENS - 1);
    Ok(GenerationCase {
        prompt_tokens,
        at_once,
        prefill_tokens_per_s: (prompt_tokens * at_once) as f64 / (first - begun).as_secs_f64(),
        decode_tokens_per_s: rest as f64 / (ended - first).as_secs_f64(),
    })
}
