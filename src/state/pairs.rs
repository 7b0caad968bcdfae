//! The Pairs screen: what is true, what the screen remembers, what it can ask for.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde::{Deserialize, Serialize};

use super::{difference::Differences, drafts::Draft, labelling::Labelling};
use crate::{
    data::{Change, Pair, PairId, Split, Verdict, health::Health},
    store::{
        Counts, PairQuery, PairRow, PairVisit, Revision, Sort, SortKey, VerdictFilter, VerdictState,
    },
};

/// Rows and pairs kept in memory; a table of a million keeps only what was looked at last.
const REMEMBERED: usize = 4096;

/// What the project says about its pairs, as far as the screen has asked. Written only by `app`.
#[derive(Debug, Default)]
pub struct PairsData {
    /// The newest revision the window has heard of.
    pub revision: Revision,
    /// What was asked last; `ids` may still answer the question before.
    pub asked: Option<PairQuery>,
    /// The answer to `asked` is on its way.
    pub listing: bool,
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

/// A cache by pair that also knows what is on its way, so that a frame asks once.
#[derive(Debug)]
pub struct Remembered<T> {
    known: HashMap<PairId, T>,
    waiting: HashSet<PairId>,
    /// Known, shown, and to be read again.
    stale: HashSet<PairId>,
    /// Read, and found not to exist.
    absent: HashSet<PairId>,
    asked: usize,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            waiting: HashSet::new(),
            stale: HashSet::new(),
            absent: HashSet::new(),
            asked: 0,
        }
    }
}

impl<T> Remembered<T> {
    pub fn get(&self, id: PairId) -> Option<&T> {
        self.known.get(&id)
    }

    /// Not known as it is now, and not on its way.
    pub fn is_missing(&self, id: PairId) -> bool {
        (!self.known.contains_key(&id) || self.stale.contains(&id))
            && !self.waiting.contains(&id)
            && !self.absent.contains(&id)
    }

    /// It was looked for and does not exist.
    pub fn is_absent(&self, id: PairId) -> bool {
        self.absent.contains(&id)
    }

    /// Notes that these are being read; gives back the ones that were not already.
    pub fn ask(&mut self, ids: Vec<PairId>) -> Vec<PairId> {
        let new: Vec<PairId> = ids
            .into_iter()
            .filter(|id| self.is_missing(*id) && self.waiting.insert(*id))
            .collect();
        self.asked += new.len();
        new
    }

    /// How many were ever read from the project.
    pub fn asked(&self) -> usize {
        self.asked
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn put(&mut self, id: PairId, value: T) {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(&id) {
            self.known.clear();
            self.stale.clear();
        }
        self.waiting.remove(&id);
        self.stale.remove(&id);
        self.absent.remove(&id);
        self.known.insert(id, value);
    }

    /// What was on its way came back: those still awaited do not exist.
    pub fn settle(&mut self, ids: &[PairId]) {
        for id in ids {
            if self.waiting.remove(id) {
                self.known.remove(id);
                self.stale.remove(id);
                self.absent.insert(*id);
            }
        }
    }

    /// It changed, and how is not known.
    pub fn forget(&mut self, id: PairId) {
        self.known.remove(&id);
        self.waiting.remove(&id);
        self.stale.remove(&id);
        self.absent.remove(&id);
    }

    /// It may have changed: shown as it was until it has been read again.
    pub fn expire(&mut self, id: PairId) {
        if self.known.contains_key(&id) {
            self.stale.insert(id);
        }
        self.waiting.remove(&id);
        self.absent.remove(&id);
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.waiting.clear();
        self.stale.clear();
        self.absent.clear();
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Which verdicts the table shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Shown {
    #[default]
    All,
    Unlabelled,
    Labelled,
    Better,
    Ties,
    BothBad,
    Skipped,
}

impl Shown {
    pub const ALL: [Self; 7] = [
        Self::All,
        Self::Unlabelled,
        Self::Labelled,
        Self::Better,
        Self::Ties,
        Self::BothBad,
        Self::Skipped,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Unlabelled => "Unlabelled",
            Self::Labelled => "Labelled",
            Self::Better => "One is better",
            Self::Ties => "Ties",
            Self::BothBad => "Both bad",
            Self::Skipped => "Skipped",
        }
    }

    pub fn count(self, counts: &Counts) -> usize {
        match self {
            Self::All => counts.total(),
            Self::Unlabelled => counts.unlabelled,
            Self::Labelled => counts.labelled(),
            Self::Better => counts.better,
            Self::Ties => counts.tie,
            Self::BothBad => counts.both_bad,
            Self::Skipped => counts.skip,
        }
    }

    fn filter(self) -> Option<VerdictFilter> {
        Some(match self {
            Self::All => return None,
            Self::Labelled => VerdictFilter::Labelled,
            Self::Unlabelled => VerdictFilter::Is(VerdictState::Unlabelled),
            Self::Better => VerdictFilter::Is(VerdictState::Better),
            Self::Ties => VerdictFilter::Is(VerdictState::Tie),
            Self::BothBad => VerdictFilter::Is(VerdictState::BothBad),
            Self::Skipped => VerdictFilter::Is(VerdictState::Skip),
        })
    }
}

/// Column the table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortBy {
    #[default]
    Number,
    Length,
    Labelled,
}

impl SortBy {
    pub const ALL: [Self; 3] = [Self::Number, Self::Length, Self::Labelled];

    pub fn word(self) -> &'static str {
        match self {
            Self::Number => "Number",
            Self::Length => "Length",
            Self::Labelled => "Time of verdict",
        }
    }
}

/// What the table is asked to show.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    pub search: String,
    pub shown: Shown,
    /// Pinned to this side, or `Auto` for not pinned.
    pub split: Option<Split>,
    pub tag: Option<String>,
    pub sort: SortBy,
    pub descending: bool,
}

impl Filter {
    pub fn query(&self) -> PairQuery {
        PairQuery {
            search: self.search.trim().to_owned(),
            verdict: self.shown.filter(),
            pinned: self.split,
            tag: self.tag.clone(),
            sort: Sort {
                key: match self.sort {
                    SortBy::Number => SortKey::Id,
                    SortBy::Length => SortKey::Length,
                    SortBy::Labelled => SortKey::VerdictTime,
                },
                descending: self.descending,
            },
            ..PairQuery::default()
        }
    }

    /// Whether anything is left out.
    pub fn narrows(&self) -> bool {
        let Self {
            search,
            shown,
            split,
            tag,
            sort: _,
            descending: _,
        } = self;
        !search.trim().is_empty() || *shown != Shown::All || split.is_some() || tag.is_some()
    }

    /// Everything again, in the same order.
    pub fn clear(&mut self) {
        *self = Self {
            sort: self.sort,
            descending: self.descending,
            ..Self::default()
        };
    }
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
            path: String::new(),
            project: PathBuf::new(),
            only: None,
            draft: None,
            labelling: None,
            differences: Differences::default(),
            strip: Strip::None,
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
            let drafts = [
                self.draft.as_mut(),
                self.labelling
                    .as_mut()
                    .and_then(|label| label.editing.as_mut()),
            ];
            for draft in drafts.into_iter().flatten() {
                if let Some(pair) = now.filter(|pair| pair.id == draft.pair.id) {
                    draft.stored(pair);
                }
            }
            if now.is_none()
                && self
                    .draft
                    .as_ref()
                    .is_some_and(|draft| draft.pair.id == *id)
            {
                self.draft = None;
            }
        }
    }
}

impl PairsView {
    /// A commit of these pairs failed: what was typed stays and can be committed again.
    pub fn refused(&mut self, ids: &[PairId]) {
        let drafts = [
            self.draft.as_mut(),
            self.labelling
                .as_mut()
                .and_then(|label| label.editing.as_mut()),
        ];
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
    fn a_frame_asks_once() {
        let mut rows: Remembered<u8> = Remembered::default();
        let ids = vec![PairId(1), PairId(2)];
        assert_eq!(rows.ask(ids.clone()), ids);
        assert_eq!(rows.ask(ids.clone()), []);
        rows.put(PairId(1), 1);
        rows.settle(&ids);
        assert!(!rows.is_missing(PairId(1)));
        // The second one does not exist; no later frame asks again, until it is said to have changed.
        assert!(rows.is_absent(PairId(2)) && !rows.is_missing(PairId(2)));
        rows.expire(PairId(2));
        assert!(rows.is_missing(PairId(2)));
        rows.forget(PairId(1));
        assert!(rows.is_missing(PairId(1)));
    }

    #[test]
    fn memory_stays_bounded() {
        let mut rows: Remembered<u8> = Remembered::default();
        for id in 0..3 * REMEMBERED as i64 {
            rows.put(PairId(id), 0);
            assert!(rows.len() <= REMEMBERED);
        }
        assert!(rows.get(PairId(3 * REMEMBERED as i64 - 1)).is_some());
    }

    #[test]
    fn a_filter_becomes_a_query() {
        let filter = Filter {
            search: "  ferry ".to_owned(),
            shown: Shown::Ties,
            descending: true,
            ..Filter::default()
        };
        let query = filter.query();
        assert_eq!(query.search, "ferry");
        assert_eq!(query.verdict, Some(VerdictFilter::Is(VerdictState::Tie)));
        assert!(query.sort.descending);
        assert!(filter.narrows());
        let mut cleared = filter;
        cleared.clear();
        assert!(!cleared.narrows());
        assert!(cleared.descending, "the order is no filter");
        assert_eq!(Filter::default().query(), PairQuery::default());
    }

    #[test]
    fn every_state_is_counted_under_its_filter() {
        let counts = Counts {
            unlabelled: 1,
            better: 2,
            tie: 4,
            both_bad: 8,
            skip: 16,
        };
        let of = |shown: Shown| shown.count(&counts);
        assert_eq!(of(Shown::All), 31);
        assert_eq!(of(Shown::Labelled), 30);
        assert_eq!(
            [
                Shown::Unlabelled,
                Shown::Better,
                Shown::Ties,
                Shown::BothBad,
                Shown::Skipped
            ]
            .map(of),
            [1, 2, 4, 8, 16]
        );
    }

    #[test]
    fn a_deleted_pair_leaves_the_editor() {
        let pair = Pair::new(
            PairId(4),
            crate::data::Prompt::Text("p".to_owned()),
            &["a", "b"],
        );
        let mut view = PairsView {
            draft: Some(Draft::open(pair.clone())),
            ..PairsView::default()
        };
        view.stored(&[PairId(4)], &[pair]);
        assert!(view.draft.is_some());
        view.stored(&[PairId(4)], &[]);
        assert!(view.draft.is_none());
    }
}
