//! Folders in and out: adapters, merged weights, identities, models from scratch, and folders that are refused.

use std::{fs, path::Path};

use nudge::{
    data::config::Targets,
    model::{
        AdamW, AdamWOptions, AdapterShape, Doc, LoadOptions, Policy, Row, Spec, WeightType,
        adapter::{self, AdapterFormat, AdapterPart},
        init, save_merged,
    },
};

use crate::fixture::{self, elements, largest_difference};

const FIXTURE: &str = "smollm";

#[test]
fn a_saved_adapter_is_the_policy_again() {
    let fixture = fixture::one(FIXTURE);
    let input = fixture.pairs().remove(0).concat();
    let dir = tempfile::tempdir().unwrap();
    for (rslora, frozen_below) in [(false, false), (true, false), (false, true)] {
        let policy = fixture.lora_with(|options| {
            options.adapter.as_mut().unwrap().rslora = rslora;
            if frozen_below {
                options.frozen_adapters.push(fixture.adapter.clone());
            }
        });
        adapter::save(&policy, dir.path(), AdapterFormat::Peft, AdapterPart::Sum, "some/model").unwrap();
        let loaded =
            fixture.load(&LoadOptions { frozen_adapters: vec![dir.path().to_owned()], ..LoadOptions::default() });
        let want = elements(&policy.logits(&input).unwrap());
        let off = largest_difference(&elements(&loaded.logits(&input).unwrap()), &want);
        assert!(off < 1e-4, "rslora {rslora}, frozen below {frozen_below}: off by {off:e}");
        let base = elements(&policy.reference_logits(&input).unwrap());
        assert!(largest_difference(&base, &want) > 0.1, "the adapter does something");
    }
    let config = fs::read_to_string(dir.path().join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["r"], 8, "two adapters of rank 4 stacked");
    assert_eq!(config["base_model_name_or_path"], "some/model");
}

#[test]
fn a_merged_model_needs_no_adapter() {
    let fixture = fixture::one(FIXTURE);
    let input = fixture.pairs().remove(0).concat();
    let policy = fixture.lora_with(|options| options.frozen_adapters.push(fixture.adapter.clone()));
    let want = elements(&policy.logits(&input).unwrap());
    let dir = tempfile::tempdir().unwrap();
    for (stored, tolerance) in [(WeightType::F32, 1e-4), (WeightType::F16, 0.05), (WeightType::Bf16, 0.5)] {
        save_merged(&policy, dir.path(), stored).unwrap();
        let merged = Policy::load(dir.path(), &LoadOptions::default()).unwrap();
        assert_eq!(merged.spec(), policy.spec());
        let off = largest_difference(&elements(&merged.logits(&input).unwrap()), &want);
        assert!(off < tolerance, "{stored:?}: off by {off:e}");
    }
}

#[test]
fn an_adapter_that_is_not_understood_is_refused_by_name() {
    let fixture = fixture::one(FIXTURE);
    let spec = Spec::read(&fixture.folder).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = |name: &str| fs::copy(fixture.adapter.join(name), dir.path().join(name)).unwrap();
    copy("adapter_model.safetensors");
    let good = fs::read_to_string(fixture.adapter.join("adapter_config.json")).unwrap();
    for (from, to, what) in [
        (r#""use_dora": false"#, r#""use_dora": true"#, "use_dora"),
        (r#""peft_type": "LORA""#, r#""peft_type": "IA3""#, "IA3"),
        (r#""bias": "none""#, r#""bias": "all""#, "bias"),
        (r#""r": 4"#, r#""r": 8"#, "rank"),
        (r#""alpha_pattern": {}"#, r#""alpha_pattern": {"(q_proj": 2}"#, "alpha_pattern"),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good);
        fs::write(dir.path().join("adapter_config.json"), changed).unwrap();
        let error = adapter::load(dir.path(), &spec).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
    copy("adapter_config.json");
    let mut other = spec;
    other.layers.truncate(1);
    let error = adapter::load(dir.path(), &other).unwrap_err().to_string();
    assert!(error.contains("layers.1."), "{error}");
}

#[test]
fn adapters_are_read_however_their_tensors_are_called() {
    let fixture = fixture::one(FIXTURE);
    let input = fixture.pairs().remove(0).concat();
    let dir = tempfile::tempdir().unwrap();
    let config = fs::read_to_string(fixture.adapter.join("adapter_config.json")).unwrap();
    let logits = |adapter: &Path| {
        let policy = fixture.load(&LoadOptions { frozen_adapters: vec![adapter.to_owned()], ..LoadOptions::default() });
        elements(&policy.logits(&input).unwrap())
    };
    let want = logits(&fixture.adapter);
    for (from, to) in [
        (".weight", ".default.weight"),
        (".weight", ".my_adapter.weight"),
        ("base_model.model.model.", "base_model.model."),
        ("base_model.model.", ""),
    ] {
        let renamed: std::collections::HashMap<String, candle_core::Tensor> =
            fixture.adapter_tensors().into_iter().map(|(name, tensor)| (name.replacen(from, to, 1), tensor)).collect();
        let path = dir.path().join("adapter_model.safetensors");
        candle_core::safetensors::save(&renamed, path).unwrap();
        fs::write(dir.path().join("adapter_config.json"), &config).unwrap();
        assert_eq!(logits(dir.path()), want, "{from} as {to}");
        // alpha 8 everywhere, said another way.
        let changed = config.replace(r#""lora_alpha": 8"#, r#""lora_alpha": 1"#).replace(
            r#""alpha_pattern": {}"#,
            r#""alpha_pattern": {"mlp.down_proj": 8, "self_attn.o_proj": 8, "q_proj": 8, "k_proj": 8, "v_proj": 8, "up_proj": 8, "gate_proj": 8}"#,
        );
        assert_ne!(changed, config);
        fs::write(dir.path().join("adapter_config.json"), changed).unwrap();
        assert_eq!(logits(dir.path()), want, "alpha by layer");
    }
}

#[test]
fn the_identity_names_what_the_reference_is() {
    let fixture = fixture::one(FIXTURE);
    let base = fixture.base();
    assert_eq!(base.identity().len(), 64);
    assert_eq!(base.identity(), fixture.lora().identity(), "a new adapter is not part of the reference");
    assert_eq!(base.identity(), fixture.full().identity());
    let with_adapter =
        fixture.load(&LoadOptions { frozen_adapters: vec![fixture.adapter.clone()], ..LoadOptions::default() });
    assert_ne!(base.identity(), with_adapter.identity());

    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture.folder.join(name), dir.path().join(name)).unwrap();
    }
    let load = |dir: &Path| Policy::load(dir, &LoadOptions::default()).unwrap().identity().to_owned();
    assert_eq!(load(dir.path()), base.identity(), "a moved folder is the same model");
    let path = dir.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    assert_ne!(load(dir.path()), base.identity());
}

fn tiny_spec() -> Spec {
    Spec::parse(
        r#"{"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": true, "mlp_bias": true}"#,
    )
    .unwrap()
}

#[test]
fn a_model_made_from_scratch_is_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let spec = tiny_spec();
    init::write_random(dir.path(), &spec, 3).unwrap();
    let mut policy = Policy::load(dir.path(), &LoadOptions { full: true, ..LoadOptions::default() }).unwrap();
    assert_eq!(policy.spec(), &spec);
    assert_eq!(policy.trainable_parameters(), spec.parameters());
    assert_eq!(policy.total_parameters(), spec.parameters());

    // It learns a text by heart.
    let row = Row::pack(&[Doc::text(&[1, 5, 9, 2, 30, 31, 7]).unwrap()]).unwrap();
    let mut optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let mut total = 0.0;
    for _ in 0..60 {
        policy.gradients().zero().unwrap();
        let pass = policy.forward(&row).unwrap();
        total = pass.log_probs()[0].iter().sum();
        policy.backward(pass, &[-1.0]).unwrap();
        policy.update(&mut optimizer, 1e-2, 1.0).unwrap();
    }
    assert!(total > -1.0, "log-prob of the text is still {total}");
}

#[test]
fn a_fresh_adapter_changes_nothing_and_unused_requests_are_refused() {
    let fixture = fixture::one(FIXTURE);
    let shape = |targets| AdapterShape { rank: 3, alpha: 6.0, rslora: false, dropout: 0.0, targets, seed: 9 };
    let names = |names: &[&str]| Targets::Names(names.iter().map(|&name| name.to_owned()).collect());
    let load = |targets| {
        let options = LoadOptions { adapter: Some(shape(targets)), ..LoadOptions::default() };
        Policy::load(&fixture.folder, &options)
    };
    let policy = load(names(&["q_proj", "down_proj"])).unwrap();
    let spec = policy.spec();
    let per_layer = 3 * (spec.hidden_size + spec.query_width() + spec.intermediate_size + spec.hidden_size);
    assert_eq!(policy.trainable_parameters(), spec.layers.len() * per_layer);
    let input = fixture.pairs().remove(0).concat();
    let want = elements(&fixture.base().logits(&input).unwrap());
    assert_eq!(elements(&policy.logits(&input).unwrap()), want);

    let error = load(names(&["q_proj", "wq"])).err().unwrap().to_string();
    assert!(error.contains("`wq`") && error.contains("gate_proj"), "{error}");
    let row = Row::pack(&[Doc::text(&input).unwrap()]).unwrap();
    assert!(fixture.base().forward(&row).is_err(), "nothing is trained");
    let outside = Row::pack(&[Doc::text(&[1, 512]).unwrap()]).unwrap();
    let error = policy.log_probs(&outside).unwrap_err().to_string();
    assert!(error.contains("512"), "{error}");
}

#[test]
fn a_bad_folder_costs_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    init::write_random(folder, &tiny_spec(), 0).unwrap();
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    let refuse = |what: &str| {
        let error = Policy::load(folder, &LoadOptions::default()).err().unwrap().to_string();
        assert!(error.contains(what), "{error}");
    };
    for (from, to, what) in [
        (r#""hidden_size": 16"#, r#""hidden_size": 32"#, "has shape [40, 16], expected [40, 32]"),
        (r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 1024"#, "`model.layers.2."),
        (r#""tie_word_embeddings": false"#, r#""tie_word_embeddings": 1"#, "tie_word_embeddings"),
        (r#""vocab_size": 40"#, r#""vocab_size": 4000000000000"#, "vocab_size"),
        (r#""model_type": "llama""#, r#""model_type": "zebra""#, "`zebra`"),
    ] {
        let changed = config.replace(from, to);
        assert_ne!(changed, config, "{from}");
        fs::write(folder.join("config.json"), changed).unwrap();
        refuse(what);
    }
    fs::write(folder.join("config.json"), &config).unwrap();
    fs::write(folder.join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    refuse("partly downloaded");
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    refuse("only safetensors");
    fs::remove_file(folder.join("config.json")).unwrap();
    refuse("config.json");
    fs::create_dir(folder.join("config.json")).unwrap();
    refuse("not a file");
}

#[cfg(unix)]
#[test]
fn a_model_of_the_cache_is_found_by_name_through_its_links() {
    let fixture = fixture::one("llama_mha");
    let cache = tempfile::tempdir().unwrap();
    let entry = cache.path().join("models--org--tiny");
    let snapshot = entry.join("snapshots/0123abc");
    for folder in [&entry.join("blobs"), &entry.join("refs"), &snapshot] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(entry.join("refs/main"), "0123abc").unwrap();
    // As huggingface_hub keeps them: the file under its hash, and a relative link with its name.
    for (index, file) in std::fs::read_dir(&fixture.folder).unwrap().flatten().enumerate() {
        if file.path().is_file() {
            let blob = format!("hash{index}");
            std::fs::copy(file.path(), entry.join("blobs").join(&blob)).unwrap();
            let target = std::path::Path::new("../../blobs").join(blob);
            std::os::unix::fs::symlink(target, snapshot.join(file.file_name())).unwrap();
        }
    }
    let hub_cache = nudge::model::HubCache::at(cache.path());
    let names: Vec<String> = hub_cache.entries().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["org/tiny"]);
    let folder = hub_cache.resolve(std::path::Path::new("org/tiny")).unwrap();
    assert_eq!(folder, snapshot);
    let survey = nudge::model::Survey::of(&folder).unwrap();
    assert!(survey.bytes > 1000, "files behind the links are counted");
    let policy = nudge::model::Policy::load(&folder, &nudge::model::LoadOptions::default()).unwrap();
    assert_eq!(policy.identity(), fixture.base().identity());
}
