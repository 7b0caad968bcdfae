//! What can be typed to score pairs and to answer prompts.

use std::path::PathBuf;

use clap::ArgGroup;

use super::several::Loading;

/// Log-probs of given pairs, token by token, or of a project's pairs
///
/// With a project its pairs are scored under what runs start from, or under a run's checkpoint, and the scores stay in
/// the project: what is there already is not computed again, and the window shows the same numbers.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["project", "pairs", "batch_file"]).required(true))]
pub struct Score {
    /// A project's folder.
    #[arg(conflicts_with_all = ["model", "device", "adapter", "dtype", "max_prompt_tokens", "max_answer_tokens"])]
    pub project: Option<PathBuf>,
    /// A run of the project (number, name or "last"), at its newest checkpoint or at STEP [default: what runs start
    /// from]
    #[arg(value_name = "RUN[@STEP]", requires = "project")]
    pub run: Option<String>,
    /// A run that fitted a reward model, whose scores are wanted instead of log-probs; in standard deviations.
    #[arg(long, value_name = "RUN[@STEP]", requires = "project", conflicts_with = "run")]
    pub reward: Option<String>,
    /// What each token of the labelled pairs counts in the margin of this run (objective.token_weights), and how its
    /// log-prob has changed.
    #[arg(long, requires = "run")]
    pub weights: bool,
    /// A Hugging Face folder, the name of a model in its cache, or a GGUF file.
    #[arg(long, value_name = "HF_DIR", required_unless_present = "project")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub loading: Loading,
    /// Preference pairs in any format that can be imported.
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    /// Token ids: {"prompt": [..], "chosen": [..], "rejected": [..]} a line.
    #[arg(long, value_name = "IDS_JSONL")]
    pub batch_file: Option<PathBuf>,
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_prompt_tokens: usize,
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub max_answer_tokens: usize,
    /// One JSON object a pair, then one with the accuracy.
    #[arg(long)]
    pub json: bool,
}

/// Answer prompts
///
/// With no word on sampling, as the model's generation_config.json asks; greedy where it does not.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["prompt", "messages", "prompt_ids", "prompts"]).required(true))]
pub struct Generate {
    /// A Hugging Face folder, the name of a model in its cache, or a GGUF file.
    #[arg(long, value_name = "HF_DIR")]
    pub model: PathBuf,
    #[command(flatten)]
    pub loading: Loading,
    /// A text to go on from, without the chat template.
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// A conversation: a JSON file with [{"role": .., "content": ..}, ..]; "-" reads standard input.
    #[arg(long, value_name = "FILE")]
    pub messages: Option<PathBuf>,
    /// Token ids, e.g. 1,2,3.
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    pub prompt_ids: Vec<u32>,
    /// Many prompts at once: a line each of {"prompt": TEXT}, {"messages": [..]} or {"prompt_ids": [..]}; "-" reads
    /// standard input.
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// So many answers to each prompt.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4096))]
    pub samples: usize,
    /// Always the likeliest token.
    #[arg(long, conflicts_with_all = ["temperature", "top_p", "top_k", "min_p", "repetition_penalty"])]
    pub greedy: bool,
    /// Sample at this temperature.
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Sample from the likeliest tokens that make up this share [default: 1]
    #[arg(long, value_name = "P")]
    pub top_p: Option<f64>,
    /// Sample from this many likeliest tokens, 0 for all [default: 0]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Leave out tokens with less than this share of the likeliest one's probability [default: 0]
    #[arg(long, value_name = "P")]
    pub min_p: Option<f64>,
    /// Above 1: tokens that were there already become less likely [default: 1]
    #[arg(long, value_name = "X")]
    pub repetition_penalty: Option<f64>,
    /// A text that ends the answer, which is cut before it. Can be given again.
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_new: usize,
    /// Go on past the end of the turn.
    #[arg(long)]
    pub ignore_eos: bool,
    /// One JSON object an answer.
    #[arg(long)]
    pub json: bool,
}
