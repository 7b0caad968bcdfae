//! What was typed after `nudge export`.

use std::path::PathBuf;

use clap::ArgGroup;

/// Write a run's weights as other tools read them, proven by reading them back, or a report of it
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("target").args(["adapter", "merged", "gguf", "report"]).required(true))]
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
    /// A new folder for the same as one GGUF file, with its tokenizer and template inside, for llama.cpp, LM Studio and Ollama.
    #[arg(long, value_name = "DIR")]
    pub gguf: Option<PathBuf>,
    /// A new file that tells the run on one page: Markdown if it ends in .md, else HTML.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What the weights of --merged [default: each tensor's own type in the base] or --gguf [default: q8_0] are stored as.
    #[arg(long, value_enum, conflicts_with_all = ["adapter", "report"])]
    pub dtype: Option<StoredName>,
    /// How much of what was trained goes out, in percent: 0 to 150.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, conflicts_with = "report",
          value_parser = clap::value_parser!(u16).range(0..=150))]
    pub strength: u16,
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

/// The element type of merged weights; those in blocks of a few bits are for --gguf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoredName {
    F32,
    F16,
    Bf16,
    #[value(name = "q8_0")]
    Q8_0,
    #[value(name = "q4_k")]
    Q4K,
    #[value(name = "q4_0")]
    Q4_0,
}
