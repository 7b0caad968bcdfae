//! What was typed after `metrics`.

use std::path::PathBuf;

use super::several::OneRun;

/// Print what a run measured
#[derive(Debug, clap::Args)]
pub struct Metrics {
    #[command(flatten)]
    pub of: OneRun,
    /// A line a step, a column a metric (this is the default).
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// One JSON object a step.
    #[arg(long)]
    pub json: bool,
    /// An event file in this folder, for TensorBoard.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["csv", "json"])]
    pub tensorboard: Option<PathBuf>,
}
