//! What is asked about labels and the runs that they meet.

use super::several::OneRun;

/// Have labels made since a run began join it at its next end of an epoch
///
/// The run may be going in any process, or be gone on with later.
#[derive(Debug, clap::Args)]
pub struct TakeIn {
    #[command(flatten)]
    pub of: OneRun,
    /// They are not to join it, if it was asked before.
    #[arg(long)]
    pub not_yet: bool,
    /// One JSON object: what waits, and what has joined.
    #[arg(long)]
    pub json: bool,
}

/// List the labels that a run argues against: their margin stays low while the others' rises
///
/// Judged since it began, a label is not listed any more.
#[derive(Debug, clap::Args)]
pub struct Suspects {
    #[command(flatten)]
    pub of: OneRun,
    /// All labels that it met twice or more, those in doubt first.
    #[arg(long)]
    pub all: bool,
    /// One JSON object a label.
    #[arg(long)]
    pub json: bool,
}
