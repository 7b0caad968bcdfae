//! The launch sheet as a person uses it: questions, presets, methods that are compared, what keeps a run from starting.

use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use nudge::{
    data::{
        Change, Edit,
        config::{Method, RunConfig},
    },
    engine::protocol::{Event, Outcome, Request},
    store::{PairQuery, Project},
};

use crate::{
    runs_window::start,
    stage::{Stage, past_run},
};

#[test]
fn simple_answers_and_the_settings_below_are_the_same_thing() {
    let mut stage = Stage::new();
    stage.click("All settings");
    assert!(stage.says("passes over"), "the line that says what it comes to");
    stage.click("Very much");
    let text = |stage: &Stage, label: &str| {
        let field = stage.harness.get_by_role_and_label(Role::TextInput, label);
        field.accesskit_node().value().unwrap_or_default()
    };
    assert_eq!(text(&stage, "λ ref"), "1");
    stage.enter("λ ref", "0.7");
    assert!(stage.says("as “All settings” has it"));
    stage.click("Careful");
    assert_eq!(text(&stage, "λ ref"), "1", "a preset writes the same field");
    assert!(!stage.says("as “All settings” has it"));
    let run = start(&mut stage);
    let record = Project::open(&stage.dir).unwrap().run(run).unwrap();
    assert!(record.config_toml.contains("reference_weight = 1"), "{}", record.config_toml);
}

#[test]
fn one_press_compares_the_methods() {
    let mut stage = Stage::new();
    stage.click("Compare the methods");
    let requests = stage.requests.clone();
    stage.until("three runs are asked for", move |_| requests.len() == 3);
    let runs = Project::open(&stage.dir).unwrap().runs().unwrap();
    let methods: Vec<&str> = runs.iter().map(|run| run.method.split(' ').next().unwrap()).collect();
    assert_eq!(methods, ["MPO", "DPO", "IPO"]);
    // The one that goes is watched, and the project keeps the sheet, not the last of the methods.
    let shown = |stage: &Stage| {
        let app = stage.harness.state();
        app.workspace().runs.shown(app.views().train.shown)
    };
    assert_eq!(shown(&stage), Some(runs[0].id));
    stage.say([Event::Finished { run: runs[0].id, outcome: Outcome::Completed }]);
    assert_eq!(shown(&stage), Some(runs[1].id));
    let kept = RunConfig::from_toml(&Project::open(&stage.dir).unwrap().settings().unwrap().run_toml).unwrap();
    assert_eq!((kept.objective.kind, kept.train.shuffle_seed), (Method::Mpo, RunConfig::default().train.shuffle_seed));
}

#[test]
fn methods_take_what_the_project_has_set_as_on_the_command_line() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let run_toml = "[objective]\nmargin = \"anchored-sum\"\n[train]\nsteps = 300\n".to_owned();
        let settings = project.settings().unwrap();
        project.set_settings(&nudge::store::ProjectSettings { run_toml, ..settings }).unwrap();
    });
    assert!(!stage.says("as “All settings” has it"), "the project's own length is one of the answers");
    stage.click("Briefly");
    stage.click("Compare the methods");
    let requests = stage.requests.clone();
    stage.until("three runs are asked for", move |_| requests.len() == 3);
    let project = Project::open(&stage.dir).unwrap();
    let runs = project.runs().unwrap();
    let methods: Vec<&str> = runs.iter().map(|run| run.method.as_str()).collect();
    assert_eq!(methods, ["MPO anchored-sum", "DPO anchored-sum", "IPO sum (paper)"]);
    assert!(runs.iter().all(|run| run.config_toml.contains("steps = 75")), "{}", runs[0].config_toml);
    // What was usual before stays so.
    let usual = project.setting(nudge::state::simple::USUAL).unwrap().unwrap();
    assert!(usual.contains("steps = 300") && project.settings().unwrap().run_toml.contains("steps = 75"));
}

#[test]
fn nothing_starts_where_there_is_nothing_to_learn_and_the_sheet_says_so() {
    let mut stage = Stage::with(egui::Theme::Light, [900.0, 600.0], |project| {
        let pairs = project.query(&PairQuery::default()).unwrap();
        let gone =
            pairs.into_iter().map(|pair| Edit { before: Some(project.pair(pair).unwrap().unwrap()), after: None });
        let change = Change::new("Delete", gone.collect());
        project.apply(&change).unwrap();
    });
    assert!(stage.says("There are no pairs yet: in Pairs they come from a file"));
    stage.click("Start run");
    stage.click("Compare the methods");
    assert!(stage.requests.is_empty());
}

#[test]
fn the_reason_of_a_check_is_said_where_one_starts() {
    let mut stage = Stage::with(egui::Theme::Light, [900.0, 600.0], |_| {});
    stage.click("Check first");
    let Ok(Request::Preflight { request, .. }) = stage.requests.try_recv() else {
        panic!("no check was asked for");
    };
    stage.say([Event::Failed { request, error: "The model's folder is gone".to_owned() }]);
    let said: Vec<_> =
        stage.harness.get_all_by_label("The model's folder is gone").map(|node| node.rect().bottom()).collect();
    assert!(said.iter().any(|bottom| (500.0..600.0).contains(bottom)), "beside the button: {said:?}");
    stage.click("Start run");
    assert!(stage.requests.is_empty());
}

#[test]
fn methods_that_learn_from_scores_say_what_they_need_and_run_behind_it() {
    let mut stage = Stage::new();
    stage.click("Compare PPO");
    assert!(stage.says("PPO needs a reward model, and there is none yet; choose “Reward model” too"));
    stage.click("Compare the methods");
    assert!(stage.requests.is_empty(), "nothing starts that could not go on");
    for method in ["Compare DPO", "Compare IPO", "Compare DPO, all rejected", "Compare Reward model"] {
        stage.click(method);
    }
    assert!(!stage.says("PPO needs a reward model"));
    stage.click("Compare the methods");
    let requests = stage.requests.clone();
    stage.until("four runs are asked for", move |_| requests.len() == 4);
    let runs = Project::open(&stage.dir).unwrap().runs().unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    assert_eq!(names, ["MPO anchored-sum 1", "DPO, all rejected 2", "Reward model 3", "PPO 4"]);
    assert!(runs[1].config_toml.contains("negatives = \"all\""), "{}", runs[1].config_toml);
}

#[test]
fn the_settings_of_an_earlier_run_can_be_taken_over() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        past_run(project, Method::Ipo, 0.1, 30.0);
    });
    stage.click("Settings of an earlier run");
    let name = stage.harness.state().workspace().runs.records[0].name.clone();
    stage.click(&name);
    let launch = &stage.harness.state().views().train.launch;
    assert_eq!(launch.text("objective.kind"), "ipo");
}
