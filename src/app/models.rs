//! Models: listed, looked at one at a time because a cache may be large, added, used.

use std::path::{Path, PathBuf};

use data::{
    ModelCard, ModelKind,
    config::{ModelConfig, Setting},
};
use engine::catalog::{self, Catalog, FoundModel};
use state::{
    Notice, Screen,
    answers::Tab,
    ask::{AnswerSource, Guest},
    labelling::Side,
    models::{AddForm, ModelEntry, ModelGroup, Selected},
    runs::Loaded,
    train::Sheet,
};

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// Lists what there is; then each is looked at.
    pub(super) fn look_for_models(&mut self) {
        let catalog = self.catalog.clone();
        let project = self.workspace.project.as_ref();
        let own = project.map(|project| project.model.clone());
        let places = self.views.models.places.clone();
        self.workspace.models.looked = Loaded::Asked;
        self.jobs.aside(Lane::Look, "Could not list the models", move || {
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
            Ok(update(move |workspace, _| workspace.models.fill(machine, groups)))
        });
    }

    pub(super) fn look_at_model(&mut self, name: String, path: PathBuf) {
        let catalog = self.catalog.clone();
        self.jobs.aside(Lane::Look, "Could not look at a model", move || {
            let card = catalog.card(&FoundModel { name, path });
            Ok(update(move |workspace, _| workspace.models.put(card)))
        });
    }

    /// Remembers a place, unless there is nothing that could be a model.
    pub(super) fn add_models(&mut self, place: PathBuf) {
        let catalog = self.catalog.clone();
        self.workspace.models.refused = None;
        self.jobs.aside(Lane::Look, "Could not add the folder", move || {
            let found = catalog.found_in(&place);
            let card = catalog.card(&found[0]);
            let refused = refusal(&catalog, &place, &card);
            // A name in the cache is listed there already.
            let inside = found[0].path.starts_with(catalog.cache());
            let place = std::path::absolute(found_place(&place, &found)).unwrap_or(place);
            let first = found[0].path.clone();
            Ok(update(move |workspace, views| {
                workspace.models.refused = refused;
                if workspace.models.refused.is_some() {
                    return;
                }
                let view = &mut views.models;
                if !inside {
                    view.remember(place);
                }
                view.intake = AddForm::None;
                view.path.clear();
                view.selected = Some(Selected::Model(first));
                view.reveal = true;
                workspace.models.looked = Loaded::Absent;
            }))
        });
    }

    /// The project's own model may change until something was trained from it: afterwards its runs need it where it is.
    /// An adapter goes into the setting `place`.
    pub(super) fn use_model(&mut self, card: ModelCard, place: Setting) {
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
        self.jobs.document.write("Could not change the project's model", move |project| {
            let mut settings = project.settings()?;
            settings.model.clone_from(&card.folder);
            project.set_settings(&settings)?;
            let model = project.settings()?.model;
            Ok(update(move |workspace, views| {
                if let Some(project) = &mut workspace.project {
                    project.model = model;
                }
                views.train.launch.set(ModelConfig::PATH.key, "");
                workspace.tokens = state::tokens::TokensData::default();
                workspace.pairs.scores.look_again();
                workspace.models.looked = Loaded::Absent;
                let note = format!("This project tunes {} from now on", card.name);
                workspace.notices.push(Notice::info(note));
            }))
        });
    }

    pub(super) fn try_model(&mut self, card: ModelCard) {
        let Some((folder, adapter)) = card.weights() else {
            return;
        };
        self.views.answers.ask.guest = Some(Guest { name: card.name, folder, adapter });
        self.ask_from(AnswerSource::Guest);
    }

    /// Shows the ask box with this source on its right, where a trained model stands beside the one it came from.
    pub(super) fn ask_from(&mut self, source: AnswerSource) {
        let view = &mut self.views.answers;
        if !view.ask.busy() {
            view.ask.column_mut(Side::Right).source = source;
            view.ask.two = true;
        }
        view.tab = Tab::Ask;
        self.views.screen = Screen::Answers;
    }

    /// Shows a folder in the system's file manager.
    pub(super) fn show_folder(&mut self, folder: &Path) {
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

fn group(title: &str, place: &Path, added: bool, found: Vec<FoundModel>) -> ModelGroup {
    ModelGroup {
        title: title.to_owned(),
        place: place.to_owned(),
        added,
        entries: found.into_iter().map(|FoundModel { name, path }| ModelEntry { name, path, card: None }).collect(),
    }
}

/// What to remember of a place: the model that was meant by a file inside it, else the place itself.
fn found_place(place: &Path, found: &[FoundModel]) -> PathBuf {
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
