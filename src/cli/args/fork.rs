//! What was typed after `fork`.

use kernels::device::DeviceChoice;

use super::{several::OneRun, words::steps};

/// Go on from a checkpoint of a run as a run of its own, with changed settings or without some pairs
///
/// Weights, optimizer, order of the pairs and curves go on; the run that it was forked from stays as it is. What
/// belongs to the checkpoint, like the model or the rank of the adapter, stays and says why.
#[derive(Debug, clap::Args)]
pub struct Fork {
    #[command(flatten)]
    pub of: OneRun,
    /// The step whose checkpoint it goes on from; 0 for the same beginning.
    #[arg(long, value_name = "STEP")]
    pub at: u64,
    /// A setting that it has otherwise, e.g. objective.beta=0.2; an empty value takes it back to its default. Can be
    /// given again.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Pairs with this tag are not trained on. Can be given again.
    #[arg(long, value_name = "TAG")]
    pub without_tag: Vec<String>,
    /// Nor are the pairs of these numbers, e.g. 12,40.
    #[arg(long, value_name = "PAIRS", value_delimiter = ',')]
    pub without: Vec<i64>,
    /// Steps in all, those before the fork counted [default: the run's own]
    #[arg(long, value_name = "N", value_parser = steps())]
    pub steps: Option<u64>,
    /// auto, cpu, gpu:0, cuda:0 or metal [default: the run's own]
    #[arg(long)]
    pub device: Option<DeviceChoice>,
    /// What the fork is called [default: the run's name and the step]
    #[arg(long)]
    pub name: Option<String>,
    /// One JSON object a line: metrics by step, then how it ended.
    #[arg(long)]
    pub json: bool,
}
