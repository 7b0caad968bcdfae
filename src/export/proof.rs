//! What was written against what was meant: the logits that follow each probe prompt, and the greedy answers.

use std::{ops::ControlFlow, path::Path};

use data::config::Precision;
use model::{Doc, GenerateOptions, LoadError, LoadOptions, Policy, PolicyError, Reads, Row};
use serde_json::{Value, json};

use crate::ExportError;

/// What an export was checked with, on the logits that follow each probe prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proof {
    pub probes: usize,
    /// Largest difference between the logits of what was read back and of what was meant: the policy in memory, or
    /// where the files' type rounds its weights to blocks, the policy with its weights rounded in memory.
    pub difference: f64,
    /// Largest difference that this rounding makes; absent where nothing is rounded apart.
    pub rounding: Option<f64>,
    /// The largest logit, to see the difference in proportion.
    pub largest: f64,
    /// Largest difference between the policy and what the export goes on top of. 0: this training has changed nothing
    /// yet.
    pub effect: f64,
    /// Probes whose greedy answer is another than without the export.
    pub changed: usize,
}

const PROBE_TOKENS: usize = 16;

/// In f32, whatever the run trained in: a proof must not drown in rounding.
pub(super) fn load(model: &Path, adapters: &[&Path]) -> Result<Policy, LoadError> {
    Policy::load(model, &options(adapters))
}

/// The bare model, each of its tensors ready to be written over.
pub(super) fn load_writable(model: &Path) -> Result<Policy, LoadError> {
    Policy::load(model, &LoadOptions { full: true, ..options(&[]) })
}

fn options(adapters: &[&Path]) -> LoadOptions {
    LoadOptions {
        precision: Precision::F32,
        frozen_adapters: adapters.iter().map(|&path| path.to_owned()).collect(),
        // One that lies beside the model is among those that are named, or part of what is checked.
        bare: true,
        ..LoadOptions::default()
    }
}

impl Proof {
    /// How close what was read back came, in words: "to the bit", "to 1.3e-5".
    pub fn closeness(&self) -> String {
        match self.difference {
            0.0 => "to the bit".to_owned(),
            difference => format!("to {difference:.1e}"),
        }
    }

    /// Compares the policy in memory with what was `read_back`, and with `bare`, the model without what was exported.
    /// Where weights were rounded apart, `rounded` is the policy with its weights rounded in memory. Also gives what
    /// `probe.json` says.
    pub(super) fn of(
        policy: &Policy,
        rounded: Option<&Policy>,
        read_back: &Policy,
        bare: &Said,
        probes: &[Vec<u32>],
    ) -> Result<(Self, Value), ExportError> {
        let trained = logits(policy, probes)?;
        let meant = rounded.map(|rounded| logits(rounded, probes)).transpose()?;
        let read = Said::of(read_back, probes)?;
        let proof = Self {
            probes: probes.len(),
            difference: all_apart(meant.as_ref().unwrap_or(&trained), &read.logits),
            rounding: meant.map(|meant| all_apart(&trained, &meant)),
            largest: trained.iter().flatten().fold(0.0, |most, logit| most.max(f64::from(logit.abs()))),
            // A reward model has nothing below it that gives scores.
            effect: if policy.has_scalar_head() {
                all_apart(&trained, &zeros(&trained))
            } else {
                all_apart(&trained, &bare.logits)
            },
            changed: read.answers.iter().zip(&bare.answers).filter(|(a, b)| a != b).count(),
        };
        let probes = probes.iter().zip(&read.answers);
        let probes = probes.map(|(prompt, answer)| json!({"prompt_ids": prompt, "greedy_ids": answer})).collect();
        Ok((proof, Value::Array(probes)))
    }
}

/// What a model makes of the probes.
pub(super) struct Said {
    logits: Vec<Vec<f32>>,
    answers: Vec<Vec<u32>>,
}

impl Said {
    pub(super) fn of(policy: &Policy, probes: &[Vec<u32>]) -> Result<Self, ExportError> {
        Ok(Self { logits: logits(policy, probes)?, answers: greedy(policy, probes)? })
    }
}

/// Logits of the token that follows each text.
fn logits(policy: &Policy, probes: &[Vec<u32>]) -> Result<Vec<Vec<f32>>, ExportError> {
    probes.iter().map(|probe| last_logits(policy, probe)).collect()
}

fn all_apart(a: &[Vec<f32>], b: &[Vec<f32>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| apart(a, b)).fold(0.0, worst)
}

fn zeros(of: &[Vec<f32>]) -> Vec<Vec<f32>> {
    of.iter().map(|values| vec![0.0; values.len()]).collect()
}

/// The likeliest tokens after each prompt, going on past an end of turn.
fn greedy(policy: &Policy, probes: &[Vec<u32>]) -> Result<Vec<Vec<u32>>, PolicyError> {
    if policy.has_scalar_head() {
        return Ok(vec![Vec::new(); probes.len()]);
    }
    let options = GenerateOptions { max_new: PROBE_TOKENS, ..GenerateOptions::default() };
    let answers = policy.generate(probes, &options, &mut |_, _| ControlFlow::Continue(()))?;
    Ok(answers.into_iter().map(|answer| answer.ids).collect())
}

/// Logits of the token that follows a text, or of a reward model the score of the text.
fn last_logits(policy: &Policy, ids: &[u32]) -> Result<Vec<f32>, ExportError> {
    if policy.has_scalar_head() {
        let Some((&last, before)) = ids.split_last().filter(|(_, before)| !before.is_empty()) else {
            return Err(ExportError::NoProbe);
        };
        let doc = Doc::new(before.to_vec(), vec![vec![last]]);
        let row = Row::pack_for(&[doc], Reads::Ends).map_err(PolicyError::from)?;
        return Ok(policy.log_probs(&row)?.concat());
    }
    let logits = policy.logits(ids)?;
    let last = ids.len().saturating_sub(1);
    Ok(logits.rows(last, 1).and_then(|row| row.to_vec()).map_err(PolicyError::from)?)
}

fn apart(a: &[f32], b: &[f32]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs()));
    differences.fold(0.0, worst)
}

/// The larger; NaN if either is.
fn worst(most: f64, off: f64) -> f64 {
    if off > most || off.is_nan() { off } else { most }
}
