//! What a click or a key means. Queued while a frame is drawn, applied before the next one.

use std::{cell::RefCell, path::PathBuf};

use super::{answers::AnswersCommand, notice::NoticeId, pairs::PairsCommand};

/// Every change that drawing can ask for.
#[derive(Debug, Clone)]
pub enum Command {
    /// Open the project in this folder, whatever is open now.
    OpenProject(PathBuf),
    /// Ask for a folder with a file dialog, then open it.
    PickProject,
    Dismiss(NoticeId),
    Pairs(PairsCommand),
    Answers(AnswersCommand),
}

/// The queue a frame writes to. Pushing wakes the window: an idle window would otherwise
/// show the effect only when the pointer moves.
pub struct Commands {
    queue: RefCell<Vec<Command>>,
    wake: Box<dyn Fn()>,
}

impl Commands {
    pub fn new(wake: impl Fn() + 'static) -> Self {
        Self {
            queue: RefCell::default(),
            wake: Box::new(wake),
        }
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
