//! Labels that wait to join a run, and those that its checkpoints have seen.

use std::sync::Arc;

use state::{
    Command,
    joining::JoiningKey,
    seen::{self, SeenLabels, SeenOrLater},
};
use store::{Project, RunId};
use train::run::checkpoint;

use super::{
    App,
    jobs::{Update, about, update},
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

    pub(super) fn read_labels(&mut self, key: JoiningKey) {
        if self.workspace.runs.joining.ask(key) {
            self.jobs.document.read("Could not count the new labels", move |project| read(project, key.run));
        }
    }
}

impl App {
    pub(super) fn read_seen(&mut self, key: seen::SeenKey) {
        if self.workspace.runs.seen.ask(&key) {
            self.jobs.document.read("Could not read what the checkpoints have seen", move |project| {
                let all = seen_by(project, &key)?;
                Ok(update(move |workspace, _| workspace.runs.seen.put(key, all)))
            });
        }
    }

    /// With a connection of its own: of very many pairs all are looked at.
    pub(super) fn show_seen(&mut self, asked: seen::SeenPairs) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let run = self.workspace.runs.name(asked.run);
        self.jobs.list(dir.clone(), "Could not list the pairs", move |project| {
            let pairs = Arc::new(match asked.which {
                SeenOrLater::Seen => project.labelled_at(asked.revision)?,
                SeenOrLater::Later => project.relabelled_since(asked.revision)?,
            });
            Ok(about(dir, move |_, _| Command::ShowPairs(asked.title(&pairs, &run), pairs)))
        });
    }
}

/// Newest first; without those that cannot be read.
fn seen_by(project: &Project, key: &seen::SeenKey) -> anyhow::Result<Vec<SeenLabels>> {
    let folders = project.run(key.run)?.checkpoints;
    let mut all: Vec<SeenLabels> = Vec::new();
    for step in key.steps.iter().rev().copied() {
        let seen = checkpoint::seen(&folders, step);
        let Some(revision) = seen.last().map(|last| last.revision) else { continue };
        // Most of them have seen what the one after has.
        let known = all.last().filter(|known| known.revision == revision).map(|known| known.of);
        let of = known.map_or_else(|| project.labels_of(revision), Ok)?;
        all.push(SeenLabels { step, revision, revisions: checkpoint::revisions_in_words(&seen), of });
    }
    Ok(all)
}

fn read(project: &Project, run: RunId) -> anyhow::Result<Update> {
    let labels = project.run_labels(run, MOST_COUNTED)?;
    Ok(update(move |workspace, _| workspace.runs.joining.put(run, labels)))
}
