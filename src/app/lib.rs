//! Where the halves meet: receive events, apply commands, file dialogs.
//!
//! A frame: [`App::logic`](eframe::App::logic) receives what other threads have to say and applies the commands of the
//! last frame; [`App::ui`](eframe::App::ui) draws. Drawing changes [`Views`] only; whatever takes long is a job.

mod answers;
mod apply;
mod asking;
mod background;
mod candidates;
mod changes;
mod closing;
mod compare;
pub mod desktop;
mod dialogs;
mod downloads;
mod duel;
mod exports;
mod inbox;
mod jobs;
mod joining;
mod judged;
mod leave;
mod lens;
mod models;
mod pace;
mod pairs;
mod projects;
mod receive;
mod references;
mod review;
mod ribbon;
mod runs;
mod scores;
mod table;
mod tokenizer;
mod tokens;
mod transfers;
mod watch;
mod window;
mod writing;

pub use jobs::{Lane, Update, update};
pub use leave::Leave;
pub use window::{Renderer, WindowOptions, run};

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};
use dialogs::Dialogs;
use engine::{
    Engine,
    catalog::Catalog,
    protocol::{Event, Request},
};
use hub::{Download, Hub};
use inbox::Inbox;
use jobs::Jobs;
use pace::FramePace;
use state::{Command, Commands, ThemeChoice, Views, Workspace, guide::Guide};
use store::Revision;

/// Where [`Views`] are kept between starts.
const VIEWS_KEY: &str = "views";

/// The two ends that the window holds of the engine's channels.
pub struct EngineLink {
    pub requests: Sender<Request>,
    pub events: Receiver<Event>,
    /// Kept alive here; absent in tests, which hold the other ends themselves.
    engine: Option<Engine>,
}

impl EngineLink {
    pub fn of(engine: Engine) -> Self {
        Self { requests: engine.requests.clone(), events: engine.events.clone(), engine: Some(engine) }
    }

    /// Ends whose other ends a test holds.
    pub fn scripted(requests: Sender<Request>, events: Receiver<Event>) -> Self {
        Self { requests, events, engine: None }
    }
}

impl Drop for EngineLink {
    /// Waits for the checkpoint of a run that is going.
    fn drop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.shut_down();
        }
    }
}

/// The window's memory and its threads.
pub struct App {
    workspace: Workspace,
    views: Views,
    commands: Commands,
    jobs: Jobs,
    inbox: Inbox,
    catalog: Catalog,
    hub: Hub,
    /// A model on its way from the hub.
    download: Option<Download>,
    /// The visit of a field that was saved last, and the step of the journal it was saved as.
    typing: Arc<Mutex<Option<(i64, Revision)>>>,
    /// What of the texts that are being written the project has.
    texts: writing::KeptTexts,
    /// Compute threads of work outside the engine.
    threads: usize,
    dialogs: Dialogs,
    engine: EngineLink,
    /// Whether the system wants the program to end.
    leave: Leave,
    /// This program, for what goes on without the window.
    program: io::Result<PathBuf>,
    /// The theme that egui was told last.
    theme: Option<ThemeChoice>,
    /// What other processes do to the open project.
    watch: Option<watch::ProjectWatch>,
    pace: FramePace,
    ctx: egui::Context,
}

impl App {
    /// A window on `engine` that shows what `views` remember.
    pub fn new(ctx: &egui::Context, views: Views, engine: EngineLink) -> Self {
        ui::theme::install(ctx);
        let (wake, job_wake) = (ctx.clone(), ctx.clone());
        let inbox = Inbox::new(ctx.clone());
        let mut workspace = Workspace::default();
        workspace.projects.home = home();
        Self {
            workspace,
            views,
            commands: Commands::new(move || wake.request_repaint()),
            jobs: Jobs::start(move || job_wake.request_repaint()),
            typing: Arc::default(),
            texts: writing::KeptTexts::default(),
            catalog: Catalog::of_user(),
            hub: Hub::of_user(),
            download: None,
            threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            dialogs: Dialogs::new(inbox.clone()),
            inbox,
            engine,
            leave: Leave::default(),
            program: std::env::current_exe(),
            theme: None,
            watch: None,
            pace: FramePace::default(),
            ctx: ctx.clone(),
        }
    }

    /// The same window in a test: nothing remembered, the test holds the engine's ends.
    pub fn for_test(cc: &eframe::CreationContext<'_>, engine: EngineLink, project: Option<PathBuf>) -> Self {
        let mut app = Self::new(&cc.egui_ctx, Views::default(), engine);
        // The same on every machine: nothing of whoever runs the test.
        app.catalog = Catalog::at("/no/cache");
        app.workspace.pace.only_when_asked = true;
        app.hub.offline = true;
        app.views.guide = Guide::finished();
        app.workspace.projects.home = PathBuf::from("/home/me/Nudge");
        if let Some(dir) = project {
            app.commands.push(Command::OpenProject(dir));
        }
        app
    }

    /// Another Hugging Face cache than the user's.
    pub fn set_catalog(&mut self, catalog: Catalog) {
        self.catalog = catalog;
    }

    /// Another hub than the user's.
    pub fn set_hub(&mut self, hub: Hub) {
        self.hub = hub;
    }

    /// What asks this window to save and close.
    pub fn leave(&self) -> Leave {
        self.leave.clone()
    }

    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    pub fn views(&self) -> &Views {
        &self.views
    }

    pub fn views_mut(&mut self) -> &mut Views {
        &mut self.views
    }

    /// Whether all that the project and its tokenizer were asked has come back.
    pub fn project_is_at_rest(&self) -> bool {
        self.jobs.project_is_at_rest()
    }

    /// Has a job done beside the open document, e.g. one that a test ends when it likes.
    pub fn aside(&mut self, lane: Lane, failure: &str, work: impl FnOnce() -> anyhow::Result<Update> + Send + 'static) {
        self.jobs.aside(lane, failure, work);
    }

    /// Notes end by themselves; an idle window is woken for it.
    fn age_notices(&mut self) {
        let now_ms = self.workspace.now_ms;
        self.workspace.notices.expire(now_ms);
        if let Some(end) = self.workspace.notices.next_end_ms() {
            self.ctx.request_repaint_after(Duration::from_millis((end - now_ms).max(0) as u64));
        }
    }

    fn apply_theme(&mut self) {
        if self.theme != Some(self.views.theme) {
            self.theme = Some(self.views.theme);
            self.ctx.set_theme(ui::theme_preference(self.views.theme));
        }
    }
}

impl Drop for App {
    /// What is typed and not yet saved is handed over; the jobs are waited for right after.
    fn drop(&mut self) {
        self.commit_drafts();
    }
}

impl eframe::App for App {
    /// Runs before every frame, and also while the window is hidden.
    fn logic(&mut self, _ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.receive(frame);
        self.apply_queued(frame);
        self.save_pauses();
        self.workspace.pairs.health.follow(self.workspace.pairs.revision, self.workspace.now_ms);
        self.keep_texts(false);
        self.age_notices();
        self.leave.note(self.workspace.runs.live.is_some());
        self.leave_if_asked();
        self.guard_closing();
        self.apply_theme();
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        let asked = self.views.pairs.labelling.as_ref().and_then(|label| label.session.current());
        self.pace.note(frame.info().cpu_usage, asked);
        ui::shell(ui, &self.workspace, &mut self.views, &self.commands);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, VIEWS_KEY, &self.views);
    }
}

/// Where new projects go: `Nudge` among the user's documents, or at home where there is no such folder.
fn home() -> PathBuf {
    let dirs = directories::UserDirs::new();
    let documents = dirs.as_ref().and_then(|dirs| dirs.document_dir());
    let home = dirs.as_ref().map(directories::UserDirs::home_dir);
    documents.or(home).unwrap_or(Path::new(".")).join("Nudge")
}
