//! Models in GGUF files and weights in blocks: the numbers of Transformers on the dequantised weights, gradients of the
//! dequantised twin, training that stays beside f32.
//!
//! The files in `tests/fixtures/gguf` were written with llama.cpp's own `gguf` package, rows of q and k in its order;
//! `logits.safetensors` holds some rows of what Transformers computes on the same weights, widened by that package.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use nudge::{
    data::{
        Prompt,
        config::{Precision, Targets},
    },
    model::{AdamW, AdamWOptions, AdapterShape, Doc, LoadOptions, Policy, Row, Spec, WeightType, save_merged},
    text::Codec,
};

use crate::fixture::{self, elements, largest_difference, relative};

const FILES: [&str; 4] = ["llama_f16", "llama_q8_0", "llama_k", "llama_low"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn file(name: &str) -> PathBuf {
    root().join(format!("tests/fixtures/gguf/{name}.gguf"))
}

fn options(precision: Precision) -> LoadOptions {
    LoadOptions { precision, ..LoadOptions::default() }
}

fn adapted(precision: Precision) -> LoadOptions {
    LoadOptions {
        adapter: Some(AdapterShape {
            rank: 4,
            alpha: 8.0,
            rslora: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            seed: 3,
        }),
        ..options(precision)
    }
}

/// The sequence that the files' expected logits are of.
fn ids() -> Vec<u32> {
    (0..40).map(|i| (7 * i * i + 3) % 128).collect()
}

fn logits(model: &Path, precision: Precision, ids: &[u32]) -> Vec<f64> {
    let policy = Policy::load(model, &options(precision)).unwrap();
    elements(&policy.logits(ids).unwrap())
}

#[test]
fn logits_are_those_of_transformers_on_the_same_weights() {
    let path = root().join("tests/fixtures/gguf/logits.safetensors");
    let expected = candle_core::safetensors::load(path, &candle_core::Device::Cpu).unwrap();
    for name in FILES {
        let want = elements(&expected[name]);
        let size = want.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        for precision in [Precision::Auto, Precision::F32] {
            let all = logits(&file(name), precision, &ids());
            let got: Vec<f64> =
                [0, 1, 17, 39].iter().flat_map(|row| all[row * 128..(row + 1) * 128].to_vec()).collect();
            let off = largest_difference(&got, &want);
            assert!(off < 1e-5 * size, "{name} {precision:?}: off by {off:e} of {size}");
        }
    }
}

#[test]
fn settings_can_be_read_alone() {
    let spec = Spec::read(&file("llama_k")).unwrap();
    assert_eq!((spec.hidden_size, spec.head_dim, spec.tied), (256, 16, false));
    assert!(Spec::read(&file("nothing")).unwrap_err().to_string().contains("nothing.gguf"));
}

#[test]
fn blocks_stay_blocks() {
    let format = |name: &str, precision| Policy::load(&file(name), &options(precision)).unwrap().weight_format();
    assert_eq!(format("llama_f16", Precision::Auto), "f32");
    assert_eq!(format("llama_f16", Precision::Q8_0), "q8_0");
    assert_eq!(format("llama_q8_0", Precision::Auto), "q8_0");
    assert_eq!(format("llama_q8_0", Precision::F32), "f32");
    assert_eq!(format("llama_k", Precision::Auto), "q4_k");
}

/// An adapter with A and B not zero.
fn filled(model: &Path, precision: Precision) -> Policy {
    let mut policy = Policy::load(model, &adapted(precision)).unwrap();
    let mut parts = policy.trainable().unwrap();
    for (index, (_, tensor)) in parts.iter_mut().enumerate() {
        let numbers = tensor.elem_count();
        let values: Vec<f32> = (0..numbers).map(|i| ((i * 37 + index * 11) % 101) as f32 / 505.0 - 0.1).collect();
        *tensor = nudge::kernels::Tensor::from_vec(values, tensor.dims(), &tensor.place()).unwrap();
    }
    policy.set_trainable(&parts).unwrap();
    policy
}

/// Through every frozen matrix: adapters of the first block get their gradients through all that is above.
#[test]
fn gradients_are_those_of_the_dequantised_twin() {
    let doc = Doc::new(ids()[..9].to_vec(), vec![ids()[9..20].to_vec(), ids()[20..39].to_vec()]);
    let row = Row::pack(&[doc]).unwrap();
    for name in ["llama_q8_0", "llama_k", "llama_low"] {
        let run = |precision| {
            let mut policy = filled(&file(name), precision);
            let pass = policy.forward(&row).unwrap();
            let log_probs: Vec<f64> = pass.log_probs().concat().iter().map(|&x| f64::from(x)).collect();
            policy.backward(pass, &[0.7, -0.4]).unwrap();
            let gradients = policy.gradients().to_vec().unwrap();
            (log_probs, gradients.iter().map(|&x| f64::from(x)).collect::<Vec<_>>())
        };
        let (own, twin) = (run(Precision::Auto), run(Precision::F32));
        let off = relative(&own.0, &twin.0);
        assert!(off < 1e-5, "{name}: log-probs off by {off:e}");
        let off = relative(&own.1, &twin.1);
        assert!(off < 1e-5, "{name}: gradients off by {off:e}");
    }
}

/// The stated bounds for rounding on load, as a share of the logits' own spread, on models whose weights are random:
/// real ones lose less.
#[test]
fn rounding_on_load_stays_within_its_bounds() {
    let fixture = fixture::one("llama_gqa_rope3");
    let ids = fixture.input_ids("p0").unwrap();
    let exact = logits(&fixture.folder, Precision::F32, &ids);
    let off = |precision| relative(&logits(&fixture.folder, precision, &ids), &exact);
    let (q8, q4) = (off(Precision::Q8_0), off(Precision::Q4K));
    assert!(q8 > 0.0 && q8 < 0.03, "q8_0: {q8}");
    assert!(q4 > q8 && q4 < 0.2, "q4_k: {q4}");
}

#[test]
fn greedy_answers_do_not_depend_on_company_or_form() {
    let generate = |precision, prompts: &[Vec<u32>]| {
        let policy = Policy::load(&file("llama_k"), &options(precision)).unwrap();
        let options = nudge::model::GenerateOptions { max_new: 24, ..Default::default() };
        policy.generate(prompts, &options, &mut |_, _| std::ops::ControlFlow::Continue(())).unwrap()
    };
    let prompts = [ids()[..5].to_vec(), ids()[5..17].to_vec()];
    let both = generate(Precision::Auto, &prompts);
    assert_eq!(both, generate(Precision::F32, &prompts));
    assert_eq!(both[1..], generate(Precision::Auto, &prompts[1..]));
}

#[test]
fn what_blocks_cannot_do_is_refused_with_what_to_do() {
    let full = |model: &Path, precision| {
        let options = LoadOptions { full: true, ..options(precision) };
        Policy::load(model, &options).map(|_| ()).map_err(|error| error.to_string())
    };
    let fixture = fixture::one("smollm");
    for (model, precision) in [(fixture.folder.clone(), Precision::Q8_0), (file("llama_k"), Precision::Auto)] {
        let error = full(&model, precision).unwrap_err();
        assert!(error.contains("adapter") && error.contains("f32"), "{error}");
    }
    full(&file("llama_k"), Precision::F32).unwrap();
    full(&file("llama_f16"), Precision::Auto).unwrap();

    let dir = tempfile::tempdir().unwrap();
    let policy = filled(&file("llama_k"), Precision::Auto);
    let error = save_merged(&policy, dir.path(), WeightType::F32).unwrap_err().to_string();
    assert!(error.contains("safetensors"), "{error}");
}

/// What was rounded on load is not what an adapter is folded into.
#[test]
fn a_merge_takes_the_weights_before_rounding() {
    let fixture = fixture::one("smollm");
    let merged = |precision| {
        let dir = tempfile::tempdir().unwrap();
        save_merged(&filled(&fixture.folder, precision), dir.path(), WeightType::F32).unwrap();
        std::fs::read(dir.path().join("model.safetensors")).unwrap()
    };
    assert!(merged(Precision::Q4K) == merged(Precision::F32));
}

#[test]
fn another_form_is_another_reference() {
    let fixture = fixture::one("smollm");
    let identity = |precision| {
        let policy = Policy::load(&fixture.folder, &options(precision)).unwrap();
        policy.identity().to_owned()
    };
    assert_ne!(identity(Precision::Q8_0), identity(Precision::F32));
    assert_ne!(identity(Precision::Q8_0), identity(Precision::Q4K));
    assert_eq!(identity(Precision::Auto), identity(Precision::F32));
}

/// Mean NLL of the demo's retention text over some steps of an adapter.
fn training(precision: Precision) -> Vec<f64> {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    let model = root().join("assets/demo/model");
    let rows = ROWS.get_or_init(|| {
        let codec = Codec::load(&model).unwrap();
        let text = std::fs::read_to_string(root().join("assets/demo/retention.txt")).unwrap();
        let docs: Vec<Doc> = text
            .split("\n\n")
            .filter_map(|text| Doc::text(&codec.prompt_ids(&Prompt::Text(text.to_owned())).ok()?))
            .take(24)
            .collect();
        docs.chunks(3).map(|docs| Row::pack(docs).unwrap()).collect()
    });
    let mut policy = Policy::load(&model, &adapted(precision)).unwrap();
    let mut optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let mut losses = Vec::new();
    for step in 0..16 {
        let row = &rows[step % rows.len()];
        policy.gradients().zero().unwrap();
        let pass = policy.forward(row).unwrap();
        let tokens = row.answer_tokens() as f64;
        let sum: f64 = pass.log_probs().concat().iter().map(|&x| f64::from(x)).sum();
        losses.push(-sum / tokens);
        let coefficients = vec![-1.0 / tokens as f32; row.scored().len()];
        policy.backward(pass, &coefficients).unwrap();
        policy.update(&mut optimizer, 3e-3, 1.0).unwrap();
    }
    losses
}

#[test]
fn training_on_a_rounded_base_stays_beside_f32() {
    let exact = training(Precision::F32);
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    assert!(mean(&exact[8..]) < mean(&exact[..8]) - 0.02, "it learns: {exact:?}");
    for (precision, bound) in [(Precision::Q8_0, 0.003), (Precision::Q4K, 0.015)] {
        let losses = training(precision);
        let off = largest_difference(&losses, &exact);
        assert!(off > 0.0 && off < bound, "{precision:?} is off by {off}: {losses:?} beside {exact:?}");
    }
}
