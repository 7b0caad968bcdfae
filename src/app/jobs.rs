//! Work off the frame: whatever reads or writes a disk, or takes long.
//!
//! A [`Worker`] is a thread that runs jobs in the order of asking. A job gives an [`Update`], which the window applies
//! to its state in a later frame; what is to be done next comes out of it as commands. A write is "saved" when its job
//! came back, which is after the commit.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    thread::JoinHandle,
};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};
use state::{Command, Notice, Views, Workspace};
use store::Project;

use super::tokenizer::Tokenizer;

/// What a finished job does to the window's state, and what is to be done next.
pub type Update = Box<dyn FnOnce(&mut Workspace, &mut Views) -> Vec<Command> + Send>;

/// An update; `apply` gives nothing, a command, or several.
pub fn update<N: Next>(apply: impl FnOnce(&mut Workspace, &mut Views) -> N + Send + 'static) -> Update {
    Box::new(move |workspace, views| apply(workspace, views).commands())
}

/// An update that is only for the project in `dir`: another one may be open by the time a transfer ends.
pub fn about<N: Next>(dir: PathBuf, apply: impl FnOnce(&mut Workspace, &mut Views) -> N + Send + 'static) -> Update {
    update(move |workspace, views| {
        let is_open = workspace.project.as_ref().is_some_and(|project| project.dir == dir);
        if is_open { apply(workspace, views).commands() } else { Vec::new() }
    })
}

/// What is to be done next.
pub trait Next {
    fn commands(self) -> Vec<Command>;
}

impl Next for () {
    fn commands(self) -> Vec<Command> {
        Vec::new()
    }
}

impl Next for Command {
    fn commands(self) -> Vec<Command> {
        vec![self]
    }
}

impl Next for Vec<Command> {
    fn commands(self) -> Vec<Command> {
        self
    }
}

/// Work that has no use for the open document. Each kind has a thread of its own, so that none waits for another and a
/// label waits for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Files in and out, and whatever goes through all pairs: with a connection of its own.
    Transfer,
    /// Looks at what is on the disk besides the project.
    Look,
    /// Loads, writes and proves runs.
    Export,
    /// Compares long texts.
    Compare,
    /// Goes through all pairs for somebody who waits, with a connection of its own.
    List,
}

/// The window's workers.
pub struct Jobs {
    /// The open project.
    pub document: Worker<Project>,
    /// The tokenizer of the project's model.
    pub tokens: Worker<Tokenizer>,
    /// By [`Lane`].
    aside: [Worker<()>; 5],
}

impl Jobs {
    /// Starts the threads; `wake` is called after each job.
    pub fn start(wake: impl Fn() + Send + Clone + 'static) -> Self {
        Self {
            document: Worker::start("document", wake.clone()),
            tokens: Worker::start("tokens", wake.clone()),
            aside: ["transfers", "looks", "exports", "comparisons", "lists"]
                .map(|name| Worker::start(name, wake.clone())),
        }
    }

    /// Work that has no use for the open document.
    pub fn aside(
        &mut self,
        lane: Lane,
        failure: impl Into<String>,
        work: impl FnOnce() -> anyhow::Result<Update> + Send + 'static,
    ) {
        self.aside[lane as usize].open(failure, move |_| work());
    }

    /// Looks through the project in `dir` as it is when all that was asked of the document before is done, while the
    /// document is free for what is asked next.
    pub fn list(
        &mut self,
        dir: PathBuf,
        failure: &'static str,
        work: impl FnOnce(&Project) -> anyhow::Result<Update> + Send + 'static,
    ) {
        let (done, before) = bounded::<()>(1);
        self.document.read(failure, move |_| {
            done.send(()).ok();
            Ok(update(|_, _| ()))
        });
        self.aside(Lane::List, failure, move || {
            // Also over when the document is closed.
            before.recv().ok();
            work(&Project::open(&dir)?)
        });
    }

    /// Whether all that the project and its tokenizer were asked has come back.
    pub fn project_is_at_rest(&self) -> bool {
        self.document.under_way + self.tokens.under_way + self.aside[Lane::List as usize].under_way == 0
    }

    /// Takes in one finished job and gives what is to be done next; absent when there was none.
    pub fn take_in(&mut self, workspace: &mut Workspace, views: &mut Views) -> Option<Vec<Command>> {
        let aside = self.aside.iter_mut().find_map(Worker::finished);
        let finished = aside.or_else(|| self.tokens.finished()).or_else(|| self.document.finished());
        // Also where nothing came back: something may have been asked for since.
        workspace.saving.under_way = self.document.writes_under_way;
        Some(finished?.apply(workspace, views))
    }
}

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

impl Finished {
    fn apply(self, workspace: &mut Workspace, views: &mut Views) -> Vec<Command> {
        if self.writes {
            workspace.saving.failed = self.outcome.is_err();
        }
        match self.outcome {
            Ok(update) => update(workspace, views),
            Err(error) => {
                tracing::warn!("{}: {error:#}", self.failure);
                workspace.notices.push(Notice::from_error(self.failure, &error));
                Vec::new()
            }
        }
    }
}

/// Jobs that wait in the channel; more than that wait on this side, none is lost.
const QUEUE: usize = 64;

/// The window's end of a thread. `D` is what the thread keeps from job to job.
pub struct Worker<D> {
    jobs: Option<Sender<Job<D>>>,
    /// Jobs that found the channel full. The window never waits for the disk.
    overflow: VecDeque<Job<D>>,
    finished: Receiver<Finished>,
    under_way: usize,
    writes_under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl<D: 'static> Worker<D> {
    fn start(name: &str, wake: impl Fn() + Send + 'static) -> Self {
        let (jobs, todo) = bounded::<Job<D>>(QUEUE);
        let (done, finished) = bounded(QUEUE * 4);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
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
        Self { jobs: Some(jobs), overflow: VecDeque::new(), finished, under_way: 0, writes_under_way: 0, thread }
    }

    /// A job that may open, replace or close what is kept.
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
        self.under_way += 1;
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

    /// The next job that came back.
    fn finished(&mut self) -> Option<Finished> {
        self.flush();
        let finished = self.finished.try_recv().ok()?;
        self.under_way -= 1;
        if finished.writes {
            self.writes_under_way -= 1;
        }
        Some(finished)
    }
}

impl<D> Drop for Worker<D> {
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// A worker that keeps a list of numbers.
    fn worker() -> (Worker<Vec<u32>>, mpsc::Receiver<()>) {
        let (woken, wakes) = mpsc::channel();
        let mut worker = Worker::start("test", move || {
            woken.send(()).ok();
        });
        worker.open("Could not open", |document| {
            *document = Some(Vec::new());
            Ok(update(|_, _| ()))
        });
        (worker, wakes)
    }

    /// What came of so many jobs.
    fn settle(worker: &mut Worker<Vec<u32>>, wakes: &mpsc::Receiver<()>, jobs: usize) -> (Workspace, Vec<Command>) {
        let (mut workspace, mut views) = (Workspace::default(), Views::default());
        let (mut taken, mut next) = (0, Vec::new());
        while taken < jobs {
            if let Some(job) = worker.finished() {
                next.extend(job.apply(&mut workspace, &mut views));
                taken += 1;
            } else {
                wakes.recv_timeout(Duration::from_secs(10)).unwrap();
            }
        }
        (workspace, next)
    }

    #[test]
    fn more_writes_than_the_channel_holds_are_all_done_in_order() {
        let (mut worker, wakes) = worker();
        for n in 0..300 {
            worker.write("Could not save", move |list| {
                list.push(n);
                Ok(update(|_, _| ()))
            });
        }
        worker.read("Could not read", |list| {
            assert_eq!(*list, (0..300).collect::<Vec<u32>>());
            Ok(update(|_, _| Command::OpenDemo))
        });
        let (_, next) = settle(&mut worker, &wakes, 302);
        assert_eq!(worker.writes_under_way, 0);
        assert!(matches!(next[..], [Command::OpenDemo]), "what is next comes from the update: {next:?}");
    }

    #[test]
    fn a_list_sees_what_was_written_before_it_and_holds_up_nothing_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let (woken, wakes) = mpsc::channel();
        let mut jobs = Jobs::start(move || {
            woken.send(()).ok();
        });
        let (mut workspace, mut views) = (Workspace::default(), Views::default());
        jobs.document.open("Could not create", move |document| {
            *document = Some(Project::create(&path, &store::ProjectSettings::default())?);
            Ok(update(|_, _| ()))
        });
        jobs.document.write("Could not save", |project| {
            std::thread::sleep(Duration::from_millis(50));
            project.set_setting("colour", "blue")?;
            Ok(update(|_, _| ()))
        });
        let (go_on, waits) = mpsc::channel();
        jobs.list(dir.path().to_owned(), "Could not list", move |project| {
            waits.recv_timeout(Duration::from_secs(10))?;
            assert_eq!(project.setting("colour")?.as_deref(), Some("blue"));
            Ok(update(|_, _| Command::OpenDemo))
        });
        // A label that comes after it, and before it is done.
        jobs.document.write("Could not save the label", move |_| {
            go_on.send(())?;
            Ok(update(|_, _| ()))
        });
        let next = loop {
            match jobs.take_in(&mut workspace, &mut views) {
                Some(next) if !next.is_empty() => break next,
                Some(_) => {}
                None => wakes.recv_timeout(Duration::from_secs(20)).unwrap(),
            }
        };
        assert!(matches!(next[..], [Command::OpenDemo]), "{next:?}");
        assert!(workspace.notices.is_empty());
    }

    #[test]
    fn a_failed_write_says_so_until_one_succeeds() {
        let (mut worker, wakes) = worker();
        worker.write("Could not save the label", |_| anyhow::bail!("disk is full"));
        let (workspace, _) = settle(&mut worker, &wakes, 2);
        assert!(workspace.saving.failed);
        let (_, notice) = workspace.notices.iter().next().unwrap();
        assert_eq!(notice.summary, "Could not save the label");
        assert_eq!(notice.details, "disk is full");
        worker.write("Could not save", |_| Ok(update(|_, _| ())));
        assert!(!settle(&mut worker, &wakes, 1).0.saving.failed);
    }

    #[test]
    fn a_job_that_panics_does_not_take_the_thread_with_it() {
        let (mut worker, wakes) = worker();
        worker.write("Could not save the label", |_| panic!("on purpose"));
        worker.write("Could not save", |list| {
            list.push(7);
            Ok(update(|_, _| ()))
        });
        let (workspace, _) = settle(&mut worker, &wakes, 3);
        assert_eq!(worker.writes_under_way, 0);
        assert_eq!(workspace.notices.len(), 1);
    }

    #[test]
    fn closing_the_window_waits_for_the_writes() {
        let (written, check) = mpsc::channel();
        let (mut worker, _wakes) = worker();
        for n in 0..200 {
            let written = written.clone();
            worker.write("Could not save", move |_| {
                written.send(n).ok();
                Ok(update(|_, _| ()))
            });
        }
        drop(worker);
        drop(written);
        assert_eq!(check.iter().count(), 200);
    }

    #[test]
    fn without_a_document_the_sentence_says_what_to_do() {
        let (woken, wakes) = mpsc::channel();
        let mut worker: Worker<Vec<u32>> = Worker::start("test", move || {
            woken.send(()).ok();
        });
        worker.read("Could not read the pairs", |_| Ok(update(|_, _| ())));
        let (workspace, _) = settle(&mut worker, &wakes, 1);
        let (_, notice) = workspace.notices.iter().next().unwrap();
        assert!(notice.details.contains("open one first"));
    }
}
