//! Runs: check, start, steer, rename, delete.

use std::sync::Arc;

use super::{App, transfers::about};
use crate::{
    data::config::{Knob, RunConfig},
    engine::{
        self, EngineError, admit,
        protocol::{Request, RunControl, SaveAnswer},
    },
    objective::Objective,
    state::{
        Command,
        on_disk::{Checkpoints, Saved},
        runs::{Live, Loaded, Stored},
        train::{Preflight, RunCommand, Sheet},
    },
    store::{NewRun, Project, RunId, RunRecord},
};

impl App {
    pub(super) fn apply_runs(&mut self, command: RunCommand, frame: &eframe::Frame) {
        match command {
            RunCommand::Check(config) => self.check(config),
            RunCommand::Start { name, config } => self.start(name, config),
            RunCommand::Continue(run) => {
                self.views.train.sheet = Sheet::Run;
                self.views.train.shown = Some(run);
                // The window has said so before.
                let runs = &self.workspace.runs;
                let again = runs.record(run).is_some_and(|record| runs.would_start_again(record));
                self.train(run, again.then_some(0));
            }
            RunCommand::Withdraw(run) => self.withdraw(run),
            RunCommand::Move(run, to) => {
                let runs = self.workspace.runs.reorder(run, to);
                self.ask_engine(Request::Reorder { runs });
            }
            RunCommand::SetPaused(paused) => {
                if let Some(live) = &mut self.workspace.runs.live {
                    live.control.set_paused(paused);
                    live.paused = paused;
                }
            }
            RunCommand::Stop => self.stop_live(),
            RunCommand::Checkpoint => {
                if let Some(run) = self.live_run() {
                    self.ask_engine(Request::Checkpoint { run });
                }
            }
            RunCommand::Settle(answer) => {
                if let Some(run) = self.live_run() {
                    self.ask_engine(Request::Settle { run, answer });
                }
            }
            RunCommand::PickPlace => {
                self.dialogs.pick_folder(frame, "Save the checkpoints in", |folder| {
                    Command::Runs(RunCommand::Settle(SaveAnswer::Elsewhere(folder)))
                });
            }
            RunCommand::Turn(knob) => self.turn(knob),
            RunCommand::Load(run) => self.load_history(run, false),
            RunCommand::Rename(run, name) => {
                self.files.write("Could not rename the run", move |project| {
                    project.rename_run(run, &name)?;
                    reread_runs(project)
                });
            }
            RunCommand::Delete(run) => {
                let runs = &self.workspace.runs;
                if runs.is_going(run) || runs.place(run).is_some() {
                    return;
                }
                self.workspace.runs.history.remove(&run);
                self.files.write("Could not delete the run", move |project| {
                    project.delete_run(run)?;
                    reread_runs(project)
                });
            }
        }
    }

    fn live_run(&self) -> Option<RunId> {
        self.workspace.runs.live.as_ref().map(|live| live.run)
    }

    fn check(&mut self, config: Box<RunConfig>) {
        let Some(project) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        let request = self.workspace.next_request();
        let asked = self.ask_engine(Request::Preflight { request, project, config: config.clone() });
        if asked {
            self.workspace.preflight = Preflight::Waiting { request, config };
        }
    }

    /// Looks whether the run can start, which takes too long for the files thread; [`App::record_admitted`] goes on from there.
    fn start(&mut self, name: String, config: Box<RunConfig>) {
        let Some(dir) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        self.views.train.sheet = Sheet::Run;
        self.views.train.shown = None;
        self.transfers.open("Could not look at the run's model", move |_| {
            let admitted = Project::open(&dir).map_err(EngineError::from).and_then(|project| admit(&project, &config));
            Ok(about(dir, move |workspace, views| match admitted {
                Ok(()) => workspace.to_record.push((name, config)),
                Err(error) => {
                    views.train.sheet = Sheet::Launch;
                    workspace.preflight = Preflight::Refused { config, error: error.to_string() };
                }
            }))
        });
    }

    /// Records runs that may start; [`App::train_recorded`] hands them on when that is on disk.
    pub(super) fn record_admitted(&mut self) {
        for (name, config) in std::mem::take(&mut self.workspace.to_record) {
            self.record(name, *config);
        }
    }

    fn record(&mut self, name: String, config: RunConfig) {
        self.files.write("Could not record the run", move |project| {
            let run = project.create_run(&NewRun {
                name,
                config_toml: config.to_toml()?,
                method: Objective::of(&config.objective).name(),
                revision: project.revision()?,
                parent: None,
            })?;
            // The next run starts from what this one was started with.
            let mut settings = project.settings()?;
            settings.run_toml = config.to_toml()?;
            project.set_settings(&settings)?;
            let records = project.runs()?;
            Ok(Box::new(move |workspace, views| {
                workspace.runs.set_records(records);
                workspace.to_train.push(run);
                views.train.shown = Some(run);
                views.train.name.clear();
            }))
        });
    }

    /// Hands runs that are recorded by now to the engine.
    pub(super) fn train_recorded(&mut self) {
        for run in std::mem::take(&mut self.workspace.to_train) {
            self.train(run, None);
        }
    }

    /// `from`: the step whose checkpoint it goes on from, 0 for its beginning; absent = the newest.
    fn train(&mut self, run: RunId, from: Option<u64>) {
        let Some(project) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        let control = Arc::new(RunControl::default());
        let request = Request::Train { project, run, from, control: control.clone() };
        if !self.ask_engine(request) {
            return;
        }
        // A new run has no history to wait for; one that goes on has.
        let record = self.workspace.runs.record(run);
        if record.is_some_and(|record| record.step > 0) {
            self.load_history(run, false);
        } else {
            let history = self.workspace.runs.history.entry(run).or_default();
            history.loaded = Loaded::Ready;
        }
        self.workspace.runs.queue(Live::new(run, control));
    }

    /// Takes every run that waits out of the queue.
    pub(super) fn withdraw_waiting(&mut self) {
        let waiting: Vec<RunId> = self.workspace.runs.waiting.iter().map(|waiting| waiting.run).collect();
        for run in waiting {
            self.withdraw(run);
        }
    }

    /// The engine may be busy for a while: until it takes notice, the run's own reins keep it from beginning.
    fn withdraw(&mut self, run: RunId) {
        if self.ask_engine(Request::Withdraw { run })
            && let Some(waiting) = self.workspace.runs.waiting.iter_mut().find(|waiting| waiting.run == run)
        {
            waiting.control.stop();
            waiting.stopping = true;
        }
    }

    pub(super) fn stop_live(&mut self) {
        if let Some(live) = &mut self.workspace.runs.live {
            live.control.stop();
            live.control.set_paused(false);
            live.stopping = true;
        }
    }

    fn turn(&mut self, knob: Knob) {
        let Some(live) = &self.workspace.runs.live else {
            return;
        };
        let run = live.run;
        // The engine marks the charts when the knob counts.
        self.ask_engine(Request::Turn { run, knob });
    }

    /// Reads a run's metrics and log. `again`: also when they are here already.
    pub(super) fn load_history(&mut self, run: RunId, again: bool) {
        let history = self.workspace.runs.history.entry(run).or_default();
        if history.loaded == Loaded::Asked || (history.loaded == Loaded::Ready && !again) {
            return;
        }
        history.loaded = Loaded::Asked;
        self.files.read("Could not read the run's history", move |project| {
            let stored = Stored { steps: project.steps(run, None)?, log: project.log(run)? };
            Ok(Box::new(move |workspace, _| {
                workspace.runs.history.entry(run).or_default().fill(stored);
            }))
        });
    }

    /// Looks which checkpoints there are now.
    pub(super) fn load_checkpoints(&mut self) {
        self.files.read("Could not read the checkpoints", |project| {
            let saved = saved(&project.runs()?);
            Ok(Box::new(move |workspace, _| workspace.runs.saved = saved))
        });
    }

    /// Reads the list of runs again, e.g. after one ended.
    pub(super) fn load_runs(&mut self) {
        self.files.read("Could not read the runs", |project| reread_runs(project));
    }
}

fn reread_runs(project: &Project) -> anyhow::Result<super::Update> {
    let records = project.runs()?;
    let saved = saved(&records);
    Ok(Box::new(move |workspace, _| {
        workspace.runs.set_records(records);
        workspace.runs.saved = saved;
    }))
}

/// The checkpoints that are on the disk now. A folder that cannot be read has none.
pub(super) fn saved(records: &[RunRecord]) -> Saved {
    let of = |record: &RunRecord| Checkpoints {
        steps: engine::checkpoint_steps(&record.checkpoints),
        asked_for: engine::checkpoints_asked_for(&record.checkpoints),
    };
    records.iter().map(|record| (record.id, of(record))).collect()
}
