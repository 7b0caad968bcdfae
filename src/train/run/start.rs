//! Where a run begins or goes on: at its newest checkpoint, at an earlier one that was named, or at its start.

use data::config::RunConfig;
use store::{Project, RunRecord, RunStatus};

use crate::{
    error::{Result, TrainError},
    run::{
        checkpoint::{self, Checkpoint},
        context::Context,
        host::Host,
        prepare::prepare,
        rotation,
        training::Training,
    },
};

/// What a run that is asked to train does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It has done nothing yet.
    New,
    /// It has measured steps, and goes through them once more from the beginning.
    Again { measured: u64, asked: bool },
    /// It goes on from the checkpoint of this step, or an earlier one where that is damaged and was not named.
    After { step: u64, asked: bool },
}

impl Start {
    /// `from`: the step that somebody named, 0 for the beginning; absent = wherever it can go on.
    ///
    /// Looks at the names of checkpoints only. A run that ended before its first checkpoint begins again; one whose
    /// checkpoints are gone is refused, because what it learnt is not there and its measurements would go too.
    pub fn of(record: &RunRecord, config: &RunConfig, from: Option<u64>) -> Result<Self> {
        if record.status == RunStatus::Away {
            return Err(TrainError::Away { run: record.id });
        }
        let folders = &record.checkpoints;
        let measured = record.step;
        match from {
            Some(0) if measured == 0 => return Ok(Self::New),
            Some(0) => return Ok(Self::Again { measured, asked: true }),
            Some(step) if rotation::find(folders, step).is_some() => return Ok(Self::After { step, asked: true }),
            Some(step) => {
                return Err(TrainError::NoSuchCheckpoint { step, there: rotation::there(&record.checkpoints) });
            }
            None => {}
        }
        if let Some(step) = rotation::steps(folders).pop() {
            return Ok(Self::After { step, asked: false });
        }
        if let Some(step) = rotation::doubtful_steps(folders).pop() {
            return Err(TrainError::OnlyDoubtful { run: record.id, step });
        }
        if measured == 0 {
            return Ok(Self::New);
        }
        if had_checkpoints(record, config) {
            let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            return Err(TrainError::CheckpointsGone { run: record.id, step: measured, folders: folders.join(" and ") });
        }
        Ok(Self::Again { measured, asked: false })
    }

    /// The last step that counts as done.
    pub fn step(self) -> u64 {
        match self {
            Self::New | Self::Again { .. } => 0,
            Self::After { step, .. } => step,
        }
    }

    /// Somebody said where, so what was done later is dropped for good.
    pub fn is_named(self) -> bool {
        match self {
            Self::New => false,
            Self::Again { asked, .. } | Self::After { asked, .. } => asked,
        }
    }

    /// The checkpoint to go on from, its files compared with their hashes.
    pub fn open(self, record: &RunRecord) -> Result<Option<Checkpoint>> {
        match self {
            Self::New | Self::Again { .. } => Ok(None),
            Self::After { step, asked } => checkpoint::open(&record.checkpoints, asked.then_some(step)).map(Some),
        }
    }
}

/// A recorded run as it stands before its first step, for whoever hands it over. `None` = stopped meanwhile.
pub fn at_its_beginning(host: &mut dyn Host, project: Project, record: &RunRecord) -> Result<Option<Training>> {
    let mut context = Context::new(host, project, record.id)?;
    Ok(prepare(&mut context, record, None)?.map(|(training, _)| training))
}

/// The same once more of a run that was away, for whoever takes it back: its log has all of that already.
pub fn back_at_its_beginning(host: &mut dyn Host, project: Project, record: &RunRecord) -> Result<Option<Training>> {
    let mut context = Context::new(host, project, record.id)?;
    context.is_quiet = true;
    let fresh = RunRecord { status: RunStatus::Queued, step: 0, checkpoints: Vec::new(), ..record.clone() };
    Ok(prepare(&mut context, &fresh, None)?.map(|(training, _)| training))
}

/// The step that a run would go on from, 0 for its beginning, or why it cannot; `from` as in [`Start::of`].
pub fn goes_on_from(record: &RunRecord, from: Option<u64>) -> Result<u64> {
    let config = record.config()?;
    Ok(Start::of(record, &config, from)?.step())
}

/// Whether the run came past a point where it saves.
fn had_checkpoints(record: &RunRecord, config: &RunConfig) -> bool {
    let ended_by_itself = matches!(record.status, RunStatus::Completed | RunStatus::Stopped);
    let every = config.train.checkpoint_every;
    // The step at which the first is due is measured before it is saved.
    ended_by_itself || !record.dir.is_dir() || (every > 0 && record.step > every)
}
