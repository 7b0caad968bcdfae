//! Fetching a model from the hub: what it would bring, how far it is, how it ended.

use std::path::PathBuf;

/// What a download would bring. Nothing of it has been fetched for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubOffer {
    /// `org/name`, with revision and file where they are meant.
    pub name: String,
    pub files: usize,
    /// All of them together.
    pub bytes: u64,
    /// What an earlier download left of them.
    pub there: u64,
    /// As the model's page says it, e.g. "apache-2.0".
    pub license: Option<String>,
    /// Where that page is.
    pub page: String,
    /// Room on the disk of the cache, where the system says.
    pub free: Option<u64>,
}

impl HubOffer {
    /// Bytes that are still to be fetched.
    pub fn missing(&self) -> u64 {
        self.bytes.saturating_sub(self.there)
    }

    pub fn has_room(&self) -> bool {
        self.free.is_none_or(|free| free > self.missing())
    }

    /// About the licence, in a sentence.
    pub fn terms(&self) -> String {
        match self.license.as_deref() {
            None => "Its page names no licence: read it before you use the model".to_owned(),
            Some("other") => "Its licence is one of its own: read it on the page before you use the model".to_owned(),
            Some(license) => format!("Its page names the licence {license}"),
        }
    }
}

/// How far a download is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FetchProgress {
    /// What is going on, in words.
    pub phase: String,
    pub files_done: usize,
    pub files: usize,
    pub bytes: u64,
    /// 0 until it is known.
    pub total_bytes: u64,
    pub bytes_per_sec: f64,
    pub secs_left: Option<f64>,
    /// What is out of the ordinary, as a sentence.
    pub note: Option<String>,
}

impl FetchProgress {
    /// From 0 to 1.
    pub fn share(&self) -> f32 {
        match self.total_bytes {
            0 => 0.0,
            total => (self.bytes as f64 / total as f64).clamp(0.0, 1.0) as f32,
        }
    }
}

/// Where fetching stands; one model at a time.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Fetching {
    #[default]
    Idle,
    /// The hub is asked what it has.
    Asking(String),
    Offered(HubOffer),
    /// Several files could be meant: name and bytes of each.
    WhichFile {
        name: String,
        files: Vec<(String, u64)>,
    },
    UnderWay {
        name: String,
        progress: FetchProgress,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(license: Option<&str>) -> HubOffer {
        HubOffer {
            name: "org/name".to_owned(),
            files: 3,
            bytes: 1000,
            there: 400,
            license: license.map(str::to_owned),
            page: "https://hub/org/name".to_owned(),
            free: Some(500),
        }
    }

    #[test]
    fn only_what_is_missing_needs_room() {
        let mut offer = offer(None);
        assert_eq!(offer.missing(), 600);
        assert!(!offer.has_room());
        offer.there = 600;
        assert!(offer.has_room());
        offer.free = None;
        assert!(offer.has_room(), "a system that says nothing is no obstacle");
    }

    #[test]
    fn the_licence_is_told_before_the_start() {
        assert!(offer(Some("apache-2.0")).terms().ends_with("apache-2.0"));
        assert!(offer(Some("other")).terms().contains("one of its own"));
        assert!(offer(None).terms().contains("no licence"));
    }

    #[test]
    fn progress_without_a_total_is_none() {
        let mut progress = FetchProgress::default();
        assert_eq!(progress.share(), 0.0);
        progress.bytes = 50;
        progress.total_bytes = 200;
        assert_eq!(progress.share(), 0.25);
    }
}
