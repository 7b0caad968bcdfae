//! A whole model: what is asked, looked at, brought and made a snapshot, in order.

use std::{fs, path::PathBuf};

use data::download::Phase;
use model::{ModelName, Spec, check_file, free_disk_bytes};
use serde::Serialize;
use serde_json::Value;

use super::{
    Hub, HubError,
    blob::{Item, Tries, Way},
    cache::Folder,
    choice::{self, Choice, Kind},
    client::Client,
    listing::{Listing, Remote},
    progress::Watch,
};

/// As much as is read of such files, see [`Spec`] and the weights' index.
const MAX_CONFIG_BYTES: u64 = 4 << 20;
const MAX_INDEX_BYTES: u64 = 64 << 20;

/// A model that is in the cache now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// What was asked for; with the GGUF file, where there was only one.
    #[serde(serialize_with = "as_text")]
    pub name: ModelName,
    /// 40 hex digits.
    pub commit: String,
    /// The snapshot's folder, or the GGUF file in it: what can be given as `model.path`.
    pub path: PathBuf,
    /// A PEFT adapter and no model: `path` can be given as `model.start_adapter`.
    pub is_adapter: bool,
    pub files: usize,
    /// All of them together.
    pub bytes: u64,
    /// What came over the network this time.
    pub received: u64,
}

fn as_text<S: serde::Serializer>(name: &ModelName, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(name)
}

/// Fetches a model. Nothing large is fetched before it is known that it can be used and that there is room for it.
pub(super) fn fetch(hub: &Hub, client: &Client, name: &ModelName, watch: &Watch) -> Result<Fetched, HubError> {
    if hub.offline {
        return Err(HubError::Offline(name.clone()));
    }
    let listing = patiently(hub, watch, || client.listing())?;
    let choice = choice::choose(name, &listing)?;
    fs::create_dir_all(&hub.cache).map_err(HubError::disk("create", &hub.cache))?;
    let folder = Folder::new(&hub.cache, name);
    let way = Way { hub, client, folder: &folder, watch, commit: &listing.commit };
    let job = Job { name, listing: &listing, way };
    let items = job.items(&choice)?;
    job.bring_all(items, &choice)
}

/// Does it, and does it again as long as that may help.
fn patiently<T>(hub: &Hub, watch: &Watch, attempt: impl Fn() -> Result<T, HubError>) -> Result<T, HubError> {
    let mut tries = Tries::new(watch, hub.patience);
    loop {
        watch.change(|progress| progress.phase = Phase::Asking);
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => tries.after(error)?,
        }
    }
}

struct Job<'a> {
    name: &'a ModelName,
    listing: &'a Listing,
    way: Way<'a>,
}

impl Job<'_> {
    /// Everything that is to be there in the end, small files first: what is wrong with them shows before the wait.
    fn items(&self, choice: &Choice) -> Result<Vec<Item>, HubError> {
        let mut items = Vec::new();
        for remote in &choice.files {
            let item = self.item(remote)?;
            if choice.kind == Kind::Folder {
                match item.name.as_str() {
                    choice::CONFIG => self.check_config(&item)?,
                    choice::INDEX => items.extend(self.shards(&item)?),
                    _ => {}
                }
            }
            items.push(item);
        }
        items.sort_by_key(|item| item.stamp.bytes);
        Ok(items)
    }

    /// Brings what is not there yet, and makes all of it a snapshot.
    fn bring_all(&self, items: Vec<Item>, choice: &Choice) -> Result<Fetched, HubError> {
        let Way { folder, watch, .. } = self.way;
        let sizes = items.iter().map(|item| item.stamp.bytes);
        let total = sizes.fold(0, u64::saturating_add);
        let there: u64 = items.iter().map(|item| folder.bytes_of(&item.stamp)).sum();
        self.check_room(total.saturating_sub(there))?;
        watch.change(|progress| {
            progress.files = items.len();
            progress.total_bytes = total;
            progress.bytes = there;
        });
        for (at, item) in items.iter().enumerate() {
            watch.change(|progress| {
                progress.phase = Phase::Rereading;
                progress.file = Some(item.name.clone());
                progress.files_done = at;
            });
            let others = items.iter().filter(|other| *other != item);
            let others = others.map(|other| folder.bytes_of(&other.stamp)).sum();
            self.way.bring(item, others)?;
        }

        let commit = &self.listing.commit;
        for item in &items {
            folder.link(commit, &item.name, &item.stamp)?;
        }
        folder.name(commit)?;
        watch.change(|progress| {
            progress.files_done = items.len();
            progress.file = None;
        });
        let snapshot = folder.snapshot(commit);
        let (name, path) = match &choice.kind {
            Kind::Gguf(file) => (self.name.with_file(file), snapshot.join(file)),
            Kind::Folder | Kind::Adapter => (Ok(self.name.clone()), snapshot),
        };
        Ok(Fetched {
            name: name.unwrap_or_else(|_| self.name.clone()),
            commit: commit.clone(),
            path,
            is_adapter: choice.kind == Kind::Adapter,
            files: items.len(),
            bytes: total,
            received: watch.received(),
        })
    }

    /// Size and checksum of a file: as listed, or asked for.
    fn item(&self, remote: &Remote) -> Result<Item, HubError> {
        let stamp = match &remote.stamp {
            Some(stamp) => stamp.clone(),
            None => {
                patiently(self.way.hub, self.way.watch, || self.way.client.stamp(&self.listing.commit, &remote.name))?
            }
        };
        Ok(Item { name: remote.name.clone(), stamp })
    }

    /// Fetches the config and looks whether the model is of a family that can be trained.
    fn check_config(&self, item: &Item) -> Result<(), HubError> {
        let text = self.read_now(item, MAX_CONFIG_BYTES)?;
        Spec::parse(&text).map_err(|reason| self.unsupported(reason))?;
        Ok(())
    }

    /// Fetches the index and finds the files it names.
    fn shards(&self, index: &Item) -> Result<Vec<Item>, HubError> {
        let text = self.read_now(index, MAX_INDEX_BYTES)?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| self.unsupported(format!("{} is no JSON ({error})", index.name)))?;
        let Some(map) = json["weight_map"].as_object() else {
            return Err(self.unsupported(format!("{} has no weight_map", index.name)));
        };
        let mut names: Vec<&str> = map.values().filter_map(Value::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let item = |name: &str| {
            let inside = name.ends_with(".safetensors") && check_file(name).is_ok();
            match self.listing.file(name).filter(|_| inside) {
                Some(remote) => self.item(remote),
                None => {
                    Err(self.unsupported(format!("{} names the file {name:?}, which it does not have", index.name)))
                }
            }
        };
        names.into_iter().map(item).collect()
    }

    /// Fetches a small file ahead of the others and reads it.
    fn read_now(&self, item: &Item, most: u64) -> Result<String, HubError> {
        let Item { name, stamp } = item;
        if stamp.bytes > most {
            return Err(self.unsupported(format!("{name} is {} bytes long", stamp.bytes)));
        }
        self.way.bring(item, 0)?;
        let blob = self.way.folder.blob(&stamp.checksum);
        let text = fs::read(&blob).map_err(HubError::disk("read", &blob))?;
        String::from_utf8(text).map_err(|_utf8| self.unsupported(format!("{name} is not UTF-8")))
    }

    fn check_room(&self, needed: u64) -> Result<(), HubError> {
        let cache = &self.way.hub.cache;
        match free_disk_bytes(cache) {
            Some(free) if free < needed => Err(HubError::NoRoom { needed, free, folder: cache.clone() }),
            _ => Ok(()),
        }
    }

    fn unsupported(&self, reason: String) -> HubError {
        HubError::Unsupported { repo: self.name.repo().to_owned(), reason }
    }
}
