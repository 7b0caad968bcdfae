//! A download under way: its thread, and the handle for whoever started it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use data::download::{Phase, Progress};
use model::ModelName;
use ureq::Agent;

use super::{
    Fetched, Hub, HubError,
    client::Client,
    fetch::fetch,
    progress::{Waker, Watch},
};

/// A model on its way. Dropped, it is cancelled: the thread ends soon and what was fetched is kept.
pub struct Download {
    name: ModelName,
    watch: Arc<Watch>,
    outcome: Arc<Mutex<Option<DownloadEnd>>>,
    /// Absent where the hub's address is none.
    agent: Option<Agent>,
    thread: Option<thread::JoinHandle<()>>,
}

/// How a download ended.
pub type DownloadEnd = Result<Fetched, HubError>;

impl Download {
    /// Starts to fetch a model on a thread of its own. `waker` is called from there when there is something new to
    /// show: at most ten times a second, and once after the end.
    ///
    /// # Errors
    ///
    /// Only where the system gives no thread; everything else is the download's own [`outcome`](Self::take_outcome).
    pub fn start(hub: &Hub, name: ModelName, waker: Waker) -> io::Result<Self> {
        let watch = Arc::new(Watch::new(waker));
        let outcome = Arc::new(Mutex::new(None));
        let client = Client::new(hub, &name);
        let agent = client.as_ref().ok().map(Client::agent);
        let thread = {
            let (watch, outcome) = (Arc::clone(&watch), Arc::clone(&outcome));
            let (hub, name) = (hub.clone(), name.clone());
            thread::Builder::new().name("nudge-download".to_owned()).spawn(move || {
                let work = || fetch(&hub, &client?, &name, &watch);
                let ended = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
                    let said = panic.downcast_ref::<&str>().map(ToString::to_string);
                    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
                    Err(HubError::Died(said.unwrap_or_default()))
                });
                // A request that was ended from outside fails in some way or other.
                let ended = match ended {
                    Err(_) if watch.is_cancelled() => Err(HubError::Cancelled),
                    ended => ended,
                };
                *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
                watch.change(|progress| {
                    progress.phase = Phase::Ended;
                    progress.bytes_per_sec = 0.0;
                    progress.note = None;
                });
            })?
        };
        Ok(Self { name, watch, outcome, agent, thread: Some(thread) })
    }

    /// What is being fetched.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.watch.progress()
    }

    /// Asks it to end, at once and without waiting for it. What was fetched is kept.
    pub fn cancel(&self) {
        self.watch.cancel();
        if let Some(agent) = &self.agent {
            agent.clone().shutdown();
        }
    }

    /// How it ended, once it has. Only the first call after the end has it.
    pub fn take_outcome(&self) -> Option<DownloadEnd> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for the end.
    pub fn wait(mut self) -> DownloadEnd {
        if let Some(thread) = self.thread.take() {
            // A panic ends up in the outcome.
            thread.join().ok();
        }
        self.take_outcome().unwrap_or_else(|| Err(HubError::Died("it left no word".to_owned())))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.cancel();
    }
}
