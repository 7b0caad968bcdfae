//! File dialogs. They wait on a thread of their own, so that the window keeps drawing; every path can also be typed.

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::state::{Command, Notice, Notices};

/// What to do with the path that was picked.
type Then = Box<dyn FnOnce(PathBuf) -> Command + Send>;

/// A dialog that is gone sooner was never there: nobody closes one so quickly.
const NEVER_THERE: Duration = Duration::from_millis(500);

/// How a dialog ended.
enum Answer {
    Picked(Command),
    Closed,
    /// The desktop has none to offer.
    NeverOpened,
}

/// The window's side: starts dialogs, collects their answers.
pub struct Dialogs {
    ctx: egui::Context,
    answer: Sender<Answer>,
    answers: Receiver<Answer>,
    /// One dialog at a time.
    open: bool,
}

impl Dialogs {
    pub fn new(ctx: egui::Context) -> Self {
        let (answer, answers) = bounded(4);
        Self { ctx, answer, answers, open: false }
    }

    /// Asks for a folder; the answer becomes a command in a later frame.
    pub fn pick_folder(
        &mut self,
        frame: &eframe::Frame,
        title: &str,
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) {
        let dialog = rfd::AsyncFileDialog::new().set_title(title).set_parent(frame).pick_folder();
        self.wait(async move { dialog.await.map(|folder| folder.path().to_owned()) }, Box::new(then));
    }

    /// Asks for a file to read.
    pub fn pick_file(
        &mut self,
        frame: &eframe::Frame,
        title: &str,
        kinds: &[&str],
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) {
        let mut dialog = rfd::AsyncFileDialog::new().set_title(title).set_parent(frame);
        if !kinds.is_empty() {
            dialog = dialog.add_filter(kinds.join(", "), kinds);
        }
        let dialog = dialog.pick_file();
        self.wait(async move { dialog.await.map(|file| file.path().to_owned()) }, Box::new(then));
    }

    /// Asks for a place to write to.
    pub fn save_file(
        &mut self,
        frame: &eframe::Frame,
        title: &str,
        name: &str,
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) {
        let dialog = rfd::AsyncFileDialog::new().set_title(title).set_file_name(name).set_parent(frame).save_file();
        self.wait(async move { dialog.await.map(|file| file.path().to_owned()) }, Box::new(then));
    }

    fn wait(&mut self, path: impl Future<Output = Option<PathBuf>> + Send + 'static, then: Then) {
        if self.open {
            return;
        }
        let (answer, ctx) = (self.answer.clone(), self.ctx.clone());
        let thread = std::thread::Builder::new().name("file dialog".to_owned()).spawn(move || {
            let started = Instant::now();
            let ended = match block_on(path) {
                Some(path) => Answer::Picked(then(path)),
                None if started.elapsed() < NEVER_THERE => Answer::NeverOpened,
                None => Answer::Closed,
            };
            answer.send(ended).ok();
            ctx.request_repaint();
        });
        self.open = thread.is_ok();
    }

    /// Commands of the dialogs that were answered since; a notice for one that did not open.
    pub fn collect(&mut self, notices: &mut Notices) -> Vec<Command> {
        let answers: Vec<Answer> = self.answers.try_iter().collect();
        if !answers.is_empty() {
            self.open = false;
        }
        let picked = answers.into_iter().filter_map(|answer| match answer {
            Answer::Picked(command) => Some(command),
            Answer::Closed => None,
            Answer::NeverOpened => {
                notices.push(Notice::warning(
                    "No file dialog opened",
                    "This desktop offers none: neither an XDG desktop portal nor zenity answered. Type or paste the path into the field instead",
                ));
                None
            }
        });
        picked.collect()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs one future to its end on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
