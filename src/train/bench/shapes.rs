//! What is measured on when nothing is given: models of known shapes with random weights, and random pairs.

use model::{LoadError, Spec};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::measure::score::IdPair;

/// A model shape by name. All tie the head to the embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Tiny,
    /// That of SmolLM2-135M.
    Smol135,
    /// A Qwen2 with biased attention and a vocabulary of 150,000.
    Qwen05b,
}

impl Shape {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Smol135 => "smol135",
            Self::Qwen05b => "qwen0.5b",
        }
    }

    /// The shape as a spec of its family.
    pub fn spec(self) -> Result<Spec, LoadError> {
        Spec::parse(&self.config().to_string())
            .map_err(|reason| LoadError::Config { path: "a shape of the benchmark".into(), reason })
    }

    fn config(self) -> Value {
        let (family, theta, sizes) = match self {
            Self::Tiny => ("llama", 1e5, [256, 1024, 6, 4, 4, 8192]),
            Self::Smol135 => ("llama", 1e5, [576, 1536, 30, 9, 3, 49_152]),
            Self::Qwen05b => ("qwen2", 1e6, [896, 4864, 24, 14, 2, 151_936]),
        };
        let [width, feed, layers, heads, kv_heads, vocabulary] = sizes;
        json!({
            "model_type": family,
            "hidden_size": width,
            "intermediate_size": feed,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "vocab_size": vocabulary,
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-6,
            "rope_theta": theta,
            "tie_word_embeddings": true,
            "hidden_act": "silu",
        })
    }
}

/// Tokens of a prompt with either answer are at most this many.
const LONGEST: usize = 512;
const SHORTEST_PROMPT: usize = 8;
/// A prompt leaves an answer at least this much room.
const ROOM: usize = 128;
const SHORTEST_ANSWER: usize = 4;
/// Ids below are left to the special tokens that a vocabulary begins with.
const FIRST_ID: u32 = 10;

/// Random pairs with a reference answer each. Lengths are log-normal (σ 0.6) around 120 tokens for prompts and 90 for
/// answers; they depend on the seed and not on the vocabulary.
pub fn random_pairs(count: usize, vocabulary: usize, seed: u64) -> Vec<IdPair> {
    let mut lengths = ChaCha8Rng::seed_from_u64(seed);
    let mut tokens = ChaCha8Rng::seed_from_u64(seed + 1);
    let first = FIRST_ID.min(vocabulary as u32 - 1);
    let mut ids =
        |len: usize| -> Vec<u32> { (0..len).map(|_| tokens.random_range(first..vocabulary as u32)).collect() };
    (0..count)
        .map(|_| {
            let mut log_normal = |median: f64, least: usize, most: usize| {
                let radius = (-2.0 * (1.0 - lengths.random::<f64>()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * lengths.random::<f64>()).cos();
                let len = (median.ln() + 0.6 * normal).exp().round() as usize;
                len.clamp(least, most)
            };
            let prompt = log_normal(120.0, SHORTEST_PROMPT, LONGEST - ROOM);
            let other = log_normal(120.0, SHORTEST_PROMPT, LONGEST - ROOM);
            let mut answer = |prompt: usize| log_normal(90.0, SHORTEST_ANSWER, LONGEST - prompt);
            let (chosen, rejected, reference) = (answer(prompt), answer(prompt), answer(other));
            IdPair {
                prompt: ids(prompt),
                chosen: ids(chosen),
                rejected: ids(rejected),
                sft_prompt: Some(ids(other)),
                sft_completion: Some(ids(reference)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_have_the_sizes_they_are_named_after() {
        let parameters = |shape: Shape| shape.spec().unwrap().parameters();
        assert_eq!(parameters(Shape::Smol135), 134_515_008);
        assert_eq!(parameters(Shape::Tiny), 8_391_936);
    }

    #[test]
    fn random_pairs_fit_their_limits_and_repeat() {
        let pairs = random_pairs(200, 64, 3);
        for pair in &pairs {
            assert!(pair.prompt.len() + pair.chosen.len().max(pair.rejected.len()) <= LONGEST);
            assert!(pair.chosen.len() >= SHORTEST_ANSWER);
            let all = pair.prompt.iter().chain(&pair.chosen);
            assert!(all.chain(&pair.rejected).all(|id| (FIRST_ID..64).contains(id)));
        }
        let mut lengths: Vec<usize> = pairs.iter().map(|pair| pair.prompt.len()).collect();
        lengths.sort_unstable();
        assert!((90..160).contains(&lengths[100]), "median {}", lengths[100]);
        assert_eq!(pairs, random_pairs(200, 64, 3));
        let wider = random_pairs(200, 1024, 3);
        assert!(wider.iter().zip(&pairs).all(|(a, b)| a.prompt.len() == b.prompt.len()));
    }
}
