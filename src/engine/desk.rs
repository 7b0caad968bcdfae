//! Where requests arrive: the queue of runs, and what is answered while a run is going.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::{
    answer::{Speakers, answer},
    config::RunConfig,
    error::{EngineError, Result},
    events::Reporter,
    hands::{Crew, Hands},
    preflight,
    protocol::{Event, Generated, Knob, Request, RequestId, RunControl, Sampling, SaveAnswer, Weights},
    run,
    thread::panic_sentence,
};
use crate::{
    data::Prompt,
    model::Policy,
    store::{Project, RunId},
    text::Codec,
};

/// How often a kept event is offered again while nothing else happens.
const RETRY: Duration = Duration::from_millis(20);

/// A run waiting for its turn.
#[derive(Clone)]
pub struct Job {
    pub project: PathBuf,
    pub run: RunId,
    pub control: Arc<RunControl>,
    hands: Hands,
}

/// The weights of the running run, to answer with.
pub struct Current<'a> {
    pub project: &'a Path,
    pub run: RunId,
    pub policy: &'a Policy,
    pub codec: &'a Codec,
}

/// Everything of the engine that is not training itself.
pub struct Desk {
    requests: Receiver<Request>,
    pub reporter: Reporter,
    /// Who computes now.
    pub crew: Arc<Crew>,
    /// Where a run's settings say "auto", and between runs.
    usual: Hands,
    #[cfg(test)]
    pub fault: super::fault::Fault,
    queue: VecDeque<Job>,
    /// What the running run is to take notice of at its next step border.
    pub wishes: Wishes,
    speakers: Speakers,
    running: Option<Job>,
    closing: bool,
}

/// Asked of the running run since its last step border.
#[derive(Default)]
pub struct Wishes {
    pub knobs: Vec<Knob>,
    pub checkpoint: bool,
    /// About a checkpoint that failed.
    pub save: Option<SaveAnswer>,
}

impl Desk {
    pub fn new(requests: Receiver<Request>, reporter: Reporter, crew: Crew) -> Self {
        Self {
            requests,
            reporter,
            usual: crew.hands(),
            crew: Arc::new(crew),
            #[cfg(test)]
            fault: super::fault::Fault::default(),
            queue: VecDeque::new(),
            wishes: Wishes::default(),
            speakers: Speakers::default(),
            running: None,
            closing: false,
        }
    }

    /// Asked to end, or nobody can ask any more.
    pub fn closing(&self) -> bool {
        self.closing
    }

    /// Those of the next run, or the usual ones while none waits.
    pub fn hands_wanted(&mut self) -> Hands {
        self.take_all(None);
        self.queue.front().map_or(self.usual, |job| job.hands)
    }

    /// Another crew takes over: what was loaded belongs to a thread of this one.
    pub fn leave(&mut self) {
        self.speakers.clear();
        crate::kernels::device::trim_all();
    }

    pub fn next_run(&mut self) -> Option<Job> {
        let job = self.queue.pop_front()?;
        self.wishes = Wishes::default();
        self.running = Some(job.clone());
        // A run needs the memory more than a conversation that may be over.
        self.speakers.clear();
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
        match self.requests.recv() {
            Ok(request) => self.take(request, None),
            Err(_) => self.closing = true,
        }
    }

    /// Sleeps at most `patience`, answering what is asked.
    pub fn rest(&mut self, patience: Duration, current: Option<&Current<'_>>) {
        self.reporter.flush();
        match self.requests.recv_timeout(patience) {
            Ok(request) => self.take(request, current),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.closing = true,
        }
    }

    /// Between micro-batches: takes whatever was asked, without waiting.
    pub fn take_all(&mut self, current: Option<&Current<'_>>) {
        self.reporter.flush();
        while !self.closing {
            match self.requests.try_recv() {
                Ok(request) => self.take(request, current),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => self.closing = true,
            }
        }
    }

    fn take(&mut self, request: Request, current: Option<&Current<'_>>) {
        match request {
            Request::Train { project, run, control } => {
                let hands = self.hands_of(&project, run);
                self.queue_up(Job { project, run, control, hands });
            }
            Request::Withdraw { run } => self.withdraw(run),
            Request::Reorder { runs } => {
                let place = |job: &Job| runs.iter().position(|run| *run == job.run).unwrap_or(runs.len());
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
            Request::Generate { request, source, prompt, sampling, control } => {
                let event = guarded(request, || {
                    let answer = self.generate(request, &source, &prompt, &sampling, &control, current)?;
                    Ok(Event::Generated { request, answer })
                });
                self.reporter.send(event);
            }
            Request::Preflight { request, project, config } => {
                let hands = self.usual.of(&config.train);
                let event = guarded(request, || {
                    let work = || preflighted(request, &project, &config);
                    if hands == self.crew.hands() {
                        return work();
                    }
                    let crew = Crew::gather(hands).map_err(EngineError::io("start", "the threads"))?;
                    crew.work(work)
                });
                self.reporter.send(event);
            }
            Request::Shutdown => self.closing = true,
        }
    }

    /// What a recorded run asks for. A record that cannot be read is told about when the run begins.
    fn hands_of(&self, project: &Path, run: RunId) -> Hands {
        let read = || -> Result<RunConfig> {
            let record = Project::open(project)?.run(run)?;
            Ok(RunConfig::from_toml(&record.config_toml)?)
        };
        read().map_or(self.usual, |config| self.usual.of(&config.train))
    }

    /// A run that is asked for twice runs once.
    fn queue_up(&mut self, job: Job) {
        let known = self.queue.iter().chain(&self.running);
        let twice = known.into_iter().any(|other| other.run == job.run && other.project == job.project);
        if !twice {
            self.queue.push_back(job);
        }
    }

    /// Its record says that it was stopped, so that it can be gone on with.
    fn withdraw(&mut self, run: RunId) {
        let Some(at) = self.queue.iter().position(|job| job.run == run) else {
            if let Some(running) = self.running.as_ref().filter(|job| job.run == run) {
                running.control.stop();
            }
            return;
        };
        if let Some(job) = self.queue.remove(at) {
            let outcome = run::never_began(&job);
            self.reporter.send(Event::Finished { run, outcome });
        }
    }

    fn runs(&self, run: RunId) -> bool {
        self.running.as_ref().is_some_and(|job| job.run == run)
    }

    fn generate(
        &mut self,
        request: RequestId,
        source: &Weights,
        prompt: &Prompt,
        sampling: &Sampling,
        control: &RunControl,
        current: Option<&Current<'_>>,
    ) -> Result<Generated> {
        if control.stopping() {
            // Stopped while it waited for its turn: not even the model need be loaded.
            return Ok(Generated::cancelled());
        }
        let of_current = current.filter(|current| match source {
            Weights::Run { project, run, step: None } => *run == current.run && project == current.project,
            Weights::Run { .. } | Weights::Model { .. } => false,
        });
        let (policy, codec, passed_over) = if let Some(current) = of_current {
            (current.policy, current.codec, Vec::new())
        } else {
            let speaker = self.speakers.get(source)?;
            (&speaker.policy, &speaker.codec, speaker.passed_over.clone())
        };
        let reporter = &mut self.reporter;
        let prompt_ids = codec.prompt_ids(prompt)?;
        let answer = answer(policy, codec, prompt_ids, sampling, control, &mut |text| {
            reporter.send(Event::Token { request, text });
        })?;
        Ok(Generated { passed_over, ..answer })
    }
}

fn preflighted(request: RequestId, project: &Path, config: &RunConfig) -> Result<Event> {
    let report = Box::new(preflight::report(project, config)?);
    Ok(Event::Preflight { request, report })
}

/// The request boundary: whatever goes wrong inside is an answer to this request and nothing more.
fn guarded(request: RequestId, work: impl FnOnce() -> Result<Event>) -> Event {
    let error = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(event)) => return event,
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic_sentence(panic.as_ref()),
    };
    Event::Failed { request, error }
}
