//! What was typed after `nudge health`.

use super::several::Place;

/// Look for pairs that contradict each other, go round in circles, say the same, decline, ..; and mend a kind of them
#[derive(Debug, clap::Args)]
pub struct Health {
    #[command(flatten)]
    pub place: Place,
    /// Mend all pairs of this kind, as one change that `Undo` in the window takes back, e.g. duplicates.
    #[arg(long, value_name = "KIND")]
    pub mend: Option<String>,
    /// How: keep-first, delete, take-back, hold-out, unpin or tag [default: the first that the kind offers]
    #[arg(long, value_name = "REMEDY", requires = "mend")]
    pub by: Option<String>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}
