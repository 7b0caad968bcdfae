//! What was typed after `nudge export`.

use std::path::PathBuf;

use clap::ArgGroup;
use engine::protocol::{AdapterFormat, AdapterPart, GgufType};

use super::{several::OneRun, words::one_of};

/// Write a run's weights as other tools read them, proven by reading them back, or a report of it
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("target").args(["adapter", "merged", "gguf", "report"]).required(true))]
pub struct Export {
    #[command(flatten)]
    pub of: OneRun,
    /// The checkpoint of this step [default: the newest]
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// The checkpoint with the lowest held-out loss.
    #[arg(long, conflicts_with = "step")]
    pub best: bool,
    /// A new folder for the adapter.
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Whose files the adapter is written as: those of Hugging Face PEFT, which vLLM and others read too, of mlx-lm, or
    /// of llama.cpp.
    #[arg(long, default_value = "peft", requires = "adapter", value_parser = one_of(&AdapterFormat::ALL, AdapterFormat::name))]
    pub layout: AdapterFormat,
    /// Of a run that started from an adapter: the sum of all for the bare base model, or the newest alone, to go on top
    /// of the earlier.
    #[arg(long, default_value = "sum", requires = "adapter", value_parser = one_of(&AdapterPart::ALL, AdapterPart::name))]
    pub part: AdapterPart,
    /// A new folder for the whole model with its training folded in.
    #[arg(long, value_name = "DIR")]
    pub merged: Option<PathBuf>,
    /// A new folder for the same as one GGUF file, with its tokenizer and template inside, for llama.cpp, LM Studio and
    /// Ollama.
    #[arg(long, value_name = "DIR")]
    pub gguf: Option<PathBuf>,
    /// A new file that tells the run on one page: Markdown if it ends in .md, else HTML.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// What the weights of --merged [default: each tensor's own type in the base] or --gguf [default: q8_0] are stored
    /// as; blocks of a few bits are for --gguf.
    #[arg(long, conflicts_with_all = ["adapter", "report"], value_parser = one_of(&GgufType::ALL, GgufType::name))]
    pub dtype: Option<GgufType>,
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
