//! Runs: check, start, steer, rename, delete.

use std::sync::Arc;

use data::{
    alarms::{AlarmKind, Watch},
    config::RunConfig,
};
use engine::{
    self, admit, fit_to_resume, fork,
    protocol::{Request, RunControl},
};
use state::{
    Command,
    checkpoints::{Checkpoints, CheckpointsByRun},
    compare::board,
    fork::{ForkStart, Without},
    ignored::{self, Ignored},
    runs::{LiveRun, Loaded, StoredRun},
    simple,
    train::{Preflight, RunCommand, RunStart, Sheet},
};
use store::{LeftOut, NewRun, PairQuery, Project, RunId, RunRecord, RunStatus};
use train::{TrainError, importance::contrast, measure::judging, objective, rlhf::teacher};

use super::{
    App,
    jobs::{Lane, Update, about, update},
};

impl App {
    pub(super) fn check(&mut self, config: Box<RunConfig>) {
        let Some(project) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        let request = self.workspace.next_request();
        let asked = Request::Preflight { request, project, config: config.clone(), yields: false };
        if self.ask_engine(asked) {
            self.workspace.preflight = Preflight::Waiting { request, config };
        }
    }

    /// A check that nobody waits for, so that the sheet can say what a run would take.
    pub(super) fn measure(&mut self, config: Box<RunConfig>) {
        let Some(project) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        let request = self.workspace.next_request();
        let asked = Request::Preflight { request, project, config: config.clone(), yields: true };
        if self.ask_engine(asked) {
            self.workspace.pace.ask(request, config);
        }
    }

    /// Looks whether the run can start, which may take long; then it is recorded.
    pub(super) fn start(&mut self, start: Box<RunStart>) {
        let Some(dir) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        self.views.train.sheet = Sheet::Run;
        self.views.train.shown = None;
        self.workspace.pace.forget_what_was_asked();
        self.jobs.aside(Lane::Transfer, "Could not look at the run's model", move || {
            let project = Project::open(&dir).map_err(TrainError::from);
            let admitted = project.and_then(|project| admit(&project, &start.config));
            Ok(about(dir, move |workspace, views| match admitted {
                Ok(()) => vec![Command::Runs(RunCommand::Record(start))],
                Err(error) => {
                    views.train.sheet = Sheet::Launch;
                    let RunStart { config, then, .. } = *start;
                    workspace.preflight = Preflight::Refused { config: Box::new(config), error: error.to_string() };
                    next(then)
                }
            }))
        });
    }

    /// Records a run that can start.
    pub(super) fn record(&mut self, start: RunStart) {
        let RunStart { name, config, sheet, follows, one_of_several, then } = start;
        self.jobs.document.write("Could not record the run", move |project| {
            let run = project.create_run(&NewRun {
                name,
                config_toml: config.to_toml()?,
                method: objective::name(&config.objective),
                revision: project.revision()?,
                parent: None,
            })?;
            // The next run starts from the sheet that this one was started from.
            let mut settings = project.settings()?;
            if project.setting(simple::USUAL)?.is_none() {
                project.set_setting(simple::USUAL, &settings.run_toml)?;
            }
            settings.run_toml = sheet.to_toml_without(|key| follows.contains(key))?;
            project.set_settings(&settings)?;
            let records = project.runs()?;
            Ok(update(move |workspace, views| {
                workspace.runs.set_records(records);
                // Of several the one that goes is watched.
                if !one_of_several {
                    views.train.shown = Some(run);
                }
                views.train.name.clear();
                let mut commands = vec![Command::Runs(RunCommand::Queue(run))];
                commands.extend(next(then));
                commands
            }))
        });
    }

    /// Makes a run of a checkpoint of another one, and queues it.
    pub(super) fn fork(&mut self, start: ForkStart) {
        self.jobs.document.write("Could not fork the run", move |project| {
            admit(project, &start.config)?;
            let mended = start.against.map(|kind| (start.run, kind));
            let run = fork::fork(project, &asked(project, start)?)?;
            let ignored = match mended {
                Some((run, kind)) => let_be(project, run, kind)?,
                None => ignored(project)?,
            };
            let records = project.runs()?;
            let saved = saved(&records);
            Ok(update(move |workspace, views| {
                workspace.runs.set_records(records);
                workspace.runs.saved = saved;
                workspace.runs.ignored = ignored;
                views.train.leave_fork();
                views.train.sheet = Sheet::Run;
                views.train.shown = Some(run);
                Command::Runs(RunCommand::Queue(run))
            }))
        });
    }

    /// Tells such an alarm of the run no more; where the project can only be looked at, until it is closed.
    pub(super) fn ignore(&mut self, run: RunId, kind: AlarmKind) {
        self.workspace.runs.ignored.add(run, kind);
        if self.workspace.project.as_ref().is_none_or(|project| project.read_only) {
            return;
        }
        self.jobs.document.write("Could not keep that an alarm is let be", move |project| {
            let_be(project, run, kind)?;
            Ok(update(|_, _| ()))
        });
    }

    /// Gives a run that has done all its steps more of them, and goes on with it.
    pub(super) fn extend(&mut self, run: RunId, steps: u64) {
        self.jobs.document.write("Could not make the run longer", move |project| {
            let mut config = project.run(run)?.config()?;
            config.train.steps = Some(steps);
            fit_to_resume(&config)?;
            project.set_run_config(run, &config.to_toml()?)?;
            let records = project.runs()?;
            Ok(update(move |workspace, views| {
                workspace.runs.set_records(records);
                views.train.sheet = Sheet::Run;
                views.train.shown = Some(run);
                Command::Runs(RunCommand::Queue(run))
            }))
        });
    }

    /// Hands a recorded run to the engine, unless the window is about to go. `from`: the step whose checkpoint it goes
    /// on from, 0 for its beginning; absent = the newest.
    pub(super) fn train(&mut self, run: RunId, from: Option<u64>) {
        if self.leave.is_asked() {
            return;
        }
        let Some(project) = self.workspace.project.as_ref().map(|p| p.dir.clone()) else {
            return;
        };
        let control = Arc::new(RunControl::default());
        let request = Request::Train { project, run, from, control: control.clone() };
        if !self.ask_engine(request) {
            return;
        }
        // A new run has no history to wait for; one that goes on has.
        let config = self.workspace.runs.settings(run).map(|settings| settings.config.clone());
        let record = self.workspace.runs.record(run);
        let inherited = record.and_then(|record| record.parent_step);
        if record.is_some_and(|record| record.step > 0) {
            self.load_history(run, false);
        } else {
            let history = self.workspace.runs.history.entry(run).or_default();
            history.loaded = Loaded::Ready;
            history.watch = config.map(|config| Watch::new(&config, inherited));
        }
        self.workspace.runs.queue(LiveRun::new(run, control));
        self.keep_queue();
    }

    /// Gives a run that waits another place, here or in the process that has it in hand.
    pub(super) fn move_in_queue(&mut self, run: RunId, to: usize) {
        let runs = &mut self.workspace.runs;
        if runs.place(run).is_some() {
            let order = runs.reorder(run, to);
            self.ask_engine(Request::Reorder { runs: order });
            self.keep_queue();
            return;
        }
        let mut order: Vec<RunId> = runs.queue_shown().iter().map(|record| record.id).collect();
        order.retain(|other| *other != run);
        order.insert(to.min(order.len()), run);
        runs.order.clone_from(&order);
        self.write_queue(order);
    }

    /// Writes down the order of the runs that wait, for the next start and for whoever looks at the project.
    fn keep_queue(&mut self) {
        let order: Vec<RunId> = self.workspace.runs.waiting.iter().map(|waiting| waiting.run).collect();
        // One alone has no order.
        if order.len() > 1 {
            self.write_queue(order);
        }
    }

    fn write_queue(&mut self, order: Vec<RunId>) {
        self.jobs.document.write("Could not keep the order of the queue", move |project| {
            project.set_queue_order(&order)?;
            Ok(update(|_, _| ()))
        });
    }

    /// Takes every run that waits out of the queue until the program is back.
    pub(super) fn withdraw_waiting(&mut self) {
        let waiting: Vec<RunId> = self.workspace.runs.waiting.iter().map(|waiting| waiting.run).collect();
        for run in waiting {
            self.withdraw(run, true);
        }
    }

    /// The engine may be busy for a while: until it takes notice, the run's own reins keep it from beginning.
    pub(super) fn withdraw(&mut self, run: RunId, for_now: bool) {
        if self.ask_engine(Request::Withdraw { run, for_now })
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

    /// Whoever trains it looks at the request by itself, and its status tells.
    pub(super) fn pause_elsewhere(&mut self, run: RunId, on: bool) {
        self.jobs.document.write("Could not ask the run to rest", move |project| {
            project.ask_to_pause(run, on)?;
            reread_runs(project)
        });
    }

    /// Whoever trains it looks at the request by itself.
    pub(super) fn stop_elsewhere(&mut self, run: RunId) {
        self.jobs.document.write("Could not ask the run to stop", move |project| {
            if !project.ask_to_stop(run)? {
                // It has ended by itself meanwhile.
                return reread_runs(project);
            }
            Ok(update(move |workspace, _| {
                workspace.runs.asked_to_stop.insert(run);
            }))
        });
    }

    /// Runs that waited when the program ended stand as stopped ones from now on.
    pub(super) fn leave_waited(&mut self) {
        let waited: Vec<RunId> = self.workspace.runs.waited().iter().map(|record| record.id).collect();
        self.jobs.document.write("Could not leave the runs as they are", move |project| {
            for run in waited {
                project.set_run_status(run, RunStatus::Stopped, None)?;
            }
            reread_runs(project)
        });
    }

    /// Nothing happens to one that is going or waits.
    pub(super) fn delete_run(&mut self, run: RunId) {
        let runs = &mut self.workspace.runs;
        if runs.is_going(run) || runs.place(run).is_some() {
            return;
        }
        runs.history.remove(&run);
        self.jobs.document.write("Could not delete the run", move |project| {
            teacher::refuse_to_delete(project, run)?;
            project.delete_run(run)?;
            contrast::clear(project, None);
            reread_runs(project)
        });
    }

    /// Reads a run's metrics and log. `again`: also when they are here already.
    pub(super) fn load_history(&mut self, run: RunId, again: bool) {
        let history = self.workspace.runs.history.entry(run).or_default();
        if history.loaded == Loaded::Asked || (history.loaded == Loaded::Ready && !again) {
            return;
        }
        history.loaded = Loaded::Asked;
        self.jobs.document.read("Could not read the run's history", move |project| {
            // Settings that cannot be read raise no alarm of their own.
            let record = project.run(run)?;
            let config = record.config().unwrap_or_default();
            let stored = StoredRun::whole((&config, record.parent_step), project.steps(run, None)?, project.log(run)?);
            Ok(update(move |workspace, _| {
                workspace.runs.history.entry(run).or_default().fill(stored);
            }))
        });
    }

    /// Reads what a run's steps took, up to this one, beyond what is here.
    pub(super) fn read_times(&mut self, run: RunId, to: u64) {
        let history = self.workspace.runs.history.entry(run).or_default();
        history.times_to = Some(to);
        let known = history.times.last_step().map(|step| step as u64);
        self.jobs.document.read("Could not read the run's times", move |project| {
            let times = project.step_times_after(run, known)?;
            Ok(update(move |workspace, _| {
                let history = workspace.runs.history.entry(run).or_default();
                for (step, wall_ms) in times {
                    history.times.push(step as f64, wall_ms as f64 / 1000.0);
                }
            }))
        });
    }

    /// Writes down how the project's runs are looked at, where that can be written.
    pub(super) fn keep_board(&mut self) {
        let view = &mut self.views.compare;
        if view.board == view.kept {
            return;
        }
        view.kept = view.board.clone();
        if self.workspace.project.as_ref().is_none_or(|project| project.read_only) {
            return;
        }
        let kept = view.board.clone();
        self.jobs.document.write("Could not keep the arrangement of the charts", move |project| {
            project.set_setting(board::KEY, &kept.to_text()?)?;
            Ok(update(|_, _| ()))
        });
    }

    /// Looks which checkpoints there are now.
    pub(super) fn load_checkpoints(&mut self) {
        self.jobs.document.read("Could not read the checkpoints", |project| {
            let saved = saved(&project.runs()?);
            Ok(update(move |workspace, _| workspace.runs.saved = saved))
        });
    }

    /// Reads the list of runs again, e.g. after one ended.
    pub(super) fn load_runs(&mut self) {
        self.jobs.document.read("Could not read the runs", |project| reread_runs(project));
    }
}

/// The next of some runs that begin one after the other.
fn next(starts: Vec<RunStart>) -> Vec<Command> {
    let next = RunStart::in_turn(starts).map(|start| Command::Runs(RunCommand::Start(Box::new(start))));
    next.into_iter().collect()
}

/// What was set up, with the pairs that have the tag now.
fn asked(project: &Project, start: ForkStart) -> anyhow::Result<fork::Fork> {
    let ForkStart { run, at, name, config, without, against: _ } = start;
    let left_out = match without {
        Without::Nothing => None,
        Without::Tag(tag) => {
            let pairs = project.query(&PairQuery { tag: Some(tag.clone()), ..PairQuery::default() })?;
            Some(LeftOut::new(format!("tagged “{tag}”"), pairs))
        }
        Without::Pairs(pairs) => Some(LeftOut::new("of a list".to_owned(), pairs.to_vec())),
    };
    Ok(fork::Fork { run, at, name, config, left_out })
}

/// The alarms that are let be, as the project has them.
pub(super) fn ignored(project: &Project) -> anyhow::Result<Ignored> {
    Ok(project.setting(ignored::KEY)?.map(|text| Ignored::from_text(&text)).unwrap_or_default())
}

/// Keeps one more of them with the project.
fn let_be(project: &Project, run: RunId, kind: AlarmKind) -> anyhow::Result<Ignored> {
    let mut known = ignored(project)?;
    known.add(run, kind);
    project.set_setting(ignored::KEY, &known.to_text()?)?;
    Ok(known)
}

pub(super) fn reread_runs(project: &Project) -> anyhow::Result<Update> {
    let records = project.runs()?;
    let saved = saved(&records);
    let can_turn_about = project.can_turn_about()?;
    let rules = judging::heads(project, &records);
    Ok(update(move |workspace, _| {
        workspace.runs.rules = rules;
        workspace.runs.can_turn_about = can_turn_about;
        workspace.runs.set_records(records);
        workspace.runs.saved = saved;
    }))
}

/// The checkpoints that are on the disk now. A folder that cannot be read has none.
pub(super) fn saved(records: &[RunRecord]) -> CheckpointsByRun {
    let of = |record: &RunRecord| Checkpoints {
        steps: engine::checkpoint_steps(&record.checkpoints),
        asked_for: engine::checkpoints_asked_for(&record.checkpoints),
    };
    records.iter().map(|record| (record.id, of(record))).collect()
}
