//! The blind duel in the window: two sets of weights answer, verdicts by key, the result, and pairs made of it.

use egui::{Key, Theme};
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Answer, Choice, HoldOut, Origin, Pair, PairId, Prompt, PromptKey, SplitRule},
    engine::protocol::{DrawnPair, Event, Request, RequestId, Weights},
    state::{
        Screen,
        answers::Tab,
        ask::{AnswerSource, Guest},
        duel::{Duel, DuelPrompts},
    },
    store::Project,
};

use crate::stage::Stage;

const NAMES: [&str; 2] = ["base model", "Lighthouse 2"];
const PROMPTS: usize = 9;

/// The screen with a guest against the base model, and prompts of one's own.
fn form(stage: &mut Stage) {
    let views = stage.harness.state_mut().views_mut();
    views.screen = Screen::Answers;
    views.answers.tab = Tab::Duel;
    views.answers.ask.guest =
        Some(Guest { name: NAMES[1].to_owned(), folder: "/models/lighthouse".into(), adapter: None });
    views.answers.duel.sides = [AnswerSource::Base, AnswerSource::Guest];
    views.answers.duel.of = DuelPrompts::Typed;
    let prompts: Vec<String> = (0..PROMPTS).map(|n| format!("When is high water at pier {n}?")).collect();
    views.answers.duel.typed = prompts.join("\n");
    stage.harness.run();
}

/// Presses the button; the requests that come of it, and the prompts.
fn begin(stage: &mut Stage) -> ([RequestId; 2], Vec<Prompt>) {
    stage.click("Begin");
    let mut asked = Vec::new();
    for name in NAMES {
        let request = stage.requests.try_recv().unwrap();
        let Request::Draw { request, source: Weights::Model { .. }, name: whose, prompts, asked: how, .. } = request
        else {
            panic!("{request:?}");
        };
        assert_eq!((whose.as_str(), how.answers), (name, 1));
        asked.push((request, prompts.to_vec()));
    }
    ([asked[0].0, asked[1].0], asked.remove(0).1)
}

fn drawn(request: RequestId, prompt: &Prompt, text: String, whose: &str) -> Event {
    let mut pair = Pair::new(PairId::NEW, prompt.clone(), &[]);
    pair.answers = vec![Answer::new(text, Origin::Model(whose.to_owned()))];
    Event::Drawn { request, drawn: DrawnPair::Pair { pair: Box::new(pair), pilaf: false, again: false } }
}

/// Both answer all prompts; the guest's answers name the pier.
fn answer(stage: &mut Stage, requests: [RequestId; 2], prompts: &[Prompt]) {
    for (side, request) in requests.into_iter().enumerate() {
        let texts = prompts.iter().enumerate().map(|(n, prompt)| {
            let text =
                if side == 0 { format!("At {n}.") } else { format!("High water at pier {n} is at six, sailor.") };
            drawn(request, prompt, text, NAMES[side])
        });
        stage.say(texts.chain([Event::AllDrawn { request }]).collect::<Vec<_>>());
    }
}

/// The side on which the guest's answer stands.
fn guests_key(stage: &Stage) -> Key {
    let duel = stage.harness.state().workspace().answers.duel.as_ref().unwrap();
    let left = &duel.shown().unwrap().answers[0].text;
    if left.contains("sailor") { Key::Num1 } else { Key::Num2 }
}

#[test]
fn verdicts_by_key_tell_who_is_better_and_become_pairs() {
    let mut stage = Stage::new();
    form(&mut stage);
    let (requests, prompts) = begin(&mut stage);
    assert_eq!(prompts.len(), PROMPTS);
    assert!(stage.says("The next two answers are being written"));
    answer(&mut stage, requests, &prompts);
    for name in NAMES {
        assert!(!stage.says(name), "whose answers they are is not told: {name}");
    }
    for n in 0..PROMPTS {
        let key = if n == 0 { Key::T } else { guests_key(&stage) };
        stage.harness.key_press(key);
        stage.harness.run();
        if n == 3 {
            stage.harness.key_press(Key::U);
            stage.harness.run();
            let key = guests_key(&stage);
            stage.harness.key_press(key);
            stage.harness.run();
        }
    }
    assert!(stage.says("Lighthouse 2 won 8 of 8 against base model"));
    assert!(stage.says("That is enough: the answers of Lighthouse 2 are preferred"));
    assert!(stage.says("Besides: 1 tie"));

    stage.click("Keep as pairs");
    stage.until("they are saved", |app| app.workspace().answers.duel.as_ref().is_some_and(Duel::is_kept));
    let project = Project::open(&stage.dir).unwrap();
    let pairs = project.pairs_at(project.revision().unwrap()).unwrap();
    let of_duel: Vec<&Pair> = pairs.iter().filter(|pair| pair.tags == ["duel"]).collect();
    assert_eq!(of_duel.len(), PROMPTS);
    let won = of_duel.iter().filter(|pair| matches!(pair.choice(), Some(Choice::Better { chosen: 1, .. }))).count();
    assert_eq!(won, 8, "the guest's answer is the second of each pair");
    assert_eq!(of_duel[0].answers[1].origin, Origin::Model(NAMES[1].to_owned()));
    let undo = stage.harness.state().workspace().pairs.undo.clone();
    assert!(undo.is_some_and(|label| format!("{label:?}").contains("9 pairs from a blind duel")));
    stage.click("Another duel");
    assert!(stage.says("Who answers"));
}

#[test]
fn a_duel_says_why_it_cannot_begin_and_ends_with_what_failed() {
    let mut stage = Stage::new();
    form(&mut stage);
    stage.harness.state_mut().views_mut().answers.duel.sides = [AnswerSource::Base; 2];
    stage.harness.run();
    assert!(stage.says("Choose two different sets of weights"));
    stage.harness.state_mut().views_mut().answers.duel.typed.clear();
    stage.harness.state_mut().views_mut().answers.duel.sides = [AnswerSource::Base, AnswerSource::Guest];
    stage.harness.run();
    assert!(stage.says("Write a prompt first"));

    form(&mut stage);
    let (requests, prompts) = begin(&mut stage);
    let control = std::sync::Arc::clone(&stage.harness.state().workspace().answers.duel.as_ref().unwrap().control);
    stage.say([
        drawn(requests[0], &prompts[0], "At six.".to_owned(), NAMES[0]),
        Event::AllDrawn { request: requests[0] },
        Event::Failed { request: requests[1], error: "There is no model in /models/lighthouse".to_owned() },
    ]);
    assert!(stage.says("Lighthouse 2 could not answer: There is no model in /models/lighthouse"));
    stage.click("Another duel");
    assert!(control.stopping(), "nobody waits for more answers");
}

#[test]
fn held_out_prompts_are_read_from_the_project() {
    let mut stage = Stage::new();
    form(&mut stage);
    stage.harness.state_mut().views_mut().answers.duel.of = DuelPrompts::HeldOut;
    stage.harness.run();
    stage.click("Begin");
    let rule = {
        let config = &stage.harness.state().workspace().project.as_ref().unwrap().config;
        SplitRule { eval_fraction: config.data.eval_fraction, seed: config.data.seed }
    };
    let project = Project::open(&stage.dir).unwrap();
    let pairs = project.pairs_at(project.revision().unwrap()).unwrap();
    let hold_out = HoldOut::of(rule, &pairs);
    let held_out = pairs.iter().filter(|pair| hold_out.holds_out(PromptKey::of(&pair.prompt))).count();
    assert!(held_out > 0, "the pairs of the stage are such that some are held out");
    stage.until("it has begun", |app| app.workspace().answers.duel.is_some());
    let Ok(Request::Draw { prompts, .. }) = stage.requests.try_recv() else { panic!("answers are asked for") };
    assert_eq!(prompts.len(), held_out);
}

#[test]
fn pictures() {
    let mut results = SnapshotResults::new();
    for (theme, question, result) in
        [(Theme::Light, "duel_light", "duel_result_light"), (Theme::Dark, "duel_dark_small", "duel_result_dark_small")]
    {
        let size = if theme == Theme::Light { [1280.0, 800.0] } else { [900.0, 600.0] };
        let mut stage = Stage::with(theme, size, |_| {});
        form(&mut stage);
        let (requests, prompts) = begin(&mut stage);
        answer(&mut stage, requests, &prompts);
        stage.harness.key_press(Key::Num1);
        stage.harness.run();
        stage.assert_no_id_clash();
        stage.picture(question, &mut results);
        for _ in 1..PROMPTS {
            let key = guests_key(&stage);
            stage.harness.key_press(key);
            stage.harness.run();
        }
        stage.assert_no_id_clash();
        stage.picture(result, &mut results);
    }
}
