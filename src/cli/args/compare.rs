//! What was typed after `compare`.

use std::path::PathBuf;

use clap::{
    ArgGroup,
    builder::{PossibleValuesParser, TypedValueParser},
};
use data::config::Contender;

use super::Settings;

/// Train one run of each method on the same settings and lay what they reached side by side
///
/// With --runs nothing is trained: these runs are laid side by side.
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("where").args(["project", "demo"]).required(true))]
pub struct Compare {
    /// The project's folder.
    pub project: Option<PathBuf>,
    /// The demo project instead.
    #[arg(long)]
    pub demo: bool,
    /// Which methods, in this order; mpo:all and dpo:all train against all rejected answers of a pair. ppo, rloo and grpo
    /// learn from a reward model: one that is there, or reward before them.
    #[arg(long, value_parser = contenders(), value_delimiter = ',', default_value = "mpo,dpo,ipo")]
    pub methods: Vec<Contender>,
    /// Runs of each method, which differ in nothing but train.shuffle_seed: 0, 1, ..
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Give every method the β or τ under which its first gradient is as long as that of the first one.
    #[arg(long = "match")]
    pub matched: bool,
    #[command(flatten)]
    pub settings: Settings,
    /// Runs that are there already, e.g. 1,2,last.
    #[arg(long, value_delimiter = ',', value_name = "RUNS", conflicts_with_all = ["methods", "seeds", "matched", "config", "set", "steps", "device"])]
    pub runs: Vec<String>,
    /// Also a new file that tells the comparison on one page: settings, charts, answers (HTML).
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Replace that file.
    #[arg(long, requires = "report")]
    pub overwrite: bool,
    /// One JSON object a line: metrics by step, how each run ended, and at last all runs with what they reached.
    #[arg(long)]
    pub json: bool,
}

fn contenders() -> impl TypedValueParser<Value = Contender> {
    PossibleValuesParser::new(Contender::ALL.map(Contender::word))
        .map(|word| Contender::named(&word).unwrap_or(Contender::USUAL[0]))
}
