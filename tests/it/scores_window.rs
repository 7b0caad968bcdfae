//! What a model thinks of the pairs, in the window: asked for, shown, sorted; the pairs of a stretch of steps; and
//! tokens coloured by what a model makes of them.

use std::{path::Path, sync::Arc};

use egui::{Key, Modifiers, Theme, accesskit::Role};
use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::{
        PairId,
        config::{Method, RunConfig},
    },
    engine::{
        pair_scores,
        protocol::{Event, Request, RequestId, TokenLogProbs},
    },
    objective::{Number, NumberBounds},
    state::{
        Screen,
        asking::AskFirst,
        filter::SortPairsBy,
        lens::Effect,
        ribbon::Tint,
        scores::{Fate, Whose},
        tokens::Spot,
        train::Sheet,
    },
    store::{NewScoring, PairVisit, Project, RunId, Score, Scored},
    train::measure::embedding::{furthest_first, packed},
};

use crate::stage::{Stage, past_run};

fn press(stage: &mut Stage, key: Key) {
    stage.harness.key_press(key);
    stage.harness.run();
}

fn shift(stage: &mut Stage, key: Key) {
    stage.harness.key_press_modifiers(Modifiers::SHIFT, key);
    stage.harness.run();
}

fn pairs(size: [f32; 2], theme: Theme, fill: impl FnOnce(&mut Project)) -> Stage {
    let mut stage = Stage::with(theme, size, fill);
    stage.harness.state_mut().views_mut().screen = Screen::Pairs;
    stage.harness.run();
    stage.until("the pairs are listed", |app| !app.workspace().pairs.ids.is_empty());
    stage
}

/// Scores of a checkpoint as the engine would leave them: pair n is ahead by n − 4.
fn score(dir: &Path, run: RunId, step: u64) {
    let mut project = Project::open(dir).unwrap();
    let config = RunConfig::from_toml(&project.settings().unwrap().run_toml).unwrap();
    let name = pair_scores::start_name(&project, &config).unwrap();
    let start = NewScoring { weights: "start", name: &name, run: None, start: None };
    let start = project.record_scoring(start).unwrap();
    let name = pair_scores::checkpoint_name(run, step);
    let trained = NewScoring { weights: "trained", name: &name, run: Some((run, step)), start: Some(start) };
    let trained = project.record_scoring(trained).unwrap();
    let ids = project.unscored(start).unwrap().0;
    let asked = project.to_score(&ids).unwrap();
    for (scoring, moved) in [(start, 0.0), (trained, 1.0)] {
        let scored: Vec<Scored> = asked
            .iter()
            .map(|one| {
                let margin = moved * (one.pair.id.0 - 4) as f64 * 8.0;
                let score = |log_prob| Score { log_prob, tokens: 7 };
                let like = packed(&[&like(one.pair.id.0)]);
                Scored::new(one, Some([score(margin - 30.5), score(-30.5)])).embedded(Some(like))
            })
            .collect();
        project.put_scores(scoring, &scored).unwrap();
    }
}

/// What a pair is like to the model.
fn like(pair: i64) -> Vec<f32> {
    let angle = pair as f32 * 1.9;
    vec![3.0 + angle.cos(), angle.sin() * pair as f32]
}

fn shown(stage: &Stage) -> Vec<i64> {
    stage.harness.state().workspace().pairs.ids.iter().map(|id| id.0).collect()
}

#[test]
fn pairs_are_scored_by_key_and_sorted_by_what_became_of_them() {
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Theme::Light, [1280.0, 800.0], "scores_light"), (Theme::Dark, [900.0, 600.0], "scores_dark_small")]
    {
        let mut run = RunId(0);
        let mut stage = pairs(size, theme, |project| run = past_run(project, Method::Mpo, 0.1, 40.0));
        press(&mut stage, Key::G);
        stage.until("it is known that nothing is", |app| app.workspace().pairs.scores.shown.is_some());
        assert!(stage.says("No pair has been scored under Start model"));
        shift(&mut stage, Key::G);
        let asked = stage.requests.try_iter().find(|request| matches!(request, Request::Score { .. })).unwrap();
        let Request::Score { request, run: None, .. } = asked else { panic!("{asked:?}") };
        assert!(stage.says("Loading Start model"));
        stage.say([Event::Scored { request, step: None, done: 5, of: 12 }]);
        assert!(stage.says("Scoring under Start model: 5 of 12 pairs"));

        score(&stage.dir, run, 120);
        stage.say([
            Event::Scored { request, step: None, done: 12, of: 12 },
            Event::AllScored { request, passed_over: Vec::new() },
        ]);
        assert!(stage.says("All pairs are scored under Start model"));
        stage.click("Close");
        // Under the checkpoint of the run, whose disk is not there, as a saved view has it.
        stage.harness.state_mut().views_mut().pairs.scores = Some(Whose::Checkpoint { run, step: 120 });
        stage.harness.run();
        stage.until("its scores are shown", |app| {
            app.workspace()
                .pairs
                .scores
                .shown
                .as_ref()
                .is_some_and(|shown| shown.scoring.is_some_and(|s| s.run.is_some()))
        });
        press(&mut stage, Key::Num3);
        stage.until("what is won is listed", |app| app.workspace().pairs.ids.len() == 6);
        assert_eq!(shown(&stage), [10, 9, 8, 7, 6, 5], "the surest first; those without a verdict are no matter");
        press(&mut stage, Key::Num4);
        stage.until("what is lost is listed", |app| app.workspace().pairs.ids.len() == 3);
        assert_eq!(shown(&stage), [1, 2, 3]);
        press(&mut stage, Key::Num1);
        stage.until("the awake are listed", |app| app.workspace().pairs.ids.len() > 6);
        assert_eq!(shown(&stage)[0], 4, "undecided, so pulled hardest");
        assert_eq!(stage.harness.state().views().pairs.filter.fate, Some(Fate::FoughtOver));
        stage.until("the numbers are read", |app| !app.workspace().pairs.scores.rows.is_waiting());
        stage.harness.run();
        stage.assert_no_id_clash();
        stage.picture(name, &mut results);
        press(&mut stage, Key::Num0);
        stage.until("all are listed", |app| app.workspace().pairs.ids.len() == 12);
        let view = &mut stage.harness.state_mut().views_mut().pairs;
        view.table.more = true;
        view.filter.range = Some(NumberBounds { number: Number::Margin, least: Some(8.0), most: Some(24.0) });
        stage.until("those between the bounds are listed", |app| app.workspace().pairs.ids.len() == 3);
        assert_eq!(shown(&stage), [5, 6, 7]);
        stage.harness.run();
        stage.assert_no_id_clash();
        stage.click("Any value");
        stage.until("all are listed again", |app| app.workspace().pairs.ids.len() == 12);
        press(&mut stage, Key::G);
        assert!(stage.harness.state().views().pairs.scores.is_none());
    }
}

#[test]
fn pairs_are_dots_on_the_curves_of_the_loss() {
    let mut run = RunId(0);
    let mut stage = pairs([1280.0, 800.0], Theme::Light, |project| run = past_run(project, Method::Mpo, 0.1, 40.0));
    shift(&mut stage, Key::G);
    let asked = stage.requests.try_iter().find(|request| matches!(request, Request::Score { .. })).unwrap();
    let Request::Score { request, .. } = asked else { panic!("{asked:?}") };
    score(&stage.dir, run, 120);
    stage.say([Event::AllScored { request, passed_over: Vec::new() }]);
    let views = stage.harness.state_mut().views_mut();
    (views.screen, views.train.sheet) = (Screen::Train, Sheet::Launch);
    stage.harness.run();
    stage.until("the dots are there", |app| {
        app.workspace().pairs.scores.shown.as_ref().is_some_and(|shown| !shown.sample.is_empty())
    });
    assert!(stage.says("Dots: 10 pairs under Start model"));
}

/// A run that met pairs 1 to 10, two a step: pair n with margin n at each visit, and more later.
fn met(project: &mut Project) -> RunId {
    let run = past_run(project, Method::Mpo, 0.1, 40.0);
    for step in 1..=120_u64 {
        let visit = |n: u64| PairVisit {
            pair: PairId(n as i64),
            margin: n as f32 + step as f32 / 10.0,
            push: 0.025 / n as f32,
        };
        let first = 2 * (step % 5) + 1;
        project.append_pair_visits(run, step, &[visit(first), visit(first + 1)]).unwrap();
    }
    run
}

#[test]
fn from_steps_to_pairs_and_back_by_keyboard() {
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Theme::Light, [1280.0, 800.0], "lens_light"), (Theme::Dark, [900.0, 600.0], "lens_dark_small")]
    {
        let mut stage = Stage::with(theme, size, |project| {
            met(project);
        });
        let views = stage.harness.state_mut().views_mut();
        (views.screen, views.train.sheet) = (Screen::Train, Sheet::Run);
        stage.harness.run();
        stage.until("the run is read", |app| app.workspace().runs.history.values().any(|run| run.last_step() > 0.0));
        press(&mut stage, Key::B);
        stage.until("its pairs are read", |app| app.workspace().lens.met.is_some());
        assert!(stage.says("10 pairs of steps 108 to 120"));
        for _ in 0..3 {
            shift(&mut stage, Key::ArrowRight);
        }
        stage.until("one step is read", |app| app.workspace().lens.met.as_ref().unwrap().0.from == 120);
        assert!(stage.says("2 pairs of step 120"));
        press(&mut stage, Key::ArrowLeft);
        stage.until("the step before is read", |app| app.workspace().lens.met.as_ref().unwrap().0.from == 119);
        let listed = |stage: &Stage| {
            let listed = &stage.harness.state().views().train.lens.listed;
            listed.rows.iter().map(|met| (met.pair.0, met.change())).collect::<Vec<_>>()
        };
        assert_eq!(listed(&stage), [(9, None), (10, None)], "the push of 9 is the harder one");
        for _ in 0..3 {
            shift(&mut stage, Key::ArrowLeft);
        }
        press(&mut stage, Key::S);
        assert_eq!(stage.harness.state().views().train.lens.effect, Effect::Loss);
        press(&mut stage, Key::S);
        press(&mut stage, Key::O);
        stage.until("more is read", |app| app.workspace().lens.met.as_ref().unwrap().0.from == 112);
        assert!((listed(&stage)[0].1.unwrap() - 0.5).abs() < 1e-4, "{:?}", listed(&stage));
        press(&mut stage, Key::ArrowDown);
        press(&mut stage, Key::ArrowDown);
        let pair = stage.harness.state().views().train.lens.selected.unwrap();
        stage.until("the prompts are read", |app| !app.workspace().pairs.rows.is_waiting());
        stage.assert_no_id_clash();
        stage.picture(name, &mut results);

        press(&mut stage, Key::Enter);
        assert_eq!(stage.harness.state().views().screen, Screen::Pairs);
        assert_eq!(stage.harness.state().views().pairs.selected, Some(pair));
        stage.until("its curve is read", move |app| {
            app.workspace().pairs.histories.get(pair).is_some() && app.views().pairs.draft.is_some()
        });
        stage.harness.run();
        press(&mut stage, Key::H);
        let views = stage.harness.state().views();
        assert_eq!((views.screen, views.train.lens.selected), (Screen::Train, Some(pair)));
        let stretch = views.train.lens.stretch.unwrap();
        assert!(stretch.from == stretch.to && stretch.from > 115, "{stretch:?}");
        press(&mut stage, Key::Escape);
        assert_eq!(stage.harness.state().views().train.lens.stretch, None);
    }
}

fn asked(stage: &Stage) -> (RequestId, Option<(RunId, u64)>) {
    let request = stage.requests.try_iter().find(|request| matches!(request, Request::ReadTokens { .. }));
    match request {
        Some(Request::ReadTokens { request, run, answers, .. }) => {
            assert_eq!(answers.len(), 2);
            (request, run)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn tokens_are_coloured_by_what_a_model_makes_of_them() {
    let mut results = SnapshotResults::new();
    for (theme, name) in [(Theme::Light, "ribbon_light"), (Theme::Dark, "ribbon_dark")] {
        let mut stage = pairs([1280.0, 1000.0], theme, |_| {});
        stage.until("a pair is open", |app| app.views().pairs.draft.is_some());
        press(&mut stage, Key::C);
        press(&mut stage, Key::C);
        assert_eq!(stage.harness.state().views().pairs.ribbon.tint, Tint::Change);
        stage.until("the tokens are read", |app| matches!(app.workspace().tokens.shown(Spot::Pair), Ok(Some(_))));
        let (request, run) = asked(&stage);
        assert_eq!(run, None);
        assert!(stage.says("Start model is reading"));
        let scored: Vec<usize> = {
            let tokens = &stage.harness.state().workspace().tokens;
            let inspection = tokens.shown(Spot::Pair).unwrap().unwrap();
            inspection.answers.iter().map(nudge::data::Inspection::scored).collect()
        };
        let of = |shift: f32| -> Vec<Vec<f32>> {
            scored.iter().map(|len| (0..*len).map(|n| -1.0 + shift * ((n % 5) as f32 - 2.0)).collect()).collect()
        };
        let log_probs = TokenLogProbs { now: of(0.75), start: of(0.0), weights: Err(String::new()) };
        let sum = |of: &[Vec<f32>]| of.iter().map(|values| values.iter().sum::<f32>()).collect::<Vec<_>>();
        let margin = sum(&log_probs.now);
        stage.say([Event::TokensRead { request, log_probs: Arc::new(log_probs) }]);
        let margin = nudge::data::number(f64::from(margin[0] - margin[1]));
        assert!(stage.says(&format!("Margin {margin}, ")), "the sum is the margin: {margin}");
        stage.assert_no_id_clash();
        stage.picture(name, &mut results);
        // Nothing but the start can be read while no run has a checkpoint.
        press(&mut stage, Key::CloseBracket);
        assert_eq!(stage.harness.state().views().pairs.ribbon.whose, Whose::Start);
    }
}

#[test]
fn a_number_is_a_column_that_sorts() {
    let mut run = RunId(0);
    let mut stage = pairs([1280.0, 800.0], Theme::Light, |project| run = past_run(project, Method::Mpo, 0.1, 40.0));
    score(&stage.dir, run, 120);
    stage.harness.state_mut().views_mut().pairs.scores = Some(Whose::Checkpoint { run, step: 120 });
    stage.harness.run();
    stage.until("the scores are shown", |app| app.workspace().pairs.scores.shown.is_some());
    stage.click("Sort by margin");
    stage.until("the largest comes first", |app| app.workspace().pairs.ids.first() == Some(&PairId(12)));
    stage.click("Sort by margin");
    stage.until("the smallest comes first", |app| app.workspace().pairs.ids.first() == Some(&PairId(1)));
    let filter = &stage.harness.state().views().pairs.filter;
    assert_eq!(filter.sort, SortPairsBy::Scores(Number::Margin));

    // Only the rewards of both answers are columns; the rejected answers have moved nowhere.
    stage.click("Columns");
    for title in ["Margin", "Push", "Reward margin"] {
        stage.harness.get_by_role_and_label(Role::CheckBox, title).click();
        stage.harness.run();
    }
    stage.key(Key::Escape);
    stage.harness.state_mut().views_mut().pairs.filter.sort = SortPairsBy::Number;
    stage.until("the numbers are read", |app| !app.workspace().pairs.scores.rows.is_waiting());
    assert!(stage.says("Sort by reward of chosen") && stage.says("Sort by reward of rejected"));
    assert!(!stage.says("Sort by push"));
    assert!(stage.says("6.4"), "0.1 times 64 of pair 12");
    let before = shown(&stage);
    stage.click("Sort by reward of chosen");
    stage.until("the largest comes first", |app| app.workspace().pairs.ids.first() == Some(&PairId(12)));
    assert_ne!(before, shown(&stage));
    let view = &mut stage.harness.state_mut().views_mut().pairs;
    view.filter.range = Some(NumberBounds { number: Number::ChosenReward, least: Some(2.0), most: Some(4.0) });
    stage.until("those between the bounds are listed", |app| app.workspace().pairs.ids.len() == 3);
    assert_eq!(shown(&stage), [9, 8, 7]);
    let view = &mut stage.harness.state_mut().views_mut().pairs;
    view.filter.range = Some(NumberBounds { number: Number::RejectedReward, least: Some(0.1), most: None });
    stage.until("none is", |app| app.workspace().pairs.ids.is_empty());
}

#[test]
fn labelling_asks_the_closest_margin_first_and_says_what_it_needs_where_runs_are_to_disagree() {
    let mut run = RunId(0);
    let mut stage = pairs([1280.0, 800.0], Theme::Light, |project| {
        run = past_run(project, Method::Mpo, 0.1, 40.0);
        score(project.dir(), run, 10);
    });
    let listed = shown(&stage);
    let asked = |stage: &mut Stage, first| {
        let views = stage.harness.state_mut().views_mut();
        views.pairs.scores = Some(Whose::Checkpoint { run, step: 10 });
        views.pairs.label.first = first;
        stage.harness.run();
        stage.click("Relabel");
        stage.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
        let session = &stage.harness.state().views().pairs.labelling.as_ref().unwrap().session;
        let order: Vec<i64> =
            session.current().into_iter().chain(session.upcoming(99).iter().copied()).map(|id| id.0).collect();
        press(stage, Key::Escape);
        order
    };
    assert_eq!(asked(&mut stage, AskFirst::Listed), listed);
    let mut closest = listed.clone();
    closest.sort_by_key(|id| (id - 4).abs());
    assert_eq!(asked(&mut stage, AskFirst::Closest), closest);
    // Nothing counts as labelled where all is labelled again.
    let unlike = furthest_first(&listed.iter().map(|id| like(*id)).collect::<Vec<_>>(), &[]);
    let unlike: Vec<i64> = unlike.into_iter().map(|at| listed[at]).collect();
    assert_ne!(unlike, listed);
    assert_eq!(asked(&mut stage, AskFirst::Unlike), unlike);
    let mut shuffled = asked(&mut stage, AskFirst::Random);
    shuffled.sort_unstable();
    assert_eq!(shuffled, listed);
    assert_eq!(asked(&mut stage, AskFirst::Disputed), listed);
    assert!(stage.says("only 1 run has"));
}
