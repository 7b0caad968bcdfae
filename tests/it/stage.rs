//! A window for tests: a project in a temporary folder, an engine played by the test, no pixels unless asked for.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    fixture::own_root,
    window::{PATIENCE, is_at_rest},
};
use crossbeam::channel::{Receiver, Sender, bounded};
use egui_kittest::{
    Harness, SnapshotOptions, SnapshotResults,
    kittest::{NodeT as _, Queryable as _},
};
use nudge::{
    app::{App, EngineLink},
    data::{
        Change, Choice, Edit, Pair, PairId, Prompt, Strength, Verdict,
        config::{Method, RunConfig},
    },
    engine::protocol::{Arithmetic, Event, Metrics, Request},
    objective::Objective,
    store::{NewRun, Project, ProjectSettings, RunId, RunStatus},
};

pub struct Stage {
    pub harness: Harness<'static, App>,
    /// What the window asked of the engine.
    pub requests: Receiver<Request>,
    /// What the engine says.
    pub events: Sender<Event>,
    pub dir: PathBuf,
    _temp: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(egui::Theme::Light, [1280.0, 800.0], |_| {})
    }

    /// `fill` puts more into the project before the window opens it.
    pub fn with(theme: egui::Theme, size: [f32; 2], fill: impl FnOnce(&mut Project)) -> Self {
        nudge::model::rates::forget_at_exit();
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("tides");
        let mut project = Project::create(
            &dir,
            &ProjectSettings {
                name: "Tide tables".to_owned(),
                model: own_root().join("models/llama_mha"),
                run_toml: String::new(),
            },
        )
        .unwrap();
        project.apply(&Change::new("Import", (0..12).map(pair).map(Edit::add).collect())).unwrap();
        fill(&mut project);
        drop(project);

        let (request, requests) = bounded(16);
        let (events, event) = bounded(4096);
        let opened = dir.clone();
        let harness = Harness::builder()
            .with_size(size)
            .with_theme(theme)
            .with_max_steps(200)
            .with_options(SnapshotOptions::new().threshold(1.0).max_failed_pixels(12))
            .with_render_cursor(false)
            .build_eframe(move |cc| {
                cc.egui_ctx.options_mut(|options| options.warn_on_id_clash = true);
                let mut app = App::for_test(cc, EngineLink::scripted(request, event), Some(opened));
                app.views_mut().theme = match theme {
                    egui::Theme::Light => nudge::state::ThemeChoice::Light,
                    egui::Theme::Dark => nudge::state::ThemeChoice::Dark,
                };
                app
            });
        let mut stage = Self { harness, requests, events, dir, _temp: temp };
        stage.until("the project is open", |app| app.workspace().project.is_some());
        stage.harness.run();
        stage
    }

    /// Steps the window until `done`; other threads have as long as a busy machine takes.
    pub fn until(&mut self, what: &str, done: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !done(self.harness.state()) {
            assert!(start.elapsed() < PATIENCE, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(2));
            self.harness.step();
        }
        self.harness.run();
    }

    /// The engine says this; the window has taken it in when this returns.
    pub fn say(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.events.send(event).unwrap();
        }
        let receiver = self.events.clone();
        self.until("events are taken in", move |_| receiver.is_empty());
        self.harness.step();
        self.harness.run();
    }

    /// The run that the engine is asked to train next, wherever from.
    pub fn asked_to_train(&mut self) -> RunId {
        let requests = self.requests.clone();
        self.until("the engine is asked to train", move |_| !requests.is_empty());
        match self.requests.try_recv() {
            Ok(Request::Train { run, .. }) => run,
            other => panic!("{other:?}"),
        }
    }

    pub fn go(&mut self, place: &str) {
        self.click(place);
    }

    /// A press of somebody who has seen what the one before did.
    pub fn key(&mut self, key: egui::Key) {
        self.keys(egui::Modifiers::NONE, key);
    }

    pub fn keys(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.state_mut().views_mut().keyboard.letters.end();
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run();
    }

    /// Presses one after the other, with nothing seen between them but what comes at once.
    pub fn keys_at_once(&mut self, keys: &[egui::Key]) {
        for key in keys {
            self.harness.state_mut().views_mut().keyboard.letters.end();
            self.harness.key_press(*key);
            self.harness.step();
        }
    }

    pub fn drag(&mut self, from: egui::Pos2, to: egui::Pos2) {
        self.harness.hover_at(from);
        self.harness.drag_at(from);
        self.harness.run();
        self.harness.hover_at(to);
        self.harness.run();
        self.harness.drop_at(to);
        self.harness.run();
    }

    pub fn click(&mut self, label: &str) {
        self.until("nothing moves under the pointer", is_at_rest);
        self.harness.get_by_label(label).click();
        self.harness.run();
    }

    /// Replaces the text of the field with this label.
    pub fn enter(&mut self, label: &str, text: &str) {
        let field = self.harness.get_by_role_and_label(egui::accesskit::Role::TextInput, label);
        field.focus();
        self.harness.run();
        self.harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::A);
        self.harness.run();
        self.harness.get_by_role_and_label(egui::accesskit::Role::TextInput, label).type_text(text);
        self.harness.run();
    }

    /// Whether a text is anywhere in what a screen reader could read.
    pub fn says(&self, text: &str) -> bool {
        self.harness.root().children_recursive().any(|node| {
            let node = node.accesskit_node();
            let holds = |words: Option<String>| words.is_some_and(|w| w.contains(text));
            holds(node.label()) || holds(node.value())
        })
    }

    /// egui paints a warning where two widgets share an id; a screen must have none.
    pub fn assert_no_id_clash(&self) {
        fn texts(shape: &egui::Shape, out: &mut Vec<String>) {
            match shape {
                egui::Shape::Text(text) => out.push(text.galley.text().to_owned()),
                egui::Shape::Vec(shapes) => shapes.iter().for_each(|shape| texts(shape, out)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for clipped in &self.harness.output().shapes {
            texts(&clipped.shape, &mut found);
        }
        let clashes: Vec<&String> = found.iter().filter(|text| text.contains("use of")).collect();
        assert!(clashes.is_empty(), "{clashes:#?}");
    }

    /// Compares the pixels with the stored picture. Without a software or hardware adapter there is nothing to compare:
    /// that is said, and is a failure on CI.
    pub fn picture(&mut self, name: &str, results: &mut SnapshotResults) {
        // Whatever the test put into the state is drawn first; then until() draws once more.
        self.harness.run();
        self.until("what was done is saved and read", |app| {
            app.project_is_at_rest() && !app.workspace().saving.writing
        });
        if let Err(error) = self.harness.render() {
            assert!(std::env::var_os("CI").is_none(), "no picture of {name}: {error}");
            eprintln!("skipped the picture {name}: {error}");
            return;
        }
        results.add(self.harness.try_snapshot(name));
    }
}

fn pair(n: usize) -> Pair {
    let mut pair = Pair::new(
        PairId::NEW,
        Prompt::Text(format!("When is high water at pier {n}?")),
        &["At six.", "High water is at six in the evening, sailor."],
    );
    pair.verdict =
        (n < 10).then(|| Verdict::local(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly }, 0));
    pair
}

/// One step's metrics as a run that goes well has them.
pub fn metrics(step: u64, slowness: f64) -> Metrics {
    let t = step as f64 / slowness;
    let won = 1.0 - (-t).exp();
    let wiggle = (step as f64 * 1.7).sin() * 0.04;
    let gap = 18.0 * won;
    [
        ("loss", -0.5 - 0.4 * won + wiggle + 0.6),
        ("loss/preference", -0.5 - 0.4 * won + wiggle),
        ("loss/reference", 0.6 + 0.1 * won),
        ("rewards/chosen", 0.6 * won + wiggle),
        ("rewards/rejected", -1.2 * won + wiggle),
        ("rewards/margins", 1.8 * won),
        ("rewards/accuracies", (0.5 + 0.5 * won + wiggle).min(1.0)),
        ("logps/chosen_change", 6.0 * won + 4.0 * wiggle),
        ("logps/rejected_change", -12.0 * won + 4.0 * wiggle),
        ("push/asleep", 0.4 * won),
        ("margin/q10", gap * 0.3 - 2.0 + 20.0 * wiggle),
        ("margin/q50", gap + 10.0 * wiggle),
        ("margin/q90", gap * 1.5 + 2.0 + 20.0 * wiggle),
        ("grad_norm", 0.8 + 0.5 * (1.0 - won) + wiggle.abs()),
        ("learning_rate", 3e-4 * (1.0 - step as f64 / 500.0)),
        ("tokens_per_sec", 2100.0 + 400.0 * wiggle),
        ("memory_mb", 412.0),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// What is measured on held-out pairs.
pub fn held_out(step: u64, slowness: f64) -> Metrics {
    let won = 1.0 - (-(step as f64) / slowness).exp();
    [
        ("eval_loss", 0.1 - 0.35 * won),
        ("eval_rewards/accuracies", 0.5 + 0.47 * won),
        ("eval_rewards/margins", 1.6 * won),
        ("eval_margin/q50", 16.0 * won),
        ("kl/ref", 0.03 * won * won),
        ("kl/policy_k3", 0.05 * won * won),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

pub fn step(run: RunId, step: u64, total_steps: u64) -> Event {
    Event::Step {
        run,
        step,
        total_steps,
        metrics: metrics(step, 60.0),
        eta_secs: Some((total_steps - step) as f64 * 0.4),
    }
}

/// What a run on a processor of today says of its numbers.
pub fn arithmetic() -> Arithmetic {
    Arithmetic {
        weights: "bf16".to_owned(),
        compute: "bf16".to_owned(),
        multiplier: None,
        remark: Some("by the processor's own instruction".to_owned()),
    }
}

/// A run that the project already has, complete with its metrics.
pub fn past_run(project: &mut Project, method: Method, beta: f64, slowness: f64) -> RunId {
    let mut config = RunConfig::default();
    config.objective.kind = method;
    config.objective.beta = beta;
    let name = Objective::of(&config.objective).name();
    let run = project
        .create_run(&NewRun {
            name: format!("{name} β {beta}"),
            config_toml: config.to_toml().unwrap(),
            method: name,
            revision: project.revision().unwrap(),
            parent: None,
        })
        .unwrap();
    project.set_total_steps(run, 120).unwrap();
    for step in 1..=120 {
        let mut all = metrics(step, slowness);
        if step % 10 == 0 {
            all.extend(held_out(step, slowness));
        }
        project.append_step(run, step, step * 300, &all).unwrap();
    }
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
    run
}
