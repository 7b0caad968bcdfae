//! Where requests arrive: the queue of runs, and what is answered while a run is going.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use crossbeam::channel::{Receiver, RecvTimeoutError, TryRecvError};

use super::{
    events::Reporter,
    protocol::{Event, Knob, Request, RunControl},
    thread::EngineOptions,
};
use crate::store::RunId;

/// How often a kept event is offered again while nothing else happens.
const RETRY: Duration = Duration::from_millis(20);

/// A run waiting for its turn.
#[derive(Clone)]
pub struct Job {
    pub project: PathBuf,
    pub run: RunId,
    pub control: Arc<RunControl>,
}

/// The engine's desk: everything that is not training itself.
pub struct Desk {
    requests: Receiver<Request>,
    pub reporter: Reporter,
    pub options: EngineOptions,
    queue: VecDeque<Job>,
    /// What the running run is to take notice of at its next step border.
    pub wishes: Wishes,
    running: Option<RunId>,
    closing: bool,
}

/// Asked of the running run since its last step border.
#[derive(Default)]
pub struct Wishes {
    pub knobs: Vec<Knob>,
    pub checkpoint: bool,
}

impl Desk {
    pub fn new(requests: Receiver<Request>, reporter: Reporter, options: EngineOptions) -> Self {
        Self {
            requests,
            reporter,
            options,
            queue: VecDeque::new(),
            wishes: Wishes::default(),
            running: None,
            closing: false,
        }
    }

    /// Asked to end, or nobody can ask any more.
    pub fn closing(&self) -> bool {
        self.closing
    }

    pub fn next_run(&mut self) -> Option<Job> {
        self.take_all();
        let job = self.queue.pop_front()?;
        self.wishes = Wishes::default();
        self.running = Some(job.run);
        Some(job)
    }

    pub fn run_ended(&mut self, finished: Event) {
        self.running = None;
        self.reporter.send(finished);
    }

    /// Idle: sleeps until something is asked.
    pub fn wait(&mut self) {
        let waiting = self.reporter.flush();
        let asked = if waiting {
            self.requests.recv_timeout(RETRY)
        } else {
            self.requests
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected)
        };
        match asked {
            Ok(request) => self.take(request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.closing = true,
        }
    }

    /// Between micro-batches: takes whatever was asked, without waiting.
    pub fn take_all(&mut self) {
        self.reporter.flush();
        loop {
            match self.requests.try_recv() {
                Ok(request) => self.take(request),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.closing = true;
                    return;
                }
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Train {
                project,
                run,
                control,
            } => self.queue.push_back(Job {
                project,
                run,
                control,
            }),
            Request::Turn { run, knob } if self.running == Some(run) => {
                self.wishes.knobs.push(knob)
            }
            Request::Checkpoint { run } if self.running == Some(run) => {
                self.wishes.checkpoint = true
            }
            // The run has ended since it was asked: its own events say so.
            Request::Turn { .. } | Request::Checkpoint { .. } => {}
            Request::Generate { request, .. } | Request::Preflight { request, .. } => {
                self.reporter.send(Event::Failed {
                    request,
                    error: "The engine cannot do this yet".to_owned(),
                });
            }
            Request::Shutdown => self.closing = true,
        }
    }
}
