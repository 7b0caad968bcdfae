//! What the actions of the table do: each has its arm here.

use std::{collections::BTreeSet, sync::Arc};

use egui::Ui;
use state::{
    Command, Commands, Screen, Views, Workspace,
    actions::{Action, entry},
    answers::{AnswersCommand, Tab},
    candidates::CandidatesCommand,
    compare::board::ChartsOrTable,
    duel::DuelCommand,
    keyboard::CommandPalette,
    keyboard::Over,
    labelling::Act,
    models::{AddForm, ModelsCommand},
    pairs::{Caret, PairsCommand, PairsView, Strip},
    scores::{ScoresCommand, Whose},
    selection::Selection,
    train::{LaunchButton, RunCommand, Sheet},
};
use store::{Bulk, RunRecord, RunStatus};

use super::{
    chart,
    screens::{compare, models, pairs, train},
};

/// Does it, in its place: whoever is elsewhere is led there.
#[expect(clippy::too_many_lines, reason = "one arm an action, and none is long")]
pub fn action(action: Action, ui: &Ui, workspace: &Workspace, views: &mut Views, commands: &Commands) {
    if let Some(screen) = entry(action).and_then(|entry| entry.place.screen())
        && views.screen != screen
    {
        go(screen, ui, views);
    }
    let run = |command| commands.push(Command::Runs(command));
    let change = |command| commands.push(Command::Pairs(command));
    let duel = |command| commands.push(Command::Answers(AnswersCommand::Duel(command)));
    match action {
        Action::Palette => views.keyboard.open(Over::Palette(CommandPalette::default())),
        Action::Help if views.keyboard.over == Over::Help => views.keyboard.over = Over::Nothing,
        Action::Help => views.keyboard.open(Over::Help),
        Action::Go(screen) => go(screen, ui, views),
        Action::NewProject => {
            go(Screen::Projects, ui, views);
            views.projects.form_opens = true;
        }
        Action::OpenProject => go(Screen::Projects, ui, views),
        Action::OpenBundle => commands.push(Command::PickBundle),
        Action::OpenDemo => commands.push(Command::OpenDemo),
        Action::Theme(theme) => views.theme = theme,
        Action::DismissNotices => commands.push(Command::DismissAll),
        Action::FollowHint => {
            if let Some(hint) = views.guide.hint(workspace, views) {
                self::action(hint.action, ui, workspace, views, commands);
            }
        }
        Action::PutHintAway => {
            if let Some(hint) = views.guide.hint(workspace, views) {
                views.guide.put_away(hint.milestone);
            }
        }

        Action::Label => pairs::label(workspace, &mut views.pairs, workspace.pairs.counts.unlabelled == 0, commands),
        Action::Relabel => pairs::label(workspace, &mut views.pairs, true, commands),
        Action::AskFirst(first) => views.pairs.label.first = first,
        Action::NewPair => pairs::new_pair(&mut views.pairs, commands),
        Action::EditPair => views.pairs.caret = Some(Caret::Prompt),
        Action::DeletePair if pairs::chosen(workspace, &views.pairs).is_some() => {
            pairs::change_chosen(workspace, &views.pairs, Bulk::Delete, commands);
        }
        Action::DeletePair => pairs::delete_open(workspace, &mut views.pairs, commands),
        Action::Flip | Action::Tag | Action::Extend(_) | Action::ChooseAll | Action::MoreFilters => {
            of_the_table(action, workspace, &mut views.pairs, commands);
        }
        Action::Import => pairs::toggle(ui, &mut views.pairs, Strip::Import),
        Action::Export => pairs::toggle(ui, &mut views.pairs, Strip::Export),
        Action::Sample => pairs::toggle(ui, &mut views.pairs, Strip::Sample),
        Action::References => views.pairs.references.open = true,
        Action::Reference(act) => pairs::act_on_references(act, ui, workspace, &mut views.pairs, commands),
        Action::WriteReferences => change(PairsCommand::Candidates(CandidatesCommand::Everyday)),
        Action::Undo => change(PairsCommand::Undo { only: None, sure: false }),
        Action::Redo => change(PairsCommand::Redo),
        Action::KeepAll if workspace.pairs.undo_asks.is_none() => views.pairs.table.selection = None,
        Action::KeepAll => change(PairsCommand::KeepAll),
        Action::Search => pairs::search(ui),
        Action::Move(way) => pairs::step(&workspace.pairs, &mut views.pairs, way),
        Action::Difference => views.pairs.difference = !views.pairs.difference,
        Action::Tokens => views.pairs.tokens = !views.pairs.tokens,
        Action::Tint => views.pairs.turn_tint(&workspace.runs),
        Action::Scrub(forward) => views.pairs.scrub(&workspace.runs, forward),
        Action::WhiteSpace | Action::Labelling(Act::WhiteSpace) => views.pairs.white_space = !views.pairs.white_space,
        Action::Scores => views.pairs.scores = if views.pairs.scores.is_some() { None } else { Some(Whose::Start) },
        Action::ScorePairs => {
            let whose = *views.pairs.scores.get_or_insert_default();
            pairs::ask_scores(ScoresCommand::Score(whose), commands);
        }
        Action::Fate(fate) => views.pairs.filter.show_fate(fate),
        Action::Labelling(act) => {
            if let Some(label) = &mut views.pairs.labelling {
                label.presses.push(act);
            }
        }

        Action::NextPair => change(PairsCommand::Candidates(CandidatesCommand::Next)),
        Action::Suspects => change(PairsCommand::Review),
        Action::Review(act) => {
            if let Some(review) = &mut views.pairs.review {
                review.presses.push_back(act);
            }
        }

        Action::ChooseCharts => views.compare.choosing = !views.compare.choosing,
        Action::Columns(more) => views.compare.board.widen(more),
        Action::CompareFace => {
            let face = &mut views.compare.board.face;
            *face = if *face == ChartsOrTable::Charts { ChartsOrTable::Table } else { ChartsOrTable::Charts };
        }
        Action::FilterRuns => compare::filter(ui),
        Action::ShowFought => {
            let shown = views.compare.shown(&workspace.runs);
            let all = views.compare.fought.of(&workspace.runs, &shown).lists().pop();
            if let Some(all) = all {
                commands.push(Command::ShowPairs(all.title, Arc::new(all.pairs)));
            }
        }
        Action::TurnScale => views.compare.board.scale = views.compare.board.scale.next(),
        Action::ClipOutliers => views.compare.board.clip = !views.compare.board.clip,
        Action::ChartControls => views.compare.board.controls = !views.compare.board.controls,
        Action::ChartsAcross => views.compare.board.x = views.compare.board.x.next(),
        Action::Zoom(zoom) => chart::ask_zoom(ui, compare::GROUP, zoom),
        Action::Axis(to) => views.compare.press_axis(&workspace.runs, to),
        Action::ChartCursor(later) if views.screen == Screen::Answers => {
            let runs = views.answers.runs(&workspace.runs);
            views.answers.turn_step(&workspace.answers.steps(&runs), later);
        }
        Action::ChartCursor(later) => {
            chart::ask_cursor(ui, if views.screen == Screen::Compare { compare::GROUP } else { train::GROUP }, later);
        }
        Action::AboutUndo => run(RunCommand::TurnAbout { back: true }),
        Action::AboutRedo => run(RunCommand::TurnAbout { back: false }),
        Action::ExportCurves(kind) => run(RunCommand::PickCurves(kind)),
        Action::FrontierAcross => views.compare.board.across = views.compare.board.across.next(),
        Action::CompareReport => run(RunCommand::PickReport),
        Action::SetUp => views.train.sheet = Sheet::Launch,
        Action::Watch => views.train.sheet = Sheet::Run,
        Action::ShowSteps => {
            if let Some(pair) = views.pairs.selected {
                run(RunCommand::ShowSteps(pair));
            }
        }
        Action::Alarm(act) => {
            let shown = workspace.runs.shown(views.train.shown);
            if let Some(command) = shown.and_then(|shown| workspace.runs.about_alarm(shown, act)) {
                run(command);
            }
        }
        Action::Lens(to) => train::move_lens(to, workspace, &mut views.train),
        Action::Rollout(to) => train::move_rollout(to, workspace, &mut views.train),
        Action::OpenLensPair => {
            if let Some(pair) = views.train.lens.selected {
                commands.push(Command::ShowPair(pair));
            }
        }
        Action::Check => press(views, LaunchButton::Check),
        Action::Start => press(views, LaunchButton::Start),
        Action::Preset(preset) => press(views, LaunchButton::Preset(preset)),
        Action::CompareMethods => press(views, LaunchButton::CompareMethods),
        Action::FitReward => press(views, LaunchButton::FitReward),
        Action::EarlierSettings => press(views, LaunchButton::EarlierSettings),
        Action::AllSettings => {
            views.train.sheet = Sheet::Launch;
            views.train.more = !views.train.more;
        }
        Action::Resume => {
            if let Some(command) = shown(workspace, views).and_then(|it| views.train.resume(&workspace.runs, it)) {
                run(command);
            }
        }
        Action::Lengthen => {
            if let Some(record) = shown(workspace, views) {
                views.train.ask_how_long(record);
            }
        }
        Action::LeaveQueue => {
            if let Some(record) = shown(workspace, views) {
                run(RunCommand::Withdraw(record.id));
            }
        }
        Action::ExportRun => {
            if let Some(record) = shown(workspace, views) {
                commands.push(Command::Models(ModelsCommand::ShowRun(record.id)));
            }
        }
        Action::Fork => {
            if let Some(record) = shown(workspace, views) {
                views.train.set_up_fork(&workspace.runs, record.id, workspace.runs.fork_point(record));
            }
        }
        Action::Again => {
            if let Some(record) = shown(workspace, views) {
                views.train.set_up_again(&workspace.runs, record.id);
            }
        }
        Action::LeaveFork => views.train.leave_fork(),
        Action::Pause => match (&workspace.runs.live, workspace.runs.elsewhere()) {
            (Some(live), _) => run(RunCommand::SetPaused(!live.paused)),
            (None, Some(theirs)) => {
                run(RunCommand::PauseElsewhere(theirs.id, theirs.status != RunStatus::Paused));
            }
            (None, None) => {}
        },
        Action::Checkpoint => run(RunCommand::Checkpoint),
        Action::TakeIn => {
            let record = workspace.runs.shown(views.train.shown).and_then(|run| workspace.runs.record(run));
            let asks = record.and_then(|record| Some((record.id, workspace.runs.join_offer(record)?.press?)));
            views.train.sheet = Sheet::Run;
            if let Some((shown, asks)) = asks {
                run(RunCommand::TakeIn(shown, asks));
            }
        }
        Action::SeenLabels => {
            views.train.sheet = Sheet::Run;
            views.train.seen_open = !views.train.seen_open;
        }
        Action::Stop => match workspace.runs.elsewhere() {
            Some(theirs) if workspace.runs.live.is_none() => run(RunCommand::StopElsewhere(theirs.id)),
            _ => run(RunCommand::Stop),
        },
        Action::BundleRun => {
            if let Some(record) = shown(workspace, views) {
                run(RunCommand::PickBundle(record.id));
            }
        }
        Action::InQueue(later) => {
            let queue = workspace.runs.queue_shown();
            let place = queue.iter().position(|record| Some(record.id) == views.train.shown);
            if let Some((record, place)) = place.map(|place| (queue[place], place)) {
                let to = if later { (place + 1).min(queue.len() - 1) } else { place.saturating_sub(1) };
                run(RunCommand::Move(record.id, to));
            }
        }

        Action::Probes => views.answers.tab = Tab::Probes,
        Action::Judged => views.answers.tab = Tab::Judged,
        Action::EditRules => {
            views.answers.tab = Tab::Judged;
            if views.answers.judged.writing.is_none() {
                commands.push(Command::Answers(AnswersCommand::WriteRules));
            }
        }
        Action::SaveRules => {
            views.answers.tab = Tab::Judged;
            if let Some(draft) = &views.answers.judged.writing {
                let (before, text) = (draft.saved.clone(), draft.text.clone());
                commands.push(Command::Answers(AnswersCommand::SaveRules { before, text }));
            }
        }
        Action::AskBox => {
            views.answers.tab = Tab::Ask;
            views.answers.ask_opens = true;
        }
        Action::Ask => commands.push(Command::Answers(AnswersCommand::Ask)),
        Action::Talk => {
            views.answers.tab = Tab::Ask;
            views.answers.ask.talk = !views.answers.ask.talk;
        }
        Action::BeginAnew => commands.push(Command::Answers(AnswersCommand::BeginAnew)),
        Action::ProbesBeside => {
            views.answers.tab = Tab::Probes;
            let ticked = views.compare.shown(&workspace.runs).into_iter().map(|record| record.id);
            views.answers.beside = if views.answers.beside.is_empty() { ticked.collect() } else { BTreeSet::new() };
        }
        Action::GreedyAlone => {
            views.answers.tab = Tab::Probes;
            views.answers.greedy_alone = !views.answers.greedy_alone;
        }
        Action::StopAnswers => commands.push(Command::Answers(AnswersCommand::Stop)),
        Action::Prefer(side) => commands.push(Command::Answers(AnswersCommand::Prefer(side))),

        Action::Duel => views.answers.tab = Tab::Duel,
        Action::DuelPress(press) => duel(DuelCommand::Press(press)),
        Action::DuelUndo => duel(DuelCommand::Undo),

        Action::AddModel => models::toggle(ui, &mut views.models, AddForm::Add),
        Action::Download => models::toggle(ui, &mut views.models, AddForm::Download),
        Action::LookAgain => commands.push(Command::Models(ModelsCommand::Look)),
        Action::MoveModel(way) => models::step(workspace, &mut views.models, way),
    }
}

/// The run of the Train screen.
fn shown<'w>(workspace: &'w Workspace, views: &Views) -> Option<&'w RunRecord> {
    workspace.runs.record(workspace.runs.shown(views.train.shown)?)
}

/// What is about the rows of the table.
fn of_the_table(action: Action, workspace: &Workspace, view: &mut PairsView, commands: &Commands) {
    let several = pairs::chosen(workspace, view).is_some();
    match action {
        Action::Flip => pairs::change_chosen(workspace, view, Bulk::Flip, commands),
        Action::Tag if several => view.table.tag_wants_caret = true,
        Action::Tag => view.caret = Some(Caret::Tag),
        Action::Extend(way) => pairs::extend(&workspace.pairs, view, way),
        Action::ChooseAll => view.table.selection = Some(Selection::all(view.list(&workspace.pairs))),
        Action::MoreFilters => view.table.more = !view.table.more,
        _ => {}
    }
}

/// A menu that was open would lie over the place that was asked for.
fn go(screen: Screen, ui: &Ui, views: &mut Views) {
    if views.screen != screen {
        views.screen = screen;
        // What was about to be pressed in the other place is not pressed from here.
        ui.memory_mut(|memory| memory.focused().into_iter().for_each(|id| memory.surrender_focus(id)));
    }
    egui::Popup::close_all(ui);
}

/// The sheet looks itself whether it may.
fn press(views: &mut Views, button: LaunchButton) {
    views.train.sheet = Sheet::Launch;
    views.train.pressed = Some(button);
}
