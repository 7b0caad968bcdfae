//! What was typed after `nudge export`.

use std::path::PathBuf;

use clap::ArgGroup;

/// Write a run's weights as other tools read them, proven by reading them back
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("target").args(["adapter", "merged"]).required(true))]
pub struct Export {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last".
    #[arg(required = true, num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<String>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
    /// The checkpoint of this step [default: the newest]
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// The checkpoint with the lowest held-out loss.
    #[arg(long, conflicts_with = "step")]
    pub best: bool,
    /// A new folder for the adapter, as PEFT reads it.
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// A new folder for the whole model with its training folded in.
    #[arg(long, value_name = "DIR")]
    pub merged: Option<PathBuf>,
    /// What the merged weights are stored as [default: each tensor's own type in the base]
    #[arg(long, value_enum, conflicts_with = "adapter")]
    pub dtype: Option<StoredName>,
    /// Longest weight file of a merged model, e.g. 5GB or 500MB.
    #[arg(long, value_name = "SIZE", default_value = "5GB")]
    pub max_shard_size: String,
    /// Replace an earlier export in that folder.
    #[arg(long)]
    pub overwrite: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// The element type of merged weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoredName {
    F32,
    F16,
    Bf16,
}
