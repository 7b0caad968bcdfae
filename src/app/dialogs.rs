//! File dialogs. They wait on a thread of their own, so that the window keeps drawing; every path can also be typed.

use std::{
    future::Future,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::{Duration, Instant},
};

use state::{Command, Notice};

use super::inbox::Inbox;

/// What to do with the path that was picked.
type Then = Box<dyn FnOnce(PathBuf) -> Command + Send>;

/// A dialog that is gone sooner was never there: nobody closes one so quickly.
const NEVER_THERE: Duration = Duration::from_millis(500);

/// Starts dialogs; their answers come as commands.
pub struct Dialogs {
    inbox: Inbox,
    /// One dialog at a time.
    open: Arc<AtomicBool>,
}

impl Dialogs {
    pub fn new(inbox: Inbox) -> Self {
        Self { inbox, open: Arc::default() }
    }

    /// Asks for a folder; the answer becomes a command in a later frame.
    pub fn pick_folder(
        &self,
        frame: &eframe::Frame,
        title: &str,
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) {
        let dialog = rfd::AsyncFileDialog::new().set_title(title).set_parent(frame).pick_folder();
        self.wait(async move { dialog.await.map(|folder| folder.path().to_owned()) }, Box::new(then));
    }

    /// Asks for a file to read.
    pub fn pick_file(
        &self,
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
        &self,
        frame: &eframe::Frame,
        title: &str,
        name: &str,
        then: impl FnOnce(PathBuf) -> Command + Send + 'static,
    ) {
        let dialog = rfd::AsyncFileDialog::new().set_title(title).set_file_name(name).set_parent(frame).save_file();
        self.wait(async move { dialog.await.map(|file| file.path().to_owned()) }, Box::new(then));
    }

    fn wait(&self, path: impl Future<Output = Option<PathBuf>> + Send + 'static, then: Then) {
        if self.open.swap(true, Ordering::AcqRel) {
            return;
        }
        let (inbox, open) = (self.inbox.clone(), Arc::clone(&self.open));
        let thread = std::thread::Builder::new().name("file dialog".to_owned()).spawn(move || {
            let started = Instant::now();
            match block_on(path) {
                Some(path) => inbox.push(then(path)),
                None if started.elapsed() < NEVER_THERE => inbox.push(Command::Tell(Notice::warning(
                    "No file dialog opened",
                    "This desktop offers none: neither an XDG desktop portal nor zenity answered. Type or paste the path into the field instead",
                ))),
                None => {}
            }
            open.store(false, Ordering::Release);
        });
        if thread.is_err() {
            self.open.store(false, Ordering::Release);
        }
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
