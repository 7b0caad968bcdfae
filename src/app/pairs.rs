//! Pairs: read, changed, labelled, and what is typed saved in time.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use data::{
    Change, Edit, Origin, Pair, PairId, counted,
    health::{Finding, Remedy},
};
use state::{
    Notice, Notices, UndoOffer, Views, Workspace,
    asking::AskFirst,
    difference::Difference,
    drafts::{Draft, Refusal, Typed},
    labelling::Labelling,
    lens::PairHistory,
    order::Amendment,
    pairs::{Caret, LabelView, PairsData, UndoQuestion},
    references::ReferencesCommand,
    scores::Listing,
};
use store::{Applied, Counts, PairQuery, Project, StoreError, VerdictFilter, VerdictState};

use super::{
    App, asking,
    jobs::{Lane, Update, about, update},
    scores,
};

/// A change of more pairs than this empties the caches instead of refilling them.
const REFRESHED: usize = 256;

const NO_LIST: &str = "Could not list the pairs";

/// An undo that changes this many pairs is asked about first.
const ASKED_FROM: usize = 10;

impl App {
    /// Saves what is typed and not yet handed over: before the project changes, before the window goes. It is
    /// written by the time `self.jobs` is dropped.
    pub(super) fn commit_drafts(&mut self) {
        let view = &mut self.views.pairs;
        let answer = view.references.typed();
        if let Some(draft) = &mut view.draft {
            let tag = std::mem::take(&mut view.new_tag).trim().to_owned();
            if !tag.is_empty() && !draft.pair.tags.contains(&tag) {
                draft.pair.tags.push(tag);
            }
        }
        let typed: Vec<Typed> = view.drafts_mut().filter_map(Draft::commit).collect();
        for typed in typed {
            self.save_typed(typed);
        }
        if let Some(ReferencesCommand::Change { before, after }) = answer {
            self.change_reference(before, after);
        }
        self.end_label_field();
        self.keep_texts(true);
    }

    /// Saves what was typed when nobody has typed for a moment, whatever is on the screen now.
    pub(super) fn save_pauses(&mut self) {
        let now_ms = self.workspace.now_ms;
        let view = &mut self.views.pairs;
        let mut all: Vec<Typed> = Vec::new();
        all.extend(view.draft.as_mut().and_then(|draft| draft.pause(now_ms)));
        if let Some(label) = &mut view.labelling
            && let Some(draft) = &mut label.editing
            && let Some(typed) = draft.pause(now_ms)
        {
            label.session.edited(draft.pair.id, typed.change.label.clone(), typed.goes_on);
            all.push(typed);
        }
        if let Some(due) = view.drafts_mut().filter_map(|draft| draft.due_ms()).min() {
            self.ctx.request_repaint_after(Duration::from_millis(due.saturating_sub(now_ms).max(0) as u64));
        }
        for typed in all {
            self.save_typed(typed);
        }
    }

    pub(super) fn list_pairs(&mut self, listing: Box<Listing>) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let data = &mut self.workspace.pairs;
        data.asked = Some((*listing).clone());
        data.listing = true;
        let (lists, ctx) = (Arc::clone(&data.lists), self.ctx.clone());
        let mine = lists.ask();
        // What goes through texts or scores may take seconds, for which no label and no row has to wait.
        let is_quick = listing.query.search.is_empty() && listing.by.is_none();
        let list = move |project: &Project| {
            let mut watch = |done| {
                ctx.request_repaint_after(Duration::from_millis(100));
                lists.tell(mine, done)
            };
            // While somebody types a search, only the last one is worth making.
            if !lists.is_newest(mine) {
                return Ok(update(|_, _| ()));
            }
            let ids = match scores::find(project, &listing, &mut watch) {
                Err(StoreError::CutShort) => return Ok(update(|_, _| ())),
                found => found?,
            };
            let (counts, tags) = (project.counts()?, project.tags()?);
            let history = UndoLabels::read(project)?;
            let revision = project.revision()?;
            Ok(update(move |workspace, _| {
                let data = &mut workspace.pairs;
                history.show(data, &mut workspace.notices);
                data.revision = revision;
                data.counts = counts.clone();
                if let Some(project) = &mut workspace.project {
                    project.counts = counts;
                }
                let data = &mut workspace.pairs;
                data.tags = tags;
                // An answer to an older question: the newer one is on its way.
                if data.asked.as_ref() == Some(&*listing) {
                    // The same list stays the same: what is chosen of it is still chosen.
                    if *data.ids != ids {
                        data.ids = Arc::new(ids);
                    }
                    data.listing = false;
                }
            }))
        };
        if is_quick {
            self.jobs.document.read(NO_LIST, move |project| list(project));
        } else {
            self.jobs.list(dir, NO_LIST, list);
        }
    }

    pub(super) fn read_rows(&mut self, ids: Vec<PairId>) {
        let ids = self.workspace.pairs.rows.ask(ids);
        if ids.is_empty() {
            return;
        }
        self.jobs.document.read("Could not read the pairs", move |project| {
            let rows = project.rows(&ids)?;
            Ok(update(move |workspace, _| {
                let data = &mut workspace.pairs;
                for row in rows {
                    data.rows.put(row.id, row);
                }
                data.rows.settle(&ids);
            }))
        });
    }

    pub(super) fn read_pairs(&mut self, ids: Vec<PairId>) {
        let ids = self.workspace.pairs.pairs.ask(ids);
        if ids.is_empty() {
            return;
        }
        self.jobs.document.read("Could not read the pair", move |project| {
            let pairs = project.pairs(&ids)?;
            Ok(update(move |workspace, views| {
                let kept = views.pairs.stored(&ids, &pairs);
                tell_kept(&kept, workspace);
                // A pair that does not exist must not be asked for again in every frame.
                let is_gone = |id| ids.contains(&id) && !pairs.iter().any(|pair| pair.id == id);
                let view = &mut views.pairs;
                if view.selected.is_some_and(is_gone) && !view.draft.as_ref().is_some_and(Draft::is_gone) {
                    view.selected = None;
                }
                let data = &mut workspace.pairs;
                for pair in pairs {
                    data.pairs.put(pair.id, pair);
                }
                data.pairs.settle(&ids);
            }))
        });
    }

    pub(super) fn read_history(&mut self, pair: PairId) {
        if self.workspace.pairs.histories.ask(vec![pair]).is_empty() {
            return;
        }
        self.jobs.document.read("Could not read the pair's history", move |project| {
            let mut history = None;
            for run in project.runs()?.into_iter().rev() {
                let visits = project.pair_history(run.id, pair)?;
                if !visits.is_empty() {
                    let ranks = project.pair_ranks(run.id, pair)?;
                    history = Some(PairHistory::new(run.id, run.name, visits, ranks));
                    break;
                }
            }
            Ok(update(move |workspace, _| {
                workspace.pairs.histories.put(pair, history);
            }))
        });
    }

    pub(super) fn change_pairs(&mut self, change: Change, open: bool) {
        let touched: Vec<PairId> = change.edits.iter().filter_map(Edit::pair).collect();
        let failure = format!("Could not save “{}”", change.label);
        self.jobs.document.write(failure.clone(), move |project| {
            let save = |project: &mut Project| -> anyhow::Result<Fresh> {
                let lost = project.can_redo()?;
                let applied = project.apply(&change)?;
                Ok(Fresh { open, lost, ..Fresh::read(project, applied)? })
            };
            Ok(saved(failure, touched, save(project)))
        });
    }

    /// One visit of a field is one step of the journal, however often it is saved on the way.
    pub(super) fn save_typed(&mut self, typed: Typed) {
        let Typed { change, visit, .. } = typed;
        let touched: Vec<PairId> = change.edits.iter().filter_map(Edit::pair).collect();
        let failure = format!("Could not save “{}”", change.label);
        let saved_before = Arc::clone(&self.typing);
        self.jobs.document.write(failure.clone(), move |project| {
            let mut last = saved_before.lock().unwrap_or_else(PoisonError::into_inner);
            let step = last.filter(|(known, _)| *known == visit).map(|(_, revision)| revision);
            let save = |project: &mut Project| -> anyhow::Result<Fresh> {
                let lost = project.can_redo()?;
                let applied = match step {
                    Some(step) => project.amend(step, &change)?,
                    None => project.apply(&change)?,
                };
                Ok(Fresh { lost, ..Fresh::read(project, applied)? })
            };
            let done = save(project);
            *last = done.as_ref().ok().map(|fresh| (visit, fresh.applied.revision));
            Ok(saved(failure, touched, done))
        });
    }

    pub(super) fn delete_pair(&mut self, pair: Pair) {
        let id = pair.id;
        let label = format!("Delete pair {}", id.0);
        let failure = format!("Could not delete pair {}", id.0);
        self.jobs.document.write(failure.clone(), move |project| {
            let delete = |project: &mut Project| -> anyhow::Result<Fresh> {
                let lost = project.can_redo()?;
                let applied = project.apply(&Change::new(label.clone(), vec![Edit::delete(pair)]))?;
                let told = Notice::info(format!("Pair {} was deleted", id.0)).offering(UndoOffer::Undo(label));
                Ok(Fresh { lost, told: Some(told), ..Fresh::read(project, applied)? })
            };
            Ok(saved(failure, vec![id], delete(project)))
        });
    }

    /// Does something about all pairs of a finding.
    pub(super) fn mend(&mut self, finding: Arc<Finding>, remedy: Remedy) {
        let failure = format!("Could not mend the pairs that {}", finding.kind.does(finding.count.max(2)));
        self.jobs.document.write(failure.clone(), move |project| {
            let mend = |project: &mut Project| -> anyhow::Result<Fresh> {
                let lost = project.can_redo()?;
                let applied = project.remedy(&finding, remedy)?;
                let changed = counted(applied.pairs.len(), "pair", "pairs");
                let told = Notice::info(format!("{}: {changed} changed", remedy.title()));
                let told =
                    if applied.pairs.is_empty() { told } else { told.offering(UndoOffer::Undo(applied.label.clone())) };
                Ok(Fresh { lost, told: Some(told), ..Fresh::read(project, applied)? })
            };
            Ok(saved(failure, Vec::new(), mend(project)))
        });
    }

    pub(super) fn compare(&mut self, left: Arc<str>, right: Arc<str>) {
        self.jobs.aside(Lane::Compare, "Could not compare the answers", move || {
            let difference = Difference::aside(&left, &right);
            Ok(update(move |_, views| views.pairs.differences.put(left, right, difference)))
        });
    }

    pub(super) fn amend_pair(&mut self, pair: PairId, amendment: Amendment, label: String) {
        let failure = format!("Could not save “{label}”");
        self.jobs.document.write(failure.clone(), move |project| {
            let amend = |project: &mut Project| -> anyhow::Result<Fresh> {
                let before =
                    project.pair(pair)?.with_context(|| format!("Pair {} was deleted in the meantime", pair.0))?;
                let siblings = match &amendment {
                    Amendment::Order { .. } => project.pairs_of_prompt(&before.prompt)?,
                    _ => Vec::new(),
                };
                let applied = project.apply(&Change::new(label, amendment.edits(before, siblings)))?;
                Fresh::read(project, applied)
            };
            Ok(saved(failure, vec![pair], amend(project)))
        });
    }

    pub(super) fn undo(&mut self, only: Option<String>, sure: bool) {
        self.workspace.pairs.undo_asks = None;
        self.jobs.document.write("Could not undo", move |project| {
            let next = project.can_undo()?;
            if !sure
                && let Some(label) = &next
                && project.undo_touches(ASKED_FROM)? >= ASKED_FROM
            {
                let question = UndoQuestion { label: label.clone(), pairs: project.undo_touches(usize::MAX)? };
                return Ok(update(move |workspace, _| workspace.pairs.undo_asks = Some(question)));
            }
            if let Some(only) = only
                && next.as_ref() != Some(&only)
            {
                let next = next.unwrap_or_else(|| "nothing".to_owned());
                anyhow::bail!(
                    "The last change is not yours from this session but “{next}”; leave labelling to undo it"
                );
            }
            let Some(applied) = project.undo()? else {
                return Ok(update(|_, _| ()));
            };
            let told = (applied.pairs.len() > 1).then(|| {
                let changed = counted(applied.pairs.len(), "pair", "pairs");
                Notice::info(format!("“{}” was undone: {changed} changed", applied.label))
                    .offering(UndoOffer::Redo(applied.label.clone()))
            });
            let fresh = Fresh { told, ..Fresh::read(project, applied)? };
            Ok(update(move |workspace, views| fresh.show(workspace, views)))
        });
    }

    pub(super) fn redo(&mut self) {
        self.jobs.document.write("Could not redo", move |project| {
            let Some(applied) = project.redo()? else {
                return Ok(update(|_, _| ()));
            };
            let fresh = Fresh::read(project, applied)?;
            Ok(update(move |workspace, views| fresh.show(workspace, views)))
        });
    }

    pub(super) fn start_labelling(
        &mut self,
        mut query: PairQuery,
        only: Option<Arc<Vec<PairId>>>,
        relabel: bool,
        from: Option<PairId>,
    ) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let unlabelled = VerdictFilter::Is(VerdictState::Unlabelled);
        let first = self.views.pairs.label.first;
        let whose = self.views.pairs.scores.unwrap_or_default();
        let seed = self.workspace.now_ms as u64;
        // The pair to begin with is one of the list's order.
        let from = from.filter(|_| first == AskFirst::Listed);
        self.jobs.list(dir.clone(), "Could not start labelling", move |project| {
            if !relabel {
                query.verdict = Some(unlabelled);
            }
            let queue = if let Some(ids) = only {
                let verdict = Some(unlabelled).filter(|_| !relabel);
                let there = project.query(&PairQuery { verdict, ..PairQuery::default() })?;
                let there: HashSet<PairId> = there.into_iter().collect();
                ids.iter().copied().filter(|id| there.contains(id)).collect()
            } else {
                project.query(&query)?
            };
            let (queue, remark) = asking::order(project, queue, first, whose, seed)?;
            Ok(about(dir, move |workspace, views| {
                if queue.is_empty() {
                    workspace
                        .notices
                        .push(Notice::info("No unlabelled pair is on the list; label again with “Relabel”"));
                    return;
                }
                if let Some(remark) = remark {
                    workspace.notices.push(Notice::info(remark));
                }
                let now_ms = workspace.now_ms;
                let mut session = Labelling::start(queue, now_ms as u64, now_ms).from(from);
                if !relabel {
                    session = session.with_repeats();
                }
                views.pairs.labelling = Some(LabelView { again: relabel, ..LabelView::new(session) });
            }))
        });
    }
}

/// What the window has to know after a change.
pub(super) struct Fresh {
    applied: Applied,
    /// As they are now; absent when there are too many to carry.
    pairs: Option<Vec<Pair>>,
    counts: Counts,
    history: UndoLabels,
    /// The first pair is to be shown, to be written in.
    pub(super) open: bool,
    /// What could be redone before and no longer can.
    pub(super) lost: Option<String>,
    pub(super) told: Option<Notice>,
}

impl Fresh {
    pub(super) fn read(project: &Project, applied: Applied) -> anyhow::Result<Self> {
        let few = applied.pairs.len() <= REFRESHED;
        Ok(Self {
            pairs: few.then(|| project.pairs(&applied.pairs)).transpose()?,
            counts: project.counts()?,
            history: UndoLabels::read(project)?,
            applied,
            open: false,
            lost: None,
            told: None,
        })
    }

    pub(super) fn show(self, workspace: &mut Workspace, views: &mut Views) {
        if let Some(project) = &mut workspace.project {
            project.counts = self.counts.clone();
        }
        let data = &mut workspace.pairs;
        data.counts = self.counts;
        data.revision = data.revision.max(self.applied.revision);
        self.history.show(data, &mut workspace.notices);
        if let Some(lost) = self.lost {
            workspace.notices.push(Notice::info(format!(
                "“{lost}” was undone and can no longer be redone, because something else was changed since"
            )));
        }
        if let Some(told) = self.told {
            workspace.notices.push(told);
        }
        if let Some(pairs) = self.pairs {
            let kept = views.pairs.stored(&self.applied.pairs, &pairs);
            tell_kept(&kept, workspace);
            if self.open {
                views.pairs.select(pairs.first().map(|pair| pair.id));
                views.pairs.caret = Some(Caret::Prompt);
            }
            if let Some(label) = &mut views.pairs.labelling {
                label.session.append(pairs.iter().filter(|pair| is_written(pair)).map(|pair| pair.id));
            }
            workspace.pairs.changed(&self.applied.pairs, pairs);
        } else {
            let data = &mut workspace.pairs;
            data.rows.clear();
            data.pairs.clear();
            data.scores.look_again();
            data.changed(&[], Vec::new());
        }
    }
}

/// Answers that a model has written, and nobody has judged.
fn is_written(pair: &Pair) -> bool {
    pair.verdict.is_none() && pair.answers.iter().any(|answer| matches!(answer.origin, Origin::Model(_)))
}

/// Says of pairs that are gone that what was typed in them is not.
fn tell_kept(pairs: &[PairId], workspace: &mut Workspace) {
    for pair in pairs {
        workspace.notices.push(Notice::warning(
            format!("Pair {} was deleted elsewhere; what was typed in it is still here", pair.0),
            "“Save it all the same” brings the pair back with it, “Discard” lets it go",
        ));
    }
}

pub(super) struct UndoLabels {
    undo: Option<String>,
    redo: Option<String>,
}

impl UndoLabels {
    pub(super) fn read(project: &Project) -> anyhow::Result<Self> {
        Ok(Self { undo: project.can_undo()?, redo: project.can_redo()? })
    }

    pub(super) fn show(self, data: &mut PairsData, notices: &mut Notices) {
        notices.settle_offers(self.undo.as_deref(), self.redo.as_deref());
        if data.undo_asks.as_ref().map(|asked| &asked.label) != self.undo.as_ref() {
            data.undo_asks = None;
        }
        data.undo = self.undo;
        data.redo = self.redo;
    }
}

/// The update after a write; a failure must reach the drafts too, so that what was typed can be saved again.
pub(super) fn saved(failure: String, touched: Vec<PairId>, done: anyhow::Result<Fresh>) -> Update {
    update(move |workspace, views| match done {
        Ok(fresh) => fresh.show(workspace, views),
        Err(error) => {
            tracing::warn!("{failure}: {error:#}");
            workspace.saving.failed = true;
            workspace.notices.push(Notice::from_error(failure, &error));
            let stale = matches!(error.downcast_ref::<StoreError>(), Some(StoreError::Stale(_)));
            views.pairs.refused(&touched, if stale { Refusal::ChangedElsewhere } else { Refusal::Failed });
            // What the project really has is read again.
            workspace.pairs.changed(&touched, Vec::new());
        }
    })
}
