//! The Pairs screen: what is true, what the screen remembers, what it can ask for.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

pub use super::label_view::{LabelHabits, LabelMark, LabelView, MarkField, ScrollExtent, Scrolled};
pub use super::transfer::{ImportOutcome, Replacing, Transfer, TransferProgress};
use super::{
    candidates::{CandidatesCommand, CandidatesForm, CandidatesUnderWay, PassedOver, PromptsToAnswer},
    difference::Differences,
    drafts::{Draft, EditProgress, Refusal, Typed},
    filter::Filter,
    health::PairHealth,
    intake::{Intake, Preview},
    lens::PairHistory,
    lists::Lists,
    order::Amendment,
    references::{ReferencesCommand, ReferencesData, ReferencesView},
    remembered::Remembered,
    review::Review,
    ribbon::{RibbonView, Tint},
    runs::Runs,
    scores::{ByScores, Listing, ScoresCommand, ScoresData, Whose},
    table::{TableCommand, TableData, TableView},
};
use data::{
    Change, Pair, PairId, Prompt, Verdict,
    health::{Finding, Remedy},
};
use store::{Counts, PairQuery, PairRow, Revision};
use train::objective::Objective;

/// What the project says about its pairs, as far as the screen has asked. Written only by `app`.
#[derive(Debug, Default)]
pub struct PairsData {
    /// The newest revision the window has heard of.
    pub revision: Revision,
    /// What was asked last; `ids` may still answer the question before.
    pub asked: Option<Listing>,
    /// The answer to `asked` is on its way.
    pub listing: bool,
    pub lists: Arc<Lists>,
    /// In the order of the table.
    pub ids: Arc<Vec<PairId>>,
    pub counts: Counts,
    /// Tags in use, with how many pairs carry them.
    pub tags: Vec<(String, usize)>,
    pub table: TableData,
    pub references: ReferencesData,
    /// Labels of what undo and redo would do.
    pub undo: Option<String>,
    pub redo: Option<String>,
    pub health: PairHealth,
    /// An undo that changes so many pairs that it is asked about first.
    pub undo_asks: Option<UndoQuestion>,
    pub transfer: Option<Transfer>,
    /// Answers being written to be labelled, or what came of them.
    pub candidates: Option<CandidatesUnderWay>,
    /// Prompts that wait for a model's answers.
    pub waiting: Arc<Vec<Prompt>>,
    pub passed_over: PassedOver,
    pub import: Option<ImportOutcome>,
    /// The file that was looked at last.
    pub look: Option<Preview>,
    /// An export that waits for an answer.
    pub replacing: Option<Replacing>,
    /// The newest run that met a pair, and what it saw.
    pub histories: Remembered<Option<PairHistory>>,
    pub rows: Remembered<PairRow>,
    pub pairs: Remembered<Pair>,
    /// What a model thinks of them.
    pub scores: ScoresData,
}

impl PairsData {
    /// The project took a change in: what was read before may be out of date.
    pub fn changed(&mut self, pairs: &[PairId], fresh: Vec<Pair>) {
        // Also of others: a pin takes all pairs of its prompt along.
        self.rows.expire_all();
        for id in pairs {
            self.pairs.forget(*id);
        }
        self.scores.changed(pairs);
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

/// An undo that waits for a yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoQuestion {
    /// The journal's label of what would be taken back.
    pub label: String,
    pub pairs: usize,
}

/// A list made elsewhere (data health), shown in place of the filter's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    /// E.g. "12 pairs say the same".
    pub title: String,
    pub ids: Arc<Vec<PairId>>,
    /// Whose pairs they are, where something can be done about all of them.
    pub finding: Option<Arc<Finding>>,
}

/// What the Pairs screen remembers between frames and starts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct PairsView {
    pub filter: Filter,
    pub table: TableView,
    pub selected: Option<PairId>,
    /// Whose scores stand in the table.
    pub scores: Option<Whose>,
    pub difference: bool,
    pub health_open: bool,
    /// The token inspector is open.
    pub tokens: bool,
    /// What it colours tokens by.
    pub ribbon: RibbonView,
    /// Spaces, tabs and line ends are marked.
    pub white_space: bool,
    /// Path as typed, of a file to import.
    pub path: String,
    /// The same, of a file to export to.
    pub export_path: String,
    /// How files are taken in and given out.
    pub intake: Intake,
    pub candidates: CandidatesForm,
    pub label: LabelHabits,
    pub references: ReferencesView,
    /// Folder of the project that the rest is about.
    pub project: PathBuf,
    #[serde(skip)]
    pub only: Option<Only>,
    #[serde(skip)]
    pub draft: Option<Draft>,
    #[serde(skip)]
    pub labelling: Option<LabelView>,
    /// Suspect labels are gone through.
    #[serde(skip)]
    pub review: Option<Review>,
    #[serde(skip)]
    pub differences: Differences,
    #[serde(skip)]
    pub to_answer: PromptsToAnswer,
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
    /// Where the keyboard belongs next.
    #[serde(skip)]
    pub caret: Option<Caret>,
    /// A new pair is on its way: what is typed until its prompt has the caret is kept for it.
    #[serde(skip)]
    pub typed_ahead: Option<String>,
}

/// A place of the Pairs screen that can have the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caret {
    Table,
    /// The first field of the prompt.
    Prompt,
    /// The field for a new tag.
    Tag,
    Answer(usize),
}

impl Default for PairsView {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            table: TableView::default(),
            selected: None,
            scores: None,
            difference: true,
            health_open: false,
            tokens: false,
            ribbon: RibbonView::default(),
            white_space: false,
            path: String::new(),
            export_path: String::new(),
            intake: Intake::default(),
            candidates: CandidatesForm::default(),
            label: LabelHabits::default(),
            references: ReferencesView::default(),
            project: PathBuf::new(),
            only: None,
            draft: None,
            labelling: None,
            review: None,
            differences: Differences::default(),
            to_answer: PromptsToAnswer::default(),
            strip: Strip::None,
            strip_opens: false,
            reveal: false,
            new_tag: String::new(),
            caret: None,
            typed_ahead: None,
        }
    }
}

impl PairsView {
    /// The ids of the table, in its order.
    pub fn list<'a>(&'a self, data: &'a PairsData) -> &'a Arc<Vec<PairId>> {
        self.only.as_ref().map_or(&data.ids, |only| &only.ids)
    }

    /// What the table is to list. Pairs are sorted and narrowed by scores as far as these are known.
    pub fn listing(&self, data: &PairsData, objective: &Objective) -> Listing {
        let query = self.query();
        let shown = self.scores.and_then(|whose| data.scores.of(whose));
        let (number, Filter { fate, range, .. }) = (self.filter.number(), &self.filter);
        let by = shown.filter(|_| self.filter.needs_scores()).and_then(|shown| {
            let (scoring, objective) = (shown.scoring?, shown.objective(objective));
            Some(ByScores { scoring, objective, fate: *fate, range: *range, number, scored: shown.scored })
        });
        Listing { query, by }
    }

    /// The pairs of the list where no query gives them: one made elsewhere, or one that follows the scores.
    pub fn listed_only(&self, data: &PairsData) -> Option<Arc<Vec<PairId>>> {
        let by_scores = || data.asked.as_ref().filter(|listing| listing.by.is_some()).map(|_| Arc::clone(&data.ids));
        self.only.as_ref().map(|only| Arc::clone(&only.ids)).or_else(by_scores)
    }

    /// Prompts that come in now are for reference answers: where these are shown, and where the strip asks for them.
    pub fn prompts_are_for_references(&self) -> bool {
        self.references.open || (self.strip == Strip::Sample && self.candidates.references)
    }

    /// The path as it stands in the strip that is open. Where nothing was typed, an export has a place in the project.
    pub fn typed_path(&mut self) -> &mut String {
        if self.strip != Strip::Export {
            return &mut self.path;
        }
        if self.strip_opens && self.export_path.trim().is_empty() {
            self.export_path = self.project.join("exports").join("pairs.jsonl").display().to_string();
        }
        &mut self.export_path
    }

    /// What the table asks for.
    pub fn query(&self) -> PairQuery {
        self.filter.query(self.table.rule())
    }

    /// Shows another pair in the editor and its row in the table; no others are chosen beside it.
    pub fn select(&mut self, pair: Option<PairId>) {
        self.table.selection = None;
        self.selected = pair;
        self.reveal = true;
    }

    /// Every pair that is being edited.
    pub fn drafts_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        let editing = self.labelling.as_mut().and_then(|label| label.editing.as_mut());
        self.draft.as_mut().into_iter().chain(editing)
    }

    /// Whether something is typed that the project does not have.
    pub fn is_typing(&self) -> bool {
        let editing = self.labelling.as_ref().and_then(|label| label.editing.as_ref());
        let mut drafts = self.draft.iter().chain(editing);
        drafts.any(|draft| matches!(draft.progress(), EditProgress::Typing | EditProgress::Refused))
    }

    /// The project in this folder is open now: nothing of another one may stay on the screen.
    pub fn opened(&mut self, project: &Path) {
        let kept = std::mem::take(self);
        self.difference = kept.difference;
        self.health_open = kept.health_open;
        self.tokens = kept.tokens;
        self.white_space = kept.white_space;
        self.path = kept.path;
        self.label = kept.label;
        self.table.more = kept.table.more;
        if kept.project == project {
            self.export_path = kept.export_path;
            self.candidates = kept.candidates;
            self.filter = kept.filter;
            self.scores = kept.scores;
            self.ribbon = kept.ribbon;
            self.selected = kept.selected;
            self.reveal = true;
        }
        project.clone_into(&mut self.project);
    }

    /// The project has these pairs now, or (absent from `fresh`) no longer has them. Gives those of which something was
    /// typed that was not saved: it stays.
    #[must_use]
    pub fn stored(&mut self, ids: &[PairId], fresh: &[Pair]) -> Vec<PairId> {
        let mut kept = Vec::new();
        for id in ids {
            let now = fresh.iter().find(|pair| pair.id == *id);
            for draft in self.drafts_mut() {
                if let Some(pair) = now.filter(|pair| pair.id == draft.pair.id) {
                    draft.stored(pair);
                }
                if now.is_none() && draft.pair.id == *id && !draft.is_gone() && draft.gone() {
                    kept.push(*id);
                }
            }
            if now.is_none()
                && let Some(only) = &mut self.only
                && only.ids.contains(id)
            {
                only.ids = Arc::new(only.ids.iter().copied().filter(|other| other != id).collect());
            }
            if now.is_none() && self.draft.as_ref().is_some_and(|draft| draft.pair.id == *id && !draft.is_gone()) {
                self.draft = None;
            }
        }
        kept
    }

    /// A commit of these pairs failed: what was typed stays and can be committed again.
    pub fn refused(&mut self, ids: &[PairId], why: Refusal) {
        for draft in self.drafts_mut().filter(|draft| ids.contains(&draft.pair.id)) {
            draft.refused(why);
        }
        self.typed_ahead = None;
    }

    /// Colours the tokens by the next thing; where no token is to be seen, they are shown first.
    pub fn turn_tint(&mut self, runs: &Runs) {
        if self.tokens || self.ribbon.tint == Tint::Part {
            self.ribbon.tint = self.ribbon.tint.next(runs);
            self.ribbon.find_weights(runs);
        }
        self.tokens = true;
    }

    /// Shows the tokens under the next weights, or the ones before.
    pub fn scrub(&mut self, runs: &Runs, forward: bool) {
        self.ribbon.scrub(runs, forward);
        self.tokens = true;
    }
}

/// What is shown between the title and the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strip {
    #[default]
    None,
    Import,
    Export,
    Sample,
}

#[derive(Debug, Clone)]
pub enum PairsCommand {
    /// List these pairs, in this order.
    List(Box<Listing>),
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
    /// Commit what is being typed.
    Typed(Typed),
    /// What was typed in this pair is dropped: the pair was changed elsewhere, and nobody wanted it all the same.
    LeftOut(PairId),
    Delete(Box<Pair>),
    /// Compare two long texts aside, for [`Differences::put`].
    Compare(Arc<str>, Arc<str>),
    /// Give a pair a verdict, whatever else about it may have changed in the meantime.
    Judge {
        pair: PairId,
        verdict: Option<Verdict>,
        label: String,
    },
    /// Change one thing about a pair, whatever else about it may have changed in the meantime.
    Amend {
        pair: PairId,
        amendment: Amendment,
        label: String,
    },
    /// With a label: only if that is what would be undone. A large one is asked about first, unless `sure`.
    Undo {
        only: Option<String>,
        sure: bool,
    },
    /// The large undo that was asked about is not wanted.
    KeepAll,
    Redo,
    /// Start labelling the pairs that match (or these), all or only the unlabelled ones, from this pair on if it is
    /// one.
    Label {
        query: PairQuery,
        only: Option<Arc<Vec<PairId>>>,
        relabel: bool,
        from: Option<PairId>,
    },
    /// Look for labels that the newest run argues against, and go through them.
    Review,
    /// Look for duplicates, contradictions and the like.
    Examine,
    /// Do something about all pairs of a finding, as one change.
    Mend {
        finding: Arc<Finding>,
        remedy: Remedy,
    },
    /// Import a file or a folder of them, or ask for one.
    Import(Option<PathBuf>),
    /// Import several files as one change.
    ImportAll(Vec<PathBuf>),
    /// Read the first pairs of a file, to show them.
    Look(PathBuf),
    /// Write a file, or ask for one. A file that is there is replaced only if that was said.
    Export(Option<PathBuf>),
    Replace(PathBuf),
    CancelTransfer,
    /// Write what the last import left out, or wants looked at, into the project's folder.
    SaveReport,
    CloseImport,
    Candidates(CandidatesCommand),
    Table(TableCommand),
    References(ReferencesCommand),
    Scores(ScoresCommand),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_pair_leaves_the_editor() {
        let pair = Pair::new(PairId(4), data::Prompt::Text("p".to_owned()), &["a", "b"]);
        let mut view = PairsView { draft: Some(Draft::open(pair.clone())), ..PairsView::default() };
        assert!(view.stored(&[PairId(4)], std::slice::from_ref(&pair)).is_empty());
        assert!(view.draft.is_some());
        assert!(view.stored(&[PairId(4)], &[]).is_empty());
        assert!(view.draft.is_none());

        // What was typed in it stays, told once.
        let mut draft = Draft::open(pair);
        draft.pair.note = "mine".to_owned();
        draft.typed(0);
        view.draft = Some(draft);
        assert_eq!(view.stored(&[PairId(4)], &[]), [PairId(4)]);
        assert!(view.stored(&[PairId(4)], &[]).is_empty());
        let draft = view.draft.as_mut().unwrap();
        draft.typed(1);
        assert_eq!((draft.pause(60_000), draft.commit()), (None, None), "it comes back only when that is asked for");
        let typed = draft.again().unwrap();
        assert!(typed.change.edits[0].before.is_none() && typed.change.label == "Bring back pair 4");
        let now = draft.pair.clone();
        assert!(view.stored(&[PairId(4)], &[now]).is_empty());
        assert_eq!(view.draft.unwrap().progress(), EditProgress::Saved);
    }
}
