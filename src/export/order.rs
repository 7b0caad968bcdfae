//! What is to leave a run, as plain data: what a form holds and a command line says.

use std::{ops::ControlFlow, path::PathBuf};

pub use model::{
    GgufType, MergedOptions, WeightType,
    adapter::{AdapterFormat, AdapterPart},
};
use store::RunId;

use super::Proof;

/// What is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A folder with the adapter alone.
    Adapter { layout: AdapterFormat, part: AdapterPart },
    /// A folder with the whole model, its training folded in.
    Merged(MergedOptions),
    /// A folder with the same as one GGUF file, and how to run it.
    Gguf(GgufType),
    /// One file about the run, for people: Markdown where its name ends in `.md`, else HTML.
    Report,
}

/// Hears what an export is busy with and the share of that done, where it is known; stops the export by breaking.
pub type OnPhase<'a> = dyn FnMut(&str, Option<f32>) -> ControlFlow<()> + 'a;

/// An export of a run, as a form or a command line says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOrder {
    /// The project's folder.
    pub project: PathBuf,
    pub run: RunId,
    pub which: WhichCheckpoint,
    pub what: What,
    pub strength: AdapterStrength,
    /// A new folder, or a file for a report.
    pub to: PathBuf,
    /// An earlier export of ours there, or any file in the place of a report, may be replaced.
    pub overwrite: bool,
}

/// How much of what was trained goes out, in percent: 100 is what was trained, 0 the model without it, above 100 more
/// of the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdapterStrength(u16);

impl AdapterStrength {
    pub const MOST: u16 = 150;

    /// Nothing above [`Self::MOST`].
    pub fn percent(percent: u16) -> Option<Self> {
        (percent <= Self::MOST).then_some(Self(percent))
    }

    pub fn as_percent(self) -> u16 {
        self.0
    }

    /// 1 for 100 percent.
    pub fn factor(self) -> f32 {
        f32::from(self.0) / 100.0
    }
}

impl Default for AdapterStrength {
    fn default() -> Self {
        Self(100)
    }
}

/// Which of a run's checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhichCheckpoint {
    #[default]
    Newest,
    Step(u64),
    /// The evaluation with the lowest held-out loss.
    Best,
}

/// An export that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The step of the weights, or the last one that a report tells of.
    pub step: u64,
    /// What the files were checked with; a report has nothing to check.
    pub proof: Option<Proof>,
    /// Why it is not the newest checkpoint: sentences, none where it is or another one was asked for.
    pub passed_over: Vec<String>,
    /// What other programs do otherwise with these files, as sentences.
    pub remarks: Vec<String>,
}
