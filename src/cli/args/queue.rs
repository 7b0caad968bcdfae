//! What was typed after `queue`, `stop` and `pause`.

use std::ffi::OsString;

use super::several::Place;

/// Have a run that another program trains, e.g. in the background, end with a checkpoint
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last" [default: the one that is going]
    #[arg(required_unless_present = "demo", num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<OsString>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
    /// All that wait behind it as well: the whole queue ends. They stay in it, to be taken up again.
    #[arg(long)]
    pub queue: bool,
}

/// Let a run that another program trains rest, e.g. one in the background
#[derive(Debug, clap::Args)]
pub struct Pause {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last" [default: the one that is going]
    #[arg(required_unless_present = "demo", num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<OsString>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
    /// Go on with it. One that was paused in a window goes on there.
    #[arg(long)]
    pub off: bool,
}

/// The runs that wait for their turn: list them, put them in order, train them one after the other
#[derive(Debug, clap::Args)]
pub struct Queue {
    #[command(flatten)]
    pub place: Place,
    /// These go first, in this order, e.g. 5,3; the others behind them, as they stood.
    #[arg(long, value_delimiter = ',', value_name = "RUNS")]
    pub order: Vec<String>,
    /// Train them, without a window. Another order that is set meanwhile counts.
    #[arg(long)]
    pub go: bool,
    /// Go on with this run before those that wait.
    #[arg(long, value_name = "RUN", requires = "go")]
    pub first: Option<String>,
    /// Say on the desktop when a run has ended, as where nobody watches.
    #[arg(long, requires = "go")]
    pub tell: bool,
    /// One JSON object a line: the runs that wait, or with --go metrics by step and how each run ended.
    #[arg(long)]
    pub json: bool,
}
