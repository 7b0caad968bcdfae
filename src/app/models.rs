//! Carries out what the Models screen asks for. Disks are slow and a cache may be large: everything is looked at on a thread
//! of its own, one model at a time.

use std::path::{Path, PathBuf};

use super::App;
use crate::{
    data::{
        ModelCard, ModelKind,
        config::{ModelConfig, Setting},
    },
    engine::catalog::{self, Catalog, Found},
    state::{
        Command, Notice, Screen,
        answers::Tab,
        ask::{Guest, Source},
        labelling::Side,
        models::{Entry, Group, Intake, ModelsCommand, Selected},
        runs::Loaded,
        train::Sheet,
    },
};

impl App {
    pub(super) fn apply_models(&mut self, command: ModelsCommand, ctx: &egui::Context, frame: &eframe::Frame) {
        match command {
            ModelsCommand::Look => self.look_for_models(),
            ModelsCommand::Add(place) => self.add_models(place),
            ModelsCommand::PickFolder => {
                self.dialogs.pick_folder(frame, "A model, or a folder of models", |place| {
                    Command::Models(ModelsCommand::Add(place))
                });
            }
            ModelsCommand::PickFile => {
                self.dialogs
                    .pick_file(frame, "A GGUF file", &["gguf"], |place| Command::Models(ModelsCommand::Add(place)));
            }
            ModelsCommand::Forget(place) => {
                self.views.models.places.retain(|known| *known != place);
                self.workspace.models.looked = Loaded::Absent;
            }
            ModelsCommand::Use(card) => self.use_model(*card, ModelConfig::START_ADAPTER),
            ModelsCommand::Continue(card) => self.use_model(*card, ModelConfig::CONTINUE_ADAPTER),
            ModelsCommand::Try(card) => self.try_model(*card),
            ModelsCommand::TryRun(run) => self.ask_from(Source::Run { run, step: None }),
            ModelsCommand::ShowRun(run) => {
                self.views.screen = Screen::Models;
                self.views.models.selected = Some(Selected::Run(run));
                self.views.models.reveal = true;
            }
            ModelsCommand::OpenFolder(folder) => self.show_folder(&folder),
            ModelsCommand::Fetch(command) => self.apply_fetch(command, ctx),
            ModelsCommand::Export(command) => self.apply_export(command, ctx, frame),
        }
    }

    /// Lists what there is; [`App::look_at_models`] then has each looked at.
    fn look_for_models(&mut self) {
        let catalog = self.catalog.clone();
        let project = self.workspace.project.as_ref();
        let own = project.map(|project| project.model.clone());
        let places = self.views.models.places.clone();
        self.workspace.models.looked = Loaded::Asked;
        self.models.open("Could not list the models", move |_| {
            let mut groups = Vec::new();
            if let Some(own) = own.filter(|own| !own.as_os_str().is_empty()) {
                groups.push(group("This project's model", &own, false, catalog.found_in(&own)));
            }
            for place in &places {
                let title = place.display().to_string();
                groups.push(group(&title, place, true, catalog.found_in(place)));
            }
            let cached = catalog.cached();
            groups.push(group("Hugging Face cache", catalog.cache(), false, cached));
            let machine = catalog::machine();
            Ok(Box::new(move |workspace, _| {
                workspace.models.fill(machine, groups);
            }))
        });
    }

    /// Has everything looked at that was listed since.
    pub(super) fn look_at_models(&mut self) {
        for (name, path) in std::mem::take(&mut self.workspace.models.to_look) {
            let catalog = self.catalog.clone();
            self.models.open("Could not look at a model", move |_| {
                let card = catalog.card(&Found { name, path });
                Ok(Box::new(move |workspace, _| workspace.models.put(card)))
            });
        }
    }

    /// Remembers a place, unless there is nothing that could be a model.
    fn add_models(&mut self, place: PathBuf) {
        let catalog = self.catalog.clone();
        self.workspace.models.refused = None;
        self.models.open("Could not add the folder", move |_| {
            let found = catalog.found_in(&place);
            let card = catalog.card(&found[0]);
            let refused = refusal(&catalog, &place, &card);
            // A name in the cache is listed there already.
            let inside = found[0].path.starts_with(catalog.cache());
            let place = std::path::absolute(found_place(&place, &found)).unwrap_or(place);
            let first = found[0].path.clone();
            Ok(Box::new(move |workspace, views| {
                workspace.models.refused = refused;
                if workspace.models.refused.is_some() {
                    return;
                }
                let view = &mut views.models;
                if !inside {
                    view.remember(place);
                }
                view.intake = Intake::None;
                view.path.clear();
                view.selected = Some(Selected::Model(first));
                view.reveal = true;
                workspace.models.looked = Loaded::Absent;
            }))
        });
    }

    /// The project's own model may change until something was trained from it: afterwards its runs need it where it is.
    /// An adapter goes into the setting `place`.
    fn use_model(&mut self, card: ModelCard, place: Setting) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        if card.kind != ModelKind::Adapter && self.workspace.runs.records.is_empty() {
            self.set_project_model(card);
            return;
        }
        let Some((model, adapter)) = card.weights() else {
            return;
        };
        let own = project.model == model;
        let launch = &mut self.views.train.launch;
        let model = if own { String::new() } else { model.display().to_string() };
        let adapter = adapter.map(|adapter| adapter.display().to_string());
        launch.set(ModelConfig::PATH.key, model);
        for field in [ModelConfig::START_ADAPTER, ModelConfig::CONTINUE_ADAPTER] {
            launch.set(field.key, "");
        }
        launch.set(place.key, adapter.unwrap_or_default());
        self.views.train.sheet = Sheet::Launch;
        // The start adapter is one of the settings that are folded away.
        self.views.train.more |= card.kind == ModelKind::Adapter;
        self.views.screen = Screen::Train;
        let note = if place == ModelConfig::CONTINUE_ADAPTER {
            format!("The next run trains {} further", card.name)
        } else {
            format!("The next run starts from {}", card.name)
        };
        self.workspace.notices.push(Notice::info(note));
    }

    fn set_project_model(&mut self, card: ModelCard) {
        self.files.write("Could not change the project's model", move |project| {
            let mut settings = project.settings()?;
            settings.model.clone_from(&card.folder);
            project.set_settings(&settings)?;
            let model = project.settings()?.model;
            Ok(Box::new(move |workspace, views| {
                if let Some(project) = &mut workspace.project {
                    project.model = model;
                }
                views.train.launch.set(ModelConfig::PATH.key, "");
                workspace.tokens = crate::state::tokens::Tokens::default();
                workspace.models.looked = Loaded::Absent;
                let note = format!("This project tunes {} from now on", card.name);
                workspace.notices.push(Notice::info(note));
            }))
        });
    }

    fn try_model(&mut self, card: ModelCard) {
        let Some((folder, adapter)) = card.weights() else {
            return;
        };
        self.views.answers.ask.guest = Some(Guest { name: card.name, folder, adapter });
        self.ask_from(Source::Guest);
    }

    /// Shows the ask box with this source on its right, where a trained model stands beside the one it came from.
    fn ask_from(&mut self, source: Source) {
        let view = &mut self.views.answers;
        if !view.ask.busy() {
            view.ask.column_mut(Side::Right).source = source;
            view.ask.two = true;
        }
        view.tab = Tab::Ask;
        self.views.screen = Screen::Answers;
    }

    /// Shows a folder in the system's file manager.
    fn show_folder(&mut self, folder: &Path) {
        let program = match () {
            () if cfg!(target_os = "macos") => "open",
            () if cfg!(target_os = "windows") => "explorer",
            () => "xdg-open",
        };
        let quiet = std::process::Stdio::null;
        let opened = std::process::Command::new(program).arg(folder).stdout(quiet()).stderr(quiet()).spawn();
        if let Err(error) = opened {
            self.workspace.notices.push(Notice::warning(
                format!("Could not open {}", folder.display()),
                format!("`{program}` did not start: {error}"),
            ));
        }
    }
}

fn group(title: &str, place: &Path, added: bool, found: Vec<Found>) -> Group {
    Group {
        title: title.to_owned(),
        place: place.to_owned(),
        added,
        entries: found.into_iter().map(|Found { name, path }| Entry { name, path, card: None }).collect(),
    }
}

/// What to remember of a place: the model that was meant by a file inside it, else the place itself.
fn found_place(place: &Path, found: &[Found]) -> PathBuf {
    match found {
        [only] => only.path.clone(),
        _ => place.to_owned(),
    }
}

/// A model that cannot be used is still worth a card; a place without any model is not.
fn refusal(catalog: &Catalog, place: &Path, card: &ModelCard) -> Option<String> {
    let found = catalog.found_in(place);
    let is_model = catalog::is_model(&card.folder) || card.folder.is_file();
    if found.len() > 1 || is_model {
        return None;
    }
    Some(if card.folder.exists() {
        format!(
            "{} holds no model: no config.json, adapter_config.json or GGUF file, and none in the folders below",
            place.display()
        )
    } else {
        format!("There is no {}, and no model of this name in {}", place.display(), catalog.cache().display())
    })
}
