//! Adapters in every layout compute the same change of the weights, by each reader's own formula; and an adapter that
//! is trained further starts, and has its reference, where it stood.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, Tensor};
use nudge::{
    gguf::Gguf,
    model::{
        AdamW, AdamWOptions, Doc, LoadOptions, MergedOptions, Policy, Row, Spec,
        adapter::{self, AdapterFormat, AdapterPart},
        write_merged,
    },
};
use serde_json::{Value, json};

use crate::fixture::{self, Fixture, elements, largest_difference};

type Deltas = BTreeMap<String, Tensor>;

/// ΔW by module path, from the factors that the policy was given.
fn expected(fixture: &Fixture, scale: f64) -> Deltas {
    let tensors: HashMap<String, Tensor> = fixture.adapter_tensors().into_iter().collect();
    let halves = tensors.iter().filter_map(|(name, a)| {
        let path = name.strip_prefix("base_model.model.")?;
        let path = path.strip_suffix(".lora_A.weight")?;
        let b = &tensors[&name.replace(".lora_A.", ".lora_B.")];
        Some((path.to_owned(), (b.matmul(a).unwrap() * scale).unwrap()))
    });
    halves.collect()
}

fn assert_same(got: &Deltas, want: &Deltas, what: &str) {
    assert!(got.keys().eq(want.keys()), "{what}: {:?}", got.keys());
    for (path, delta) in want {
        assert_eq!(got[path].dims(), delta.dims(), "{what}: {path}");
        let off = largest_difference(&elements(&got[path]), &elements(delta));
        assert!(off < 1e-6, "{what}: {path} is off by {off:e}");
    }
}

/// As `LoRALinear.fuse` of mlx-lm does it: `((scale * lora_b.T) @ lora_a.T)`, for the modules that `keys` names in each
/// of the last `num_layers` blocks.
fn mlx_deltas(dir: &Path) -> Deltas {
    let text = fs::read_to_string(dir.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["fine_tune_type"], "lora");
    let parameters = &config["lora_parameters"];
    let (rank, scale) = (&parameters["rank"], parameters["scale"].as_f64().unwrap());
    let keys: Vec<&str> = parameters["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    let path = dir.join("adapters.safetensors");
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let mut deltas = Deltas::new();
    for layer in 0..config["num_layers"].as_u64().unwrap() {
        for key in &keys {
            let path = format!("model.layers.{layer}.{key}");
            let half = |end: &str| tensors[&format!("{path}.{end}")].t().unwrap();
            let (a, b) = (half("lora_a"), half("lora_b"));
            assert_eq!(a.dims()[0] as u64, rank.as_u64().unwrap());
            let delta = (b.contiguous().unwrap() * scale).unwrap();
            deltas.insert(path, delta.matmul(&a.contiguous().unwrap()).unwrap());
        }
    }
    assert_eq!(deltas.len() * 2, tensors.len());
    deltas
}

#[test]
fn an_mlx_adapter_is_the_same_change() {
    for name in ["smollm", "phi3_fused", "gemma3"] {
        let fixture = fixture::one(name);
        for (rslora, scale) in [(false, 2.0), (true, 4.0)] {
            let policy = fixture.lora_with(|options| options.adapter.as_mut().unwrap().rslora = rslora);
            let dir = tempfile::tempdir().unwrap();
            adapter::save(&policy, dir.path(), AdapterFormat::Mlx, AdapterPart::Sum, "some/model").unwrap();
            assert_same(&mlx_deltas(dir.path()), &expected(&fixture, scale), name);
        }
    }
}

/// What llama.cpp's converter does to the rows of q and k: `reshape(heads, 2, width / 2, in).swapaxes(1, 2)`.
fn permuted(weight: &Tensor, heads: usize) -> Tensor {
    let (rows, columns) = weight.dims2().unwrap();
    let halves = weight.reshape((heads, 2, rows / heads / 2, columns)).unwrap();
    let pairs = halves.transpose(1, 2).unwrap().contiguous().unwrap();
    pairs.reshape((rows, columns)).unwrap()
}

/// As llama.cpp applies it: `alpha / rank · lora_b lora_a` on the tensor of the name before `.lora_a`.
fn gguf_deltas(dir: &Path, architecture: &str) -> Deltas {
    let file = Gguf::open(&dir.join("adapter.gguf")).unwrap();
    assert_eq!(file.text("general.type"), Some("adapter"));
    assert_eq!(file.text("adapter.type"), Some("lora"));
    assert_eq!(file.text("general.architecture"), Some(architecture));
    let alpha = file.number("adapter.lora.alpha").unwrap();
    let tensor = |name: &str| {
        let info = file.tensor(name).unwrap();
        let bytes = &file.bytes()[info.bytes.clone()];
        let numbers = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        Tensor::from_vec(numbers.collect(), info.shape.as_slice(), &Device::Cpu).unwrap()
    };
    let names = file.tensor_names().filter_map(|name| name.strip_suffix(".lora_a"));
    names
        .map(|name| {
            let (a, b) = (tensor(&format!("{name}.lora_a")), tensor(&format!("{name}.lora_b")));
            let scale = alpha / b.dims()[1] as f64;
            (name.to_owned(), (b.matmul(&a).unwrap() * scale).unwrap())
        })
        .collect()
}

#[test]
fn a_gguf_adapter_is_the_same_change_in_llama_cpps_order() {
    for (name, architecture, interleaves) in [
        ("llama_gqa_rope3", "llama", true),
        ("mistral_window", "llama", true),
        ("qwen3_qknorm", "qwen3", false),
        ("phi3_fused", "phi3", false),
        ("gemma2", "gemma2", false),
    ] {
        let fixture = fixture::one(name);
        let policy = fixture.lora_with(|options| options.adapter.as_mut().unwrap().rslora = true);
        let dir = tempfile::tempdir().unwrap();
        adapter::save(&policy, dir.path(), AdapterFormat::Gguf, AdapterPart::Sum, "some/model").unwrap();
        let spec = policy.spec();
        let want = expected(&fixture, 4.0).into_iter().map(|(path, delta)| {
            let path = path.replace("model.layers.", "blk.");
            let (block, module) = path.rsplit_once('.').unwrap();
            let block = block.rsplit_once('.').unwrap().0;
            let (part, heads) = match module {
                "q_proj" => ("attn_q", Some(spec.heads)),
                "k_proj" => ("attn_k", Some(spec.kv_heads)),
                "v_proj" => ("attn_v", None),
                "qkv_proj" => ("attn_qkv", None),
                "o_proj" => ("attn_output", None),
                "gate_proj" => ("ffn_gate", None),
                "up_proj" | "gate_up_proj" => ("ffn_up", None),
                "down_proj" => ("ffn_down", None),
                other => panic!("{other}"),
            };
            let delta = match heads.filter(|_| interleaves) {
                Some(heads) => permuted(&delta, heads),
                None => delta,
            };
            (format!("{block}.{part}.weight"), delta)
        });
        assert_same(&gguf_deltas(dir.path(), architecture), &want.collect(), name);
    }
}

fn logits(policy: &Policy, fixture: &Fixture) -> Vec<f64> {
    let input = fixture.pairs().remove(0).concat();
    elements(&policy.logits(&input).unwrap())
}

fn on_top_of(fixture: &Fixture, adapters: &[&Path]) -> Policy {
    fixture.load(&LoadOptions {
        frozen_adapters: adapters.iter().map(|&path| path.to_owned()).collect(),
        ..LoadOptions::default()
    })
}

#[test]
fn every_layout_reads_back_as_the_policy() {
    for name in ["llama_gqa_rope3", "qwen2_bias", "gemma3", "phi3_fused"] {
        let fixture = fixture::one(name);
        let stacked = fixture.lora_with(|options| {
            options.frozen_adapters.push(fixture.adapter.clone());
            options.adapter.as_mut().unwrap().rslora = true;
        });
        let want = logits(&stacked, &fixture);
        let base = logits(&fixture.base(), &fixture);
        assert!(largest_difference(&want, &base) > 0.1);
        for layout in AdapterFormat::ALL {
            for part in [AdapterPart::Sum, AdapterPart::Newest] {
                let dir = tempfile::tempdir().unwrap();
                adapter::save(&stacked, dir.path(), layout, part, "some/model").unwrap();
                let adapters: &[&Path] = match part {
                    AdapterPart::Sum => &[dir.path()],
                    AdapterPart::Newest => &[&fixture.adapter, dir.path()],
                };
                let got = logits(&on_top_of(&fixture, adapters), &fixture);
                let off = largest_difference(&got, &want);
                assert!(off < 2e-4, "{name} {layout:?} {part:?}: off by {off:e}");
            }
        }
    }
}

#[test]
fn an_adapter_of_another_layout_that_is_not_understood_is_refused() {
    let fixture = fixture::one("smollm");
    let spec = Spec::read(&fixture.folder).unwrap();
    let policy = fixture.lora();
    let dir = tempfile::tempdir().unwrap();
    let refusal = |path: &Path, spec: &Spec| adapter::load(path, spec).unwrap_err().to_string();

    let mlx = dir.path().join("mlx");
    adapter::save(&policy, &mlx, AdapterFormat::Mlx, AdapterPart::Sum, "some/model").unwrap();
    let config = mlx.join("adapter_config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"lora\"", "\"dora\"")).unwrap();
    assert!(refusal(&mlx, &spec).contains("dora"));
    fs::write(&config, text).unwrap();
    // PEFT's orientation under mlx-lm's names.
    let path = mlx.join("adapters.safetensors");
    let tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let turned: HashMap<String, Tensor> =
        tensors.into_iter().map(|(name, tensor)| (name, tensor.t().unwrap().contiguous().unwrap())).collect();
    candle_core::safetensors::save(&turned, &path).unwrap();
    assert!(refusal(&mlx, &spec).contains("transposed"));

    let gguf = dir.path().join("gguf");
    adapter::save(&policy, &gguf, AdapterFormat::Gguf, AdapterPart::Sum, "some/model").unwrap();
    let file = gguf.join("adapter.gguf");
    assert!(adapter::load(&file, &spec).is_ok(), "the file itself");
    let other = fixture::one("qwen3_qknorm");
    let error = refusal(&file, &Spec::read(&other.folder).unwrap());
    assert!(error.contains("llama") && error.contains("qwen3"), "{error}");
    let error = Policy::load(&file, &LoadOptions::default()).map(|_| ());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("holds an adapter"), "{error}");
    let error = refusal(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/llama_f16.gguf"), &spec);
    assert!(error.contains("general.type"), "{error}");
}

fn step(policy: &mut Policy, fixture: &Fixture) {
    let [prefix, chosen, rejected] = fixture.pairs().remove(0);
    let doc = Doc::new(prefix, vec![chosen, rejected]);
    let row = Row::pack(&[doc]).unwrap();
    let mut optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let pass = policy.forward(&row).unwrap();
    policy.backward(pass, &[-1.0, 1.0]).unwrap();
    policy.update(&mut optimizer, 1e-2, 1.0).unwrap();
}

#[test]
fn an_adapter_trained_further_has_its_reference_where_it_stood() {
    let fixture = fixture::one("llama_gqa_rope3");
    let frozen = on_top_of(&fixture, &[&fixture.adapter]);
    let at_start = logits(&frozen, &fixture);
    let settings = fixture.lora_with(|_| {}).trainable().unwrap();
    for below in [Vec::new(), vec![fixture.adapter.clone()]] {
        let mut policy = fixture.load(&LoadOptions {
            continued: Some(fixture.adapter.clone()),
            frozen_adapters: below.clone(),
            ..LoadOptions::default()
        });
        let first = logits(&policy, &fixture);
        if below.is_empty() {
            assert!(largest_difference(&first, &at_start) < 1e-4);
            assert_eq!(policy.identity(), frozen.identity(), "the same reference");
            assert_eq!(policy.trainable().unwrap().len(), settings.len());
        }
        step(&mut policy, &fixture);
        let trained = logits(&policy, &fixture);
        assert!(largest_difference(&trained, &first) > 1e-2, "it moved");
        let input = fixture.pairs().remove(0).concat();
        let reference = elements(&policy.reference_logits(&input).unwrap());
        assert!(largest_difference(&reference, &first) < 1e-4, "as it stood, not the bare base");

        let dir = tempfile::tempdir().unwrap();
        adapter::save(&policy, dir.path(), AdapterFormat::Peft, AdapterPart::Newest, "some/model").unwrap();
        let mut adapters: Vec<&Path> = below.iter().map(PathBuf::as_path).collect();
        adapters.push(dir.path());
        let back = logits(&on_top_of(&fixture, &adapters), &fixture);
        assert!(largest_difference(&back, &trained) < 1e-4);
    }
}

/// Weights that are all trained, over an adapter that is frozen into the reference: both are in the merged model.
#[test]
fn full_weights_over_a_frozen_adapter_are_merged_with_it() {
    let fixture = fixture::one("smollm");
    let mut policy = fixture.load(&LoadOptions {
        full: true,
        frozen_adapters: vec![fixture.adapter.clone()],
        ..LoadOptions::default()
    });
    step(&mut policy, &fixture);
    let want = logits(&policy, &fixture);
    let dir = tempfile::tempdir().unwrap();
    let options = MergedOptions { stored: None, max_shard_bytes: u64::MAX };
    let go_on = &mut |_: f32| ControlFlow::Continue(());
    write_merged(&policy, &fixture.folder, dir.path(), options, go_on).unwrap();
    let merged = Policy::load(dir.path(), &LoadOptions::default()).unwrap();
    let off = largest_difference(&logits(&merged, &fixture), &want);
    assert!(off < 1e-4, "off by {off:e}");
}

/// PEFT reads what its config names and leaves the rest unread without a word; a scale of 0 is no start for training.
#[test]
fn a_config_that_says_less_than_its_file_is_refused() {
    let fixture = fixture::one("smollm");
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixture.adapter.join("adapter_model.safetensors"), dir.path().join("adapter_model.safetensors")).unwrap();
    let text = fs::read_to_string(fixture.adapter.join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let load = |change: &dyn Fn(&mut Value), further: bool| {
        let mut config = config.clone();
        change(&mut config);
        fs::write(dir.path().join("adapter_config.json"), config.to_string()).unwrap();
        let adapter = dir.path().to_owned();
        let options = if further {
            LoadOptions { continued: Some(adapter), ..LoadOptions::default() }
        } else {
            LoadOptions { frozen_adapters: vec![adapter], ..LoadOptions::default() }
        };
        let loaded = Policy::load(&fixture.folder, &options);
        loaded.map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(load(&|_| {}, false), Ok(()));
    for change in [
        |config: &mut Value| config["target_modules"] = json!(["q_proj"]),
        |config: &mut Value| config["target_modules"] = json!(r".*\.layers\.0\..*"),
        |config: &mut Value| config["layers_to_transform"] = json!([0]),
        |config: &mut Value| config["exclude_modules"] = json!(["v_proj"]),
    ] {
        let error = load(&change, false).unwrap_err();
        assert!(error.contains("leaves that layer out"), "{error}");
    }
    let silent = |config: &mut Value| config["lora_alpha"] = json!(0);
    assert_eq!(load(&silent, false), Ok(()), "of no effect, but no fault");
    let error = load(&silent, true).unwrap_err();
    assert!(error.contains("would change nothing"), "{error}");
}

#[test]
fn what_is_not_read_of_an_adapter_is_named() {
    let fixture = fixture::one("smollm");
    let spec = Spec::read(&fixture.folder).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::copy(fixture.adapter.join("adapter_config.json"), dir.path().join("adapter_config.json")).unwrap();
    let refusal = || adapter::load(dir.path(), &spec).unwrap_err().to_string();
    fs::write(dir.path().join("adapter_model.bin"), "PK").unwrap();
    assert!(refusal().contains("a pickle"), "{}", refusal());
    let path = fixture.adapter.join("adapter_model.safetensors");
    let mut tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let half = |shape: (usize, usize)| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    for (end, shape) in [("A", (4, 8)), ("B", (8, 4))] {
        tensors.insert(format!("base_model.model.lm_head.lora_{end}.weight"), half(shape));
    }
    let file = dir.path().join("adapter_model.safetensors");
    candle_core::safetensors::save(&tensors, &file).unwrap();
    assert!(refusal().contains("output layer"), "{}", refusal());
    tensors.insert("base_model.model.lm_head.weight".to_owned(), half((8, 8)));
    candle_core::safetensors::save(&tensors, &file).unwrap();
    assert!(refusal().contains("saved whole"), "{}", refusal());
}
