//! Commands from other threads: file dialogs, the watch over the project, a download on its way.

use std::sync::{Arc, Mutex, PoisonError};

use state::{Command, download::FetchCommand, models::ModelsCommand};

/// Takes commands from any thread and wakes the window for them.
#[derive(Clone)]
pub struct Inbox {
    waiting: Arc<Mutex<Vec<Command>>>,
    ctx: egui::Context,
}

impl Inbox {
    pub fn new(ctx: egui::Context) -> Self {
        Self { waiting: Arc::default(), ctx }
    }

    /// News that is waiting already is not queued again: a window that is not drawn for hours must not have thousands
    /// of them to carry out.
    pub fn push(&self, command: Command) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|known| are_same_news(known, &command)) {
            waiting.push(command);
        }
        drop(waiting);
        self.ctx.request_repaint();
    }

    /// Everything so far, in order.
    pub fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn are_same_news(one: &Command, other: &Command) -> bool {
    let is_progress = |command: &Command| matches!(command, Command::Models(ModelsCommand::Fetch(FetchCommand::Watch)));
    let is_change = |command: &Command| matches!(command, Command::ReadChanges);
    (is_progress(one) && is_progress(other)) || (is_change(one) && is_change(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_waits_once_and_everything_else_as_often_as_it_is_said() {
        let inbox = Inbox::new(egui::Context::default());
        for _ in 0..3 {
            inbox.push(Command::ReadChanges);
            inbox.push(Command::OpenDemo);
        }
        let taken = inbox.take();
        assert!(matches!(taken[..], [Command::ReadChanges, Command::OpenDemo, Command::OpenDemo, Command::OpenDemo]));
        assert!(inbox.take().is_empty());
    }
}
