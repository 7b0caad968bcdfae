//! What `nudge probe-gpu` takes, and which commands want the cards tried before them.

use super::Command;

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

impl Command {
    /// Whether it may have a device choose itself.
    pub fn computes(&self) -> bool {
        matches!(
            self,
            Self::Train(_)
                | Self::Compare(_)
                | Self::Resume(_)
                | Self::Fork(_)
                | Self::Sample(_)
                | Self::References(_)
                | Self::Check(_)
                | Self::Score(_)
                | Self::Generate(_)
                | Self::Queue(_)
                | Self::Bench(_)
        )
    }
}
