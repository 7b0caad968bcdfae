//! Pictures of the places that show this machine: drawn from made-up state, so that they are the same on every machine.

use std::path::PathBuf;

use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};
use nudge::{
    data::{
        Base, Machine, ModelCard, ModelKind, Needs,
        download::{Offer, Phase, Progress},
    },
    engine::protocol::{Exported, Proof, WhichCheckpoint},
    state::{
        Commands, OpenedProject, ProjectSummary, Screen, ThemeChoice, Views, Workspace,
        checkpoints::Checkpoints,
        compare::board::Board,
        download::Fetching,
        export::{ExportDone, ExportKind, ExportPlan, Exporting, StoredAs},
        guide::{About, Guide},
        models::{AddForm, ModelEntry, ModelGroup, Selected},
        projects::{Making, NewProjectForm},
        runs::Loaded,
    },
    store::{Counts, Revision, RunId, RunRecord, RunStatus},
    ui,
};

const GB: u64 = 1_000_000_000;

fn model(name: &str, path: &str, billions: f64, dtype: &str) -> ModelCard {
    let parameters = (billions * 1e9) as u64;
    let bytes = parameters * if dtype == "F32" { 4 } else { 2 };
    ModelCard {
        bytes,
        family: Some("Qwen2".to_owned()),
        parameters: Some(parameters),
        context: Some(32_768),
        dtype: Some(dtype.to_owned()),
        template: Some(true),
        needs: Some(Needs {
            answering: bytes + GB / 20,
            training: bytes + GB,
            row_tokens: 1024,
            least: bytes + GB / 2,
        }),
        ..ModelCard::new(name, path, ModelKind::Folder)
    }
}

fn group(title: &str, place: &str, added: bool, cards: Vec<ModelCard>) -> ModelGroup {
    ModelGroup {
        title: title.to_owned(),
        place: PathBuf::from(place),
        added,
        entries: cards
            .into_iter()
            .map(|card| ModelEntry { name: card.name.clone(), path: card.folder.clone(), card: Some(card) })
            .collect(),
    }
}

/// A cache with something of every kind.
fn groups() -> Vec<ModelGroup> {
    let own = model("org/harbour-0.5b", "/hub/harbour", 0.494, "BF16");
    let mut broken = ModelCard::new("org/state-space-1b", "/hub/mamba", ModelKind::Folder);
    broken.bytes = 2 * GB;
    broken.reason = Some(
        "/hub/mamba/config.json cannot be used: its `model_type` is \"mamba\"; Llama, Mistral, Qwen2, Qwen3, Gemma 2 and 3, Phi3, SmolLM3 and OLMo2 can be read"
            .to_owned(),
    );
    let mut adapter = ModelCard::new("polite-harbour", "/data/polite", ModelKind::Adapter);
    adapter.bytes = 35_000_000;
    adapter.parameters = Some(8_800_000);
    adapter.rank = Some(16);
    adapter.dtype = Some("F32".to_owned());
    adapter.base = Some(Base { name: "org/gone-7b".to_owned(), folder: None });
    vec![
        group("This project's model", "/hub/harbour", false, vec![own]),
        group(
            "/home/me/models",
            "/home/me/models",
            true,
            vec![
                ModelCard {
                    kind: ModelKind::Gguf,
                    ..model("tides-1.5b-q4_k_m.gguf", "/home/me/models/tides.gguf", 1.54, "Q4_K")
                },
                adapter,
            ],
        ),
        group(
            "Hugging Face cache",
            "/home/me/.cache/huggingface/hub",
            false,
            vec![model("org/harbour-7b", "/hub/harbour-7b", 7.62, "BF16"), broken],
        ),
    ]
}

fn run(id: i64, name: &str) -> RunRecord {
    RunRecord {
        id: RunId(id),
        name: name.to_owned(),
        method: "MPO anchored-sum".to_owned(),
        status: RunStatus::Completed,
        revision: Revision(4),
        step: 120,
        total_steps: 120,
        dir: PathBuf::from("/home/me/Nudge/Harbour/runs/1"),
        checkpoints: vec![PathBuf::from("/home/me/Nudge/Harbour/runs/1/checkpoints")],
        ..RunRecord::default()
    }
}

struct Scene {
    workspace: Workspace,
    views: Views,
}

impl Scene {
    fn new(screen: Screen) -> Self {
        let (mut workspace, mut views) = (Workspace::default(), Views::default());
        let project = |dir: &str, name: &str| ProjectSummary {
            dir: PathBuf::from(dir),
            name: name.to_owned(),
            model: PathBuf::from("/hub/harbour"),
            has_template: true,
            ..ProjectSummary::default()
        };
        for (dir, name) in [
            ("/home/me/.local/share/nudge/demo", "Demo"),
            ("/home/me/Nudge/Old letters", "Old letters"),
            ("/home/me/Nudge/Harbour tone", "Harbour tone"),
        ] {
            let opened = OpenedProject {
                project: project(dir, name),
                runs: vec![run(1, "Before"), run(2, "MPO β 0.1")],
                saved: [1, 2].map(|id| (RunId(id), Checkpoints { steps: vec![60, 120], asked_for: vec![60] })).into(),
                board: Board::default(),
                ignored: state::ignored::Ignored::default(),
                order: Vec::new(),
                rules: Vec::new(),
                can_turn_about: [false; 2],
                texts: nudge::state::writing::UnsavedTexts::default(),
            };
            workspace.open(opened, &mut views);
        }
        workspace.projects.home = PathBuf::from("/home/me/Nudge");
        workspace.projects.looked = true;
        workspace.projects.gone = vec![PathBuf::from("/home/me/Nudge/Old letters")];
        let machine = Machine {
            device: "the processor".to_owned(),
            held: GB / 5,
            free: 11 * GB,
            total: 16 * GB,
            cards: Vec::new(),
        };
        workspace.models.fill(machine, groups());
        for card in groups().into_iter().flat_map(|group| group.entries) {
            workspace.models.put(card.card.unwrap());
        }
        assert_eq!(workspace.models.looked, Loaded::Ready);
        views.screen = screen;
        views.guide = Guide::finished();
        Self { workspace, views }
    }

    fn picture(mut self, name: &str, theme: egui::Theme, size: [f32; 2], results: &mut SnapshotResults) {
        self.views.theme = match theme {
            egui::Theme::Dark => ThemeChoice::Dark,
            egui::Theme::Light => ThemeChoice::Light,
        };
        let commands = Commands::new(|| {});
        let Self { workspace, mut views } = self;
        let mut harness = Harness::builder()
            .with_size(size)
            .with_theme(theme)
            .with_options(SnapshotOptions::new().threshold(1.0).max_failed_pixels(12))
            .with_render_cursor(false)
            .with_context_setup(ui::theme::install)
            .build_ui(move |ui| ui::shell(ui, &workspace, &mut views, &commands));
        harness.run();
        if let Err(error) = harness.render() {
            let checked = std::env::var_os("CI").is_some();
            assert!(!checked, "no picture of {name}: {error}");
            eprintln!("skipped the picture {name}: {error}");
            return;
        }
        results.add(harness.try_snapshot(name));
    }
}

const USUAL: [f32; 2] = [1280.0, 800.0];
const SMALL: [f32; 2] = [900.0, 600.0];
const LARGE: [f32; 2] = [2560.0, 1440.0];

#[test]
fn the_first_minutes() {
    let mut results = SnapshotResults::new();
    let scene = |screen| {
        let mut scene = Scene::new(screen);
        scene.views.guide = Guide::default();
        let story =
            "The pairs of this project are about a harbour. They say how its notices should sound, and nothing else.";
        let project = scene.workspace.project.as_mut().unwrap();
        project.counts.better = 81;
        project.about = About::from_toml(&format!("setup = \"{story}\"\ncompare = \"{story}\"\n"));
        scene
    };
    scene(Screen::Train).picture("first_start_dark_small", egui::Theme::Dark, SMALL, &mut results);
    scene(Screen::Train).picture("first_start_light_large", egui::Theme::Light, LARGE, &mut results);
    scene(Screen::Compare).picture("first_compare_light", egui::Theme::Light, USUAL, &mut results);
    let mut own = scene(Screen::Models);
    let opened = own.workspace.project.as_mut().unwrap();
    opened.about = About::default();
    opened.counts = Counts::default();
    own.workspace.runs = nudge::state::runs::Runs::default();
    own.picture("own_project_light_small", egui::Theme::Light, SMALL, &mut results);
}

#[test]
fn the_models_of_this_machine() {
    let mut results = SnapshotResults::new();
    let scene = || Scene::new(Screen::Models);
    scene().picture("models_light", egui::Theme::Light, USUAL, &mut results);
    let mut unsupported = scene();
    unsupported.views.models.selected = Some(Selected::Model("/hub/mamba".into()));
    unsupported.picture("models_dark_small", egui::Theme::Dark, SMALL, &mut results);
}

#[test]
fn a_model_on_its_way() {
    let mut results = SnapshotResults::new();
    let scene = |fetching| {
        let mut scene = Scene::new(Screen::Models);
        scene.views.models.intake = AddForm::Download;
        scene.views.models.hub_name = "org/tides-1.5b".to_owned();
        scene.workspace.models.fetching = fetching;
        scene
    };
    let offered = Fetching::Offered(Offer {
        name: "org/tides-1.5b".to_owned(),
        files: 6,
        bytes: 3 * GB + GB / 10,
        there: 0,
        license: Some("apache-2.0".to_owned()),
        page: "https://huggingface.co/org/tides-1.5b".to_owned(),
        free: Some(61 * GB),
    });
    scene(offered).picture("download_offer_light", egui::Theme::Light, USUAL, &mut results);
    let under_way = Fetching::UnderWay {
        name: "org/tides-1.5b".to_owned(),
        progress: Progress {
            phase: Phase::Fetching,
            file: Some("model.safetensors".to_owned()),
            files_done: 5,
            files: 6,
            bytes: GB + GB / 5,
            total_bytes: 3 * GB + GB / 10,
            bytes_per_sec: 11.4e6,
            note: None,
        },
    };
    scene(under_way).picture("download_dark_small", egui::Theme::Dark, SMALL, &mut results);
}

#[test]
fn an_export_and_its_proof() {
    let mut results = SnapshotResults::new();
    let scene = || {
        let mut scene = Scene::new(Screen::Models);
        scene.views.models.selected = Some(Selected::Run(RunId(2)));
        scene
    };
    scene().picture("export_form_light", egui::Theme::Light, USUAL, &mut results);
    let mut gguf = scene();
    gguf.views.models.export.layout = ExportKind::GgufModel;
    gguf.picture("export_gguf_dark_small", egui::Theme::Dark, SMALL, &mut results);
    let mut done = scene();
    done.workspace.models.exporting = Exporting::Done(Box::new(ExportDone {
        plan: ExportPlan {
            run: RunId(2),
            layout: ExportKind::Merged,
            stored: StoredAs::Base,
            strength: 100,
            which: WhichCheckpoint::Newest,
            to: PathBuf::from("/home/me/Nudge/Harbour tone/exports/MPO-β-0.1-merged"),
            replace: false,
        },
        bytes: 988_097_824,
        exported: Exported {
            step: 120,
            proof: Some(Proof {
                probes: 5,
                difference: 1.3e-5,
                rounding: None,
                largest: 21.0,
                effect: 4.182,
                changed: 5,
            }),
            passed_over: Vec::new(),
            remarks: Vec::new(),
        },
    }));
    done.picture("export_done_dark", egui::Theme::Dark, USUAL, &mut results);
}

#[test]
fn other_projects_and_a_new_one() {
    let mut results = SnapshotResults::new();
    let mut scene = Scene::new(Screen::Projects);
    scene.views.projects.form = NewProjectForm { name: "Ferry notices".to_owned(), ..NewProjectForm::default() };
    scene.picture("projects_light", egui::Theme::Light, USUAL, &mut results);
    let mut failed = Scene::new(Screen::Projects);
    failed.views.projects.form = NewProjectForm {
        name: "Ferry notices".to_owned(),
        model: "/hub/mamba".to_owned(),
        ..NewProjectForm::default()
    };
    failed.workspace.projects.making =
        Making::Failed("/hub/mamba/config.json cannot be used: its `model_type` is \"mamba\"".to_owned());
    failed.picture("projects_dark_small", egui::Theme::Dark, SMALL, &mut results);
}

#[test]
fn nothing_is_open_yet() {
    let mut results = SnapshotResults::new();
    let mut scene = Scene::new(Screen::Pairs);
    scene.workspace.project = None;
    scene.picture("no_project_dark", egui::Theme::Dark, SMALL, &mut results);
}
