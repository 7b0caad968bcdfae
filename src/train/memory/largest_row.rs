//! The largest row forward and backward before the first step: what memory it takes, how long it lasts, and what
//! follows from that for the run.

use std::{cmp::Reverse, time::Instant};

use data::{
    MEGABYTE,
    config::{Recompute, RunConfig},
    counted, megabytes,
};
use kernels::device;
use model::{Doc, Policy, PolicyError, Reads, Tokens};

use crate::{
    dataset::{
        documents::{Dataset, PairDoc, TextDoc},
        negatives,
        packing::{Packed, pack_for},
    },
    error::{Result, TrainError},
    memory::{
        budget::MemoryLimit,
        outlook::{EstimateBasis, MemoryOutlook},
        process,
    },
    reward,
    rlhf::{prompts, rollout},
    run::checkpoint::Aside,
    step::{Loss, Slopes, go_on, gradient},
};

/// An attempt that takes longer is not repeated.
const LONG_SECS: f64 = 2.0;
/// Quick ones are repeated for so long: where other programs compute, one of several may find the processor free.
const TRYING_SECS: f64 = 0.7;
/// Pairs named when they do not fit.
const NAMED: usize = 10;

/// What was tried, and what it says about the run.
pub struct Tried {
    /// Absent when nothing fits.
    pub secs_a_token: Option<f64>,
    /// The mean try took so many times that, at least 1: other programs kept the processor busy.
    pub mean_try: f64,
    pub outlook: MemoryOutlook,
    /// What fits no row of its own, even with all the recomputation that the settings allow.
    pub never_fit: Aside,
    /// Sentences for the person who starts the run.
    pub warnings: Vec<String>,
}

/// One row, forward and backward.
struct Attempt {
    peak: u64,
    took: Took,
}

/// Of the tries of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Took {
    /// Of the quickest, or less where the processor was busy with something else, see [`Took::of`].
    secs: f64,
    /// In the mean, without the first if there are others: it pays for fresh memory.
    mean: f64,
}

/// With the processor to itself a row keeps its threads busy for about this share of the time.
const BUSY_SHARE: f64 = 0.8;

impl Took {
    /// `walls`: seconds by the clock, a try each. `processor_secs`: what all threads computed meanwhile, where that is
    /// known; a try with `threads` to itself takes no longer than this says.
    fn of(walls: &[f64], processor_secs: Option<f64>, threads: usize) -> Self {
        let quickest = walls.iter().copied().fold(f64::INFINITY, f64::min);
        let counted = if walls.len() > 1 { &walls[1..] } else { walls };
        let mean = counted.iter().sum::<f64>() / counted.len().max(1) as f64;
        let alone =
            processor_secs.filter(|secs| *secs > 0.0).map(|secs| secs / (BUSY_SHARE * (threads * walls.len()) as f64));
        Self { secs: alone.map_or(quickest, |alone| quickest.min(alone)), mean }
    }
}

/// Tries the largest row that rows of `budget` tokens make. What it takes corrects `room`, and with it how many blocks
/// run their forward again; `budget` is halved until its rows fit. `again`: several times where the first was quick,
/// because the first time pays for fresh memory.
pub fn try_out(
    policy: &mut Policy,
    config: &RunConfig,
    dataset: &Dataset,
    budget: &mut usize,
    memory: &mut MemoryLimit,
    again: bool,
) -> Result<Tried> {
    let asked = *budget;
    let (drawn, sampled) = (drawn(config, dataset), sampled(config, dataset, policy.spec().max_positions));
    let (docs, reads) = (longest(config, dataset, (&drawn, &sampled)), reward::measure::reads(config));
    // No step has more than its own documents in a row.
    let most = 3 * config.train.pairs_per_step;
    let mut tried = None;
    loop {
        let Some(packed) = largest(policy, (&docs, reads), most, budget, *memory)? else {
            break;
        };
        let (row, is_alone) = (&packed.row, packed.alone().is_some());
        let row_bytes = policy.row_bytes(row.tokens(), row.answer_tokens());
        match attempt(policy, &packed, again) {
            Ok(attempt) => {
                let blocks = policy.recomputed_blocks(row);
                let peak = memory.learn(policy, attempt.peak, row_bytes);
                tried = Some((packed.row, blocks, peak, attempt.took));
                break;
            }
            Err(error) if error.is_out_of_memory() && !is_alone => *budget = (*budget / 2).max(1),
            Err(error) if error.is_out_of_memory() => break,
            Err(error) => return Err(error),
        }
    }

    // The same question with what is known now.
    let row = largest(policy, (&docs, reads), most, budget, *memory)?.map(|packed| packed.row);
    let never_fit = never_fit(policy, (config, dataset), &drawn, *memory);
    let (tokens, answers) = row
        .as_ref()
        .or(tried.as_ref().map(|(row, ..)| row))
        .map(|row| (row.tokens(), row.answer_tokens()))
        .or_else(|| docs.last().map(|doc| (doc.tokens(), doc.answer_tokens())))
        .unwrap_or_default();
    let blocks = row.as_ref().map_or(0, |row| policy.recomputed_blocks(row));
    let row_bytes = match &row {
        Some(_) => policy.row_bytes(tokens, answers),
        None => policy.least_row_bytes(tokens, answers),
    };
    let (peak, basis) = match &tried {
        Some((tried, tried_blocks, peak, _)) if (tried.tokens(), *tried_blocks) == (tokens, blocks) => {
            (*peak, EstimateBasis::Measured)
        }
        Some(_) => (memory.peak(policy, row_bytes), EstimateBasis::FromMeasured),
        None => (memory.peak(policy, row_bytes), EstimateBasis::Estimated),
    };
    let cache_bytes = caches(policy, config, &sampled, *memory);
    let at_sampling = memory.peak(policy, cache_bytes);
    let is_more = cache_bytes > 0 && at_sampling > peak;
    let (peak, basis) = if is_more { (at_sampling, EstimateBasis::Estimated) } else { (peak, basis) };
    let outlook = MemoryOutlook {
        peak_memory_bytes: peak,
        peak_memory_is: basis,
        estimated_memory_bytes: policy.fixed_bytes() + row_bytes.max(cache_bytes),
        cache_bytes,
        memory_limit_bytes: memory.limit(),
        row_tokens: *budget,
        largest_row_tokens: tokens,
        recomputed_blocks: blocks,
        blocks: policy.spec().layers.len(),
    };
    let mut warnings = Vec::new();
    if let Some((row, _, peak, _)) = &tried
        && *peak > memory.limit()
    {
        warnings.push(format!(
            "A row of {} tokens was tried and the program held {} MB, but {} MB may be taken: {}",
            row.tokens(),
            megabytes(*peak),
            memory.limit() / MEGABYTE,
            consequence(&outlook, config)
        ));
    }
    if *budget < asked {
        warnings.push(format!(
            "Rows hold {budget} tokens instead of {asked}, because larger ones do not fit the {} MB that may be taken; a larger train.memory_mb allows larger ones, which are quicker",
            memory.limit() / MEGABYTE
        ));
    }
    warnings.extend(too_large(&never_fit, dataset, memory.limit(), config));
    let took = tried.map(|(row, _, _, took)| (took.secs / row.tokens() as f64, took.mean / took.secs));
    let (secs_a_token, mean_try) = took.map_or((None, 1.0), |(secs, mean)| (Some(secs), mean.max(1.0)));
    Ok(Tried { secs_a_token, mean_try, outlook, never_fit, warnings })
}

/// Of each training pair the largest document that a visit may draw of it, where it does not meet the whole.
fn drawn(config: &RunConfig, dataset: &Dataset) -> Vec<Option<Doc>> {
    dataset.pairs.train.iter().map(|pair| negatives::largest(pair, config.objective.negatives_max)).collect()
}

/// What a visit of each training pair meets at most.
fn met<'a>(dataset: &'a Dataset, drawn: &'a [Option<Doc>]) -> impl Iterator<Item = &'a Doc> {
    dataset.pairs.train.iter().zip(drawn).map(|(pair, drawn)| drawn.as_ref().unwrap_or(&pair.doc))
}

/// The longest documents that steps are made of, longest first.
fn longest<'a>(
    config: &RunConfig,
    dataset: &'a Dataset,
    (drawn, sampled): (&'a [Option<Doc>], &'a [Doc]),
) -> Vec<&'a Doc> {
    let (references, retention) = texts(config, dataset);
    // Where answers are sampled a step meets them, and not those of the pairs.
    let pairs = met(dataset, drawn).filter(|_| !config.objective.kind.samples());
    let texts = references.iter().chain(retention).map(|text| &text.doc);
    let mut longest: Vec<&Doc> = pairs.chain(sampled).chain(texts).collect();
    longest.sort_by_key(|doc| Reverse(doc.tokens()));
    longest
}

/// What a step samples at its largest: the longest prompts, each with answers of the greatest length.
fn sampled(config: &RunConfig, dataset: &Dataset, context: usize) -> Vec<Doc> {
    if !config.objective.kind.samples() {
        return Vec::new();
    }
    let of_pairs = dataset.pairs.train.iter().map(|pair| &pair.doc.prefix);
    let of_references = prompts::of_references(config, dataset).iter().map(|text| &text.doc.prefix);
    let mut asked: Vec<&Tokens> = of_pairs.chain(of_references).filter(|prompt| prompt.len() < context).collect();
    asked.sort_by_key(|prompt| Reverse(prompt.len()));
    let answers = asked.into_iter().take(config.train.pairs_per_step).map(|prompt| {
        Doc::new(
            prompt.clone(),
            vec![vec![0; longest_answer(config, prompt.len(), context)]; config.answers_per_prompt()],
        )
    });
    answers.collect()
}

/// Keys and values of as many of these answers as are sampled at once.
fn caches(policy: &Policy, config: &RunConfig, sampled: &[Doc], memory: MemoryLimit) -> u64 {
    let each = config.answers_per_prompt();
    let prompts: Vec<Vec<u32>> =
        sampled.iter().flat_map(|doc| std::iter::repeat_n(doc.prefix.to_vec(), each)).collect();
    if prompts.is_empty() {
        return 0;
    }
    let options = rollout::options(config, 0, &[]).within(Some(memory.for_caches(policy)));
    let together = &prompts[..policy.answered_together(&prompts, &options)];
    together.iter().map(|prompt| policy.cache_bytes(prompt.len(), options.max_new) as u64).sum()
}

/// Tokens of the longest answer that is sampled to a prompt of so many.
fn longest_answer(config: &RunConfig, prompt: usize, context: usize) -> usize {
    config.rlhf.max_tokens.min(context.saturating_sub(prompt))
}

/// The least that a row of a prompt and all its sampled answers takes: tokens and bytes.
fn least_sampled(policy: &Policy, config: &RunConfig, prompt: usize) -> (usize, u64) {
    let (each, count) = (longest_answer(config, prompt, policy.spec().max_positions), config.answers_per_prompt());
    let tokens = prompt + count * each.saturating_sub(1);
    (tokens, policy.least_row_bytes(tokens, count * each))
}

/// The smallest row that a step could begin with, alone: tokens, and bytes at least.
pub fn smallest(policy: &Policy, config: &RunConfig, dataset: &Dataset) -> (usize, u64) {
    let of = |doc: &Doc| {
        if config.objective.kind.samples() {
            least_sampled(policy, config, doc.prefix.len())
        } else {
            (doc.tokens(), policy.least_row_bytes(doc.tokens(), doc.answer_tokens()))
        }
    };
    dataset.pairs.train.iter().map(|pair| of(&pair.doc)).min_by_key(|(_, bytes)| *bytes).unwrap_or_default()
}

/// Reference answers and retention text that the run trains on.
pub fn texts<'a>(config: &RunConfig, dataset: &'a Dataset) -> (&'a [TextDoc], &'a [TextDoc]) {
    let used = |weight: f64, texts: &'a [TextDoc]| if weight > 0.0 { texts } else { &[] };
    (
        used(config.objective.reference_weight(), &dataset.references.train),
        used(config.objective.retention_weight(), &dataset.retention.train),
    )
}

/// The largest row of at most `most` of `docs` that fits. Halves `budget` while rows of several do not fit; a document
/// that does not fit on its own is passed over. The policy knows of the room afterwards.
fn largest(
    policy: &mut Policy,
    (docs, reads): (&[&Doc], Reads),
    most: usize,
    budget: &mut usize,
    memory: MemoryLimit,
) -> Result<Option<Packed<()>>> {
    let space = memory.now(policy);
    policy.set_room(space);
    let least = |tokens, answers| policy.least_row_bytes(tokens, answers);
    let fitting: Vec<&Doc> =
        docs.iter().copied().filter(|doc| least(doc.tokens(), doc.answer_tokens()) <= space).take(most).collect();
    loop {
        let first = fitting.iter().scan(0, |tokens, doc| {
            *tokens += doc.tokens();
            Some(*tokens)
        });
        // One row of the longest is enough: all others are shorter.
        let count = first.take_while(|tokens| *tokens <= *budget).count().max(1);
        let some = fitting.iter().take(count).map(|doc| ((), *doc));
        let rows: Vec<Packed<()>> = pack_for(some, *budget, reads).map_err(PolicyError::from)?;
        let Some(packed) = rows.into_iter().next() else {
            return Ok(None);
        };
        if packed.alone().is_some() || least(packed.row.tokens(), packed.row.answer_tokens()) <= space {
            return Ok(Some(packed));
        }
        *budget = (*budget / 2).max(1);
    }
}

fn attempt(policy: &mut Policy, row: &Packed<()>, again: bool) -> Result<Attempt> {
    // So that the pages of the gradients are there before.
    policy.gradients().zero().map_err(PolicyError::from)?;
    device::forget_peak(policy.place());
    let watch = process::PeakWatch::start().map_err(TrainError::io("watch", "memory"))?;
    let rows = std::slice::from_ref(row);
    let mut walls = Vec::new();
    let (begun, computed) = (Instant::now(), process::processor_secs());
    loop {
        let started = Instant::now();
        gradient(policy, None, 1, rows, &mut Even, &mut go_on)?.done()?;
        let secs = started.elapsed().as_secs_f64();
        walls.push(secs);
        let enough = walls.len() > 1 && begun.elapsed().as_secs_f64() > TRYING_SECS;
        if !again || secs > LONG_SECS || enough {
            break;
        }
    }
    // A card computes in no time of the processor's.
    let computed = policy.place().is_cpu().then(|| process::processor_secs() - computed);
    let took = Took::of(&walls, computed, rayon::current_num_threads());
    let (peak, _) = watch.finish();
    let peak = device::memory(policy.place()).map_or(peak, |memory| memory.peak);
    policy.gradients().zero().map_err(PolicyError::from)?;
    Ok(Attempt { peak, took })
}

/// Every token pulls alike.
struct Even;

impl Loss<()> for Even {
    fn add(&mut self, (): (), log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        for answer in log_probs {
            slopes.answer(1e-3, answer.len());
        }
    }

    fn value(&self) -> f64 {
        0.0
    }
}

fn never_fit(
    policy: &Policy,
    (config, dataset): (&RunConfig, &Dataset),
    drawn: &[Option<Doc>],
    memory: MemoryLimit,
) -> Aside {
    let space = memory.whole(policy);
    let fits = |doc: &Doc| policy.least_row_bytes(doc.tokens(), doc.answer_tokens()) <= space;
    let is_answered = |doc: &Doc| least_sampled(policy, config, doc.prefix.len()).1 <= space;
    let of = |docs: &mut dyn Iterator<Item = &Doc>, fits: &dyn Fn(&Doc) -> bool| -> Vec<usize> {
        let indexed = docs.enumerate().filter(|(_, doc)| !fits(doc));
        indexed.map(|(index, _)| index).collect()
    };
    let samples = config.objective.kind.samples();
    let asks_references = !prompts::of_references(config, dataset).is_empty();
    Aside {
        pairs: if samples {
            of(&mut dataset.pairs.train.iter().map(|pair| &pair.doc), &is_answered)
        } else {
            of(&mut met(dataset, drawn), &fits)
        },
        references: of(&mut dataset.references.train.iter().map(|text| &text.doc), &|doc| {
            fits(doc) && (!asks_references || is_answered(doc))
        }),
        retention: of(&mut dataset.retention.train.iter().map(|text| &text.doc), &fits),
    }
}

/// What is done about a row that took too much, and what can be done.
fn consequence(outlook: &MemoryOutlook, config: &RunConfig) -> String {
    let then = format!(
        "{} of {} blocks run their forward again in rows of up to {} tokens, which should take {} MB",
        outlook.recomputed_blocks,
        outlook.blocks,
        outlook.largest_row_tokens,
        megabytes(outlook.peak_memory_bytes)
    );
    if outlook.fits() { then } else { format!("{then}, still too much. {}", cures(config)) }
}

fn cures(config: &RunConfig) -> String {
    let recompute = match config.train.recompute {
        Recompute::Never => "train.recompute = \"auto\", ",
        Recompute::Auto | Recompute::Always => "",
    };
    let limit = match config.train.memory_mb {
        Some(_) => "a larger train.memory_mb",
        None => "closing other programs",
    };
    let answers = if config.objective.kind.samples() {
        "fewer answers to a prompt (rlhf.answers_per_prompt) or shorter ones (rlhf.max_tokens)"
    } else {
        "shorter answers (data.max_answer_tokens)"
    };
    format!("What helps: {recompute}a smaller train.micro_batch_tokens, {answers}, a smaller model.dtype, or {limit}")
}

/// Which pairs and texts would be set aside.
fn too_large(aside: &Aside, dataset: &Dataset, limit: u64, config: &RunConfig) -> Vec<String> {
    let mut sentences = Vec::new();
    let limit = limit / MEGABYTE;
    if !aside.pairs.is_empty() {
        let pair = |index: &usize| dataset.pairs.train.get(*index).map(|pair: &PairDoc| pair.id.0);
        let named: Vec<String> = aside.pairs.iter().filter_map(pair).take(NAMED).map(|id| id.to_string()).collect();
        let more = if aside.pairs.len() > named.len() { ", …" } else { "" };
        let count = aside.pairs.len();
        let what = if config.objective.kind.samples() {
            format!(
                "the prompts of {}, each with its {} answers",
                counted(count, "pair", "pairs"),
                config.answers_per_prompt()
            )
        } else {
            counted(count, "pair", "pairs")
        };
        sentences.push(format!(
            "Set aside, because they never fit the {limit} MB that may be taken, not even alone in a row: {what} ({}{more}). {}",
            named.join(", "),
            cures(config)
        ));
    }
    let (references, retention) = texts(config, dataset);
    let references = if references.is_empty() { prompts::of_references(config, dataset) } else { references };
    for ([one, many], indices, used) in [
        (["reference answer", "reference answers"], &aside.references, references),
        (["piece of retention text", "pieces of retention text"], &aside.retention, retention),
    ] {
        if !indices.is_empty() && !used.is_empty() {
            let texts = counted(indices.len(), one, many);
            sentences.push(format!("Set aside, because they never fit the {limit} MB that may be taken: {texts}"));
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_processor_makes_a_row_slower_and_no_row_longer() {
        let quiet = Took::of(&[0.3, 0.1, 0.11, 0.12], Some(1.05), 2);
        assert_eq!(
            (quiet.secs, (quiet.mean * 1e3).round()),
            (0.1, 110.0),
            "the quickest, and the mean behind the first"
        );
        // Three other programs at every core: four times as long by the clock, and no more computed.
        let busy = Took::of(&[0.4, 0.4, 0.4], Some(0.48), 2);
        assert!((busy.secs - 0.1).abs() < 1e-9 && (busy.mean / busy.secs - 4.0).abs() < 1e-9, "{busy:?}");
        assert_eq!(Took::of(&[0.4], None, 2), Took { secs: 0.4, mean: 0.4 }, "of a card only the clock is known");
    }
}
