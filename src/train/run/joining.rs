//! When labels that were made meanwhile join a run: at an end of an epoch, when somebody asks or always, and again
//! where they joined in an earlier life of it.

use data::config::Length;
use store::{Project, Revision, RunRecord, TakeIn};

use crate::{
    error::Result,
    run::{checkpoint::State, context::Context, start::Start},
};

/// When labels join a run.
#[derive(Debug, Default)]
pub struct Joining {
    /// At each end of an epoch, without being asked.
    pub always: bool,
    /// What joined in an earlier life of the run, after steps that it goes through again.
    again: Vec<TakeIn>,
    /// The last step of that life, or of an even earlier one: before it nothing else joins.
    lived: u64,
    /// Labels that join after this step.
    due_after: Option<u64>,
    /// They cannot join; it is not tried again until there are others.
    pub refused: Option<Revision>,
}

impl Joining {
    /// Of a run that begins or goes on as `start` says. Where somebody named the step, nothing that joined later
    /// counts.
    pub fn of(project: &Project, record: &RunRecord, always: bool, start: Start) -> Result<Self> {
        if start.is_named() {
            return Ok(Self { always, ..Self::default() });
        }
        let again = project.take_ins(record.id)?;
        // The life before may have ended before it came to all of them once more.
        let lived = again.last().map_or(record.step, |last| record.step.max(last.step));
        Ok(Self { always, again, lived, ..Self::default() })
    }

    /// Whether this step ends its epoch, however few pairs are left of it.
    pub fn ends_epoch(&self, step: u64) -> bool {
        self.due_after == Some(step) || self.again.iter().any(|taken| taken.step == step)
    }

    /// Looks whether labels are to join after the step behind `state`, which ends its epoch then.
    pub fn look_ahead(&mut self, state: &State, length: Length, context: &Context<'_>) -> Result<()> {
        let next = state.step + 1;
        let reaches_end = state.pairs.left() <= length.pairs_of(next);
        let is_due = reaches_end && self.due(next, state.revision, context)?.is_some();
        self.due_after = is_due.then_some(next);
        Ok(())
    }

    /// The revision that joins at an end of an epoch after `step`, where one does.
    pub fn due(&self, step: u64, now: Revision, context: &Context<'_>) -> Result<Option<Revision>> {
        if let Some(taken) = self.again.iter().find(|taken| taken.step == step) {
            return Ok(Some(taken.revision));
        }
        if step < self.lived {
            return Ok(None);
        }
        let newest = context.project.revision()?;
        let is_wanted = self.always || context.project.is_asked_to_take_in(context.run)?;
        Ok((is_wanted && newest != now && self.refused != Some(newest)).then_some(newest))
    }
}
