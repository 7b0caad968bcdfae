//! What leaves the project is read back and proven first.

use std::{collections::BTreeSet, fs, ops::ControlFlow, path::Path};

use nudge::{
    export::{self, AdapterFormat, AdapterPart, ExportError, MergedOptions, Proof, Provenance, Subject, WeightType},
    model::{LoadOptions, Policy},
    text::{Codec, Conversation},
};
use serde_json::Value;

use crate::fixture::{self, Fixture, elements, largest_difference};

const WHOLE: MergedOptions = MergedOptions { stored: None, max_shard_bytes: 5_000_000_000 };

fn probes(fixture: &Fixture) -> Vec<Vec<u32>> {
    let pairs = fixture.pairs().into_iter();
    pairs.map(|[prompt, ..]| prompt).collect()
}

fn go_on(_: &str, _: Option<f32>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn about() -> Provenance {
    Provenance {
        run: "A run".to_owned(),
        step: 7,
        base_model: "org/base".to_owned(),
        method: "MPO anchored-sum".to_owned(),
        scale: None,
        metrics: vec![("eval_rewards/accuracies".to_owned(), 0.75)],
        ..Provenance::default()
    }
}

fn export_adapter(
    policy: &Policy,
    folder: &Path,
    probes: &[Vec<u32>],
    dir: &Path,
    overwrite: bool,
) -> Result<Proof, ExportError> {
    let subject = Subject { policy, folder, probes, about: &about(), overwrite };
    let (layout, part) = (AdapterFormat::Peft, AdapterPart::Sum);
    export::adapter(&subject, layout, part, dir, &mut go_on)
}

fn export_merged(policy: &Policy, fixture: &Fixture, dir: &Path, options: MergedOptions) -> Result<Proof, ExportError> {
    let subject =
        Subject { policy, folder: &fixture.folder, probes: &probes(fixture), about: &about(), overwrite: false };
    export::merged(&subject, dir, options, &mut go_on)
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn an_export_carries_its_proof_and_its_tokenizer() {
    let fixture = fixture::one("smollm");
    let policy = fixture.lora();
    let probes = probes(&fixture);
    let dir = tempfile::tempdir().unwrap();
    let (adapter, whole) = (dir.path().join("adapter"), dir.path().join("new/merged"));

    let proof = export_adapter(&policy, &fixture.folder, &probes, &adapter, false).unwrap();
    assert_eq!(proof.probes, probes.len());
    assert!(proof.difference < 1e-4, "{}", proof.difference);
    assert!(proof.effect > 0.1, "{}", proof.effect);
    assert!(proof.changed > 0);
    let merged = export_merged(&policy, &fixture, &whole, MergedOptions { stored: Some(WeightType::F16), ..WHOLE });
    let merged = merged.unwrap();
    assert!(merged.difference < 0.05 && merged.effect > 0.1);

    for folder in [&adapter, &whole] {
        let same = |name: &str| fs::read(folder.join(name)).unwrap() == fs::read(fixture.folder.join(name)).unwrap();
        assert!(same("tokenizer.json") && same("tokenizer_config.json") && same("generation_config.json"));
        let probe = json(&folder.join("probe.json"));
        assert_eq!(fixture::ids(&probe[0]["prompt_ids"]), probes[0]);
        assert_eq!(probe[0]["greedy_ids"].as_array().unwrap().len(), 16);
        let report = json(&folder.join("report.json"));
        assert_eq!(report["proof"]["outputs_changed"], proof.changed);
        assert!(report["weight_change_norms"]["q_proj"].as_f64().unwrap() > 0.0);
        let card = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(card.contains("maximum_preference_optimization") && card.contains("2312.16430"));
        assert!(card.contains("held-out preference accuracy (eval_rewards/accuracies): 0.7500"), "{card}");
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing is left beside the exports");
}

#[test]
fn a_merged_model_keeps_the_files_names_and_types_of_its_base() {
    for name in ["smollm_f16", "llama_sharded"] {
        let fixture = fixture::one(name);
        let policy = fixture.lora();
        let dir = tempfile::tempdir().unwrap();
        let (whole, pieces) = (dir.path().join("whole"), dir.path().join("pieces"));
        export_merged(&policy, &fixture, &whole, WHOLE).unwrap();
        let small = MergedOptions { max_shard_bytes: 20_000, ..WHOLE };
        export_merged(&policy, &fixture, &pieces, small).unwrap();

        assert_eq!(fs::read(whole.join("config.json")).unwrap(), fs::read(fixture.folder.join("config.json")).unwrap());
        let one = candle_core::safetensors::load(whole.join("model.safetensors"), &candle_core::Device::Cpu).unwrap();
        let index = json(&pieces.join("model.safetensors.index.json"));
        let map = index["weight_map"].as_object().unwrap();
        assert_eq!(map.len(), one.len());
        let file = |name: &str| pieces.join(map[name].as_str().unwrap());
        let embedding = "model.embed_tokens.weight";
        assert_ne!(file(embedding), file("model.norm.weight"));
        let half = name == "smollm_f16";
        assert_eq!(one[embedding].dtype() == candle_core::DType::F16, half);

        let load = |dir: &Path| Policy::load(dir, &LoadOptions::default()).unwrap();
        let input = fixture.pairs().remove(0).concat();
        let logits = |policy: &Policy| elements(&policy.logits(&input).unwrap());
        assert_eq!(logits(&load(&whole)), logits(&load(&pieces)));
        let off = largest_difference(&logits(&load(&whole)), &logits(&policy));
        assert!(off < if half { 0.05 } else { 1e-4 }, "{name}: off by {off:e}");
    }
}

#[test]
fn an_export_that_cannot_be_proven_leaves_nothing() {
    let fixture = fixture::one("smollm");
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("adapter");
    let export =
        |policy: &Policy, folder: &Path, probes: &[Vec<u32>]| export_adapter(policy, folder, probes, &dir, false);
    let result = export(&fixture.lora(), &fixture.folder, &[]);
    assert!(matches!(result, Err(ExportError::NoProbe)));

    // The adapter of one model against the weights of another.
    let folder = tempfile::tempdir().unwrap();
    let other = fixture.moved(1.0, 1, folder.path());
    let probes = [fixture.pairs().remove(0)[0].clone()];
    let result = export(&fixture.lora(), &other.folder, &probes);
    assert!(matches!(result, Err(ExportError::Differs { .. })), "{result:?}");
    // An adapter that was never trained.
    let mut fresh = fixture.lora();
    let zeros: Vec<_> =
        fixture.adapter_tensors().into_iter().map(|(name, tensor)| (name, tensor.zeros_like().unwrap())).collect();
    fresh.set_trainable(&fixture::for_policy(zeros)).unwrap();
    let result = export(&fresh, &fixture.folder, &probes);
    assert!(matches!(result, Err(ExportError::NoEffect { .. })), "{result:?}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn only_an_earlier_export_is_ever_replaced() {
    let fixture = fixture::one("smollm");
    let policy = fixture.lora();
    let probes = probes(&fixture);
    let dir = tempfile::tempdir().unwrap();
    let export = |overwrite| export_adapter(&policy, &fixture.folder, &probes, dir.path(), overwrite);
    let theirs = dir.path().join("thesis.txt");
    fs::write(&theirs, "years of work").unwrap();
    let error = export(true).unwrap_err().to_string();
    assert!(error.contains("new folder"), "{error}");
    fs::remove_file(&theirs).unwrap();

    export(false).unwrap();
    let error = export(false).unwrap_err().to_string();
    assert!(error.contains("--overwrite"), "{error}");
    export(true).unwrap();
}

#[cfg(unix)]
#[test]
fn whoever_may_read_the_other_files_may_read_the_weights() {
    use std::os::unix::fs::PermissionsExt as _;

    let fixture = fixture::one("llama_sharded");
    let (policy, probes) = (fixture.lora(), probes(&fixture));
    let root = tempfile::tempdir().unwrap();
    let [adapter, merged] = ["adapter", "merged"].map(|name| root.path().join(name));
    export_adapter(&policy, &fixture.folder, &probes, &adapter, false).unwrap();
    export_merged(&policy, &fixture, &merged, WHOLE).unwrap();
    for dir in [adapter, merged] {
        let modes = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().permissions().mode());
        let modes: BTreeSet<u32> = modes.collect();
        assert_eq!(modes.len(), 1, "{modes:?}");
    }
}

#[test]
fn a_stopped_export_leaves_nothing() {
    let fixture = fixture::one("llama_sharded");
    let policy = fixture.lora();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("merged");
    let probes = probes(&fixture);
    let mut heard = Vec::new();
    let subject =
        Subject { policy: &policy, folder: &fixture.folder, probes: &probes, about: &about(), overwrite: false };
    let options = MergedOptions { max_shard_bytes: 20_000, ..WHOLE };
    let result = export::merged(&subject, &dir, options, &mut |what, share| {
        heard.push((what.to_owned(), share));
        if share.is_some_and(|share| share > 0.3) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(ExportError::Stopped)), "{result:?}");
    let last = heard.last().unwrap();
    assert!(last.0.contains("weights") && last.1.unwrap() < 0.9, "{last:?}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn what_no_adapter_can_hold_is_said_before_anything_is_written() {
    let fixture = fixture::one("llama_gqa_rope3");
    let probes = probes(&fixture);
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let error = export_adapter(&fixture.full(), &fixture.folder, &probes, &dir, false);
    assert!(matches!(error, Err(ExportError::NoAdapter)), "{error:?}");
    let about = Provenance { continued: Some(fixture.adapter.clone()), ..about() };
    let subject =
        Subject { policy: &fixture.lora(), folder: &fixture.folder, probes: &probes, about: &about, overwrite: false };
    let error = export::adapter(&subject, AdapterFormat::Peft, AdapterPart::Newest, &dir, &mut go_on);
    assert!(matches!(error, Err(ExportError::NotOnTop)), "{error:?}");
    assert!(!dir.exists());
}

/// What a folder says of itself names what it belongs on, for every layout.
#[test]
fn every_layout_is_proven_and_says_how_to_load_it() {
    let fixture = fixture::one("llama_gqa_rope3");
    let policy = fixture.lora_with(|options| options.frozen_adapters.push(fixture.adapter.clone()));
    let probes = probes(&fixture);
    let root = tempfile::tempdir().unwrap();
    let about = Provenance { frozen: vec![fixture.adapter.clone()], ..about() };
    let subject =
        Subject { policy: &policy, folder: &fixture.folder, probes: &probes, about: &about, overwrite: false };
    let below = fixture.adapter.to_string_lossy();
    for (layout, part, file, command) in [
        (AdapterFormat::Peft, AdapterPart::Sum, "adapter_model.safetensors", "PeftModel"),
        (AdapterFormat::Peft, AdapterPart::Newest, "adapter_model.safetensors", "merge_and_unload"),
        (AdapterFormat::Mlx, AdapterPart::Sum, "adapters.safetensors", "mlx_lm.generate"),
        (AdapterFormat::Gguf, AdapterPart::Newest, "adapter.gguf", "--lora"),
    ] {
        let dir = root.path().join(format!("{layout:?} {part:?}"));
        let proof = export::adapter(&subject, layout, part, &dir, &mut go_on).unwrap();
        assert!(proof.difference < 1e-4, "{layout:?} {part:?}: {proof:?}");
        assert!(proof.effect > 0.1 && dir.join(file).is_file());
        let card = fs::read_to_string(dir.join("README.md")).unwrap();
        assert!(card.contains(command) && card.contains(&*below), "{card}");
        assert_eq!(card.contains("alone it is not what was trained"), part == AdapterPart::Newest);
        let report = json(&dir.join("report.json"));
        assert_eq!(report["layout"], layout.name());
        let on_top_of = report["on_top_of"].as_array().unwrap().len();
        assert_eq!(on_top_of, usize::from(part == AdapterPart::Newest));
    }
}

#[test]
fn every_template_of_a_folder_goes_along() {
    let fixture = fixture::one("smollm");
    let base = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&fixture.folder).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, base.path().join(from.file_name().unwrap())).unwrap();
    }
    let more = base.path().join("additional_chat_templates");
    fs::create_dir(&more).unwrap();
    for (name, text) in [("tool_use.jinja", "TOOL:{{ messages[0].content }}"), ("rag.jinja", "RAG"), ("notes.txt", "-")]
    {
        fs::write(more.join(name), text).unwrap();
    }
    let root = tempfile::tempdir().unwrap();
    let (adapter, whole) = (root.path().join("adapter"), root.path().join("merged"));
    export_adapter(&fixture.lora(), base.path(), &probes(&fixture), &adapter, false).unwrap();
    let about = about();
    let policy = fixture.lora();
    let subject =
        Subject { policy: &policy, folder: base.path(), probes: &probes(&fixture), about: &about, overwrite: false };
    export::merged(&subject, &whole, WHOLE, &mut go_on).unwrap();
    for dir in [adapter, whole] {
        let mut names: Vec<_> = fs::read_dir(dir.join("additional_chat_templates"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["rag.jinja", "tool_use.jinja"]);
        let with_tools: Conversation =
            serde_json::from_str(r#"{"messages": [{"role": "user", "content": "x"}], "tools": []}"#).unwrap();
        let codec = Codec::load(&dir).unwrap();
        assert_eq!(codec.render_conversation(&with_tools, false).unwrap(), "TOOL:x");
    }
}
