//! The Answers screen as a user meets it: answers by step, asking two models, preferring one.

use std::path::Path;

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::SnapshotResults;
use nudge::{
    data::{Change, Choice, Edit, Origin, Pair, PairId, Prompt},
    engine::protocol::{Event, Generated, Request, StoppedBy, Weights},
    state::{Screen, answers::Tab},
    store::{NewRun, Probe, Project, ProjectSettings, Revision, RunId, RunStatus, Sample, SeedAnswer},
};

use crate::window::Window;

/// An answer to a probe, and those that seeds have drawn.
fn said(prompt: &Prompt, answer: &str, drawn: &[&str]) -> Sample {
    let drawn = drawn.iter().map(|answer| SeedAnswer { answer: (*answer).to_owned(), ended: true });
    Sample { prompt: prompt.clone(), answer: answer.to_owned(), tokens: 3, ended: true, drawn: drawn.collect() }
}

/// A project with one finished run that answered two probes at steps 0 and 20.
fn project(dir: &Path) -> RunId {
    let settings =
        ProjectSettings { name: "Islands".to_owned(), model: "models/none".into(), ..ProjectSettings::default() };
    let mut project = Project::create(dir, &settings).unwrap();
    let pair = Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &["a", "b"]);
    project.apply(&Change::new("Add", vec![Edit::add(pair)])).unwrap();
    let prompts = ["When does the ferry leave?", "Where is the inn?"];
    let probes: Vec<Probe> = prompts
        .iter()
        .map(|prompt| Probe { prompt: Prompt::Text((*prompt).to_owned()), note: "asked for".to_owned(), stays: false })
        .collect();
    project.set_probes(&probes).unwrap();
    let run = project
        .create_run(&NewRun {
            name: "First run".to_owned(),
            method: "MPO anchored-sum".to_owned(),
            revision: Revision(1),
            ..NewRun::default()
        })
        .unwrap();
    for (step, answers) in [(0, ["At nine.", "By the pump."]), (20, ["Gladly, at nine.", "By the pump."])] {
        for (probe, answer) in answers.iter().enumerate() {
            let drawn = ["Nine, I think.", if step == 0 { "At ten." } else { "Gladly, at ten." }];
            let sample = said(&probes[probe].prompt, answer, if probe == 0 { &drawn } else { &[] });
            project.append_sample(run, step, probe, &sample).unwrap();
        }
    }
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
    // Only its name is looked at here.
    std::fs::create_dir_all(project.run(run).unwrap().checkpoints[0].join("step-000020")).unwrap();
    run
}

#[test]
fn answers_are_compared_with_those_before_training_and_follow_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Answers);
    window.until("the answers are read", |app| app.workspace().answers.grid(run).is_some_and(|grid| !grid.is_empty()));
    window.harness.step();
    window.assert_shows("When does the ferry leave?");
    window.assert_shows("Gladly, at nine.");
    window.assert_shows("1 of 2 answers differs from step 0");
    let sample = said(&Prompt::Text("Where is the inn?".to_owned()), "Over the hill.", &[]);
    window.events.send(Event::Sampled { run, step: 40, probe: 1, sample }).unwrap();
    window.until("the new answer is there", |app| app.workspace().answers.grid(run).unwrap().steps() == [0, 20, 40]);
    window.harness.step();
    window.assert_shows("Step 40");
    window.assert_shows("Over the hill.");
    let mut results = SnapshotResults::new();
    window.picture("answers_probes", &mut results);
    // Without those that seeds have drawn, by a key.
    window.assert_shows("Nine, I think.");
    window.keys(Modifiers::NONE, Key::G);
    window.harness.step();
    assert!(!window.shows("Nine, I think.") && window.shows("Gladly, at nine."));
}

#[test]
fn the_answers_of_two_runs_stand_beside_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let first = project(dir.path());
    let second = {
        let mut project = Project::open(dir.path()).unwrap();
        let new = NewRun {
            name: "Second run".to_owned(),
            method: "DPO anchored-sum".to_owned(),
            revision: Revision(1),
            ..NewRun::default()
        };
        let run = project.create_run(&new).unwrap();
        let prompts: Vec<Prompt> = project.probes().unwrap().into_iter().map(|probe| probe.prompt).collect();
        for (step, answers) in [(0, ["At nine.", "By the pump."]), (20, ["At nine.", "Kindly look by the pump."])] {
            for (probe, answer) in answers.iter().enumerate() {
                let sample = said(&prompts[probe], answer, &[]);
                project.append_sample(run, step, probe, &sample).unwrap();
            }
        }
        project.set_run_status(run, RunStatus::Completed, None).unwrap();
        run
    };
    let mut window = Window::open(dir.path(), Screen::Answers);
    window.keys(Modifiers::NONE, Key::B);
    window.until("the answers of both are read", move |app| {
        [first, second].iter().all(|run| app.workspace().answers.grid(*run).is_some_and(|grid| !grid.is_empty()))
    });
    window.harness.step();
    for text in ["Second run, step 20", "First run, step 20", "Gladly, at nine.", "Kindly look by the pump."] {
        window.assert_shows(text);
    }
    let mut results = SnapshotResults::new();
    window.picture("answers_beside", &mut results);
    window.keys(Modifiers::NONE, Key::B);
    window.harness.step();
    window.assert_shows("1 of 2 answers differs from step 0");
}

#[test]
fn a_talk_goes_on_with_what_each_side_said() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Answers);
    let view = &mut window.harness.state_mut().views_mut().answers;
    (view.tab, view.ask.talk) = (Tab::Ask, true);
    window.harness.step();
    let said = |window: &mut Window, words: &str, answers: [&str; 2]| -> Vec<Prompt> {
        window.focus(Role::MultilineTextInput, "Turn 1");
        window.type_text(words);
        window.keys(Modifiers::COMMAND, Key::Enter);
        window.until("the engine is asked", |_| true);
        let mut prompts = Vec::new();
        for text in answers {
            let Ok(Request::Generate { request, prompt, .. }) = window.requests.try_recv() else {
                panic!("nothing was asked");
            };
            prompts.push(prompt);
            window.events.send(Event::Generated { request, answer: generated(text, StoppedBy::Eos) }).unwrap();
        }
        window.until("both have answered", |app| !app.views().answers.ask.busy());
        window.harness.step();
        prompts
    };
    let first = said(&mut window, "When?", ["At nine.", "Gladly, at nine."]);
    assert_eq!(first[0], first[1]);
    let second = said(&mut window, "Sure?", ["Quite.", "Most certainly."]);
    let words = |prompt: &Prompt| match prompt {
        Prompt::Chat(chat) => chat.turns.iter().map(|turn| turn.content.clone()).collect::<Vec<String>>(),
        Prompt::Text(text) => vec![text.clone()],
    };
    assert_eq!(words(&second[0]), ["When?", "At nine.", "Sure?"]);
    assert_eq!(words(&second[1]), ["When?", "Gladly, at nine.", "Sure?"]);
    let mut results = SnapshotResults::new();
    window.picture("answers_talk", &mut results);
    window.click_button("New talk");
    window.harness.step();
    assert!(!window.harness.state().views().answers.ask.is_talking());
}

fn generated(text: &str, stopped_by: StoppedBy) -> Generated {
    Generated {
        prompt_ids: vec![1],
        ids: vec![2, 3, 4],
        text: text.to_owned(),
        stopped_by,
        passed_over: Vec::new(),
        tokens_per_sec: 50.0,
        prompt_tokens_per_sec: 100.0,
    }
}

#[test]
fn two_answers_stream_in_and_the_preferred_one_becomes_a_pair() {
    let dir = tempfile::tempdir().unwrap();
    let run = project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Answers);
    window.harness.state_mut().views_mut().answers.tab = Tab::Ask;
    window.harness.step();
    window.focus(Role::MultilineTextInput, "Turn 1");
    window.type_text("When?");
    window.keys(Modifiers::COMMAND, Key::Enter);
    let mut requests = Vec::new();
    window.until("the engine is asked", |_| true);
    while let Ok(request) = window.requests.try_recv() {
        requests.push(request);
    }
    let asked: Vec<_> = requests
        .into_iter()
        .map(|request| match request {
            Request::Generate { request, source, options, control, .. } => (request, source, options, control),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].2, asked[1].2, "one seed, one temperature");
    let Weights::Model { folder, adapter } = &asked[0].1 else {
        panic!("{:?} is not the base model", asked[0].1);
    };
    assert!(folder.ends_with("models/none") && adapter.is_none());
    assert_eq!(asked[1].1, Weights::Run { project: dir.path().to_owned(), run, step: None });
    window.events.send(Event::Token { request: asked[1].0, text: "Gladly, ".to_owned() }).unwrap();
    window.until("the first token is there", |app| app.views().answers.ask.columns[1].text == "Gladly, ");
    window.harness.step();
    window.assert_shows("Gladly,");
    window.click_button("Stop");
    assert!(asked[0].3.stopping() && asked[1].3.stopping());
    for (index, text) in [(0, "At nine."), (1, "Gladly, at nine.")] {
        window
            .events
            .send(Event::Generated { request: asked[index].0, answer: generated(text, StoppedBy::Cancelled) })
            .unwrap();
    }
    window.until("both are done", |app| !app.views().answers.ask.busy());
    window.harness.step();
    window.assert_shows("3 tokens at 50 tokens/s, stopped by you");
    window.click_button("Prefer the right answer");
    window.until("the pair is saved", |app| app.views().answers.preferred.is_some());
    window.harness.step();
    window.assert_shows("Saved as pair 2");
    let mut results = SnapshotResults::new();
    window.picture("answers_ask", &mut results);
    drop(window);
    let pair = Project::open(dir.path()).unwrap().pair(PairId(2)).unwrap().unwrap();
    assert_eq!(pair.chosen().unwrap().text, "Gladly, at nine.");
    assert_eq!(pair.chosen().unwrap().origin, Origin::Model("First run at step 20".to_owned()));
    assert_eq!(pair.rejected().unwrap().origin, Origin::Model("base model".to_owned()));
    assert!(matches!(pair.choice(), Some(Choice::Better { .. })));
}

#[test]
fn probe_prompts_are_edited_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let mut window = Window::open(dir.path(), Screen::Answers);
    window.until("the probes are read", |app| app.workspace().answers.probes.is_some());
    window.harness.step();
    window.click_button("Edit prompts…");
    window.click_button("Remove prompt 1");
    window.click_button("Save prompts");
    drop(window);
    let probes = Project::open(dir.path()).unwrap().probes().unwrap();
    assert_eq!(probes.len(), 1);
    assert_eq!(probes[0].prompt, Prompt::Text("Where is the inn?".to_owned()));
}
