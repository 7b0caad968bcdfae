//! A trained policy as a folder that other tools read: the adapter alone, or merged into the model's own weights.
//!
//! Adapters that load elsewhere and do nothing are a common grief, and so are answers that differ because the template did.
//! So the tokenizer's files go along, `probe.json` holds exact ids that any runtime can be checked with, and nothing is
//! called exported before it was read back from disk and gave the policy's own logits.

use std::{
    fs,
    io::Read as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    About,
    aside::{Aside, write_error},
    card,
};
use crate::model::{
    GenerateOptions, LoadError, LoadOptions, MergedOptions, Policy, PolicyError, Precision, Stored,
    adapter::save_peft, write_merged,
};

/// What an export was checked with, on the logits that follow each probe prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    pub probes: usize,
    /// Largest difference between the logits of what was read back and of the policy in memory.
    pub difference: f64,
    /// Largest difference between the policy and the bare model. 0: this training has changed nothing yet.
    pub effect: f64,
    /// Probes whose greedy answer is another than the bare model's.
    pub changed: usize,
}

/// An export that failed or did not read back.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("There is no prompt to check the export with; give at least one")]
    NoProbe,
    #[error("{} is not empty{}", path.display(), if *ours { "; it holds an earlier export, which --overwrite replaces" } else { "; name a new folder" })]
    Occupied { path: PathBuf, ours: bool },
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
        "What was written for {path} does not read back as this policy: logits differ by up to {difference}. Nothing was kept"
    )]
    Differs { path: PathBuf, difference: f64 },
    #[error(
        "This training changes nothing: the logits are the base model's own. Nothing was exported to {path}"
    )]
    NoEffect { path: PathBuf },
}

/// What is exported, and what it is checked with.
pub struct Subject<'a> {
    pub policy: &'a Policy,
    /// The base model.
    pub folder: &'a Path,
    /// Prompts as token ids.
    pub probes: &'a [Vec<u32>],
    pub about: &'a About,
    /// An earlier export of ours may be replaced.
    pub overwrite: bool,
}

/// Files of a model folder that decide how text becomes ids and when an answer ends.
const COMPANIONS: &[&str] = &[
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
];
const PROBE_TOKENS: usize = 16;

/// Writes the policy's adapter (with those frozen below it) into `dir`. `on_phase` hears what is going on.
pub fn adapter(
    subject: &Subject<'_>,
    dir: &Path,
    on_phase: &mut dyn FnMut(&str),
) -> Result<Proof, ExportError> {
    let aside = prepare(subject, dir)?;
    let at = aside.path();
    on_phase("Writing the adapter");
    save_peft(subject.policy, &at, &subject.about.base_model)?;
    on_phase("Reading it back");
    let read_back = load(subject.folder, vec![at.clone()])?;
    finish(subject, &read_back, aside, "adapter", 1e-3)
}

/// Writes the whole model with its training folded in.
pub fn merged(
    subject: &Subject<'_>,
    dir: &Path,
    options: MergedOptions,
    on_phase: &mut dyn FnMut(&str),
) -> Result<Proof, ExportError> {
    let aside = prepare(subject, dir)?;
    let at = aside.path();
    on_phase("Writing the weights");
    write_merged(subject.policy, subject.folder, &at, options)?;
    on_phase("Reading them back");
    let read_back = load(&at, Vec::new())?;
    // Half precision rounds what was learnt to its own grid.
    let tolerance = match coarsest(&at)? {
        Stored::F32 => 1e-3,
        Stored::F16 => 2e-2,
        Stored::Bf16 => 2e-1,
    };
    finish(subject, &read_back, aside, "merged", tolerance)
}

/// The coarsest element type among the weight files that were just written, from their headers.
fn coarsest(dir: &Path) -> Result<Stored, ExportError> {
    let mut coarsest = Stored::F32;
    for entry in fs::read_dir(dir).map_err(write_error(dir))? {
        let path = entry.map_err(write_error(dir))?.path();
        if path.extension().is_none_or(|kind| kind != "safetensors") {
            continue;
        }
        let mut file = fs::File::open(&path).map_err(write_error(&path))?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(write_error(&path))?;
        let mut header = String::new();
        file.take(u64::from_le_bytes(length))
            .read_to_string(&mut header)
            .map_err(write_error(&path))?;
        if header.contains(r#""BF16""#) {
            return Ok(Stored::Bf16);
        }
        if header.contains(r#""F16""#) {
            coarsest = Stored::F16;
        }
    }
    Ok(coarsest)
}

fn prepare(subject: &Subject<'_>, dir: &Path) -> Result<Aside, ExportError> {
    if subject.probes.is_empty() {
        return Err(ExportError::NoProbe);
    }
    Aside::new(dir, subject.overwrite)
}

/// In f32, whatever the run trained in: a proof must not drown in rounding.
fn load(folder: &Path, frozen_adapters: Vec<PathBuf>) -> Result<Policy, LoadError> {
    let options = LoadOptions {
        precision: Precision::F32,
        frozen_adapters,
        ..LoadOptions::default()
    };
    Policy::load(folder, &options)
}

/// Compares, writes the companions, and puts the folder in its place. `tolerance` is a share of the largest logit.
fn finish(
    subject: &Subject<'_>,
    read_back: &Policy,
    aside: Aside,
    kind: &str,
    tolerance: f64,
) -> Result<Proof, ExportError> {
    let (policy, probes) = (subject.policy, subject.probes);
    let bare = load(subject.folder, Vec::new())?;
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
            path: aside.target(),
            difference,
        });
    }
    if effect == 0.0 {
        return Err(ExportError::NoEffect {
            path: aside.target(),
        });
    }
    let path = aside.path();
    let answers = greedy(read_back, probes)?;
    let before = greedy(&bare, probes)?;
    let proof = Proof {
        probes: probes.len(),
        difference,
        effect,
        changed: answers.iter().zip(&before).filter(|(a, b)| a != b).count(),
    };
    write_companions(subject.folder, &path)?;
    let probes: Vec<_> = probes
        .iter()
        .zip(&answers)
        .map(|(prompt, answer)| json!({"prompt_ids": prompt, "greedy_ids": answer}))
        .collect();
    let probe_file = path.join("probe.json");
    fs::write(&probe_file, format!("{:#}\n", json!(probes))).map_err(write_error(&probe_file))?;
    card::write(&path, kind, subject.about, &proof, &policy.adapter_norms()?)?;
    aside.finish()?;
    Ok(proof)
}

fn write_companions(folder: &Path, dir: &Path) -> Result<(), ExportError> {
    for name in COMPANIONS {
        let (from, path) = (folder.join(name), dir.join(name));
        if from.is_file() {
            // Contents only: a model folder is often read-only, what is exported from it need not be.
            let copied = fs::read(&from).and_then(|bytes| fs::write(&path, bytes));
            copied.map_err(write_error(&path))?;
        }
    }
    Ok(())
}

/// The likeliest tokens after each prompt, going on past an end of turn.
fn greedy(policy: &Policy, probes: &[Vec<u32>]) -> Result<Vec<Vec<u32>>, PolicyError> {
    let options = GenerateOptions {
        max_new: PROBE_TOKENS,
        ..GenerateOptions::default()
    };
    let answers = policy.generate(probes, &options, &mut |_, _| ControlFlow::Continue(()))?;
    Ok(answers.into_iter().map(|answer| answer.ids).collect())
}

/// Logits of the token that follows a text.
fn last_logits(policy: &Policy, ids: &[u32]) -> Result<Vec<f32>, ExportError> {
    let logits = policy.logits(ids)?;
    let last = ids.len().saturating_sub(1);
    Ok(logits
        .get(last)
        .and_then(|row| row.to_vec1())
        .map_err(PolicyError::from)?)
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
