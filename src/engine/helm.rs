//! What connects a running run with the project and with whoever asks: log, phases, pause and stop.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
    time::{Duration, Instant},
};

use super::{
    desk::{Current, Desk, Job, Rest},
    error::{EngineError, Result},
    protocol::{Event, LogLevel, SaveAnswer},
};
use crate::{
    model::{GenerateOptions, Generation, Policy},
    store::{Project, RunId, RunStatus, StoreError},
    text::Codec,
};

/// How often a paused run looks whether it may go on.
const REST: Duration = Duration::from_millis(20);

/// How long a write waits for another program before the run looks after itself: stop, pause, questions.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same for the last word of a run, when nothing is left to look after.
const LAST_PATIENCE: Duration = Duration::from_secs(30);

/// A run's hold on the desk and the project.
pub struct Helm<'d> {
    pub desk: &'d mut Desk,
    pub job: &'d Job,
    pub project: Project,
    /// The last step that was done.
    pub step: u64,
    /// Time in which nothing was trained, because of a pause or for others; left out of speeds.
    pub rested: Duration,
    shown: Option<(String, Instant)>,
}

/// Phases are told at most this often: tokenising may finish a chunk in a millisecond.
const BETWEEN_PHASES: Duration = Duration::from_millis(50);

impl<'d> Helm<'d> {
    pub fn new(desk: &'d mut Desk, job: &'d Job, project: Project) -> Result<Self> {
        project.set_patience(PATIENCE)?;
        Ok(Self { desk, job, project, step: 0, rested: Duration::ZERO, shown: None })
    }

    pub fn run(&self) -> RunId {
        self.job.run
    }

    pub fn send(&mut self, event: Event) {
        self.desk.reporter.send(event);
    }

    /// What the run is busy with.
    pub fn phase(&mut self, what: &str, fraction: Option<f32>) {
        let complete = fraction.is_some_and(|fraction| fraction >= 1.0);
        if let Some((shown, at)) = &self.shown
            && shown == what
            && at.elapsed() < BETWEEN_PHASES
            && !complete
        {
            return;
        }
        self.shown = Some((what.to_owned(), Instant::now()));
        let run = self.run();
        self.send(Event::Phase { run, what: what.to_owned(), fraction });
    }

    /// A line of the run's log, in the project first.
    pub fn log(&mut self, level: LogLevel, text: impl Into<String>) -> Result<()> {
        let (text, run, step) = (text.into(), self.job.run, self.step);
        let written = self.write(None, &mut |project| project.append_log(run, step, level, &text));
        self.logged(level, text, false);
        may_be_locked(written)
    }

    /// A line of the log that is also drawn on the charts.
    pub fn mark(&mut self, level: LogLevel, text: String) -> Result<()> {
        let (run, step) = (self.job.run, self.step);
        let written = self.write(None, &mut |project| project.append_mark(run, step, level, &text));
        self.logged(level, text, true);
        may_be_locked(written)
    }

    /// Writes to the project. While another program holds it locked the run rests, `weights` answering what is asked, and
    /// goes on when it is free; it is [`StoreError::Locked`] only once the run is to stop.
    pub fn write<T>(
        &mut self,
        weights: Option<(&Policy, &Codec)>,
        work: &mut dyn FnMut(&mut Project) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let locked = match work(&mut self.project) {
            Err(error @ StoreError::Locked(_)) => error,
            done => return done,
        };
        let since = Instant::now();
        let job = self.job;
        let current = weights.map(|(policy, codec)| Current { job, policy, codec, rests: true });
        self.logged(LogLevel::Warning, format!("{locked} The run waits for it and goes on by itself"), false);
        self.phase("Waits: another program holds the project locked", None);
        let done = loop {
            if self.must_stop() {
                break Err(locked);
            }
            self.desk.rest(REST, current.as_ref());
            match work(&mut self.project) {
                Err(StoreError::Locked(_)) => {}
                done => break done,
            }
        };
        let waited = since.elapsed();
        self.rested += waited;
        self.desk.rests();
        if done.is_ok() {
            let text = format!("Waited {:.0} s for another program that held the project locked", waited.as_secs_f64());
            // Not through `log`, which would wait in turn.
            let noted = self.project.append_log(job.run, self.step, LogLevel::Warning, &text);
            unheard(noted.map_err(EngineError::from));
            self.logged(LogLevel::Warning, text, false);
        }
        done
    }

    /// The last word about the run. Nothing is left to be looked after meanwhile, so it waits longer.
    pub fn end(&self, status: RunStatus) -> Result<()> {
        self.project.set_patience(LAST_PATIENCE)?;
        Ok(self.project.set_run_status(self.job.run, status, None)?)
    }

    fn logged(&mut self, level: LogLevel, text: String, mark: bool) {
        let (run, step) = (self.run(), self.step);
        self.send(Event::Logged { run, step, level, text, mark });
    }

    /// Between micro-batches: answers what was asked, rests while paused. `Break` = stop with what is done.
    pub fn attend(&mut self, weights: Option<(&Policy, &Codec)>) -> Result<ControlFlow<()>> {
        let job = self.job;
        let current = |rests| weights.map(|(policy, codec)| Current { job, policy, codec, rests });
        self.desk.take_all(current(false).as_ref());
        for Rest { what, took } in self.desk.rests() {
            self.rested += took;
            let secs = took.as_secs_f64();
            self.log(LogLevel::Info, format!("Rested {secs:.3} s while {what}; that time is not counted as training"))?;
        }
        if job.control.paused() && !self.must_stop() {
            let started = Instant::now();
            let (run, step) = (job.run, self.step);
            self.note_status(RunStatus::Paused);
            self.send(Event::Paused { run, step });
            while job.control.paused() && !self.must_stop() {
                self.desk.rest(REST, current(true).as_ref());
            }
            self.rested += started.elapsed();
            // Part of the pause.
            self.desk.rests();
            self.note_status(RunStatus::Running);
            self.send(Event::Continued { run, step });
        }
        Ok(if self.must_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Answers for the run's own measurements. Before every token it attends to what is asked, so that a pause rests here
    /// too. `None` = stop with what is done.
    pub fn generate(
        &mut self,
        policy: &Policy,
        codec: &Codec,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
    ) -> Result<Option<Vec<Generation>>> {
        let failed = Cell::new(None);
        let helm = RefCell::new(&mut *self);
        let wanted = || {
            let flow = helm.borrow_mut().attend(Some((policy, codec)));
            match flow {
                Ok(flow) => flow.is_continue(),
                Err(error) => {
                    failed.set(Some(error));
                    false
                }
            }
        };
        let on_token = &mut |_, _| ControlFlow::Continue(());
        let generations = policy.generate_while(prompts, options, &wanted, on_token)?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let is_stopped = self.attend(Some((policy, codec)))?.is_break();
        Ok((!is_stopped).then_some(generations))
    }

    /// A checkpoint could not be written: rests, answering with the weights in memory, until somebody says what to do.
    /// `None` = nobody will: the run or the engine is to end, or nobody listens.
    pub fn ask_about_save(
        &mut self,
        step: u64,
        error: &EngineError,
        (policy, codec): (&Policy, &Codec),
    ) -> Option<SaveAnswer> {
        let started = Instant::now();
        let (job, run) = (self.job, self.job.run);
        let current = Current { job, policy, codec, rests: true };
        let error = error.to_string();
        // Before anybody hears of it: whoever stops the run because of it means this.
        let was_stopping = job.control.stopping();
        // The document may be on the same full disk; the question is asked all the same.
        unheard(self.log(LogLevel::Error, error.clone()));
        self.note_status(RunStatus::Paused);
        self.desk.wishes.save = None;
        self.send(Event::SaveFailed { run, step, error });
        let answer = loop {
            if let Some(answer) = self.desk.wishes.save.take() {
                break Some(answer);
            }
            let is_stopped = job.control.stopping() && !was_stopping;
            if is_stopped || self.desk.closing() || self.desk.reporter.is_alone() {
                break None;
            }
            self.desk.rest(REST, Some(&current));
        };
        self.rested += started.elapsed();
        self.desk.rests();
        self.note_status(RunStatus::Running);
        self.send(Event::Continued { run, step });
        answer
    }

    fn note_status(&self, status: RunStatus) {
        let noted = self.project.set_run_status(self.job.run, status, None);
        unheard(noted.map_err(EngineError::from));
    }

    fn must_stop(&self) -> bool {
        self.job.control.stopping() || self.desk.closing()
    }
}

/// A line that a locked project did not take, while the run is to stop, was told all the same.
fn may_be_locked(written: Result<(), StoreError>) -> Result<()> {
    match written {
        Err(error @ StoreError::Locked(_)) => {
            unheard(Err(error.into()));
            Ok(())
        }
        written => Ok(written?),
    }
}

/// For what may fail while something worse is told.
fn unheard(result: Result<()>) {
    if let Err(error) = result {
        tracing::error!("{error}");
    }
}
