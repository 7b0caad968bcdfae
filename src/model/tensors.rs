//! Every tensor a model of some spec has: its name in Hugging Face files and its shape. One list, read by loading,
//! by full-weight training, by export and by random initialisation.

use super::{Family, Spec};

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const FINAL_NORM: &str = "model.norm.weight";
pub(super) const HEAD: &str = "lm_head.weight";

/// The linear layers of one block, by the last part of their names, in the order of the forward pass.
pub(super) const LINEAR_NAMES: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Matrix,
    Bias,
    Norm,
}

#[derive(Debug, Clone)]
pub(super) struct TensorSpec {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) role: Role,
}

/// One linear layer of a block.
#[derive(Debug, Clone)]
pub(super) struct LinearSpec {
    /// Module path, e.g. `model.layers.0.self_attn.q_proj`.
    pub(super) path: String,
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) bias: bool,
}

impl LinearSpec {
    pub(super) fn weight(&self) -> String {
        format!("{}.weight", self.path)
    }

    pub(super) fn bias(&self) -> String {
        format!("{}.bias", self.path)
    }
}

impl Spec {
    /// The linear layers of block `layer`, in the order of [`LINEAR_NAMES`].
    pub(super) fn linears(&self, layer: usize) -> [LinearSpec; 7] {
        let Family::Llama = self.family;
        let (d, ff, q, kv) = (
            self.hidden_size,
            self.intermediate_size,
            self.query_width(),
            self.kv_width(),
        );
        let linear = |place: &str, name: &str, input, output, bias| LinearSpec {
            path: format!("model.layers.{layer}.{place}.{name}"),
            input,
            output,
            bias,
        };
        [
            linear("self_attn", "q_proj", d, q, self.attention_bias),
            linear("self_attn", "k_proj", d, kv, self.attention_bias),
            linear("self_attn", "v_proj", d, kv, self.attention_bias),
            linear("self_attn", "o_proj", q, d, self.attention_bias),
            linear("mlp", "gate_proj", d, ff, self.mlp_bias),
            linear("mlp", "up_proj", d, ff, self.mlp_bias),
            linear("mlp", "down_proj", ff, d, self.mlp_bias),
        ]
    }

    /// Names of the norm before attention and the one before the MLP of block `layer`.
    pub(super) fn norms(layer: usize) -> [String; 2] {
        ["input_layernorm", "post_attention_layernorm"]
            .map(|name| format!("model.layers.{layer}.{name}.weight"))
    }

    /// All tensors, lazily: a config may claim a thousand layers that the files do not have.
    pub(super) fn tensors(&self) -> impl Iterator<Item = TensorSpec> + '_ {
        let tensor = |name: String, shape: &[usize], role| TensorSpec {
            name,
            shape: shape.to_vec(),
            role,
        };
        let (d, vocab) = (self.hidden_size, self.vocab_size);
        let first = tensor(EMBEDDING.to_owned(), &[vocab, d], Role::Matrix);
        let blocks = (0..self.layers).flat_map(move |layer| {
            let norms = Self::norms(layer).map(|name| tensor(name, &[d], Role::Norm));
            let linears = self.linears(layer).into_iter().flat_map(move |linear| {
                let bias = linear
                    .bias
                    .then(|| tensor(linear.bias(), &[linear.output], Role::Bias));
                let weight = tensor(
                    linear.weight(),
                    &[linear.output, linear.input],
                    Role::Matrix,
                );
                std::iter::once(weight).chain(bias)
            });
            norms.into_iter().chain(linears)
        });
        let last = [tensor(FINAL_NORM.to_owned(), &[d], Role::Norm)];
        let head = (!self.tied).then(|| tensor(HEAD.to_owned(), &[vocab, d], Role::Matrix));
        std::iter::once(first).chain(blocks).chain(last).chain(head)
    }

    /// Numbers in all tensors, without adapters.
    pub fn parameters(&self) -> usize {
        self.tensors()
            .map(|tensor| tensor.shape.iter().product::<usize>())
            .sum()
    }
}
