//! Settings and places of GGUF files; that the numbers come out is for `tests/it/gguf.rs`.

use std::fs;

use super::*;
use crate::{LoadOptions, Spec, examine};
use ::gguf::build::Build;

fn settings() -> Build {
    Build::default()
        .text("general.architecture", "llama")
        .size("llama.block_count", 1)
        .size("llama.context_length", 512)
        .size("llama.embedding_length", 8)
        .size("llama.feed_forward_length", 12)
        .size("llama.attention.head_count", 2)
        .size("llama.attention.head_count_kv", 1)
        .number("llama.attention.layer_norm_rms_epsilon", 1e-5)
}

fn with_table(file: Build) -> Build {
    file.tensor("token_embd.weight", &[5, 8], 0, vec![0; 160])
}

fn open(file: &Build) -> Result<GgufModel, LoadError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.gguf");
    fs::write(&path, file.bytes()).unwrap();
    GgufModel::open(&path)
}

fn spec(file: &Build) -> Result<Spec, String> {
    let model = open(file).map_err(|error| error.to_string())?;
    Spec::parse(&Value::Object(model.config().clone()).to_string())
}

#[test]
fn settings_read_as_their_config_does() {
    let read = spec(&with_table(settings().number("llama.rope.freq_base", 500_000.0))).unwrap();
    let config = r#"{"model_type": "llama", "vocab_size": 5, "hidden_size": 8, "intermediate_size": 12, "head_dim": 4,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 0.000009999999747378752,
        "max_position_embeddings": 512, "rope_theta": 500000.0, "tie_word_embeddings": true}"#;
    assert_eq!(read, Spec::parse(config).unwrap());
}

#[test]
fn a_llama_with_a_window_is_a_mistral() {
    let read = spec(&with_table(settings().size("llama.attention.sliding_window", 64))).unwrap();
    assert_eq!(read.layers[0].window, Some(64));
    assert_eq!(spec(&with_table(settings())).unwrap().layers[0].window, None);
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let error = |file: &Build| spec(file).unwrap_err();
    assert!(error(&settings()).contains("token_embd.weight"));
    let other = Build::default().text("general.architecture", "mamba");
    assert!(error(&other).contains("`mamba`"));
    assert!(error(&Build::default()).contains("general.architecture"));
    let zero = with_table(settings_with_heads(0));
    assert!(error(&zero).contains("no size"));
    let scaled =
        with_table(settings().text("llama.rope.scaling.type", "spiral").number("llama.rope.scaling.factor", 4.0));
    assert!(error(&scaled).contains("`spiral`"));
    let absurd = with_table(settings().size("llama.attention.key_length", u32::MAX));
    assert!(error(&absurd).contains("head"), "{}", error(&absurd));
}

fn settings_with_heads(heads: u32) -> Build {
    Build::default()
        .text("general.architecture", "llama")
        .size("llama.embedding_length", 8)
        .size("llama.attention.head_count", heads)
}

#[test]
fn rows_of_q_and_k_are_put_back_in_order() {
    // What the converter does to a head of four rows a, b | c, d is a, c, b, d.
    let model = open(&with_table(settings())).unwrap();
    let order = model.row_order("model.layers.0.self_attn.q_proj.weight", 8).unwrap();
    assert_eq!(order, [0, 2, 1, 3, 4, 6, 5, 7]);
    assert_eq!(model.row_order("model.layers.0.self_attn.k_proj.bias", 4).unwrap(), [0, 2, 1, 3]);
    assert_eq!(model.row_order("model.layers.0.self_attn.v_proj.weight", 4), None);
}

#[test]
fn names_become_those_of_the_file() {
    let model = open(&with_table(settings())).unwrap();
    let name = |name: &str| model.name(name).unwrap_or_default();
    assert_eq!(name("model.layers.7.self_attn.o_proj.weight"), "blk.7.attn_output.weight");
    assert_eq!(name("model.layers.7.post_attention_layernorm.weight"), "blk.7.ffn_norm.weight");
    assert_eq!(name("lm_head.weight"), "output.weight");
    assert_eq!(name("model.layers.7.self_attn.rotary_emb.inv_freq"), "");
}

#[test]
fn a_type_without_a_reader_is_refused_by_name() {
    let file = with_table(settings()).tensor("output_norm.weight", &[8], 18, vec![0; 32]);
    let error = open(&file).unwrap().expect("model.norm.weight", &[8]).unwrap_err();
    assert!(error.to_string().contains("IQ3_XXS"), "{error}");
}

#[test]
fn the_scaling_of_llama_3_is_found_again_in_its_divisors() {
    for (theta, head_dim, factor, high, original) in [
        (500_000.0_f64, 128, 8.0, 4.0, 8192.0),
        (500_000.0, 64, 32.0, 4.0, 8192.0),
        (10_000.0, 16, 8.0, 4.0, 64.0),
        (100_000.0, 96, 4.0, 3.0, 1024.0),
    ] {
        let divisors: Vec<f64> = (0..head_dim / 2)
            .map(|index| {
                let wavelength = std::f64::consts::TAU * theta.powf(2.0 * f64::from(index) / f64::from(head_dim));
                let smooth = (original / wavelength - 1.0) / (high - 1.0);
                let divisor = 1.0 / ((1.0 - smooth) / factor + smooth);
                let exact = if wavelength < original / high {
                    1.0
                } else if wavelength > original {
                    factor
                } else {
                    divisor
                };
                f64::from(exact as f32)
            })
            .collect();
        let found = frequencies::llama3(&divisors, theta, head_dim as usize).unwrap();
        assert_eq!(found["factor"], factor);
        assert_eq!(found["original_max_position_embeddings"], original as u64);
        assert!((found["high_freq_factor"].as_f64().unwrap() - high).abs() < 1e-6, "{found}");
    }
    let odd = [1.0, 3.0, 2.0, 8.0];
    assert!(frequencies::llama3(&odd, 10_000.0, 8).unwrap_err().contains("Llama 3"));
    assert!(frequencies::llama3(&odd, 10_000.0, 16).is_err());
    assert_eq!(frequencies::llama3(&[1.0; 4], 10_000.0, 8).unwrap(), Value::Null);
}

/// llama.cpp refuses tensors without a place; a bias that is left out makes another model.
#[test]
fn a_bias_without_a_place_is_refused() {
    let shapes: [(&str, &[usize]); 11] = [
        ("token_embd.weight", &[5, 8]),
        ("output_norm.weight", &[8]),
        ("blk.0.attn_norm.weight", &[8]),
        ("blk.0.attn_q.weight", &[8, 8]),
        ("blk.0.attn_k.weight", &[4, 8]),
        ("blk.0.attn_v.weight", &[4, 8]),
        ("blk.0.attn_output.weight", &[8, 8]),
        ("blk.0.ffn_norm.weight", &[8]),
        ("blk.0.ffn_gate.weight", &[12, 8]),
        ("blk.0.ffn_up.weight", &[12, 8]),
        ("blk.0.ffn_down.weight", &[8, 12]),
    ];
    let zeros = |file: Build, name: &str, shape: &[usize]| file.floats(name, shape, &vec![0.0; shape.iter().product()]);
    let examined = |file: &Build| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.gguf");
        fs::write(&path, file.bytes()).unwrap();
        examine(&path, &LoadOptions::default()).map_err(|error| error.to_string())
    };
    let whole = shapes.iter().fold(settings(), |file, (name, shape)| zeros(file, name, shape));
    assert_eq!(examined(&whole), Ok(()));
    let error = examined(&zeros(whole, "blk.0.ffn_down.bias", &[8])).unwrap_err();
    assert!(error.contains("`blk.0.ffn_down.bias`"), "{error}");
}
