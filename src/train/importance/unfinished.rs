//! A contrast pair whose fit was stopped or killed: what was done of it, kept beside the finished ones so that whoever
//! is to have the pair goes on from there, to the bit.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data::PairSide;
use model::Policy;
use serde::{Deserialize, Serialize};
use store::RunId;

use super::contrast;
use crate::{
    error::{Result, TrainError},
    hash::hash,
    step::Trainer,
};

const INDEX: &str = "unfinished.json";
const HALF: &str = "half.safetensors";
const OPTIMIZER: &str = "half_optimizer.safetensors";

/// What there is of a pair.
pub struct Unfinished {
    folder: PathBuf,
    noted: Noted,
}

#[derive(Default, Serialize, Deserialize)]
struct Noted {
    name: String,
    /// The run that was fitting it.
    run: Option<RunId>,
    /// π⁺, where it is done.
    positive: Option<Done>,
    /// Of the next one.
    half: Option<Half>,
}

#[derive(Serialize, Deserialize)]
struct Done {
    /// What it came to at its last step.
    #[serde(with = "data::exact")]
    told: f64,
    /// blake3 of what it has learnt.
    learnt: String,
}

/// How far one of the two is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Half {
    /// Steps done.
    pub step: u64,
    /// Tokens a row may hold.
    pub budget: usize,
    /// Pairs that found no memory.
    pub aside: Vec<usize>,
    /// What it came to at its last step.
    #[serde(with = "data::exact")]
    pub told: f64,
    /// blake3 of its weights and of its moments.
    files: [String; 2],
}

impl Half {
    /// Before the first step.
    pub fn new(budget: usize) -> Self {
        Self { step: 0, budget, aside: Vec::new(), told: 0.0, files: Default::default() }
    }
}

impl Unfinished {
    /// What the project has of the pair of this name; nothing of it where a file is not what was noted.
    pub fn of(project: &Path, name: &str, run: RunId) -> Self {
        let folder = contrast::folder(project, name).with_extension("unfinished");
        let read = || serde_json::from_slice::<Noted>(&fs::read(folder.join(INDEX)).ok()?).ok();
        let found = read().filter(|noted| noted.name == name);
        let noted = Noted { name: name.to_owned(), run: Some(run), ..found.unwrap_or_default() };
        Self { folder, noted }
    }

    /// Loads π⁺ where it is done, and gives what it came to.
    pub fn load_done(&self, side: PairSide, into: &mut Policy) -> Result<Option<f64>> {
        let path = self.folder.join(contrast::file(side));
        match &self.noted.positive {
            Some(done) if side == PairSide::Chosen && is_it(&path, &done.learnt) => {
                into.load_trainable(&path)?;
                Ok(Some(done.told))
            }
            _ => Ok(None),
        }
    }

    /// Loads what there is of one of the two, and gives how far it is.
    pub fn load_half(&self, side: PairSide, into: &mut Trainer) -> Result<Option<Half>> {
        let is_of_this = self.noted.positive.is_some() == (side == PairSide::Rejected);
        let [weights, moments] = [HALF, OPTIMIZER].map(|file| self.folder.join(file));
        let is_whole = |half: &&Half| is_it(&weights, &half.files[0]) && is_it(&moments, &half.files[1]);
        let Some(half) = self.noted.half.as_ref().filter(|_| is_of_this).filter(is_whole) else {
            return Ok(None);
        };
        into.policy.load_trainable(&weights)?;
        into.optimizer.load(&moments, half.step)?;
        Ok(Some(half.clone()))
    }

    /// Keeps one of the two as far as it is.
    pub fn keep_half(&mut self, trainer: &Trainer, half: Half) -> Result<()> {
        self.make_folder()?;
        let weights = trainer.policy.save_trainable(&self.folder.join(HALF))?;
        let moments = trainer.optimizer.save(&self.folder.join(OPTIMIZER))?;
        self.noted.half = Some(Half { files: [weights.to_string(), moments.to_string()], ..half });
        self.write()
    }

    /// Keeps π⁺, which is done.
    pub fn keep_done(&mut self, side: PairSide, policy: &Policy, told: f64) -> Result<()> {
        if side == PairSide::Rejected {
            return Ok(());
        }
        self.make_folder()?;
        let learnt = policy.save_trainable(&self.folder.join(contrast::file(side)))?.to_string();
        (self.noted.positive, self.noted.half) = (Some(Done { told, learnt }), None);
        self.write()
    }

    /// The pair is whole and has its own place.
    pub fn forget(self) {
        fs::remove_dir_all(self.folder).ok();
    }

    fn make_folder(&self) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io("create", &self.folder))
    }

    /// The index last, whole or not at all: files that it does not name count for nothing.
    fn write(&self) -> Result<()> {
        let (aside, index) = (self.folder.join("writing"), self.folder.join(INDEX));
        let text = serde_json::to_vec_pretty(&self.noted).map_err(|error| TrainError::Sentence(error.to_string()))?;
        fs::write(&aside, text).map_err(TrainError::io("write", &aside))?;
        fs::rename(&aside, &index).map_err(TrainError::io("rename", &aside))
    }
}

/// Whose fit this folder holds a part of.
pub fn run_of(folder: &Path) -> Option<RunId> {
    serde_json::from_slice::<Noted>(&fs::read(folder.join(INDEX)).ok()?).ok()?.run
}

fn is_it(path: &Path, expected: &str) -> bool {
    hash(path).is_ok_and(|found| found == expected)
}
