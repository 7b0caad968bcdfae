//! What was typed after `bundle` and `open`.

use std::path::PathBuf;

use super::several::OneRun;

/// Put a run into one file that opens elsewhere, to be looked at
///
/// In it are the run's settings, curves, log and answers, the pairs and texts as it saw them, and its newest
/// checkpoint: nothing of other runs, no later pairs, and not the model that it started from.
#[derive(Debug, clap::Args)]
pub struct Bundle {
    #[command(flatten)]
    pub of: OneRun,
    /// The new file, e.g. run.nudge.
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace that file.
    #[arg(long)]
    pub overwrite: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Open a bundle in the window: a run that somebody else put into a file
#[derive(Debug, clap::Args)]
pub struct Open {
    /// The file.
    pub file: PathBuf,
    /// Unpack it into this new folder and open no window.
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}
