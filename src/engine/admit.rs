//! Whether a run may be recorded: what can be told before anything large is read. A run that is refused here takes no
//! number and leaves no folder.

use data::config::{RunConfig, validate};
use store::Project;
use text::Codec;
use train::{Result, TrainError, dataset::inputs, measure::judging, rlhf::teacher};

/// What settings alone can say against a run that goes on with them: their faults, and a device that is not there.
pub fn fit_to_resume(config: &RunConfig) -> Result<()> {
    let faults: Vec<String> = validate(config).into_iter().map(|(_, s)| s).collect();
    if !faults.is_empty() {
        return Err(TrainError::Settings(faults.join("; ")));
    }
    // "auto" always finds one; to open it here would keep it open on a thread that has no use for it.
    if config.train.device != "auto" {
        inputs::open_device(config)?;
    }
    Ok(())
}

/// A sentence about the first thing that would keep the run from its start: settings, device, model, adapter, files,
/// rules, pairs.
///
/// Takes as long as reading a tokenizer does.
pub fn admit(project: &Project, config: &RunConfig) -> Result<()> {
    fit_to_resume(config)?;
    let folder = inputs::model_folder(project, config)?;
    model::examine(&folder, &inputs::load_options(config, project.dir()))?;
    Codec::load(&folder)?;
    for file in inputs::files(project, config) {
        files::open(&file, u64::MAX).map_err(|error| TrainError::Sentence(error.to_string()))?;
    }
    judging::rules_of(project, &project.probes()?)?;
    if config.objective.kind.samples() {
        teacher::find(project, config, true)?;
    }
    let counts = project.counts()?;
    if counts.better == 0 {
        let reason = match counts.total() {
            0 => "the project has no pairs yet; import some or label some".to_owned(),
            total => format!("none of the {total} pairs has a better answer; label some"),
        };
        return Err(TrainError::NoPairs(reason));
    }
    Ok(())
}
