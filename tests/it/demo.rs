//! The demo's files make a project that has what it is there to show.

use std::{collections::BTreeSet, path::Path};

use nudge::{
    data::{Choice, Prompt},
    model::{LoadOptions, Policy},
    store::{Project, demo::open_demo_of},
    text::{Codec, Limits},
};

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
