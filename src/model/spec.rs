//! `config.json` of a Hugging Face folder, normalised: what the forward needs to know, whatever Transformers version
//! wrote it.
//!
//! A family is not a kind of code but a choice among a few facts that do not depend on each other: where norms stand,
//! what each block's attention sees, which layers are fused, which numbers are capped. `families/` translates configs
//! into these facts and back; nothing else asks which family it is, but for llama.cpp's names (`gguf/names`).

use super::Rope;
use ::kernels::Activation;

/// Everything the forward pass needs to know about a decoder, apart from its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// For names in `config.json` only.
    pub family: Family,
    /// The type of the model whose text part this is, where it is not a model of its own.
    pub part_of: Option<&'static str>,
    pub vocab_size: usize,
    /// d, the width of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// What is particular about each block; as many as there are blocks.
    pub layers: Vec<Layer>,
    pub heads: usize,
    /// Key/value heads; `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Width of one head; not always `hidden_size / heads`.
    pub head_dim: usize,
    /// Context length the model was made for, in tokens.
    pub max_positions: usize,
    pub norm_eps: f64,
    /// Norm weights are stored as what is added to one.
    pub norm_plus_one: bool,
    pub norm_places: NormPlaces,
    /// Queries and keys are normed between projection and rotation.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// The rotations that [`Layer::rope`] chooses from.
    pub ropes: Vec<Rope>,
    /// Factor of q·k, usually `1/√head_dim`.
    pub attention_scale: f64,
    /// `score = cap · tanh(score / cap)` for attention scores.
    pub attention_softcap: Option<f64>,
    /// The same for the logits.
    pub logit_softcap: Option<f64>,
    /// Factor of the embeddings, 1 for most.
    pub embedding_scale: f64,
    /// The head is the embedding table.
    pub tied: bool,
    /// Full-weight training does not touch this token's embedding through its uses as input: `padding_idx` of
    /// Transformers' embedding layer, with an effect where the padding token doubles as the end of a turn.
    pub padding: Option<u32>,
    pub biases: Biases,
    /// q, k and v are one stored layer, and so are gate and up.
    pub fused: bool,
    pub activation: Activation,
    /// The standard deviation that fresh weights are drawn with.
    pub initializer_range: f64,
}

/// What is particular about one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Tokens that a token sees, itself and those just before it; `None`: all before it.
    pub window: Option<usize>,
    /// Which of [`Spec::ropes`] tells positions; `None`: nothing does.
    pub rope: Option<usize>,
}

/// Where a block's norms stand, around attention and around the MLP alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlaces {
    /// `x + f(norm x)`.
    Before,
    /// `x + norm(f(norm x))`.
    Both,
    /// `x + norm(f(x))`.
    After,
}

/// What the norm of queries and keys runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Each head, with the same weight for all heads.
    Head,
    /// All heads of a token together.
    Width,
}

/// Which linear layers of a block have a bias.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Biases {
    /// q, k and v.
    pub qkv: bool,
    /// o.
    pub output: bool,
    /// gate, up and down.
    pub mlp: bool,
}

/// Which decoder family a folder declares itself to be. One file each in `families/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    Gemma2,
    Gemma3,
    Phi3,
    SmolLm3,
    Olmo2,
}

/// More is not a model but a damaged or hostile file.
const MAX_LAYERS: usize = 1 << 10;
const MAX_WIDTH: usize = 1 << 18;
const MAX_VOCABULARY: usize = 1 << 22;
const MAX_POSITIONS: usize = 1 << 26;

impl Spec {
    /// The number of blocks that a config declares, if it is within reason: checked before there is a list of them.
    pub(super) fn check_layers(layers: usize) -> Result<(), String> {
        within("num_hidden_layers", layers, MAX_LAYERS)
    }

    /// Sizes within reason, and fitting each other. Checked before anything is allocated.
    pub fn validate(&self) -> Result<(), String> {
        Self::check_layers(self.layers.len())?;
        for (name, size, most) in [
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size, MAX_WIDTH * 4),
            ("num_attention_heads", self.heads, MAX_WIDTH),
            ("num_key_value_heads", self.kv_heads, MAX_WIDTH),
            ("head_dim", self.head_dim, MAX_WIDTH),
            ("max_position_embeddings", self.max_positions, MAX_POSITIONS),
        ] {
            within(name, size, most)?;
        }
        for window in self.layers.iter().filter_map(|layer| layer.window) {
            within("sliding_window", window, MAX_POSITIONS)?;
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(format!(
                "`num_attention_heads` ({}) is not a multiple of `num_key_value_heads` ({})",
                self.heads, self.kv_heads
            ));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(format!("`head_dim` is {}; rotary positions need an even one", self.head_dim));
        }
        if self.heads * self.head_dim > MAX_WIDTH {
            return Err(format!(
                "`num_attention_heads` × `head_dim` is {}; expected at most {MAX_WIDTH}",
                self.heads * self.head_dim
            ));
        }
        if !(self.norm_eps > 0.0 && self.norm_eps < 1.0) {
            return Err(format!("`rms_norm_eps` is {}; expected a small positive number", self.norm_eps));
        }
        for (name, number) in [
            ("`attn_logit_softcapping`", self.attention_softcap),
            ("`final_logit_softcapping`", self.logit_softcap),
            ("the scale of attention scores", Some(self.attention_scale)),
        ] {
            if let Some(number) = number.filter(|&number| !(number > 0.0 && number.is_finite())) {
                return Err(format!("{name} is {number}; expected a positive number"));
            }
        }
        self.ropes.iter().try_for_each(|rope| rope.validate(self.head_dim))
    }

    /// Width of all query heads together.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of all key (or value) heads together.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}

fn within(name: &str, size: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&size) {
        return Ok(());
    }
    Err(format!("`{name}` is {size}; expected 1 to {most}"))
}

#[cfg(test)]
mod tests;
