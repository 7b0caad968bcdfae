//! What was typed after `nudge export`.

use std::path::PathBuf;

use clap::ArgGroup;

/// Write a run's weights as other tools read them, proven by reading them back, or a report of it
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("target").args(["adapter", "merged", "report"]).required(true))]
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
    /// A new folder for the adapter.
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Whose files the adapter is written as.
    #[arg(long, value_enum, default_value = "peft", requires = "adapter")]
    pub layout: LayoutName,
    /// Of a run that started from an adapter: the sum of all for the bare base model, or the newest alone, to go on top of the earlier.
    #[arg(long, value_enum, default_value = "sum", requires = "adapter")]
    pub part: PartName,
    /// A new folder for the whole model with its training folded in.
    #[arg(long, value_name = "DIR")]
    pub merged: Option<PathBuf>,
    /// A new file that tells the run on one page: Markdown if it ends in .md, else HTML.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What the merged weights are stored as [default: each tensor's own type in the base]
    #[arg(long, value_enum, requires = "merged")]
    pub dtype: Option<StoredName>,
    /// Longest weight file of a merged model, e.g. 5GB or 500MB.
    #[arg(long, value_name = "SIZE", default_value = "5GB")]
    pub max_shard_size: String,
    /// Replace an earlier export in that folder, or that file.
    #[arg(long)]
    pub overwrite: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Whose files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LayoutName {
    /// Hugging Face PEFT; vLLM and others read it too.
    Peft,
    /// mlx-lm.
    Mlx,
    /// llama.cpp.
    Gguf,
}

/// What of several adapters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PartName {
    /// All of them as one.
    Sum,
    /// The one that the run trained.
    Newest,
}

/// The element type of merged weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoredName {
    F32,
    F16,
    Bf16,
}
