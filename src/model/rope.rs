//! Rotary positions: frequencies here, what a config says about them in `settings`, cosines and sines in `table`.
//!
//! Scalings as Transformers computes them, in f32: linear, dynamic NTK, Llama 3, YaRN (arXiv 2309.00071), LongRoPE
//! (arXiv 2402.13753). Dynamic and LongRoPE frequencies depend on how long the whole sequence is, so every token is
//! rotated by its position *and* by the length of its own sequence; what else is in the row makes no difference.

mod settings;
mod table;

pub(super) use settings::{SilentRope, read};
pub(super) use table::{RopeCache, Rotation};

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
            return Err(format!("`rope_theta` is {}; expected a positive number", self.theta));
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
            RopeScaling::Llama3 { low_freq_factor, high_freq_factor, .. } if high_freq_factor <= low_freq_factor => {
                Err("`high_freq_factor` must be greater than `low_freq_factor`".to_owned())
            }
            RopeScaling::Yarn { .. } if self.theta <= 1.0 => {
                Err(format!("`rope_theta` is {}; yarn scaling needs one above 1", self.theta))
            }
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
            RopeScaling::LongRope { original_max_positions, .. } if length as usize > original_max_positions => {
                u32::MAX
            }
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
            RopeScaling::Dynamic { factor, max_positions } => {
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
                    1.0 / (*factor as f32 * wavelength) * (1.0 - untouched) + 1.0 / wavelength * untouched
                };
                wavelengths.map(scaled).collect()
            }
            RopeScaling::LongRope { short, long, .. } => {
                let factors = if self.era(length) == 0 { short } else { long };
                let scaled = |(pair, wavelength)| 1.0 / (factors[pair] as f32 * wavelength);
                wavelengths.map(scaled).collect()
            }
            _ => wavelengths.map(|(_, wavelength)| self.scale(1.0 / wavelength)).collect(),
        }
    }

    fn scale(&self, frequency: f32) -> f32 {
        match self.scaling {
            RopeScaling::Linear { factor } => frequency / factor as f32,
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_positions } => {
                let wavelength = 2.0 * std::f64::consts::PI / f64::from(frequency);
                if wavelength < original_max_positions / high_freq_factor {
                    frequency
                } else if wavelength > original_max_positions / low_freq_factor {
                    frequency / factor as f32
                } else {
                    let smooth =
                        (original_max_positions / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    ((1.0 - smooth) * f64::from(frequency) / factor + smooth * f64::from(frequency)) as f32
                }
            }
            _ => frequency,
        }
    }

    /// YaRN: the pair up to which frequencies are untouched, and the one from which they are fully scaled.
    fn passage(&self, width: usize) -> (f32, f32) {
        let RopeScaling::Yarn { beta_fast, beta_slow, original_max_positions, truncate, .. } = self.scaling else {
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
    pub(super) fn attention_factor(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::LongRope { attention_factor, .. } => {
                attention_factor as f32
            }
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Rope {
        Rope { theta: 10000.0, partial: 1.0, scaling: RopeScaling::None }
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
        let (scaled, plain) = (rope.inverse_frequencies(16, 1), plain().inverse_frequencies(16, 1));
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
        let (scaled, plain) = (rope.inverse_frequencies(32, 1), plain().inverse_frequencies(32, 1));
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[15] / plain[15] - 0.25).abs() < 1e-6);
        assert!((0..16).any(|i| scaled[i] < plain[i] && scaled[i] > plain[i] / 4.0));
        assert_eq!(rope.attention_factor(), 1.5);
    }

    #[test]
    fn half_a_head_may_be_rotated() {
        let rope = Rope { partial: 0.75, ..plain() };
        assert_eq!(rope.inverse_frequencies(8, 1).len(), 3);
        assert!(rope.validate(8).is_ok());
        assert!(Rope { partial: 1.5, ..rope }.validate(8).is_err());
    }
}
