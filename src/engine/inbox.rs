//! Where requests arrive: the queue of runs, and what is answered while a run is going.

mod drawing;
mod scoring;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};
use data::{Prompt, config::RunConfig};
use store::{LogLevel, Project, RunId};
use train::{
    Result, TrainError,
    memory::process,
    run::{
        self, Task,
        host::{CurrentWeights, Host, Rest, RunEvent, Signal, Wishes},
    },
};

use crate::{
    answers::{Drawing, Drawings, Scorings, Speakers, answer},
    border,
    events::Reporter,
    pool::{Pool, PoolOptions},
    preflight::{self, Asker},
    protocol::{AnswerOptions, Event, Generated, Request, RequestId, RunControl, Weights},
};

/// How often a kept event is offered again while nothing else happens.
const RETRY: Duration = Duration::from_millis(20);

/// How long the allocator keeps what a check has freed, about.
const FREED_IS_KEPT: Duration = Duration::from_mins(1);

/// A run waiting for its turn.
#[derive(Clone)]
pub struct Job {
    pub task: Task,
    pub control: Arc<RunControl>,
    pool: PoolOptions,
}

/// The running run, and its weights to answer with.
pub struct Current<'a> {
    pub job: &'a Job,
    pub weights: CurrentWeights<'a>,
    /// It rests anyway: it is paused, or waits for an answer.
    pub rests: bool,
}

impl Current<'_> {
    /// Whether these weights are its own, as they are now.
    fn is_asked(&self, source: &Weights) -> bool {
        match source {
            Weights::Run { project, run, step: None } => *run == self.job.task.run && *project == self.job.task.project,
            Weights::Run { .. } | Weights::Scaled { .. } | Weights::Model { .. } | Weights::Start { .. } => false,
        }
    }

    /// Whether something else may be done before the run goes on, pauses or ends.
    fn has_time(&self) -> bool {
        self.rests || !(self.job.control.stopping() || self.job.control.paused())
    }
}

/// Whether the engine is to end: read where a request has to wait for the one before it.
#[derive(Debug, Clone, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Everything of the engine that is not training itself.
pub struct Inbox {
    requests: Receiver<Request>,
    pub reporter: Reporter,
    /// Who computes now.
    pub pool: Arc<Pool>,
    /// Where a run's settings say "auto", and between runs.
    usual: PoolOptions,
    queue: VecDeque<Job>,
    /// Questions that came when the run was to pause or to end: that comes first.
    later: VecDeque<Request>,
    /// What the running run is to take notice of at its next step border.
    pub wishes: Wishes,
    speakers: Speakers,
    /// Served a few prompts at a time, after everything else.
    drawings: Drawings,
    /// The same of pairs that are scored.
    scorings: Scorings,
    running: Option<Job>,
    /// The last step that the running run has done.
    step: u64,
    /// What the run rested for since that was asked last.
    rests: Vec<Rest>,
    /// Bytes that this process held before the run began.
    before_run: u64,
    /// Bytes that a check beside the run has left with the allocator, and until when.
    left_over: Option<(u64, Instant)>,
    leaving: Leaving,
    closing: bool,
}

impl Inbox {
    pub fn new(requests: Receiver<Request>, reporter: Reporter, pool: Pool, leaving: Leaving) -> Self {
        Self {
            requests,
            reporter,
            usual: pool.options(),
            pool: Arc::new(pool),
            queue: VecDeque::new(),
            later: VecDeque::new(),
            wishes: Wishes::default(),
            speakers: Speakers::default(),
            drawings: Drawings::default(),
            scorings: Scorings::default(),
            running: None,
            step: 0,
            rests: Vec::new(),
            before_run: 0,
            left_over: None,
            leaving,
            closing: false,
        }
    }

    /// Asked to end, or nobody can ask any more.
    pub fn closing(&self) -> bool {
        self.closing || self.leaving.is_set()
    }

    /// Bytes that this process holds now and the run did not take.
    pub fn others(&self) -> u64 {
        let left_over = self.left_over.filter(|(_, until)| Instant::now() < *until);
        self.speakers.bytes() + left_over.map_or(0, |(bytes, _)| bytes)
    }

    /// Those of the next run, or the usual ones while none waits.
    pub fn pool_wanted(&mut self) -> PoolOptions {
        self.take_all(None);
        self.queue.front().map_or(self.usual, |job| job.pool)
    }

    /// Another pool takes over: what was loaded belongs to a thread of this one.
    pub fn leave(&mut self) {
        self.speakers.clear();
        kernels::device::trim_all();
    }

    pub fn next_run(&mut self) -> Option<Job> {
        let job = self.queue.pop_front()?;
        self.wishes = Wishes::default();
        self.running = Some(job.clone());
        // A run needs the memory more than a conversation that may be over.
        self.speakers.clear();
        self.rests.clear();
        self.left_over = None;
        self.before_run = process::resident_bytes();
        Some(job)
    }

    pub fn run_ended(&mut self, finished: Event) {
        self.running = None;
        self.reporter.send(finished);
    }

    /// Idle: sleeps until something is asked.
    pub fn wait(&mut self) {
        if self.reporter.flush() {
            self.rest(RETRY, None);
            return;
        }
        if self.take_later(None) {
            return;
        }
        if self.has_work() {
            self.take_all(None);
            return;
        }
        match self.requests.recv() {
            Ok(request) => self.take(request, None),
            Err(_) => self.closing = true,
        }
    }

    /// Sleeps at most `patience`, answering what is asked.
    pub fn rest(&mut self, patience: Duration, current: Option<&Current<'_>>) {
        self.reporter.flush();
        if self.take_later(current) {
            return;
        }
        if self.has_work() {
            self.take_all(current);
            return;
        }
        match self.requests.recv_timeout(patience) {
            Ok(request) => self.take(request, current),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.closing = true,
        }
    }

    /// Between micro-batches: takes whatever was asked, without waiting.
    pub fn take_all(&mut self, current: Option<&Current<'_>>) {
        self.reporter.flush();
        while self.take_later(current) {}
        while !self.closing() {
            match self.requests.try_recv() {
                Ok(request) => self.take(request, current),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.closing = true,
            }
        }
        if !self.closing() && current.is_none_or(Current::has_time) {
            self.draw_some(current);
            self.score_some(current);
        }
    }

    /// Something is to be done a little at a time.
    fn has_work(&self) -> bool {
        !(self.drawings.is_empty() && self.scorings.is_empty())
    }

    /// Takes the next question that was put off, if there is time for it now.
    fn take_later(&mut self, current: Option<&Current<'_>>) -> bool {
        let request = if current.is_none_or(Current::has_time) { self.later.pop_front() } else { None };
        let is_taken = request.is_some();
        if let Some(request) = request {
            self.take(request, current);
        }
        is_taken
    }

    fn take(&mut self, request: Request, current: Option<&Current<'_>>) {
        match request {
            Request::Generate { .. } | Request::ReadTokens { .. } | Request::Preflight { .. }
                if !current.is_none_or(Current::has_time) =>
            {
                self.later.push_back(request);
            }
            Request::Train { project, run, from, control } => {
                let pool = self.pool_of_run(&project, run);
                self.queue_up(Job { task: Task { project, run, from }, control, pool });
            }
            Request::Withdraw { run, for_now } => self.withdraw(run, for_now),
            Request::Reorder { runs } => {
                let place = |job: &Job| runs.iter().position(|run| *run == job.task.run).unwrap_or(runs.len());
                self.queue.make_contiguous().sort_by_key(place);
            }
            Request::Turn { run, knob } if self.runs(run) => {
                self.wishes.knobs.push(knob);
            }
            Request::Checkpoint { run } if self.runs(run) => {
                self.wishes.checkpoint = true;
            }
            Request::Settle { run, answer } if self.runs(run) => {
                self.wishes.save = Some(answer);
            }
            // The run has ended since it was asked: its own events say so.
            Request::Turn { .. } | Request::Checkpoint { .. } | Request::Settle { .. } => {}
            Request::Generate { request, source, prompt, options, control } => {
                self.beside(current, "an answer was written", |inbox| {
                    guarded(request, || {
                        let answer = inbox.generate(request, &source, &prompt, &options, &control, current)?;
                        Ok(Event::Generated { request, answer })
                    })
                });
            }
            Request::Draw { request, source, name, prompts, asked, control } => {
                self.drawings.push(Drawing::new(request, source, name, prompts, asked, control));
            }
            Request::Score { request, project, run, control } => self.scorings.push(request, project, run, control),
            Request::ReadTokens { request, project, run, prompt, answers } => {
                self.beside(current, "answers were read", |inbox| {
                    guarded(request, || inbox.read_tokens(request, &project, run, &prompt, &answers))
                });
            }
            Request::Preflight { request, project, config, yields } => {
                self.beside(current, "a check was made", |inbox| {
                    guarded(request, || inbox.preflight(request, &project, &config, yields, current))
                });
            }
            Request::Shutdown => self.closing = true,
        }
    }

    /// What a recorded run asks for. A record that cannot be read is told about when the run begins.
    fn pool_of_run(&self, project: &Path, run: RunId) -> PoolOptions {
        let read = || -> Result<RunConfig> {
            let record = Project::open(project)?.run(run)?;
            Ok(record.config()?)
        };
        read().map_or(self.usual, |config| self.usual.of(&config.train))
    }

    /// A run that is asked for twice runs once.
    fn queue_up(&mut self, job: Job) {
        let known = self.queue.iter().chain(&self.running);
        let twice =
            known.into_iter().any(|other| other.task.run == job.task.run && other.task.project == job.task.project);
        if !twice {
            self.queue.push_back(job);
        }
    }

    /// Its record says that it was stopped, so that it can be gone on with.
    fn withdraw(&mut self, run: RunId, for_now: bool) {
        let Some(at) = self.queue.iter().position(|job| job.task.run == run) else {
            if let Some(running) = self.running.as_ref().filter(|job| job.task.run == run) {
                running.control.stop();
            }
            return;
        };
        if let Some(job) = self.queue.remove(at) {
            let outcome = run::never_began(&job.task, for_now);
            self.reporter.send(Event::Finished { run, outcome });
        }
    }

    fn runs(&self, run: RunId) -> bool {
        self.running.as_ref().is_some_and(|job| job.task.run == run)
    }

    /// [`Self::aside`] for what has one answer.
    fn beside(&mut self, current: Option<&Current<'_>>, what: &'static str, work: impl FnOnce(&mut Self) -> Event) {
        let mut answer = None;
        self.aside(current, what, |inbox| answer = Some(work(inbox)));
        if let Some(event) = answer {
            self.reporter.send(event);
        }
    }

    /// Does what is not the run's own. A run that is going is said to rest, and the time is noted.
    fn aside(&mut self, current: Option<&Current<'_>>, what: &'static str, work: impl FnOnce(&mut Self)) {
        let resting = current.filter(|current| !current.rests).map(|current| current.job.task.run);
        let tell = |inbox: &mut Self, why: Option<String>| {
            if let Some(run) = resting {
                inbox.reporter.send(Event::Resting { run, why });
            }
        };
        let started = Instant::now();
        tell(self, Some(format!("Training rests while {}", what.replace(" was ", " is ").replace(" were ", " are "))));
        work(self);
        tell(self, None);
        if current.is_some() {
            self.rests.push(Rest { what, took: started.elapsed() });
        }
    }

    /// Whether work beside a run may go on: a stop or a pause that comes meanwhile ends it at once.
    fn wanted<'c>(&self, current: Option<&Current<'c>>) -> impl Fn() -> bool + Sync + use<'c> {
        let leaving = self.leaving.clone();
        let run = current.map(|current| (&*current.job.control, current.rests, current.job.control.stopping()));
        move || {
            let is_interrupted = run.is_some_and(|(control, rests, was_stopping)| {
                if rests { control.stopping() && !was_stopping } else { control.stopping() || control.paused() }
            });
            !is_interrupted && !leaving.is_set()
        }
    }

    fn generate(
        &mut self,
        request: RequestId,
        source: &Weights,
        prompt: &Prompt,
        options: &AnswerOptions,
        control: &RunControl,
        current: Option<&Current<'_>>,
    ) -> Result<Generated> {
        if control.stopping() {
            // Stopped while it waited for its turn: not even the model need be loaded.
            return Ok(Generated::cancelled());
        }
        let may_go_on = self.wanted(current);
        let wanted = || !control.stopping() && may_go_on();
        let of_current = current.filter(|current| current.is_asked(source));
        let (policy, codec, passed_over) = if let Some(current) = of_current {
            (current.weights.policy, current.weights.codec, Vec::new())
        } else {
            let speaker = self.speakers.get(source)?;
            (&speaker.policy, &speaker.codec, speaker.passed_over.clone())
        };
        let reporter = &mut self.reporter;
        let prompt_ids = codec.prompt_ids(prompt)?;
        let answer = answer(policy, codec, prompt_ids, options, &wanted, &mut |text| {
            reporter.send(Event::Token { request, text });
        })?;
        Ok(Generated { passed_over, ..answer })
    }

    fn preflight(
        &mut self,
        request: RequestId,
        project: &Path,
        config: &RunConfig,
        yields: bool,
        current: Option<&Current<'_>>,
    ) -> Result<Event> {
        let before = process::resident_bytes();
        let others = match current {
            Some(_) => before.saturating_sub(self.before_run),
            None => self.speakers.bytes(),
        };
        let (wanted, requests) = (self.wanted(current), yields.then(|| self.requests.clone()));
        let wanted = || wanted() && requests.as_ref().is_none_or(Receiver::is_empty);
        let work = || preflight::report(project, config, &Asker { wanted: &wanted, others });
        let options = self.usual.of(&config.train);
        let report = if options == self.pool.options() {
            work()
        } else {
            Pool::start(options).map_err(TrainError::io("start", "the threads"))?.work(work)
        };
        self.left_over = Some((process::resident_bytes().saturating_sub(before), Instant::now() + FREED_IS_KEPT));
        Ok(Event::Preflight { request, report: Box::new(report?) })
    }
}

/// The engine as the host of a run.
pub struct Running<'d> {
    pub inbox: &'d mut Inbox,
    pub job: &'d Job,
}

impl Host for Running<'_> {
    fn signal(&self) -> Signal {
        let control = &self.job.control;
        if self.inbox.closing() {
            Signal::Leave
        } else if control.stopping() {
            Signal::Stop
        } else if control.paused() {
            Signal::Pause
        } else {
            Signal::GoOn
        }
    }

    fn attend(&mut self, weights: Option<CurrentWeights<'_>>, patience: Option<Duration>) -> Vec<Rest> {
        let rests = patience.is_some();
        let current = weights.map(|weights| Current { job: self.job, weights, rests });
        match patience {
            Some(patience) => self.inbox.rest(patience, current.as_ref()),
            None => self.inbox.take_all(current.as_ref()),
        }
        std::mem::take(&mut self.inbox.rests)
    }

    fn wishes(&mut self) -> &mut Wishes {
        &mut self.inbox.wishes
    }

    fn tell(&mut self, told: RunEvent) {
        match told {
            RunEvent::Started { first_step, .. } => self.inbox.step = first_step.saturating_sub(1),
            RunEvent::Step { step, .. } => self.inbox.step = step,
            _ => {}
        }
        self.inbox.reporter.send(Event::of_run(self.job.task.run, told));
    }

    fn is_alone(&self) -> bool {
        self.inbox.reporter.is_alone()
    }

    fn others(&self) -> u64 {
        self.inbox.others()
    }

    fn remark(&self) -> Option<(LogLevel, String)> {
        Some(self.inbox.pool.remark())
    }
}

/// The request boundary: whatever goes wrong inside is an answer to this request and nothing more.
fn guarded(request: RequestId, work: impl FnOnce() -> Result<Event>) -> Event {
    let error = match border::within(work) {
        Ok(Ok(event)) => return event,
        Ok(Err(error)) => error.to_string(),
        Err(sentence) => sentence,
    };
    Event::Failed { request, error }
}
