//! Models that read images too, as folders have them: their text part is trained, the rest stays as it is, and what is
//! written fits the whole model. `families.rs` compares their numbers with Transformers'.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::PathBuf};

use nudge::{
    data::config::Targets,
    gguf::Gguf,
    model::{
        AdapterShape, LoadOptions, MergedOptions, Policy, WeightType,
        adapter::{self, AdapterFormat, AdapterPart},
        write_merged,
    },
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value as Json;

use crate::fixture::{elements, largest_difference};

fn folder(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/families").join(name)
}

const BOTH: [&str; 2] = ["gemma3_whole", "mistral3_whole"];

/// A policy with an adapter whose A and B are not zero, but for a full one.
fn trained(name: &str, full: bool) -> Policy {
    let options = LoadOptions {
        full,
        adapter: (!full).then_some(AdapterShape {
            rank: 2,
            alpha: 4.0,
            rslora: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            seed: 0,
        }),
        ..LoadOptions::default()
    };
    let mut policy = Policy::load(&folder(name), &options).unwrap();
    for (name, tensor) in policy.trainable().unwrap() {
        let moved = tensor.to_vec::<f32>().unwrap().iter().map(|value| value + 0.05).collect();
        policy.set_tensor(&name, moved).unwrap();
    }
    policy
}

fn logits(policy: &Policy) -> Vec<f64> {
    elements(&policy.logits(&[3, 1, 4, 15, 9, 2, 6]).unwrap())
}

/// Element type, shape and bytes of each tensor of a file.
fn tensors(path: PathBuf) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            let content = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), content)
        })
        .collect()
}

#[test]
fn an_adapter_has_the_names_of_the_whole_model() {
    for name in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let policy = trained(name, false);
        adapter::save(&policy, dir.path(), AdapterFormat::Peft, AdapterPart::Sum, name).unwrap();
        let written = tensors(dir.path().join("adapter_model.safetensors"));
        let inside = "base_model.model.model.language_model.layers.";
        assert!(written.keys().all(|key| key.starts_with(inside)), "{name}");
        let config = fs::read_to_string(dir.path().join("adapter_config.json")).unwrap();
        let config: Json = serde_json::from_str(&config).unwrap();
        // An expression: the tower's layers have the same names.
        let targets = config["target_modules"].as_str().unwrap();
        assert!(targets.contains("language_model") && targets.contains("q_proj"), "{targets}");
        let again = LoadOptions { frozen_adapters: vec![dir.path().to_owned()], ..LoadOptions::default() };
        let again = Policy::load(&folder(name), &again).unwrap();
        let off = largest_difference(&logits(&again), &logits(&policy));
        assert!(off < 1e-4, "{name}: off by {off:e}");
    }
}

#[test]
fn other_layouts_have_the_names_of_the_whole_model() {
    for (name, architecture) in [("gemma3_whole", "gemma3"), ("mistral3_whole", "mistral3")] {
        let policy = trained(name, false);
        let dir = tempfile::tempdir().unwrap();
        let (mlx, gguf) = (dir.path().join("mlx"), dir.path().join("gguf"));
        adapter::save(&policy, &mlx, AdapterFormat::Mlx, AdapterPart::Sum, name).unwrap();
        adapter::save(&policy, &gguf, AdapterFormat::Gguf, AdapterPart::Sum, name).unwrap();
        let written = tensors(mlx.join("adapters.safetensors"));
        let inside = "language_model.model.layers.";
        assert!(written.keys().all(|key| key.starts_with(inside)), "{name}");
        let file = Gguf::open(&gguf.join("adapter.gguf")).unwrap();
        assert_eq!(file.text("general.architecture"), Some(architecture));
        for adapter in [mlx, gguf] {
            let again = LoadOptions { frozen_adapters: vec![adapter], ..LoadOptions::default() };
            let again = Policy::load(&folder(name), &again).unwrap();
            let off = largest_difference(&logits(&again), &logits(&policy));
            assert!(off < 1e-4, "{name}: off by {off:e}");
        }
    }
}

/// What PEFT writes when it trains every layer of these names: those of the tower too.
#[test]
fn an_adapter_of_the_whole_model_is_read_for_its_text_part() {
    let dir = tempfile::tempdir().unwrap();
    let policy = trained("gemma3_whole", false);
    adapter::save(&policy, dir.path(), AdapterFormat::Peft, AdapterPart::Sum, "x").unwrap();
    let path = dir.path().join("adapter_model.safetensors");
    for (text, tower) in [("model.language_model", "model.vision_tower"), ("language_model.model", "vision_tower")] {
        let all: std::collections::HashMap<String, candle_core::Tensor> =
            candle_core::safetensors::load(&path, &candle_core::Device::Cpu)
                .unwrap()
                .into_iter()
                .flat_map(|(name, tensor)| {
                    let of_tower = name.replace("model.language_model.layers", &format!("{tower}.encoder.layers"));
                    [(name.replace("model.language_model", text), tensor.clone()), (of_tower, tensor)]
                })
                .collect();
        let other = tempfile::tempdir().unwrap();
        candle_core::safetensors::save(&all, other.path().join("adapter_model.safetensors")).unwrap();
        fs::copy(dir.path().join("adapter_config.json"), other.path().join("adapter_config.json")).unwrap();
        let again = LoadOptions { frozen_adapters: vec![other.path().to_owned()], ..LoadOptions::default() };
        let again = Policy::load(&folder("gemma3_whole"), &again).unwrap();
        assert_eq!(logits(&again), logits(&policy), "{text}");
    }
}

#[test]
fn a_merged_model_keeps_all_that_was_not_trained_bit_for_bit() {
    for name in BOTH {
        for full in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let policy = trained(name, full);
            let options = MergedOptions { stored: None, max_shard_bytes: u64::MAX };
            write_merged(&policy, &folder(name), dir.path(), options, &mut |_| ControlFlow::Continue(())).unwrap();
            let config = |dir: &std::path::Path| fs::read(dir.join("config.json")).unwrap();
            assert_eq!(config(dir.path()), config(&folder(name)), "{name}");
            let before = tensors(folder(name).join("model.safetensors"));
            let after = tensors(dir.path().join("model.safetensors"));
            assert!(before.keys().eq(after.keys()), "{name}");
            let mut changed = 0;
            for (key, content) in &before {
                let of_text = key.contains("language_model") || key.contains("lm_head");
                changed += usize::from(after[key] != *content);
                assert!(of_text || after[key] == *content, "{name}: {key}");
            }
            assert!(changed > 10, "{name}: {changed}");
            let merged = Policy::load(dir.path(), &LoadOptions::default()).unwrap();
            assert_eq!(merged.spec(), policy.spec());
            let off = largest_difference(&logits(&merged), &logits(&policy));
            assert!(off < 1e-4, "{name}: off by {off:e}");
        }
    }
}

#[test]
fn another_element_type_is_said_in_both_configs() {
    let dir = tempfile::tempdir().unwrap();
    let policy = trained("gemma3_whole", false);
    let options = MergedOptions { stored: Some(WeightType::Bf16), max_shard_bytes: 20_000 };
    write_merged(&policy, &folder("gemma3_whole"), dir.path(), options, &mut |_| ControlFlow::Continue(())).unwrap();
    let config = fs::read_to_string(dir.path().join("config.json")).unwrap();
    let config: Json = serde_json::from_str(&config).unwrap();
    assert_eq!(config["dtype"], "bfloat16");
    let merged = Policy::load(dir.path(), &LoadOptions::default()).unwrap();
    assert_eq!(merged.spec().part_of, Some("gemma3"));
}

/// Two tables that differ are two, whatever the config says, as in Transformers; equal ones are one.
#[test]
fn a_head_of_its_own_counts_even_where_the_config_ties_it() {
    let source = folder("gemma3_whole");
    let load = |table: candle_core::Tensor| {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
        let path = source.join("model.safetensors");
        let mut all = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
        all.insert("language_model.lm_head.weight".to_owned(), table);
        candle_core::safetensors::save(&all, dir.path().join("model.safetensors")).unwrap();
        Policy::load(dir.path(), &LoadOptions::default()).unwrap()
    };
    let path = source.join("model.safetensors");
    let all = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    let table = &all["language_model.model.embed_tokens.weight"];
    assert!(load(table.clone()).spec().tied);
    let apart = load((table * 2.0).unwrap());
    let whole = Policy::load(&source, &LoadOptions::default()).unwrap();
    assert!(whole.spec().tied && !apart.spec().tied);
    let twice: Vec<f64> = logits(&whole).iter().map(|logit| logit * 2.0).collect();
    assert!(largest_difference(&logits(&apart), &twice) < 1e-5);
}

/// As `AutoModel` saves a decoder: without its head, and without the name that this would put in front.
#[test]
fn a_model_saved_without_its_head_is_read_where_the_head_is_tied() {
    let source = crate::fixture::one("smollm").folder;
    let path = source.join("model.safetensors");
    let all = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    let bare = all.into_iter().map(|(name, tensor)| (name.trim_start_matches("model.").to_owned(), tensor));
    let dir = tempfile::tempdir().unwrap();
    fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
    candle_core::safetensors::save(
        &bare.collect::<std::collections::HashMap<_, _>>(),
        dir.path().join("model.safetensors"),
    )
    .unwrap();
    let load = |folder| Policy::load(folder, &LoadOptions::default()).unwrap();
    assert_eq!(logits(&load(dir.path())), logits(&load(&source)));
}
