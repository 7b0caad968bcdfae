//! The Train screen: what it remembers, and the answer to "may this start?".

use serde::{Deserialize, Serialize};

use super::launch::Launch;
use crate::{
    engine::{
        config::RunConfig,
        protocol::{Event, Knob, PreflightReport, RequestId, SaveAnswer},
    },
    store::RunId,
};

/// The two faces of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sheet {
    #[default]
    Launch,
    Run,
}

/// What the screen remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainView {
    pub sheet: Sheet,
    pub launch: Launch,
    /// Name of the next run; empty = made from the method.
    pub name: String,
    /// The run whose charts are shown; absent = the newest.
    pub shown: Option<RunId>,
    /// Fields that few people touch are unfolded.
    pub more: bool,
    #[serde(skip)]
    pub knobs: Knobs,
}

/// Numbers typed into the knobs of the live run, until they are applied.
#[derive(Debug, Default)]
pub struct Knobs {
    pub run: Option<RunId>,
    pub learning_rate_scale: String,
    pub reference_weight: String,
    pub retention_weight: String,
    pub beta: String,
}

/// The pre-flight sheet.
#[derive(Debug, Default)]
pub enum Preflight {
    #[default]
    NotAsked,
    Waiting {
        request: RequestId,
        config: Box<RunConfig>,
    },
    Ready {
        config: Box<RunConfig>,
        report: Box<PreflightReport>,
    },
    Refused {
        config: Box<RunConfig>,
        error: String,
    },
}

impl Preflight {
    /// Takes the answer if it is for the question that was asked last. True when it was.
    pub fn take(&mut self, event: &Event) -> bool {
        let Self::Waiting { request, config } = self else {
            return false;
        };
        match event {
            Event::Preflight { request: answered, report } if answered == request => {
                *self = Self::Ready { config: config.clone(), report: report.clone() };
                true
            }
            Event::Failed { request: answered, error } if answered == request => {
                *self = Self::Refused { config: config.clone(), error: error.clone() };
                true
            }
            _ => false,
        }
    }

    /// The config this is about.
    pub fn config(&self) -> Option<&RunConfig> {
        match self {
            Self::NotAsked => None,
            Self::Waiting { config, .. } | Self::Ready { config, .. } | Self::Refused { config, .. } => Some(config),
        }
    }
}

/// What can be asked of runs.
#[derive(Debug, Clone)]
pub enum RunCommand {
    /// Find out everything that can be known before a start.
    Check(Box<RunConfig>),
    /// Record a run and queue it.
    Start {
        name: String,
        config: Box<RunConfig>,
    },
    /// Go on from the last checkpoint.
    Continue(RunId),
    SetPaused(bool),
    Stop,
    Checkpoint,
    /// What is to become of a checkpoint that could not be saved.
    Settle(SaveAnswer),
    /// Ask for another place for it.
    PickPlace,
    Turn(Knob),
    /// Read its history from the project, if that was not done yet.
    Load(RunId),
    Rename(RunId, String),
    Delete(RunId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_an_older_question_is_dropped() {
        let mut preflight = Preflight::Waiting { request: RequestId(2), config: Box::default() };
        let answer = |request| Event::Preflight { request: RequestId(request), report: Box::default() };
        assert!(!preflight.take(&answer(1)));
        assert!(preflight.take(&answer(2)));
        assert!(matches!(preflight, Preflight::Ready { .. }));
    }
}
