//! Rotary positions: what a config says about them, frequencies, and the tables of cosines and sines.
//!
//! Scalings as Transformers computes them, in f32: linear, dynamic NTK, Llama 3, YaRN (arXiv 2309.00071), LongRoPE
//! (arXiv 2402.13753). Dynamic and LongRoPE frequencies depend on how long the whole sequence is, so every token is
//! rotated by its position *and* by the length of its own sequence; what else is in the row makes no difference.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use candle_core::{Device, Tensor};
use serde_json::{Map, Value, json};

use super::{Result, config::Config};
use crate::kernels::RopeTable;

/// Rotary position embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    pub theta: f64,
    /// The share of a head's components that is rotated, from the first; 1 for most models.
    pub partial: f64,
    pub scaling: RopeScaling,
}

#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    None,
    /// All frequencies divided by `factor`.
    Linear {
        factor: f64,
    },
    /// For sequences longer than `max_positions` theta grows with the length.
    Dynamic {
        factor: f64,
        max_positions: usize,
    },
    /// Llama 3.1: low frequencies divided by `factor`, a smooth passage to the untouched high ones.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_positions: f64,
    },
    /// Low frequencies divided by `factor`, a linear passage (by component) to the untouched high ones, and cosines and
    /// sines times `attention_factor`.
    Yarn {
        factor: f64,
        attention_factor: f64,
        /// Rotations within the original context above which a component counts as high.
        beta_fast: f64,
        /// Rotations below which it counts as low.
        beta_slow: f64,
        original_max_positions: f64,
        /// The ends of the passage are whole components.
        truncate: bool,
    },
    /// Each frequency divided by a factor of its own: `long` ones for sequences past `original_max_positions`.
    LongRope {
        short: Vec<f64>,
        long: Vec<f64>,
        attention_factor: f64,
        original_max_positions: usize,
    },
}

impl Rope {
    /// Components of a head that are rotated.
    fn width(&self, head_dim: usize) -> usize {
        ((head_dim as f64 * self.partial) as usize).next_multiple_of(2)
    }

    /// A sentence about the first number that makes no sense.
    pub(super) fn validate(&self, head_dim: usize) -> Result<(), String> {
        if !(self.theta > 0.0 && self.theta.is_finite()) {
            return Err(format!(
                "`rope_theta` is {}; expected a positive number",
                self.theta
            ));
        }
        let width = self.width(head_dim);
        if !(self.partial > 0.0 && self.partial <= 1.0) || width == 0 {
            return Err(format!(
                "`partial_rotary_factor` is {}; expected a share of the head's {head_dim} components",
                self.partial
            ));
        }
        match &self.scaling {
            RopeScaling::Dynamic { .. } if width < 4 => {
                Err("dynamic rotary scaling needs at least 4 rotated components".to_owned())
            }
            RopeScaling::Llama3 {
                low_freq_factor,
                high_freq_factor,
                ..
            } if high_freq_factor <= low_freq_factor => {
                Err("`high_freq_factor` must be greater than `low_freq_factor`".to_owned())
            }
            RopeScaling::Yarn { .. } if self.theta <= 1.0 => Err(format!(
                "`rope_theta` is {}; yarn scaling needs one above 1",
                self.theta
            )),
            RopeScaling::LongRope { short, long, .. } => {
                for (key, factors) in [("short_factor", short), ("long_factor", long)] {
                    if factors.len() != width / 2 {
                        return Err(format!(
                            "`{key}` has {} numbers; expected {}, one for each rotated pair",
                            factors.len(),
                            width / 2
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sequences of one era have the same frequencies: a length that stands for `length`.
    fn era(&self, length: u32) -> u32 {
        match self.scaling {
            RopeScaling::Dynamic { max_positions, .. } if length as usize > max_positions => length,
            RopeScaling::LongRope {
                original_max_positions,
                ..
            } if length as usize > original_max_positions => u32::MAX,
            _ => 0,
        }
    }

    /// Whether a sequence that grows from `length` by a token needs its old tokens rotated anew.
    pub(super) fn ages(&self, length: u32) -> bool {
        self.era(length) != self.era(length + 1)
    }

    /// Inverse frequencies of a sequence of `length` tokens, one for each rotated pair, in f32 as the reference
    /// implementations compute them.
    pub fn inverse_frequencies(&self, head_dim: usize, length: u32) -> Vec<f32> {
        let width = self.width(head_dim);
        let theta = match self.scaling {
            RopeScaling::Dynamic {
                factor,
                max_positions,
            } => {
                let most = max_positions as f64;
                let growth = factor * f64::from(length).max(most) / most - (factor - 1.0);
                self.theta * growth.powf(width as f64 / (width as f64 - 2.0))
            }
            _ => self.theta,
        };
        let wavelengths = (0..width / 2).map(|pair| {
            let wavelength = (theta as f32).powf((2 * pair) as f32 / width as f32);
            (pair, wavelength)
        });
        match &self.scaling {
            RopeScaling::Yarn { factor, .. } => {
                let (low, high) = self.passage(width);
                let scaled = |(pair, wavelength): (usize, f32)| {
                    let ramp = ((pair as f32 - low) / (high - low)).clamp(0.0, 1.0);
                    let untouched = 1.0 - ramp;
                    1.0 / (*factor as f32 * wavelength) * (1.0 - untouched)
                        + 1.0 / wavelength * untouched
                };
                wavelengths.map(scaled).collect()
            }
            RopeScaling::LongRope { short, long, .. } => {
                let factors = if self.era(length) == 0 { short } else { long };
                let scaled = |(pair, wavelength)| 1.0 / (factors[pair] as f32 * wavelength);
                wavelengths.map(scaled).collect()
            }
            _ => wavelengths
                .map(|(_, wavelength)| self.scale(1.0 / wavelength))
                .collect(),
        }
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.scaling {
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
            _ => frequency,
        }
    }

    /// YaRN: the pair up to which frequencies are untouched, and the one from which they are fully scaled.
    fn passage(&self, width: usize) -> (f32, f32) {
        let RopeScaling::Yarn {
            beta_fast,
            beta_slow,
            original_max_positions,
            truncate,
            ..
        } = self.scaling
        else {
            return (0.0, 1.0);
        };
        let pair_that_turns = |times: f64| {
            width as f64 * (original_max_positions / (times * 2.0 * std::f64::consts::PI)).ln()
                / (2.0 * self.theta.ln())
        };
        let (mut low, mut high) = (pair_that_turns(beta_fast), pair_that_turns(beta_slow));
        if truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, mut high) = (low.max(0.0), high.min(width as f64 - 1.0));
        if low == high {
            high += 0.001;
        }
        (low as f32, high as f32)
    }

    /// Factor of cosines and sines.
    fn attention_factor(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn {
                attention_factor, ..
            }
            | RopeScaling::LongRope {
                attention_factor, ..
            } => attention_factor as f32,
            _ => 1.0,
        }
    }

    /// `rope_scaling` of `config.json`.
    pub(super) fn to_json(&self) -> Value {
        match &self.scaling {
            RopeScaling::None => Value::Null,
            RopeScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            RopeScaling::Dynamic { factor, .. } => {
                json!({"rope_type": "dynamic", "factor": factor})
            }
            RopeScaling::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_positions,
            } => json!({
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": low_freq_factor,
                "high_freq_factor": high_freq_factor,
                "original_max_position_embeddings": *original_max_positions as u64,
            }),
            RopeScaling::Yarn {
                factor,
                attention_factor,
                beta_fast,
                beta_slow,
                original_max_positions,
                truncate,
            } => json!({
                "rope_type": "yarn",
                "factor": factor,
                "attention_factor": attention_factor,
                "beta_fast": beta_fast,
                "beta_slow": beta_slow,
                "original_max_position_embeddings": *original_max_positions as u64,
                "truncate": truncate,
            }),
            RopeScaling::LongRope {
                short,
                long,
                attention_factor,
                original_max_positions,
            } => json!({
                "rope_type": "longrope",
                "short_factor": short,
                "long_factor": long,
                "attention_factor": attention_factor,
                "original_max_position_embeddings": original_max_positions,
            }),
        }
    }
}

/// Where each token of a call finds its cosines and sines.
#[derive(Debug)]
pub(super) struct Rotation {
    pub(super) table: RopeTable,
    /// The table's row for each token.
    pub(super) rows: Vec<u32>,
}

/// Tables by era; each grows with the longest position seen, so that a context of a million tokens costs nothing until
/// it is used.
#[derive(Debug)]
pub(super) struct RopeCache {
    rope: Rope,
    head_dim: usize,
    tables: Mutex<BTreeMap<u32, RopeTable>>,
}

impl RopeCache {
    pub(super) fn new(rope: Rope, head_dim: usize) -> Self {
        Self {
            rope,
            head_dim,
            tables: Mutex::default(),
        }
    }

    pub(super) fn rope(&self) -> &Rope {
        &self.rope
    }

    /// For tokens at `positions` of sequences of `lengths`.
    pub(super) fn rotation(
        &self,
        positions: &[u32],
        lengths: &[u32],
        device: &Device,
    ) -> Result<Rotation> {
        let mut reach: BTreeMap<u32, u32> = BTreeMap::new();
        for (&position, &length) in positions.iter().zip(lengths) {
            let needed = reach.entry(self.rope.era(length)).or_default();
            *needed = (*needed).max(position + 1);
        }
        let mut tables = Vec::with_capacity(reach.len());
        let mut first_row = BTreeMap::new();
        let mut rows = 0;
        for (&era, &needed) in &reach {
            let table = self.reach(era, needed as usize, device)?;
            first_row.insert(era, rows);
            rows += table.cos.dim(0)? as u32;
            tables.push(table);
        }
        let table = match tables.as_slice() {
            [table] => table.clone(),
            tables => {
                let cat = |of: fn(&RopeTable) -> &Tensor| {
                    Tensor::cat(&tables.iter().map(of).collect::<Vec<_>>(), 0)
                };
                RopeTable {
                    cos: cat(|table| &table.cos)?,
                    sin: cat(|table| &table.sin)?,
                }
            }
        };
        let rows = positions.iter().zip(lengths);
        let rows = rows
            .map(|(&position, &length)| first_row[&self.rope.era(length)] + position)
            .collect();
        Ok(Rotation { table, rows })
    }

    /// The table of an era, with at least `needed` rows.
    fn reach(&self, era: u32, needed: usize, device: &Device) -> Result<RopeTable> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let reaches = |table: &&RopeTable| table.cos.dim(0).is_ok_and(|rows| rows >= needed);
        if let Some(table) = tables.get(&era).filter(reaches) {
            return Ok(table.clone());
        }
        let table = self.table(era, needed.next_power_of_two(), device)?;
        // Past its context every length is an era of its own under dynamic scaling: those are not kept.
        if !matches!(self.rope.scaling, RopeScaling::Dynamic { .. } if era > 0) {
            tables.insert(era, table.clone());
        }
        Ok(table)
    }

    fn table(&self, era: u32, rows: usize, device: &Device) -> Result<RopeTable> {
        let frequencies = self.rope.inverse_frequencies(self.head_dim, era);
        let factor = self.rope.attention_factor();
        let make = |f: fn(f32) -> f32| {
            let values: Vec<f32> = (0..rows)
                .flat_map(|position| {
                    frequencies
                        .iter()
                        .map(move |frequency| f(position as f32 * frequency) * factor)
                })
                .collect();
            Tensor::from_vec(values, (rows, frequencies.len()), device)
        };
        Ok(RopeTable {
            cos: make(f32::cos)?,
            sin: make(f32::sin)?,
        })
    }
}

/// What a family assumes of rotations where the file is silent.
pub(super) struct SilentRope {
    pub(super) theta: f64,
    /// Blocks with a window have a rotation of their own, with this theta.
    pub(super) local_theta: Option<f64>,
    pub(super) max_positions: usize,
    /// `None`: as many as `max_positions`.
    pub(super) original_max_positions: Option<f64>,
}

/// Rotary settings in either dialect: `rope_parameters` (Transformers 5), or `rope_theta` with `rope_scaling` (4), which
/// wins where both are there, as in Transformers. Gives one rotation, or that of full attention and the local one.
pub(super) fn read(config: &mut Config<'_>, silent: &SilentRope) -> Result<Vec<Rope>, String> {
    let outer = Outer::read(config, silent)?;
    let five = config.object("rope_parameters")?;
    let four = config.object("rope_scaling")?;
    let Some(local_theta) = silent.local_theta else {
        return match (four.filter(|map| !map.is_empty()), five) {
            (Some(map), _) => Ok(vec![outer.rope("rope_scaling", map)?]),
            (None, Some(map)) => Ok(vec![outer.rope("rope_parameters", map)?]),
            (None, None) => Ok(vec![outer.plain()]),
        };
    };
    let local_theta = config
        .number("rope_local_base_freq")?
        .unwrap_or(local_theta);
    let nothing = Map::new();
    let mut nested = Config::new(five.unwrap_or(&nothing));
    let full = nested.object("full_attention")?;
    let local = nested.object("sliding_attention")?;
    nested
        .finish("rope_parameters")
        .map_err(|reason| format!("in `rope_parameters`: {reason}"))?;
    let mut full = full.cloned().unwrap_or_default();
    full.extend(four.cloned().unwrap_or_default());
    let of_local = Outer {
        theta: local_theta,
        ..outer
    };
    Ok(vec![
        outer.rope("rope_parameters", &full)?,
        of_local.rope("rope_parameters", local.unwrap_or(&nothing))?,
    ])
}

/// What the config itself says, around the object of the rotation.
#[derive(Clone, Copy)]
struct Outer {
    theta: f64,
    partial: f64,
    max_positions: usize,
    original_max_positions: Option<f64>,
}

impl Outer {
    fn read(config: &mut Config<'_>, silent: &SilentRope) -> Result<Self, String> {
        Ok(Self {
            theta: config.number("rope_theta")?.unwrap_or(silent.theta),
            partial: config.number("partial_rotary_factor")?.unwrap_or(1.0),
            max_positions: silent.max_positions,
            original_max_positions: config
                .positive("original_max_position_embeddings")?
                .or(silent.original_max_positions),
        })
    }

    fn plain(&self) -> Rope {
        Rope {
            theta: self.theta,
            partial: self.partial,
            scaling: RopeScaling::None,
        }
    }

    /// Reads the object of a rotation, which stands under `key`.
    fn rope(&self, key: &str, map: &Map<String, Value>) -> Result<Rope, String> {
        self.read_rope(map)
            .map_err(|reason| format!("in `{key}`: {reason}"))
    }

    fn read_rope(&self, map: &Map<String, Value>) -> Result<Rope, String> {
        let mut rope = Config::new(map);
        let theta = rope.number("rope_theta")?.unwrap_or(self.theta);
        let partial = rope
            .number("partial_rotary_factor")?
            .unwrap_or(self.partial);
        let legacy_kind = rope.text("type")?;
        let kind = rope.text("rope_type")?.or(legacy_kind).unwrap_or("default");
        let scaling = match kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear {
                factor: rope.needed_positive("factor")?,
            },
            "dynamic" => RopeScaling::Dynamic {
                factor: rope.needed_positive("factor")?,
                max_positions: self.max_positions,
            },
            "llama3" => RopeScaling::Llama3 {
                factor: rope.needed_positive("factor")?,
                low_freq_factor: rope.needed_positive("low_freq_factor")?,
                high_freq_factor: rope.needed_positive("high_freq_factor")?,
                original_max_positions: self.original(&mut rope)?,
            },
            "yarn" => self.yarn(&mut rope)?,
            "longrope" | "su" => self.longrope(&mut rope)?,
            other => {
                return Err(format!(
                    "rotary scaling `{other}` is not supported (known: default, linear, dynamic, llama3, yarn, longrope)"
                ));
            }
        };
        // A plain rotation may carry keys of a scaling that is switched off.
        if kind == "default" {
            rope.get("factor");
            rope.get("original_max_position_embeddings");
        }
        rope.finish(&format!("rope {kind}"))?;
        Ok(Rope {
            theta,
            partial,
            scaling,
        })
    }

    /// The context before scaling: what stands in the config itself wins over what stands with the rotation.
    fn original(&self, rope: &mut Config<'_>) -> Result<f64, String> {
        let inner = rope.positive("original_max_position_embeddings")?;
        Ok(self
            .original_max_positions
            .or(inner)
            .unwrap_or(self.max_positions as f64))
    }

    fn yarn(&self, rope: &mut Config<'_>) -> Result<RopeScaling, String> {
        let original_max_positions = self.original(rope)?;
        let factor = rope
            .positive("factor")?
            .unwrap_or(self.max_positions as f64 / original_max_positions);
        let magnitude = |scale: f64| {
            if factor <= 1.0 {
                1.0
            } else {
                0.1 * scale * factor.ln() + 1.0
            }
        };
        let (one, all) = (rope.number("mscale")?, rope.number("mscale_all_dim")?);
        let attention_factor = match (rope.number("attention_factor")?, one, all) {
            (Some(given), _, _) => given,
            (None, Some(one), Some(all)) if one != 0.0 && all != 0.0 => {
                magnitude(one) / magnitude(all)
            }
            (None, _, _) => magnitude(1.0),
        };
        Ok(RopeScaling::Yarn {
            factor,
            attention_factor,
            beta_fast: rope.positive("beta_fast")?.unwrap_or(32.0),
            beta_slow: rope.positive("beta_slow")?.unwrap_or(1.0),
            original_max_positions,
            truncate: rope.flag("truncate")?.unwrap_or(true),
        })
    }

    fn longrope(&self, rope: &mut Config<'_>) -> Result<RopeScaling, String> {
        let original = self.original(rope)?;
        let factor = rope
            .positive("factor")?
            .unwrap_or(self.max_positions as f64 / original);
        let attention_factor = match rope.number("attention_factor")? {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None if original > 1.0 => (1.0 + factor.ln() / original.ln()).sqrt(),
            None => {
                return Err(format!(
                    "`original_max_position_embeddings` is {original}; expected more than 1"
                ));
            }
        };
        let mut factors = |key| {
            let numbers = rope
                .list(key)?
                .ok_or_else(|| format!("`{key}` is missing"))?
                .iter()
                .map(|value| value.as_f64().filter(|&number| number > 0.0))
                .collect::<Option<Vec<f64>>>();
            numbers.ok_or_else(|| format!("`{key}` must hold positive numbers only"))
        };
        Ok(RopeScaling::LongRope {
            short: factors("short_factor")?,
            long: factors("long_factor")?,
            attention_factor,
            original_max_positions: original as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Rope {
        Rope {
            theta: 10000.0,
            partial: 1.0,
            scaling: RopeScaling::None,
        }
    }

    #[test]
    fn llama3_scaling_leaves_high_frequencies_alone() {
        let rope = Rope {
            scaling: RopeScaling::Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_positions: 64.0,
            },
            ..plain()
        };
        let (scaled, plain) = (
            rope.inverse_frequencies(16, 1),
            plain().inverse_frequencies(16, 1),
        );
        assert_eq!(scaled[0], plain[0]);
        assert_eq!(scaled[7], plain[7] / 8.0);
        // The passage between the two: strictly between unscaled and fully scaled.
        assert!((0..8).any(|i| scaled[i] < plain[i] && scaled[i] > plain[i] / 8.0));
    }

    #[test]
    fn yarn_goes_from_untouched_to_fully_scaled() {
        let rope = Rope {
            scaling: RopeScaling::Yarn {
                factor: 4.0,
                attention_factor: 1.5,
                beta_fast: 8.0,
                beta_slow: 1.0,
                original_max_positions: 256.0,
                truncate: true,
            },
            ..plain()
        };
        let (scaled, plain) = (
            rope.inverse_frequencies(32, 1),
            plain().inverse_frequencies(32, 1),
        );
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[15] / plain[15] - 0.25).abs() < 1e-6);
        assert!((0..16).any(|i| scaled[i] < plain[i] && scaled[i] > plain[i] / 4.0));
        assert_eq!(rope.attention_factor(), 1.5);
    }

    #[test]
    fn a_row_of_sequences_of_unlike_length_rotates_each_by_its_own() {
        let longrope = Rope {
            scaling: RopeScaling::LongRope {
                short: vec![1.0, 2.0],
                long: vec![3.0, 5.0],
                attention_factor: 1.0,
                original_max_positions: 8,
            },
            ..plain()
        };
        let dynamic = Rope {
            scaling: RopeScaling::Dynamic {
                factor: 2.0,
                max_positions: 8,
            },
            ..plain()
        };
        for rope in [longrope, dynamic] {
            assert!(rope.ages(8) && !rope.ages(7));
            let cache = RopeCache::new(rope, 4);
            let (positions, lengths) = ([5, 5, 3], [8, 12, 8]);
            let mixed = cache.rotation(&positions, &lengths, &Device::Cpu).unwrap();
            let cosines = |rotation: &Rotation, token: usize| {
                rotation
                    .table
                    .cos
                    .get(rotation.rows[token] as usize)
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
            };
            for token in 0..3 {
                let alone = cache
                    .rotation(
                        &positions[token..=token],
                        &lengths[token..=token],
                        &Device::Cpu,
                    )
                    .unwrap();
                assert_eq!(cosines(&mixed, token), cosines(&alone, 0));
            }
            assert_ne!(cosines(&mixed, 0), cosines(&mixed, 1), "{:?}", cache.rope);
        }
    }

    #[test]
    fn half_a_head_may_be_rotated() {
        let rope = Rope {
            partial: 0.75,
            ..plain()
        };
        assert_eq!(rope.inverse_frequencies(8, 1).len(), 3);
        assert!(rope.validate(8).is_ok());
        assert!(
            Rope {
                partial: 1.5,
                ..rope
            }
            .validate(8)
            .is_err()
        );
    }
}
