//! What can go wrong, as sentences: what happened, to what, and what to do next.

use std::{io, path::PathBuf};

use model::ModelName;

use data::size;

/// A model could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(
        "HF_HUB_OFFLINE is set, so nothing is fetched. Unset it to download {0}, or copy the model's folder here by hand"
    )]
    Offline(ModelName),
    #[error("{endpoint} is no address of a hub: expected https://…. It is what HF_ENDPOINT says")]
    Endpoint { endpoint: String },
    #[error(
        "{endpoint} has no model {repo}, or does not show it to you. Look at the name{}",
        if *has_token {
            ", and whether the account of your token may see it"
        } else {
            "; a private or gated one needs a token in HF_TOKEN (or `hf auth login`)"
        }
    )]
    NoSuchModel { repo: String, endpoint: String, has_token: bool },
    #[error("{repo} has no revision {revision}. Look at its page: {endpoint}/{repo}")]
    NoSuchRevision { repo: String, revision: String, endpoint: String },
    #[error("{name} has no file {file}. {}", gguf_list(.gguf))]
    NoSuchFile { name: ModelName, file: String, gguf: Vec<(String, u64)> },
    #[error(
        "{repo} is only given to those who accept its terms. Accept them at {endpoint}/{repo}{}",
        if *has_token {
            " with the account of your token (a fine-grained token must also allow gated repositories), then try again"
        } else {
            ", make a token at {endpoint}/settings/tokens, put it into HF_TOKEN (or run `hf auth login`), and try again"
        }
    )]
    Gated { repo: String, endpoint: String, has_token: bool },
    #[error(
        "{endpoint} does not accept the token of HF_TOKEN or `hf auth login`. Make a new one at {endpoint}/settings/tokens"
    )]
    Token { endpoint: String },
    #[error(
        "Could not reach {host}: {reason}. Look at the network (HTTPS_PROXY names a proxy, HF_ENDPOINT another hub) and try again"
    )]
    Network { host: String, reason: String },
    #[error(
        "The connection broke at {} of {} of {file}: {reason}. What was fetched is kept; the same download goes on from there",
        size(*bytes), size(*of)
    )]
    Interrupted { file: String, bytes: u64, of: u64, reason: String },
    #[error("{host} answers {status} to {what}{}{}", in_brackets(.said.as_deref()), later(*status))]
    Refused { host: String, what: String, status: u16, said: Option<String> },
    #[error("What {endpoint} says about {repo} cannot be used: {reason}")]
    Malformed { repo: String, endpoint: String, reason: String },
    #[error("{repo} cannot be used, so it is not fetched: {reason}")]
    Unsupported { repo: String, reason: String },
    #[error("{name} holds several GGUF files; name the one you mean. {}", gguf_list(.gguf))]
    WhichFile { name: ModelName, gguf: Vec<(String, u64)> },
    #[error(
        "{} more are to be fetched and the disk of {} has {} left. Free some space, or let HF_HUB_CACHE name a folder on another disk",
        size(*needed), folder.display(), size(*free)
    )]
    NoRoom { needed: u64, free: u64, folder: PathBuf },
    #[error(
        "The disk of {} is full. What was fetched is kept; free some space, and the same download goes on from there",
        path.display()
    )]
    DiskFull { path: PathBuf },
    #[error(
        "{file} arrived twice with content that is not what {endpoint} announced; the damaged part was thrown away. \
         If this happens again, something between here and the hub changes what is sent"
    )]
    Checksum { file: String, endpoint: String },
    #[error("Could not {doing} {}: {source}", path.display())]
    Disk { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("Stopped. What was fetched is kept; the same download goes on from there")]
    Cancelled,
    #[error("The download ended by a fault of this program: {0}. What was fetched is kept")]
    Died(String),
}

impl HubError {
    /// For `map_err`: what was being done to which path.
    pub(super) fn disk(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Disk { doing, path, source },
        }
    }

    /// Whether asking again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Network { .. } | Self::Interrupted { .. } => true,
            Self::Refused { status, .. } => passes(*status),
            _ => false,
        }
    }
}

/// Whether the hub is only busy or out of order.
fn passes(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}

fn later(status: u16) -> &'static str {
    if passes(status) { ". Try again later" } else { "" }
}

fn in_brackets(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!(" (\"{said}\")"))
}

fn gguf_list(files: &[(String, u64)]) -> String {
    const SHOWN: usize = 24;
    if files.is_empty() {
        return "It holds no GGUF files that can be read".to_owned();
    }
    let shown: Vec<String> =
        files.iter().take(SHOWN).map(|(file, bytes)| format!("{file} ({})", size(*bytes))).collect();
    let more = files.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("It has {}{more}", shown.join(", "))
}
