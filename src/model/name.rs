//! Names of models: `org/name` as the Hugging Face hub has them, with `@revision` and `/file.gguf` where these are
//! meant.

use std::{fmt, str::FromStr};

/// A branch, a tag or a commit that is meant when none is named.
pub const MAIN: &str = "main";
/// What the folders of models in the Hugging Face cache begin with.
pub(super) const CACHE_PREFIX: &str = "models--";

/// How long the hub lets names be.
const MAX_PART: usize = 96;
const MAX_REST: usize = 512;
/// Pages of the hub, as they are copied out of a browser.
const ADDRESSES: [&str; 4] = ["https://huggingface.co/", "https://hf.co/", "huggingface.co/", "hf.co/"];

/// `org/name[@revision][/file.gguf]`. No part of it can lead out of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelName {
    /// `org/name`.
    repo: String,
    revision: Option<String>,
    file: Option<String>,
}

/// What was typed is no name of a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{typed}\" is not the name of a model: {reason}. Expected org/name, org/name@revision or org/name/file.gguf")]
pub struct NameError {
    pub typed: String,
    pub reason: String,
}

impl ModelName {
    /// `org/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// Its folder in the Hugging Face cache: `models--ORG--NAME`.
    pub fn cache_folder(&self) -> String {
        format!("{CACHE_PREFIX}{}", self.repo.replace('/', "--"))
    }

    /// The branch, tag or commit that is meant, if one was named.
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The GGUF file of the repository that is meant, if one was named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The same model, and this file of it.
    pub fn with_file(&self, file: &str) -> Result<Self, NameError> {
        format!("{}/{file}", self.without_file()).parse()
    }

    fn without_file(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{}@{revision}", self.repo),
            None => self.repo.clone(),
        }
    }

    fn read(typed: &str) -> Result<Self, String> {
        let typed = typed.trim();
        let page = ADDRESSES.iter().find_map(|address| typed.strip_prefix(address));
        let text = page.unwrap_or(typed).trim_end_matches('/');
        let mut parts = text.split('/');
        let (Some(org), Some(name)) = (parts.next(), parts.next()) else {
            return Err("it has no `/`".to_owned());
        };
        let mut rest: Vec<&str> = parts.collect();
        let (name, mut revision) = match name.split_once('@') {
            Some((name, revision)) => (name, vec![revision]),
            None => (name, Vec::new()),
        };
        if page.is_some() && matches!(rest.first(), Some(&("tree" | "blob" | "resolve"))) {
            // org/name/blob/revision/file
            rest.remove(0);
            revision.extend((!rest.is_empty()).then(|| rest.remove(0)));
        }
        // `refs/pr/3` is one revision; so is everything up to the end where no file follows.
        let names_file = rest.last().is_some_and(|last| is_gguf(last));
        let more = match (revision.first(), names_file) {
            (Some(&"refs"), true) => rest.len().saturating_sub(1).min(2),
            (Some(_), false) => rest.len(),
            _ => 0,
        };
        revision.extend(rest.drain(..more));
        if !rest.is_empty() && !names_file {
            return Err(format!("it goes on with `{}`, which is no .gguf file", rest.join("/")));
        }
        check_part(org)?;
        check_part(name)?;
        let whole = |parts: Vec<&str>| (!parts.is_empty()).then(|| parts.join("/"));
        let (revision, file) = (whole(revision), whole(rest));
        revision.as_deref().map_or(Ok(()), check_revision)?;
        file.as_deref().map_or(Ok(()), check_file)?;
        Ok(Self { repo: format!("{org}/{name}"), revision, file })
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    /// Reads `org/name[@revision][/file.gguf]`, or the address of a page of the hub that shows these.
    fn from_str(typed: &str) -> Result<Self, NameError> {
        Self::read(typed).map_err(|reason| NameError { typed: typed.to_owned(), reason })
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_file())?;
        match &self.file {
            Some(file) => write!(f, "/{file}"),
            None => Ok(()),
        }
    }
}

/// Whether a file of this name is a GGUF file.
pub fn is_gguf(file: &str) -> bool {
    file.len() > 5 && file.get(file.len() - 5..).is_some_and(|ending| ending.eq_ignore_ascii_case(".gguf"))
}

/// The hub's own rules for organisations and names. `--` stands for `/` in the cache.
fn check_part(part: &str) -> Result<(), String> {
    let letters = part.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'));
    let ends = part.starts_with(['-', '.']) || part.ends_with(['-', '.']);
    if part.is_empty() || !letters || ends || part.contains("--") || part.contains("..") {
        return Err(format!("`{part}` is no name the hub knows"));
    }
    within(part, MAX_PART)
}

/// What git allows, and less.
fn check_revision(revision: &str) -> Result<(), String> {
    let good = revision.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains("..")
            && part.chars().all(|letter| letter.is_ascii_graphic() && !"\\:?*[~^@%#\"<>|".contains(letter))
    });
    if good { within(revision, MAX_REST) } else { Err(format!("`{revision}` is no revision")) }
}

/// A path that stays inside its folder on every system.
pub fn check_file(file: &str) -> Result<(), String> {
    let good = file.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.ends_with(['.', ' '])
            && part.chars().all(|letter| !letter.is_control() && !"\\:?*\"<>|".contains(letter))
    });
    if good { within(file, MAX_REST) } else { Err(format!("`{file}` is no file inside a folder")) }
}

fn within(text: &str, most: usize) -> Result<(), String> {
    if text.len() <= most {
        return Ok(());
    }
    Err(format!("it is longer than the {most} letters it may have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(typed: &str) -> (String, Option<String>, Option<String>) {
        let name: ModelName = typed.parse().expect(typed);
        (name.repo, name.revision, name.file)
    }

    #[test]
    fn a_name_has_a_revision_and_a_file_where_they_are_meant() {
        let some = |text: &str| Some(text.to_owned());
        for (typed, revision, file) in [
            ("org/na.me_1", None, None),
            ("org/na.me_1@v2", some("v2"), None),
            ("org/na.me_1@refs/pr/3", some("refs/pr/3"), None),
            ("org/na.me_1@feature/x", some("feature/x"), None),
            ("org/na.me_1/m-Q4_K_M.gguf", None, some("m-Q4_K_M.gguf")),
            ("org/na.me_1@main/sub/m.GGUF", some("main"), some("sub/m.GGUF")),
            ("org/na.me_1@refs/pr/3/m.gguf", some("refs/pr/3"), some("m.gguf")),
        ] {
            assert_eq!(parts(typed), ("org/na.me_1".to_owned(), revision, file), "{typed}");
            let name: ModelName = typed.parse().unwrap();
            assert_eq!(name.to_string(), typed);
        }
    }

    #[test]
    fn a_page_of_the_hub_is_a_name() {
        for (page, name) in [
            ("https://huggingface.co/org/name", "org/name"),
            ("hf.co/org/name/", "org/name"),
            ("https://huggingface.co/org/name/tree/main", "org/name@main"),
            ("https://huggingface.co/org/name/blob/main/m.gguf", "org/name@main/m.gguf"),
        ] {
            assert_eq!(page.parse::<ModelName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_leads_out_of_a_folder_is_no_name() {
        for typed in [
            "",
            "name",
            "/name",
            "org/",
            "../name",
            "org/..",
            "org/na--me",
            "org/na me",
            "org/name/more",
            "org/name/model.safetensors",
            "org/name@",
            "org/name@../x",
            "org/name@/x",
            "org/name@a..b",
            "org/name/../m.gguf",
            "org/name/C:\\m.gguf",
            "org/name/.hidden/m.gguf",
            "https://example.org/org/name",
        ] {
            assert!(typed.parse::<ModelName>().is_err(), "{typed}");
        }
        let long = format!("org/{}", "n".repeat(1000));
        assert!(long.parse::<ModelName>().is_err());
    }
}
