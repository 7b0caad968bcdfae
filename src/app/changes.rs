//! What other processes have changed in the open project is read.

use state::{Command, elsewhere::Elsewhere, runs::StoredRun, train::RunCommand};
use store::RunId;

use super::{App, jobs::update, pairs::UndoLabels, watch::ProjectWatch};

impl App {
    /// Another project is open: the watch goes with it.
    pub(super) fn watch_project(&mut self) {
        let dir = self.workspace.project.as_ref().map(|project| project.dir.clone());
        self.watch = dir.map(|dir| ProjectWatch::start(dir, self.inbox.clone()));
    }

    /// Reads what other processes may have changed, after whatever this window is writing.
    pub(super) fn read_changes(&mut self) {
        let runs = &self.workspace.runs;
        // How far the history of each run is here that somebody else may be adding to; its last step may be evaluated
        // yet.
        let followed: Vec<(RunId, Option<u64>)> =
            runs.followed().map(|(run, history)| (run, (history.last_step() as u64).checked_sub(1))).collect();
        self.jobs.document.read("Could not read what another program changed", move |project| {
            let revision = project.revision()?;
            let (counts, tags) = (project.counts()?, project.tags()?);
            let history = UndoLabels::read(project)?;
            let mut elsewhere = Elsewhere { records: project.runs()?, order: project.queue_order()?, news: Vec::new() };
            for (run, after) in followed {
                if elsewhere.records.iter().any(|record| record.id == run) {
                    elsewhere.news.push((
                        run,
                        StoredRun { steps: project.steps(run, after)?, log: project.log(run)?, watched: None },
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
                    project.counts = counts.clone();
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
