//! LoRA: which linear layers get an adapter, its scale, and its starting values.
//!
//! Source: Hu et al., arXiv 2106.09685; rank-stabilised scale, arXiv 2312.03732. Start as in PEFT: A uniform as
//! Kaiming with a = √5, B zero, so that the policy starts as the model it adapts.

use data::config::Targets;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Spec, tensors::LinearSpec};

/// The shape of a new adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterShape {
    pub rank: usize,
    pub alpha: f64,
    /// Scale α/√r instead of α/r.
    pub rslora: bool,
    /// Probability that an input of the adapter is dropped in training.
    pub dropout: f64,
    pub targets: Targets,
    /// Decides A's starting values and the dropout masks.
    pub seed: u64,
}

/// Whether the module of this path gets an adapter. A name matches as the path's end, as in PEFT.
pub(super) fn is_target(targets: &Targets, path: &str) -> bool {
    match targets {
        Targets::AllLinear => true,
        Targets::Names(names) => names.iter().any(|name| matches_module(name, path)),
    }
}

fn matches_module(name: &str, path: &str) -> bool {
    path.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

impl AdapterShape {
    /// α/r, or α/√r.
    pub fn scale(&self) -> f64 {
        if self.rslora { self.alpha / (self.rank as f64).sqrt() } else { self.alpha / self.rank as f64 }
    }

    /// A sentence about the first setting that makes no sense.
    pub fn validate(&self, spec: &Spec) -> Result<(), String> {
        let most = spec.hidden_size.max(spec.intermediate_size);
        if self.rank == 0 || self.rank > most {
            return Err(format!("rank is {}; expected 1 to {most}", self.rank));
        }
        if !self.alpha.is_finite() || self.alpha == 0.0 {
            return Err(format!("alpha is {}; expected a number that is not zero", self.alpha));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("dropout is {}; expected 0 or more and less than 1", self.dropout));
        }
        if let Targets::Names(names) = &self.targets {
            if names.is_empty() {
                return Err(format!(
                    "targets is empty; expected \"all-linear\" or some of {}",
                    spec.linear_names().join(", ")
                ));
            }
            for name in names {
                let exists = spec.all_linears().any(|linear| matches_module(name, &linear.path));
                if !exists {
                    return Err(format!(
                        "there is no linear layer `{name}` in this model; it has {}",
                        spec.linear_names().join(", ")
                    ));
                }
            }
        }
        Ok(())
    }
}

/// `base_model.model.<path>.lora_A.weight`, PEFT's name for the adapter's inner matrix.
pub(super) fn a_name(path: &str) -> String {
    format!("base_model.model.{path}.lora_A.weight")
}

/// `base_model.model.<path>.lora_B.weight`.
pub(super) fn b_name(path: &str) -> String {
    format!("base_model.model.{path}.lora_B.weight")
}

/// Whether a trained tensor is an adapter's B.
pub(super) fn is_b(name: &str) -> bool {
    name.ends_with(".lora_B.weight")
}

/// Starting values of A: uniform within ±1/√in. Each module has its own stream, so that they do not depend on which
/// other modules are targets.
pub(super) fn fill_a(values: &mut [f32], linear: &LinearSpec, seed: u64) {
    let mut stream = ChaCha8Rng::from_seed(*stream_seed(seed, &linear.path).as_bytes());
    let bound = 1.0 / (linear.input as f32).sqrt();
    for value in values {
        *value = stream.random_range(-bound..bound);
    }
}

/// A seed of its own for everything that has a name.
pub(super) fn stream_seed(seed: u64, name: &str) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        Spec::parse(
            r#"{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
            "num_hidden_layers": 2, "num_attention_heads": 4}"#,
        )
        .unwrap()
    }

    fn shape(targets: Targets) -> AdapterShape {
        AdapterShape { rank: 4, alpha: 8.0, rslora: false, dropout: 0.0, targets, seed: 1 }
    }

    #[test]
    fn an_unknown_target_lists_what_exists() {
        let names = |names: &[&str]| shape(Targets::Names(names.iter().map(|&name| name.to_owned()).collect()));
        let error = names(&["q_proj", "query"]).validate(&spec()).unwrap_err();
        assert!(error.contains("`query`") && error.contains("down_proj"), "{error}");
        assert!(names(&["proj"]).validate(&spec()).is_err(), "half a name is no name");
        assert!(names(&["model.layers.1.mlp.up_proj", "v_proj"]).validate(&spec()).is_ok());
        assert!(names(&[]).validate(&spec()).is_err());
    }

    #[test]
    fn scale_is_alpha_over_rank_or_over_its_root() {
        let plain = shape(Targets::AllLinear);
        assert_eq!(plain.scale(), 2.0);
        assert_eq!(AdapterShape { rslora: true, ..plain }.scale(), 4.0);
    }

    #[test]
    fn a_starts_uniform_within_the_kaiming_bound_and_repeats() {
        let linear = spec().linears(0).next().unwrap();
        let mut values = vec![0.0; 4096];
        fill_a(&mut values, &linear, 7);
        let bound = 0.25;
        assert!(values.iter().all(|v| v.abs() <= bound));
        let variance = values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        assert!((variance - bound * bound / 3.0).abs() < 1e-3, "{variance}");
        let mut again = vec![0.0; 4096];
        fill_a(&mut again, &linear, 7);
        assert_eq!(values, again);
        fill_a(&mut again, &linear, 8);
        assert_ne!(values, again);
    }
}
