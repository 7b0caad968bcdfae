//! Model folders, adapters and exports.

use std::{
    collections::HashMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use nudge::{
    data::ModelKind,
    engine::{
        self, answer_all,
        catalog::Catalog,
        protocol::{
            AdapterFormat, AdapterPart, AdapterStrength, AnswerOptions, Event, ExportOrder, MergedOptions, Outcome,
            Request, RequestId, RunControl, StoppedBy, Weights, What, WhichCheckpoint,
        },
    },
    export::{self, Provenance, Subject},
    model::{AdamW, AdamWOptions, Doc, LoadOptions, Policy, Row, Spec, Survey, adapter, init, write_merged},
    store::RunId,
    text::Codec,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    fixture::{self, Fixture, elements, largest_difference},
    terminal::{self, json_lines, out},
    toy::{self, Toy},
};

const FIXTURE: &str = "smollm";
const WHOLE: MergedOptions = MergedOptions { stored: None, max_shard_bytes: u64::MAX };
const IDS: [u32; 7] = [1, 5, 9, 7, 8, 11, 12];

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn tensors(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn logits(policy: &Policy) -> Vec<f64> {
    elements(&policy.logits(&IDS).unwrap())
}

fn load(folder: &Path) -> Policy {
    Policy::load(folder, &LoadOptions::default()).unwrap()
}

fn load_on(folder: &Path, adapters: &[&Path]) -> Policy {
    let frozen_adapters = adapters.iter().map(|&path| path.to_owned()).collect();
    Policy::load(folder, &LoadOptions { frozen_adapters, ..LoadOptions::default() }).unwrap()
}

fn refusal(folder: &Path, options: &LoadOptions) -> String {
    Policy::load(folder, options).map(|_| ()).unwrap_err().to_string()
}

fn train(policy: &mut Policy) {
    let row = Row::pack(&[Doc::text(&IDS).unwrap()]).unwrap();
    let mut optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let pass = policy.forward(&row).unwrap();
    policy.backward(pass, &[-1.0]).unwrap();
    policy.update(&mut optimizer, 1e-2, 1.0).unwrap();
}

fn merge(policy: &Policy, folder: &Path, dir: &Path) {
    write_merged(policy, folder, dir, WHOLE, &mut |_| ControlFlow::Continue(())).unwrap();
}

/// A folder that holds one set of weights in one file and another in shards.
#[test]
fn r3_of_two_weight_sets_transformers_reads_the_single_file() {
    let fixture = fixture::one(FIXTURE);
    let dir = TempDir::new().unwrap();
    copy(&fixture.folder, dir.path());
    let mut other = tensors(&dir.path().join("model.safetensors"));
    let name = "model.layers.0.self_attn.q_proj.weight";
    let changed = (&other[name] * 2.0).unwrap();
    other.insert(name.to_owned(), changed);
    candle_core::safetensors::save(&other, dir.path().join("shard.safetensors")).unwrap();
    let map: serde_json::Map<String, Value> =
        other.keys().map(|name| (name.clone(), json!("shard.safetensors"))).collect();
    let index = json!({"metadata": {}, "weight_map": map});
    fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();

    let both = load(dir.path());
    assert_eq!(logits(&both), logits(&fixture.base()));
    assert!(both.remarks()[0].contains("model.safetensors is read"), "{:?}", both.remarks());
    // What is exported is what was read.
    let merged = TempDir::new().unwrap();
    merge(&both, dir.path(), merged.path());
    assert_eq!(logits(&load(merged.path())), logits(&both));

    fs::remove_file(dir.path().join("model.safetensors")).unwrap();
    assert!(largest_difference(&logits(&load(dir.path())), &logits(&fixture.base())) > 0.1);
}

/// The fixture's adapter with another config.
fn adapter_with(fixture: &Fixture, change: impl FnOnce(&mut Value)) -> TempDir {
    let dir = TempDir::new().unwrap();
    copy(&fixture.adapter, dir.path());
    edit(&dir.path().join("adapter_config.json"), change);
    dir
}

#[test]
fn r10_use_rslora_may_be_a_number() {
    let fixture = fixture::one(FIXTURE);
    let with = |value: Value| {
        let dir = adapter_with(&fixture, |config| config["use_rslora"] = value);
        logits(&load_on(&fixture.folder, &[dir.path()]))
    };
    let [on, off] = [with(json!(true)), with(json!(false))];
    assert!(largest_difference(&on, &off) > 0.1);
    assert_eq!(with(json!(1)), on);
    assert_eq!(with(json!(0)), off);
    assert_eq!(with(json!(null)), off);
    let dir = adapter_with(&fixture, |config| config["use_rslora"] = json!("true"));
    let options = LoadOptions { frozen_adapters: vec![dir.path().to_owned()], ..LoadOptions::default() };
    let error = refusal(&fixture.folder, &options);
    assert!(error.contains("`use_rslora`"), "{error}");
}

/// PEFT leaves what the file holds for k, o and the others unread; here it is an error.
#[test]
fn r11_modules_that_are_not_named_are_q_and_v() {
    let fixture = fixture::one(FIXTURE);
    let dir = adapter_with(&fixture, |config| config["target_modules"] = json!(null));
    let options = LoadOptions { frozen_adapters: vec![dir.path().to_owned()], ..LoadOptions::default() };
    let error = refusal(&fixture.folder, &options);
    assert!(error.contains("leaves that layer out"), "{error}");

    let path = dir.path().join("adapter_model.safetensors");
    let mut kept = tensors(&path);
    kept.retain(|name, _| name.contains("q_proj") || name.contains("v_proj"));
    candle_core::safetensors::save(&kept, &path).unwrap();
    let absent = load_on(&fixture.folder, &[dir.path()]);
    assert!(absent.remarks().is_empty(), "{:?}", absent.remarks());
    edit(&dir.path().join("adapter_config.json"), |config| config["target_modules"] = json!(["q_proj", "v_proj"]));
    assert_eq!(logits(&load_on(&fixture.folder, &[dir.path()])), logits(&absent));
}

#[test]
fn layers_that_an_adapters_file_lacks_are_told() {
    let fixture = fixture::one(FIXTURE);
    let dir = adapter_with(&fixture, |_| {});
    let path = dir.path().join("adapter_model.safetensors");
    let mut kept = tensors(&path);
    kept.retain(|name, _| !name.contains("layers.1.mlp"));
    candle_core::safetensors::save(&kept, &path).unwrap();
    let policy = load_on(&fixture.folder, &[dir.path()]);
    let [remark] = policy.remarks() else {
        panic!("{:?}", policy.remarks());
    };
    assert!(remark.contains("`model.layers.1.mlp.gate_proj` and 2 more layers"), "{remark}");
    // B is random then, in PEFT.
    edit(&dir.path().join("adapter_config.json"), |config| config["init_lora_weights"] = json!(false));
    let options = LoadOptions { frozen_adapters: vec![dir.path().to_owned()], ..LoadOptions::default() };
    let error = refusal(&fixture.folder, &options);
    assert!(error.contains("random"), "{error}");
}

#[test]
fn vectors_of_dora_without_its_flag_are_named() {
    let fixture = fixture::one(FIXTURE);
    let dir = adapter_with(&fixture, |_| {});
    let path = dir.path().join("adapter_model.safetensors");
    let mut more = tensors(&path);
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector";
    for name in [name.to_owned(), format!("{name}.weight"), format!("{name}.default")] {
        more.insert(name.clone(), Tensor::ones(4, candle_core::DType::F32, &Device::Cpu).unwrap());
        candle_core::safetensors::save(&more, &path).unwrap();
        let error = adapter::load(dir.path(), &Spec::read(&fixture.folder).unwrap()).unwrap_err().to_string();
        assert!(error.contains("DoRA") && error.contains(&name), "{error}");
        more.remove(&name);
    }
}

/// A tied model of `tiny` sizes, written with random weights.
fn tied(folder: &Path) {
    let spec = Spec::parse(
        r#"{"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": true}"#,
    );
    init::write_random(folder, &spec.unwrap(), 3).unwrap();
}

fn change_weights(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut all = tensors(&path);
    change(&mut all);
    candle_core::safetensors::save(&all, path).unwrap();
}

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";

#[test]
fn a_merged_model_whose_tables_differ_does_not_say_that_they_are_tied() {
    let dir = TempDir::new().unwrap();
    tied(dir.path());
    change_weights(dir.path(), |all| {
        let head = (&all[EMBEDDING] * 0.5).unwrap();
        all.insert(HEAD.to_owned(), head);
    });
    let lora = LoadOptions { adapter: Fixture::adapter_options().adapter, ..LoadOptions::default() };
    for options in [LoadOptions { full: true, ..LoadOptions::default() }, lora] {
        let mut policy = Policy::load(dir.path(), &options).unwrap();
        assert!(policy.remarks()[0].contains("kept apart"), "{:?}", policy.remarks());
        train(&mut policy);
        let merged = TempDir::new().unwrap();
        merge(&policy, dir.path(), merged.path());
        let config: Value = serde_json::from_slice(&fs::read(merged.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(config["tie_word_embeddings"], false);
        let back = load(merged.path());
        assert!(largest_difference(&logits(&back), &logits(&policy)) < 1e-5);
        assert!(back.remarks().is_empty(), "{:?}", back.remarks());
    }
}

#[test]
fn a_head_may_stand_for_the_embedding() {
    let dir = TempDir::new().unwrap();
    tied(dir.path());
    let want = logits(&load(dir.path()));
    change_weights(dir.path(), |all| {
        let table = all.remove(EMBEDDING).unwrap();
        all.insert(HEAD.to_owned(), table);
    });
    let only_head = load(dir.path());
    assert_eq!(logits(&only_head), want);
    assert!(only_head.spec().tied && only_head.remarks().is_empty(), "{:?}", only_head.remarks());
    assert_eq!(Survey::of(dir.path()).unwrap().spec, *only_head.spec());
    // Trained and merged it is still one table.
    let mut policy = Policy::load(dir.path(), &LoadOptions { full: true, ..LoadOptions::default() }).unwrap();
    train(&mut policy);
    let merged = TempDir::new().unwrap();
    merge(&policy, dir.path(), merged.path());
    let written = tensors(&merged.path().join("model.safetensors"));
    assert!(written.contains_key(HEAD) && !written.contains_key(EMBEDDING));
    assert_eq!(logits(&load(merged.path())), logits(&policy));
    assert!(largest_difference(&logits(&policy), &want) > 1e-3);
    // A head for itself alone leaves the embedding missing.
    edit(&dir.path().join("config.json"), |config| config["tie_word_embeddings"] = json!(false));
    let error = refusal(dir.path(), &LoadOptions::default());
    assert!(error.contains("`model.embed_tokens.weight` is missing"), "{error}");
}

/// A model folder with the fixture's adapter beside the weights.
fn beside(fixture: &Fixture) -> TempDir {
    let dir = TempDir::new().unwrap();
    copy(&fixture.folder, dir.path());
    copy(&fixture.adapter, dir.path());
    dir
}

#[test]
fn an_adapter_beside_a_model_is_applied() {
    let fixture = fixture::one(FIXTURE);
    let dir = beside(&fixture);
    let policy = load(dir.path());
    assert_eq!(logits(&policy), logits(&load_on(&fixture.folder, &[&fixture.adapter])));
    assert!(policy.remarks()[0].contains("applied, as Transformers does"), "{:?}", policy.remarks());
    let bare = Policy::load(dir.path(), &LoadOptions { bare: true, ..LoadOptions::default() }).unwrap();
    assert_eq!(logits(&bare), logits(&fixture.base()));

    let catalog = Catalog::at("nowhere");
    let card = catalog.card(&catalog.found_in(dir.path())[0]);
    assert_eq!((card.kind, card.rank, card.reason), (ModelKind::Adapted, Some(4), None));
    let home = TempDir::new().unwrap();
    let lines = json_lines(&out(home.path(), &["models", &terminal::path(dir.path()), "--json"]));
    assert_eq!(lines[0]["kind"], "adapted");
    assert!(lines[0]["remarks"][0].as_str().unwrap().contains("adapter"), "{}", lines[0]);

    // One that cannot be used is no reason to go on without it.
    edit(&dir.path().join("adapter_config.json"), |config| config["use_dora"] = json!(true));
    let error = refusal(dir.path(), &LoadOptions::default());
    assert!(error.contains("DoRA") && error.contains("beside it"), "{error}");
    copy(&fixture.adapter, dir.path());
    fs::remove_file(dir.path().join("adapter_model.safetensors")).unwrap();
    let error = refusal(dir.path(), &LoadOptions::default());
    assert!(error.contains("adapter_model.safetensors") && error.contains("beside it"), "{error}");
    fs::remove_file(dir.path().join("adapter_config.json")).unwrap();
    assert_eq!(logits(&load(dir.path())), logits(&fixture.base()));
}

/// In every layout, whatever lies below: proven against the bare model, as other tools load it.
#[test]
fn what_is_trained_over_an_adapter_beside_a_model_leaves_with_or_without_it() {
    let fixture = fixture::one(FIXTURE);
    let dir = beside(&fixture);
    let options = Fixture::adapter_options();
    let mut policy = Policy::load(dir.path(), &options).unwrap();
    train(&mut policy);
    train(&mut policy);
    let probes: Vec<Vec<u32>> = fixture.pairs().into_iter().map(|[prompt, ..]| prompt).collect();
    let about = Provenance {
        run: "A run".to_owned(),
        base_model: dir.path().display().to_string(),
        frozen: adapter::beside(dir.path()).into_iter().collect(),
        ..Provenance::default()
    };
    assert_eq!(about.frozen, [dir.path()]);
    let subject = Subject { policy: &policy, folder: dir.path(), probes: &probes, about: &about, overwrite: false };
    let root = TempDir::new().unwrap();
    let go_on = &mut |_: &str, _: Option<f32>| ControlFlow::Continue(());
    for part in [AdapterPart::Sum, AdapterPart::Newest] {
        let to = root.path().join(format!("{part:?}"));
        let proof = export::adapter(&subject, AdapterFormat::Peft, part, &to, go_on).unwrap();
        assert!(proof.difference < 1e-4 && proof.effect > 1e-3, "{part:?}: {proof:?}");
    }
    let bare: &Path = &fixture.folder;
    let newest = root.path().join("Newest");
    let want = logits(&policy);
    for stacked in [
        load_on(bare, &[&root.path().join("Sum")]),
        load_on(bare, &[&fixture.adapter, &newest]),
        load_on(dir.path(), &[&newest]),
    ] {
        assert!(largest_difference(&logits(&stacked), &want) < 1e-4);
    }
    let merged = root.path().join("merged");
    export::merged(&subject, &merged, WHOLE, go_on).unwrap();
    assert!(largest_difference(&logits(&load(&merged)), &want) < 1e-4);
}

#[test]
fn an_adapter_named_as_a_model_is_told_to_be_one() {
    let fixture = fixture::one(FIXTURE);
    let dir = adapter_with(&fixture, |config| config["base_model_name_or_path"] = json!("org/base"));
    let error = refusal(dir.path(), &LoadOptions::default());
    assert!(error.contains("adapter, not a model") && error.contains("org/base"), "{error}");
    let home = TempDir::new().unwrap();
    let model = terminal::path(dir.path());
    for args in [
        &["generate", "--model", &model, "--prompt-ids", "1,2", "--greedy"][..],
        &["score", "--model", &model, "--batch-file", "none.jsonl"],
        &["new", "project", "--model", &model],
    ] {
        let error = terminal::sentence(home.path(), args, 1);
        assert!(error.contains("adapter, not a model"), "{args:?}: {error}");
    }
}

#[test]
fn an_answer_that_fills_the_context_says_so() {
    let fixture = fixture::one(FIXTURE);
    let dir = TempDir::new().unwrap();
    copy(&fixture.folder, dir.path());
    edit(&dir.path().join("config.json"), |config| config["max_position_embeddings"] = json!(10));
    let (policy, codec) = (load(dir.path()), Codec::load(dir.path()).unwrap());
    let answer = |max_new_tokens: usize| {
        let options = AnswerOptions { max_new_tokens, ignore_eos: true, ..AnswerOptions::default() };
        let prompts = vec![IDS.to_vec()];
        let mut answers = answer_all(&policy, &codec, prompts, &options, &|| true, &mut |_, _| {}).unwrap();
        let answer = answers.remove(0);
        (answer.ids.len(), answer.stopped_by)
    };
    assert_eq!(answer(2), (2, StoppedBy::Limit));
    assert_eq!(answer(3), (3, StoppedBy::Limit));
    assert_eq!(answer(4), (3, StoppedBy::Context));
    let home = TempDir::new().unwrap();
    let model = terminal::path(dir.path());
    let args = ["generate", "--model", &model, "--prompt-ids", "1,5,9", "--greedy", "--ignore-eos", "--max-new", "40"];
    let lines = json_lines(&out(home.path(), &[&args[..], &["--json"]].concat()));
    assert_eq!(lines[0]["stopped_by"], "context");
    let output = terminal::run(home.path(), &args);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("context is full"), "{told}");
}

/// Changes a byte of the newest checkpoint; gives the steps before and of it.
fn damage_newest(toy: &Toy, run: RunId) -> (u64, u64) {
    let folder = toy.open().run_dir(run).join("checkpoints");
    let mut steps: Vec<u64> = fs::read_dir(&folder)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix("step-")?.parse().ok())
        .collect();
    steps.sort_unstable();
    let newest = steps.pop().unwrap();
    let path = folder.join(format!("step-{newest:06}/trainable.safetensors"));
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
    (steps.pop().unwrap(), newest)
}

#[test]
fn dm5_an_export_of_an_older_step_says_why() {
    let toy = Toy::new();
    let (run, outcome) = toy.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    let what = What::Adapter { layout: AdapterFormat::Peft, part: AdapterPart::Sum };
    let export = |which, to: &str| {
        let to: PathBuf = toy.project.join(to);
        let order = ExportOrder {
            project: toy.project.clone(),
            run,
            which,
            what,
            strength: AdapterStrength::default(),
            to,
            overwrite: false,
        };
        engine::export(&order, &mut |_, _| ControlFlow::Continue(()))
    };
    assert!(export(WhichCheckpoint::Newest, "whole").unwrap().passed_over.is_empty());
    let (before, newest) = damage_newest(&toy, run);
    let exported = export(WhichCheckpoint::Newest, "older").unwrap();
    assert_eq!(exported.step, before);
    let [reason] = exported.passed_over.as_slice() else {
        panic!("{:?}", exported.passed_over);
    };
    assert!(reason.contains("is not the file that was written"), "{reason}");
    assert!(reason.contains(&format!("step {before} is used instead")), "{reason}");
    assert!(export(WhichCheckpoint::Step(before), "named").unwrap().passed_over.is_empty(), "it was asked for");
    let error = export(WhichCheckpoint::Step(newest), "damaged").unwrap_err().to_string();
    assert!(error.contains("is not the file that was written"), "{error}");

    // The same on the command line.
    let home = TempDir::new().unwrap();
    let (project, to) = (terminal::path(&toy.project), terminal::path(&toy.project.join("told")));
    let output = terminal::run(home.path(), &["export", &project, "1", "--adapter", &to, "--json"]);
    assert!(output.status.success());
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&line["step"], line["passed_over"].as_array().unwrap().len()), (&json!(before), 1));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("is not the file that was written"), "{told}");
}

#[test]
fn dm5_an_answer_of_an_older_step_says_why() {
    let toy = Toy::new();
    let (run, outcome) = toy.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    let (before, newest) = damage_newest(&toy, run);
    let engine = toy::start();
    let answer = |step: Option<u64>| {
        let request = Request::Generate {
            request: RequestId(1),
            source: Weights::Run { project: toy.project.clone(), run, step },
            prompt: toy::ask("Is 3 even?"),
            options: AnswerOptions { max_new_tokens: 3, ..AnswerOptions::default() },
            control: RunControl::default().into(),
        };
        engine.requests.send(request).unwrap();
        toy::wait_for(&engine, |event| match event {
            Event::Generated { answer, .. } => Some(Ok(answer.passed_over.clone())),
            Event::Failed { error, .. } => Some(Err(error.clone())),
            _ => None,
        })
    };
    // Loaded once, told every time.
    for _ in 0..2 {
        let told = answer(None).unwrap();
        assert!(told.len() == 1 && told[0].contains(&format!("step {before} is used instead")), "{told:?}");
    }
    assert_eq!(answer(Some(before)), Ok(Vec::new()));
    let error = answer(Some(newest)).unwrap_err();
    assert!(error.contains("is not the file that was written"), "{error}");
    engine.shut_down();
}
