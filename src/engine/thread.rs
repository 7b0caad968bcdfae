//! The thread: a queue of runs, requests in between, and the border that panics do not cross.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender, bounded};

use super::{
    desk::Desk,
    events::{Reporter, Waker},
    protocol::{Event, Outcome, Request},
    run,
};

/// Deep recursion is not planned, but a stack costs only what is touched.
const STACK_BYTES: usize = 64 << 20;
const REQUESTS: usize = 16;
const EVENTS: usize = 256;
/// How long a closing engine waits for a slow listener.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How the engine uses the machine.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Compute threads; absent = one less than the machine has, so that a window stays smooth.
    pub threads: Option<usize>,
    #[cfg(test)]
    pub(super) fault: super::fault::Fault,
}

impl EngineOptions {
    pub fn with_threads(threads: usize) -> Self {
        Self {
            threads: Some(threads),
            ..Self::default()
        }
    }

    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
        })
    }
}

/// Both ends of a running engine. Dropping it asks the engine to stop its run with a checkpoint, without waiting for it.
pub struct Engine {
    pub requests: Sender<Request>,
    pub events: Receiver<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the thread. `waker` is called from it whenever events were queued.
    ///
    /// Fails only when the system refuses threads.
    pub fn start(waker: Waker, options: EngineOptions) -> std::io::Result<Self> {
        let (requests, inbox) = bounded(REQUESTS);
        let (outbox, events) = bounded(EVENTS);
        let pool = compute_pool(options.threads())?;
        let thread = std::thread::Builder::new()
            .name("nudge-engine".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let reporter = Reporter::new(outbox, waker);
                #[cfg_attr(not(test), expect(unused_mut, reason = "tests put a fault in"))]
                let mut desk = Desk::new(inbox, reporter);
                #[cfg(test)]
                {
                    desk.fault = options.fault;
                }
                pool.install(|| serve(desk));
            })?;
        Ok(Self {
            requests,
            events,
            thread: Some(thread),
        })
    }

    /// Asks for the end and waits for it: the run stops with a checkpoint.
    pub fn shut_down(mut self) {
        // A full queue is no obstacle: the closed channel says the same.
        self.requests.try_send(Request::Shutdown).ok();
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread {
            // A panic that got past the request boundary has already been printed.
            thread.join().ok();
        }
    }
}

/// The pool every computation of the engine runs on; also for work without an engine, such as scoring from the command line.
pub fn compute_pool(threads: usize) -> std::io::Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(STACK_BYTES)
        .thread_name(|index| format!("nudge-compute-{index}"))
        .start_handler(|_| crate::kernels::flush_denormals())
        .build()
        .map_err(std::io::Error::other)
}

/// Until the requests end: the next run of the queue, or the next request.
fn serve(mut desk: Desk) {
    while !desk.closing() {
        match desk.next_run() {
            Some(job) => {
                let run = job.run;
                let ended = catch_unwind(AssertUnwindSafe(|| run::train(&mut desk, &job)));
                let outcome = ended.unwrap_or_else(|panic| {
                    let error = panic_sentence(panic.as_ref());
                    run::record_failure(&job, &error);
                    Outcome::Failed { error }
                });
                crate::kernels::device::trim_all();
                desk.run_ended(Event::Finished { run, outcome });
            }
            None => desk.wait(),
        }
    }
    desk.reporter.finish(LAST_WORDS);
}

/// What a caught panic says, as a sentence for the window.
pub(super) fn panic_sentence(panic: &(dyn std::any::Any + Send)) -> String {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!(
        "The engine met an error in its own code and gave this up: {what}. What was saved before is intact; please report it"
    )
}

/// `Arc` so that one waker serves many engines.
pub fn no_waker() -> Waker {
    Arc::new(|| {})
}
