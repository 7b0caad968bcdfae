//! Where a model is meant when it is named: a folder, something inside one, or a name in the Hugging Face cache.
//!
//! The cache is only read, never written, and nothing is fetched: that is for `hub`'s own command. Its layout:
//! `models--ORG--NAME/{refs/main, snapshots/COMMIT/..}`, with `refs/main` holding the commit.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use super::{
    LoadError,
    name::{CACHE_PREFIX, MAIN, ModelName, is_gguf},
};
use ::files;

/// A commit is 40 characters long.
const MAX_REF_BYTES: u64 = 4096;

/// The folder in which Hugging Face tools keep what they fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubCache {
    root: PathBuf,
}

/// Where Hugging Face tools keep what is a user's: `HF_HOME`, or `huggingface` in `XDG_CACHE_HOME` or `~/.cache`.
pub fn hugging_face_home() -> PathBuf {
    let caches =
        || folder_of("XDG_CACHE_HOME").unwrap_or_else(|| std::env::home_dir().unwrap_or_default().join(".cache"));
    folder_of("HF_HOME").unwrap_or_else(|| caches().join("huggingface"))
}

/// The folder that the environment names.
fn folder_of(key: &str) -> Option<PathBuf> {
    let value = std::env::var_os(key).filter(|value| !value.is_empty())?;
    // No shell has looked at what a settings file says.
    let inside_home = Path::new(&value).strip_prefix("~").map(Path::to_owned);
    Some(match (inside_home, std::env::home_dir()) {
        (Ok(inside), Some(home)) => home.join(inside),
        _ => PathBuf::from(value),
    })
}

impl HubCache {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where `huggingface_hub` looks: `HF_HUB_CACHE`, or `hub` in its [home](hugging_face_home).
    pub fn of_user() -> Self {
        Self::at(
            folder_of("HF_HUB_CACHE")
                .or_else(|| folder_of("HUGGINGFACE_HUB_CACHE"))
                .unwrap_or_else(|| hugging_face_home().join("hub")),
        )
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The model folder or GGUF file that is meant.
    ///
    /// A file inside a folder means the folder, a folder of the cache its newest snapshot, and a [`ModelName`] the
    /// model of that name in the cache, unless there is such a path here.
    pub fn resolve(&self, meant: &Path) -> Result<PathBuf, LoadError> {
        if meant.is_file() {
            let is_gguf = meant.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
            if is_gguf {
                return Ok(meant.to_owned());
            }
            let folder = meant.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
            if ["config.json", "adapter_config.json"].iter().any(|config| folder.join(config).exists()) {
                return Ok(folder.to_owned());
            }
            return Err(LoadError::Config {
                path: meant.to_owned(),
                reason: "it is neither a GGUF file nor a file in a model's folder".to_owned(),
            });
        }
        if meant.join("snapshots").is_dir() && !meant.join("config.json").exists() {
            return snapshot(meant, None);
        }
        let name = meant.to_str().and_then(|text| text.parse().ok());
        match name {
            Some(name) if !meant.exists() => self.named(&name),
            _ => Ok(meant.to_owned()),
        }
    }

    /// The snapshot of a model of the cache, or the file of it that is named.
    fn named(&self, name: &ModelName) -> Result<PathBuf, LoadError> {
        let entry = self.root.join(name.cache_folder());
        let refused = |reason: String| LoadError::Config {
            path: PathBuf::from(name.to_string()),
            reason: format!("{reason}; `nudge download {name}` fetches it"),
        };
        if !entry.is_dir() {
            return Err(refused(format!(
                "there is no such folder, and no model of this name in {}",
                self.root.display()
            )));
        }
        let folder = snapshot(&entry, name.revision()).map_err(|error| match error {
            LoadError::Config { reason, .. } => refused(reason),
            other => other,
        })?;
        match name.file().map(|file| folder.join(file)) {
            None => match several_gguf(&folder).as_slice() {
                [] => Ok(folder),
                files => Err(LoadError::Config {
                    path: PathBuf::from(name.to_string()),
                    reason: format!(
                        "it holds several GGUF files; name the one you mean: {}",
                        files.iter().map(|file| format!("{name}/{file}")).collect::<Vec<_>>().join(", ")
                    ),
                }),
            },
            Some(file) if file.is_file() => Ok(file),
            Some(_) => Err(refused(format!("{} has no such file", folder.display()))),
        }
    }

    /// Name (`org/name`) and folder of every model of the cache, by name. A cache that is not there holds none.
    pub fn entries(&self) -> Vec<(String, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.root) else {
            return Vec::new();
        };
        let mut all: Vec<(String, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let file_name = entry.file_name();
                let name = file_name.to_str()?.strip_prefix(CACHE_PREFIX)?.replace("--", "/");
                Some((name, entry.path()))
            })
            .collect();
        all.sort();
        all
    }

    /// What a model of the cache is called, by any path inside it.
    pub fn name_of(&self, path: &Path) -> Option<String> {
        let inner = path.strip_prefix(&self.root).ok()?;
        let entry = inner.components().next()?.as_os_str().to_str()?;
        Some(entry.strip_prefix(CACHE_PREFIX)?.replace("--", "/"))
    }
}

/// The GGUF files of a folder that is no Hugging Face folder, where there are more than one.
fn several_gguf(folder: &Path) -> Vec<String> {
    if folder.join("config.json").exists() {
        return Vec::new();
    }
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut files: Vec<String> = names.filter(|name| is_gguf(name)).collect();
    files.sort();
    if files.len() < 2 {
        files.clear();
    }
    files
}

/// The snapshot of a revision: the one that its ref names, or the one of that commit. Where no revision is asked for
/// and there is no `refs/main`, the only one there is.
fn snapshot(entry: &Path, revision: Option<&str>) -> Result<PathBuf, LoadError> {
    let snapshots = entry.join("snapshots");
    let refused = |reason: &str| LoadError::Config { path: entry.to_owned(), reason: reason.to_owned() };
    let name = revision.unwrap_or(MAIN);
    let named = entry.join("refs").join(name);
    if named.is_file() {
        let commit = files::read_text(&named, MAX_REF_BYTES)?;
        let commit = Path::new(commit.trim());
        let mut parts = commit.components();
        let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else {
            return Err(refused(&format!("its refs/{name} does not name a snapshot")));
        };
        let folder = snapshots.join(commit);
        if folder.is_dir() {
            return Ok(folder);
        }
        return Err(refused(&format!(
            "the snapshot that its refs/{name} names is not there; it was not fetched to the end"
        )));
    }
    if let Some(revision) = revision {
        let folder = snapshots.join(revision);
        return if folder.is_dir() {
            Ok(folder)
        } else {
            Err(refused(&format!("the cache does not have its revision {revision}")))
        };
    }
    let folders: Vec<PathBuf> = fs::read_dir(&snapshots)
        .map(|entries| entries.flatten().map(|entry| entry.path()))
        .map(|paths| paths.filter(|path| path.is_dir()).collect())
        .unwrap_or_default();
    match folders.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(refused("it holds no snapshot; it was not fetched to the end")),
        _ => Err(refused("it holds several snapshots and does not say which is meant; name one of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with one model `org/name` whose snapshot `c0ffee` is empty but for a config.
    fn cache(main: Option<&str>) -> (tempfile::TempDir, HubCache) {
        let root = tempfile::tempdir().unwrap();
        let entry = root.path().join("models--org--name");
        fs::create_dir_all(entry.join("refs")).unwrap();
        fs::create_dir_all(entry.join("snapshots/c0ffee")).unwrap();
        fs::write(entry.join("snapshots/c0ffee/config.json"), "{}").unwrap();
        if let Some(main) = main {
            fs::write(entry.join("refs/main"), main).unwrap();
        }
        let hub_cache = HubCache::at(root.path());
        (root, hub_cache)
    }

    #[test]
    fn a_name_a_cache_folder_and_a_file_mean_the_snapshot() {
        for main in [Some("c0ffee\n"), None] {
            let (root, hub_cache) = cache(main);
            let entry = root.path().join("models--org--name");
            let snapshot = entry.join("snapshots/c0ffee");
            for meant in [Path::new("org/name"), &entry, &snapshot, &snapshot.join("config.json")] {
                assert_eq!(hub_cache.resolve(meant).unwrap(), snapshot, "{meant:?}");
            }
            assert_eq!(hub_cache.name_of(&snapshot).as_deref(), Some("org/name"));
            assert_eq!(hub_cache.name_of(Path::new("/elsewhere")), None);
        }
    }

    #[test]
    fn a_ref_that_points_elsewhere_is_refused() {
        for main in ["../../..", "/etc", "", "c0ffee/..", "missing"] {
            let (_root, hub_cache) = cache(Some(main));
            let error = hub_cache.resolve(Path::new("org/name")).unwrap_err();
            assert!(error.to_string().contains("refs/main"), "{main}: {error}");
        }
    }

    #[test]
    fn a_name_that_is_nowhere_is_told_with_the_place_that_was_looked_at() {
        let (root, hub_cache) = cache(None);
        let error = hub_cache.resolve(Path::new("org/other")).unwrap_err().to_string();
        assert!(error.contains(root.path().to_str().unwrap()), "{error}");
        let notes = root.path().join("notes.txt");
        fs::write(&notes, "").unwrap();
        assert!(hub_cache.resolve(&notes).unwrap_err().to_string().contains("neither a GGUF file"));
        // What is no name is left to whoever reads it.
        let path = root.path().join("nowhere");
        assert_eq!(hub_cache.resolve(&path).unwrap(), path);
    }

    #[test]
    fn only_models_are_listed() {
        let (root, hub_cache) = cache(Some("c0ffee"));
        fs::create_dir_all(root.path().join("models--org--broken/snapshots")).unwrap();
        fs::create_dir_all(root.path().join("datasets--org--words")).unwrap();
        let names: Vec<String> = hub_cache.entries().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["org/broken", "org/name"]);
        assert!(HubCache::at(root.path().join("no cache")).entries().is_empty());
    }
}
