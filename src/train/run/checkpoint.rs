//! Checkpoints: one folder a step, whole or not there at all.
//!
//! `checkpoints/step-000120/` holds `state.json` (everything small, and the hashes of the other files), the trained
//! tensors (`trainable.safetensors`, or `model.safetensors` for full weights), `optimizer.safetensors`, of PPO the
//! critic (`critic.safetensors`) and its moments, and for an adapter the PEFT files that other tools read. It is
//! written under another name, synced, read back and compared, and only then renamed: a killed process or a full disk
//! leaves the earlier checkpoints as they were. Which of them stay is for [`super::rotation`].

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use data::{
    MEGABYTE, PromptKey,
    config::{Done, Knobs},
    megabytes,
};
use model::{
    AdamW, Policy,
    adapter::{self, AdapterFormat, AdapterPart},
    free_disk_bytes,
};
use serde::{Deserialize, Serialize};
use store::{Revision, RunId};

use crate::{
    dataset::sampler::Sampler,
    error::{Result, TrainError},
    hash::hash,
    measure::reference::Reference,
    reward::ScoreScale,
    run::rotation,
};

/// The layout that this program writes and the newest it reads. Since 2 the order keeps the way it was drawn in, which
/// a program that does not know of it would change in silence.
const FORMAT: u32 = 2;
const STATE: &str = "state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const ADAPTER_PARTS: &str = "trainable.safetensors";
const FULL_WEIGHTS: &str = "model.safetensors";
const CRITIC: &str = "critic.safetensors";
const CRITIC_OPTIMIZER: &str = "critic_optimizer.safetensors";
const PEFT: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// Everything of a run that is not a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub step: u64,
    /// Training time so far, pauses left out.
    pub wall_ms: u64,
    pub pairs: Sampler,
    pub references: Sampler,
    pub retention: Sampler,
    pub knobs: Knobs,
    /// λ_ref as it was last turned by hand: steering comes no lower. Absent: as the run has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<f64>,
    /// Tokens of one packed row: another packing would round differently.
    pub budget: usize,
    /// What no memory was found for.
    #[serde(default)]
    pub aside: Aside,
    /// Steps in a row that were not applied.
    pub refused: u32,
    /// The newest step whose weights are known to give a finite loss and gradient: those that the last applied update
    /// began with.
    #[serde(default)]
    pub proven: u64,
    /// The revision of the pairs it trains on now.
    pub revision: Revision,
    /// All revisions it has trained on, oldest first; checkpoints that were written before labels could join a run name
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenRevision>,
    /// Prompts on a side of the hold-out that their pairs, as they are by now, would not put them on, and whether they
    /// are held out: what was trained on measures nothing, and what was measured is not trained on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_sides: Vec<(PromptKey, bool)>,
    /// From where on its length counts.
    #[serde(default)]
    pub done: Done,
    pub reference: Reference,
    /// [`crate::dataset::documents::Dataset::identity`].
    pub data: String,
    pub best: Option<Best>,
    /// Of a reward model's scores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScoreScale>,
    /// The reward model that the policy learns from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Teacher>,
    /// The contrast pair that its token weights come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contrast: Option<Contrasted>,
    /// Answers sampled so far, to learn from.
    #[serde(default)]
    pub episodes: u64,
    /// Tokens of these and their prompts, a prompt once with each answer.
    #[serde(default)]
    pub sampled_tokens: u64,
    /// Order of the reference answers whose prompts are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_prompts: Option<Sampler>,
    /// Updates of the critic.
    #[serde(default)]
    pub critic_updates: u64,
    /// The step that the critic began after: that of the fork where the run was of another method before.
    #[serde(default)]
    pub critic_began: u64,
    /// Said once: the answers are far from the reference, or the critic foresees nothing.
    #[serde(default)]
    pub said_far: bool,
    #[serde(default)]
    pub said_lost: bool,
    /// Prompts answered so far: every other one is a reference answer's, where that was asked for.
    #[serde(default)]
    pub prompts: u64,
}

/// A revision of the pairs, and the step after which the run trained on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRevision {
    pub step: u64,
    pub revision: Revision,
}

/// Documents too long for the memory there is, by their place in the training data: met no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    pub pairs: Vec<usize>,
    pub references: Vec<usize>,
    pub retention: Vec<usize>,
}

/// Which reward model a run learns from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Teacher {
    pub run: RunId,
    pub step: u64,
    /// blake3 of what it trained.
    pub trained: String,
}

/// Which contrast pair a run's weights come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contrasted {
    /// Of everything that the two depend on.
    pub name: String,
    /// blake3 of what each has learnt.
    pub positive: String,
    pub negative: String,
}

/// The evaluation that was the best so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    #[serde(with = "data::exact")]
    pub loss: f64,
    /// Of a reward model: the share of held-out pairs that its scores put in order, which counts before the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
}

impl Best {
    pub fn beats(&self, other: &Self) -> bool {
        match (self.accuracy, other.accuracy) {
            (Some(own), Some(others)) if own != others => own > others,
            _ => self.loss < other.loss,
        }
    }
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    format: u32,
    /// The file with the trained tensors.
    weights: String,
    optimizer_step: u64,
    /// blake3 of every other file.
    files: BTreeMap<String, String>,
    state: State,
}

/// The tensors of a checkpoint.
#[derive(Clone, Copy)]
pub struct Trained<'a> {
    pub policy: &'a Policy,
    pub optimizer: &'a AdamW,
    /// Of PPO.
    pub critic: Option<(&'a Policy, &'a AdamW)>,
}

/// Writes the checkpoint of `state.step` into this folder.
pub fn save(parent: &Path, what: Trained<'_>, state: &State, base_model: &str) -> Result<PathBuf> {
    let policy = what.policy;
    fs::create_dir_all(parent).map_err(TrainError::io("create", parent))?;
    let numbers = policy.trainable_parameters() as u64;
    // Values and two moments in f32, an adapter once more for PEFT, and some room.
    let copies = if policy.trains_its_weights() { 3 } else { 4 };
    let of_critic = what.critic.map_or(0, |(critic, _)| critic.trainable_parameters() as u64);
    let needed = 4 * (copies * numbers + 3 * of_critic) + (1 << 20);
    if let Some(free) = free_disk_bytes(parent)
        && free < needed
    {
        return Err(TrainError::Sentence(format!(
            "it needs {} MB and the disk of {} has {} MB left",
            megabytes(needed),
            parent.display(),
            free / MEGABYTE
        )));
    }

    let aside = parent.join(format!(".{}.writing", rotation::name_of(state.step)));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(TrainError::io("clear", &aside))?;
    }
    fs::create_dir(&aside).map_err(TrainError::io("create", &aside))?;
    let written = write(&aside, what, state, base_model);
    if let Err(error) = written {
        // The half-written folder is of no use to anyone; the error is what counts.
        fs::remove_dir_all(&aside).ok();
        return Err(error);
    }
    let target = parent.join(rotation::name_of(state.step));
    if target.exists() {
        fs::remove_dir_all(&target).map_err(TrainError::io("replace", &target))?;
    }
    fs::rename(&aside, &target).map_err(TrainError::io("rename", &aside))?;
    sync(parent)?;
    Ok(target)
}

fn write(aside: &Path, what: Trained<'_>, state: &State, base_model: &str) -> Result<()> {
    let Trained { policy, optimizer, critic } = what;
    let is_adapter = !policy.trains_its_weights();
    let weights = if is_adapter { ADAPTER_PARTS } else { FULL_WEIGHTS };
    // From where they are to the disk: a second model might not fit beside them.
    let mut files = BTreeMap::from([
        (weights.to_owned(), policy.save_trainable(&aside.join(weights))?.to_string()),
        (OPTIMIZER.to_owned(), optimizer.save(&aside.join(OPTIMIZER))?.to_string()),
    ]);
    if let Some((critic, moments)) = critic {
        files.insert(CRITIC.to_owned(), critic.save_trainable(&aside.join(CRITIC))?.to_string());
        files.insert(CRITIC_OPTIMIZER.to_owned(), moments.save(&aside.join(CRITIC_OPTIMIZER))?.to_string());
    }
    if is_adapter {
        let (layout, part) = (AdapterFormat::Peft, AdapterPart::Sum);
        adapter::save(policy, aside, layout, part, base_model)?;
        for name in PEFT {
            let path = aside.join(name);
            sync(&path)?;
            files.insert(name.to_owned(), hash(&path)?);
        }
    }
    let index = Index {
        format: FORMAT,
        weights: weights.to_owned(),
        optimizer_step: optimizer.step(),
        files,
        state: state.clone(),
    };
    write_index(aside, &index)?;
    // What the disk gives back is what will be resumed from.
    let back = Checkpoint::read(aside, Use::GoOn)?;
    if back.index.state != *state {
        return Err(damaged(aside, format!("{STATE} reads back otherwise than it was written")));
    }
    Ok(())
}

/// A checkpoint on disk whose files match their hashes.
pub struct Checkpoint {
    dir: PathBuf,
    index: Index,
    /// Why newer ones could not be used.
    pub passed_over: Vec<String>,
}

/// Opens the checkpoint of `step`, or the newest one that is whole.
pub fn open(folders: &[PathBuf], step: Option<u64>) -> Result<Checkpoint> {
    open_for(folders, step, Use::GoOn)
}

/// The same for whoever does not train on: its optimizer and its critic may be damaged.
pub fn open_weights(folders: &[PathBuf], step: Option<u64>) -> Result<Checkpoint> {
    open_for(folders, step, Use::Weights)
}

/// What a checkpoint has to be whole for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    GoOn,
    Weights,
}

fn open_for(folders: &[PathBuf], step: Option<u64>, for_what: Use) -> Result<Checkpoint> {
    if let Some(step) = step {
        let path = rotation::find(folders, step)
            .ok_or_else(|| TrainError::NoSuchCheckpoint { step, there: rotation::there(folders) })?;
        return Checkpoint::read(&path, for_what);
    }
    let newest = rotation::newest_step(folders)?;
    let mut passed_over = Vec::new();
    let steps = rotation::steps(folders);
    for path in steps.into_iter().rev().filter_map(|step| rotation::find(folders, step)) {
        match Checkpoint::read(&path, for_what) {
            Ok(mut saved) => {
                saved.passed_over = passed_over;
                return Ok(saved);
            }
            Err(error) => passed_over.push(error.to_string()),
        }
    }
    let newest = rotation::find(folders, newest).unwrap_or_default();
    Err(damaged(&newest, passed_over.join("; ")))
}

/// What the checkpoint of a step says of itself, its tensors unread; nothing where it is gone or cannot be read.
pub fn state_of(folders: &[PathBuf], step: u64) -> Option<State> {
    Some(Index::read(&rotation::find(folders, step)?).ok()?.state)
}

/// What the newest checkpoint says of itself, its tensors unread; nothing where there is none that can be read.
pub fn newest_state(folders: &[PathBuf]) -> Option<State> {
    let newest = rotation::newest(folders)?;
    Some(Index::read(&newest).ok()?.state)
}

/// The revisions of the pairs that the checkpoint of a step was trained on, oldest first; none where it is gone or
/// cannot be read.
pub fn seen(folders: &[PathBuf], step: u64) -> Vec<SeenRevision> {
    let Some(State { seen, revision, .. }) = state_of(folders, step) else {
        return Vec::new();
    };
    // Before labels could join a run there was one.
    if seen.is_empty() { vec![SeenRevision { step: 0, revision }] } else { seen }
}

/// "4; 9 from step 41 on".
pub fn revisions_in_words(seen: &[SeenRevision]) -> String {
    let word = |(place, SeenRevision { step, revision }): (usize, &SeenRevision)| match place {
        0 => revision.0.to_string(),
        _ => format!("{} from step {} on", revision.0, step + 1),
    };
    seen.iter().enumerate().map(word).collect::<Vec<_>>().join("; ")
}

impl Index {
    fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(STATE);
        let text = fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
        // The format number first: a newer layout need not parse as this one.
        let format =
            serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|value| value.get("format")?.as_u64());
        if format.is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(damaged(
                dir,
                "it was written by a newer version of this program; update to open it".to_owned(),
            ));
        }
        serde_json::from_str(&text).map_err(|error| damaged(dir, format!("{STATE} is not what it should be ({error})")))
    }
}

impl Checkpoint {
    /// Reads the index and compares every file that is needed with its hash.
    fn read(dir: &Path, for_what: Use) -> Result<Self> {
        let index = Index::read(dir)?;
        let of_training = [OPTIMIZER, CRITIC, CRITIC_OPTIMIZER];
        let is_needed = |name: &str| for_what == Use::GoOn || !of_training.contains(&name);
        for (name, expected) in index.files.iter().filter(|(name, _)| is_needed(name)) {
            if hash(&dir.join(name))? != *expected {
                return Err(damaged(
                    dir,
                    format!("{name} is not the file that was written; an earlier checkpoint may be whole"),
                ));
            }
        }
        Ok(Self { dir: dir.to_owned(), index, passed_over: Vec::new() })
    }

    pub fn state(&self) -> &State {
        &self.index.state
    }

    /// Sentences about the newer checkpoints that could not be used; each is told as a warning too.
    pub fn told_passed_over(&self) -> Vec<String> {
        let step = self.index.state.step;
        let told =
            self.passed_over.iter().map(|reason| format!("{reason}. The checkpoint of step {step} is used instead"));
        told.inspect(|sentence| tracing::warn!("{sentence}")).collect()
    }

    /// blake3 of what was trained.
    pub fn trained(&self) -> &str {
        self.index.files.get(&self.index.weights).map_or("", String::as_str)
    }

    /// Puts what was trained back into a policy of the run's settings, unless that is of other files by now: what was
    /// trained on one model is nothing on another.
    pub fn restore(&self, policy: &mut Policy) -> Result<()> {
        let State { step, reference, .. } = &self.index.state;
        if !reference.files.is_empty() && reference.files != policy.files() {
            return Err(TrainError::Sentence(format!(
                "The checkpoint of step {step} was trained on other files than {} holds now: the model or the starting adapter \
                 was changed since. Put the old files back",
                policy.folder().display()
            )));
        }
        Ok(policy.load_trainable(&self.dir.join(&self.index.weights))?)
    }

    /// Puts a critic and its moments back; false where the checkpoint has none, as one of another method.
    pub fn restore_critic(&self, critic: &mut Policy, optimizer: &mut AdamW) -> Result<bool> {
        if !self.index.files.contains_key(CRITIC) {
            return Ok(false);
        }
        critic.load_trainable(&self.dir.join(CRITIC))?;
        optimizer.load(&self.dir.join(CRITIC_OPTIMIZER), self.index.state.critic_updates)?;
        Ok(true)
    }

    /// Puts the optimizer's moments back.
    pub fn restore_optimizer(&self, optimizer: &mut AdamW) -> Result<()> {
        Ok(optimizer.load(&self.dir.join(OPTIMIZER), self.index.optimizer_step)?)
    }
}

/// The same files, with this state, as a checkpoint of another run. Nothing is written twice where the disk can give
/// one file two names: a checkpoint never changes.
pub fn lay_down(saved: &Checkpoint, state: &State, parent: &Path) -> Result<()> {
    let aside = parent.join(format!(".{}.writing", rotation::name_of(state.step)));
    fs::create_dir_all(&aside).map_err(TrainError::io("create", &aside))?;
    for name in saved.index.files.keys() {
        let (from, to) = (saved.dir.join(name), aside.join(name));
        fs::hard_link(&from, &to)
            .or_else(|_| fs::copy(&from, &to).map(drop).and_then(|()| File::open(&to)?.sync_all()))
            .map_err(TrainError::io("copy", &from))?;
    }
    let Index { format, weights, optimizer_step, files, state: _ } = &saved.index;
    let index = Index {
        format: *format,
        weights: weights.clone(),
        optimizer_step: *optimizer_step,
        files: files.clone(),
        state: state.clone(),
    };
    write_index(&aside, &index)?;
    // What was copied is what will be gone on with.
    Checkpoint::read(&aside, Use::GoOn)?;
    let target = parent.join(rotation::name_of(state.step));
    fs::rename(&aside, &target).map_err(TrainError::io("rename", &aside))?;
    sync(parent)
}

fn write_index(dir: &Path, index: &Index) -> Result<()> {
    let text = serde_json::to_string_pretty(index).map_err(|error| damaged(dir, error.to_string()))?;
    write_synced(&dir.join(STATE), text.as_bytes())?;
    sync(dir)
}

fn damaged(path: &Path, reason: String) -> TrainError {
    TrainError::Checkpoint { path: path.to_owned(), reason }
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(TrainError::io("create", path))?;
    file.write_all(bytes).map_err(TrainError::io("write", path))?;
    file.sync_all().map_err(TrainError::io("sync", path))
}

/// Syncs a file or, where the system allows it, a folder.
fn sync(path: &Path) -> Result<()> {
    if path.is_dir() && !cfg!(unix) {
        return Ok(());
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(TrainError::io("sync", path))
}
