//! The Train screen: what it remembers, and the answer to "may this start?".

use std::{collections::BTreeSet, path::PathBuf};

use data::{
    PairId,
    alarms::AlarmKind,
    config::{self, Contender, Knob, RunConfig},
    counted,
};
use engine::protocol::{CurveFile, Event, PreflightReport, RequestId, SaveAnswer};
use serde::{Deserialize, Serialize};
use store::{RunAbout, RunColumn, RunId, RunRecord};

use super::{
    compare::margin_scores::Stand,
    fork::{ForkForm, ForkStart},
    joining,
    launch::Launch,
    lens::{LensView, StepRange},
    rollouts::{RolloutView, Wanted},
    runs::{RunSettings, Runs},
    seen,
    simple::Preset,
};

/// The two faces of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Sheet {
    #[default]
    Launch,
    Run,
}

/// A control of the launch sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchButton {
    Check,
    Start,
    Preset(Preset),
    CompareMethods,
    FitReward,
    EarlierSettings,
}

impl LaunchButton {
    /// It stands below the sheet, not on it.
    pub fn is_below(self) -> bool {
        matches!(self, Self::Check | Self::Start)
    }
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
    /// The methods that are compared; none chosen is the usual ones.
    pub compared: Vec<Contender>,
    /// Runs of each method where the methods are compared; fewer than 1 is 1.
    pub seeds: u64,
    /// Give the compared methods the same first gradient.
    pub matched: bool,
    /// Fields that few people touch are unfolded.
    pub more: bool,
    /// The labels that each checkpoint of the shown run has seen are listed.
    pub seen_open: bool,
    /// The sheet sets up a fork instead of a new run.
    #[serde(skip)]
    pub fork: Option<ForkForm>,
    /// A control of the launch sheet that a key or a command presses.
    #[serde(skip)]
    pub pressed: Option<LaunchButton>,
    #[serde(skip)]
    pub knobs: KnobTexts,
    #[serde(skip)]
    pub lens: LensView,
    #[serde(skip)]
    pub rollout: RolloutView,
    /// Asked about: whether a run without a checkpoint is to be started again.
    #[serde(skip)]
    pub again: Option<RunId>,
    /// Asked about: how many steps a run is to have in all.
    #[serde(skip)]
    pub extending: Option<Extending>,
}

/// A run that is to be made longer, as it is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extending {
    pub run: RunId,
    /// Steps in all.
    pub text: String,
    /// Its field is to get the caret.
    pub wants_caret: bool,
}

impl TrainView {
    /// The methods that are compared, in the order in which they run.
    pub fn contenders(&self) -> Vec<Contender> {
        let chosen = Contender::all().into_iter().filter(|contender| self.compared.contains(contender));
        let chosen: Vec<Contender> = chosen.collect();
        if chosen.is_empty() { Contender::USUAL.to_vec() } else { chosen }
    }

    /// Asks how many steps this run is to have in all.
    pub fn ask_how_long(&mut self, record: &RunRecord) {
        self.sheet = Sheet::Run;
        self.extending = Some(Extending { run: record.id, text: (record.step * 2).to_string(), wants_caret: true });
    }

    /// Goes on with a run; one that would begin again at step 0 is asked about first.
    pub fn resume(&mut self, runs: &Runs, record: &RunRecord) -> Option<RunCommand> {
        self.sheet = Sheet::Run;
        if runs.would_start_again(record) {
            self.again = Some(record.id);
            return None;
        }
        Some(RunCommand::Continue(record.id))
    }

    /// One more of them, or one less.
    pub fn compare_with(&mut self, contender: Contender, on: bool) {
        let mut chosen = self.contenders();
        chosen.retain(|other| *other != contender);
        if on {
            chosen.push(contender);
        }
        self.compared = chosen;
    }
}

/// Numbers typed into the knobs of a live run, until they are applied.
#[derive(Debug, Default)]
pub struct KnobTexts {
    pub run: Option<RunId>,
    /// In the order of [`Knob::ALL`].
    pub texts: [String; Knob::ALL.len()],
}

impl KnobTexts {
    /// Where a run's knobs stand when it starts.
    pub fn of(run: RunId, config: &RunConfig) -> Self {
        let start = config::Knobs::new(&config.objective);
        Self { run: Some(run), texts: Knob::ALL.map(|knob| start.value(knob(0.0)).to_string()) }
    }

    /// What was typed into a knob, or a sentence that says why it cannot be set.
    pub fn value(knob: fn(f64) -> Knob, typed: &str) -> Result<Knob, String> {
        let (label, range) = (knob(0.0).label(), knob(0.0).range());
        let value = config::typed::number(&label, typed)?;
        if range.holds(value) {
            Ok(knob(value))
        } else {
            Err(format!("{label} is {value}; it must be {}", range.words()))
        }
    }
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

fn steps_word(steps: u64) -> String {
    counted(steps as usize, "step", "steps")
}

/// "0 of 300 steps" of a run that may not have counted them yet: by its settings then, which may name epochs.
pub fn how_far(runs: &Runs, record: &RunRecord) -> String {
    let step = record.step;
    if record.total_steps > 0 {
        return format!("{step} of {}", steps_word(record.total_steps));
    }
    let Some(RunSettings { config: RunConfig { train, .. }, .. }) = runs.settings(record.id) else {
        return steps_word(step);
    };
    match train.steps {
        Some(steps) => format!("{step} of {}", steps_word(steps)),
        None if train.epochs == 1.0 => format!("{} of 1 epoch", steps_word(step)),
        None => format!("{} of {} epochs", steps_word(step), train.epochs),
    }
}

/// A run that is to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStart {
    pub name: String,
    pub config: RunConfig,
    /// The sheet that it is started from, which the project keeps: of several methods that are compared it is none of
    /// them.
    pub sheet: RunConfig,
    /// Settings that nobody chose: the next run's follow the data anew.
    pub follows: BTreeSet<String>,
    pub one_of_several: bool,
    /// Runs that begin when this one is recorded, one after the other: one may learn from what another fits.
    pub then: Vec<Self>,
}

impl RunStart {
    /// The first of some, the others behind it.
    pub fn in_turn(starts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut starts: Vec<Self> = starts.into_iter().collect();
        let several = starts.len() > 1;
        for start in &mut starts {
            start.one_of_several |= several;
        }
        let mut starts = starts.into_iter();
        let first = starts.next()?;
        Some(Self { then: starts.collect(), ..first })
    }
}

/// What can be asked of runs.
#[derive(Debug, Clone)]
pub enum RunCommand {
    /// Find out everything that can be known before a start.
    Check(Box<RunConfig>),
    /// A check of it that nobody waits for.
    Measure(Box<RunConfig>),
    /// Record a run and queue it.
    Start(Box<RunStart>),
    /// Record a run that was looked at and can start.
    Record(Box<RunStart>),
    /// Record a fork and queue it.
    Fork(Box<ForkStart>),
    /// Stop the run if it is going, then make and queue the fork.
    Mend(Box<ForkStart>),
    /// Tell such an alarm of the run no more.
    Ignore(RunId, AlarmKind),
    /// Go on with a run that has done all its steps, up to this many.
    Extend(RunId, u64),
    /// Hand a recorded run to the engine.
    Queue(RunId),
    /// Go on from the last checkpoint, or start again where there is none.
    Continue(RunId),
    /// Take a run that waits out of the queue.
    Withdraw(RunId),
    /// Runs that waited when the program ended need not wait any more.
    LeaveWaited,
    /// Give a run that waits another place, 0 = next.
    Move(RunId, usize),
    SetPaused(bool),
    Stop,
    /// Ask the process that trains it to let a run rest, or to go on.
    PauseElsewhere(RunId, bool),
    /// Ask the process that trains it to stop a run with a checkpoint.
    StopElsewhere(RunId),
    Checkpoint,
    /// What is to become of a checkpoint that could not be saved.
    Settle(SaveAnswer),
    /// Ask for another place for it.
    PickPlace,
    Turn(Knob),
    /// Labels made meanwhile are to join a run at its next end of an epoch, or not any more.
    TakeIn(RunId, bool),
    /// Read what waits to join it.
    ReadLabels(joining::JoiningKey),
    /// Read which labels its checkpoints have seen.
    ReadSeen(seen::SeenKey),
    /// Show these pairs.
    ShowSeen(seen::SeenPairs),
    /// Read its history from the project, if that was not done yet.
    Load(RunId),
    /// Read its history again.
    Reload(RunId),
    /// Read what its steps took, up to this one.
    ReadTimes(RunId, u64),
    /// Keep with the project how its runs are looked at.
    KeepBoard,
    /// Read which pairs a stretch of its steps met.
    /// Of a run whose newest step is this.
    ReadStretch(StepRange, u64),
    /// Read what it sampled to learn from.
    ReadRollout(Wanted),
    /// Show the steps that met a pair last.
    ShowSteps(PairId),
    /// Read the list of runs again.
    List,
    /// Look which checkpoints there are now.
    ListCheckpoints,
    /// Ask for a file to tell the runs of Compare in.
    PickReport,
    /// Tell these runs side by side, on one page.
    Report(Vec<RunId>, PathBuf),
    /// Ask for a file to put a run into, with all that it needs to be looked at elsewhere.
    PickBundle(RunId),
    /// Put it there.
    Bundle(RunId, PathBuf),
    /// Ask for a place for the charts of Compare, as such a file.
    PickCurves(CurveFile),
    /// Put them there.
    Curves(CurveFile, PathBuf),
    /// Read cells of the table of runs, each at the step that its run stands at.
    ReadCells(Vec<(RunId, RunColumn, u64)>),
    /// Read which pairs fought back in these runs, each as it stands.
    ReadFought(Vec<(RunId, Stand)>),
    /// Name and marks of a run from now on.
    SetAbout(RunId, Box<RunAbout>),
    /// Take the last change of those back, or do it again.
    TurnAbout {
        back: bool,
    },
    Delete(RunId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g22_a_knob_that_cannot_be_set_says_why() {
        for (knob, typed, part) in [
            (Knob::ReferenceWeight as fn(f64) -> Knob, "abc", "λ ref is “abc”; it must be a number such as"),
            (Knob::ReferenceWeight, "1e400", "larger than any number here"),
            (Knob::ReferenceWeight, "-1", "λ ref is -1; it must be 0 or more"),
            (Knob::Beta, "0", "β is 0; it must be a number above 0"),
            (Knob::Beta, "", "must be a number"),
        ] {
            let sentence = KnobTexts::value(knob, typed).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
        assert_eq!(KnobTexts::value(Knob::ReferenceWeight, " 0 "), Ok(Knob::ReferenceWeight(0.0)));
    }

    #[test]
    fn an_answer_to_an_older_question_is_dropped() {
        let mut preflight = Preflight::Waiting { request: RequestId(2), config: Box::default() };
        let answer = |request| Event::Preflight { request: RequestId(request), report: Box::default() };
        assert!(!preflight.take(&answer(1)));
        assert!(preflight.take(&answer(2)));
        assert!(matches!(preflight, Preflight::Ready { .. }));
    }
}
