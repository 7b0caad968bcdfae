//! What a download would bring, for those who want to know before it is started.

use model::{ModelName, free_disk_bytes};

use super::{
    Hub, HubError,
    cache::Folder,
    choice::{self, Choice},
    client::Client,
    listing::{Remote, Stamp},
};

/// The files that would be fetched, together. Nothing of them is fetched for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub files: usize,
    pub bytes: u64,
    /// What is in the cache of them, or half fetched.
    pub there: u64,
    /// As the repository's own card says it, e.g. "apache-2.0".
    pub license: Option<String>,
    /// Address of the repository's page.
    pub page: String,
    /// Room on the cache's disk, where the system says.
    pub free: Option<u64>,
}

impl Offer {
    /// Asks the hub, once; and once for each file where a mirror's list tells no sizes. Blocks.
    ///
    /// # Errors
    ///
    /// For the reasons that the download itself would fail for before its first large file, as far as a list of files
    /// tells.
    pub fn ask(hub: &Hub, name: &ModelName) -> Result<Self, HubError> {
        if hub.offline {
            return Err(HubError::Offline(name.clone()));
        }
        let client = Client::new(hub, name)?;
        let listing = client.listing()?;
        let Choice { mut files, .. } = choice::choose(name, &listing)?;
        if files.iter().any(|file| file.name == choice::INDEX) {
            let shards = listing.files.iter().filter(|file| is_shard(&file.name));
            files.extend(shards.cloned());
        }
        let folder = Folder::new(&hub.cache, name);
        let stamp = |file: Remote| match file.stamp {
            Some(stamp) => Ok(stamp),
            None => client.stamp(&listing.commit, &file.name),
        };
        let stamps: Vec<Stamp> = files.into_iter().map(stamp).collect::<Result<_, _>>()?;
        Ok(Self {
            files: stamps.len(),
            bytes: stamps.iter().map(|stamp| stamp.bytes).sum(),
            there: stamps.iter().map(|stamp| folder.bytes_of(stamp)).sum(),
            license: listing.license.clone(),
            page: format!("{}/{}", hub.endpoint, name.repo()),
            free: free_disk_bytes(&hub.cache),
        })
    }
}

/// `model-00001-of-00004.safetensors`: what an index usually names. Only the index itself would say for sure.
fn is_shard(name: &str) -> bool {
    name.strip_suffix(".safetensors")
        .and_then(|stem| stem.strip_prefix("model-"))
        .is_some_and(|rest| rest.contains("-of-"))
}
