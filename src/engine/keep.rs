//! Keeping what was learnt: a run's checkpoints, and what happens when one cannot be written.

use std::path::{Path, PathBuf};

use super::{
    checkpoint,
    error::{EngineError, Result},
    helm::Helm,
    material,
    protocol::{Event, LogLevel, SaveAnswer},
    rotation::{self, Spared},
    step::Trainer,
};
use crate::store::{Project, RunRecord, StoreError};

/// How a checkpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Saved,
    /// It could not be written, and somebody decided to do without.
    Without,
}

/// Writes the checkpoint of the present step. While that fails the run rests, its weights in memory, until somebody says
/// what to do; it fails when nobody does.
pub fn keep(trainer: &Trainer, helm: &mut Helm<'_>) -> Result<Kept> {
    helm.phase("Saving a checkpoint", None);
    let step = trainer.state.step;
    let mut failed = write(trainer, helm).err();
    while let Some(error) = failed {
        let error = EngineError::NotSaved { step, reason: error.to_string() };
        let weights = (&trainer.policy, &trainer.codec);
        failed = match helm.ask_about_save(step, &error, weights) {
            Some(SaveAnswer::TryAgain) => write(trainer, helm).err(),
            Some(SaveAnswer::Elsewhere(place)) => elsewhere(trainer, helm, &place).err(),
            Some(SaveAnswer::GoOn) => {
                let text = format!("Goes on without the checkpoint of step {step}, as asked");
                helm.log(LogLevel::Warning, text)?;
                return Ok(Kept::Without);
            }
            // Whoever ended the run was told why it waits; perhaps there is room by now.
            None => return write(trainer, helm).map(|()| Kept::Saved).or(Err(error)),
        };
    }
    Ok(Kept::Saved)
}

/// Writes into the project what a step measured. While its disk is full the run rests in the same way; while another
/// program holds it locked it waits. Told to stop meanwhile, it saves its weights before it gives up the numbers.
pub fn insist(
    trainer: &Trainer,
    helm: &mut Helm<'_>,
    write: &mut dyn FnMut(&mut Project) -> Result<(), StoreError>,
) -> Result<()> {
    let step = trainer.state.step;
    let mut told = None;
    loop {
        let source = match helm.write(Some((&trainer.policy, &trainer.codec)), write) {
            Err(source @ StoreError::DiskFull(_)) => source,
            Err(source @ StoreError::Locked(_)) => {
                keep(trainer, helm)?;
                return write(&mut helm.project).map_err(|_| EngineError::Unwritten { step, source });
            }
            other => return Ok(other?),
        };
        let error = told.take().unwrap_or(EngineError::Unwritten { step, source });
        let weights = (&trainer.policy, &trainer.codec);
        match helm.ask_about_save(step, &error, weights) {
            Some(SaveAnswer::TryAgain) => {}
            // The weights are safe then; the numbers have no other place.
            Some(SaveAnswer::Elsewhere(place)) => told = elsewhere(trainer, helm, &place).err(),
            Some(SaveAnswer::GoOn) => return Ok(()),
            None => return write(&mut helm.project).map_err(|_| error),
        }
    }
}

fn write(trainer: &Trainer, helm: &mut Helm<'_>) -> Result<()> {
    let record = helm.project.run(helm.run())?;
    let folder = record.checkpoints.last().cloned().unwrap_or_default();
    write_to(trainer, helm, &folder)?;
    let best = trainer.state.best.map(|best| best.step);
    let spared = Spared { newest: trainer.config.train.keep, best, proven: trainer.state.proven };
    rotation::prune(&record.checkpoints, spared)
}

/// Into another place, where the later ones go as well.
fn elsewhere(trainer: &Trainer, helm: &mut Helm<'_>, place: &Path) -> Result<()> {
    let record = helm.project.run(helm.run())?;
    let folder = folder_in(place, helm.project.dir(), &record);
    write_to(trainer, helm, &folder)?;
    helm.write(None, &mut |project| project.keep_checkpoints_in(record.id, &folder))?;
    let text =
        format!("The checkpoint of step {} is in {}, and the next ones go there", trainer.state.step, folder.display());
    helm.log(LogLevel::Info, text)
}

/// A folder in `place` that belongs to this run of this project alone.
fn folder_in(place: &Path, project: &Path, record: &RunRecord) -> PathBuf {
    let place = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    let project = project.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{project}-run-{}", record.id.0);
    let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
    let mut folders = names.map(|name| place.join(name));
    // Its own from before, or one that is not there yet.
    let free = |folder: &PathBuf| record.checkpoints.contains(folder) || !folder.exists();
    folders.find(free).unwrap_or_else(|| place.join(name))
}

fn write_to(trainer: &Trainer, helm: &mut Helm<'_>, folder: &Path) -> Result<()> {
    if !trainer.policy.parameters().are_finite()? {
        return Err(EngineError::Sentence("the weights hold values that are not numbers".to_owned()));
    }
    let model = material::model_folder(&helm.project, &trainer.config)?;
    checkpoint::save(folder, &trainer.policy, &trainer.optimizer, &trainer.state, &model.to_string_lossy())?;
    let (run, step) = (helm.run(), trainer.state.step);
    helm.send(Event::Saved { run, step });
    Ok(())
}
