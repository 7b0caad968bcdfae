//! A finished or paused run as something that can be exported: its weights, what to check them with, where they come
//! from.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use data::{
    Prompt, PromptKey, SplitRule,
    config::{DataConfig, Precision},
};
use model::{LoadOptions, Policy, adapter};
use store::{Project, RunId, RunRecord};
use text::{Clock, Codec};
use train::{
    Result, TrainError,
    dataset::inputs::{self, Inputs},
    run::{checkpoint, rotation},
};

use crate::{AdapterStrength, Provenance, WhichCheckpoint};

/// Prompts that an export is checked with.
const PROBES: usize = 5;

/// A run's checkpoint, loaded in f32.
pub struct Trained {
    pub policy: Policy,
    /// The base model.
    pub folder: PathBuf,
    /// Held-out prompts as token ids; training ones where nothing is held out.
    pub probes: Vec<Vec<u32>>,
    pub about: Provenance,
    /// Why it is not the newest checkpoint, where that was asked for: sentences, none where it is.
    pub passed_over: Vec<String>,
}

impl Trained {
    /// `root` is the project's folder.
    pub fn load(root: &Path, run: RunId, which: WhichCheckpoint, strength: AdapterStrength) -> Result<Self> {
        let project = &Project::open(root)?;
        let record = &project.run(run)?;
        let config = record.config()?;
        let folders = &record.checkpoints;
        let saved = match which {
            WhichCheckpoint::Newest => checkpoint::open_weights(folders, None)?,
            WhichCheckpoint::Step(step) => checkpoint::open_weights(folders, Some(existing(folders, step)?))?,
            WhichCheckpoint::Best => {
                // What a checkpoint says of itself can be read where its tensors are damaged.
                if config.objective.kind.samples() {
                    return Err(TrainError::Sentence(
                        "PPO, RLOO and GRPO have no loss on held-out pairs that would tell which checkpoint is the best; name a step".to_owned(),
                    ));
                }
                let mut states = rotation::steps(folders).into_iter().rev();
                let best = states.find_map(|step| checkpoint::state_of(folders, step)?.best).ok_or_else(|| {
                    TrainError::Sentence("The run has no evaluation yet, so none is the best; name a step".to_owned())
                })?;
                checkpoint::open_weights(folders, Some(existing(folders, best.step)?))?
            }
        };
        let folder = inputs::model_folder(project, &config)?;
        let options = LoadOptions { precision: Precision::F32, ..inputs::load_options(&config, project.dir()) };
        let mut policy = Policy::load(&folder, &options)?;
        saved.restore(&mut policy)?;
        policy.set_strength(strength.factor())?;
        let codec = Codec::load(&folder)?.at(Clock::of_ms(record.day_ms));
        let inputs = inputs::of_run(project, record.id, saved.state().revision, &config)?;
        let (probes, chats) = probes(&inputs, &codec, &config.data)?;
        let step = saved.state().step;
        let about = Provenance {
            run: record.name.clone(),
            step,
            strength,
            base_model: folder.to_string_lossy().into_owned(),
            frozen: adapter::beside(&folder).into_iter().chain(options.frozen_adapters).collect(),
            continued: options.continued,
            method: record.method.clone(),
            scale: saved.state().scale,
            revision: saved.state().revision.0,
            pairs: inputs.pairs.count()?,
            reference_answers: inputs.references.len(),
            plain_style: codec.plain_style().filter(|_| chats).map(str::to_owned),
            settings: record.config_toml.clone(),
            metrics: newest_metrics(project, record, step)?,
        };
        Ok(Self { policy, folder, probes, about, passed_over: saved.told_passed_over() })
    }
}

/// Prompts to check an export with, as token ids: held-out ones first; and whether some prompt is a conversation.
fn probes(inputs: &Inputs, codec: &Codec, config: &DataConfig) -> Result<(Vec<Vec<u32>>, bool)> {
    let rule = SplitRule { eval_fraction: config.eval_fraction, seed: config.seed };
    let hold_out = inputs.pairs.held_out(rule)?.hold_out;
    let (mut probes, mut chats): (Vec<Vec<u32>>, bool) = (Vec::new(), false);
    for side in [true, false] {
        let mut failed = None;
        inputs.pairs.each(&mut |pair| {
            chats |= matches!(pair.prompt, Prompt::Chat(_));
            if probes.len() == PROBES && chats {
                return ControlFlow::Break(());
            }
            if probes.len() < PROBES && hold_out.holds_out(PromptKey::of(&pair.prompt)) == side {
                match codec.prompt_ids(&pair.prompt) {
                    Ok(ids) if ids.is_empty() || ids.len() > config.max_prompt_tokens || probes.contains(&ids) => {}
                    Ok(ids) => probes.push(ids),
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    Ok((probes, chats))
}

fn existing(folders: &[PathBuf], step: u64) -> Result<u64> {
    let steps = rotation::steps(folders);
    if steps.contains(&step) {
        return Ok(step);
    }
    // Where there is none at all.
    rotation::newest_step(folders)?;
    let known: Vec<String> = steps.iter().map(u64::to_string).collect();
    Err(TrainError::Sentence(format!("There is no checkpoint of step {step}; there are those of {}", known.join(", "))))
}

/// The newest value of each metric at or before a step.
fn newest_metrics(project: &Project, record: &RunRecord, step: u64) -> Result<Vec<(String, f64)>> {
    let mut newest: Vec<(String, f64)> = Vec::new();
    for (at, metrics) in project.steps(record.id, None)? {
        if at > step {
            break;
        }
        for (name, value) in metrics {
            match newest.iter_mut().find(|(known, _)| *known == name) {
                Some(found) => found.1 = value,
                None => newest.push((name, value)),
            }
        }
    }
    Ok(newest)
}
