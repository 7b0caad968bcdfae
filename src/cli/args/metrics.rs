//! What was typed after `metrics`.

use std::path::PathBuf;

/// Print what a run measured
#[derive(Debug, clap::Args)]
pub struct Metrics {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last".
    #[arg(required = true, num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<String>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
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
