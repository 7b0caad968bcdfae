//! What was typed after `train` and `resume`.

use std::path::PathBuf;

use clap::ArgGroup;
use kernels::device::DeviceChoice;

use super::{
    several::{OneRun, Settings},
    words::{OneMethod, steps},
};

/// Train a new run
#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("where").args(["project", "demo", "print_config"]).required(true).multiple(true))]
pub struct Train {
    /// The project's folder.
    #[arg(conflicts_with = "demo")]
    pub project: Option<PathBuf>,
    /// The demo project instead.
    #[arg(long)]
    pub demo: bool,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub method: OneMethod,
    /// Labels made, changed or removed meanwhile join it at each end of an epoch (data.live_labels).
    #[arg(long)]
    pub hot: bool,
    /// What the run is called [default: its method and number]
    #[arg(long)]
    pub name: Option<String>,
    /// One JSON object a line: metrics by step, then how it ended.
    #[arg(long)]
    pub json: bool,
    /// Print the settings as run.toml and train nothing.
    #[arg(long)]
    pub print_config: bool,
}

/// Go on with a run, from its newest checkpoint or an earlier one
///
/// A run that ended before its first checkpoint begins again.
#[derive(Debug, clap::Args)]
pub struct Resume {
    #[command(flatten)]
    pub of: OneRun,
    /// Steps of the whole run, if it is to be longer than it was. From here on the learning rate follows the curve of a
    /// run of that length; the log says how the next step's rate changes by it.
    #[arg(long, value_name = "N", value_parser = steps())]
    pub steps: Option<u64>,
    /// Go on from the checkpoint of this step, 0 for the beginning. What was measured and saved later is dropped.
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
    /// auto, cpu, gpu:0, cuda:0 or metal [default: the run's own]
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// One JSON object a line: metrics by step, then how it ended.
    #[arg(long)]
    pub json: bool,
}
