//! Configs of both dialects, hostile ones, and what is written.

use super::*;
use crate::RopeScaling;

const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 32, "hidden_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5"#;

fn with(more: &str) -> Result<Spec, String> {
    Spec::parse(&format!("{LLAMA}{more}}}"))
}

#[test]
fn both_dialects_of_transformers_say_the_same() {
    let four = with(
        r#", "rope_theta": 500000.0, "torch_dtype": "bfloat16", "rope_scaling": {"type": "llama3", "factor": 8,
        "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}"#,
    );
    let five = with(
        r#", "dtype": "bfloat16", "rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3", "factor": 8,
        "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 64}"#,
    );
    assert_eq!(four, five);
    let four = four.unwrap();
    assert_eq!(four.ropes[0].theta, 500000.0);
    assert_eq!(four.head_dim, 4);
    assert!(matches!(four.ropes[0].scaling, RopeScaling::Llama3 { factor: 8.0, .. }));
}

#[test]
fn a_key_that_may_change_the_numbers_is_named() {
    for (more, key) in [
        (r#", "attn_logit_softcapping": 50.0"#, "attn_logit_softcapping"),
        (r#", "sliding_window": 4096"#, "sliding_window"),
        (r#", "residual_multiplier": 0.2"#, "residual_multiplier"),
        (r#", "rope_scaling": {"rope_type": "ntk", "factor": 4}"#, "ntk"),
        (r#", "rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1, 2]}"#, "short_factor"),
        (r#", "rope_scaling": {"rope_type": "linear", "factor": 4, "stretch": 2}"#, "stretch"),
        (r#", "partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
        (r#", "hidden_act": "relu2""#, "relu2"),
        (r#", "quantization_config": {"bits": 4}"#, "quantization_config"),
    ] {
        let error = with(more).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
    assert!(with(r#", "sliding_window": null, "use_sliding_window": false, "attention_dropout": 0.1"#).is_ok());
}

#[test]
fn an_unknown_architecture_is_named_with_what_is_known() {
    let error = Spec::parse(r#"{"model_type": "mamba"}"#).unwrap_err();
    assert!(error.contains("mamba") && error.contains("llama"), "{error}");
    let error = Spec::parse(r#"{"model_type": "qwen2_5_vl", "text_config": {}}"#).unwrap_err();
    assert!(error.contains("qwen2_5_vl"), "{error}");
}

#[test]
fn absurd_sizes_are_refused() {
    for (from, to) in [
        (r#""vocab_size": 32"#, r#""vocab_size": 99999999999"#),
        (r#""hidden_size": 16"#, r#""hidden_size": 0"#),
        (r#""hidden_size": 16"#, r#""hidden_size": -16"#),
        (r#""num_hidden_layers": 2"#, r#""num_hidden_layers": 1000000000"#),
        (r#""num_key_value_heads": 2"#, r#""num_key_value_heads": 3"#),
        (r#""rms_norm_eps": 1e-5"#, r#""rms_norm_eps": -1"#),
        (r#""num_attention_heads": 4"#, r#""num_attention_heads": 5000000000"#),
    ] {
        let text = format!("{LLAMA}}}").replace(from, to);
        assert!(text.contains(to));
        assert!(Spec::parse(&text).is_err(), "{to}");
    }
}

/// `config.json` of google/gemma-3-4b-it, word for word where it matters.
#[test]
fn the_text_part_of_a_model_that_reads_images_is_read() {
    let gemma = |text: &str, more: &str| {
        Spec::parse(&format!(
            r#"{{"architectures": ["Gemma3ForConditionalGeneration"], "boi_token_index": 255999, "eoi_token_index": 256000,
            "eos_token_id": [1, 106], "image_token_index": 262144, "initializer_range": 0.02, "mm_tokens_per_image": 256,
            "model_type": "gemma3", "text_config": {{{text}"hidden_size": 2560, "intermediate_size": 10240,
            "num_hidden_layers": 34, "rope_scaling": {{"factor": 8.0, "rope_type": "linear"}}, "sliding_window": 1024}},
            "torch_dtype": "bfloat16", "vision_config": {{"hidden_size": 1152, "vision_use_head": false}}{more}}}"#
        ))
    };
    let spec = gemma(r#""model_type": "gemma3_text", "#, "").unwrap();
    assert_eq!((spec.family, spec.part_of), (Family::Gemma3, Some("gemma3")));
    assert_eq!((spec.vocab_size, spec.hidden_size, spec.layers.len()), (262_208, 2560, 34));
    assert_eq!((spec.heads, spec.kv_heads, spec.head_dim), (8, 4, 256));
    assert_eq!((spec.layers[4].window, spec.layers[5].window), (Some(1024), None));
    assert_eq!(spec.ropes[0].scaling, RopeScaling::Linear { factor: 8.0 });
    assert!(spec.tied);
    assert_eq!(gemma("", "").unwrap(), spec);
    for (text, more, what) in [
        ("", r#", "a_new_switch": 3"#, "a_new_switch"),
        (r#""a_new_switch": 3, "#, "", "in `text_config`: the key `a_new_switch`"),
        (r#""model_type": "mamba", "#, "", "mamba"),
    ] {
        let error = gemma(text, more).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
    assert!(Spec::parse(r#"{"model_type": "gemma3"}"#).unwrap_err().contains("text_config"));
}

const SIZES: &str = r#""vocab_size": 32, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2"#;

fn of(model_type: &str, more: &str) -> Spec {
    let text = format!(r#"{{"model_type": "{model_type}", {SIZES}{more}}}"#);
    Spec::parse(&text).unwrap_or_else(|reason| panic!("{text}: {reason}"))
}

#[test]
fn what_is_written_reads_back_the_same() {
    let llama = |scaling: &str| format!(r#", "rope_scaling": {scaling}"#);
    let specs = [
        of("llama", r#", "tie_word_embeddings": true, "head_dim": 6, "attention_bias": true, "mlp_bias": true"#),
        of("llama", &llama(r#"{"type": "linear", "factor": 2}"#)),
        of("llama", &llama(r#"{"type": "dynamic", "factor": 2}"#)),
        of(
            "llama",
            &llama(
                r#"{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
            "original_max_position_embeddings": 64}"#,
            ),
        ),
        of(
            "llama",
            &llama(
                r#"{"rope_type": "yarn", "factor": 4, "beta_fast": 16, "truncate": false,
            "original_max_position_embeddings": 512, "mscale": 2, "mscale_all_dim": 1}"#,
            ),
        ),
        of(
            "llama",
            &llama(
                r#"{"rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4.5],
            "original_max_position_embeddings": 512}"#,
            ),
        ),
        of("mistral", ""),
        of("mistral", r#", "sliding_window": null, "hidden_act": "gelu""#),
        of("qwen2", r#", "num_key_value_heads": 4"#),
        of("qwen2", r#", "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 2"#),
        of("qwen3", r#", "layer_types": ["full_attention", "full_attention", "full_attention", "full_attention"]"#),
        of("gemma2", r#", "final_logit_softcapping": null"#),
        of("gemma2", r#", "query_pre_attn_scalar": 24, "sliding_window": 5"#),
        of("gemma3_text", r#", "rope_scaling": {"rope_type": "linear", "factor": 8}, "sliding_window_pattern": 3"#),
        of("phi3", r#", "partial_rotary_factor": 0.5, "head_dim": 8, "sliding_window": 7"#),
        of("phi3", r#", "rope_scaling": {"type": "su", "short_factor": [1, 1], "long_factor": [2, 3]}"#),
        of("smollm3", ""),
        of("smollm3", r#", "no_rope_layers": [1, 1, 0, 1], "use_sliding_window": true, "sliding_window": 9"#),
        of("olmo2", r#", "pad_token_id": 3"#),
    ];
    for spec in specs {
        let text = spec.to_config_json("float32").to_string();
        assert_eq!(Spec::parse(&text).unwrap(), spec, "{text}");
    }
}

#[test]
fn a_key_that_is_absent_is_not_one_that_is_null() {
    assert_eq!(of("mistral", "").layers[0].window, Some(4096));
    assert_eq!(of("mistral", r#", "sliding_window": null"#).layers[0].window, None);
    assert_eq!(of("gemma2", "").attention_softcap, Some(50.0));
    let off = of("gemma2", r#", "attn_logit_softcapping": null"#);
    assert_eq!(off.attention_softcap, None);
    assert_eq!(of("olmo2", "").padding, Some(1));
    assert_eq!(of("olmo2", r#", "pad_token_id": null"#).padding, None);
}

#[test]
fn gemma_3_rotates_by_two_bases_in_either_dialect() {
    let four = of(
        "gemma3_text",
        r#", "sliding_window_pattern": 3, "rope_theta": 500000.0, "rope_local_base_freq": 20000.0,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0}"#,
    );
    let five = of(
        "gemma3_text",
        r#", "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 500000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0}}"#,
    );
    assert_eq!(four, five);
    let thetas: Vec<f64> = four.layers.iter().map(|layer| four.ropes[layer.rope.unwrap()].theta).collect();
    assert_eq!(thetas, [20000.0, 20000.0, 500000.0, 20000.0]);
    assert_eq!(four.layers[2].window, None);
}

#[test]
fn lists_of_layers_must_fit() {
    for (model_type, more, what) in [
        ("qwen3", r#", "layer_types": ["full_attention"]"#, "names 1 layers"),
        (
            "gemma2",
            r#", "layer_types": ["full_attention", "full_attention", "full_attention", "linear_attention"]"#,
            "linear_attention",
        ),
        (
            "qwen2",
            r#", "layer_types": ["full_attention", "full_attention", "full_attention", "sliding_attention"]"#,
            "there is no `sliding_window`",
        ),
        ("smollm3", r#", "no_rope_layers": [1, 0]"#, "has 2 entries"),
        ("gemma2", r#", "use_bidirectional_attention": true"#, "use_bidirectional_attention"),
        ("gemma3_text", r#", "attn_logit_softcapping": 30.0"#, "attn_logit_softcapping"),
        ("phi3", r#", "rope_scaling": {"type": "linear", "factor": 2}"#, "longrope or none"),
        ("olmo2", r#", "clip_qkv": 8.0"#, "clip_qkv"),
    ] {
        let text = format!(r#"{{"model_type": "{model_type}", {SIZES}{more}}}"#);
        let error = Spec::parse(&text).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

/// Transformers warns of keys that a kind of rotation does not read, and computes without them.
#[test]
fn a_rotation_may_carry_keys_of_another_kind() {
    let spare = r#""original_max_position_embeddings": 64, "attention_factor": 2.0, "beta_fast": 3, "low_freq_factor": 1,
        "mscale": 2, "truncate": true, "short_factor": [1]"#;
    for (kind, own) in [("default", r#""factor": 4"#), ("dynamic", r#""factor": 4"#), ("linear", r#""factor": 4"#)] {
        let scaled =
            |more: &str| with(&format!(r#", "rope_scaling": {{"rope_type": "{kind}", {own}{more}}}"#)).unwrap();
        assert_eq!(scaled(&format!(", {spare}")), scaled(""), "{kind}");
        assert_eq!(scaled("").ropes[0].scaling == RopeScaling::None, kind == "default");
    }
}

#[test]
fn an_early_phi_3_calls_longrope_yarn() {
    let scaled = |kind: &str| {
        of("phi3", &format!(r#", "rope_scaling": {{"type": "{kind}", "short_factor": [1, 1], "long_factor": [2, 3]}}"#))
    };
    assert_eq!(scaled("yarn"), scaled("longrope"));
    assert!(matches!(scaled("yarn").ropes[0].scaling, RopeScaling::LongRope { .. }));
    let others = with(r#", "rope_scaling": {"type": "yarn", "factor": 4}"#).unwrap();
    assert!(matches!(others.ropes[0].scaling, RopeScaling::Yarn { .. }), "only there");
}

#[test]
fn a_cap_of_nothing_is_told_as_it_stands() {
    let config = r#"{"model_type": "gemma2", "num_hidden_layers": 1, "attn_logit_softcapping": 0}"#;
    let error = Spec::parse(config).unwrap_err();
    assert_eq!(error, "`attn_logit_softcapping` is 0; expected a positive number");
}

/// Transformers gives it to PyTorch's embedding, which counts negative ones from the end.
#[test]
fn a_padding_token_is_a_token() {
    let padding = |value: &str| with(&format!(r#", "pad_token_id": {value}"#)).map(|spec| spec.padding);
    let vocab_size = with("").unwrap().vocab_size as u32;
    assert_eq!(padding("3"), Ok(Some(3)));
    assert_eq!(padding("null"), Ok(None));
    assert_eq!(padding("-1"), Ok(Some(vocab_size - 1)));
    for nonsense in ["\"3\"", "[3]", "1.5", "true", "-1000000"] {
        let error = padding(nonsense).unwrap_err();
        assert!(error.contains("`pad_token_id`") && error.contains("token id"), "{error}");
    }
}
