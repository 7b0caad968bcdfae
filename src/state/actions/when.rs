//! When each line of the table can be carried out: nothing where it can be now, else a sentence that says why not.

use data::config::Method;
use store::{RunRecord, RunStatus};

use crate::{
    Screen, Views, Workspace, answers::Tab, compare::board, duel::Duel, fork::AlarmAct, pairs_mode::PairsMode,
    references::Shown, runs::can_continue, train::Sheet,
};

/// Nothing where it can be done now, else a sentence that says why not.
pub type Possible = Result<(), String>;

fn unless(obstacle: bool, sentence: &str) -> Possible {
    if obstacle { Err(sentence.to_owned()) } else { Ok(()) }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands among others that can say no")]
pub(super) fn always(_: &Workspace, _: &mut Views) -> Possible {
    Ok(())
}

pub(super) fn project(workspace: &Workspace, _: &mut Views) -> Possible {
    unless(workspace.project.is_none(), "No project is open")
}

pub(super) fn writable(workspace: &Workspace, views: &mut Views) -> Possible {
    project(workspace, views)?;
    unless(workspace.project.as_ref().is_some_and(|project| project.read_only), "This project can only be looked at")
}

pub(super) fn no_run(workspace: &Workspace, _: &mut Views) -> Possible {
    unless(workspace.runs.live.is_some(), "A run is going; stop it first")
}

pub(super) fn notices(workspace: &Workspace, _: &mut Views) -> Possible {
    unless(workspace.notices.is_empty(), "There are none")
}

pub(super) fn hinted(workspace: &Workspace, views: &mut Views) -> Possible {
    unless(views.guide.hint(workspace, views).is_none(), "No hint is shown here")
}

pub(super) fn pairs(workspace: &Workspace, views: &mut Views) -> Possible {
    project(workspace, views)?;
    unless(workspace.pairs.counts.total() == 0, "There are no pairs yet")
}

pub(super) fn open_pair(workspace: &Workspace, views: &mut Views) -> Possible {
    pairs(workspace, views)?;
    unless(views.pairs.draft.is_none(), "No pair is open")
}

pub(super) fn has_history(workspace: &Workspace, views: &mut Views) -> Possible {
    open_pair(workspace, views)?;
    let history = views.pairs.selected.and_then(|pair| workspace.pairs.histories.get(pair));
    unless(!matches!(history, Some(Some(_))), "No run has met this pair")
}

pub(super) fn watches(workspace: &Workspace, views: &mut Views) -> Possible {
    project(workspace, views)?;
    unless(workspace.runs.records.is_empty(), "There is no run yet")
}

/// Whether something can be done about the first alarm of the run that is shown.
fn can_act(workspace: &Workspace, views: &mut Views, act: AlarmAct, sentence: &str) -> Possible {
    watches(workspace, views)?;
    let run = workspace.runs.shown(views.train.shown);
    unless(run.and_then(|run| workspace.runs.about_alarm(run, act)).is_none(), sentence)
}

pub(super) fn has_alarm(workspace: &Workspace, views: &mut Views) -> Possible {
    can_act(workspace, views, AlarmAct::Ignore, "The shown run has no alarm")
}

pub(super) fn has_remedy(workspace: &Workspace, views: &mut Views) -> Possible {
    can_act(workspace, views, AlarmAct::First, "The shown run has no alarm that a fork may help against")
}

pub(super) fn has_second_remedy(workspace: &Workspace, views: &mut Views) -> Possible {
    can_act(workspace, views, AlarmAct::Second, "The shown run has no alarm with two remedies")
}

/// Whether the screen has charts over steps.
pub(super) fn shows_steps(workspace: &Workspace, views: &mut Views) -> Possible {
    watches(workspace, views)?;
    match views.screen {
        Screen::Compare => charts_shown(workspace, views),
        Screen::Answers => unless(views.answers.tab != Tab::Probes, "Steps are those of the probe prompts"),
        screen => unless(screen != Screen::Train || views.train.sheet != Sheet::Run, "No charts are shown"),
    }
}

pub(super) fn samples(workspace: &Workspace, views: &mut Views) -> Possible {
    watches(workspace, views)?;
    let settings = workspace.runs.shown(views.train.shown).and_then(|run| workspace.runs.settings(run));
    let kind = settings.map(|settings| settings.config.objective.kind);
    unless(!kind.is_some_and(Method::samples), "The shown run learns from pairs, not from answers of its own")
}

pub(super) fn rollout_open(workspace: &Workspace, views: &mut Views) -> Possible {
    samples(workspace, views)?;
    let is_open = views.train.sheet == Sheet::Run && views.train.rollout.is_open;
    unless(!is_open, "No answers of the run are shown; A shows them")
}

pub(super) fn lens_open(_: &Workspace, views: &mut Views) -> Possible {
    let is_open = views.train.sheet == Sheet::Run && views.train.lens.stretch.is_some();
    unless(!is_open, "No pairs of steps are shown; B shows them")
}

pub(super) fn lens_pair(workspace: &Workspace, views: &mut Views) -> Possible {
    lens_open(workspace, views)?;
    unless(views.train.lens.selected.is_none(), "No pair is chosen")
}

pub(super) fn can_score(workspace: &Workspace, views: &mut Views) -> Possible {
    pairs(workspace, views)?;
    writable(workspace, views)?;
    unless(workspace.pairs.scores.is_busy(), "Pairs are being scored")
}

pub(super) fn has_scores(workspace: &Workspace, views: &mut Views) -> Possible {
    pairs(workspace, views)?;
    let shown = views.pairs.scores.and_then(|whose| workspace.pairs.scores.of(whose));
    unless(shown.is_none_or(|shown| shown.scoring.is_none()), "No scores are shown; G shows them")
}

fn references_shown(views: &Views) -> Possible {
    unless(views.pairs.mode() != PairsMode::References, "The reference answers are not open")
}

/// One of the list is chosen.
pub(super) fn one_reference(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    references_shown(views)?;
    let (view, known) = (&views.pairs.references, workspace.pairs.references.known.as_deref());
    let there = known.map_or(0, |known| known.count(view.shown));
    unless(view.selected >= there, "None is chosen")
}

pub(super) fn reference_answer(workspace: &Workspace, views: &mut Views) -> Possible {
    one_reference(workspace, views)?;
    unless(views.pairs.references.shown != Shown::Answers, "Retention text is shown; T shows the answers")
}

pub(super) fn reference_dropped(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    references_shown(views)?;
    unless(views.pairs.references.dropped.is_empty(), "Nothing was dropped")
}

pub(super) fn reference_undo(workspace: &Workspace, views: &mut Views) -> Possible {
    let none = !workspace.pairs.references.history.can_undo() && workspace.saving.under_way == 0;
    references_shown(views)?;
    unless(none && !views.pairs.references.is_typing(), "There is nothing to undo")
}

pub(super) fn reference_redo(workspace: &Workspace, views: &mut Views) -> Possible {
    references_shown(views)?;
    unless(!workspace.pairs.references.history.can_redo(), "There is nothing to redo")
}

pub(super) fn undo(workspace: &Workspace, views: &mut Views) -> Possible {
    let none = workspace.pairs.undo.is_none() && !is_changing(workspace, views);
    unless(none, "There is nothing to undo")
}

pub(super) fn redo(workspace: &Workspace, views: &mut Views) -> Possible {
    let none = workspace.pairs.redo.is_none() && !is_changing(workspace, views);
    unless(none, "There is nothing to redo")
}

/// What can be undone may be another thing in a moment.
fn is_changing(workspace: &Workspace, views: &Views) -> bool {
    workspace.saving.under_way > 0 || views.pairs.is_typing()
}

pub(super) fn can_put_back(workspace: &Workspace, views: &mut Views) -> Possible {
    let several = views.pairs.table.chosen(views.pairs.list(&workspace.pairs)).is_some();
    unless(workspace.pairs.undo_asks.is_none() && !several, "Nothing was asked, and one row is chosen")
}

pub(super) fn can_draw(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    let form = views.pairs.candidates.for_next();
    form.obstacle(&workspace.runs, &workspace.pairs, 0).map_or(Ok(()), Err)
}

pub(super) fn editing(_: &Workspace, views: &mut Views) -> Possible {
    let editing = views.pairs.labelling.as_ref().is_some_and(|label| label.editing.is_some());
    unless(!editing, "Nothing is being edited")
}

pub(super) fn again(_: &Workspace, views: &mut Views) -> Possible {
    let again = views.pairs.labelling.as_ref().is_some_and(|label| label.again);
    unless(!again, "Only where pairs are labelled again")
}

pub(super) fn several_answers(workspace: &Workspace, views: &mut Views) -> Possible {
    let current = views.pairs.labelling.as_ref().and_then(|label| label.session.current());
    let pair = current.and_then(|pair| workspace.pairs.pairs.get(pair));
    unless(pair.is_none_or(|pair| pair.answers.len() < 3), "The pair has no more than two answers")
}

pub(super) fn ordering(workspace: &Workspace, views: &mut Views) -> Possible {
    several_answers(workspace, views)?;
    unless(!views.pairs.label.orders, "The answers are not put in order")
}

pub(super) fn can_check(workspace: &Workspace, views: &mut Views) -> Possible {
    project(workspace, views)?;
    views.train.launch.checked().problems.values().next().map_or(Ok(()), |problem| Err(problem.clone()))
}

pub(super) fn can_start(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    can_check(workspace, views)
}

pub(super) fn lacks_reward(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    let samples = views.train.launch.checked().config.objective.kind.samples();
    unless(!samples, "The method of the sheet needs no reward model")?;
    unless(workspace.runs.reward_models().next().is_some(), "There is a reward model; the sheet names it")
}

pub(super) fn a_run(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    unless(workspace.runs.records.is_empty(), "There is no run yet")
}

pub(super) fn a_run_at_rest(workspace: &Workspace, views: &mut Views) -> Possible {
    let run = workspace.runs.shown(views.train.shown).ok_or_else(|| "There is no run yet".to_owned())?;
    unless(workspace.runs.is_going(run) || workspace.runs.place(run).is_some(), "The run has not ended")
}

pub(super) fn can_fork(workspace: &Workspace, views: &mut Views) -> Possible {
    a_run(workspace, views)?;
    has_checkpoints(workspace, views)
}

pub(super) fn has_checkpoints(workspace: &Workspace, views: &mut Views) -> Possible {
    watches(workspace, views)?;
    let missing = workspace.runs.shown(views.train.shown).and_then(|run| workspace.runs.no_weights(run));
    missing.map_or(Ok(()), |missing| Err(missing.to_owned()))
}

/// The run of the Train screen, where it neither goes nor waits.
fn shown_at_rest<'w>(workspace: &'w Workspace, views: &mut Views) -> Result<&'w RunRecord, String> {
    writable(workspace, views)?;
    a_run_at_rest(workspace, views)?;
    let record = workspace.runs.shown(views.train.shown).and_then(|run| workspace.runs.record(run));
    record.ok_or_else(|| "There is no run yet".to_owned())
}

pub(super) fn can_resume(workspace: &Workspace, views: &mut Views) -> Possible {
    let record = shown_at_rest(workspace, views)?;
    unless(!can_continue(record.status), "The shown run was not cut short")
}

pub(super) fn can_lengthen(workspace: &Workspace, views: &mut Views) -> Possible {
    let record = shown_at_rest(workspace, views)?;
    unless(record.status != RunStatus::Completed, "The shown run has not done all its steps")?;
    workspace.runs.no_weights(record.id).map_or(Ok(()), |missing| Err(missing.to_owned()))
}

pub(super) fn forking(_: &Workspace, views: &mut Views) -> Possible {
    unless(views.train.fork.is_none(), "No fork is being set up")
}

pub(super) fn run_goes(workspace: &Workspace, _: &mut Views) -> Possible {
    match &workspace.runs.live {
        None => Err("No run is going".to_owned()),
        Some(live) => unless(live.stopping, "The run is stopping"),
    }
}

/// Here or, if none does here, in another process.
pub(super) fn some_run_goes(workspace: &Workspace, views: &mut Views) -> Possible {
    match workspace.runs.elsewhere() {
        Some(theirs) if workspace.runs.live.is_none() => {
            unless(workspace.runs.asked_to_stop.contains(&theirs.id), "The run is stopping")?;
            writable(workspace, views)
        }
        _ => run_goes(workspace, views),
    }
}

pub(super) fn shown_waits(workspace: &Workspace, views: &mut Views) -> Possible {
    let waits = views.train.shown.is_some_and(|run| workspace.runs.queue_shown().iter().any(|other| other.id == run));
    unless(!waits, "The shown run does not wait in the queue")
}

pub(super) fn waits_here(workspace: &Workspace, views: &mut Views) -> Possible {
    let place = workspace.runs.shown(views.train.shown).and_then(|run| workspace.runs.place(run));
    unless(place.is_none(), "The shown run does not wait in the queue of this window")
}

pub(super) fn labels_wait(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    let runs = &workspace.runs;
    let record = runs.shown(views.train.shown).and_then(|run| runs.record(run));
    match record.and_then(|record| runs.join_offer(record)) {
        None => Err("No label waits to join the shown run".to_owned()),
        Some(offer) if offer.press.is_none() => Err(offer.text),
        Some(_) => Ok(()),
    }
}

pub(super) fn charts_shown(workspace: &Workspace, views: &mut Views) -> Possible {
    runs_ticked(workspace, views)?;
    unless(views.compare.board.face == board::ChartsOrTable::Table, "The table is shown; T shows the charts")
}

pub(super) fn charts_move(workspace: &Workspace, views: &mut Views) -> Possible {
    charts_shown(workspace, views)?;
    unless(!views.compare.board.x.grows(), "Over KL the charts always show all of it")
}

pub(super) fn axes_shown(_: &Workspace, views: &mut Views) -> Possible {
    let view = &views.compare;
    let is_drawn = view.board.face == board::ChartsOrTable::Charts && !view.marked.drawn.is_empty();
    unless(!is_drawn, "Five ticked runs that differ have parallel axes under their charts")
}

pub(super) fn axis_chosen(workspace: &Workspace, views: &mut Views) -> Possible {
    axes_shown(workspace, views)?;
    unless(views.compare.marked.at.is_none(), "No parallel axis is chosen; Shift → chooses one")
}

pub(super) fn about_undo(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    unless(!workspace.runs.can_turn_about[0], "No name or mark of a run was changed")
}

pub(super) fn about_redo(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    unless(!workspace.runs.can_turn_about[1], "Nothing was undone")
}

pub(super) fn runs_ticked(workspace: &Workspace, views: &mut Views) -> Possible {
    unless(views.compare.shown(&workspace.runs).is_empty(), "No run is ticked")
}

pub(super) fn pairs_fought(workspace: &Workspace, views: &mut Views) -> Possible {
    runs_ticked(workspace, views)?;
    let shown = views.compare.shown(&workspace.runs);
    let is_none = views.compare.fought.of(&workspace.runs, &shown).rows.is_empty();
    unless(is_none, "No pair fought back in the ticked runs, as far as they have been read")
}

pub(super) fn can_save_rules(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    let probes = workspace.answers.probes.as_deref().unwrap_or_default();
    let Some(draft) = &mut views.answers.judged.writing else {
        return Err("The rules are not being written".to_owned());
    };
    unless(draft.check(probes).is_err(), "Mend what stands beside the text first")?;
    unless(!draft.is_changed(), "Nothing has changed")
}

pub(super) fn can_ask(workspace: &Workspace, views: &mut Views) -> Possible {
    project(workspace, views)?;
    unless(views.answers.tab != Tab::Ask, "Open the ask box first")?;
    views.answers.ask.obstacle().map_or(Ok(()), |obstacle| Err(obstacle.to_owned()))
}

pub(super) fn talking(_: &Workspace, views: &mut Views) -> Possible {
    unless(!views.answers.ask.is_talking(), "Nothing was said in a talk yet")
}

pub(super) fn answering(_: &Workspace, views: &mut Views) -> Possible {
    unless(views.answers.tab != Tab::Ask, "Open the ask box first")?;
    unless(!views.answers.ask.busy(), "Nothing is being answered")
}

pub(super) fn dueling(workspace: &Workspace, views: &mut Views) -> Possible {
    unless(views.answers.tab != Tab::Duel, "Open the blind duel first")?;
    let duel = workspace.answers.duel.as_ref().filter(|duel| !duel.revealed);
    unless(duel.and_then(Duel::current).is_none(), "There are no two answers to judge")
}

pub(super) fn judged_in_a_duel(workspace: &Workspace, views: &mut Views) -> Possible {
    unless(views.answers.tab != Tab::Duel, "Open the blind duel first")?;
    unless(!workspace.answers.duel.as_ref().is_some_and(Duel::can_undo), "There is no verdict to take back")
}

pub(super) fn can_prefer(workspace: &Workspace, views: &mut Views) -> Possible {
    writable(workspace, views)?;
    unless(views.answers.tab != Tab::Ask, "Open the ask box first")?;
    unless(views.answers.preferred.is_some(), "They are saved as a pair already")?;
    views.answers.ask.cannot_prefer().map_or(Ok(()), |obstacle| Err(obstacle.to_owned()))
}
