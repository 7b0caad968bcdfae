//! `manifest.json`: what a folder is of, so that nothing is trained or taken back that is not.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use data::config::RunConfig;
use model::Policy;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::RunRecord;

use crate::error::{Result, io};

const FORMAT: u32 = 1;

/// How far log-probs of an answer computed there and here may be apart, in nats: so much an answer and so much a token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tolerance {
    pub per_answer: f64,
    pub per_token: f64,
}

impl Tolerance {
    /// By PyTorch's name of the numbers. bf16 has 8 bits, so a logit of 20 is rounded by up to 1/16.
    pub fn of(dtype: &str) -> Self {
        if dtype == "float32" {
            Self { per_answer: 1e-3, per_token: 1e-3 }
        } else {
            Self { per_answer: 0.1, per_token: 0.05 }
        }
    }

    pub fn allows(self, here: f64, there: f64, tokens: usize) -> bool {
        // What is no number is not allowed either.
        (here - there).abs() <= self.per_answer + self.per_token * tokens as f64
    }
}

#[derive(Debug, Serialize)]
pub struct Manifest {
    format: u32,
    program: String,
    run: Run,
    /// Whatever comes back has to know it.
    nonce: String,
    model: Model,
    /// PyTorch's name.
    dtype: &'static str,
    objective: Objective,
    optimizer: Optimizer,
    steps: usize,
    checkpoint_every: u64,
    eval_every: u64,
    keep: usize,
    seed: u64,
    tolerance: Tolerance,
    /// Everything beside this one, by its path.
    files: BTreeMap<String, Known>,
}

#[derive(Debug, Serialize)]
struct Run {
    id: i64,
    name: String,
    method: String,
    revision: u64,
}

#[derive(Debug, Serialize)]
struct Model {
    name: String,
    files: BTreeMap<String, Known>,
}

#[derive(Debug, Serialize)]
struct Objective {
    kind: &'static str,
    margin: &'static str,
    beta: f64,
    tau: f64,
    label_smoothing: f64,
    robust: bool,
    reference_weight: f64,
    retention_weight: f64,
}

#[derive(Debug, Serialize)]
struct Optimizer {
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    max_grad_norm: f64,
}

#[derive(Debug, Serialize)]
struct Known {
    sha256: String,
    size: u64,
}

impl Manifest {
    /// Of a folder in which everything else is written.
    pub fn of(
        (record, config): (&RunRecord, &RunConfig),
        policy: &Policy,
        (nonce, dtype, steps): (&str, &'static str, usize),
        folder: &Path,
    ) -> Result<Self> {
        let (objective, optimizer, train) = (&config.objective, &config.optimizer, &config.train);
        let mut files = BTreeMap::new();
        known_below(folder, "", &mut files)?;
        let known = |(name, path): (&String, &PathBuf)| Ok((name.clone(), Known::read(path)?));
        let of_model = of_model(policy.folder())?.iter().map(known).collect::<Result<_>>()?;
        Ok(Self {
            format: FORMAT,
            program: format!("nudge {}", env!("CARGO_PKG_VERSION")),
            run: Run {
                id: record.id.0,
                name: record.name.clone(),
                method: record.method.clone(),
                revision: record.revision.0,
            },
            nonce: nonce.to_owned(),
            model: Model { name: name_of(policy.folder()), files: of_model },
            dtype,
            objective: Objective {
                kind: objective.kind.name(),
                margin: objective.margin().name(),
                beta: objective.beta,
                tau: objective.tau,
                label_smoothing: objective.label_smoothing,
                robust: objective.robust,
                reference_weight: objective.reference_weight(),
                retention_weight: objective.retention_weight(),
            },
            optimizer: Optimizer {
                betas: optimizer.betas,
                eps: optimizer.eps,
                weight_decay: optimizer.weight_decay,
                max_grad_norm: optimizer.max_grad_norm,
            },
            steps,
            checkpoint_every: train.checkpoint_every,
            eval_every: train.eval_every,
            keep: train.keep,
            seed: train.shuffle_seed,
            tolerance: Tolerance::of(dtype),
            files,
        })
    }
}

/// Of a snapshot in the Hugging Face cache its name and commit; else what the folder is called.
pub fn name_of(model: &Path) -> String {
    let last = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entry = model.parent().filter(|parent| parent.ends_with("snapshots")).and_then(Path::parent);
    match entry.map(last).as_deref().and_then(|entry| entry.strip_prefix("models--")) {
        Some(name) => format!("{}@{}", name.replace("--", "/"), last(model)),
        None => last(model),
    }
}

/// The files that decide what the model computes, by their names; none that a link fetches from elsewhere.
pub fn of_model(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    if !folder.is_dir() {
        // A file is refused once it is loaded.
        return Ok(found);
    }
    for entry in fs::read_dir(folder).map_err(io("read", folder))? {
        let name = entry.map_err(io("read", folder))?.file_name().to_string_lossy().into_owned();
        let is_weights = name.ends_with(".safetensors") && name != "adapter_model.safetensors";
        if is_weights || ["config.json", "tokenizer.json", "model.safetensors.index.json"].contains(&name.as_str()) {
            found.insert(name.clone(), files::inside(folder, &name)?);
        }
    }
    Ok(found)
}

fn known_below(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Known>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(io("read", folder))? {
        let entry = entry.map_err(io("read", folder))?;
        let (path, name) = (entry.path(), format!("{prefix}{}", entry.file_name().to_string_lossy()));
        if path.is_dir() {
            known_below(&path, &format!("{name}/"), found)?;
        } else {
            found.insert(name, Known::read(&path)?);
        }
    }
    Ok(())
}

impl Known {
    fn read(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(io("read", path))?;
        let mut hasher = Sha256::new();
        let size = io::copy(&mut file, &mut hasher).map_err(io("read", path))?;
        Ok(Self { sha256: hex(&hasher.finalize()), size })
    }
}

/// The SHA-256 of a file of at most `limit` bytes, in hexadecimal digits.
pub fn sha256(path: &Path, limit: u64) -> Result<String> {
    files::open(path, limit)?;
    Ok(Known::read(path)?.sha256)
}

pub fn hex(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_without_where_it_lies() {
        let cached = Path::new("/home/me/.cache/huggingface/hub/models--org--small-7B/snapshots/c0ffee");
        assert_eq!(name_of(cached), "org/small-7B@c0ffee");
        assert_eq!(name_of(Path::new("/home/me/models/small")), "small");
    }

    #[test]
    fn tolerance_grows_with_the_answer_and_allows_no_nan() {
        let bf16 = Tolerance::of("bfloat16");
        assert!(bf16.allows(-40.0, -41.0, 20) && !bf16.allows(-40.0, -41.2, 20));
        assert!(!Tolerance::of("float32").allows(-40.0, -40.05, 20));
        assert!(!bf16.allows(f64::NAN, 0.0, 1000) && !bf16.allows(0.0, f64::INFINITY, 1000));
    }
}
