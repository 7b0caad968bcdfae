//! What a run holds on to while it goes: its project, its place in it, and its host.

use std::{
    cell::{Cell, RefCell},
    ops::ControlFlow,
    time::{Duration, Instant},
};

use model::{GenerateOptions, Generation};
use store::{LogLevel, Project, RunId, RunStatus, StoreError};

use crate::{
    error::{Result, TrainError},
    run::host::{CurrentWeights, Host, HowFar, Rest, RolloutStage, RunEvent, SaveAnswer, Signal},
};

/// How often a paused run looks whether it may go on.
const REST: Duration = Duration::from_millis(20);

/// How long a write waits for another program before the run looks after itself: stop, pause, questions.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same for the last word of a run, when nothing is left to look after.
const LAST_PATIENCE: Duration = Duration::from_secs(30);

/// How often a run looks whether another process asks it to stop or to rest.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// What another process asks of the run, as far as that was looked at.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Option<Instant>,
    stop: bool,
    pause: bool,
}

/// A run as seen from inside.
pub struct Context<'h> {
    pub host: &'h mut dyn Host,
    pub project: Project,
    pub run: RunId,
    /// The last step that was done.
    pub step: u64,
    /// Time in which nothing was trained, because of a pause or for others; left out of speeds.
    pub rested: Duration,
    /// What is logged is told and not kept: the run was prepared before, and its log says so already.
    pub is_quiet: bool,
    /// Answers that memory was found for at once, where once it was not found for more.
    at_once: usize,
    asked: Cell<Asked>,
    shown: Option<(String, Instant)>,
}

/// Phases are told at most this often: tokenising may finish a chunk in a millisecond.
const BETWEEN_PHASES: Duration = Duration::from_millis(50);

impl<'h> Context<'h> {
    pub fn new(host: &'h mut dyn Host, project: Project, run: RunId) -> Result<Self> {
        project.set_patience(PATIENCE)?;
        Ok(Self {
            host,
            project,
            run,
            step: 0,
            rested: Duration::ZERO,
            is_quiet: false,
            at_once: usize::MAX,
            asked: Cell::new(Asked { at: None, stop: false, pause: false }),
            shown: None,
        })
    }

    pub fn tell(&mut self, told: RunEvent) {
        self.host.tell(told);
    }

    /// What the run is busy with, and its share done.
    pub fn phase(&mut self, what: &str, fraction: Option<f32>) {
        self.busy(what, fraction.map(HowFar::Share));
    }

    fn busy(&mut self, what: &str, done: Option<HowFar>) {
        let complete = done.is_some_and(|done| done.share() >= 1.0);
        if let Some((shown, at)) = &self.shown
            && shown == what
            && at.elapsed() < BETWEEN_PHASES
            && !complete
        {
            return;
        }
        self.shown = Some((what.to_owned(), Instant::now()));
        self.tell(RunEvent::Phase { what: what.to_owned(), done });
    }

    /// A line of the run's log, in the project first.
    pub fn log(&mut self, level: LogLevel, text: impl Into<String>) -> Result<()> {
        let (text, run, step) = (text.into(), self.run, self.step);
        if self.is_quiet {
            self.logged(level, text, false);
            return Ok(());
        }
        let written = self.write(None, &mut |project| project.append_log(run, step, level, &text));
        self.logged(level, text, false);
        may_be_locked(written)
    }

    /// A line of the log that is also drawn on the charts.
    pub fn mark(&mut self, level: LogLevel, text: String) -> Result<()> {
        let (run, step) = (self.run, self.step);
        let written = self.write(None, &mut |project| project.append_mark(run, step, level, &text));
        self.logged(level, text, true);
        may_be_locked(written)
    }

    /// Takes the time from now on.
    pub fn watch(&self) -> Timer {
        Timer { started: Instant::now(), rested: self.rested }
    }

    /// Writes to the project. While another program holds it locked the run rests, `weights` answering what is asked,
    /// and goes on when it is free; it is [`StoreError::Locked`] only once the run is to stop.
    pub fn write<T>(
        &mut self,
        weights: Option<CurrentWeights<'_>>,
        work: &mut dyn FnMut(&mut Project) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let locked = match work(&mut self.project) {
            Err(error @ StoreError::Locked(_)) => error,
            done => return done,
        };
        let since = Instant::now();
        self.logged(LogLevel::Warning, format!("{locked} The run waits for it and goes on by itself"), false);
        self.phase("Waits: another program holds the project locked", None);
        let done = loop {
            if self.must_stop() {
                break Err(locked);
            }
            self.host.attend(weights, Some(REST));
            match work(&mut self.project) {
                Err(StoreError::Locked(_)) => {}
                done => break done,
            }
        };
        let waited = since.elapsed();
        self.rested += waited;
        if done.is_ok() {
            let text = format!("Waited {:.0} s for another program that held the project locked", waited.as_secs_f64());
            // Not through `log`, which would wait in turn.
            let noted = self.project.append_log(self.run, self.step, LogLevel::Warning, &text);
            unheard(noted.map_err(TrainError::from));
            self.logged(LogLevel::Warning, text, false);
        }
        done
    }

    /// The last word about the run. Nothing is left to be looked after meanwhile, so it waits longer.
    pub fn end(&self, status: RunStatus) -> Result<()> {
        self.project.set_patience(LAST_PATIENCE)?;
        Ok(self.project.set_run_status(self.run, status, None)?)
    }

    fn logged(&mut self, level: LogLevel, text: String, mark: bool) {
        let step = self.step;
        self.tell(RunEvent::Logged { step, level, text, mark });
    }

    /// Between micro-batches: answers what was asked, rests while paused. `Break` = stop with what is done.
    pub fn attend(&mut self, weights: Option<CurrentWeights<'_>>) -> Result<ControlFlow<()>> {
        for Rest { what, took } in self.host.attend(weights, None) {
            self.rested += took;
            let secs = took.as_secs_f64();
            self.log(LogLevel::Info, format!("Rested {secs:.3} s while {what}; that time is not counted as training"))?;
        }
        if self.signal() == Signal::Pause {
            let started = Instant::now();
            let step = self.step;
            self.note_status(RunStatus::Paused);
            self.tell(RunEvent::Paused { step });
            while self.signal() == Signal::Pause {
                // What is answered meanwhile is part of the pause.
                self.host.attend(weights, Some(REST));
            }
            self.rested += started.elapsed();
            self.note_status(RunStatus::Running);
            self.tell(RunEvent::Continued { step });
        }
        Ok(if self.must_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Answers for the run's own measurements; `what` they are for is told with how many are written. Before every
    /// token it attends to what is asked, so that a pause rests here too. Where no memory is found for so many at once,
    /// half as many are answered from then on: what is drawn hangs on no company. `None` = stop with what is done.
    pub fn generate(
        &mut self,
        what: &str,
        weights: CurrentWeights<'_>,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
    ) -> Result<Option<Vec<Generation>>> {
        loop {
            let at_once = self.at_once.min(options.at_once).min(prompts.len()).max(1);
            let fewer = GenerateOptions { at_once, ..options.clone() };
            match self.generate_together(what, weights, prompts, &fewer) {
                Err(error) if error.is_out_of_memory() && at_once > 1 => {
                    self.at_once = at_once / 2;
                    let text = format!(
                        "{error}. It was while {at_once} answers were sampled at once; from now on it is {} at a time",
                        self.at_once
                    );
                    self.log(LogLevel::Warning, text)?;
                }
                done => return done,
            }
        }
    }

    fn generate_together(
        &mut self,
        what: &str,
        weights: CurrentWeights<'_>,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
    ) -> Result<Option<Vec<Generation>>> {
        self.host.before_reading(RolloutStage::Sampling { at_once: options.at_once })?;
        let failed = Cell::new(None);
        let context = RefCell::new(&mut *self);
        let wanted = || {
            let flow = context.borrow_mut().attend(Some(weights));
            match flow {
                Ok(flow) => flow.is_continue(),
                Err(error) => {
                    failed.set(Some(error));
                    false
                }
            }
        };
        let mut progress = AnswersWritten::new(prompts.len(), options);
        context.borrow_mut().busy(what, Some(progress.how_far()));
        let on_token = &mut |index, id| {
            if progress.wrote(index, id) {
                context.borrow_mut().busy(what, Some(progress.how_far()));
            }
            ControlFlow::Continue(())
        };
        let generations = weights.policy.generate_while(prompts, options, &wanted, on_token)?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        let is_stopped = self.attend(Some(weights))?.is_break();
        Ok((!is_stopped).then_some(generations))
    }

    /// A checkpoint could not be written: rests, answering with the weights in memory, until somebody says what to do.
    /// `None` = nobody will: the run or the program is to end, or nobody listens.
    pub fn ask_about_save(&mut self, step: u64, error: &TrainError, weights: CurrentWeights<'_>) -> Option<SaveAnswer> {
        let started = Instant::now();
        let error = error.to_string();
        // Before anybody hears of it: whoever stops the run because of it means this.
        let was_stopping = self.signal() == Signal::Stop;
        // The document may be on the same full disk; the question is asked all the same.
        unheard(self.log(LogLevel::Error, error.clone()));
        self.note_status(RunStatus::Paused);
        self.host.wishes().save = None;
        self.tell(RunEvent::SaveFailed { step, error });
        let answer = loop {
            if let Some(answer) = self.host.wishes().save.take() {
                break Some(answer);
            }
            let signal = self.signal();
            let is_stopped = signal == Signal::Leave || (signal == Signal::Stop && !was_stopping);
            if is_stopped || self.host.is_alone() {
                break None;
            }
            self.host.attend(Some(weights), Some(REST));
        };
        self.rested += started.elapsed();
        self.note_status(RunStatus::Running);
        self.tell(RunEvent::Continued { step });
        answer
    }

    fn note_status(&self, status: RunStatus) {
        let noted = self.project.set_run_status(self.run, status, None);
        unheard(noted.map_err(TrainError::from));
    }

    /// What the run is to do, by its host or by another process.
    fn signal(&self) -> Signal {
        let signal = self.host.signal();
        if signal.is_stop() {
            return signal;
        }
        match self.asked() {
            Asked { stop: true, .. } => Signal::Stop,
            Asked { pause: true, .. } => Signal::Pause,
            _ => signal,
        }
    }

    /// Once asked to stop it stays so.
    fn asked(&self) -> Asked {
        let asked = self.asked.get();
        if asked.stop || asked.at.is_some_and(|at| at.elapsed() < BETWEEN_LOOKS) {
            return asked;
        }
        let look = |looked: Result<bool, StoreError>, before: bool| {
            looked.unwrap_or_else(|error| {
                tracing::warn!("what is asked of run {} could not be read: {error}", self.run.0);
                before
            })
        };
        let asked = Asked {
            at: Some(Instant::now()),
            stop: look(self.project.is_asked_to_stop(self.run), false),
            pause: look(self.project.is_asked_to_pause(self.run), asked.pause),
        };
        self.asked.set(asked);
        asked
    }

    pub fn must_stop(&self) -> bool {
        self.signal().is_stop()
    }
}

/// How many of the answers that are sampled together have ended.
struct AnswersWritten<'a> {
    /// Tokens of each so far.
    tokens: Vec<usize>,
    options: &'a GenerateOptions,
    ended: usize,
}

impl<'a> AnswersWritten<'a> {
    fn new(answers: usize, options: &'a GenerateOptions) -> Self {
        Self { tokens: vec![0; answers], options, ended: 0 }
    }

    /// The answer at `index` has one more token. True when it is the last one.
    fn wrote(&mut self, index: usize, token: u32) -> bool {
        let Some(tokens) = self.tokens.get_mut(index) else {
            return false;
        };
        *tokens += 1;
        let ends = self.options.stop.contains(&token) || *tokens >= self.options.max_new;
        self.ended += usize::from(ends);
        ends
    }

    fn how_far(&self) -> HowFar {
        HowFar::Of([self.ended, self.tokens.len()])
    }
}

/// How long something takes, rests left out.
#[derive(Debug, Clone, Copy)]
pub struct Timer {
    started: Instant,
    rested: Duration,
}

impl Timer {
    pub fn elapsed(self, context: &Context<'_>) -> Duration {
        self.started.elapsed().saturating_sub(context.rested.saturating_sub(self.rested))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_when_they_end_by_themselves_or_at_their_limit() {
        let options = GenerateOptions { max_new: 2, stop: vec![7], ..GenerateOptions::default() };
        let mut written = AnswersWritten::new(3, &options);
        assert_eq!([(0, 1), (1, 7), (2, 1)].map(|(index, token)| written.wrote(index, token)), [false, true, false]);
        assert_eq!(written.how_far().to_string(), "1 of 3");
        assert_eq!([(0, 1), (2, 7), (3, 7)].map(|(index, token)| written.wrote(index, token)), [true, true, false]);
        assert_eq!((written.how_far(), written.how_far().share()), (HowFar::Of([3, 3]), 1.0));
    }
}
