//! The Models screen: what is on this machine, as far as it was looked at; what the screen remembers and can ask for.

use std::path::{Path, PathBuf};

use data::{Fit, Machine, ModelCard};
use serde::{Deserialize, Serialize};
use store::RunId;

use super::{
    Command,
    download::{FetchCommand, Fetching},
    export::{ExportCommand, ExportForm, Exporting},
    runs::Loaded,
};

/// Written only by `app`.
#[derive(Debug, Default)]
pub struct ModelsData {
    pub looked: Loaded,
    pub machine: Option<Machine>,
    pub groups: Vec<ModelGroup>,
    /// Why the path in the strip could not be added, as a sentence.
    pub refused: Option<String>,
    pub exporting: Exporting,
    pub fetching: Fetching,
}

/// Models that are at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelGroup {
    pub title: String,
    /// The folder, or the file, that was looked through.
    pub place: PathBuf,
    /// The user named this place, and can have it forgotten.
    pub added: bool,
    pub entries: Vec<ModelEntry>,
}

/// One model, or what may be one.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelEntry {
    pub name: String,
    pub path: PathBuf,
    /// Absent until it was looked at.
    pub card: Option<ModelCard>,
}

impl ModelsData {
    /// What is at the places now. Cards that are known stay until they have been read again; what is listed twice is
    /// shown where it is listed first. Gives what is to be looked at now: all of it.
    pub fn fill(&mut self, machine: Machine, groups: Vec<ModelGroup>) -> Vec<Command> {
        let known = std::mem::take(&mut self.groups);
        let mut paths: Vec<PathBuf> = Vec::new();
        self.looked = Loaded::Ready;
        self.machine = Some(machine);
        let mut looks = Vec::new();
        for mut group in groups {
            group.entries.retain(|entry| !paths.contains(&entry.path));
            for entry in &mut group.entries {
                paths.push(entry.path.clone());
                let mut entries = known.iter().flat_map(|group| &group.entries);
                let old = entries.find(|old| old.path == entry.path);
                entry.card = old.and_then(|old| old.card.clone());
                let (name, path) = (entry.name.clone(), entry.path.clone());
                looks.push(Command::Models(ModelsCommand::LookAt { name, path }));
            }
            self.groups.push(group);
        }
        looks
    }

    /// Something was looked at.
    pub fn put(&mut self, card: ModelCard) {
        let mut entries = self.groups.iter_mut().flat_map(|group| &mut group.entries);
        if let Some(entry) = entries.find(|entry| entry.path == card.folder) {
            entry.card = Some(card);
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = &ModelEntry> {
        self.groups.iter().flat_map(|group| &group.entries)
    }

    pub fn entry(&self, path: &Path) -> Option<&ModelEntry> {
        self.entries().find(|entry| entry.path == path)
    }

    pub fn card(&self, path: &Path) -> Option<&ModelCard> {
        self.entry(path)?.card.as_ref()
    }

    /// How many were looked at, of how many.
    pub fn progress(&self) -> (usize, usize) {
        let seen = self.entries().filter(|entry| entry.card.is_some()).count();
        (seen, self.entries().count())
    }

    /// Whether an adapter can be trained on this model here.
    pub fn fit(&self, card: &ModelCard) -> Option<Fit> {
        let needs = card.needs?;
        Some(self.machine.as_ref()?.fit(needs.least))
    }
}

/// What the list shows at its right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selected {
    Model(PathBuf),
    Run(RunId),
}

/// What stands between the title and the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddForm {
    #[default]
    None,
    /// A place to be looked through.
    Add,
    /// A model to be fetched from the hub.
    Download,
}

/// What the screen remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelsView {
    /// Folders and files that the user named.
    pub places: Vec<PathBuf>,
    pub selected: Option<Selected>,
    pub export: ExportForm,
    #[serde(skip)]
    pub intake: AddForm,
    /// The strip was just opened: its field takes the caret.
    #[serde(skip)]
    pub intake_opens: bool,
    /// A path being typed.
    #[serde(skip)]
    pub path: String,
    /// A name of the hub being typed.
    #[serde(skip)]
    pub hub_name: String,
    /// The selection was moved by a key: the list scrolls to it.
    #[serde(skip)]
    pub reveal: bool,
}

impl ModelsView {
    /// A place to be looked through from now on; the newest first.
    pub fn remember(&mut self, place: PathBuf) {
        self.places.retain(|known| *known != place);
        self.places.insert(0, place);
    }
}

#[derive(Debug, Clone)]
pub enum ModelsCommand {
    /// List everything and look at each.
    Look,
    /// Look at one that is listed.
    LookAt {
        name: String,
        path: PathBuf,
    },
    /// Look through this place from now on.
    Add(PathBuf),
    /// Ask for a folder, or for a GGUF file, with a file dialog, then add it.
    PickFolder,
    PickFile,
    /// Leave out a place that was added. Nothing on the disk changes.
    Forget(PathBuf),
    /// Tune this from now on: the project's own model while it has no runs, else the model or the adapter that the next
    /// run starts from.
    Use(Box<ModelCard>),
    /// Train this adapter itself further in the next run, on its base model.
    Continue(Box<ModelCard>),
    /// Talk to it.
    Try(Box<ModelCard>),
    /// Talk to a run.
    TryRun(RunId),
    /// Go to a run among the models, where it can be exported.
    ShowRun(RunId),
    /// In the system's file manager.
    OpenFolder(PathBuf),
    Export(ExportCommand),
    Fetch(FetchCommand),
}

/// 7.62 B, 494 M, 1.2 M: how many parameters, as models are called by.
pub fn count(parameters: u64) -> String {
    let count = parameters as f64;
    match count {
        _ if count >= 99.5e9 => format!("{:.0} B", count / 1e9),
        _ if count >= 9.95e9 => format!("{:.1} B", count / 1e9),
        _ if count >= 0.9995e9 => format!("{:.2} B", count / 1e9),
        _ if count >= 9.95e6 => format!("{:.0} M", count / 1e6),
        _ => format!("{:.1} M", count / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::ModelKind;

    fn machine() -> Machine {
        Machine { device: "the processor".to_owned(), held: 0, free: 1000, total: 2000, cards: Vec::new() }
    }

    fn group(title: &str, paths: &[&str]) -> ModelGroup {
        ModelGroup {
            title: title.to_owned(),
            place: PathBuf::from("/models"),
            added: false,
            entries: paths
                .iter()
                .map(|path| ModelEntry { name: (*path).to_owned(), path: PathBuf::from(path), card: None })
                .collect(),
        }
    }

    fn card(path: &str) -> ModelCard {
        ModelCard::new(path, path, ModelKind::Folder)
    }

    #[test]
    fn a_model_is_listed_once_and_keeps_its_card_while_it_is_looked_at_again() {
        let mut data = ModelsData::default();
        let places = || vec![group("Project", &["/a"]), group("Cache", &["/a", "/b"])];
        assert_eq!(data.fill(machine(), places()).len(), 2);
        assert_eq!(data.progress(), (0, 2));
        data.put(card("/b"));
        data.put(card("/gone"));
        assert_eq!(data.progress(), (1, 2));
        assert_eq!(data.fill(machine(), places()).len(), 2, "it is read again");
        assert_eq!(data.progress(), (1, 2), "without a flicker");
        assert!(data.card(Path::new("/b")).is_some());
    }

    #[test]
    fn a_place_is_remembered_once() {
        let mut view = ModelsView::default();
        for place in ["/a", "/b", "/a"] {
            view.remember(PathBuf::from(place));
        }
        assert_eq!(view.places, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }

    #[test]
    fn parameters_are_counted_in_three_digits_at_most() {
        assert_eq!([1_200_000, 494_032_768, 7_615_616_512].map(count), ["1.2 M", "494 M", "7.62 B"]);
    }
}
