//! The files thread: the only one of the window that reads or writes a disk.
//!
//! A job runs on it, in the order of asking, and returns an [`Update`] that the window applies to its state. A write is
//! "saved" when its job came back, which is after the commit.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::JoinHandle,
};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::state::{Notice, Views, Workspace};

/// What a finished job does to the window's state.
pub type Update = Box<dyn FnOnce(&mut Workspace, &mut Views) + Send>;

type Work<D> = Box<dyn FnOnce(&mut Option<D>) -> anyhow::Result<Update> + Send>;

struct Job<D> {
    /// What was attempted, for the notice of a failure: "Could not save the label".
    failure: String,
    writes: bool,
    work: Work<D>,
}

struct Finished {
    failure: String,
    writes: bool,
    outcome: anyhow::Result<Update>,
}

/// Jobs that wait in the channel; more than that wait on this side, none is lost.
const QUEUE: usize = 64;

/// The window's end. `D` is the open document.
pub struct Files<D> {
    jobs: Option<Sender<Job<D>>>,
    /// Jobs that found the channel full. The window never waits for the disk.
    overflow: VecDeque<Job<D>>,
    finished: Receiver<Finished>,
    writes_under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl<D: 'static> Files<D> {
    /// Starts the thread; `wake` is called after each job.
    pub fn start(wake: impl Fn() + Send + 'static) -> Self {
        let (jobs, todo) = bounded::<Job<D>>(QUEUE);
        let (done, finished) = bounded(QUEUE * 4);
        let thread = std::thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || {
                let mut document = None;
                for job in todo {
                    let Job { failure, writes, work } = job;
                    // One job that goes wrong must not take the others with it.
                    let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut document))).unwrap_or_else(|_| {
                        Err(anyhow::anyhow!(
                            "The program made a mistake here; nothing else was touched. Please report it"
                        ))
                    });
                    let finished = Finished { failure, writes, outcome };
                    if done.send(finished).is_err() {
                        // The window is gone; what it asked for is still written.
                        continue;
                    }
                    wake();
                }
            })
            .ok();
        Self { jobs: Some(jobs), overflow: VecDeque::new(), finished, writes_under_way: 0, thread }
    }

    /// A job that may open, replace or close the document.
    pub fn open(
        &mut self,
        failure: impl Into<String>,
        work: impl FnOnce(&mut Option<D>) -> anyhow::Result<Update> + Send + 'static,
    ) {
        self.push(Job { failure: failure.into(), writes: false, work: Box::new(work) });
    }

    /// Asks the document something.
    pub fn read(
        &mut self,
        failure: impl Into<String>,
        work: impl FnOnce(&mut D) -> anyhow::Result<Update> + Send + 'static,
    ) {
        self.push(Job {
            failure: failure.into(),
            writes: false,
            work: Box::new(move |document| work(opened(document)?)),
        });
    }

    /// Changes the document. The window says "Saving…" until the job is back.
    pub fn write(
        &mut self,
        failure: impl Into<String>,
        work: impl FnOnce(&mut D) -> anyhow::Result<Update> + Send + 'static,
    ) {
        self.writes_under_way += 1;
        self.push(Job {
            failure: failure.into(),
            writes: true,
            work: Box::new(move |document| work(opened(document)?)),
        });
    }

    fn push(&mut self, job: Job<D>) {
        self.overflow.push_back(job);
        self.flush();
    }

    fn flush(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        while let Some(job) = self.overflow.pop_front() {
            match jobs.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                    self.overflow.push_front(job);
                    break;
                }
            }
        }
    }

    /// Takes in at most one finished job; false when there was none.
    pub fn take_in(&mut self, workspace: &mut Workspace, views: &mut Views) -> bool {
        self.flush();
        let finished = self.finished.try_recv();
        if let Ok(Finished { failure, writes, outcome }) = finished {
            if writes {
                self.writes_under_way -= 1;
                workspace.saving.failed = outcome.is_err();
            }
            match outcome {
                Ok(update) => update(workspace, views),
                Err(error) => workspace.notices.push_error(failure, &error),
            }
            workspace.saving.under_way = self.writes_under_way;
            return true;
        }
        workspace.saving.under_way = self.writes_under_way;
        false
    }
}

impl<D> Drop for Files<D> {
    /// Waits until everything that was asked for is on disk.
    fn drop(&mut self) {
        if let Some(jobs) = self.jobs.take() {
            for job in self.overflow.drain(..) {
                if jobs.send(job).is_err() {
                    break;
                }
            }
        }
        // Finished jobs nobody takes in any more must not block the thread.
        let (_, closed) = bounded(0);
        drop(std::mem::replace(&mut self.finished, closed));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn opened<D>(document: &mut Option<D>) -> anyhow::Result<&mut D> {
    document.as_mut().ok_or_else(|| anyhow::anyhow!("No project is open; open one first"))
}

impl crate::state::Notices {
    fn push_error(&mut self, summary: String, error: &anyhow::Error) {
        tracing::warn!("{summary}: {error:#}");
        self.push(Notice::from_error(summary, error));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// A document that is a list of numbers.
    fn files() -> (Files<Vec<u32>>, mpsc::Receiver<()>) {
        let (woken, wakes) = mpsc::channel();
        let mut files = Files::start(move || {
            woken.send(()).ok();
        });
        files.open("Could not open", |document| {
            *document = Some(Vec::new());
            Ok(Box::new(|_, _| {}))
        });
        (files, wakes)
    }

    fn settle(files: &mut Files<Vec<u32>>, wakes: &mpsc::Receiver<()>, jobs: usize) -> (Workspace, Views) {
        let (mut workspace, mut views) = (Workspace::default(), Views::default());
        let mut taken = 0;
        while taken < jobs {
            if files.take_in(&mut workspace, &mut views) {
                taken += 1;
            } else {
                wakes.recv_timeout(Duration::from_secs(10)).unwrap();
            }
        }
        (workspace, views)
    }

    #[test]
    fn more_writes_than_the_channel_holds_are_all_done_in_order() {
        let (mut files, wakes) = files();
        for n in 0..300 {
            files.write("Could not save", move |list| {
                list.push(n);
                Ok(Box::new(|_, _| {}))
            });
        }
        files.read("Could not read", |list| {
            assert_eq!(*list, (0..300).collect::<Vec<u32>>());
            Ok(Box::new(|_, views| {
                views.screen = crate::state::Screen::Compare;
            }))
        });
        let (workspace, views) = settle(&mut files, &wakes, 302);
        assert_eq!(workspace.saving.under_way, 0);
        assert_eq!(views.screen, crate::state::Screen::Compare);
    }

    #[test]
    fn a_failed_write_says_so_until_one_succeeds() {
        let (mut files, wakes) = files();
        files.write("Could not save the label", |_| anyhow::bail!("disk is full"));
        let (workspace, _) = settle(&mut files, &wakes, 2);
        assert!(workspace.saving.failed);
        let (_, notice) = workspace.notices.iter().next().unwrap();
        assert_eq!(notice.summary, "Could not save the label");
        assert_eq!(notice.details, "disk is full");
        files.write("Could not save", |_| Ok(Box::new(|_, _| {})));
        assert!(!settle(&mut files, &wakes, 1).0.saving.failed);
    }

    #[test]
    fn a_job_that_panics_does_not_take_the_thread_with_it() {
        let (mut files, wakes) = files();
        files.write("Could not save the label", |_| panic!("on purpose"));
        files.write("Could not save", |list| {
            list.push(7);
            Ok(Box::new(|_, _| {}))
        });
        let (workspace, _) = settle(&mut files, &wakes, 3);
        assert_eq!(workspace.saving.under_way, 0);
        assert_eq!(workspace.notices.len(), 1);
    }

    #[test]
    fn closing_the_window_waits_for_the_writes() {
        let (written, check) = mpsc::channel();
        let (mut files, _wakes) = files();
        for n in 0..200 {
            let written = written.clone();
            files.write("Could not save", move |_| {
                written.send(n).ok();
                Ok(Box::new(|_, _| {}))
            });
        }
        drop(files);
        drop(written);
        assert_eq!(check.iter().count(), 200);
    }

    #[test]
    fn without_a_document_the_sentence_says_what_to_do() {
        let (woken, wakes) = mpsc::channel();
        let mut files: Files<Vec<u32>> = Files::start(move || {
            woken.send(()).ok();
        });
        files.read("Could not read the pairs", |_| Ok(Box::new(|_, _| {})));
        let (workspace, _) = settle(&mut files, &wakes, 1);
        let (_, notice) = workspace.notices.iter().next().unwrap();
        assert!(notice.details.contains("open one first"));
    }
}
