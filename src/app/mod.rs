//! Where the halves meet: receive events, apply commands, file dialogs.
//!
//! A frame: [`App::logic`](eframe::App::logic) takes in what other threads have to say and applies the commands that the last
//! frame queued; [`App::ui`](eframe::App::ui) draws. Drawing changes [`Views`] only.

mod answers;
mod apply;
mod dialogs;
mod downloads;
mod exports;
mod files;
mod leave;
mod models;
mod pace;
mod pairs;
mod projects;
mod receive;
mod runs;
mod tokens;
mod transfers;
mod watch;
mod window;

pub use self::files::{Files, Update};
pub use leave::Leave;
pub use window::{Renderer, WindowOptions, run};

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crossbeam::channel::{Receiver, Sender};

use crate::{
    engine::{
        Engine,
        catalog::Catalog,
        protocol::{Event, Request},
    },
    hub::{Download, Hub},
    state::{Command, Commands, ThemeChoice, Views, Workspace},
    store::{Project, Revision},
    ui,
};
use dialogs::Dialogs;
use pace::FramePace;

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
    files: Files<Project>,
    /// Reads and writes that take long; they must not hold up a label.
    transfers: Files<()>,
    /// The tokenizer of the project's model.
    tokens: Files<tokens::Loaded>,
    /// Looks at what is on the disk besides the project.
    models: Files<()>,
    /// Loads, writes and proves runs.
    exports: Files<()>,
    catalog: Catalog,
    hub: Hub,
    /// A model on its way from the hub.
    download: Option<Download>,
    /// Compares long texts.
    comparisons: Files<()>,
    /// The visit of a field that was saved last, and the step of the journal it was saved as.
    typing: Arc<Mutex<Option<(i64, Revision)>>>,
    /// Compute threads of work outside the engine.
    threads: usize,
    dialogs: Dialogs,
    engine: EngineLink,
    /// Whether the system wants the program to end.
    leave: Leave,
    /// The theme that egui was told last.
    theme: Option<ThemeChoice>,
    /// The project that the screens were told about last, see [`Workspace::opened`].
    opened: u64,
    /// What other processes do to the open project.
    watch: Option<watch::Watch>,
    pace: FramePace,
}

impl App {
    /// A window on `engine` that shows what `views` remember.
    pub fn new(ctx: &egui::Context, views: Views, engine: EngineLink) -> Self {
        ui::theme::install(ctx);
        let wake = ctx.clone();
        let waker = || {
            let ctx = ctx.clone();
            move || ctx.request_repaint()
        };
        let mut workspace = Workspace::default();
        workspace.projects.home = projects::home();
        Self {
            workspace,
            views,
            commands: Commands::new(move || wake.request_repaint()),
            files: Files::start(waker()),
            transfers: Files::start(waker()),
            tokens: Files::start(waker()),
            models: Files::start(waker()),
            exports: Files::start(waker()),
            comparisons: Files::start(waker()),
            typing: Arc::default(),
            catalog: Catalog::of_user(),
            hub: Hub::of_user(),
            download: None,
            threads: std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1)),
            dialogs: Dialogs::new(ctx.clone()),
            engine,
            leave: Leave::default(),
            theme: None,
            opened: 0,
            watch: None,
            pace: FramePace::default(),
        }
    }

    /// The same window in a test: nothing remembered, the test holds the engine's ends.
    pub fn for_test(cc: &eframe::CreationContext<'_>, engine: EngineLink, project: Option<PathBuf>) -> Self {
        let mut app = Self::new(&cc.egui_ctx, Views::default(), engine);
        // The same on every machine: nothing of whoever runs the test.
        app.catalog = Catalog::at("/no/cache");
        app.hub.offline = true;
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

    /// Another project is open: the screens ask for what they show first.
    fn greet_project(&mut self) {
        if self.opened != self.workspace.opened {
            self.opened = self.workspace.opened;
            self.pairs_opened();
            self.answers_opened();
        }
    }

    /// Notes end by themselves; an idle window is woken for it.
    fn age_notices(&mut self, ctx: &egui::Context) {
        let now_ms = self.workspace.now_ms;
        self.workspace.notices.expire(now_ms);
        if let Some(end) = self.workspace.notices.next_end_ms() {
            ctx.request_repaint_after(Duration::from_millis((end - now_ms).max(0) as u64));
        }
    }

    fn apply_theme(&mut self, ctx: &egui::Context) {
        if self.theme != Some(self.views.theme) {
            self.theme = Some(self.views.theme);
            ctx.set_theme(ui::theme_preference(self.views.theme));
        }
    }
}

impl Drop for App {
    /// What is typed and not yet saved is handed over; the files thread is waited for right after.
    fn drop(&mut self) {
        self.commit_drafts();
    }
}

impl eframe::App for App {
    /// Runs before every frame, and also while the window is hidden.
    fn logic(&mut self, ctx: &egui::Context, frame: &mut eframe::Frame) {
        self.receive(ctx);
        self.greet_project();
        self.watch_project(ctx);
        self.record_admitted();
        self.train_recorded();
        self.look_at_models();
        self.watch_download();
        self.apply_pending(ctx, frame);
        self.save_pauses(ctx);
        self.age_notices(ctx);
        self.leave_if_asked();
        self.guard_closing(ctx);
        self.apply_theme(ctx);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        self.pace.note(frame.info().cpu_usage);
        ui::shell(ui, &self.workspace, &mut self.views, &self.commands);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, VIEWS_KEY, &self.views);
    }
}
