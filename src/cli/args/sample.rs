//! What can be typed to have answers written: pairs to label, and reference answers.

use std::path::PathBuf;

use clap::ArgGroup;

/// How answers are drawn.
#[derive(Debug, clap::Args)]
pub struct Draws {
    /// Above 1 more varied, below 1 nearer to the likeliest words.
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    pub temperature: f64,
    /// Sample from the likeliest tokens that make up this share.
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    pub top_p: f64,
    /// Longest answer, tokens.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub max_new: usize,
    /// The same seed gives the same answers [default: another one with every change of the project's pairs; it is told]
    #[arg(long)]
    pub seed: Option<u64>,
}

/// Have a model answer prompts, as new pairs to be labelled
///
/// Every prompt gets two or more different answers; the pairs are in the project without a verdict, with where each
/// answer came from.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["prompts", "of_pairs"]))]
pub struct Sample {
    /// The project's folder.
    pub project: PathBuf,
    /// Prompts, one a line: plain text, {"prompt": ..} or {"messages": [..]}; "-" reads standard input [default: those
    /// that were imported without answers]
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// The prompts of the pairs that are there already, each once.
    #[arg(long)]
    pub of_pairs: bool,
    /// So many answers to each prompt.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=16))]
    pub answers: usize,
    /// Whose answers: "start" for the model as runs start from it, or a run (number, name or "last"), at its newest
    /// checkpoint or at STEP.
    #[arg(long, value_name = "start|RUN[@STEP]", default_value = "start")]
    pub from: String,
    /// Half of the pairs with one optimistic and one pessimistic answer: where a label tells most (arXiv 2502.04270).
    #[arg(long)]
    pub pilaf: bool,
    /// How far apart the two are, above 0 and at most 1.
    #[arg(long, value_name = "S", default_value_t = 0.1, requires = "pilaf")]
    pub strength: f64,
    /// Share of prompts that get such a pair.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, requires = "pilaf")]
    pub share: f64,
    #[command(flatten)]
    pub draws: Draws,
    /// One JSON object a pair, then one with the sums.
    #[arg(long)]
    pub json: bool,
}

/// Have the start model write reference answers, for the KL term
///
/// They are added to those that the project has. Prompts that it has an answer to already are passed over.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("asked").args(["prompts", "of_pairs"]))]
pub struct References {
    /// The project's folder.
    pub project: PathBuf,
    /// Prompts, one a line: plain text, {"prompt": ..} or {"messages": [..]}; "-" reads standard input [default:
    /// everyday ones, and what the retention text gives rise to, without those that pairs are about]
    #[arg(long, value_name = "FILE")]
    pub prompts: Option<PathBuf>,
    /// The prompts of the pairs: there the KL term pulls against the preference.
    #[arg(long)]
    pub of_pairs: bool,
    /// At most so many.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub count: usize,
    #[command(flatten)]
    pub draws: Draws,
    /// One JSON object an answer, then one with the sums.
    #[arg(long)]
    pub json: bool,
}
