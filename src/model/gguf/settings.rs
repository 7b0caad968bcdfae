//! A spec as the settings of a GGUF file: the way back of `config`.
//!
//! llama.cpp has much of a family in its code (which blocks have a window, what scores are divided by), so what can be
//! written is less than what a spec can say. [`difference`] tells what was lost by looking at what is read back.

use crate::{Layer, Rope, RopeScaling, Spec};
use ::gguf::build::Build;

use super::names::whole_architecture;

/// The keys of a model's architecture, and the tensors of its rotation.
pub(super) fn of(spec: &Spec) -> Build {
    let architecture = whole_architecture(spec);
    let key = |name: &str| format!("{architecture}.{name}");
    let size = |build: Build, name: &str, value: usize| build.size(&key(name), value as u32);
    let mut build = Build::default().text("general.architecture", architecture).text("general.type", "model");
    let rope = spec.ropes.first();
    let rotated = rope.map_or(1.0, |rope| rope.partial) * spec.head_dim as f64;
    for (name, value) in [
        ("vocab_size", spec.vocab_size),
        ("context_length", spec.max_positions),
        ("embedding_length", spec.hidden_size),
        ("block_count", spec.layers.len()),
        ("feed_forward_length", spec.intermediate_size),
        ("attention.head_count", spec.heads),
        ("attention.head_count_kv", spec.kv_heads),
        ("attention.key_length", spec.head_dim),
        ("attention.value_length", spec.head_dim),
        ("rope.dimension_count", rotated as usize),
    ] {
        build = size(build, name, value);
    }
    build = build.number(&key("attention.layer_norm_rms_epsilon"), spec.norm_eps as f32);
    if let Some(window) = spec.layers.iter().find_map(|layer| layer.window) {
        build = size(build, "attention.sliding_window", window);
    }
    for (name, cap) in
        [("attn_logit_softcapping", spec.attention_softcap), ("final_logit_softcapping", spec.logit_softcap)]
    {
        if let Some(cap) = cap {
            build = build.number(&key(name), cap as f32);
        }
    }
    let Some(rope) = rope else {
        return build;
    };
    build = build.number(&key("rope.freq_base"), rope.theta as f32);
    let scaled = |build: Build, kind: &str, factor: f64| {
        build.text(&key("rope.scaling.type"), kind).number(&key("rope.scaling.factor"), factor as f32)
    };
    match &rope.scaling {
        // Beyond its context a dynamic rotation changes; within it there is none.
        RopeScaling::None | RopeScaling::Dynamic { .. } => build,
        RopeScaling::Linear { factor } => scaled(build, "linear", *factor),
        RopeScaling::Yarn { factor, original_max_positions, .. } => {
            let build = scaled(build, "yarn", *factor);
            size(build, "rope.scaling.original_context_length", *original_max_positions as usize)
        }
        RopeScaling::Llama3 { .. } => {
            let plain = Rope { scaling: RopeScaling::None, ..rope.clone() };
            let pairs = plain.inverse_frequencies(spec.head_dim, 1).into_iter();
            let divisors: Vec<f32> =
                pairs.zip(rope.inverse_frequencies(spec.head_dim, 1)).map(|(plain, scaled)| plain / scaled).collect();
            build.floats("rope_freqs.weight", &[divisors.len()], &divisors)
        }
        RopeScaling::LongRope { short, long, attention_factor, original_max_positions } => {
            let build = size(build, "rope.scaling.original_context_length", *original_max_positions)
                .number(&key("rope.scaling.attn_factor"), *attention_factor as f32);
            let factors = |build: Build, name: &str, factors: &[f64]| {
                let factors: Vec<f32> = factors.iter().map(|&factor| factor as f32).collect();
                build.floats(name, &[factors.len()], &factors)
            };
            factors(factors(build, "rope_factors_long.weight", long), "rope_factors_short.weight", short)
        }
    }
}

/// What a file that was read back does not say as the model has it, in words; nothing where it computes the same.
pub(super) fn difference(meant: &Spec, read: &Spec) -> Option<&'static str> {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(b.abs());
    let near_caps = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => near(a, b),
        (a, b) => a == b,
    };
    let windows = |spec: &Spec| spec.layers.iter().map(|layer| layer.window).collect::<Vec<_>>();
    let sizes = |spec: &Spec| {
        let Spec { vocab_size, hidden_size, intermediate_size, heads, kv_heads, head_dim, layers, .. } = spec;
        [*vocab_size, *hidden_size, *intermediate_size, *heads, *kv_heads, *head_dim, layers.len()]
    };
    let checks = [
        (sizes(meant) == sizes(read), "its sizes"),
        (near(meant.norm_eps, read.norm_eps), "the epsilon of its norms"),
        (
            (meant.norm_plus_one, meant.norm_places, meant.query_key_norm)
                == (read.norm_plus_one, read.norm_places, read.query_key_norm),
            "where its norms stand",
        ),
        (
            windows(meant) == windows(read),
            "which of its blocks see how much of the text (`sliding_window`, `layer_types`)",
        ),
        (same_rotations(meant, read), "how its positions are told (`rope_theta`, `rope_scaling`)"),
        (
            near(meant.attention_scale, read.attention_scale),
            "what its attention scores are divided by (`query_pre_attn_scalar`)",
        ),
        (
            near_caps(meant.attention_softcap, read.attention_softcap)
                && near_caps(meant.logit_softcap, read.logit_softcap),
            "its soft caps",
        ),
        (near(meant.embedding_scale, read.embedding_scale), "the factor of its embeddings"),
        (meant.biases == read.biases, "which of its layers have a bias"),
        (meant.fused == read.fused && meant.tied == read.tied, "which of its layers are stored as one"),
        (meant.activation == read.activation, "its activation (`hidden_act`)"),
    ];
    checks.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

/// Whether every block is told positions alike. Frequencies are compared, not how they are written: Llama 3's scaling
/// can be said in more than one way, and the file has factors in f32.
fn same_rotations(meant: &Spec, read: &Spec) -> bool {
    let of = |spec: &Spec, layer: &Layer| {
        let rope = spec.ropes.get(layer.rope?)?;
        Some((rope.inverse_frequencies(spec.head_dim, 1), rope.attention_factor()))
    };
    let near = |a: f32, b: f32| (a - b).abs() <= 2e-4 * a.abs();
    let mut layers = meant.layers.iter().zip(&read.layers);
    layers.all(|(ours, theirs)| match (of(meant, ours), of(read, theirs)) {
        (None, None) => true,
        (Some((ours, factor)), Some((theirs, read_factor))) => {
            let mut pairs = ours.iter().zip(&theirs);
            ours.len() == theirs.len() && near(factor, read_factor) && pairs.all(|(&a, &b)| near(a, b))
        }
        _ => false,
    })
}
