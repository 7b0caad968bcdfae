//! What Compare asks for: names and marks of runs, cells of their table, their charts as files.

use std::path::PathBuf;

use data::counted;
use engine::protocol::{CurveFile, CurveOrder};
use export::Curves;
use state::{
    Notice,
    compare::{margin_scores::Stand, metrics_present},
};
use store::{Project, RunAbout, RunColumn, RunId};

use super::{
    App,
    jobs::{Lane, about, update},
    runs::reread_runs,
};

impl App {
    /// Name and marks of a run from now on; what they were can be brought back.
    pub(super) fn set_about(&mut self, run: RunId, about: RunAbout) {
        // Shown at once; the project's own word follows.
        self.workspace.runs.set_about(run, &about);
        self.jobs.document.write("Could not keep what was said about the run", move |project| {
            project.set_about(run, &about)?;
            reread_runs(project)
        });
    }

    pub(super) fn turn_about(&mut self, back: bool) {
        self.jobs.document.write("Could not turn back what was said about the run", move |project| {
            project.turn_about(back)?;
            reread_runs(project)
        });
    }

    /// Reads single values of curves that are not here.
    pub(super) fn read_cells(&mut self, cells: Vec<(RunId, RunColumn, u64)>) {
        let wanted = self.workspace.runs.cells.ask(cells);
        if wanted.is_empty() {
            return;
        }
        self.jobs.document.read("Could not read the table of runs", move |project| {
            let mut read = Vec::with_capacity(wanted.len());
            for (run, column, step) in wanted {
                let RunColumn::Metric(pick, name) = &column else { continue };
                let value = project.picked(run, name, *pick)?;
                read.push((run, column, step, value));
            }
            Ok(update(move |workspace, _| {
                for (run, column, step, value) in read {
                    workspace.runs.cells.fill(run, column, step, value);
                }
            }))
        });
    }

    /// Reads how the pairs of runs fared, through a connection of its own: it goes through all their steps.
    pub(super) fn read_fought(&mut self, wanted: Vec<(RunId, Stand)>) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        self.workspace.runs.fought.ask(&wanted);
        self.jobs.aside(Lane::Transfer, "Could not read which pairs fought back", move || {
            let project = Project::open(&dir)?;
            // One of them may have been deleted since.
            let there: Vec<RunId> = project.runs()?.into_iter().map(|run| run.id).collect();
            let mut read = Vec::with_capacity(wanted.len());
            for (run, _) in wanted.into_iter().filter(|(run, _)| there.contains(run)) {
                read.push((run, project.standings(run)?));
            }
            Ok(about(dir, move |workspace, _| {
                for (run, standings) in read {
                    workspace.runs.fought.put(run, standings);
                }
            }))
        });
    }

    /// The charts as they are looked at, in a file; a dialog has asked about one that is there.
    pub(super) fn save_curves(&mut self, kind: CurveFile, place: PathBuf) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else {
            return;
        };
        let (runs, view) = (&self.workspace.runs, &self.views.compare);
        let shown = view.shown(runs);
        let board = &view.board;
        let order = CurveOrder {
            runs: shown.iter().map(|record| (record.id, record.look())).collect(),
            metrics: board.charts(&metrics_present(runs, &shown)),
            across: board.x,
            scale: board.scale,
            clip: board.clip,
            smoothing: board.smoothing,
            columns: board.columns,
        };
        self.jobs.aside(Lane::Export, "Could not write the charts", move || {
            let project = Project::open(&dir)?;
            let told = counted(order.runs.len(), "run", "runs");
            Curves::of(&project, order)?.write(kind, &project, &place, true)?;
            Ok(update(move |workspace, _| {
                let what = if kind == CurveFile::TensorBoard { "All that was measured of" } else { "The charts of" };
                workspace.notices.push(Notice::info(format!("{what} {told}: {}", place.display())));
            }))
        });
    }
}
