//! File dialogs. They wait on a thread of their own, so that the window keeps drawing; every path can also be typed.

use std::{
    future::Future,
    path::PathBuf,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::state::Command;

/// What to do with the path that was picked.
type Then = Box<dyn FnOnce(PathBuf) -> Command + Send>;

/// The window's side: starts dialogs, collects their answers.
pub struct Dialogs {
    ctx: egui::Context,
    answer: Sender<Option<Command>>,
    answers: Receiver<Option<Command>>,
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
            answer.send(block_on(path).map(then)).ok();
            ctx.request_repaint();
        });
        self.open = thread.is_ok();
    }

    /// Commands of the dialogs that were answered since.
    pub fn collect(&mut self) -> Vec<Command> {
        let answers: Vec<Option<Command>> = self.answers.try_iter().collect();
        if !answers.is_empty() {
            self.open = false;
        }
        answers.into_iter().flatten().collect()
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
