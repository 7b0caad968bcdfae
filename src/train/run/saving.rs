//! Keeping what was learnt: a run's checkpoints, and what happens when one cannot be written.

use std::path::{Path, PathBuf};

use store::{LogLevel, Project, RunRecord, StoreError};

use crate::{
    dataset::inputs,
    error::{Result, TrainError},
    run::{
        checkpoint::{self, State},
        context::Context,
        host::{RunEvent, SaveAnswer},
        rotation::{self, Spared},
        training::Training,
    },
};

/// How a checkpoint ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saving {
    Saved,
    /// It could not be written, and somebody decided to do without.
    Without,
}

/// Writes the checkpoint of the present step. While that fails the run rests, its weights in memory, until somebody
/// says what to do; it fails when nobody does.
pub fn save_checkpoint(training: &Training, context: &mut Context<'_>) -> Result<Saving> {
    context.phase("Saving a checkpoint", None);
    let step = training.state.step;
    let mut failed = write(training, context).err();
    while let Some(error) = failed {
        let error = TrainError::NotSaved { step, reason: error.to_string() };
        let weights = training.weights();
        failed = match context.ask_about_save(step, &error, weights) {
            Some(SaveAnswer::TryAgain) => write(training, context).err(),
            Some(SaveAnswer::Elsewhere(place)) => elsewhere(training, context, &place).err(),
            Some(SaveAnswer::GoOn) => {
                let text = format!("Goes on without the checkpoint of step {step}, as asked");
                context.log(LogLevel::Warning, text)?;
                return Ok(Saving::Without);
            }
            // Whoever ended the run was told why it waits; perhaps there is room by now.
            None => return write(training, context).map(|()| Saving::Saved).or(Err(error)),
        };
    }
    Ok(Saving::Saved)
}

/// Writes into the project what a step measured. While its disk is full the run rests in the same way; while another
/// program holds it locked it waits. RunEvent to stop meanwhile, it saves its weights before it gives up the numbers.
pub fn insist(
    training: &Training,
    context: &mut Context<'_>,
    write: &mut dyn FnMut(&mut Project) -> Result<(), StoreError>,
) -> Result<()> {
    let step = training.state.step;
    let mut told = None;
    loop {
        let source = match context.write(Some(training.weights()), write) {
            Err(source @ StoreError::DiskFull(_)) => source,
            Err(source @ StoreError::Locked(_)) => {
                save_checkpoint(training, context)?;
                return write(&mut context.project).map_err(|_| TrainError::Unwritten { step, source });
            }
            other => return Ok(other?),
        };
        let error = told.take().unwrap_or(TrainError::Unwritten { step, source });
        let weights = training.weights();
        match context.ask_about_save(step, &error, weights) {
            Some(SaveAnswer::TryAgain) => {}
            // The weights are safe then; the numbers have no other place.
            Some(SaveAnswer::Elsewhere(place)) => told = elsewhere(training, context, &place).err(),
            Some(SaveAnswer::GoOn) => return Ok(()),
            None => return write(&mut context.project).map_err(|_| error),
        }
    }
}

fn write(training: &Training, context: &mut Context<'_>) -> Result<()> {
    let record = context.project.run(context.run)?;
    let folder = record.checkpoints.last().cloned().unwrap_or_default();
    write_to(training, context, &folder)?;
    let best = training.state.best.map(|best| best.step);
    let spared = Spared { newest: training.config.train.keep, best, proven: training.state.proven };
    rotation::prune(&record.checkpoints, spared)
}

/// Into another place, where the later ones go as well.
fn elsewhere(training: &Training, context: &mut Context<'_>, place: &Path) -> Result<()> {
    let record = context.project.run(context.run)?;
    let folder = folder_in(place, context.project.dir(), &record);
    write_to(training, context, &folder)?;
    context.write(None, &mut |project| project.keep_checkpoints_in(record.id, &folder))?;
    let text = format!(
        "The checkpoint of step {} is in {}, and the next ones go there",
        training.state.step,
        folder.display()
    );
    context.log(LogLevel::Info, text)
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

fn write_to(training: &Training, context: &mut Context<'_>, folder: &Path) -> Result<()> {
    if !training.trainer.policy.parameters().are_finite()? {
        return Err(TrainError::Sentence("the weights hold values that are not numbers".to_owned()));
    }
    let model = inputs::model_folder(&context.project, &training.config)?;
    let state = State { scale: training.scale(context)?, ..training.state.clone() };
    checkpoint::save(
        folder,
        checkpoint::Trained {
            policy: &training.trainer.policy,
            optimizer: &training.trainer.optimizer,
            critic: training.critic().map(|critic| (&critic.policy, &critic.optimizer)),
        },
        &state,
        &model.to_string_lossy(),
    )?;
    context.tell(RunEvent::Saved { step: training.state.step });
    Ok(())
}
