//! Answers to single prompts, with whatever weights are at hand.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use data::config::{Precision, RunConfig};
use kernels::device::{self, DeviceChoice};
use model::{GenerateOptions, HubCache, LoadOptions, Policy};
use serde::Deserialize;
use store::{Project, RunId, RunRecord};
use text::{Clock, Codec, Limits, StreamDecoder};
use train::{
    Result, TrainError,
    dataset::inputs,
    measure::pair_scores::{limits, start_name},
    reward::ScoreScale,
    run::{checkpoint, rotation},
};

use crate::{
    answers::stop::StopTexts,
    protocol::{AnswerOptions, Generated, Sampling, StoppedBy, Weights},
};

/// A policy with its tokenizer, loaded to answer.
pub struct Speaker {
    pub policy: Policy,
    pub codec: Codec,
    /// Everything that decides its log-probs.
    pub weights: String,
    /// Where its prompts are too long and its answers are cut.
    pub limits: Limits,
    /// The step of the run whose weights these are; absent for a model as it is on disk.
    pub step: Option<u64>,
    /// Of a reward model's scores.
    pub scale: Option<ScoreScale>,
    /// Why it is not a run's newest checkpoint, where that was asked for: sentences, none where it is.
    pub passed_over: Vec<String>,
}

impl Speaker {
    /// A model folder or file, or a name in the Hugging Face cache, with a PEFT adapter on top if one is named.
    pub fn load(folder: &Path, adapter: Option<&Path>, precision: Precision, device: DeviceChoice) -> Result<Self> {
        let options = LoadOptions {
            precision,
            frozen_adapters: adapter.map(Path::to_owned).into_iter().collect(),
            device,
            ..LoadOptions::default()
        };
        let folder = HubCache::of_user().resolve(folder)?;
        Ok(Self::of_model(Policy::load(&folder, &options)?, Codec::load(&folder)?, Limits::NONE))
    }

    /// What the runs of a project start from, by its own settings: its model, with the start adapter if one is named.
    pub fn of_start(project: &Project) -> Result<Self> {
        let config = RunConfig::from_toml(&project.settings()?.run_toml)?;
        let folder = inputs::model_folder(project, &config)?;
        let options = LoadOptions { adapter: None, full: false, ..inputs::load_options(&config, project.dir()) };
        Ok(Self::of_model(Policy::load(&folder, &options)?, Codec::load(&folder)?, limits(&config)))
    }

    fn of_model(policy: Policy, codec: Codec, limits: Limits) -> Self {
        Self {
            weights: policy.identity().to_owned(),
            limits,
            policy,
            codec,
            step: None,
            scale: None,
            passed_over: Vec::new(),
        }
    }

    /// A checkpoint of a run; `step` absent = the newest that is whole, 0 = what it started from.
    pub fn of_run(project: &Path, run: RunId, step: Option<u64>) -> Result<Self> {
        let project = Project::open(project)?;
        let record = project.run(run)?;
        let config = record.config()?;
        let folder = inputs::model_folder(&project, &config)?;
        let policy = Policy::load(&folder, &inputs::load_options_of(&record, &config, project.dir()))?;
        let codec = Codec::load(&folder)?.at(Clock::of_ms(record.day_ms));
        let limits = limits(&config);
        if step == Some(0) {
            return Ok(Self { step, ..Self::of_model(policy, codec, limits) });
        }
        Self::of_model(policy, codec, limits).at_checkpoint(&record, step)
    }

    /// The same run at another checkpoint.
    fn at_step(self, project: &Path, run: RunId, step: Option<u64>) -> Result<Self> {
        self.at_checkpoint(&Project::open(project)?.run(run)?, step)
    }

    fn at_checkpoint(mut self, record: &RunRecord, step: Option<u64>) -> Result<Self> {
        let saved = checkpoint::open_weights(&record.checkpoints, step)?;
        saved.restore(&mut self.policy)?;
        self.weights = format!("{} {}", self.policy.identity(), saved.trained());
        self.scale = saved.state().scale;
        (self.step, self.passed_over) = (Some(saved.state().step), saved.told_passed_over());
        Ok(self)
    }
}

/// Answers one prompt given as ids. `on_text` hears the text as it comes; the answer is cut short when it is no longer
/// `wanted`, which is asked before every token.
pub fn answer(
    policy: &Policy,
    codec: &Codec,
    prompt_ids: Vec<u32>,
    asked: &AnswerOptions,
    wanted: &dyn Fn() -> bool,
    on_text: &mut dyn FnMut(String),
) -> Result<Generated> {
    let prompts = vec![prompt_ids];
    let mut one = |_, text| on_text(text);
    let answers = answer_all(policy, codec, prompts, asked, wanted, &mut one)?;
    let missing = || TrainError::Sentence("The model gave no answer".to_owned());
    answers.into_iter().next().ok_or_else(missing)
}

/// Answers several prompts at once, each as it would be on its own. `on_text` hears the index of the prompt and its
/// text.
pub fn answer_all(
    policy: &Policy,
    codec: &Codec,
    prompts: Vec<Vec<u32>>,
    asked: &AnswerOptions,
    wanted: &dyn Fn() -> bool,
    on_text: &mut dyn FnMut(usize, String),
) -> Result<Vec<Generated>> {
    let context = policy.spec().max_positions;
    if let Some(prompt) = prompts.iter().find(|prompt| prompt.len() >= context) {
        return Err(TrainError::Sentence(format!(
            "The prompt has {} tokens and the model's context only {context}, so there is no room for an answer. Shorten \
             the prompt",
            prompt.len()
        )));
    }
    let options = options(codec, asked);
    let mut writers: Vec<Writer<'_>> = prompts.iter().map(|_| Writer::new(&asked.stop)).collect();
    let started = Instant::now();
    let mut first = None;
    let generations = policy.generate_while(&prompts, &options, wanted, &mut |index, id| {
        first.get_or_insert_with(Instant::now);
        let text = writers[index].push(codec, id);
        if !text.is_empty() {
            on_text(index, text);
        }
        if writers[index].stopped {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let first = first.unwrap_or_else(Instant::now);
    let per_sec = |tokens: usize, secs: f64| tokens as f64 / secs.max(1e-9);
    let drawn: usize = generations.iter().map(|g| g.ids.len()).sum();
    let tokens_per_sec = per_sec(drawn.saturating_sub(prompts.len()), first.elapsed().as_secs_f64());
    let read = prompts.iter().map(Vec::len).sum();
    let prompt_tokens_per_sec = per_sec(read, (first - started).as_secs_f64());
    let all = prompts.into_iter().zip(writers).zip(generations);
    Ok(all
        .enumerate()
        .map(|(index, ((prompt_ids, mut writer), generation))| {
            let rest = writer.finish(codec);
            if !rest.is_empty() {
                on_text(index, rest);
            }
            Generated {
                stopped_by: if writer.stopped {
                    StoppedBy::Stop
                } else if generation.stopped_by_eos {
                    StoppedBy::Eos
                } else if generation.ids.len() >= options.max_new {
                    StoppedBy::Limit
                } else if prompt_ids.len() + generation.ids.len() >= context {
                    StoppedBy::Context
                } else {
                    StoppedBy::Cancelled
                },
                prompt_ids,
                text: if writer.stopped { writer.text } else { codec.decode(&generation.ids) },
                ids: generation.ids,
                tokens_per_sec,
                prompt_tokens_per_sec,
                passed_over: Vec::new(),
            }
        })
        .collect())
}

fn options(codec: &Codec, asked: &AnswerOptions) -> GenerateOptions {
    GenerateOptions {
        sampling: asked.sampling,
        max_new: asked.max_new_tokens,
        seed: asked.seed,
        stop: if asked.ignore_eos { Vec::new() } else { codec.stop_ids().to_vec() },
        mix: asked.mix,
        ..GenerateOptions::default()
    }
}

/// One answer's text while its tokens arrive.
struct Writer<'a> {
    decoder: StreamDecoder,
    stop: StopTexts<'a>,
    /// What was shown.
    text: String,
    /// A stop text came.
    stopped: bool,
}

impl<'a> Writer<'a> {
    fn new(stop: &'a [String]) -> Self {
        Self { decoder: StreamDecoder::new(), stop: StopTexts::new(stop), text: String::new(), stopped: false }
    }

    /// The text that can be shown after this token.
    fn push(&mut self, codec: &Codec, id: u32) -> String {
        let new = self.decoder.push(codec, id);
        self.show(&new)
    }

    fn show(&mut self, new: &str) -> String {
        let (shown, stopped) = self.stop.push(new);
        self.stopped = stopped;
        self.text.push_str(&shown);
        shown
    }

    /// What was held back until the end.
    fn finish(&mut self, codec: &Codec) -> String {
        if self.stopped {
            return String::new();
        }
        let rest = self.decoder.finish(codec);
        let mut shown = self.show(&rest);
        if !self.stopped {
            shown += &self.stop.finish();
        }
        shown
    }
}

/// How the model's makers would have it sampled: its `generation_config.json`, read as Transformers reads it.
/// Greedy where there is none or it does not ask for sampling.
pub fn sampling_of(folder: &Path) -> Result<Sampling> {
    const NAME: &str = "generation_config.json";
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct File {
        do_sample: Option<bool>,
        temperature: Option<f64>,
        top_p: Option<f64>,
        top_k: Option<usize>,
        min_p: Option<f64>,
        repetition_penalty: Option<f64>,
    }
    let folder = HubCache::of_user().resolve(folder)?;
    let path = folder.join(NAME);
    let read = files::inside(&folder, NAME).and_then(|path| files::read(&path, files::SETTINGS));
    let file: File = match read {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| TrainError::Sentence(format!("{} cannot be used: {error}", path.display())))?,
        // A GGUF file is no folder: it has none.
        Err(error) if error.is_missing() => File::default(),
        Err(error) => return Err(TrainError::Sentence(error.to_string())),
    };
    let repetition_penalty = file.repetition_penalty.unwrap_or(1.0);
    let sampling = if file.do_sample == Some(true) {
        Sampling {
            temperature: file.temperature.unwrap_or(1.0),
            top_p: file.top_p.unwrap_or(1.0),
            top_k: file.top_k.unwrap_or(50),
            min_p: file.min_p.unwrap_or(0.0),
            repetition_penalty,
        }
    } else {
        Sampling { repetition_penalty, ..Sampling::default() }
    };
    sampling.check().map_err(|reason| TrainError::Sentence(format!("{} cannot be used: {reason}", path.display())))?;
    Ok(sampling)
}

/// Which weights a loaded speaker has.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Voice {
    Model(PathBuf, Option<PathBuf>),
    Run(PathBuf, RunId, u64),
    /// In percent of what was trained.
    Scaled(PathBuf, RunId, u64, u16),
    /// With what its settings name, which may be another model by the next question.
    Start(PathBuf, String),
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

    /// Bytes that what is loaded takes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, speaker)| speaker.policy.fixed_bytes()).sum()
    }

    /// The speaker with these weights, loaded now if it is not at hand. The newest checkpoint is looked up every time.
    pub fn get(&mut self, weights: &Weights) -> Result<&Speaker> {
        Ok(self.get_mut(weights)?)
    }

    /// The same, to take gradients with.
    pub fn get_mut(&mut self, weights: &Weights) -> Result<&mut Speaker> {
        let at = |project: &Path, run: RunId, step: Option<u64>| {
            let newest = || rotation::newest_step(&Project::open(project)?.run(run)?.checkpoints);
            step.map_or_else(newest, Ok)
        };
        let voice = match weights {
            Weights::Model { folder, adapter } => Voice::Model(folder.clone(), adapter.clone()),
            Weights::Start { project } => {
                let opened = Project::open(project)?;
                let config = RunConfig::from_toml(&opened.settings()?.run_toml)?;
                Voice::Start(project.clone(), start_name(&opened, &config)?)
            }
            Weights::Run { project, run, step } => Voice::Run(project.clone(), *run, at(project, *run, *step)?),
            Weights::Scaled { project, run, step, strength } => {
                Voice::Scaled(project.clone(), *run, at(project, *run, *step)?, strength.as_percent())
            }
        };
        // Where no step was asked for, a newest one that is damaged is passed over; who asks for it by name gets no
        // other.
        let asked = match weights {
            Weights::Run { step, .. } | Weights::Scaled { step, .. } => *step,
            Weights::Model { .. } | Weights::Start { .. } => None,
        };
        // What a card held that fell over is gone.
        self.0.retain(|(_, speaker)| device::is_sound(speaker.policy.place()));
        let fits = |speaker: &Speaker| asked.is_none() || speaker.passed_over.is_empty();
        if let Some(index) = self.0.iter().position(|(loaded, speaker)| *loaded == voice && fits(speaker)) {
            let found = self.0.remove(index);
            self.0.push(found);
        } else {
            let of_run = |loaded: &Voice| matches!((loaded, &voice), (Voice::Run(a, b, _), Voice::Run(c, d, to)) if (a, b) == (c, d) && *to > 0);
            let is_full = self.0.len() >= KEPT;
            let same_run = self.0.iter().position(|(loaded, _)| is_full && of_run(loaded));
            let given_up = is_full.then(|| self.0.remove(same_run.unwrap_or(0)).1);
            let speaker = match (&voice, given_up.filter(|_| same_run.is_some())) {
                // Another checkpoint of the same run: the model is there already.
                (Voice::Run(project, run, _), Some(speaker)) => speaker.at_step(project, *run, asked)?,
                (Voice::Run(project, run, _), None) => Speaker::of_run(project, *run, asked)?,
                (Voice::Model(folder, adapter), _) => {
                    Speaker::load(folder, adapter.as_deref(), Precision::Auto, DeviceChoice::Auto)?
                }
                (Voice::Scaled(project, run, ..), _) => {
                    let mut speaker = Speaker::of_run(project, *run, asked)?;
                    if let Weights::Scaled { strength, .. } = weights {
                        speaker.policy.set_strength(strength.factor())?;
                        speaker.weights = format!("{} at {} %", speaker.weights, strength.as_percent());
                    }
                    speaker
                }
                (Voice::Start(project, _), _) => Speaker::of_start(&Project::open(project)?)?,
            };
            self.0.push((voice, speaker));
        }
        let newest = self.0.len() - 1;
        Ok(&mut self.0[newest].1)
    }
}
