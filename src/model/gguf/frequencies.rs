//! Llama 3's rotary scaling, found again in the factors that the converter made of it.
//!
//! A `config.json` names four numbers; the converter computes one divisor a frequency from them and keeps only those.
//! The formula (`LlamaModel.generate_extra_tensors`): wavelengths λ below `original / high` are left alone, those above
//! `original / low` are divided by `factor`, and between them the divisor is `1 / ((1−s)/factor + s)` with
//! `s = (original/λ − low) / (high − low)`. Only `a = original / (high − low)` and `b = low / (high − low)` matter, so
//! `low` is taken as 1, which is also what Meta's models say.

use std::f64::consts::TAU;

use serde_json::{Value, json};

/// How far a factor may be from the formula: the file has them in f32.
const TOLERANCE: f64 = 1e-4;

struct Guess {
    factor: f64,
    high: f64,
    original: f64,
}

impl Guess {
    fn divisor(&self, wavelength: f64) -> f64 {
        if wavelength < self.original / self.high {
            1.0
        } else if wavelength > self.original {
            self.factor
        } else {
            let smooth = (self.original / wavelength - 1.0) / (self.high - 1.0);
            1.0 / ((1.0 - smooth) / self.factor + smooth)
        }
    }
}

/// `rope_scaling` of a model with these divisors, or a sentence when no scaling of this kind has them.
pub(super) fn llama3(divisors: &[f64], theta: f64, head_dim: usize) -> Result<Value, String> {
    if divisors.len() != head_dim / 2 {
        return Err(format!("`rope_freqs.weight` has {} factors for heads of {head_dim}", divisors.len()));
    }
    if divisors.iter().all(|&divisor| divisor == 1.0) {
        return Ok(Value::Null);
    }
    let wavelength = |index: usize| TAU * theta.powf(2.0 * index as f64 / head_dim as f64);
    let factor = divisors.iter().copied().fold(1.0, f64::max);
    // s of each divisor that is neither end of the ramp.
    let ramp: Vec<(f64, f64)> = divisors
        .iter()
        .enumerate()
        .filter(|&(_, &divisor)| divisor > 1.0 + TOLERANCE && divisor < factor * (1.0 - TOLERANCE))
        .map(|(index, divisor)| {
            let smooth = (1.0 / divisor - 1.0 / factor) / (1.0 - 1.0 / factor);
            (1.0 / wavelength(index), smooth)
        })
        .collect();
    let mut guesses = Vec::new();
    if let (Some(first), Some(last)) = (ramp.first(), ramp.last())
        && ramp.len() > 1
    {
        let a = (first.1 - last.1) / (first.0 - last.0);
        let b = a * first.0 - first.1;
        guesses.push(Guess { factor, high: tidy(1.0 + 1.0 / b, 1e-3), original: tidy(a / b, 1.0) });
    }
    // Too few on the ramp to tell: what the models of this kind have.
    guesses.push(Guess { factor, high: 4.0, original: 8192.0 });
    let fits = |guess: &Guess| {
        divisors
            .iter()
            .enumerate()
            .all(|(index, divisor)| (guess.divisor(wavelength(index)) - divisor).abs() <= TOLERANCE * divisor)
    };
    match guesses.into_iter().find(fits) {
        None => Err(
            "the factors in `rope_freqs.weight` are not those of Llama 3's rotary scaling, the only kind that is known"
                .to_owned(),
        ),
        Some(guess) => Ok(json!({
            "rope_type": "llama3",
            "factor": guess.factor,
            "low_freq_factor": 1.0,
            "high_freq_factor": guess.high,
            "original_max_position_embeddings": guess.original as u64,
        })),
    }
}

/// The nearest multiple of `step`: what was in the config before f32 blurred it.
fn tidy(value: f64, step: f64) -> f64 {
    (value / step).round() * step
}
