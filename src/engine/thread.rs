//! The thread: a queue of runs, requests in between.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use crossbeam::channel::{Receiver, Sender, bounded};
use train::run::{self, host::Outcome};

use crate::{
    awake::Awake,
    border,
    events::{Reporter, Waker},
    inbox::{Inbox, Leaving, Running},
    pool::{Pool, PoolOptions, STACK_BYTES},
    protocol::{Event, Request},
};

const REQUESTS: usize = 16;
const EVENTS: usize = 256;
/// How long a closing engine waits for a slow listener.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the engine uses the machine where a run's own settings leave it open.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Compute threads; absent = as many as the machine has, one less beside a window.
    pub threads: Option<usize>,
    /// A window is drawn on this machine: it comes first.
    pub beside_window: bool,
    /// The system is not to fall asleep while a run goes on.
    pub stays_awake: bool,
}

impl EngineOptions {
    pub fn with_threads(threads: usize) -> Self {
        Self { threads: Some(threads), ..Self::default() }
    }

    pub fn beside_window(threads: Option<usize>) -> Self {
        Self { threads, beside_window: true, stays_awake: true }
    }

    #[must_use]
    pub fn staying_awake(self) -> Self {
        Self { stays_awake: true, ..self }
    }

    /// What `"auto"` stands for.
    fn pool(&self) -> PoolOptions {
        let gentle = self.beside_window;
        let threads = self.threads.unwrap_or_else(|| {
            let all = std::thread::available_parallelism().map_or(1, usize::from);
            all.saturating_sub(usize::from(gentle)).max(1)
        });
        PoolOptions { threads, gentle }
    }
}

/// Whoever lets go of it wants the engine to end.
struct Hold(Leaving);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Both ends of a running engine. Dropping it asks the engine to stop its run with a checkpoint, without waiting for
/// it.
pub struct Engine {
    pub requests: Sender<Request>,
    pub events: Receiver<Event>,
    hold: Hold,
    thread: Option<JoinHandle<()>>,
}

/// Asks an engine to end, from any thread: its run stops with a checkpoint.
#[derive(Debug, Clone)]
pub struct Farewell {
    leaving: Leaving,
    requests: Sender<Request>,
}

impl Farewell {
    pub fn say(&self) {
        self.leaving.set();
        // Wakes an engine that waits for something to do; a full queue keeps it awake.
        self.requests.try_send(Request::Shutdown).ok();
    }
}

impl Engine {
    /// Starts the thread. `waker` is called from it whenever events were queued.
    ///
    /// Fails only when the system refuses threads.
    pub fn start(waker: Waker, options: EngineOptions) -> std::io::Result<Self> {
        let (requests, inbox) = bounded(REQUESTS);
        let (outbox, events) = bounded(EVENTS);
        let pool = Pool::start(options.pool())?;
        let stays_awake = options.stays_awake;
        let leaving = Leaving::default();
        let hold = Hold(leaving.clone());
        let thread =
            std::thread::Builder::new().name("nudge-engine".to_owned()).stack_size(STACK_BYTES).spawn(move || {
                let reporter = Reporter::new(outbox, waker);
                serve(Inbox::new(inbox, reporter, pool, leaving), stays_awake);
            })?;
        Ok(Self { requests, events, hold, thread: Some(thread) })
    }

    /// A way to end it for whoever does not hold it.
    pub fn farewell(&self) -> Farewell {
        Farewell { leaving: self.hold.0.clone(), requests: self.requests.clone() }
    }

    /// Asks for the end and waits for it: the run stops with a checkpoint.
    pub fn shut_down(mut self) {
        self.farewell().say();
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread {
            // A panic that got past the request boundary has already been printed.
            thread.join().ok();
        }
    }
}

/// Until the requests end: works with one pool after the other.
fn serve(mut inbox: Inbox, stays_awake: bool) {
    while !inbox.closing() {
        let pool = Arc::clone(&inbox.pool);
        // A policy stays on the thread that loaded it, so everything of one pool's time is done on one of its threads.
        let wanted = pool.work(|| shift(&mut inbox, stays_awake));
        match wanted.map_or(Ok(pool), |options| Pool::start(options).map(Arc::new)) {
            Ok(pool) => inbox.pool = pool,
            Err(error) => {
                if let Some(job) = inbox.next_run() {
                    let error = format!("The system refuses the threads of train.threads: {error}");
                    run::record_failure(&job.task, &error);
                    let (run, outcome) = (job.task.run, Outcome::Failed { error });
                    inbox.run_ended(Event::Finished { run, outcome });
                }
            }
        }
    }
    inbox.reporter.finish(LAST_WORDS);
}

/// The next run of the queue, or the next request, until the requests end or the next run wants another pool.
fn shift(inbox: &mut Inbox, stays_awake: bool) -> Option<PoolOptions> {
    while !inbox.closing() {
        let wanted = inbox.pool_wanted();
        if wanted != inbox.pool.options() {
            inbox.leave();
            return Some(wanted);
        }
        match inbox.next_run() {
            Some(job) => {
                let run = job.task.run;
                let mut host = Running { inbox, job: &job };
                let _awake = stays_awake.then(Awake::hold);
                let ended = border::within(|| run::train(&mut host, &job.task));
                let outcome = ended.unwrap_or_else(|error| {
                    run::record_failure(&job.task, &error);
                    Outcome::Failed { error }
                });
                kernels::device::trim_all();
                inbox.run_ended(Event::Finished { run, outcome });
            }
            None => inbox.wait(),
        }
    }
    None
}

/// `Arc` so that one waker serves many engines.
pub fn no_waker() -> Waker {
    Arc::new(|| {})
}
