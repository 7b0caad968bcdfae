//! Answers to single prompts, with whatever weights are at hand.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    checkpoint,
    error::Result,
    material,
    protocol::{Generated, RunControl, Sampling, StoppedBy, Weights},
};
use crate::{
    engine::config::RunConfig,
    kernels::device::DeviceChoice,
    model::{GenerateOptions, LoadOptions, Policy, Precision},
    store::{Project, RunId},
    text::{Codec, StreamDecoder},
};

/// A policy with its tokenizer, loaded to answer.
pub struct Speaker {
    pub policy: Policy,
    pub codec: Codec,
}

impl Speaker {
    /// A model folder or file, with a PEFT adapter on top if one is named.
    pub fn load(
        folder: &Path,
        adapter: Option<&Path>,
        precision: Precision,
        device: DeviceChoice,
    ) -> Result<Self> {
        let options = LoadOptions {
            precision,
            frozen_adapters: adapter.map(Path::to_owned).into_iter().collect(),
            device,
            ..LoadOptions::default()
        };
        Ok(Self {
            policy: Policy::load(folder, &options)?,
            codec: Codec::load(folder)?,
        })
    }

    /// A checkpoint of a run; `step` absent = the newest.
    pub fn of_run(project: &Path, run: RunId, step: Option<u64>) -> Result<Self> {
        let project = Project::open(project)?;
        let record = project.run(run)?;
        let config = RunConfig::from_toml(&record.config_toml)?;
        let folder = material::model_folder(&project, &config)?;
        let mut policy = Policy::load(&folder, &material::load_options(&config, project.dir()))?;
        let saved = checkpoint::open(&project.run_dir(run), step)?;
        policy.set_trainable(&saved.trainable()?)?;
        Ok(Self {
            policy,
            codec: Codec::load(&folder)?,
        })
    }
}

/// Answers one prompt given as ids. `on_text` hears the text as it comes; the control's stop cuts the answer short.
pub fn answer(
    policy: &Policy,
    codec: &Codec,
    prompt_ids: Vec<u32>,
    sampling: &Sampling,
    control: &RunControl,
    on_text: &mut dyn FnMut(String),
) -> Result<Generated> {
    let options = GenerateOptions {
        temperature: sampling.temperature,
        top_p: sampling.top_p,
        max_new: sampling.max_new_tokens,
        seed: sampling.seed,
        stop: if sampling.ignore_eos {
            Vec::new()
        } else {
            codec.stop_ids().to_vec()
        },
    };
    let started = Instant::now();
    let mut decoder = StreamDecoder::new();
    let mut cancelled = false;
    let prompts = [prompt_ids];
    let mut generations = policy.generate(&prompts, &options, &mut |_, id| {
        let text = decoder.push(codec, id);
        if !text.is_empty() {
            on_text(text);
        }
        if control.stopping() {
            cancelled = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let rest = decoder.finish(codec);
    if !rest.is_empty() {
        on_text(rest);
    }
    let [prompt_ids] = prompts;
    let (ids, ended) = generations
        .pop()
        .map_or((Vec::new(), false), |g| (g.ids, g.stopped_by_eos));
    Ok(Generated {
        prompt_ids,
        text: codec.decode(&ids),
        stopped_by: if ended {
            StoppedBy::Eos
        } else if cancelled {
            StoppedBy::Cancelled
        } else {
            StoppedBy::Limit
        },
        tokens_per_sec: ids.len() as f64 / started.elapsed().as_secs_f64().max(1e-9),
        ids,
    })
}

/// Which weights a loaded speaker has.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Voice {
    Model(PathBuf, Option<PathBuf>),
    Run(PathBuf, RunId, u64),
}

/// Speakers kept loaded, so that a conversation does not load its model at every turn. Two, for a duel.
#[derive(Default)]
pub struct Speakers(Vec<(Voice, Speaker)>);

const KEPT: usize = 2;

impl Speakers {
    /// Forgets what is loaded, to make room.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The speaker with these weights, loaded now if it is not at hand. The newest checkpoint is looked up every time.
    pub fn get(&mut self, weights: &Weights) -> Result<&Speaker> {
        let voice = match weights {
            Weights::Model { folder, adapter } => Voice::Model(folder.clone(), adapter.clone()),
            Weights::Run { project, run, step } => {
                let step = match step {
                    Some(step) => *step,
                    None => checkpoint::newest_step(&Project::open(project)?.run_dir(*run))?,
                };
                Voice::Run(project.clone(), *run, step)
            }
        };
        if let Some(index) = self.0.iter().position(|(loaded, _)| *loaded == voice) {
            let found = self.0.remove(index);
            self.0.push(found);
        } else {
            if self.0.len() >= KEPT {
                self.0.remove(0);
            }
            let speaker = match &voice {
                Voice::Model(folder, adapter) => Speaker::load(
                    folder,
                    adapter.as_deref(),
                    Precision::Auto,
                    DeviceChoice::Auto,
                )?,
                Voice::Run(project, run, step) => Speaker::of_run(project, *run, Some(*step))?,
            };
            self.0.push((voice, speaker));
        }
        let newest = self.0.len() - 1;
        Ok(&self.0[newest].1)
    }
}
