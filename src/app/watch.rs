//! Other processes work on the same project: an import, a run in a terminal, another window. This notices.
//!
//! A thread with a connection of its own asks the document for its version, which costs next to nothing, and wakes the
//! window when somebody has written; only then is anything read. In passing it does what imports leave for later.

use std::{path::PathBuf, thread::JoinHandle, time::Duration};

use crossbeam::channel::{RecvTimeoutError, Sender, bounded};
use state::{Command, elsewhere::Elsewhere, runs::Stored, train::RunCommand};
use store::{Project, RunId};

use super::{App, inbox::Inbox, jobs::update, pairs::UndoLabels};

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
            let Ok(mut project) = Project::open(&dir) else {
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

impl App {
    /// Another project is open: the watch goes with it.
    pub(super) fn watch_project(&mut self) {
        let dir = self.workspace.project.as_ref().map(|project| project.dir.clone());
        self.watch = dir.map(|dir| ProjectWatch::start(dir, self.inbox.clone()));
    }

    /// Reads what other processes may have changed, after whatever this window is writing.
    pub(super) fn read_changes(&mut self) {
        let runs = &self.workspace.runs;
        // How far the history of each run is here that somebody else may be adding to.
        let followed: Vec<(RunId, Option<u64>)> =
            runs.followed().map(|(run, history)| (run, Some(history.last_step() as u64))).collect();
        self.jobs.document.read("Could not read what another program changed", move |project| {
            let revision = project.revision()?;
            let (counts, tags) = (project.counts()?, project.tags()?);
            let history = UndoLabels::read(project)?;
            let mut elsewhere = Elsewhere { records: project.runs()?, order: project.queue_order()?, news: Vec::new() };
            for (run, after) in followed {
                if elsewhere.records.iter().any(|record| record.id == run) {
                    elsewhere.news.push((
                        run,
                        Stored { steps: project.steps(run, after)?, log: project.log(run)?, watched: None },
                    ));
                }
            }
            Ok(update(move |workspace, _| {
                let has_ended = workspace.runs.take_elsewhere(elsewhere);
                let next: Vec<Command> =
                    has_ended.then_some(Command::Runs(RunCommand::ListCheckpoints)).into_iter().collect();
                if revision <= workspace.pairs.revision {
                    return next;
                }
                if let Some(project) = &mut workspace.project {
                    project.counts = counts;
                }
                let data = &mut workspace.pairs;
                (data.revision, data.counts, data.tags) = (revision, counts, tags);
                history.show(data, &mut workspace.notices);
                // The table and the open pair are read again; what is being typed is a draft and stays.
                data.rows.expire_all();
                data.pairs.expire_all();
                data.changed(&[], Vec::new());
                next
            }))
        });
    }
}
