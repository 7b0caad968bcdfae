//! Reference answers and retention text on the Pairs screen: written by the model, read, edited, pinned, dropped, and
//! what of the pairs' topics they speak for.

use std::{fs, sync::Arc};

use egui::{Key, Modifiers, Theme, accesskit::Role};
use egui_kittest::{SnapshotResults, kittest::Queryable as _};
use nudge::{
    data::{Answer, Origin, Pair, PairId, Prompt, ReferenceAnswer},
    engine::protocol::{DrawnPair, Event, Request},
    state::{Screen, pairs::Strip},
    store::Project,
};

use crate::{stage::Stage, window::Dropped};

fn answer(prompt: &str, text: &str) -> ReferenceAnswer {
    ReferenceAnswer::new(Prompt::Text(prompt.to_owned()), text)
}

fn stage(theme: Theme, size: [f32; 2]) -> Stage {
    let mut stage = Stage::with(theme, size, |project| {
        project
            .set_references(&[
                answer("Name a tree that grows by the sea", "The stone pine does."),
                answer("Who was the first to cross the bar?", "Nobody wrote that down."),
                answer("How deep is the harbour?", "Four fathoms at high water."),
            ])
            .unwrap();
        project.set_retention(&["The bar is dry at low water. Boats wait.".to_owned()]).unwrap();
    });
    stage.harness.state_mut().views_mut().screen = Screen::Pairs;
    stage.harness.run();
    stage.key(Key::R);
    stage.until("they are read", |app| app.workspace().pairs.references.known.is_some());
    stage
}

fn stored(stage: &Stage) -> Vec<ReferenceAnswer> {
    Project::open(&stage.dir).unwrap().references().unwrap()
}

fn saved(stage: &mut Stage) {
    stage.until("it is saved and read again", |app| {
        let pairs = &app.workspace().pairs;
        app.workspace().saving.under_way == 0 && pairs.references.is_settled(pairs.revision)
    });
    stage.harness.run();
}

#[test]
fn they_are_read_edited_pinned_dropped_and_put_back() {
    let mut stage = stage(Theme::Light, [1280.0, 800.0]);
    assert!(stage.says("3 reference answers") && stage.says("The stone pine does."));
    stage.harness.get_by_role_and_label(Role::MultilineTextInput, "Reference answer").focus();
    stage.harness.run();
    stage.harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    stage.harness.run();
    stage.harness.event(egui::Event::Text("The tamarisk does.".to_owned()));
    stage.harness.run();
    stage.click("Pin");
    saved(&mut stage);
    assert_eq!(stored(&stage)[0].answer, "The tamarisk does.", "what was typed is saved with it");
    assert!(stored(&stage)[0].pinned && stage.says("Pinned"));
    stage.click("Drop");
    saved(&mut stage);
    assert_eq!(stored(&stage).len(), 2);
    stage.click("Put back “Name a tree that grows by the sea”");
    saved(&mut stage);
    let back = stored(&stage).pop().unwrap();
    assert!(back.pinned && back.answer == "The tamarisk does.");
    stage.key(Key::R);
    assert!(!stage.harness.state().views().pairs.references.open);
    assert!(stage.says("Reference answers"), "the way back to them");
}

#[test]
fn keys_act_on_what_is_shown_and_never_on_the_pairs_behind_it() {
    let mut stage = stage(Theme::Light, [1280.0, 800.0]);
    let selected = |stage: &Stage| stage.harness.state().views().pairs.references.selected;
    let prompts = |stage: &Stage| -> Vec<String> {
        stored(stage).iter().map(|answer| answer.prompt.last_text().to_owned()).collect()
    };
    let pairs = Project::open(&stage.dir).unwrap().revision().unwrap();
    stage.key(Key::ArrowDown);
    stage.key(Key::J);
    assert_eq!(selected(&stage), 2);
    stage.key(Key::End);
    stage.key(Key::K);
    assert_eq!(selected(&stage), 1);
    stage.key(Key::P);
    saved(&mut stage);
    assert!(stored(&stage)[1].pinned);
    stage.key(Key::Delete);
    saved(&mut stage);
    assert_eq!(prompts(&stage), ["Name a tree that grows by the sea", "How deep is the harbour?"]);
    stage.keys(Modifiers::COMMAND, Key::Z);
    saved(&mut stage);
    assert_eq!(prompts(&stage)[1], "Who was the first to cross the bar?", "back in its place");
    stage.keys(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
    saved(&mut stage);
    assert_eq!(stored(&stage).len(), 2);
    stage.keys(Modifiers::COMMAND, Key::Z);
    saved(&mut stage);
    stage.key(Key::Delete);
    saved(&mut stage);
    assert_eq!(stored(&stage).len(), 2);
    stage.key(Key::U);
    saved(&mut stage);
    assert_eq!(prompts(&stage)[2], "Who was the first to cross the bar?");
    // The caret goes into the answer, and what is typed there is one step.
    stage.key(Key::Home);
    stage.key(Key::E);
    stage.keys(Modifiers::COMMAND, Key::A);
    stage.harness.event(egui::Event::Text("A tamarisk.".to_owned()));
    stage.harness.run();
    stage.key(Key::Escape);
    stage.key(Key::ArrowDown);
    saved(&mut stage);
    assert_eq!(stored(&stage)[0].answer, "A tamarisk.");
    assert!(stage.harness.state().views().pairs.references.open, "Escape has left the field and nothing else");
    stage.keys(Modifiers::COMMAND, Key::Z);
    saved(&mut stage);
    assert_eq!(stored(&stage)[0].answer, "The stone pine does.");

    stage.key(Key::T);
    assert!(stage.says("Text 1"));
    let texts = |stage: &Stage| Project::open(&stage.dir).unwrap().retention().unwrap();
    stage.key(Key::Delete);
    saved(&mut stage);
    assert_eq!(texts(&stage), [""; 0]);
    stage.keys(Modifiers::COMMAND, Key::Z);
    saved(&mut stage);
    assert_eq!(texts(&stage), ["The bar is dry at low water. Boats wait."]);

    stage.key(Key::Questionmark);
    assert!(stage.says("Drop the answer or text") && !stage.says("Delete the pair"));
    stage.key(Key::Escape);
    // F flips and G scores pairs, where these are seen.
    for key in [Key::F, Key::G, Key::L, Key::D] {
        stage.key(key);
    }
    let project = Project::open(&stage.dir).unwrap();
    assert_eq!((project.revision().unwrap(), project.counts().unwrap().total()), (pairs, 12));
    stage.key(Key::R);
    assert!(!stage.harness.state().views().pairs.references.open);
}

#[test]
fn prompts_of_a_file_for_reference_answers_wait_for_no_pairs() {
    let mut stage = stage(Theme::Light, [1280.0, 800.0]);
    let waiting = |stage: &Stage| Project::open(&stage.dir).unwrap().waiting_prompts().unwrap();
    stage.key(Key::R);
    let file = stage.dir.with_file_name("more.txt");
    fs::write(&file, "What is a tide table?\nWho mends nets?\n").unwrap();
    stage.key(Key::M);
    let drop = |stage: &mut Stage| {
        stage.harness.input_mut().dropped_files.push(Arc::new(Dropped(file.clone())));
        stage.harness.run();
    };
    // For pairs they are kept in the project.
    drop(&mut stage);
    stage.until("they wait", |app| app.workspace().pairs.waiting.len() == 2);
    assert!(stage.says("and 2 prompts that wait ×") && waiting(&stage).len() == 2);
    stage.click("and 2 prompts that wait ×");
    stage.until("none waits", |app| app.workspace().pairs.waiting.is_empty());
    // For reference answers they are not, and those that wait for pairs are no reference answers.
    stage.click("As reference answers");
    drop(&mut stage);
    stage.until("they are in the strip", |app| app.views().pairs.candidates.given.len() == 2);
    assert!(stage.says("and 2 prompts of a file ×") && waiting(&stage).is_empty());
    stage.click("Answer 2 prompts");
    let Ok(Request::Draw { prompts, asked, .. }) = stage.requests.try_recv() else { panic!("nothing was asked") };
    assert_eq!((prompts.len(), asked.answers), (2, 1));
    assert!(waiting(&stage).is_empty() && stage.harness.state().workspace().pairs.waiting.is_empty());
}

#[test]
fn one_click_has_everyday_prompts_answered_and_pinned_answers_stay() {
    let mut stage = stage(Theme::Light, [1280.0, 800.0]);
    let mut all = stored(&stage);
    all[0].prompt = Prompt::chat(vec![nudge::data::Turn::new(nudge::data::Role::User, "Why is the sky blue?")]);
    all[0].pinned = true;
    Project::open(&stage.dir).unwrap().set_references(&all).unwrap();
    stage.click("Everyday prompts");
    let Ok(Request::Draw { request, prompts, asked, .. }) = stage.requests.try_recv() else {
        panic!("nothing was asked")
    };
    assert_eq!((prompts.len(), asked.answers), (40, 1));
    assert!(!stage.harness.state().views().pairs.candidates.references, "what is asked next is for pairs again");
    let drawn = |prompt: &Prompt| {
        let mut pair = Pair::new(PairId::NEW, prompt.clone(), &[]);
        pair.answers = vec![Answer::new("Because.", Origin::Model("start model".to_owned()))];
        Event::Drawn { request, drawn: DrawnPair::Pair { pair: Box::new(pair), pilaf: false, again: false } }
    };
    stage.say([drawn(&prompts[0]), drawn(&prompts[1]), Event::AllDrawn { request }]);
    saved(&mut stage);
    let texts: Vec<String> = stored(&stage).into_iter().map(|one| one.answer).collect();
    assert_eq!(texts.len(), 4);
    assert!(texts.contains(&"The stone pine does.".to_owned()), "pinned");
    assert!(stage.says("4 reference answers"));
}

#[test]
fn retention_text_is_put_in_suggests_prompts_and_goes() {
    let mut stage = stage(Theme::Light, [1280.0, 800.0]);
    stage.click("1 retention text");
    assert!(stage.says("The bar is dry at low water. Boats wait."));
    stage.harness.state_mut().views_mut().pairs.references.text = "When does it rain?\n\nSecond passage.".to_owned();
    stage.harness.run();
    stage.click("Add text");
    saved(&mut stage);
    let texts = |stage: &Stage| Project::open(&stage.dir).unwrap().retention().unwrap();
    assert_eq!(texts(&stage).len(), 3);
    stage.click("Drop");
    saved(&mut stage);
    assert_eq!(texts(&stage), ["When does it rain?", "Second passage."]);
    stage.click("From retention text");
    let view = &stage.harness.state().views().pairs;
    assert_eq!(view.strip, Strip::Sample);
    assert!(view.candidates.references);
    assert_eq!(view.candidates.reference_prompts, "When does it rain?\nGo on from here: Second passage.");
}

#[test]
fn a_list_of_prompts_waits_to_be_answered() {
    let mut stage = Stage::new();
    stage.harness.state_mut().views_mut().screen = Screen::Pairs;
    let file = stage.dir.join("prompts.txt");
    std::fs::write(&file, "How high is the tide?\n{\"prompt\": \"Once\"}\n\nWho {rows|sails}?\n").unwrap();
    stage.harness.state_mut().views_mut().pairs.path = file.display().to_string();
    stage.harness.state_mut().views_mut().pairs.strip = Strip::Import;
    stage.harness.run();
    stage.click("Import file");
    stage.until("they are taken", |app| app.workspace().pairs.waiting.len() == 4);
    assert!(stage.says("and 4 prompts that wait"));
    stage.click("Answer 4 prompts");
    assert!(matches!(stage.requests.try_recv(), Ok(Request::Draw { prompts, .. }) if prompts.len() == 4));
}

#[test]
fn they_look_as_they_did() {
    let mut results = SnapshotResults::new();
    for (name, theme, size) in
        [("references_light", Theme::Light, [1280.0, 800.0]), ("references_dark_small", Theme::Dark, [900.0, 600.0])]
    {
        let mut stage = stage(theme, size);
        stage.picture(name, &mut results);
    }
    let mut stage = stage(Theme::Light, [900.0, 600.0]);
    stage.click("From retention text");
    stage.picture("sample_references_small", &mut results);
}
