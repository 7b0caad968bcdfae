//! Pairs from a model, in the window: asked for, saved as they come, stopped, and what had no pair.

use egui::{Key, Theme};
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Answer, Origin, Pair, PairId, Prompt},
    engine::protocol::{Candidates, DrawnPair, Event, Request, RequestId, Weights},
    state::{Screen, pairs::Strip},
};

use crate::stage::Stage;

const PROMPTS: &str = "When is high water?\nWhere is the pier?\nWhen is high water?";

fn drawn(request: RequestId, prompt: &Prompt, n: usize) -> Event {
    let mut pair = Pair::new(PairId::NEW, prompt.clone(), &[]);
    let origin = || Origin::Model("start model, temperature 1, top-p 1, seed 0".to_owned());
    pair.answers = ["At six", "At noon"].map(|text| Answer::new(format!("{text} ({n})."), origin())).into();
    Event::Drawn { request, drawn: DrawnPair::Pair { pair: Box::new(pair), pilaf: false, again: false } }
}

/// Opens the strip by its key, types the prompts and presses the button.
fn ask(stage: &mut Stage) -> (RequestId, Vec<Prompt>, Candidates) {
    stage.harness.state_mut().views_mut().screen = Screen::Pairs;
    stage.harness.run();
    stage.key(Key::M);
    assert_eq!(stage.harness.state().views().pairs.strip, Strip::Sample);
    PROMPTS.clone_into(stage.harness.state_mut().views_mut().pairs.candidates.typed_mut());
    stage.harness.run();
    stage.click("Answer 2 prompts");
    let request = stage.requests.try_recv().unwrap();
    let Request::Draw { request, source, name, prompts, asked, .. } = request else {
        panic!("{request:?}");
    };
    assert!(matches!(source, Weights::Model { adapter: None, .. }));
    assert_eq!(name, "start model");
    (request, prompts.to_vec(), asked)
}

#[test]
fn answers_become_pairs_to_label_as_they_come() {
    let mut stage = Stage::new();
    let (request, prompts, asked) = ask(&mut stage);
    assert_eq!((prompts.len(), asked.answers), (2, 2), "each prompt once");
    assert!(stage.says("Writing answers: 0 of 2 prompts"));

    let refused = Event::Drawn { request, drawn: DrawnPair::None("no room for an answer".to_owned()) };
    stage.say([drawn(request, &prompts[0], 0), refused, Event::AllDrawn { request }]);
    stage.until("the pair is saved", |app| app.workspace().pairs.counts.total() == 13);
    assert!(stage.says("1 new pair to label"));
    assert!(stage.says("no room for an answer: “Where is the pier?”"));
    let project = nudge::store::Project::open(&stage.dir).unwrap();
    let newest = project.pairs_at(project.revision().unwrap()).unwrap().pop().unwrap();
    assert_eq!((newest.prompt, newest.verdict), (prompts[0].clone(), None));
    assert_eq!(newest.answers[1].text, "At noon (0).");
    stage.click("Label them");
    stage.until("labelling has begun", |app| app.views().pairs.labelling.is_some());
    let labelling = &stage.harness.state().views().pairs.labelling;
    assert_eq!(labelling.as_ref().unwrap().session.current(), Some(newest.id), "the newest first");
    stage.key(Key::Escape);
    stage.click("Close");
    assert!(!stage.says("1 new pair to label"));
    // Asked again the seed is another one.
    let (_, _, again) = ask(&mut stage);
    assert_eq!(again.options.seed, asked.options.seed + 1);
}

#[test]
fn it_can_be_stopped_and_the_prompts_of_the_pairs_can_be_asked() {
    let mut stage = Stage::new();
    ask(&mut stage);
    stage.click("Stop writing");
    let drawing = stage.harness.state().workspace().pairs.candidates.clone().unwrap();
    assert!(drawing.control.stopping());
    stage.say([Event::AllDrawn { request: drawing.request }]);
    assert!(stage.says("Stopped after 0 of 2 prompts"));
    assert!(!stage.says("Label them"), "no pair came of it");
    stage.click("Close");

    stage.key(Key::M);
    stage.click("Those of the pairs");
    stage.click("Write answers");
    stage.until("the prompts are read", |app| app.workspace().pairs.candidates.is_some());
    let Request::Draw { prompts, .. } = stage.requests.try_recv().unwrap() else {
        panic!("answers are asked for");
    };
    assert_eq!(prompts.len(), 12);
}

#[test]
fn reference_answers_are_the_start_models_and_take_the_place_of_earlier_ones() {
    let mut stage = Stage::new();
    stage.harness.state_mut().views_mut().pairs.candidates.references = true;
    let (request, prompts, asked) = ask(&mut stage);
    assert_eq!((asked.answers, asked.pilaf), (1, None));
    let told =
        |request, n| [drawn(request, &prompts[0], n), drawn(request, &prompts[1], n), Event::AllDrawn { request }];
    stage.say(told(request, 0));
    assert!(stage.says("2 reference answers for the KL term of the next run"));
    let dir = stage.dir.clone();
    let references = || nudge::store::Project::open(&dir).unwrap().references().unwrap();
    stage.until("they are saved", |_| !references().is_empty());
    assert_eq!(stage.harness.state().workspace().pairs.counts.total(), 12, "no pair came of it");
    stage.click("Close");
    let (request, ..) = ask(&mut stage);
    stage.say(told(request, 1));
    let texts = || -> Vec<String> { references().into_iter().map(|one| one.answer).collect() };
    stage.until("they take the place of the others", |_| texts() == ["At six (1).", "At six (1)."]);
}

#[test]
fn pictures() {
    let mut results = SnapshotResults::new();
    for (name, theme) in [("drawing_light", Theme::Light), ("drawing_dark", Theme::Dark)] {
        let mut stage = Stage::with(theme, [900.0, 600.0], |_| {});
        let (request, prompts, _) = ask(&mut stage);
        stage.say([drawn(request, &prompts[0], 0)]);
        stage.key(Key::M);
        stage.assert_no_id_clash();
        stage.picture(name, &mut results);
    }
}
