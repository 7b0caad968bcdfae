//! What measuring takes beside the steps: held-out data, answers that are sampled afresh, judged ones, the probe
//! prompts.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
    time::Instant,
};

use data::config::{Method, RunConfig, TrainConfig};
use judge::RuleSet;
use model::{GenerateOptions, Policy, PolicyError, Sampling, Tokens};
use serde::{Deserialize, Serialize};
use store::Probe;
use text::Codec;

use crate::{
    dataset::documents::{Dataset, PairDoc, TextDoc, first},
    error::Result,
};

/// Answers that are sampled to see what one takes, if that does not last longer than this.
const TRIED: usize = 24;
const LONGEST_TRIAL_SECS: f64 = 2.0;
/// One that is cut short all the same has so many tokens of each answer: fewer tell no pace.
const LEAST_ROUNDS: usize = 3;
/// A forward of what takes 1 forward and backward.
const FORWARD: f64 = 0.5;

/// Seconds, none of them counted as training.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Outlay {
    /// The log-probs that the run is measured against, computed once.
    pub anchor_secs: f64,
    /// An evaluation: everything held out, and the answers that are sampled and judged.
    pub evaluation_secs: f64,
    /// Answers to the probe prompts.
    pub sample_secs: f64,
}

impl Outlay {
    /// On a machine that is so many times as slow.
    pub fn times(self, slower: f64) -> Self {
        let Self { anchor_secs, evaluation_secs, sample_secs } = self;
        Self {
            anchor_secs: slower * anchor_secs,
            evaluation_secs: slower * evaluation_secs,
            sample_secs: slower * sample_secs,
        }
    }

    /// Of a run of so many steps, whose first and last are always measured.
    pub fn secs(&self, train: &TrainConfig, steps: u64) -> f64 {
        let times = |every: u64| 2.0 + steps.saturating_sub(1).checked_div(every).unwrap_or(0) as f64;
        let Self { anchor_secs, evaluation_secs, sample_secs } = self;
        anchor_secs + evaluation_secs * times(train.eval_every) + sample_secs * times(train.sample_every)
    }

    /// Samples some answers as an evaluation does, and counts the rest. `secs_a_token`: of a row, forward and backward.
    /// `wanted` is asked before every token; `None` = it said no.
    pub fn of(
        (policy, codec): (&Policy, &Codec),
        config: &RunConfig,
        dataset: &Dataset,
        (rules, probes): (Option<&RuleSet>, &[Probe]),
        secs_a_token: f64,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>> {
        let forward = FORWARD * secs_a_token;
        let held_out = of_pairs(first(&dataset.pairs.eval));
        if config.objective.kind == Method::Reward {
            return Ok(Some(Self { evaluation_secs: forward * held_out as f64, ..Self::default() }));
        }
        let (references, retention) = (dataset.references.measured(), dataset.retention.measured());
        let measured = held_out + of_texts(first(references)) + of_texts(first(retention));
        let judged: Vec<Vec<u32>> = rules.map_or_else(Vec::new, |rules| {
            let prompts = rules.questions().iter().filter_map(|question| codec.prompt_ids(&question.prompt).ok());
            prompts.filter(|ids| !ids.is_empty()).flat_map(|ids| vec![ids; rules.samples]).collect()
        });
        let fresh = dataset.eval_prompts.len().min(config.train.eval_answers);
        let prompts: Vec<Vec<u32>> = if judged.is_empty() { dataset.eval_prompts.clone() } else { judged.clone() };
        let Some(answer) = an_answer((policy, codec), config, dataset, (&prompts, forward), wanted)? else {
            return Ok(None);
        };
        // Two words on each fresh answer: of the policy and of the reference.
        let looked_at = 2.0 * fresh as f64 * answer.tokens;
        Ok(Some(Self {
            anchor_secs: forward * of_pairs(&dataset.pairs.train) as f64,
            evaluation_secs: forward * (measured as f64 + looked_at) + answer.secs * (fresh + judged.len()) as f64,
            sample_secs: answer.secs * (probes.len() * (1 + config.train.sample_seeds)) as f64,
        }))
    }
}

/// A sampled answer in the mean.
#[derive(Default)]
struct Sampled {
    tokens: f64,
    secs: f64,
}

/// The tokens of answers that are sampled together come round by round, one of each that has not ended. Where other
/// programs compute, one of many rounds finds the processor free: it tells what those of as few answers or fewer take
/// at most.
struct Rounds {
    /// Tokens of each answer so far.
    lengths: Vec<usize>,
    count: usize,
    begun: Instant,
    /// Of the present round: how long it took to compute, and its tokens. The first comes with the prompts, whose time
    /// is another matter.
    present: Option<(f64, usize)>,
    past: Vec<(f64, usize)>,
}

impl Rounds {
    fn of(answers: usize) -> Self {
        let lengths = vec![0; answers];
        Self { lengths, count: 0, begun: Instant::now(), present: None, past: Vec::new() }
    }

    /// The answer at `index` has one more token.
    fn token(&mut self, index: usize, now: Instant) {
        self.lengths[index] += 1;
        if self.lengths[index] <= self.count {
            self.present = self.present.map(|(secs, tokens)| (secs, tokens + 1));
            return;
        }
        self.past.extend(self.present.take());
        self.present = (self.count > 0).then(|| (now.duration_since(self.begun).as_secs_f64(), 1));
        (self.count, self.begun) = (self.lengths[index], now);
    }

    /// Absent where there was one round at most.
    fn secs_a_token(mut self) -> Option<f64> {
        self.past.extend(self.present.take());
        self.past.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.total_cmp(&other.0)));
        let (mut quickest, mut all_secs, mut all_tokens) = (f64::INFINITY, 0.0, 0);
        for (secs, tokens) in self.past {
            quickest = secs.min(quickest);
            all_secs += quickest;
            all_tokens += tokens;
        }
        (all_tokens > 0).then(|| all_secs / all_tokens as f64)
    }
}

/// `forward`: seconds that a token of a prompt takes.
fn an_answer(
    (policy, codec): (&Policy, &Codec),
    config: &RunConfig,
    dataset: &Dataset,
    (prompts, forward): (&[Vec<u32>], f64),
    wanted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Sampled>> {
    // Spread over the prompts, which stand by their topics.
    let tried: Vec<Vec<u32>> = prompts.iter().step_by(prompts.len().div_ceil(TRIED).max(1)).cloned().collect();
    if tried.is_empty() {
        return Ok(Some(Sampled::default()));
    }
    let options = GenerateOptions {
        sampling: Sampling::at(1.0),
        max_new: config.train.sample_tokens,
        stop: codec.stop_ids().to_vec(),
        ..GenerateOptions::default()
    };
    let (started, said_no) = (Instant::now(), Cell::new(false));
    let rounds = RefCell::new(Rounds::of(tried.len()));
    let on = || {
        said_no.set(!wanted());
        let is_short = started.elapsed().as_secs_f64() < LONGEST_TRIAL_SECS;
        !said_no.get() && (is_short || rounds.borrow().count < LEAST_ROUNDS)
    };
    let answers = policy.generate_while(&tried, &options, &on, &mut |index, _| {
        rounds.borrow_mut().token(index, Instant::now());
        ControlFlow::Continue(())
    });
    let answers = match answers {
        Ok(answers) => answers,
        Err(PolicyError::Cancelled) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    if said_no.get() {
        return Ok(None);
    }
    let sampled: usize = answers.iter().map(|answer| answer.ids.len()).sum();
    let is_whole = |answer: &model::Generation| answer.stopped_by_eos || answer.ids.len() >= options.max_new;
    let tokens = if answers.len() == tried.len() && answers.iter().all(is_whole) {
        sampled as f64 / answers.len() as f64
    } else {
        // Cut short: it answers about as long as it is taught to.
        let chosen = dataset.pairs.train.iter().filter_map(|pair| pair.doc.continuations.first()).map(Tokens::len);
        let of_chosen = chosen.sum::<usize>() as f64 / dataset.pairs.train.len().max(1) as f64;
        of_chosen.min(options.max_new as f64)
    };
    let a_prompt = tried.iter().map(Vec::len).sum::<usize>() as f64 / tried.len() as f64;
    let secs_a_token = rounds.into_inner().secs_a_token().unwrap_or(forward);
    Ok(Some(Sampled { tokens, secs: forward * a_prompt + secs_a_token * tokens }))
}

fn of_pairs(pairs: &[PairDoc]) -> usize {
    pairs.iter().map(|pair| pair.doc.tokens()).sum()
}

fn of_texts(texts: &[TextDoc]) -> usize {
    texts.iter().map(|text| text.doc.tokens()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_step_are_always_measured_and_those_between_as_often_as_asked() {
        let outlay = Outlay { anchor_secs: 1.0, evaluation_secs: 10.0, sample_secs: 100.0 };
        let secs = |eval_every, sample_every, steps| {
            outlay.secs(&TrainConfig { eval_every, sample_every, ..TrainConfig::default() }, steps)
        };
        assert_eq!(secs(0, 0, 300), 1.0 + 20.0 + 200.0);
        assert_eq!(secs(50, 100, 300), 1.0 + 70.0 + 400.0);
        assert_eq!(secs(7, 400, 20), 1.0 + 40.0 + 200.0);
    }

    #[test]
    fn the_quickest_rounds_say_what_a_token_takes() {
        let start = Instant::now();
        let at = |ms: u64| start + std::time::Duration::from_millis(ms);
        let mut rounds = Rounds::of(3);
        // Two seconds for the prompts, then rounds of three, of three and of one token.
        for (index, ms) in [
            (0, 2000),
            (1, 2000),
            (2, 2001),
            (0, 2900),
            (1, 2900),
            (2, 2901),
            (0, 2930),
            (1, 2931),
            (2, 2931),
            (2, 2950),
        ] {
            rounds.token(index, at(ms));
        }
        assert_eq!(rounds.count, 4);
        // Of three answers 30 ms at most, of the last one 20: it is slower a token than three together.
        let secs = rounds.secs_a_token().unwrap();
        assert!((secs - 0.080 / 7.0).abs() < 1e-9, "{secs}");
        let mut one = Rounds::of(2);
        (0..2).for_each(|index| one.token(index, at(5000)));
        assert_eq!(one.secs_a_token(), None, "the prompts' own time is no pace");
    }
}
