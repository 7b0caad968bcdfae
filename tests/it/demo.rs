//! The demo's files make a project that has what it is there to show.

use std::{collections::BTreeSet, path::Path};

use nudge::{
    data::{Choice, Pair, Prompt, Split, config::RunConfig},
    engine::protocol::{Outcome, Request, RunControl},
    model::{LoadOptions, Policy},
    store::{NewRun, Project, demo::open_demo_of},
    text::{Codec, Limits},
};

use crate::toy::{self, value};

fn demo() -> (tempfile::TempDir, Project) {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
    let folder = tempfile::tempdir().unwrap();
    let dir = open_demo_of(&assets, Some(&folder.path().join("demo"))).unwrap();
    (folder, Project::open(&dir).unwrap())
}

fn text(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Chat(turns) => turns.iter().map(|turn| turn.content.as_str()).collect::<Vec<_>>().join("\n"),
    }
}

#[test]
fn every_pair_can_be_trained_on_and_some_are_left_to_label() {
    let (_folder, project) = demo();
    let codec = Codec::load(&project.settings().unwrap().model).unwrap();
    let pairs = project.pairs_at(project.revision().unwrap()).unwrap();
    let (mut better, mut unlabelled) = (0, 0);
    for pair in &pairs {
        let answers: Vec<&str> = pair.answers.iter().map(|a| a.text.as_str()).collect();
        let encoded = codec.encode_answers(&pair.prompt, &answers, Limits::NONE).unwrap();
        assert!(encoded.answers.iter().all(|answer| answer.ended));
        match pair.verdict.as_ref().map(|verdict| verdict.choice) {
            Some(Choice::Better { .. }) => better += 1,
            Some(Choice::Tie | Choice::BothBad | Choice::Skip) => {}
            None => unlabelled += 1,
        }
    }
    assert!(better >= 300, "{better} labelled pairs");
    let flipped = |pair: &&Pair| pair.tags.iter().any(|tag| tag == "flipped");
    let held_out = pairs.iter().filter(|pair| pair.split == Split::Eval);
    assert!(held_out.clone().count() >= 300, "several hundred are held out");
    assert_eq!(held_out.clone().filter(flipped).count(), 0, "and their labels are as they were given");
    let trained = pairs.iter().filter(|pair| pair.split == Split::Train && pair.chosen().is_some());
    let share = trained.clone().filter(flipped).count() as f64 / trained.count() as f64;
    assert!((0.07..0.15).contains(&share), "one label in ten is flipped: {share}");
    assert!(unlabelled >= 20, "{unlabelled} pairs to label");
}

#[test]
fn the_reference_answers_speak_only_where_the_pairs_do_not() {
    let (_folder, project) = demo();
    let pairs = project.pairs_at(project.revision().unwrap()).unwrap();
    let asked: BTreeSet<String> = pairs.iter().map(|pair| text(&pair.prompt)).collect();
    let references = project.references().unwrap();
    assert!(references.len() >= 200);
    for reference in &references {
        let prompt = text(&reference.prompt);
        assert!(!asked.contains(&prompt), "{prompt}");
    }
}

/// The numbers before the first step, from a seed: what a run of the demo begins with, on any machine but for rounding.
#[test]
fn a_run_of_the_demo_begins_with_golden_numbers() {
    let (folder, mut project) = demo();
    let run_toml = project.settings().unwrap().run_toml;
    let set = [("train.steps", "1"), ("train.eval_answers", "0"), ("train.pairs_per_step", "4")];
    let set: Vec<(String, String)> = set.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let config = RunConfig::from_toml(&run_toml).unwrap().with_overrides(&set).unwrap();
    let run = project
        .create_run(&NewRun {
            name: "golden".to_owned(),
            config_toml: config.to_toml().unwrap(),
            method: "MPO".to_owned(),
            revision: project.revision().unwrap(),
            parent: None,
        })
        .unwrap();
    let engine = toy::start();
    let control = std::sync::Arc::new(RunControl::default());
    let dir = folder.path().join("demo");
    engine.requests.send(Request::Train { project: dir, run, from: None, control }).unwrap();
    assert_eq!(toy::finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let steps = project.steps(run, None).unwrap();
    let (before, after) = (&steps[0].1, &steps[1].1);
    assert!((value(before, "eval_loss/preference") + 0.5).abs() < 1e-4);
    assert!(value(before, "kl/ref").abs() < 1e-4);
    // An answer here and there may be drawn otherwise where another processor rounds otherwise.
    for (rule, share) in [("manner", 0.323), ("spill", 0.438), ("facts", 0.875), ("facts elsewhere", 0.917)] {
        let found = value(before, &format!("judged/{rule}"));
        assert!((found - share).abs() < 0.035, "judged/{rule} is {found}, not {share}");
    }
    assert_eq!(project.judged(run, 0).unwrap().len(), 192);
    assert!((value(after, "loss/reference") - GOLDEN_REFERENCE_LOSS).abs() < 2e-3, "{after:?}");
}

/// Nats a token, of the first four reference answers that the seed draws.
const GOLDEN_REFERENCE_LOSS: f64 = 0.1614;

#[test]
fn the_demo_is_small_and_its_model_loads() {
    let (_folder, project) = demo();
    let settings = project.settings().unwrap();
    let policy = Policy::load(&settings.model, &LoadOptions::default()).unwrap();
    let codec = Codec::load(&settings.model).unwrap();
    assert!(policy.total_parameters() < 2_000_000);
    assert_eq!(policy.spec().vocab_size, codec.vocab_size());
    assert!(!project.probes().unwrap().is_empty());
    assert!(!project.retention().unwrap().is_empty());
    nudge::data::config::RunConfig::from_toml(&settings.run_toml).unwrap();
}
