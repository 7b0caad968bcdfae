//! Other processes work on the same project: an import, a run in a terminal, another window. This notices.
//!
//! A thread with a connection of its own asks the document for its version, which costs next to nothing, and wakes the
//! window when somebody has written; only then is anything read. In passing it does what imports leave for later.

use std::{path::PathBuf, thread::JoinHandle, time::Duration};

use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use state::Command;
use store::Project;

use super::inbox::Inbox;

/// How often the document is asked.
const OFTEN: Duration = Duration::from_millis(700);
/// Between two pieces of what was left for later, so that others get their turn to write.
const BREATH: Duration = Duration::from_millis(30);

/// The thread; it ends when this is dropped.
pub struct ProjectWatch {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProjectWatch {
    /// Watches the project in `dir`; says so after each change by another connection.
    pub fn start(dir: PathBuf, inbox: Inbox) -> Self {
        let (end, ended) = bounded(0);
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let Ok(project) = Project::open(&dir) else {
                return;
            };
            // It never keeps the window from closing.
            project.set_patience(BREATH).ok();
            let mut seen = project.data_version().ok();
            let mut pause = OFTEN;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(pause) {
                pause = match project.settle() {
                    Ok(true) => BREATH,
                    // Nothing to do, or nothing that can be done now.
                    Ok(false) | Err(_) => OFTEN,
                };
                let is_orphaned = project.mark_interrupted().unwrap_or(false);
                let now = project.data_version().ok();
                if now != seen || is_orphaned {
                    seen = now;
                    inbox.push(Command::ReadChanges);
                }
            }
        });
        Self { end: Some(end), thread: thread.ok() }
    }
}

impl Drop for ProjectWatch {
    fn drop(&mut self) {
        self.end.take();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
