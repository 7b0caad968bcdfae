//! Random weights for a spec, written as a Hugging Face folder: for tests, benchmarks and models made from scratch.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, json};

use super::{
    LoadError, Spec,
    lora::stream_seed,
    tensors::{Role, TensorSpec},
};

/// Numbers made and written at a time.
const PIECE: usize = 1 << 16;

/// Writes `config.json` and `model.safetensors` (f32) into `dir`, which is created: matrices normal with the spec's
/// `initializer_range`, biases zero, norms neutral. Each tensor has its own stream of the seed. Takes next to no
/// memory, whatever the size of the model.
pub fn write_random(dir: &Path, spec: &Spec, seed: u64) -> Result<(), LoadError> {
    spec.validate().map_err(|reason| LoadError::Config { path: dir.to_owned(), reason })?;
    fs::create_dir_all(dir).map_err(|source| LoadError::Write { path: dir.to_owned(), source })?;
    let path = dir.join("model.safetensors");
    write_weights(&path, spec, seed).map_err(|source| LoadError::Write { path, source })?;
    let path = dir.join("config.json");
    let config = format!("{:#}\n", spec.to_config_json("float32"));
    fs::write(&path, config).map_err(|source| LoadError::Write { path, source })
}

/// The safetensors format by hand, because its crate wants each tensor whole: header length, header, then the numbers.
fn write_weights(path: &Path, spec: &Spec, seed: u64) -> std::io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut end = 0;
    for tensor in spec.tensors() {
        let start = end;
        end += tensor.shape.iter().product::<usize>() * size_of::<f32>();
        let place = json!({"dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]});
        header.insert(tensor.name, place);
    }
    let mut header = serde_json::to_string(&header)?;
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for tensor in spec.tensors() {
        write_tensor(&mut file, &tensor, spec, seed)?;
    }
    file.flush()
}

fn write_tensor(file: &mut impl Write, tensor: &TensorSpec, spec: &Spec, seed: u64) -> std::io::Result<()> {
    let mut stream = ChaCha8Rng::from_seed(*stream_seed(seed, &tensor.name).as_bytes());
    let mut left: usize = tensor.shape.iter().product();
    while left > 0 {
        let len = left.min(PIECE);
        let values = match tensor.role {
            Role::Norm if spec.norm_plus_one => vec![0.0; len],
            Role::Norm => vec![1.0; len],
            Role::Bias => vec![0.0; len],
            Role::Matrix => normal(&mut stream, len, spec.initializer_range),
        };
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        file.write_all(&bytes)?;
        left -= len;
    }
    Ok(())
}

/// Normally distributed numbers by the Box–Muller transform.
fn normal(stream: &mut ChaCha8Rng, len: usize, deviation: f64) -> Vec<f32> {
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
        let values = normal(&mut ChaCha8Rng::from_seed([7; 32]), 100_001, 0.02);
        assert_eq!(values.len(), 100_001);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
        let variance = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 3e-4, "{mean}");
        assert!((variance.sqrt() / 0.02 - 1.0).abs() < 0.01, "{variance}");
    }
}
