//! Models on this machine: where they are, what each is, and what it would take. Headers and settings only.

use std::path::{Path, PathBuf};

pub use model::bytes_on_disk;

use data::{
    Base, Machine, ModelCard, ModelKind, Needs,
    config::{Basis, RunConfig},
};
use kernels::{
    Place,
    device::{self, DeviceChoice},
};
use model::{AdapterSurvey, HubCache, Spec, Survey};
use store::Project;
use train::{
    Result,
    memory::{budget, process},
};

/// Folders are looked through this far down, e.g. `models/org/name/file.gguf`.
const DEPTH: usize = 4;
/// A folder that holds more is no folder of models.
const MOST: usize = 1000;

/// Something that may be a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundModel {
    pub name: String,
    pub path: PathBuf,
}

/// Where models are looked for.
#[derive(Debug, Clone)]
pub struct Catalog {
    hub_cache: HubCache,
}

impl Catalog {
    /// With the Hugging Face cache of whoever runs this program.
    pub fn of_user() -> Self {
        Self { hub_cache: HubCache::of_user() }
    }

    /// With a cache elsewhere.
    pub fn at(cache: impl Into<PathBuf>) -> Self {
        Self { hub_cache: HubCache::at(cache) }
    }

    /// The folder of the cache.
    pub fn cache(&self) -> &Path {
        self.hub_cache.root()
    }

    /// Everything in the cache, by name.
    pub fn cached(&self) -> Vec<FoundModel> {
        let entries = self.hub_cache.entries().into_iter();
        let found = entries.map(|(name, entry)| FoundModel {
            name,
            // One that was not fetched to the end says so on its card.
            path: self.hub_cache.resolve(&entry).unwrap_or(entry),
        });
        found.collect()
    }

    /// The model that a path or a name means, or the models and adapters somewhere below it. The path itself where
    /// there is none: its card says why.
    pub fn found_in(&self, place: &Path) -> Vec<FoundModel> {
        let named = |path: PathBuf| FoundModel {
            name: self.hub_cache.name_of(&path).unwrap_or_else(|| file_name(&path)),
            path,
        };
        let meant = self.hub_cache.resolve(place);
        let meant = meant.unwrap_or_else(|_| place.to_owned());
        if !meant.is_dir() {
            return vec![named(meant)];
        }
        let mut paths = Vec::new();
        if is_model(&meant) {
            paths.extend(gguf_files(&meant));
            paths.push(meant.clone());
        } else {
            walk(&meant, DEPTH, &mut paths);
        }
        if paths.is_empty() {
            paths.push(meant);
        }
        paths.sort();
        paths.into_iter().map(named).collect()
    }

    /// What a model is; where it cannot be used, the card says why.
    pub fn card(&self, found: &FoundModel) -> ModelCard {
        let FoundModel { name, path } = found;
        let is_adapter = AdapterSurvey::is_one(path);
        let kind = match () {
            () if is_adapter => ModelKind::Adapter,
            () if path.is_file() => ModelKind::Gguf,
            () => ModelKind::Folder,
        };
        let mut card = ModelCard::new(name, path, kind);
        let filled = if is_adapter { self.fill_adapter(&mut card) } else { self.fill_model(&mut card) };
        if let Err(error) = filled {
            card.bytes = bytes_on_disk(path);
            card.reason = Some(error.to_string());
        }
        card
    }

    /// What a model to be tuned is, whatever way it is named; from its headers alone, so that a path can be looked at
    /// while it is typed.
    pub fn glance(&self, model: &Path) -> Result<ModelCard> {
        let kind = if model.is_file() { ModelKind::Gguf } else { ModelKind::Folder };
        let mut card = ModelCard::new("", model, kind);
        self.fill_model(&mut card)?;
        Ok(card)
    }

    fn fill_model(&self, card: &mut ModelCard) -> Result<()> {
        let folder = self.hub_cache.resolve(&card.folder)?;
        let survey = Survey::of(&folder)?;
        card.bytes = survey.bytes;
        card.family = Some(format!("{:?}", survey.spec.family));
        card.parameters = Some(survey.spec.parameters() as u64);
        card.context = Some(survey.spec.max_positions);
        card.dtype = Some(survey.dtype.clone());
        card.needs = Some(needs(&survey));
        card.remarks = survey.remarks;
        if let Some(adapter) = survey.beside {
            card.kind = ModelKind::Adapted;
            card.rank = Some(adapter.rank);
        }
        card.template = Some(text::has_template(&folder)?);
        Ok(())
    }

    fn fill_adapter(&self, card: &mut ModelCard) -> Result<()> {
        let adapter = AdapterSurvey::of(&card.folder)?;
        card.bytes = adapter.bytes;
        card.parameters = Some(adapter.parameters);
        card.dtype = Some(adapter.dtype);
        card.rank = Some(adapter.rank);
        let folder = self.base_of(&adapter.base, &card.folder);
        if let Some(folder) = &folder
            && let Ok(survey) = Survey::of(folder)
        {
            card.family = Some(format!("{:?}", survey.spec.family));
            card.context = Some(survey.spec.max_positions);
            card.needs = Some(needs(&survey));
            card.template = text::has_template(folder).ok();
        }
        card.base = Some(Base { name: adapter.base, folder });
        Ok(())
    }

    /// The base model's folder: what the adapter names, here or in the cache; a relative path counts from the adapter's
    /// folder.
    fn base_of(&self, named: &str, adapter: &Path) -> Option<PathBuf> {
        if named.is_empty() {
            return None;
        }
        let beside = adapter.join(named);
        let named = if beside.exists() { &beside } else { Path::new(named) };
        let folder = self.hub_cache.resolve(named).ok()?;
        folder.exists().then_some(folder)
    }

    /// Makes sure that a model can be read, whatever way it is named: a project whose model cannot would be of no use.
    pub fn usable(&self, model: &Path) -> Result<Usable> {
        let folder = self.hub_cache.resolve(model)?;
        Survey::of(&folder)?;
        let codec = text::Codec::load(&folder)?;
        Ok(Usable { folder: std::path::absolute(&folder).unwrap_or(folder), has_template: codec.has_template() })
    }
}

/// Whether a folder itself holds a model or an adapter.
pub fn is_model(folder: &Path) -> bool {
    ["config.json", "adapter_config.json"].iter().any(|file| folder.join(file).is_file())
}

fn walk(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if paths.len() >= MOST {
            return;
        }
        let hidden = file_name(&path).starts_with('.');
        if hidden || path.is_symlink() && path.is_dir() {
            continue; // links may go round in circles
        }
        if path.is_dir() {
            if is_model(&path) {
                paths.extend(gguf_files(&path));
                paths.push(path);
            } else if depth > 1 {
                walk(&path, depth - 1, paths);
            }
        } else if is_gguf(&path) {
            paths.push(path);
        }
    }
}

/// GGUF files beside a model or an adapter are models of their own.
fn gguf_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_gguf(path) && path.is_file()).collect()
}

fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("gguf"))
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn needs(survey: &Survey) -> Needs {
    let row_tokens = budget::prompt_row(survey.spec.parameters());
    Needs {
        answering: survey.answering_bytes(Needs::ANSWER_TOKENS),
        training: survey.roomy_training_bytes(Needs::RANK, row_tokens),
        row_tokens,
        least: survey.training_bytes(Needs::RANK, Needs::LEAST_ROW_TOKENS),
    }
}

/// Where runs would go on this machine if nobody says otherwise, and what memory is there now.
pub fn machine() -> Machine {
    let place = device::open(DeviceChoice::Auto).map(|opened| opened.place);
    let own = place.as_ref().ok().and_then(device::memory);
    let cards = device::trials().map(|trials| trials.in_words()).unwrap_or_default();
    let name = match &place {
        Ok(Place::Gpu(card)) => Some(card.info().name.clone()),
        // candle's devices are chosen before the cards, and are first among those that are there.
        Ok(Place::Candle(_)) => device::all_present().into_iter().next().map(|present| present.name),
        Err(_) => None,
    };
    match (own, name) {
        (Some(memory), Some(device)) => {
            Machine { device, held: memory.used, free: memory.free, total: memory.total, cards }
        }
        _ => Machine {
            device: "the processor".to_owned(),
            held: process::resident_bytes(),
            free: process::free_bytes(),
            total: process::total_bytes(),
            cards,
        },
    }
}

/// What settings follow that nobody has set: the project's pairs and the size of the run's model.
pub fn basis(project: &Project, config: &RunConfig) -> Result<Basis> {
    let model = config.model.path.clone().map_or_else(|| project.settings().map(|settings| settings.model), Ok)?;
    Ok(project.counts()?.basis(parameters(&project.dir().join(model))))
}

/// Of a model, where its headers can be read.
pub fn parameters(model: &Path) -> Option<u64> {
    Spec::read(model).ok().map(|spec| spec.parameters() as u64)
}

/// A model that a project can be made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// Where it is, from the root of the file system.
    pub folder: PathBuf,
    pub has_template: bool,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
    }

    fn card(path: &Path) -> ModelCard {
        let catalog = Catalog::at("nowhere");
        catalog.card(&catalog.found_in(path)[0])
    }

    #[test]
    fn a_folder_of_models_is_looked_through() {
        let catalog = Catalog::at("nowhere");
        let found = catalog.found_in(&fixtures());
        let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        assert!(names.contains(&"llama_q8_0.gguf") && names.contains(&"qwen2_bf16"));
        let one = catalog.found_in(&fixtures().join("models/smollm/config.json"));
        assert_eq!(one.len(), 1);
        assert_eq!(one[0].name, "smollm");
    }

    #[test]
    fn a_folder_may_hold_more_than_one_kind() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("model");
        fs::create_dir(&model).unwrap();
        fs::write(model.join("config.json"), "{}").unwrap();
        fs::copy(fixtures().join("gguf/llama_q8_0.gguf"), model.join("small.gguf")).unwrap();
        let catalog = Catalog::at("nowhere");
        for place in [&model, dir.path()] {
            let found = catalog.found_in(place);
            let kinds: Vec<ModelKind> = found.iter().map(|found| catalog.card(found).kind).collect();
            assert_eq!(kinds, [ModelKind::Folder, ModelKind::Gguf], "{}", place.display());
        }
    }

    #[test]
    fn a_card_says_what_a_model_is() {
        let path = fixtures().join("models/qwen2_bf16");
        let card = card(&path);
        assert_eq!(card.reason, None);
        assert_eq!(card.family.as_deref(), Some("Qwen2"));
        assert_eq!(card.dtype.as_deref(), Some("BF16"));
        let needs = card.needs.unwrap();
        assert!(needs.training > needs.least && needs.least > needs.answering);
        assert!(needs.answering > card.parameters.unwrap());
        assert!(machine().held > 0, "this program holds something");
        assert!(card.template.is_some());
    }

    #[test]
    fn a_card_says_why_a_model_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let nothing = card(dir.path());
        assert!(nothing.reason.unwrap().contains("config.json"));
        fs::write(dir.path().join("config.json"), r#"{"model_type": "mamba"}"#).unwrap();
        let other = card(dir.path());
        assert!(other.reason.unwrap().contains("mamba"));
        let gone = card(&dir.path().join("gone"));
        assert!(gone.reason.is_some());
    }
}
