//! The launch sheet as a person uses it: questions, presets, methods that are compared, what keeps a run from starting.

use egui::{Key, Modifiers, accesskit::Role};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use nudge::{
    data::{
        Change, Edit,
        config::{Method, RunConfig},
    },
    engine::protocol::{Event, Outcome, Request},
    state::{guide::Guide, train::Sheet},
    store::{PairQuery, Project, RunId, RunStatus},
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
    stage.click("GRPO");
    stage.click("Fit one first");
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

/// The whole way to RLHF on a project that has no reward model: one press fits it, the next has the policy wait behind
/// it.
#[test]
fn a_reward_model_is_fitted_first_and_what_learns_from_it_waits_its_turn() {
    let mut stage = Stage::new();
    stage.harness.state_mut().views_mut().guide = Guide::default();
    stage.harness.run();
    stage.click("PPO");
    assert!(stage.says("PPO needs a reward model; fit one first"));
    stage.click("Start run");
    assert!(stage.requests.is_empty(), "there is nothing to learn from");
    stage.click("Briefly");
    let (reward, requests) = (press_and_take(&mut stage, "Fit one first"), stage.requests.clone());
    let views = stage.harness.state().views();
    assert_eq!((views.train.sheet, views.train.shown), (Sheet::Run, Some(reward)));
    assert_eq!(views.train.launch.text("objective.kind"), "ppo", "the sheet stays as it was");
    assert!(stage.says("PPO, RLOO or GRPO can be set up to learn from them"), "what is next is said");
    assert!(!stage.says("lay two runs over each other"));

    stage.click("Set up");
    assert!(!stage.says("Fit one first") && stage.says("the newest: Reward model 1"));
    let policy = press_and_take(&mut stage, "Start run");
    assert!(requests.is_empty());
    let project = Project::open(&stage.dir).unwrap();
    let config = |run| RunConfig::from_toml(&project.run(run).unwrap().config_toml).unwrap();
    assert_eq!([reward, policy].map(|run| config(run).objective.kind), [Method::Reward, Method::Ppo]);
    assert_eq!(config(reward).train.epochs, config(policy).train.epochs, "as long as the sheet says");
    assert!(!stage.says("PPO, RLOO or GRPO can be set up"), "it was done");
    stage.assert_no_id_clash();
}

/// Presses a button and gives the run that the engine was asked for.
fn press_and_take(stage: &mut Stage, button: &str) -> RunId {
    stage.click(button);
    stage.asked_to_train()
}

#[test]
fn a_reward_run_that_ended_before_its_first_checkpoint_is_no_reward_model() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        past_run(project, Method::Reward, 0.1, 30.0);
    });
    stage.click("RLOO");
    assert!(stage.says("RLOO needs a reward model; fit one first"));
    // By the palette too, as every button.
    stage.keys(Modifiers::COMMAND, Key::K);
    stage.harness.event(egui::Event::Text("fit a reward".to_owned()));
    stage.harness.run();
    stage.harness.key_press(Key::Enter);
    let requests = stage.requests.clone();
    stage.until("a reward model is fitted", move |_| !requests.is_empty());
    let fitting = Project::open(&stage.dir).unwrap().runs().unwrap().pop().unwrap();
    assert!(fitting.config_toml.contains("kind = \"reward\""), "{}", fitting.config_toml);
    stage.click("Set up");
    assert!(stage.says(&format!("the newest: {}", fitting.name)), "the one that goes will do");
    let run = fitting.id;
    let error = "The disk is full";
    Project::open(&stage.dir).unwrap().set_run_status(run, RunStatus::Failed, Some(error)).unwrap();
    stage.say([Event::Finished { run, outcome: Outcome::Failed { error: error.to_owned() } }]);
    stage.until("its end is known", move |app| !app.workspace().runs.is_going(run));
    stage.until("there is none again", |app| app.workspace().runs.reward_models().next().is_none());
    assert!(stage.says("Fit one first"));
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
