//! Random weights for a spec, written as a Hugging Face folder: for tests, benchmarks and models made from scratch.

use std::{collections::HashMap, fs, path::Path};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, tensor::TensorView};

use super::{LoadError, Spec, lora::stream_seed, tensors::Role};

/// Writes `config.json` and `model.safetensors` (f32) into `dir`, which is created: matrices normal with the spec's
/// `initializer_range`, biases zero, norms one. Each tensor has its own stream of the seed.
pub fn write_random(dir: &Path, spec: &Spec, seed: u64) -> Result<(), LoadError> {
    let weights_path = dir.join("model.safetensors");
    spec.validate().map_err(|reason| LoadError::Config {
        path: dir.to_owned(),
        reason,
    })?;
    fs::create_dir_all(dir).map_err(|source| LoadError::Write {
        path: dir.to_owned(),
        source,
    })?;
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = spec
        .tensors()
        .map(|tensor| {
            let len = tensor.shape.iter().product();
            let values = match tensor.role {
                Role::Norm => vec![1.0; len],
                Role::Bias => vec![0.0; len],
                Role::Matrix => normal(
                    len,
                    spec.initializer_range,
                    *stream_seed(seed, &tensor.name).as_bytes(),
                ),
            };
            (
                tensor.name,
                tensor.shape,
                values.into_iter().flat_map(f32::to_le_bytes).collect(),
            )
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F32, shape.clone(), bytes)?,
            ))
        })
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    views
        .and_then(|views| safetensors::serialize_to_file(views, Some(metadata), &weights_path))
        .map_err(|error| LoadError::Write {
            path: weights_path,
            source: std::io::Error::other(error),
        })?;
    let path = dir.join("config.json");
    let config = format!("{:#}\n", spec.to_config_json("float32"));
    fs::write(&path, config).map_err(|source| LoadError::Write { path, source })
}

/// Normally distributed numbers by the Box–Muller transform.
fn normal(len: usize, deviation: f64, seed: [u8; 32]) -> Vec<f32> {
    let mut stream = ChaCha8Rng::from_seed(seed);
    let mut values = Vec::with_capacity(len + 1);
    while values.len() < len {
        let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt() * deviation;
        let angle = std::f64::consts::TAU * stream.random::<f64>();
        values.push((radius * angle.cos()) as f32);
        values.push((radius * angle.sin()) as f32);
    }
    values.truncate(len);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_normal() {
        let values = normal(100_001, 0.02, [7; 32]);
        assert_eq!(values.len(), 100_001);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 3e-4, "{mean}");
        assert!((variance.sqrt() / 0.02 - 1.0).abs() < 0.01, "{variance}");
    }
}
