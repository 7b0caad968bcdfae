//! The window in a test: the real app on a real project, an engine whose ends the test holds.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender, bounded};
use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults, kittest::Queryable as _};
use nudge::{
    app::{App, EngineLink},
    engine::protocol::{Event, Request},
    state::{Screen, runs::Loaded},
};

/// Longer than anything here takes on a loaded machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Whether all has come in that would move what stands on the screen. A click is three frames long, and one whose button
/// moves meanwhile is none.
pub fn is_at_rest(app: &App) -> bool {
    let models = &app.workspace().models;
    let (seen, all) = models.progress();
    seen == all && models.looked != Loaded::Asked && app.project_is_at_rest()
}

/// A file as a file manager drops it.
#[derive(Debug)]
pub struct Dropped(pub PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.0).map_err(|error| error.to_string())
    }
}

pub struct Window {
    pub harness: Harness<'static, App>,
    pub requests: Receiver<Request>,
    pub events: Sender<Event>,
}

impl Window {
    /// Opens `project` on `screen` and waits until it is there.
    pub fn open(project: &Path, screen: Screen) -> Self {
        Self::open_sized(project, screen, [1280.0, 800.0], egui::Theme::Light)
    }

    /// Boxes are drawn for characters that no font has, as in the real window; elsewhere a test panics over them.
    pub fn open_with_boxes(project: &Path, screen: Screen) -> Self {
        Self::build(project, screen, [1280.0, 800.0], egui::Theme::Light, true)
    }

    pub fn open_sized(project: &Path, screen: Screen, size: [f32; 2], theme: egui::Theme) -> Self {
        Self::build(project, screen, size, theme, false)
    }

    fn build(project: &Path, screen: Screen, size: [f32; 2], theme: egui::Theme, boxes: bool) -> Self {
        nudge::model::rates::forget_at_exit();
        let (requests, asked) = bounded(16);
        let (tell, events) = bounded(256);
        let project = project.to_owned();
        let builder = Harness::builder();
        let builder = if boxes { builder.allow_missing_glyphs() } else { builder };
        let mut harness = builder
            .with_size(size)
            .with_theme(theme)
            .with_options(SnapshotOptions::new().threshold(1.0).max_failed_pixels(12))
            .with_render_cursor(false)
            .with_context_setup(|ctx| ctx.options_mut(|options| options.warn_on_id_clash = true))
            .build_eframe(move |cc| App::for_test(cc, EngineLink::scripted(requests, events), Some(project)));
        harness.state_mut().views_mut().screen = screen;
        harness.state_mut().views_mut().theme = match theme {
            egui::Theme::Dark => nudge::state::ThemeChoice::Dark,
            egui::Theme::Light => nudge::state::ThemeChoice::Light,
        };
        let mut window = Self { harness, requests: asked, events: tell };
        window.until("the project is open", |app| app.workspace().project.is_some());
        window.settle();
        window
    }

    /// Draws frames until `done`.
    #[track_caller]
    pub fn until(&mut self, what: &str, done: impl Fn(&App) -> bool) {
        let start = Instant::now();
        loop {
            self.harness.step();
            self.assert_no_id_clash();
            if done(self.harness.state()) {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Draws frames until nothing is on its way to or from the disk.
    #[track_caller]
    pub fn settle(&mut self) {
        for _ in 0..3 {
            self.until("everything is saved and read", |app| {
                let pairs = &app.workspace().pairs;
                is_at_rest(app) && !pairs.listing && !pairs.health.is_under_way() && pairs.transfer.is_none()
            });
        }
    }

    #[track_caller]
    pub fn begin_labelling(&mut self) {
        self.key(Key::L);
        self.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
        self.settle();
    }

    #[track_caller]
    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.step();
        self.settle();
    }

    #[track_caller]
    pub fn click_button(&mut self, label: &str) {
        self.harness.get_by_role_and_label(Role::Button, label).click();
        self.harness.step();
        self.settle();
    }

    pub fn key(&mut self, key: Key) {
        self.keys(Modifiers::NONE, key);
    }

    /// A press of somebody who has seen what the one before did.
    pub fn keys(&mut self, modifiers: Modifiers, key: Key) {
        self.harness.state_mut().views_mut().keyboard.letters.end();
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.step();
        self.settle();
    }

    /// Puts the caret into a field.
    #[track_caller]
    pub fn focus(&mut self, role: Role, label: &str) {
        self.harness.get_by_role_and_label(role, label).focus();
        self.harness.step();
        self.harness.step();
    }

    pub fn type_text(&mut self, text: &str) {
        self.harness.event(egui::Event::Text(text.to_owned()));
        self.harness.step();
        self.harness.step();
    }

    /// Whether a label, a name or a value with this text is on the screen.
    pub fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    #[track_caller]
    pub fn assert_shows(&self, text: &str) {
        assert!(self.shows(text), "“{text}” is not on the screen");
    }

    /// Two widgets with one id would share focus, undo and scrolling.
    #[track_caller]
    fn assert_no_id_clash(&self) {
        for shape in &self.harness.output().shapes {
            let mut texts = Vec::new();
            collect_texts(&shape.shape, &mut texts);
            for text in texts {
                assert!(!text.starts_with("🔥"), "two widgets share an id: {text}");
            }
        }
    }

    /// Compares the window with its stored picture.
    pub fn picture(&mut self, name: &str, results: &mut SnapshotResults) {
        self.until("what is written is kept", |app| !app.workspace().saving.writing);
        self.settle();
        self.harness.remove_cursor();
        self.harness.step();
        if let Err(error) = self.harness.render() {
            let checked = std::env::var_os("CI").is_some();
            assert!(!checked, "no picture of {name}: {error}");
            eprintln!("skipped the picture {name}: {error}");
            return;
        }
        results.add(self.harness.try_snapshot(name));
    }
}

fn collect_texts<'a>(shape: &'a egui::Shape, texts: &mut Vec<&'a str>) {
    match shape {
        egui::Shape::Text(text) => texts.push(text.galley.text()),
        egui::Shape::Vec(shapes) => {
            for shape in shapes {
                collect_texts(shape, texts);
            }
        }
        _ => {}
    }
}
