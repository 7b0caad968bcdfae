//! What a click or a key means. Queued while a frame is drawn, applied before the next one.

use std::{cell::RefCell, path::PathBuf, sync::Arc};

use data::PairId;

use super::{
    Screen,
    answers::AnswersCommand,
    models::ModelsCommand,
    notice::{Notice, NoticeId},
    pairs::PairsCommand,
    projects::ProjectsCommand,
    scores::Whose,
    tokens::{Spot, TokensOf},
    train::RunCommand,
};

/// Every change that drawing can ask for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Open the project in this folder, whatever is open now.
    OpenProject(PathBuf),
    /// Open the demo project, making it first if need be.
    OpenDemo,
    /// Ask for a folder with a file dialog, then open it.
    PickProject,
    /// Open a run that somebody put into a file, to be looked at.
    OpenBundle(PathBuf),
    /// Ask for such a file, then open it.
    PickBundle,
    /// Ask for a folder and put its path into a field of the launch sheet.
    PickLaunchFolder(&'static str),
    /// The same for a file.
    PickLaunchFile(&'static str),
    /// A folder or a file was picked for that field.
    SetLaunchFolder(&'static str, PathBuf),
    /// The project that was asked for is open: the screens ask for what they show first.
    Opened,
    /// Another process has written into the project.
    ReadChanges,
    Tell(Notice),
    Dismiss(NoticeId),
    DismissAll,
    /// What to do about the run when the window closes.
    Close(CloseAnswer),
    Runs(RunCommand),
    Pairs(PairsCommand),
    Answers(AnswersCommand),
    Models(ModelsCommand),
    Projects(ProjectsCommand),
    /// Look at the tokens of something.
    Inspect(Spot, TokensOf),
    /// Go to another place.
    Go(Screen),
    /// Read the log-probs of its tokens.
    ReadTokens(TokensOf, Whose),
    /// Show a pair in the editor, with its tokens.
    ShowPair(PairId),
    /// List these alone, under this title.
    ShowPairs(String, Arc<Vec<PairId>>),
}

/// The window was asked to close while a run is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseAnswer {
    /// Stop the run with a checkpoint, then close.
    StopAndClose,
    /// Stop the run with a checkpoint, have a process without a window go on from it, then close.
    GoOnInBackground,
    /// Let the run end by itself, then close.
    CloseAfterRun,
    /// Do not close.
    Stay,
}

/// The queue a frame writes to. Pushing wakes the window: an idle window would otherwise
/// show the effect only when the pointer moves.
pub struct Commands {
    queue: RefCell<Vec<Command>>,
    wake: Box<dyn Fn()>,
}

impl Commands {
    pub fn new(wake: impl Fn() + 'static) -> Self {
        Self { queue: RefCell::default(), wake: Box::new(wake) }
    }

    pub fn push(&self, command: Command) {
        self.queue.borrow_mut().push(command);
        (self.wake)();
    }

    /// Everything queued so far, in order.
    pub fn take(&self) -> Vec<Command> {
        self.queue.take()
    }
}
