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
    error::Result,
    events::Reporter,
    preflight,
    protocol::{Event, Generated, Knob, Request, RequestId, RunControl, Sampling, Weights},
    thread::panic_sentence,
};
use crate::{data::Prompt, model::Policy, store::RunId, text::Codec};

/// How often a kept event is offered again while nothing else happens.
const RETRY: Duration = Duration::from_millis(20);

/// A run waiting for its turn.
#[derive(Clone)]
pub struct Job {
    pub project: PathBuf,
    pub run: RunId,
    pub control: Arc<RunControl>,
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
}

impl Desk {
    pub fn new(requests: Receiver<Request>, reporter: Reporter) -> Self {
        Self {
            requests,
            reporter,
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

    pub fn next_run(&mut self) -> Option<Job> {
        self.take_all(None);
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
            Request::Train {
                project,
                run,
                control,
            } => self.queue_up(Job {
                project,
                run,
                control,
            }),
            Request::Turn { run, knob } if self.runs(run) => {
                self.wishes.knobs.push(knob);
            }
            Request::Checkpoint { run } if self.runs(run) => {
                self.wishes.checkpoint = true;
            }
            // The run has ended since it was asked: its own events say so.
            Request::Turn { .. } | Request::Checkpoint { .. } => {}
            Request::Generate {
                request,
                source,
                prompt,
                sampling,
                control,
            } => {
                let event = guarded(request, || {
                    let answer =
                        self.generate(request, &source, &prompt, &sampling, &control, current)?;
                    Ok(Event::Generated { request, answer })
                });
                self.reporter.send(event);
            }
            Request::Preflight {
                request,
                project,
                config,
            } => {
                let event = guarded(request, || preflighted(request, &project, &config));
                self.reporter.send(event);
            }
            Request::Shutdown => self.closing = true,
        }
    }

    /// A run that is asked for twice runs once.
    fn queue_up(&mut self, job: Job) {
        let known = self.queue.iter().chain(&self.running);
        let twice = known
            .into_iter()
            .any(|other| other.run == job.run && other.project == job.project);
        if !twice {
            self.queue.push_back(job);
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
        let of_current = current.filter(|current| match source {
            Weights::Run {
                project,
                run,
                step: None,
            } => *run == current.run && project == current.project,
            Weights::Run { .. } | Weights::Model { .. } => false,
        });
        let (policy, codec) = if let Some(current) = of_current {
            (current.policy, current.codec)
        } else {
            let speaker = self.speakers.get(source)?;
            (&speaker.policy, &speaker.codec)
        };
        let reporter = &mut self.reporter;
        let prompt_ids = codec.prompt_ids(prompt)?;
        answer(policy, codec, prompt_ids, sampling, control, &mut |text| {
            reporter.send(Event::Token { request, text });
        })
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
