//! A model on its way from the hub: what it would bring, and how far it is.

use serde::Serialize;

/// What a download would bring. Nothing of it has been fetched for this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// `org/name`, with revision and file where they are meant.
    pub name: String,
    pub files: usize,
    /// All of them together.
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

/// What a download is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Asks the hub what there is, and looks whether it can be used.
    #[default]
    Asking,
    /// Reads what an earlier download left, for its checksum.
    Rereading,
    Fetching,
    /// For another program that fetches the same file, or until the hub is asked again; [`Progress::note`] says which.
    Waiting,
    /// All files are there, or it ended before.
    Ended,
}

/// How far a download is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    pub phase: Phase,
    /// The file that is being fetched.
    pub file: Option<String>,
    pub files_done: usize,
    /// 0 until it is known.
    pub files: usize,
    /// What is on the disk, with what was there before.
    pub bytes: u64,
    /// All files together; 0 until it is known.
    pub total_bytes: u64,
    /// Over the last seconds; 0 until there is something to tell.
    pub bytes_per_sec: f64,
    /// A sentence about what is out of the ordinary, e.g. that the connection broke and is tried again.
    pub note: Option<String>,
}

impl Progress {
    /// Seconds to the end at this speed.
    pub fn secs_left(&self) -> Option<f64> {
        let left = self.total_bytes.saturating_sub(self.bytes);
        (self.total_bytes > 0 && self.bytes_per_sec > 0.0).then(|| left as f64 / self.bytes_per_sec)
    }

    /// From 0 to 1; 0 until it is known how much there is.
    pub fn share(&self) -> f32 {
        match self.total_bytes {
            0 => 0.0,
            total => (self.bytes as f64 / total as f64).min(1.0) as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(license: Option<&str>) -> Offer {
        Offer {
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
        let mut progress = Progress::default();
        assert_eq!(progress.share(), 0.0);
        progress.bytes = 50;
        progress.total_bytes = 200;
        assert_eq!(progress.share(), 0.25);
    }
}
