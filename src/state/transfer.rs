//! Files of pairs on their way in and out, and what came of them.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A file on its way in or out.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// E.g. "Reading pairs.jsonl".
    pub what: String,
    pub progress: Arc<TransferProgress>,
}

/// Written by the thread that reads the file, read by the frame.
#[derive(Debug, Default)]
pub struct TransferProgress {
    /// Thousandths.
    pub done: AtomicU64,
    pub pairs: AtomicU64,
    cancelled: AtomicBool,
}

impl TransferProgress {
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// An export that would replace a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacing {
    /// As it was asked for.
    pub path: PathBuf,
    /// What is there already.
    pub there: PathBuf,
    /// Like `path`, but free.
    pub free: PathBuf,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImportOutcome {
    pub file: PathBuf,
    /// As recognised, e.g. "TRL".
    pub format: String,
    pub added: usize,
    /// In the project already.
    pub known: usize,
    /// Line (from 1) and reason of each record that did not come in.
    pub faults: Vec<(u64, String)>,
    /// The same for records that came in and deserve a look.
    pub notes: Vec<(u64, String)>,
    /// What is to be said about the file as a whole.
    pub remarks: Vec<String>,
    pub cancelled: bool,
}
