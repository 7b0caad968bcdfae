//! What `nudge probe-gpu` takes.

/// Try the graphics cards of this machine, and say which would be used
#[derive(Debug, clap::Args)]
pub struct ProbeGpu {
    /// Print a JSON object.
    #[arg(long)]
    pub json: bool,
    /// Try the cards from this number on in this very process: what the program asks of itself.
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub from: Option<usize>,
}
