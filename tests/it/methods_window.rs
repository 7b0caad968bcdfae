//! What runs by other methods show of themselves in the window: the answers that RLHF learns from, and what tokens
//! weigh.

use std::{fs, sync::Arc};

use egui::{Key, Theme};
use egui_kittest::SnapshotResults;
use nudge::{
    data::{
        PairId,
        config::{Method, RunConfig, TokenWeights},
    },
    engine::protocol::{Event, Request, TokenLogProbs},
    state::{Screen, ribbon::Tint, scores::Whose, tokens::Spot, train::Sheet},
    store::{Project, RunId, SampledAnswer, SampledGroup},
};

use crate::{
    stage::{Stage, past_run},
    window::PATIENCE,
};

fn press(stage: &mut Stage, key: Key) {
    stage.harness.key_press(key);
    stage.harness.run();
}

/// Two prompts with two answers each, of which one was cut.
fn sampled(step: u64) -> Vec<SampledGroup> {
    let answer = |text: &str, score: f64, ended: bool| SampledAnswer {
        text: text.to_owned(),
        tokens: text.split(' ').count(),
        ended,
        score,
        kl: 0.25 * step as f64 / 120.0,
    };
    let group = |pair: i64, prompt: &str, answers: Vec<SampledAnswer>| SampledGroup {
        pair: (pair > 0).then_some(PairId(pair)),
        prompt: prompt.to_owned(),
        answers,
    };
    vec![
        group(
            3,
            "When does the last ferry leave?",
            vec![
                answer(&format!("At half past nine, from the old pier (step {step})."), 1.25, true),
                answer("It leaves. It leaves. It leaves. It leaves. It leaves. It leaves. It leaves. It", -2.5, false),
            ],
        ),
        group(
            0,
            "Is the library open on Sundays?",
            vec![answer("No; it opens again on Monday at ten.", 0.5, true), answer("I do not know.", -0.25, true)],
        ),
    ]
}

fn ppo(project: &mut Project) -> RunId {
    let run = past_run(project, Method::Ppo, 0.1, 40.0);
    for step in [1, 40, 80, 119, 120] {
        project.append_rollout(run, step, &sampled(step), 40).unwrap();
    }
    run
}

fn watch(stage: &mut Stage) {
    let views = stage.harness.state_mut().views_mut();
    (views.screen, views.train.sheet) = (Screen::Train, Sheet::Run);
    stage.harness.run();
}

fn step_shown(stage: &Stage) -> Option<u64> {
    let app = stage.harness.state();
    let run = app.workspace().runs.shown(app.views().train.shown)?;
    app.workspace().rollouts.of(run).map(|known| known.step)
}

fn until_step(stage: &mut Stage, step: u64) {
    stage.until(&format!("the answers of step {step} are read"), |app| {
        let run = app.workspace().runs.shown(app.views().train.shown);
        run.and_then(|run| app.workspace().rollouts.of(run)).is_some_and(|known| known.step == step)
    });
}

#[test]
fn the_answers_that_a_run_learns_from_are_read_beside_its_charts() {
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Theme::Light, [1280.0, 800.0], "rollout_light"), (Theme::Dark, [900.0, 600.0], "rollout_dark_small")]
    {
        let mut run = RunId(0);
        let mut stage = Stage::with(theme, size, |project| run = ppo(project));
        watch(&mut stage);
        until_step(&mut stage, 120);
        assert!(stage.says("2 prompts, 4 answers") && stage.says("1 was cut"));
        assert!(!stage.says("At half past nine"), "it is folded");
        press(&mut stage, Key::A);
        assert!(stage.says("At half past nine, from the old pier (step 120)."));
        assert!(stage.says("cut at 15 tokens"));
        stage.assert_no_id_clash();
        stage.picture(name, &mut results);

        // Back through the steps that are kept, and forth until it follows the run again.
        press(&mut stage, Key::OpenBracket);
        until_step(&mut stage, 80);
        stage.click("Earlier answers");
        until_step(&mut stage, 40);
        assert!(stage.says("Answers of step 40") && stage.says("(step 40)"));
        press(&mut stage, Key::CloseBracket);
        until_step(&mut stage, 80);
        stage.click("Newest answers");
        until_step(&mut stage, 120);

        // What another process, or the engine, has written is read at the next step.
        Project::open(&stage.dir).unwrap().append_rollout(run, 121, &sampled(121), 40).unwrap();
        let metrics = vec![("loss".to_owned(), 0.1)];
        stage.say([Event::Step { run, step: 121, total_steps: 400, metrics, eta_secs: None }]);
        until_step(&mut stage, 121);
        stage.click("Pair 3");
        assert_eq!(stage.harness.state().views().pairs.selected, Some(PairId(3)));
    }
}

#[test]
fn a_run_that_learns_from_pairs_has_no_answers_to_read() {
    let mut stage = Stage::with(Theme::Light, [1280.0, 800.0], |project| {
        past_run(project, Method::Dpo, 0.1, 40.0);
    });
    watch(&mut stage);
    press(&mut stage, Key::A);
    assert!(!stage.harness.state().views().train.rollout.is_open);
    assert_eq!(step_shown(&stage), None);
    assert!(!stage.says("Answers that it learns from"));
}

#[test]
fn tokens_are_coloured_by_what_they_weigh() {
    let mut results = SnapshotResults::new();
    for (theme, size, name) in
        [(Theme::Light, [1280.0, 1000.0], "weights_light"), (Theme::Dark, [900.0, 600.0], "weights_dark_small")]
    {
        let mut run = RunId(0);
        let mut stage = Stage::with(theme, size, |project| {
            run = past_run(project, Method::Dpo, 0.1, 40.0);
            let mut config = RunConfig::default();
            (config.objective.kind, config.objective.token_weights) = (Method::Dpo, TokenWeights::Tis);
            project.set_run_config(run, &config.to_toml().unwrap()).unwrap();
            fs::create_dir_all(project.run_dir(run).join("checkpoints/step-000120")).unwrap();
        });
        stage.harness.state_mut().views_mut().screen = Screen::Pairs;
        stage.harness.run();
        stage.until("a pair is open", |app| app.views().pairs.draft.is_some());
        stage.until("the checkpoint is found", move |app| !app.workspace().runs.checkpoints(run).is_empty());
        for _ in 0..3 {
            press(&mut stage, Key::C);
        }
        let ribbon = stage.harness.state().views().pairs.ribbon;
        assert_eq!((ribbon.tint, ribbon.whose), (Tint::Weight, Whose::Checkpoint { run, step: 120 }));
        stage.until("the tokens are read", |app| matches!(app.workspace().tokens.shown(Spot::Pair), Ok(Some(_))));
        let scored: Vec<usize> = {
            let tokens = &stage.harness.state().workspace().tokens;
            let inspection = tokens.shown(Spot::Pair).unwrap().unwrap();
            inspection.answers.iter().map(nudge::data::Inspection::scored).collect()
        };
        let rows =
            |of: fn(usize) -> f32| -> Vec<Vec<f32>> { scored.iter().map(|len| (0..*len).map(of).collect()).collect() };
        let log_probs = TokenLogProbs {
            now: rows(|n| -1.0 + 0.25 * (n % 5) as f32),
            start: rows(|_| -1.0),
            weights: Ok(rows(|n| 0.7 + 0.15 * (n % 5) as f32)),
        };
        // What was asked on the way here is answered first.
        let log_probs = Arc::new(log_probs);
        let of = loop {
            let asked = stage.requests.recv_timeout(PATIENCE).unwrap();
            let Request::ReadTokens { request, run, .. } = asked else { continue };
            stage.say([Event::TokensRead { request, log_probs: Arc::clone(&log_probs) }]);
            if let Some(of) = run {
                break of;
            }
        };
        assert_eq!(of, (run, 120));
        assert!(stage.says("with its weights, which are"), "sums tell what the weights make of them");
        stage.assert_no_id_clash();
        stage.picture(name, &mut results);
    }
}
