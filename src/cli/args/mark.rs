//! What was typed after `mark`.

use std::ffi::OsString;

/// What can be said about a run.
const CHANGES: [&str; 9] = ["name", "tag", "untag", "note", "colour", "pin", "unpin", "archive", "unarchive"];

/// Name a run, tag it, note something about it, give it a colour, pin it or put it away
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").args(CHANGES).args(["undo", "redo"]).multiple(true).required(true))]
pub struct Mark {
    /// PROJECT RUN, or with --demo just RUN. A run is a number, a name, or "last". --undo and --redo take no RUN.
    #[arg(required_unless_present = "demo", num_args = 1..=2, value_names = ["PROJECT", "RUN"])]
    pub place: Vec<OsString>,
    /// The demo project.
    #[arg(long)]
    pub demo: bool,
    /// Its new name.
    #[arg(long)]
    pub name: Option<String>,
    /// Can be given again.
    #[arg(long)]
    pub tag: Vec<String>,
    /// Takes this tag off. Can be given again.
    #[arg(long)]
    pub untag: Vec<String>,
    /// In place of the note before; an empty one takes it away.
    #[arg(long)]
    pub note: Option<String>,
    /// The colour of its lines in the window, 1 to 8; 0 is its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=8))]
    pub colour: Option<u8>,
    /// Before all others in lists.
    #[arg(long, conflicts_with = "unpin")]
    pub pin: bool,
    #[arg(long)]
    pub unpin: bool,
    /// Out of the lists; nothing is deleted.
    #[arg(long, conflicts_with = "unarchive")]
    pub archive: bool,
    #[arg(long)]
    pub unarchive: bool,
    /// Takes back what was said last about any run of the project, here or in the window; once more what was said
    /// before that.
    #[arg(long, conflicts_with_all = CHANGES, conflicts_with = "redo")]
    pub undo: bool,
    /// Says again what was taken back last.
    #[arg(long, conflicts_with_all = CHANGES)]
    pub redo: bool,
}
