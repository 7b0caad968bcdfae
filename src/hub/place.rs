//! Which hub, which cache, which token: what the environment says, as Python's `huggingface_hub` reads it.

use std::{
    ffi::OsString,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{HubCache, hugging_face_home};

const ENDPOINT: &str = "https://huggingface.co";

/// Of a token's file, no more bytes are read.
const LONGEST_TOKEN: u64 = 4096;

/// The hub and the cache that downloads go between. The fields are for tests and for those who know better.
#[derive(Clone)]
pub struct Hub {
    /// Without a slash at its end.
    pub endpoint: String,
    /// The folder of `models--ORG--NAME` folders.
    pub cache: PathBuf,
    /// Sent to the endpoint's own host and to nobody else.
    pub token: Option<String>,
    /// Nothing is to be fetched.
    pub offline: bool,
    pub patience: Patience,
}

/// How long a hub that does not answer is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often it is asked again before a download gives up; every byte that arrives starts the count anew.
    pub tries: u32,
    /// The wait before the first time; each is twice as long as the one before.
    pub pause: Duration,
    /// A connection that brings nothing for this long is broken.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 5, pause: Duration::from_secs(1), silence: Duration::from_secs(30) }
    }
}

impl Hub {
    /// What the environment says: `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`, `HF_TOKEN`, `HF_TOKEN_PATH`,
    /// `HF_HUB_OFFLINE`, and the token file of `hf auth login`.
    pub fn of_user() -> Self {
        Self::read(|key| std::env::var_os(key), &hugging_face_home(), HubCache::of_user().root())
    }

    fn read(environment: impl Fn(&str) -> Option<OsString>, home: &Path, cache: &Path) -> Self {
        let text = |key: &str| {
            let text = environment(key)?.into_string().ok()?;
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let is_true = |key: &str| {
            text(key).is_some_and(|value| ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str()))
        };
        let offline = match text("HF_HUB_OFFLINE") {
            Some(_) => is_true("HF_HUB_OFFLINE"),
            None => is_true("TRANSFORMERS_OFFLINE"),
        };
        let named = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN"));
        let token = if is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            None
        } else {
            named.or_else(|| match text("HF_TOKEN_PATH") {
                Some(file) => token_file(Path::new(&file)),
                None => token_file(&home.join("token")),
            })
        };
        Self {
            endpoint: text("HF_ENDPOINT")
                .map_or_else(|| ENDPOINT.to_owned(), |endpoint| endpoint.trim_end_matches('/').to_owned()),
            cache: cache.to_owned(),
            token: token.filter(|token| token.chars().all(|letter| letter.is_ascii_graphic())),
            offline,
            patience: Patience::default(),
        }
    }
}

fn token_file(path: &Path) -> Option<String> {
    let mut token = String::new();
    File::open(path).ok()?.take(LONGEST_TOKEN).read_to_string(&mut token).ok()?;
    let token = token.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(environment: &[(&str, &str)]) -> Hub {
        hub_of(Path::new("/nowhere"), environment)
    }

    fn hub_of(home: &Path, environment: &[(&str, &str)]) -> Hub {
        let environment: Vec<(String, OsString)> =
            environment.iter().map(|(key, value)| ((*key).to_owned(), OsString::from(value))).collect();
        let read = |key: &str| {
            let found = environment.iter().find(|(name, _)| name == key)?;
            Some(found.1.clone())
        };
        Hub::read(read, home, &home.join("hub"))
    }

    #[test]
    fn the_environment_is_read_as_python_reads_it() {
        let plain = hub(&[]);
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert!(!plain.offline && plain.token.is_none());
        let set =
            hub(&[("HF_ENDPOINT", "https://mirror.example/"), ("HF_TOKEN", " hf_secret\n"), ("HF_HUB_OFFLINE", "Yes")]);
        assert_eq!(set.endpoint, "https://mirror.example");
        assert_eq!(set.token.as_deref(), Some("hf_secret"));
        assert!(set.offline);
        assert!(hub(&[("TRANSFORMERS_OFFLINE", "1")]).offline);
        assert!(!hub(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).offline);
        // What is no token must not become part of a header.
        assert_eq!(hub(&[("HF_TOKEN", "a\r\nHost: b")]).token, None);
    }

    #[test]
    fn the_token_of_a_login_is_used_unless_it_is_not_to_be() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        let token = |environment: &[(&str, &str)]| hub_of(home.path(), environment).token;
        assert_eq!(token(&[]).as_deref(), Some("hf_file"));
        assert_eq!(token(&[("HF_TOKEN", "hf_named")]).as_deref(), Some("hf_named"));
        assert_eq!(token(&[("HF_TOKEN_PATH", "/nowhere")]), None);
        assert_eq!(token(&[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]), None);
    }
}
