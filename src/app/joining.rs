//! Labels that wait to join a run.

use state::joining::Key;
use store::{Project, RunId};

use super::{
    App,
    jobs::{Update, update},
};

/// More edits than these are not counted: what waits is told as so many.
const MOST_COUNTED: usize = 100_000;

impl App {
    /// The run sees it by itself, also in another process.
    pub(super) fn take_in(&mut self, run: RunId, asked: bool) {
        self.jobs.document.write("Could not ask for the labels", move |project| {
            project.ask_to_take_in(run, asked)?;
            read(project, run)
        });
    }

    pub(super) fn read_labels(&mut self, key: Key) {
        if self.workspace.runs.joining.ask(key) {
            self.jobs.document.read("Could not count the new labels", move |project| read(project, key.run));
        }
    }
}

fn read(project: &Project, run: RunId) -> anyhow::Result<Update> {
    let labels = project.run_labels(run, MOST_COUNTED)?;
    Ok(update(move |workspace, _| workspace.runs.joining.put(run, labels)))
}
