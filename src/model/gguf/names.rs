//! What llama.cpp calls things: architectures, tensors, and the order of the rows of q and k.

use crate::{Family, Spec};

const MISTRAL_3: &str = "mistral3";

/// The architecture that a model is converted to. Mistral and SmolLM files call themselves `llama`; a Mistral that
/// reads images has a name of its own.
pub(crate) fn architecture(spec: &Spec) -> &'static str {
    match spec.family {
        Family::Mistral if spec.part_of == Some(MISTRAL_3) => MISTRAL_3,
        Family::Llama | Family::Mistral => "llama",
        Family::Qwen2 => "qwen2",
        Family::Qwen3 => "qwen3",
        Family::Gemma2 => "gemma2",
        Family::Gemma3 => "gemma3",
        Family::Phi3 => "phi3",
        Family::SmolLm3 => "smollm3",
        Family::Olmo2 => "olmo2",
    }
}

/// The architecture of a whole model written here. The text part of a Mistral that reads images computes what any
/// Mistral computes, and is written as one.
pub(super) fn whole_architecture(spec: &Spec) -> &'static str {
    match architecture(spec) {
        MISTRAL_3 => "llama",
        other => other,
    }
}

/// What a file of this architecture calls a tensor.
pub(crate) fn tensor_name(architecture: &str, name: &str) -> Option<String> {
    let whole = match name {
        "model.embed_tokens.weight" => Some("token_embd.weight"),
        "model.norm.weight" => Some("output_norm.weight"),
        "lm_head.weight" => Some("output.weight"),
        _ => None,
    };
    if let Some(whole) = whole {
        return Some(whole.to_owned());
    }
    let (layer, inner) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (path, kind) = inner.rsplit_once('.')?;
    // What stands between attention and MLP: one norm, or the end of one and the start of another.
    let norms_after = matches!(architecture, "gemma2" | "gemma3" | "olmo2");
    let part = match path {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.qkv_proj" => "attn_qkv",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "post_attention_layernorm" if norms_after => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.gate_up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.{kind}"))
}

/// Where each row of a layer's weight stands in the file; nothing where the order is ours.
pub(crate) fn row_order(spec: &Spec, architecture: &str, path: &str) -> Option<Vec<usize>> {
    match path.rsplit('.').next()? {
        "q_proj" => interleaved(architecture, spec.query_width(), spec.heads),
        "k_proj" => interleaved(architecture, spec.kv_width(), spec.kv_heads),
        _ => None,
    }
}

/// Llama's rotation pairs neighbours in the file and halves of a head here.
pub(super) fn interleaved(architecture: &str, rows: usize, heads: usize) -> Option<Vec<usize>> {
    if !matches!(architecture, "llama" | "smollm3" | MISTRAL_3) {
        return None;
    }
    let width = rows.checked_div(heads)?;
    let half = width / 2;
    if heads * half * 2 != rows {
        return None;
    }
    let place = |row: usize| {
        let (head, part, index) = (row / width, row % width / half, row % half);
        head * width + 2 * index + part
    };
    Some((0..rows).map(place).collect())
}
