//! Rotary positions: what a config says about them, frequencies, and the table of cosines and sines.

use std::sync::{Mutex, PoisonError};

use candle_core::{Device, Tensor};
use serde_json::{Map, Value};

use super::{Result, spec::Config};
use crate::kernels::RopeTable;

/// Rotary position embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    None,
    /// All frequencies divided by `factor`.
    Linear {
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, a smooth passage to the untouched high ones.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_positions: f64,
    },
}

impl Rope {
    /// Inverse frequencies, `head_dim / 2` of them, in f32 as the reference implementations compute them.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        (0..head_dim / 2)
            .map(|pair| {
                let exponent = (2 * pair) as f32 / head_dim as f32;
                self.scale(1.0 / (self.theta as f32).powf(exponent))
            })
            .collect()
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.scaling {
            RopeScaling::None => frequency,
            RopeScaling::Linear { factor } => frequency / factor as f32,
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_positions,
            } => {
                let wavelength = 2.0 * std::f64::consts::PI / f64::from(frequency);
                if wavelength < original_max_positions / high_freq_factor {
                    frequency
                } else if wavelength > original_max_positions / low_freq_factor {
                    frequency / factor as f32
                } else {
                    let smooth = (original_max_positions / wavelength - low_freq_factor)
                        / (high_freq_factor - low_freq_factor);
                    ((1.0 - smooth) * f64::from(frequency) / factor + smooth * f64::from(frequency))
                        as f32
                }
            }
        }
    }
}

/// Cosines and sines by position; grows with the longest position seen, so that a context of a million tokens costs
/// nothing until it is used.
#[derive(Debug)]
pub(super) struct RopeCache {
    frequencies: Vec<f32>,
    table: Mutex<Option<RopeTable>>,
}

impl RopeCache {
    pub(super) fn new(rope: &Rope, head_dim: usize) -> Self {
        Self {
            frequencies: rope.inverse_frequencies(head_dim),
            table: Mutex::new(None),
        }
    }

    /// A table that reaches the last of `positions`.
    pub(super) fn reach(&self, positions: &[u32], device: &Device) -> Result<RopeTable> {
        let needed = positions.iter().max().map_or(1, |&last| last as usize + 1);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let reaches = |table: &&RopeTable| table.cos.dim(0).is_ok_and(|rows| rows >= needed);
        if let Some(table) = table.as_ref().filter(reaches) {
            return Ok(table.clone());
        }
        let rows = needed.next_power_of_two();
        let angles: Vec<f32> = (0..rows)
            .flat_map(|position| {
                self.frequencies
                    .iter()
                    .map(move |frequency| position as f32 * frequency)
            })
            .collect();
        let make = |f: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().map(|&angle| f(angle)).collect();
            Tensor::from_vec(values, (rows, self.frequencies.len()), device)
        };
        let new = RopeTable {
            cos: make(f32::cos)?,
            sin: make(f32::sin)?,
        };
        *table = Some(new.clone());
        Ok(new)
    }
}

/// Reads the object under `rope_parameters` or `rope_scaling`.
pub(super) fn read_rope(map: &Map<String, Value>, outer_theta: f64) -> Result<Rope, String> {
    let mut rope = Config::new(map);
    let theta = rope.number("rope_theta")?.unwrap_or(outer_theta);
    let legacy_kind = rope.text("type")?;
    let kind = rope.text("rope_type")?.or(legacy_kind).unwrap_or("default");
    if let Some(share) = rope.number("partial_rotary_factor")?
        && share != 1.0
    {
        return Err(format!(
            "`partial_rotary_factor` is {share}; only whole heads can be rotated"
        ));
    }
    let mut needed = |key| -> Result<f64, String> {
        match rope.number(key)? {
            Some(number) if number > 0.0 => Ok(number),
            Some(number) => Err(format!("`{key}` is {number}; expected a positive number")),
            None => Err(format!("`{key}` is missing")),
        }
    };
    let scaling = match kind {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear {
            factor: needed("factor")?,
        },
        "llama3" => {
            let scaling = RopeScaling::Llama3 {
                factor: needed("factor")?,
                low_freq_factor: needed("low_freq_factor")?,
                high_freq_factor: needed("high_freq_factor")?,
                original_max_positions: needed("original_max_position_embeddings")?,
            };
            if let RopeScaling::Llama3 {
                low_freq_factor,
                high_freq_factor,
                ..
            } = scaling
                && high_freq_factor <= low_freq_factor
            {
                return Err("`high_freq_factor` must be greater than `low_freq_factor`".to_owned());
            }
            scaling
        }
        other => {
            return Err(format!(
                "rotary scaling `{other}` is not supported (known: default, linear, llama3)"
            ));
        }
    };
    rope.finish(&format!("rope {kind}"))?;
    Ok(Rope { theta, scaling })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_scaling_leaves_high_frequencies_alone() {
        let rope = Rope {
            theta: 10000.0,
            scaling: RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_positions: 64.0,
            },
        };
        let plain = Rope {
            scaling: RopeScaling::None,
            ..rope
        };
        let (scaled, plain) = (rope.inverse_frequencies(16), plain.inverse_frequencies(16));
        assert_eq!(scaled[0], plain[0]);
        assert_eq!(scaled[7], plain[7] / 8.0);
        // The passage between the two: strictly between unscaled and fully scaled.
        assert!((0..8).any(|i| scaled[i] < plain[i] && scaled[i] > plain[i] / 8.0));
    }
}
