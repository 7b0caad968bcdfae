//! One token out of its logits: the steps and their order are those of Transformers' `generate`.
//!
//! Repetition penalty, temperature, top-k, top-p, min-p; each sees what the one before it left.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{PolicyError, Result, mix::Mix};

/// How a token is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 = greedy.
    pub temperature: f64,
    /// Sample from the smallest set of tokens that holds this much probability; 1 = off.
    pub top_p: f64,
    /// Sample from this many likeliest tokens; 0 = off.
    pub top_k: usize,
    /// Leave out tokens with less than this share of the likeliest one's probability; 0 = off.
    pub min_p: f64,
    /// Above 1 makes tokens of the prompt and of the answer so far less likely; 1 = off. Also where greedy.
    pub repetition_penalty: f64,
}

impl Default for Sampling {
    /// The likeliest token.
    fn default() -> Self {
        Self::at(0.0)
    }
}

impl Sampling {
    /// From all tokens, at this temperature.
    pub fn at(temperature: f64) -> Self {
        Self { temperature, top_p: 1.0, top_k: 0, min_p: 0.0, repetition_penalty: 1.0 }
    }

    /// Every number in its range, or which one is not.
    pub fn check(&self) -> std::result::Result<(), String> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let rules = [
            ("temperature", self.temperature, self.temperature.is_finite() && self.temperature >= 0.0, "0 or more"),
            ("top-p", self.top_p, share(self.top_p) && self.top_p > 0.0, "above 0 and at most 1"),
            ("min-p", self.min_p, share(self.min_p), "0 to 1"),
            (
                "repetition-penalty",
                self.repetition_penalty,
                self.repetition_penalty.is_finite() && self.repetition_penalty > 0.0,
                "above 0",
            ),
        ];
        match rules.into_iter().find(|(_, _, good, _)| !good) {
            Some((name, value, _, rule)) => Err(format!("{name} is {value}; it must be {rule}")),
            None => Ok(()),
        }
    }
}

/// How answers are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    pub sampling: Sampling,
    /// At most this many tokens an answer, and never beyond the model's context.
    pub max_new: usize,
    pub seed: u64,
    /// Any of these ends an answer.
    pub stop: Vec<u32>,
    /// Draws from the policy and the reference together. Two passes a token; only where an adapter is trained.
    pub mix: Option<Mix>,
    /// Prompts answered at once: each holds a cache, and more of them make no token come sooner.
    pub at_once: usize,
    /// What the caches of prompts answered at once may take together, in bytes; one prompt that needs more goes alone.
    pub cache_bytes: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            max_new: 256,
            seed: 0,
            stop: Vec::new(),
            mix: None,
            at_once: 64,
            cache_bytes: 1 << 30,
        }
    }
}

impl GenerateOptions {
    /// The same with caches of at most so many bytes, where that is less.
    #[must_use]
    pub fn within(self, bytes: Option<u64>) -> Self {
        let cache_bytes = bytes.map_or(self.cache_bytes, |bytes| self.cache_bytes.min(bytes as usize));
        Self { cache_bytes, ..self }
    }
}

/// Draws the tokens of one answer, from a random stream of its own.
pub(super) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling, seed: u64) -> Self {
        Self { sampling, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next token. `context`: the prompt and the answer so far, for the repetition penalty.
    ///
    /// Greedy takes the first of equal logits. Logits of which none is a number are an error.
    pub(super) fn draw(&mut self, mut logits: Vec<f32>, context: &[u32]) -> Result<u32> {
        penalize(&mut logits, context, self.sampling.repetition_penalty as f32);
        let best = likeliest(&logits)?;
        if self.sampling.temperature <= 0.0 {
            return Ok(best);
        }
        let kept = candidates(&logits, logits[best as usize], &self.sampling);
        let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
        let mut left = self.random.random::<f64>() * total;
        for (id, weight) in &kept {
            left -= weight;
            if left < 0.0 {
                return Ok(*id);
            }
        }
        // Rounding may leave a crumb.
        Ok(kept.last().map_or(best, |(id, _)| *id))
    }
}

/// Every token of the context once: a positive logit is divided by the penalty, a negative one multiplied (arXiv
/// 1909.05858).
fn penalize(logits: &mut [f32], context: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let mut seen = context.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }
}

fn likeliest(logits: &[f32]) -> Result<u32> {
    let mut best: Option<usize> = None;
    for (id, logit) in logits.iter().enumerate() {
        if !logit.is_nan() && best.is_none_or(|best| *logit > logits[best]) {
            best = Some(id);
        }
    }
    match best {
        Some(id) if logits[id].is_finite() => Ok(id as u32),
        _ => Err(PolicyError::Usage(
            "The model gave no number for any token, so no answer can be drawn from it. Its weights may be damaged"
                .to_owned(),
        )),
    }
}

/// What may be drawn, likeliest first where an order was needed, with weights that need not sum to 1.
fn candidates(logits: &[f32], best: f32, sampling: &Sampling) -> Vec<(u32, f64)> {
    let weight = |logit: f32| (f64::from(logit - best) / sampling.temperature).exp();
    let mut kept: Vec<(u32, f64)> = (0..).zip(logits.iter().map(|logit| weight(*logit))).collect();
    kept.retain(|(_, weight)| *weight > 0.0); // also drops what is no number
    if (1..kept.len()).contains(&sampling.top_k) {
        let index = sampling.top_k - 1;
        let (_, (_, least), _) = kept.select_nth_unstable_by(index, |a, b| b.1.total_cmp(&a.1));
        let least = *least;
        // Equals of the last one stay, as in Transformers.
        kept.retain(|(_, weight)| *weight >= least);
        kept.sort_unstable_by_key(|(id, _)| *id);
    }
    if sampling.top_p < 1.0 {
        top_p(&mut kept, sampling.top_p);
    }
    if sampling.min_p > 0.0 {
        kept.retain(|(_, weight)| *weight >= sampling.min_p); // the likeliest weighs 1
    }
    kept
}

/// Leaves out the unlikeliest tokens that have at most `1 − share` of the probability together.
fn top_p(kept: &mut Vec<(u32, f64)>, share: f64) {
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    let spare = (1.0 - share) * total;
    // What weighs less than an equal part of the spare goes in any case: only the rest needs an order.
    let crumb = spare / kept.len() as f64;
    let mut gone = 0.0;
    kept.retain(|(_, weight)| {
        let stays = *weight >= crumb;
        gone += if stays { 0.0 } else { *weight };
        stays
    });
    kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    while kept.len() > 1
        && let Some((_, weight)) = kept.last()
        && gone + weight <= spare
    {
        gone += weight;
        kept.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of these probabilities.
    fn logits(shares: &[f32]) -> Vec<f32> {
        shares.iter().map(|share| share.ln()).collect()
    }

    fn ids(shares: &[f32], sampling: &Sampling) -> Vec<u32> {
        let logits = logits(shares);
        let best = logits.iter().copied().fold(f32::MIN, f32::max);
        let mut ids: Vec<u32> = candidates(&logits, best, sampling).into_iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    const SHARES: [f32; 5] = [0.05, 0.4, 0.1, 0.25, 0.2];

    #[test]
    fn each_limit_keeps_the_likeliest() {
        let of = |sampling| ids(&SHARES, &sampling);
        assert_eq!(of(Sampling::at(1.0)), [0, 1, 2, 3, 4]);
        let top_k = |top_k| Sampling { top_k, ..Sampling::at(1.0) };
        assert_eq!(of(top_k(2)), [1, 3]);
        assert_eq!(of(top_k(9)), [0, 1, 2, 3, 4]);
        let top_p = |top_p| Sampling { top_p, ..Sampling::at(1.0) };
        assert_eq!(of(top_p(0.7)), [1, 3, 4]);
        assert_eq!(of(top_p(0.6)), [1, 3]);
        assert_eq!(of(top_p(0.01)), [1], "one always stays");
        let min_p = |min_p| Sampling { min_p, ..Sampling::at(1.0) };
        assert_eq!(of(min_p(0.3)), [1, 3, 4]);
    }

    #[test]
    fn equals_of_the_last_of_top_k_stay() {
        let sampling = Sampling { top_k: 2, ..Sampling::at(1.0) };
        assert_eq!(ids(&[0.2, 0.4, 0.2, 0.2], &sampling), [0, 1, 2, 3]);
    }

    #[test]
    fn top_p_sees_the_share_among_what_top_k_left() {
        // 0.4 of 0.65 is 0.62 of what is left: alone enough for 0.6, not for 0.65.
        let with = |top_p| Sampling { top_k: 2, top_p, ..Sampling::at(1.0) };
        assert_eq!(ids(&SHARES, &with(0.6)), [1]);
        assert_eq!(ids(&SHARES, &with(0.65)), [1, 3]);
    }

    #[test]
    fn temperature_comes_before_the_limits() {
        // At temperature 2 the shares are as their roots: 0.4 has 0.286, not 0.4.
        let warm = Sampling { temperature: 2.0, top_p: 0.35, ..Sampling::at(1.0) };
        assert_eq!(ids(&SHARES, &warm), [1, 3]);
        let cold = Sampling { temperature: 1.0, ..warm };
        assert_eq!(ids(&SHARES, &cold), [1]);
    }

    #[test]
    fn the_penalty_counts_a_token_once_and_pushes_down_on_either_side_of_zero() {
        let mut logits = vec![2.0, -1.0, 0.5];
        penalize(&mut logits, &[0, 0, 1, 9], 2.0);
        assert_eq!(logits, [1.0, -2.0, 0.5]);
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_what_is_no_number_is_left_out() {
        let mut greedy = Sampler::new(Sampling::default(), 0);
        assert_eq!(greedy.draw(vec![f32::NAN, 1.0, 3.0, 3.0], &[]).unwrap(), 2);
        assert!(greedy.draw(vec![f32::NAN; 3], &[]).is_err());
        assert!(greedy.draw(vec![f32::NEG_INFINITY; 3], &[]).is_err());
    }

    #[test]
    fn draws_follow_the_shares_and_the_seed() {
        let sampling = Sampling { top_k: 3, ..Sampling::at(1.0) };
        let draws = |seed| -> Vec<u32> {
            let mut sampler = Sampler::new(sampling, seed);
            (0..4000).map(|_| sampler.draw(logits(&SHARES), &[]).unwrap()).collect()
        };
        let first = draws(1);
        assert_eq!(first, draws(1));
        assert_ne!(first, draws(2));
        for (id, share) in [(1, 0.4 / 0.85), (3, 0.25 / 0.85), (4, 0.2 / 0.85)] {
            let count = first.iter().filter(|drawn| **drawn == id).count() as f64;
            let spread = (4000.0 * share * (1.0_f64 - share)).sqrt();
            assert!((count - 4000.0 * share).abs() < 5.0 * spread, "{id}: {count}");
        }
    }
}
