//! The Pairs screen: what is true, what the screen remembers, what it can ask for.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{difference::Differences, drafts::Draft, filter::Filter, labelling::Labelling, remembered::Remembered};
use crate::{
    data::{Change, Pair, PairId, Verdict, health::Health},
    store::{Counts, PairQuery, PairRow, PairVisit, Revision},
};

/// What the project says about its pairs, as far as the screen has asked. Written only by `app`.
#[derive(Debug, Default)]
pub struct PairsData {
    /// The newest revision the window has heard of.
    pub revision: Revision,
    /// What was asked last; `ids` may still answer the question before.
    pub asked: Option<PairQuery>,
    /// The answer to `asked` is on its way.
    pub listing: bool,
    /// Counts the lists asked for: one that is no longer the newest need not be made.
    pub lists: Arc<AtomicU64>,
    /// In the order of the table.
    pub ids: Arc<Vec<PairId>>,
    pub counts: Counts,
    /// Tags in use, with how many pairs carry them.
    pub tags: Vec<(String, usize)>,
    /// Labels of what undo and redo would do.
    pub undo: Option<String>,
    pub redo: Option<String>,
    pub health: Option<(Revision, Arc<Health>)>,
    pub examining: bool,
    pub transfer: Option<Transfer>,
    pub import: Option<ImportOutcome>,
    /// The newest run that met a pair, and what it saw.
    pub histories: Remembered<Option<History>>,
    pub rows: Remembered<PairRow>,
    pub pairs: Remembered<Pair>,
}

impl PairsData {
    /// The project took a change in: what was read before may be out of date.
    pub fn changed(&mut self, pairs: &[PairId], fresh: Vec<Pair>) {
        for id in pairs {
            self.rows.expire(*id);
            self.pairs.forget(*id);
        }
        for pair in fresh {
            self.pairs.put(pair.id, pair);
        }
        self.asked = None;
    }

    /// Whether the project is known to hold no pairs at all.
    pub fn is_empty(&self) -> bool {
        self.asked.is_some() && !self.listing && self.counts.total() == 0
    }
}

/// What one run has seen of one pair.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    pub run: String,
    /// By step.
    pub visits: Vec<(u64, PairVisit)>,
}

/// A file on its way in or out.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// E.g. "Reading pairs.jsonl".
    pub what: String,
    pub progress: Arc<TransferProgress>,
}

/// Written by the thread that reads the file, read by the frame.
#[derive(Debug, Default)]
pub struct TransferProgress {
    /// Thousandths.
    pub done: AtomicU64,
    pub pairs: AtomicU64,
    cancelled: AtomicBool,
}

impl TransferProgress {
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOutcome {
    pub file: PathBuf,
    /// As recognised, e.g. "TRL".
    pub format: String,
    pub added: usize,
    /// Line (from 1) and reason of each record that did not come in.
    pub faults: Vec<(u64, String)>,
    /// The same for records that came in and deserve a look.
    pub notes: Vec<(u64, String)>,
    pub cancelled: bool,
}

/// A list made elsewhere (data health), shown in place of the filter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    /// E.g. "12 pairs say the same".
    pub title: String,
    pub ids: Arc<Vec<PairId>>,
}

/// What a labelling session shows besides the pair.
#[derive(Debug)]
pub struct LabelView {
    pub session: Labelling,
    pub difference: bool,
    pub keys: bool,
    /// The pair on the screen while it is being edited.
    pub editing: Option<Draft>,
    /// Editing has just begun: the caret belongs into the left answer.
    pub editing_begins: bool,
    pub held: HeldKeys,
}

/// Keys that are down, by their place on the board.
///
/// egui tells a repeat by the letter: where Shift is let go before the digit, `!` goes down and `1` comes up, and every
/// later `!` would look like a repeat.
#[derive(Debug, Clone, Default)]
pub struct HeldKeys {
    down: HashSet<u64>,
}

impl HeldKeys {
    /// True when the key was up before.
    pub fn press(&mut self, place: u64) -> bool {
        self.down.insert(place)
    }

    pub fn release(&mut self, place: u64) {
        self.down.remove(&place);
    }

    /// The window lost the keyboard: what is let go now is not told.
    pub fn release_all(&mut self) {
        self.down.clear();
    }
}

/// What the Pairs screen remembers between frames and starts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct PairsView {
    pub filter: Filter,
    pub selected: Option<PairId>,
    pub difference: bool,
    pub health_open: bool,
    /// The token inspector is open.
    pub tokens: bool,
    /// Path as typed, for import and export.
    pub path: String,
    /// Folder of the project that the rest is about.
    pub project: PathBuf,
    #[serde(skip)]
    pub only: Option<Only>,
    #[serde(skip)]
    pub draft: Option<Draft>,
    #[serde(skip)]
    pub labelling: Option<LabelView>,
    #[serde(skip)]
    pub differences: Differences,
    /// The strip under the title.
    #[serde(skip)]
    pub strip: Strip,
    /// The strip has just been opened: the caret belongs into its field.
    #[serde(skip)]
    pub strip_opens: bool,
    /// The row of the selected pair is to be scrolled to.
    #[serde(skip)]
    pub reveal: bool,
    /// What is typed for a new tag.
    #[serde(skip)]
    pub new_tag: String,
}

impl Default for PairsView {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            selected: None,
            difference: true,
            health_open: false,
            tokens: false,
            path: String::new(),
            project: PathBuf::new(),
            only: None,
            draft: None,
            labelling: None,
            differences: Differences::default(),
            strip: Strip::None,
            strip_opens: false,
            reveal: false,
            new_tag: String::new(),
        }
    }
}

impl PairsView {
    /// The ids of the table, in its order.
    pub fn list<'a>(&'a self, data: &'a PairsData) -> &'a Arc<Vec<PairId>> {
        self.only.as_ref().map_or(&data.ids, |only| &only.ids)
    }

    /// Shows another pair in the editor and its row in the table.
    pub fn select(&mut self, pair: Option<PairId>) {
        self.selected = pair;
        self.reveal = true;
    }

    /// The project in this folder is open now: nothing of another one may stay on the screen.
    pub fn opened(&mut self, project: &Path) {
        let kept = std::mem::take(self);
        self.difference = kept.difference;
        self.health_open = kept.health_open;
        self.tokens = kept.tokens;
        self.path = kept.path;
        if kept.project == project {
            self.filter = kept.filter;
            self.selected = kept.selected;
            self.reveal = true;
        }
        project.clone_into(&mut self.project);
    }

    /// The project has these pairs now, or (absent from `fresh`) no longer has them.
    pub fn stored(&mut self, ids: &[PairId], fresh: &[Pair]) {
        for id in ids {
            let now = fresh.iter().find(|pair| pair.id == *id);
            let drafts = [self.draft.as_mut(), self.labelling.as_mut().and_then(|label| label.editing.as_mut())];
            for draft in drafts.into_iter().flatten() {
                if let Some(pair) = now.filter(|pair| pair.id == draft.pair.id) {
                    draft.stored(pair);
                }
            }
            if now.is_none() && self.draft.as_ref().is_some_and(|draft| draft.pair.id == *id) {
                self.draft = None;
            }
        }
    }
}

impl PairsView {
    /// A commit of these pairs failed: what was typed stays and can be committed again.
    pub fn refused(&mut self, ids: &[PairId]) {
        let drafts = [self.draft.as_mut(), self.labelling.as_mut().and_then(|label| label.editing.as_mut())];
        for draft in drafts.into_iter().flatten() {
            if ids.contains(&draft.pair.id) {
                draft.refused();
            }
        }
    }
}

/// What is shown between the title and the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strip {
    #[default]
    None,
    Import,
    Export,
}

#[derive(Debug, Clone)]
pub enum PairsCommand {
    /// List these pairs, in this order.
    List(PairQuery),
    /// Read lines of the table.
    ReadRows(Vec<PairId>),
    /// Read whole pairs.
    ReadPairs(Vec<PairId>),
    /// What the newest run that met this pair has seen of it.
    ReadHistory(PairId),
    /// Commit a change; with `open`, its first pair is shown afterwards.
    Change {
        change: Change,
        open: bool,
    },
    /// Give a pair a verdict, whatever else about it may have changed in the meantime.
    Judge {
        pair: PairId,
        verdict: Option<Verdict>,
        label: String,
    },
    /// With a label: only if that is what would be undone.
    Undo {
        only: Option<String>,
    },
    Redo,
    /// Start labelling the pairs that match (or these), all or only the unlabelled ones.
    Label {
        query: PairQuery,
        only: Option<Arc<Vec<PairId>>>,
        relabel: bool,
    },
    /// Look for duplicates, contradictions and the like.
    Examine,
    /// Import a file, or ask for one.
    Import(Option<PathBuf>),
    Export(Option<PathBuf>),
    CancelTransfer,
    CloseImport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_pair_leaves_the_editor() {
        let pair = Pair::new(PairId(4), crate::data::Prompt::Text("p".to_owned()), &["a", "b"]);
        let mut view = PairsView { draft: Some(Draft::open(pair.clone())), ..PairsView::default() };
        view.stored(&[PairId(4)], &[pair]);
        assert!(view.draft.is_some());
        view.stored(&[PairId(4)], &[]);
        assert!(view.draft.is_none());
    }
}
