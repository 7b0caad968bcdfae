//! Fetching a model from the hub: what it would bring, how far it is, how it ended.

use std::path::PathBuf;

use data::download::{Offer, Phase, Progress};

/// What is going on, in words.
pub fn doing(progress: &Progress) -> String {
    let file = progress.file.as_deref().unwrap_or_default();
    match progress.phase {
        Phase::Asking => "Asking the hub what there is".to_owned(),
        Phase::Rereading => format!("Reading what is there of {file}"),
        Phase::Fetching => format!("Fetching {file}"),
        Phase::Waiting => "Waiting".to_owned(),
        Phase::Ended => "Done".to_owned(),
    }
}

/// Where fetching stands; one model at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fetching {
    #[default]
    Idle,
    /// The hub is asked what it has.
    Asking(String),
    Offered(Offer),
    /// Several files could be meant: name and bytes of each.
    WhichFile {
        name: String,
        files: Vec<(String, u64)>,
    },
    UnderWay {
        name: String,
        progress: Progress,
    },
    /// It is in the cache, and this is what to load.
    Done {
        name: String,
        path: PathBuf,
    },
    /// Stopped by the user; what was fetched is kept.
    Stopped(String),
    Failed {
        name: String,
        /// A sentence.
        error: String,
    },
}

impl Fetching {
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Asking(_) | Self::UnderWay { .. })
    }
}

#[derive(Debug, Clone)]
pub enum FetchCommand {
    /// Ask the hub what this name would bring.
    Ask(String),
    /// Fetch it, or go on with it.
    Start(String),
    /// There is news of the download under way.
    Watch,
    /// What was fetched is kept.
    Cancel,
    /// The strip goes; a download goes on.
    Close,
    /// A page of the hub, in the browser.
    OpenPage(String),
}
