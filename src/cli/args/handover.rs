//! What was typed after `handover`, `follow` and `takeback`.

use std::path::PathBuf;

use super::{Settings, words::OneMethod};

/// Write a folder from which a new run is trained on another machine or a cluster, with PyTorch
///
/// The steps are those that `nudge train` would take: the same pairs in the same order, the same start, the same
/// learning rates. START.txt in the folder says what to do there. The model itself is not in it.
#[derive(Debug, clap::Args)]
pub struct Handover {
    /// The project's folder.
    pub project: PathBuf,
    #[command(flatten)]
    pub settings: Settings,
    #[command(flatten)]
    pub method: OneMethod,
    /// A new folder.
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// What the run is called [default: its method and number]
    #[arg(long)]
    pub name: Option<String>,
    /// One JSON object: the run, the folder, its steps, the model.
    #[arg(long)]
    pub json: bool,
}

/// Take in what a run that is away tells, as it comes
///
/// Ends with the run's last step, with the end of the input, or with Ctrl-C; nothing is taken in twice, so it can be
/// followed again at any time.
#[derive(Debug, clap::Args)]
pub struct Follow {
    /// The project's folder.
    pub project: PathBuf,
    /// A number, a name, or "last".
    pub run: String,
    /// The handed-over folder, its out/, an attempt in that, an events.jsonl, or - for standard input.
    #[arg(value_name = "DIR|FILE|-")]
    pub from: PathBuf,
    /// Take in what is there by now and end.
    #[arg(long)]
    pub once: bool,
    /// One JSON object a line: metrics by step.
    #[arg(long)]
    pub json: bool,
}

/// Take back what a run that is away has learnt, prove it here, and make it a checkpoint of the run
#[derive(Debug, clap::Args)]
pub struct Takeback {
    /// The project's folder.
    pub project: PathBuf,
    /// A number, a name, or "last".
    pub run: String,
    /// The handed-over folder, its out/, or an attempt or a checkpoint's nudge/ in that.
    #[arg(value_name = "DIR", required_unless_present = "give_up", conflicts_with = "give_up")]
    pub from: Option<PathBuf>,
    /// What was learnt up to this step [default: the newest that is there]
    #[arg(long, value_name = "STEP")]
    pub step: Option<u64>,
    /// Even if this machine scores documents otherwise than the other one did.
    #[arg(long)]
    pub unproven: bool,
    /// It does not come back: the run stands as stopped and may be begun again here.
    #[arg(long)]
    pub give_up: bool,
    /// One JSON object: the step, the checkpoint, how far off the other machine was.
    #[arg(long)]
    pub json: bool,
}
