//! What a repository holds, as the hub tells it: names, sizes, checksums, and the commit they are of.

use serde::Deserialize;
use serde_json::Value;

use super::checksum::Checksum;

/// More files are no model.
const MAX_FILES: usize = 100_000;

/// A repository at one commit.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// 40 hex digits.
    pub(super) commit: String,
    pub(super) files: Vec<Remote>,
    /// What the hub read in the repository's GGUF files.
    pub(super) architecture: Option<String>,
    /// As the repository's card says it, e.g. "apache-2.0".
    pub(super) license: Option<String>,
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remote {
    /// Its path, `/` between folders. Anything at all: see [`model::check_file`].
    pub(super) name: String,
    /// Absent where a mirror leaves them out; then the file itself is asked.
    pub(super) stamp: Option<Stamp>,
}

/// What must arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    pub(super) checksum: Checksum,
}

/// The answer to `api/models/…/revision/…?blobs=true`.
#[derive(Deserialize)]
struct Answer {
    sha: String,
    siblings: Vec<Sibling>,
    #[serde(default)]
    gguf: Value,
    #[serde(default, rename = "cardData")]
    card: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Reads the answer; a sentence where it cannot be used.
    pub(super) fn read(answer: &[u8]) -> Result<Self, String> {
        let answer: Answer =
            serde_json::from_slice(answer).map_err(|error| format!("it is no list of files ({error})"))?;
        if !matches!(Checksum::read(&answer.sha), Some(Checksum::Git(_))) {
            return Err(format!("its commit is {:?}", cut(&answer.sha)));
        }
        if answer.siblings.len() > MAX_FILES {
            return Err(format!("it has {} files", answer.siblings.len()));
        }
        let mut files: Vec<Remote> = answer.siblings.into_iter().map(Remote::of).collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.dedup_by(|a, b| a.name == b.name);
        Ok(Self {
            commit: answer.sha,
            files,
            architecture: answer.gguf["architecture"].as_str().map(str::to_owned),
            license: license(&answer.card),
        })
    }

    /// The file of this name.
    pub(super) fn file(&self, name: &str) -> Option<&Remote> {
        let at = self.files.binary_search_by(|file| file.name.as_str().cmp(name));
        at.ok().map(|at| &self.files[at])
    }
}

impl Remote {
    fn of(sibling: Sibling) -> Self {
        let (bytes, tag) = match sibling.lfs {
            Some(lfs) => (lfs.size.or(sibling.size), lfs.sha256),
            None => (sibling.size, sibling.blob_id),
        };
        let checksum = tag.as_deref().and_then(Checksum::read);
        Self { name: sibling.rfilename, stamp: bytes.zip(checksum).map(|(bytes, checksum)| Stamp { bytes, checksum }) }
    }
}

/// A card may name one licence, several, or a name and a link of its own.
fn license(card: &Value) -> Option<String> {
    let named = match &card["license"] {
        Value::String(one) => one.clone(),
        Value::Array(several) => {
            let several: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            several.join(", ")
        }
        _ => String::new(),
    };
    let own = card["license_name"].as_str().filter(|_| named == "other");
    let license = cut(own.unwrap_or(&named).trim());
    (!license.is_empty()).then_some(license)
}

fn cut(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_are_known_by_sha256_and_small_ones_by_git() {
        let (commit, git, sha) = ("1".repeat(40), "2".repeat(40), "3".repeat(64));
        let answer = serde_json::json!({
            "sha": commit,
            "siblings": [
                {"rfilename": "model.safetensors", "size": 135, "blobId": git, "lfs": {"sha256": sha, "size": 9000, "pointerSize": 135}},
                {"rfilename": "config.json", "size": 12, "blobId": git},
                {"rfilename": "no_size.json"},
            ],
        });
        let listing = Listing::read(answer.to_string().as_bytes()).unwrap();
        assert_eq!(listing.commit, commit);
        let stamp = |name| listing.file(name).unwrap().stamp.clone();
        assert_eq!(stamp("model.safetensors"), Some(Stamp { bytes: 9000, checksum: Checksum::Sha256(sha) }));
        assert_eq!(stamp("config.json"), Some(Stamp { bytes: 12, checksum: Checksum::Git(git) }));
        assert_eq!(stamp("no_size.json"), None);
        assert_eq!(listing.file("other"), None);
    }

    #[test]
    fn a_commit_that_is_a_path_is_refused() {
        let answer = serde_json::json!({"sha": "../../elsewhere", "siblings": []});
        let error = Listing::read(answer.to_string().as_bytes()).unwrap_err();
        assert!(error.contains("commit"), "{error}");
    }
}
