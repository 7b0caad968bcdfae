//! A trained policy as a folder that other tools read: the adapter alone, or merged into the model's own weights.
//!
//! Adapters that load elsewhere and do nothing are a common grief, and so are answers that differ because the template did.
//! So the tokenizer's files go along, `probe.json` holds exact ids that any runtime can be checked with, and nothing is
//! called exported before it was read back from disk and gave the policy's own logits.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::model::{
    self, GenerateOptions, LoadError, LoadOptions, Policy, PolicyError, Stored, adapter::save_peft,
    save_merged,
};

/// What an export was checked with, on the logits that follow each probe prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    pub probes: usize,
    /// Largest difference between the logits of what was read back and of the policy in memory.
    pub difference: f64,
    /// Largest difference between the policy and the bare model. 0: this training has changed nothing yet.
    pub effect: f64,
}

/// An export that failed or did not read back.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("There is no prompt to check the export with; give at least one")]
    NoProbe,
    #[error(transparent)]
    Model(#[from] LoadError),
    #[error("The export could not be checked: {0}")]
    Check(#[from] PolicyError),
    #[error("Could not write {path}: {source}")]
    Write {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "What was written to {path} does not read back as this policy: logits differ by up to {difference}"
    )]
    Differs { path: PathBuf, difference: f64 },
}

/// Files of a model folder that decide how text becomes ids and when an answer ends.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
];
const PROBE_TOKENS: usize = 16;

/// Writes the policy's adapter (with those frozen below it) for the model in `folder` into `dir`, which is created.
pub fn adapter(
    policy: &Policy,
    folder: &Path,
    dir: &Path,
    probes: &[Vec<u32>],
) -> Result<Proof, ExportError> {
    save_peft(policy, dir, &folder.to_string_lossy())?;
    let options = LoadOptions {
        frozen_adapters: vec![dir.to_owned()],
        ..LoadOptions::default()
    };
    let read_back = Policy::load(folder, &options)?;
    finish(policy, &read_back, folder, dir, probes, 1e-3)
}

/// Writes the whole model with its adapters folded in.
pub fn merged(
    policy: &Policy,
    folder: &Path,
    dir: &Path,
    stored: Stored,
    probes: &[Vec<u32>],
) -> Result<Proof, ExportError> {
    save_merged(policy, dir, stored)?;
    let read_back = Policy::load(dir, &LoadOptions::default())?;
    let tolerance = match stored {
        Stored::F32 => 1e-3,
        Stored::F16 => 2e-2,
        Stored::Bf16 => 2e-1,
    };
    finish(policy, &read_back, folder, dir, probes, tolerance)
}

/// Compares, then writes the companions. `tolerance` is a share of the largest logit.
fn finish(
    policy: &Policy,
    read_back: &Policy,
    folder: &Path,
    dir: &Path,
    probes: &[Vec<u32>],
    tolerance: f64,
) -> Result<Proof, ExportError> {
    if probes.is_empty() {
        return Err(ExportError::NoProbe);
    }
    let bare = Policy::load(folder, &LoadOptions::default())?;
    let (mut difference, mut effect, mut largest) = (0.0_f64, 0.0_f64, 0.0_f64);
    for probe in probes {
        let ours = last_logits(policy, probe)?;
        difference = difference.max(apart(&ours, &last_logits(read_back, probe)?));
        effect = effect.max(apart(&ours, &last_logits(&bare, probe)?));
        largest = ours
            .iter()
            .fold(largest, |most, logit| most.max(f64::from(logit.abs())));
    }
    if difference.is_nan() || difference > tolerance * largest {
        return Err(ExportError::Differs {
            path: dir.to_owned(),
            difference,
        });
    }
    write_companions(read_back, folder, dir, probes)?;
    Ok(Proof {
        probes: probes.len(),
        difference,
        effect,
    })
}

fn write_companions(
    read_back: &Policy,
    folder: &Path,
    dir: &Path,
    probes: &[Vec<u32>],
) -> Result<(), ExportError> {
    for name in COMPANIONS {
        let (from, path) = (folder.join(name), dir.join(name));
        if from.is_file() {
            // Contents only: a model folder is often read-only, what is exported from it need not be.
            let copied = fs::read(&from).and_then(|bytes| fs::write(&path, bytes));
            copied.map_err(|source| ExportError::Write { path, source })?;
        }
    }
    let options = GenerateOptions {
        max_new: PROBE_TOKENS,
        ..GenerateOptions::default()
    };
    let answers = read_back.generate(probes, &options, &mut |_, _| ControlFlow::Continue(()))?;
    let probes: Vec<_> = probes
        .iter()
        .zip(answers)
        .map(|(prompt, answer)| json!({"prompt_ids": prompt, "greedy_ids": answer.ids}))
        .collect();
    let path = dir.join("probe.json");
    fs::write(&path, format!("{:#}\n", json!(probes)))
        .map_err(|source| ExportError::Write { path, source })
}

/// Logits of the token that follows a text.
fn last_logits(policy: &Policy, ids: &[u32]) -> Result<Vec<f32>, ExportError> {
    let logits = policy.logits(ids)?;
    let last = ids.len().saturating_sub(1);
    Ok(logits
        .get(last)
        .and_then(|row| row.to_vec1())
        .map_err(model::PolicyError::from)?)
}

fn apart(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| f64::from((a - b).abs()))
        .fold(0.0, |most, off| {
            if off > most || off.is_nan() {
                off
            } else {
                most
            }
        })
}
