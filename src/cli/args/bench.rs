//! What was typed after `bench`.

use std::path::PathBuf;

use clap::ValueEnum;
use data::config::{Method, Precision};
use kernels::device::DeviceChoice;

use super::words::{one_of, precision};

/// Measure how fast and how lean training is on this machine
#[derive(Debug, clap::Args)]
pub struct Bench {
    /// A model of this shape with random weights.
    #[arg(long, value_enum, default_value_t = ShapeName::Smol135, conflicts_with = "model")]
    pub shape: ShapeName,
    /// A Hugging Face folder, or a GGUF file, instead.
    #[arg(long, value_name = "HF_DIR")]
    pub model: Option<PathBuf>,
    /// Token ids: {"prompt": [..], "chosen": [..], "rejected": [..]} a line, with "sft_prompt" and "sft_completion"
    /// where there are reference answers [default: random pairs]
    #[arg(long, value_name = "IDS_JSONL")]
    pub batch_file: Option<PathBuf>,
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub pairs_per_step: usize,
    /// mpo on mean margins with β 2, dpo with β 0.1, or ipo with τ 0.1.
    #[arg(long, value_parser = one_of(Method::PREFERENCE, Method::name), default_value = Method::Mpo.name())]
    pub objective: Method,
    /// λ_ref: train on the reference answers of the pairs too.
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0)]
    pub reference_weight: f64,
    #[arg(long, value_name = "N", default_value_t = 16, conflicts_with = "full", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub lora_rank: usize,
    /// Train every weight instead of an adapter.
    #[arg(long)]
    pub full: bool,
    /// Measure answers instead: how fast prompts are read and how fast tokens come.
    #[arg(long, conflicts_with_all = [
        "batch_file", "pairs_per_step", "objective", "reference_weight", "lora_rank", "full", "recompute",
        "micro_batch_tokens", "steps", "warmup",
    ])]
    pub generate: bool,
    /// What frozen weights are kept as: auto, f32, bf16, q8_0 (8 bits) or q4_k (4 bits).
    #[arg(long, default_value = "auto", value_parser = precision())]
    pub dtype: Precision,
    /// auto, cpu, gpu:0, cuda:0 or metal.
    #[arg(long, default_value = "auto")]
    pub device: DeviceChoice,
    /// auto, never or always: whether each block's forward runs again in the backward, for less memory.
    #[arg(long, default_value = "auto", value_parser = ["auto", "never", "always"])]
    pub recompute: String,
    /// Tokens of one packed row [default: from the model and the memory at hand]
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub micro_batch_tokens: Option<usize>,
    /// Measured steps.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub steps: usize,
    /// Steps before them.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub warmup: usize,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShapeName {
    Tiny,
    Smol135,
    #[value(name = "qwen0.5b")]
    Qwen05b,
}
