//! What was typed after `compare`.

use std::path::PathBuf;

use data::{Across, Scale, config::Contender};

use super::{
    several::{Place, Settings},
    words::one_of,
};

/// Train one run of each method on the same settings and lay what they reached side by side
///
/// With --runs nothing is trained: these runs are laid side by side.
#[derive(Debug, clap::Args)]
pub struct Compare {
    #[command(flatten)]
    pub place: Place,
    /// Which methods, in this order; mpo:all and dpo:all train against all rejected answers of a pair. ppo, rloo and
    /// grpo learn from a reward model: one that is there, or reward before them.
    #[arg(long, alias = "method", value_parser = one_of(Contender::all(), Contender::word), value_delimiter = ',', default_value = "mpo,dpo,ipo")]
    pub methods: Vec<Contender>,
    /// Runs of each method, which differ in nothing but train.shuffle_seed: 0, 1, ..
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub seeds: u64,
    /// Go on with a comparison that ended early: runs of these settings on the same labels that are there count, one
    /// that was stopped goes on, and only what is missing is trained.
    #[arg(long)]
    pub go_on: bool,
    /// Give every method the β or τ under which its first gradient is as long as that of the first one.
    #[arg(long = "match")]
    pub matched: bool,
    #[command(flatten)]
    pub settings: Settings,
    /// Runs that are there already, e.g. 1,2,last.
    #[arg(long, value_delimiter = ',', value_name = "RUNS", conflicts_with_all = ["methods", "seeds", "go_on", "matched", "config", "set", "steps", "device"])]
    pub runs: Vec<String>,
    /// Also a new file that tells the comparison on one page: settings, charts, answers (HTML).
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Also the charts in a new file: .png or .svg a picture, .csv or .json their numbers. Can be given again.
    #[arg(long, value_name = "FILE")]
    pub export: Vec<PathBuf>,
    /// Also all that the runs measured, as event files in this folder, a folder a run.
    #[arg(long, value_name = "DIR")]
    pub tensorboard: Option<PathBuf>,
    /// Charts of what is exported [default: what runs are compared by]
    #[arg(long, value_name = "METRICS", value_delimiter = ',', requires = "export")]
    pub metrics: Vec<String>,
    /// What they have across: steps, pairs, tokens, seconds or drift.
    #[arg(long, value_parser = one_of(Across::ALL, Across::name), default_value = "steps", requires = "export")]
    pub across: Across,
    /// linear, log or symlog.
    #[arg(long, value_parser = one_of(Scale::ALL, Scale::name), default_value = "linear", requires = "export")]
    pub scale: Scale,
    /// In a picture the few values far from the others do not stretch an axis; an arrow at its edge stands for each.
    #[arg(long, requires = "export")]
    pub clip: bool,
    /// Weight of the past in a moving average, with the raw trace behind it.
    #[arg(long, value_name = "WEIGHT", value_parser = smoothing, default_value = "0", requires = "export")]
    pub smoothing: f64,
    /// Replace those files.
    #[arg(long)]
    pub overwrite: bool,
    /// One JSON object a line: metrics by step, how each run ended, and at last all runs with what they reached.
    #[arg(long)]
    pub json: bool,
}

fn smoothing(text: &str) -> Result<f64, String> {
    let weight = text.parse().ok().filter(|weight| (0.0..1.0).contains(weight));
    weight.ok_or_else(|| "it must be a number, at least 0 and below 1".to_owned())
}
