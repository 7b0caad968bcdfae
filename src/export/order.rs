//! What is to leave a run, as plain data: what a form holds and a command line says.

use std::ops::ControlFlow;

pub use crate::model::{
    MergedOptions, Stored,
    adapter::{Layout, Part},
};

/// What is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A folder with the adapter alone.
    Adapter { layout: Layout, part: Part },
    /// A folder with the whole model, its training folded in.
    Merged(MergedOptions),
    /// One file about the run, for people: Markdown where its name ends in `.md`, else HTML.
    Report,
}

/// Hears what an export is busy with and the share of that done, where it is known; stops the export by breaking.
pub type OnPhase<'a> = dyn FnMut(&str, Option<f32>) -> ControlFlow<()> + 'a;
