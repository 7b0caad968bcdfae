//! What a download would bring, for those who want to know before it is started.

use data::download::Offer;
use model::{ModelName, free_disk_bytes};

use super::{
    Hub, HubError,
    cache::Folder,
    choice::{self, Choice},
    client::Client,
    listing::{Remote, Stamp},
};

impl Hub {
    /// What a download would bring. Asks the hub, once; and once for each file where a mirror's list tells no sizes.
    /// Blocks.
    ///
    /// # Errors
    ///
    /// For the reasons that the download itself would fail for before its first large file, as far as a list of files
    /// tells.
    pub fn offer(&self, name: &ModelName) -> Result<Offer, HubError> {
        if self.offline {
            return Err(HubError::Offline(name.clone()));
        }
        let client = Client::new(self, name)?;
        let listing = client.listing()?;
        let Choice { mut files, .. } = choice::choose(name, &listing)?;
        if files.iter().any(|file| file.name == choice::INDEX) {
            let shards = listing.files.iter().filter(|file| is_shard(&file.name));
            files.extend(shards.cloned());
        }
        let folder = Folder::new(&self.cache, name);
        let stamp = |file: Remote| match file.stamp {
            Some(stamp) => Ok(stamp),
            None => client.stamp(&listing.commit, &file.name),
        };
        let stamps: Vec<Stamp> = files.into_iter().map(stamp).collect::<Result<_, _>>()?;
        Ok(Offer {
            name: name.to_string(),
            files: stamps.len(),
            bytes: stamps.iter().map(|stamp| stamp.bytes).sum(),
            there: stamps.iter().map(|stamp| folder.bytes_of(stamp)).sum(),
            license: listing.license.clone(),
            page: format!("{}/{}", self.endpoint, name.repo()),
            free: free_disk_bytes(&self.cache),
        })
    }
}

/// `model-00001-of-00004.safetensors`: what an index usually names. Only the index itself would say for sure.
fn is_shard(name: &str) -> bool {
    name.strip_suffix(".safetensors")
        .and_then(|stem| stem.strip_prefix("model-"))
        .is_some_and(|rest| rest.contains("-of-"))
}
