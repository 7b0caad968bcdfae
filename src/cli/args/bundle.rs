//! What was typed after `bundle` and `open`.

use std::path::PathBuf;

/// Put a run into one file that opens elsewhere, to be looked at
///
/// In it are the run's settings, curves, log and answers, the pairs and texts as it saw them, and its newest
/// checkpoint: nothing of other runs, no later pairs, and not the model that it started from.
#[derive(Debug, clap::Args)]
pub struct Bundle {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last".
    #[arg(required = true, num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<String>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
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
