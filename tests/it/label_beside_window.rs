//! Labelling at the pace of the keys while a run goes on, and the next pair made by a key when none is left.

use std::{collections::BTreeMap, fs};

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use nudge::{
    data::{Answer, Change, Choice, Edit, Origin, Pair, PairId, Prompt, Strength, config::Method},
    engine::protocol::{DrawnPair, Event, Request, Weights},
    state::{
        candidates::CandidatesUnderWay,
        labelling::{Judgement, Side},
    },
    store::{Project, RunId},
};

use crate::{
    hot_window::live,
    stage::{self, Stage, past_run},
};

const PAIRS: usize = 200;

/// Keys with what they mean.
const PRESSES: [(Modifiers, Key, Judgement); 6] = [
    (Modifiers::NONE, Key::Num1, Judgement::Prefer(Side::Left, Strength::Clearly)),
    (Modifiers::NONE, Key::Num2, Judgement::Prefer(Side::Right, Strength::Clearly)),
    (Modifiers::SHIFT, Key::Num1, Judgement::Prefer(Side::Left, Strength::Strongly)),
    (Modifiers::NONE, Key::T, Judgement::Tie),
    (Modifiers::ALT, Key::Num2, Judgement::Prefer(Side::Right, Strength::Slightly)),
    (Modifiers::NONE, Key::B, Judgement::BothBad),
];

fn unlabelled(project: &mut Project) {
    let pair = |n: usize| {
        let prompt = Prompt::Text(format!("Where is buoy {n}?"));
        Edit::add(Pair::new(PairId::NEW, prompt, &["Off the bar.", "I could not say where it is today."]))
    };
    project.apply(&Change::new("Import", (0..PAIRS).map(pair).collect())).unwrap();
}

#[test]
fn two_hundred_verdicts_by_keys_beside_a_run_are_each_stored_once() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], unlabelled);
    let run = live(&mut stage);
    stage.go("Pairs");
    stage.until("the pairs are listed", |app| app.workspace().pairs.ids.len() > PAIRS);
    let before = Project::open(&stage.dir).unwrap().revision().unwrap().0;
    stage.key(Key::L);
    stage.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    // What each press must say, from a session of its own.
    let mut told = stage.harness.state().views().pairs.labelling.as_ref().unwrap().session.clone();
    let all: BTreeMap<PairId, Pair> = {
        let project = Project::open(&stage.dir).unwrap();
        project.pairs_at(project.revision().unwrap()).unwrap().into_iter().map(|pair| (pair.id, pair)).collect()
    };
    let (mut expected, mut presses): (BTreeMap<PairId, Choice>, usize) = (BTreeMap::new(), 0);
    while let Some(pair) = told.current() {
        let (modifiers, key, judgement) = PRESSES[presses * 7 % PRESSES.len()];
        let (verdict, _) = told.judge(&all[&pair], judgement, 0).unwrap();
        expected.insert(pair, verdict.choice);
        stage.harness.state_mut().views_mut().keyboard.letters.end();
        stage.harness.key_press_modifiers(modifiers, key);
        if presses < 49 {
            stage.events.send(stage::step(run, 41 + presses as u64, 90)).unwrap();
        }
        stage.harness.step();
        presses += 1;
    }
    stage.until("all presses are carried out", |app| {
        let label = app.views().pairs.labelling.as_ref().unwrap();
        label.presses.is_empty() && label.session.current().is_none()
    });
    stage.until("all is saved", |app| app.workspace().saving.under_way == 0);
    // One in twenty is asked for twice; the twelve of the stage had two without a verdict.
    assert_eq!((expected.len(), presses), (PAIRS + 2, PAIRS + 2 + (PAIRS + 2) / 20));
    assert!(stage.says(&format!("All done: {presses} labelled in this session")));
    let mut project = Project::open(&stage.dir).unwrap();
    assert_eq!(project.revision().unwrap().0 - before, presses as u64, "each verdict is one step of the journal");
    let stored = project.pairs_at(project.revision().unwrap()).unwrap();
    for pair in stored.iter().filter(|pair| expected.contains_key(&pair.id)) {
        assert_eq!(pair.choice(), Some(expected[&pair.id]), "pair {}", pair.id.0);
    }
    for _ in 0..presses {
        project.undo().unwrap();
    }
    assert_eq!(project.counts().unwrap().unlabelled, PAIRS + 2, "and each is taken back by one");
    let live = stage.harness.state().workspace().runs.live.as_ref().map(|live| live.step);
    assert_eq!(live, Some(89), "the run was followed meanwhile");
}

fn answered(prompt: &Prompt) -> Pair {
    let origin = || Origin::Model("start model, seed 1".to_owned());
    let answers = ["At six.", "At noon."].map(|text| Answer::new(text.to_owned(), origin()));
    Pair { answers: answers.into(), ..Pair::new(PairId::NEW, prompt.clone(), &[]) }
}

#[test]
fn when_none_is_left_a_key_makes_the_next_pair() {
    let mut stage = Stage::new();
    stage.go("Pairs");
    stage.until("the pairs are listed", |app| !app.workspace().pairs.ids.is_empty());
    stage.key(Key::L);
    stage.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    stage.key(Key::T);
    stage.key(Key::T);
    assert!(stage.says("All done: 2 labelled in this session"));
    stage.key(Key::M);
    stage.until("the next prompt is found", |app| app.workspace().pairs.candidates.is_some());
    let Ok(Request::Draw { request, prompts, asked, .. }) = stage.requests.try_recv() else {
        panic!("one is asked for")
    };
    assert_eq!((prompts.len(), asked.answers), (1, 2));
    assert!(stage.says("A model writes"));
    stage.key(Key::M);
    assert!(stage.requests.is_empty(), "one at a time");
    let drawn = DrawnPair::Pair { pair: Box::new(answered(&prompts[0])), pilaf: false, again: false };
    stage.say([Event::Drawn { request, drawn }, Event::AllDrawn { request }]);
    stage.until("it is asked about", |app| {
        app.views().pairs.labelling.as_ref().unwrap().session.current() == Some(PairId(13))
    });
    stage.until("it is there", |app| app.workspace().pairs.pairs.get(PairId(13)).is_some());
    stage.key(Key::Num1);
    stage.until("it is saved", |app| app.workspace().saving.under_way == 0);
    let pair = Project::open(&stage.dir).unwrap().pair(PairId(13)).unwrap().unwrap();
    assert!(matches!(pair.choice(), Some(Choice::Better { .. })));
    // A model that always says the same leaves a sentence.
    stage.key(Key::M);
    stage.until("the next prompt is found", |app| {
        app.workspace().pairs.candidates.as_ref().is_some_and(CandidatesUnderWay::is_busy)
    });
    let Ok(Request::Draw { request, prompts, .. }) = stage.requests.try_recv() else { panic!("one is asked for") };
    let refused = DrawnPair::None("all answers were the same".to_owned());
    stage.say([Event::Drawn { request, drawn: refused }, Event::AllDrawn { request }]);
    assert!(stage.says("all answers were the same"), "{:?}", prompts[0]);
}

#[test]
fn a_checkpoint_is_asked_for_answers_of_which_half_are_optimistic_and_pessimistic() {
    let mut run = RunId(0);
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        run = past_run(project, Method::Mpo, 0.1, 40.0);
        fs::create_dir_all(project.run_dir(run).join("checkpoints/step-000120")).unwrap();
    });
    stage.go("Pairs");
    stage.until("the pairs are listed", |app| !app.workspace().pairs.ids.is_empty());
    stage.key(Key::M);
    let pilaf = |stage: &Stage| {
        let node = stage.harness.get_by_role_and_label(Role::CheckBox, "Optimistic and pessimistic");
        node.accesskit_node().is_disabled()
    };
    assert!(pilaf(&stage), "the start model has gone nowhere");
    stage.harness.get_by_role_and_label(Role::ComboBox, "Whose answers").click();
    stage.harness.run();
    stage.click("MPO anchored-sum β 0.1 at step 120");
    assert!(!pilaf(&stage));
    stage.click("Optimistic and pessimistic");
    for (name, value) in [("Share", "0.25"), ("Strength", "0.4")] {
        stage.harness.get_by_role_and_label(Role::SpinButton, name).click();
        stage.harness.run();
        stage.keys(Modifiers::COMMAND, Key::A);
        stage.harness.event(egui::Event::Text(value.to_owned()));
        stage.harness.run();
        stage.key(Key::Enter);
    }
    stage.click("Those of the pairs");
    stage.click("Write answers");
    stage.until("the prompts are read", |app| app.workspace().pairs.candidates.is_some());
    let Ok(Request::Draw { source, name, asked, prompts, .. }) = stage.requests.try_recv() else {
        panic!("answers are asked for")
    };
    assert!(matches!(source, Weights::Run { run: of, step: Some(120), .. } if of == run), "{source:?}");
    assert_eq!((name, prompts.len(), asked.answers), (format!("run {} at step 120", run.0), 12, 2));
    let pilaf = asked.pilaf.unwrap();
    assert_eq!((pilaf.share, pilaf.strength), (0.25, 0.4));
}
