//! The two models whose difference weighs a token, π⁺ and π⁻: adapters on the run's own base, fitted in two short runs.
//!
//! They are named by everything they depend on and kept in the project, `contrast/<name>/`, so that whoever trains with
//! weights on the same pairs again, by whatever method, finds them there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use data::{
    PairSide,
    config::{Contrast, RunConfig, TisConfig},
};
use model::{Doc, Policy};

use store::{Project, RunId, RunRecord, RunStatus};

use super::unfinished;
use crate::{
    dataset::{
        documents::{PairDoc, with},
        inputs,
    },
    error::{Result, TrainError},
    hash::hash,
    measure::reference::Reference,
    run::{
        checkpoint::{self, Contrasted},
        rotation,
    },
};

const FOLDER: &str = "contrast";
const INDEX: &str = "contrast.json";
/// What fits them; another number, other models.
const RECIPE: &str = "contrast 1";

impl Contrasted {
    /// By which the log-probs of one of them are cached.
    pub fn as_reference(&self, side: PairSide, codec: &str) -> Reference {
        let learnt = match side {
            PairSide::Chosen => &self.positive,
            PairSide::Rejected => &self.negative,
        };
        Reference {
            policy: format!("{RECIPE} {}, {learnt}", self.name),
            files: String::new(),
            codec: codec.to_owned(),
            card: None,
        }
    }

    /// What the project has under this name, if anything.
    pub fn find(project: &Path, name: &str) -> Option<Self> {
        let found: Self = serde_json::from_slice(&fs::read(folder(project, name).join(INDEX)).ok()?).ok()?;
        (found.name == name).then_some(found)
    }

    /// Both models on the base of `policy`. `None` = they are not there any more, or not what they were.
    pub fn open(&self, project: &Path, policy: &Policy, config: &RunConfig) -> Result<Option<[Policy; 2]>> {
        let open = |side: PairSide, learnt: &str| -> Result<Option<Policy>> {
            let path = folder(project, &self.name).join(file(side));
            if !hash(&path).is_ok_and(|found| found == learnt) {
                return Ok(None);
            }
            let mut shape = inputs::adapter_shape(&config.lora, config.train.shuffle_seed);
            shape.dropout = 0.0;
            let mut opened = policy.beside(&shape, None)?;
            opened.load_trainable(&path)?;
            Ok(Some(opened))
        };
        let positive = open(PairSide::Chosen, &self.positive)?;
        let negative = open(PairSide::Rejected, &self.negative)?;
        Ok(positive.zip(negative).map(|(positive, negative)| [positive, negative]))
    }
}

/// Keeps what was fitted: beside its place first, then moved there whole.
pub fn keep(project: &Project, name: &str, sets: &[Policy; 2]) -> Result<Contrasted> {
    let target = folder(project.dir(), name);
    let aside = target.with_extension("writing");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(TrainError::io("clear", &aside))?;
    }
    fs::create_dir_all(&aside).map_err(TrainError::io("create", &aside))?;
    let [positive, negative] = sets;
    let save = |side: PairSide, set: &Policy| {
        Ok::<_, TrainError>(set.save_trainable(&aside.join(file(side)))?.to_hex().to_string())
    };
    let kept = Contrasted {
        name: name.to_owned(),
        positive: save(PairSide::Chosen, positive)?,
        negative: save(PairSide::Rejected, negative)?,
    };
    let index = aside.join(INDEX);
    let text = serde_json::to_vec_pretty(&kept).map_err(|error| TrainError::Sentence(error.to_string()))?;
    fs::write(&index, text).map_err(TrainError::io("write", &index))?;
    if target.exists() {
        fs::remove_dir_all(&target).map_err(TrainError::io("replace", &target))?;
    }
    fs::rename(&aside, &target).map_err(TrainError::io("rename", &aside))?;
    Ok(kept)
}

/// Deletes the pairs that no checkpoint of any run names, and what is left of a stopped fit whose run is gone or done.
/// `going`: the run that asks, and the pair that it is about to have. While another run is going nothing is deleted: it
/// may have one that it has not noted yet.
pub fn clear(project: &Project, going: Option<(RunId, &str)>) {
    if let Err(error) = delete_unneeded(project, going) {
        // It is nobody's loss but disk.
        tracing::warn!("contrast pairs that nobody needs any more could not be deleted: {error}");
    }
}

fn delete_unneeded(project: &Project, going: Option<(RunId, &str)>) -> Result<()> {
    let Ok(entries) = fs::read_dir(project.dir().join(FOLDER)) else {
        return Ok(());
    };
    let runs = project.runs()?;
    let is_other = |record: &RunRecord| going.is_none_or(|(run, _)| run != record.id);
    if runs.iter().any(|record| record.status.is_live() && is_other(record)) {
        return Ok(());
    }
    let steps = |record: &RunRecord| {
        let folders = &record.checkpoints;
        let states = rotation::steps(folders).into_iter().filter_map(|step| checkpoint::state_of(folders, step));
        states.filter_map(|state| Some(state.contrast?.name)).collect::<Vec<_>>()
    };
    let mut needed: BTreeSet<String> = runs.iter().flat_map(steps).collect();
    needed.extend(going.map(|(_, name)| name.to_owned()));
    let may_go_on = |run: RunId| runs.iter().any(|record| record.id == run && record.status != RunStatus::Completed);
    for entry in entries.flatten() {
        let path = entry.path();
        let is_needed = if path.extension().is_none() {
            entry.file_name().to_str().is_some_and(|name| needed.contains(name))
        } else {
            let of_going = path.file_stem().and_then(|name| name.to_str());
            going.is_some_and(|(_, name)| of_going == Some(name)) || unfinished::run_of(&path).is_some_and(may_go_on)
        };
        if !is_needed {
            fs::remove_dir_all(&path).map_err(TrainError::io("delete", &path))?;
        }
    }
    Ok(())
}

/// Steps of each of the two, for a run of so many: half of them, unless the settings say how many.
pub fn steps(tis: &TisConfig, total: u64) -> u64 {
    tis.steps.unwrap_or(total.div_ceil(2)).max(1)
}

/// Of everything that the two depend on: the base, how they are fitted in `steps` steps, and these pairs in their
/// order.
pub fn name_of<'p>(
    reference: &Reference,
    config: &RunConfig,
    steps: u64,
    pairs: impl Iterator<Item = &'p PairDoc>,
) -> String {
    let RunConfig { tis, lora, optimizer, train, .. } = config;
    let mut hasher = blake3::Hasher::new();
    let by = match tis.contrast {
        Contrast::Dpo => format!("dpo {:?}", tis.beta),
        Contrast::Sft => "sft".to_owned(),
    };
    let adapter = (lora.rank, lora.alpha, lora.rslora, lora.dropout, &lora.targets);
    let steps =
        (steps, tis.learning_rate.unwrap_or(optimizer.learning_rate), optimizer.warmup_steps, optimizer.schedule);
    let adamw = (optimizer.betas, optimizer.eps, optimizer.weight_decay, optimizer.max_grad_norm);
    let how = format!("{RECIPE} {by} {adapter:?} {steps:?} {adamw:?} {} {}", train.pairs_per_step, train.shuffle_seed);
    for text in [&reference.policy, &reference.codec, &how].into_iter().chain(&reference.card) {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    for pair in pairs {
        for ids in std::iter::once(&pair.doc.prefix).chain(pair.doc.continuations.iter().take(2)) {
            hasher.update(&(ids.len() as u64).to_le_bytes());
            for id in ids {
                hasher.update(&id.to_le_bytes());
            }
        }
        hasher.update(&pair.certainty.to_le_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The pair that one of the two learns from by DPO: as it is, or with its answers swapped. Of several rejected answers
/// the first.
pub fn lesson(pair: &PairDoc, side: PairSide) -> PairDoc {
    let places = match side {
        PairSide::Chosen => [0, 1],
        PairSide::Rejected => [1, 0],
    };
    PairDoc { doc: with(&pair.doc, &places), ..pair.clone() }
}

/// The text that one of the two learns by plain language modelling.
pub fn text(pair: &PairDoc, side: PairSide) -> Doc {
    let place = match side {
        PairSide::Chosen => 0,
        PairSide::Rejected => 1,
    };
    with(&pair.doc, &[place])
}

pub(super) fn folder(project: &Path, name: &str) -> PathBuf {
    project.join(FOLDER).join(name)
}

/// The model of the two that learns this side.
pub(super) fn model_of(side: PairSide) -> &'static str {
    match side {
        PairSide::Chosen => "π⁺",
        PairSide::Rejected => "π⁻",
    }
}

pub(super) fn file(side: PairSide) -> &'static str {
    match side {
        PairSide::Chosen => "positive.safetensors",
        PairSide::Rejected => "negative.safetensors",
    }
}

#[cfg(test)]
mod tests {
    use data::PairId;

    use super::*;

    #[test]
    fn the_name_is_of_everything_that_counts_and_nothing_else() {
        let reference =
            Reference { policy: "base".to_owned(), files: String::new(), codec: "codec".to_owned(), card: None };
        let doc = |answers: &[u32]| Doc::new(vec![1], answers.iter().map(|id| vec![*id]));
        let pairs = [PairDoc::certain(PairId(1), doc(&[2, 3, 4]))];
        let config = RunConfig::default();
        let name = |config: &RunConfig, pairs: &[PairDoc]| name_of(&reference, config, 10, pairs.iter());
        let own = name(&config, &pairs);
        assert_eq!(own.len(), 32);
        let changed = |change: &dyn Fn(&mut RunConfig)| {
            let mut config = config.clone();
            change(&mut config);
            name(&config, &pairs)
        };
        assert_ne!(changed(&|config| config.tis.contrast = Contrast::Sft), own);
        assert_ne!(changed(&|config| config.tis.beta = 0.2), own);
        assert_ne!(changed(&|config| config.lora.rank = 4), own);
        assert_ne!(name_of(&reference, &config, 11, pairs.iter()), own);
        // The method, and what becomes of the contrast, change nothing of it; a third answer neither.
        assert_eq!(changed(&|config| config.objective.beta = 7.0), own);
        assert_eq!(changed(&|config| config.tis.ranks = [0.0, 2.0]), own);
        assert_eq!(name(&config, &[PairDoc::certain(PairId(1), doc(&[2, 3]))]), own);
        assert_ne!(name(&config, &[PairDoc::certain(PairId(1), doc(&[3, 2]))]), own);
        let unsure = PairDoc { certainty: 0.7, ..pairs[0].clone() };
        assert_ne!(name(&config, &[unsure]), own);
    }

    #[test]
    fn lessons_are_the_pair_and_the_pair_swapped() {
        let doc = Doc::new(vec![1], vec![vec![2], vec![3], vec![4]]);
        let pair = PairDoc::certain(PairId(1), doc);
        assert_eq!(lesson(&pair, PairSide::Chosen).doc.continuations, [[2], [3]]);
        assert_eq!(lesson(&pair, PairSide::Rejected).doc.continuations, [[3], [2]]);
        assert_eq!(text(&pair, PairSide::Rejected).continuations, [[3]]);
    }
}
