//! From a project and a config to what the engine loads (model folder, load options, data), and what came of it.

use std::path::{Path, PathBuf};

use data::{
    PairId, ReferenceAnswer,
    config::{LoraConfig, Method, RunConfig},
};
use kernels::{
    Multiplier,
    device::{self, DeviceChoice},
};
use model::{self, AdamWOptions, AdapterShape, LoadOptions, Policy, ScalarHead};
use store::{Arithmetic, PairQuery, Project, Revision, RunId, RunRecord, VerdictFilter};

use super::pairs::Pairs;
use crate::error::{Result, TrainError};

/// The raw data of a run.
pub struct Inputs {
    pub pairs: Pairs,
    pub references: Vec<ReferenceAnswer>,
    pub retention: Vec<String>,
}

/// The project's own reference answers.
const AUTO: &str = "auto";

/// The model a run starts from: its own, or the project's. A relative path counts from the project's folder.
pub fn model_folder(project: &Project, config: &RunConfig) -> Result<PathBuf> {
    let folder = match &config.model.path {
        Some(path) => path.clone(),
        None => project.settings()?.model,
    };
    if folder.as_os_str().is_empty() {
        return Err(TrainError::Settings(
            "no model is named; set model.path, or choose a model for the project".to_owned(),
        ));
    }
    Ok(in_project(project, &folder))
}

/// A path of the config: a relative one counts from the project's folder.
fn in_project(project: &Project, path: &Path) -> PathBuf {
    project.dir().join(path)
}

/// What is loaded and what of it is trained; `root` is the project's folder. The config has been validated.
pub fn load_options(config: &RunConfig, root: &Path) -> LoadOptions {
    LoadOptions {
        precision: config.model.dtype,
        frozen_adapters: config.model.start_adapter.iter().map(|path| root.join(path)).collect(),
        continued: config.model.continue_adapter.as_ref().map(|path| root.join(path)),
        adapter: (!config.lora.full).then(|| adapter_shape(&config.lora, config.train.shuffle_seed)),
        scalar: (config.objective.kind == Method::Reward).then_some(ScalarHead::Plain),
        full: config.lora.full,
        bare: false,
        multiplier: None,
        recompute: config.train.recompute,
        // Validation has seen to it that the word is one.
        device: config.train.device.parse().unwrap_or(DeviceChoice::Auto),
    }
}

/// The same for a run on record: what takes its products stays what it was, whatever is the quickest by now.
pub fn load_options_of(record: &RunRecord, config: &RunConfig, root: &Path) -> LoadOptions {
    let multiplier = record.arithmetic.as_ref().and_then(multiplier);
    LoadOptions { multiplier, ..load_options(config, root) }
}

/// What a run's products are taken by.
fn multiplier(noted: &Arithmetic) -> Option<Multiplier> {
    match &noted.multiplier {
        Some(name) => Multiplier::named(name),
        // Begun when only one instruction was known.
        None if noted.compute == "bf16" => Some(Multiplier::Pairs),
        None if noted.compute == "f32" => Some(Multiplier::F32),
        None => None,
    }
}

pub fn adapter_shape(lora: &LoraConfig, seed: u64) -> AdapterShape {
    AdapterShape {
        rank: lora.rank,
        alpha: lora.alpha,
        rslora: lora.rslora,
        dropout: lora.dropout,
        targets: lora.targets.clone(),
        seed,
    }
}

pub fn adamw(config: &RunConfig) -> AdamWOptions {
    AdamWOptions {
        betas: config.optimizer.betas,
        eps: config.optimizer.eps,
        weight_decay: config.optimizer.weight_decay,
    }
}

/// In what a loaded policy's numbers are kept and multiplied.
pub fn arithmetic(policy: &Policy) -> Arithmetic {
    let products = policy.products();
    Arithmetic {
        weights: policy.weight_format(),
        compute: products.name().to_owned(),
        multiplier: products.multiplier().map(|by| by.name().to_owned()),
        remark: products.remark(),
    }
}

/// Opens the device that the config asks for, on this thread, before anything is read for it; says which it is and why.
pub fn open_device(config: &RunConfig) -> Result<String> {
    let choice = config.train.device.parse().map_err(TrainError::Settings)?;
    let opened = device::open(choice).map_err(|error| TrainError::Device(error.to_string()))?;
    Ok(opened.why)
}

/// The data of a recorded run with the pairs of a revision that it trained on.
pub fn of_run(project: &Project, run: RunId, revision: Revision, config: &RunConfig) -> Result<Inputs> {
    assemble(
        project,
        config,
        Pairs::at(project, revision)?,
        |project| Ok(project.references_of(run)?),
        |project| Ok(project.retention_of(run)?),
    )
}

/// The pairs of a revision and nothing beside them.
pub fn pairs_of(project: &Project, revision: Revision) -> Result<Inputs> {
    Ok(Inputs { pairs: Pairs::at(project, revision)?, references: Vec::new(), retention: Vec::new() })
}

/// The data as it is now.
pub fn of_now(project: &Project, config: &RunConfig) -> Result<Inputs> {
    assemble(
        project,
        config,
        Pairs::at(project, project.revision()?)?,
        |project| Ok(project.references()?),
        |project| Ok(project.retention()?),
    )
}

/// How much of the labelled pairs was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookedAt {
    pub looked_at: usize,
    pub of: usize,
}

impl LookedAt {
    /// What a count among those looked at comes to among all.
    pub fn carried(self, count: usize) -> usize {
        (count as f64 * self.of as f64 / self.looked_at.max(1) as f64).round() as usize
    }

    /// Nothing to say where all were looked at.
    pub fn remark(self) -> Option<String> {
        (self.looked_at < self.of).then(|| {
            format!(
                "{} of {} labelled pairs were looked at, evenly spread. How many there are to train on and held out, the steps and the time are carried over to all; tokens, lengths, what is set aside and what was found are those of the {0}",
                self.looked_at, self.of
            )
        })
    }
}

/// The data as it is now; of more than `most` labelled pairs so many, evenly spread, in memory that does not grow with
/// them.
pub fn sample_of_now(project: &Project, config: &RunConfig, most: usize) -> Result<(Inputs, LookedAt)> {
    let labelled = PairQuery { verdict: Some(VerdictFilter::Labelled), ..PairQuery::default() };
    let ids = project.query(&labelled)?;
    let of = ids.len();
    if of <= most && project.counts()?.unlabelled <= most {
        return Ok((of_now(project, config)?, LookedAt { looked_at: of, of }));
    }
    let spread: Vec<PairId> = ids.into_iter().step_by(of.div_ceil(most).max(1)).collect();
    let inputs = assemble(
        project,
        config,
        Pairs::held(project.pairs(&spread)?),
        |project| Ok(project.references()?),
        |project| Ok(project.retention()?),
    )?;
    Ok((inputs, LookedAt { looked_at: spread.len(), of }))
}

/// Files of the user's own that the data is read from.
pub fn files(project: &Project, config: &RunConfig) -> Vec<PathBuf> {
    let reference = Some(Path::new(&config.data.reference)).filter(|path| *path != AUTO);
    reference.into_iter().chain(config.data.retention.as_deref()).map(|path| in_project(project, path)).collect()
}

fn assemble(
    project: &Project,
    config: &RunConfig,
    pairs: Pairs,
    references: impl FnOnce(&Project) -> Result<Vec<ReferenceAnswer>>,
    retention: impl FnOnce(&Project) -> Result<Vec<String>>,
) -> Result<Inputs> {
    Ok(Inputs {
        pairs,
        references: if config.data.reference == AUTO {
            references(project)?
        } else {
            let path = in_project(project, Path::new(&config.data.reference));
            formats::read_references(&path)?.0
        },
        retention: match &config.data.retention {
            None => retention(project)?,
            Some(path) => formats::read_texts(&in_project(project, path))?.0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Change, Choice, Edit, Pair, Prompt, Strength, Verdict};
    use std::ops::ControlFlow;
    use store::ProjectSettings;

    #[test]
    fn of_many_pairs_some_are_looked_at_evenly_spread() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let verdict = Verdict::imported(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Strongly }, 0);
        let pair = |n: usize| {
            // Every fourth has no label.
            let verdict = Some(verdict.clone()).filter(|_| !n.is_multiple_of(4));
            Pair { verdict, ..Pair::new(PairId::NEW, Prompt::Text(n.to_string()), &["yes", "no"]) }
        };
        let edits = (0..40).map(pair).map(Edit::add).collect();
        project.apply(&Change { label: "Add pairs".to_owned(), edits }).unwrap();
        let looked_at = |most| {
            let (inputs, share) = sample_of_now(&project, &RunConfig::default(), most).unwrap();
            let mut numbers: Vec<usize> = Vec::new();
            let mut note = |pair: &Pair| {
                numbers.push(pair.prompt.last_text().parse().unwrap());
                ControlFlow::Continue(())
            };
            inputs.pairs.each(&mut note).unwrap();
            (numbers, share)
        };
        let (all, share) = looked_at(30);
        assert_eq!((all.len(), share, share.remark()), (40, LookedAt { looked_at: 30, of: 30 }, None));
        let (some, share) = looked_at(10);
        assert_eq!(share, LookedAt { looked_at: 10, of: 30 });
        assert!(some.iter().all(|n| n % 4 > 0) && some[0] < 4 && some[9] > 35, "{some:?}");
        assert_eq!(share.carried(9), 27);
        assert!(share.remark().unwrap().starts_with("10 of 30 labelled pairs were looked at"));
    }
}
