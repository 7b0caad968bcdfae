//! A rollout tried before a run: what sampling takes goes token by token, and no row tells it.

use std::{cell::Cell, ops::ControlFlow, time::Instant};

use data::config::RunConfig;
use model::{GenerateOptions, Policy};

use crate::{dataset::documents::Dataset, error::Result};

/// What the sampling of a step takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingCost {
    pub secs: f64,
    /// Of all its answers.
    pub tokens: f64,
}

/// A trial that takes longer is cut short, and carried on to the longest answers by its pace.
const ENOUGH_SECS: f64 = 4.0;
/// Tokens an answer that tell a pace.
const LEAST: usize = 8;

/// Samples as many answers to training prompts as are sampled at once, as a step does. `None` = no longer wanted.
pub fn sample(
    policy: &Policy,
    config: &RunConfig,
    dataset: &Dataset,
    options: &GenerateOptions,
    wanted: &dyn Fn() -> bool,
) -> Result<Option<SamplingCost>> {
    let (pairs, count) = (&dataset.pairs.train, config.train.pairs_per_step);
    let spread = pairs.iter().step_by(pairs.len().div_ceil(count).max(1)).cycle().take(count);
    let each = config.answers_per_prompt();
    let mut prompts: Vec<Vec<u32>> =
        spread.flat_map(|pair| std::iter::repeat_n(pair.doc.prefix.to_vec(), each)).collect();
    let of_step = prompts.len() as f64;
    prompts.truncate(policy.answered_together(&prompts, options));
    let share = of_step / prompts.len() as f64;

    let started = Instant::now();
    let (first, rounds, is_cut) = (Cell::new(None), Cell::new(0), Cell::new(false));
    let go_on = || {
        is_cut.set(rounds.get() >= LEAST && started.elapsed().as_secs_f64() >= ENOUGH_SECS);
        wanted() && !is_cut.get()
    };
    let mut lengths = vec![0; prompts.len()];
    let answers = policy.generate_while(&prompts, options, &go_on, &mut |index, _| {
        first.set(first.get().or_else(|| Some(started.elapsed().as_secs_f64())));
        lengths[index] += 1;
        rounds.set(rounds.get().max(lengths[index]));
        ControlFlow::Continue(())
    })?;
    if !wanted() {
        return Ok(None);
    }
    let (mut secs, longest) = (started.elapsed().as_secs_f64(), options.max_new);
    if let (true, Some(first)) = (is_cut.get(), first.get()) {
        let a_token = (secs - first) / (rounds.get() - 1).max(1) as f64;
        secs += a_token * longest.saturating_sub(rounds.get()) as f64;
    }
    let tokens =
        answers.iter().map(|answer| if is_cut.get() && !answer.stopped_by_eos { longest } else { answer.ids.len() });
    Ok(Some(SamplingCost { secs: share * secs, tokens: share * tokens.sum::<usize>() as f64 }))
}
