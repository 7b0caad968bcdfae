//! Runs that start from an adapter, and everything that leaves a run, from the project to the file.

use std::{fs, ops::ControlFlow, path::PathBuf};

use nudge::{
    data::{
        Change, Edit, Pair, Prompt, Role, Turn,
        config::{RunConfig, validate},
    },
    engine::{
        self,
        protocol::{
            AdapterFormat, AdapterPart, AdapterStrength, ExportOrder, Exported, MergedOptions, Outcome, What,
            WhichCheckpoint,
        },
    },
    model::{LoadOptions, Policy},
    store::RunId,
    text::{Codec, Limits},
};
use serde_json::Value as Json;

use crate::toy::{self, Toy};

fn go_on(_: &str, _: Option<f32>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn export(toy: &Toy, run: RunId, what: What, to: &str) -> (PathBuf, Exported) {
    let to = toy.project.join(to);
    let order = ExportOrder {
        project: toy.project.clone(),
        run,
        which: WhichCheckpoint::Newest,
        what,
        strength: AdapterStrength::default(),
        to: to.clone(),
        overwrite: false,
    };
    let exported = engine::export(&order, &mut go_on).unwrap();
    (to, exported)
}

const ADAPTER: What = What::Adapter { layout: AdapterFormat::Peft, part: AdapterPart::Sum };

/// A run of the toy and its adapter, exported.
fn first_run(toy: &Toy) -> PathBuf {
    let (run, outcome) = toy.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    export(toy, run, ADAPTER, "first").0
}

fn series(toy: &Toy, run: RunId, name: &str) -> Vec<f64> {
    let series = toy.open().series(run, name, None).unwrap();
    series.into_iter().map(|(_, value)| value).collect()
}

#[test]
fn an_adapter_trained_further_is_measured_against_itself_as_it_was() {
    let toy = Toy::new();
    let first = first_run(&toy);
    let mut config = toy::config();
    config.model.continue_adapter = Some(first.clone());
    // The adapter's own rank counts.
    config.lora.rank = 2;
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let kl = series(&toy, run, "kl/ref");
    assert!(kl[0].abs() < 1e-6, "at step 0 it is its own reference: {kl:?}");
    assert!(kl.last().unwrap().abs() > 1e-6, "{kl:?}");
    let k3 = series(&toy, run, "kl/policy_k3");
    assert!(k3[0].abs() < 1e-6, "so it is on sampled answers: {k3:?}");

    let (further, exported) = export(&toy, run, ADAPTER, "further");
    assert!(exported.proof.unwrap().difference < 1e-3);
    let shape = |dir: &PathBuf| {
        let text = fs::read_to_string(dir.join("adapter_config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        (config["r"].clone(), config["lora_alpha"].clone())
    };
    assert_eq!(shape(&further), shape(&first), "trained further, not stacked");
    let card = fs::read_to_string(further.join("README.md")).unwrap();
    assert!(card.contains("trained the adapter") && card.contains("first"), "{card}");

    // Another adapter in its place is another reference.
    let extended = RunConfig::from_toml(&toy.open().run(run).unwrap().config_toml).unwrap();
    let mut extended = extended;
    extended.train.steps = Some(20);
    let project = toy.open();
    project.set_run_config(run, &extended.to_toml().unwrap()).unwrap();
    fs::remove_dir_all(&first).unwrap();
    fs::rename(&further, &first).unwrap();
    let Outcome::Failed { error } = toy.go_on(run) else {
        panic!("its reference is gone");
    };
    assert!(error.contains("adapter was changed"), "{error}");
}

#[test]
fn a_new_adapter_leaves_alone_or_as_the_sum() {
    let toy = Toy::new();
    let first = first_run(&toy);
    let mut config = toy::config();
    config.model.start_adapter = Some(first.clone());
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let adapter = |layout, part| What::Adapter { layout, part };
    let (sum, _) = export(&toy, run, ADAPTER, "sum");
    let (newest, _) = export(&toy, run, adapter(AdapterFormat::Mlx, AdapterPart::Newest), "newest");
    let (merged, _) =
        export(&toy, run, What::Merged(MergedOptions { stored: None, max_shard_bytes: 1 << 30 }), "merged");
    let ids = [5, 9, 2, 31];
    let logits = |model: &PathBuf, adapters: &[&PathBuf]| -> Vec<f32> {
        let options = LoadOptions {
            frozen_adapters: adapters.iter().map(|&path| path.clone()).collect(),
            ..LoadOptions::default()
        };
        let policy = Policy::load(model, &options).unwrap();
        let logits = policy.logits(&ids).unwrap();
        logits.to_vec().unwrap()
    };
    let want = logits(&merged, &[]);
    let off = |got: Vec<f32>| {
        let pairs = got.iter().zip(&want);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(off(logits(&toy.model, &[&sum])) < 1e-4);
    assert!(off(logits(&toy.model, &[&first, &newest])) < 1e-4);
    assert!(off(logits(&toy.model, &[&newest])) > 1e-2, "alone it is something else");
}

#[test]
fn full_weights_and_an_adapter_to_train_further_exclude_each_other() {
    let mut config = toy::config();
    config.model.continue_adapter = Some(PathBuf::from("somewhere"));
    assert!(validate(&config).is_empty());
    config.lora.full = true;
    assert_eq!(validate(&config)[0].0, "model.continue_adapter");
}

#[test]
fn a_report_tells_the_run_and_stands_alone() {
    let toy = Toy::new();
    let (run, _) = toy.train(&toy::config());
    let (html, exported) = export(&toy, run, What::Report, "run.html");
    assert_eq!((exported.step, exported.proof), (12, None));
    let html = fs::read_to_string(html).unwrap();
    let (markdown, _) = export(&toy, run, What::Report, "reports/run.md");
    let markdown = fs::read_to_string(markdown).unwrap();
    let identity = {
        let policy = Policy::load(&toy.model, &LoadOptions::default()).unwrap();
        policy.identity().to_owned()
    };
    for text in [&html, &markdown] {
        for told in [
            "toy run",
            "maximum_preference_optimization",
            "2312.16430",
            identity.as_str(),
            "kl/policy_k3",
            "Is 3 even?",
            "step 12 of 12",
            "What it came to",
            " nats a token from its start (",
            "optimizer.learning_rate",
            "nudge train",
            env!("CARGO_PKG_VERSION"),
        ] {
            assert!(text.contains(told), "{told} is missing in {text}");
        }
        assert_eq!(text.matches("<svg").count(), text.matches("</svg>").count());
        assert!(text.matches("<svg").count() >= 6);
        assert!(!text.contains("<script") && !text.contains("src="));
    }
    // What differs from the defaults is marked, with the default beside it.
    let row = html.lines().find(|line| line.contains("lora.rank")).unwrap();
    assert!(row.contains("changed") && row.contains("default: 16"), "{row}");
    let row = html.lines().find(|line| line.contains("lora.rslora")).unwrap();
    assert!(!row.contains("default:"), "{row}");

    let order = ExportOrder {
        project: toy.project.clone(),
        run,
        which: WhichCheckpoint::Newest,
        what: What::Report,
        to: toy.project.join("run.html"),
        strength: AdapterStrength::default(),
        overwrite: false,
    };
    let error = engine::export(&order, &mut go_on).unwrap_err().to_string();
    assert!(error.contains("--overwrite"), "{error}");
}

#[test]
fn a_report_escapes_what_a_model_said() {
    let toy = Toy::new();
    let (run, _) = toy.train(&toy::config());
    let project = toy.open();
    let mut sample = project.samples(run).unwrap().pop().unwrap().sample;
    sample.answer = "<b>bold</b> & | more\nsecond line".to_owned();
    project.append_sample(run, 13, 0, &sample).unwrap();
    let (html, _) = export(&toy, run, What::Report, "run.html");
    let html = fs::read_to_string(html).unwrap();
    assert!(html.contains("&lt;b&gt;bold") && !html.contains("<b>bold"), "{html}");
    let (markdown, _) = export(&toy, run, What::Report, "run.md");
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("> &lt;b>bold&lt;/b> &amp; | more\n> second line"), "{markdown}");
}

/// A toy whose model says nothing about conversations, and what it does say about its tokenizer.
fn without_template() -> (Toy, Json) {
    let toy = Toy::new();
    let file = toy.model.join("tokenizer_config.json");
    let mut settings: Json = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    settings.as_object_mut().unwrap().remove("chat_template").unwrap();
    fs::write(&file, settings.to_string()).unwrap();
    (toy, settings)
}

/// What a folder needs to write conversations as they were trained goes along where the base has nothing that says so.
#[test]
fn no_template_the_plain_style_goes_along_as_one_and_gives_the_ids_that_were_trained() {
    let (toy, settings) = without_template();
    let mut config = toy::config();
    config.train.steps = Some(2);
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);

    let merged = What::Merged(MergedOptions { stored: None, max_shard_bytes: 5_000_000_000 });
    let trained = Codec::load(&toy.model).unwrap();
    assert!(!trained.has_template());
    for (what, name) in [(ADAPTER, "adapter"), (merged, "merged")] {
        let (dir, _) = export(&toy, run, what, name);
        let card = fs::read_to_string(dir.join("README.md")).unwrap();
        assert!(card.contains("no chat template") && card.contains("plain style"), "{card}");
        let report: Json = serde_json::from_slice(&fs::read(dir.join("report.json")).unwrap()).unwrap();
        assert_eq!(report["plain_style"], true);
        // A runtime that knows no other names for BOS and EOS gives the same.
        let mut settings = settings.clone();
        settings.as_object_mut().unwrap().retain(|name, _| !name.ends_with("_token"));
        fs::write(dir.join("tokenizer_config.json"), settings.to_string()).unwrap();
        let exported = Codec::load(&dir).unwrap();
        assert!(exported.has_template());
        let turn = |role, text: &str| Turn::new(role, text);
        for turns in [
            vec![turn(Role::User, "Is 3 even?")],
            vec![turn(Role::System, "It's {{ so }}\n"), turn(Role::User, "  Why? \n\n")],
            vec![turn(Role::User, "a"), turn(Role::Assistant, "</s>b"), turn(Role::User, "<s>c")],
        ] {
            let prompt = Prompt::chat(turns);
            let encode = |codec: &Codec| codec.encode_answers(&prompt, &["yes sir", "no\nway"], Limits::NONE).unwrap();
            let (ours, theirs) = (encode(&trained), encode(&exported));
            assert_eq!(ours, theirs);
            assert_eq!(Some(ours.prefix[0]), trained.bos());
            assert!(ours.answers.iter().all(|answer| answer.ended));
        }
    }
}

#[test]
fn no_template_is_written_for_what_was_trained_on_plain_text() {
    let (toy, _) = without_template();
    let mut project = toy.open();
    let texts = project.pairs_at(project.revision().unwrap()).unwrap().into_iter().map(|pair| {
        let text = Pair { prompt: Prompt::Text(format!("Of stone {}", pair.id.0)), ..pair.clone() };
        Edit::replace(pair, text)
    });
    let change = Change { label: "As texts".to_owned(), edits: texts.collect() };
    project.apply(&change).unwrap();
    let mut config = toy::config();
    config.train.steps = Some(2);
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let (dir, _) = export(&toy, run, ADAPTER, "adapter");
    assert!(!dir.join("chat_template.jinja").exists());
    assert!(!fs::read_to_string(dir.join("README.md")).unwrap().contains("plain style"));
}
