//! Every tensor a model of some spec has: its name in Hugging Face files and its shape. One list, read by loading,
//! by full-weight training, by export and by random initialisation.

use super::{
    Spec,
    spec::{NormPlaces, QueryKeyNorm},
};

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const FINAL_NORM: &str = "model.norm.weight";
pub(super) const HEAD: &str = "lm_head.weight";
/// The head of a reward model, as PEFT names it where `modules_to_save` holds `score`.
pub(super) const SCORE_WEIGHT: &str = "base_model.model.score.weight";

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

/// One norm weight of a block.
#[derive(Debug, Clone)]
pub(super) struct NormSpec {
    pub(super) name: String,
    pub(super) width: usize,
}

/// The weights of one half of a block: attention or MLP.
#[derive(Debug, Clone)]
pub(super) struct HalfSpec {
    pub(super) norm_before: Option<NormSpec>,
    /// The layers that read the half's input: q, k, v or all in one; gate and up or both in one.
    pub(super) readers: Vec<LinearSpec>,
    /// The layer that gives the half's result: o or down.
    pub(super) output: LinearSpec,
    pub(super) norm_after: Option<NormSpec>,
}

/// The weights of one block.
#[derive(Debug, Clone)]
pub(super) struct BlockSpec {
    pub(super) attention: HalfSpec,
    pub(super) query_norm: Option<NormSpec>,
    pub(super) key_norm: Option<NormSpec>,
    pub(super) mlp: HalfSpec,
}

impl BlockSpec {
    /// The linear layers in the order of the forward pass.
    fn linears(self) -> impl Iterator<Item = LinearSpec> {
        [self.attention, self.mlp].into_iter().flat_map(|half| half.readers.into_iter().chain([half.output]))
    }

    fn norms(&self) -> impl Iterator<Item = &NormSpec> {
        let Self { attention, query_norm, key_norm, mlp } = self;
        [&attention.norm_before, query_norm, key_norm, &attention.norm_after, &mlp.norm_before, &mlp.norm_after]
            .into_iter()
            .flatten()
    }
}

impl Spec {
    /// The weights of block `layer`.
    pub(super) fn block(&self, layer: usize) -> BlockSpec {
        let (d, ff, q, kv) = (self.hidden_size, self.intermediate_size, self.query_width(), self.kv_width());
        let linear = |path: &str, input, output, bias| LinearSpec {
            path: format!("model.layers.{layer}.{path}"),
            input,
            output,
            bias,
        };
        let norm = |path: &str, width| NormSpec { name: format!("model.layers.{layer}.{path}.weight"), width };
        // `post_attention_layernorm` is what its name says only where norms come after.
        let [attention, mlp] = match self.norm_places {
            NormPlaces::Before => [(Some("input_layernorm"), None), (Some("post_attention_layernorm"), None)],
            NormPlaces::Both => [
                (Some("input_layernorm"), Some("post_attention_layernorm")),
                (Some("pre_feedforward_layernorm"), Some("post_feedforward_layernorm")),
            ],
            NormPlaces::After => [(None, Some("post_attention_layernorm")), (None, Some("post_feedforward_layernorm"))],
        };
        let half = |(before, after): (Option<&str>, Option<&str>), readers, output| HalfSpec {
            norm_before: before.map(|path| norm(path, d)),
            readers,
            output,
            norm_after: after.map(|path| norm(path, d)),
        };
        let bias = self.biases;
        let (qkv, gate_up) = if self.fused {
            (
                vec![linear("self_attn.qkv_proj", d, q + 2 * kv, bias.qkv)],
                vec![linear("mlp.gate_up_proj", d, 2 * ff, bias.mlp)],
            )
        } else {
            (
                vec![
                    linear("self_attn.q_proj", d, q, bias.qkv),
                    linear("self_attn.k_proj", d, kv, bias.qkv),
                    linear("self_attn.v_proj", d, kv, bias.qkv),
                ],
                vec![linear("mlp.gate_proj", d, ff, bias.mlp), linear("mlp.up_proj", d, ff, bias.mlp)],
            )
        };
        let head_norm = |path: &str, width| {
            self.query_key_norm.map(|over| match over {
                QueryKeyNorm::Head => norm(path, self.head_dim),
                QueryKeyNorm::Width => norm(path, width),
            })
        };
        BlockSpec {
            attention: half(attention, qkv, linear("self_attn.o_proj", q, d, bias.output)),
            query_norm: head_norm("self_attn.q_norm", q),
            key_norm: head_norm("self_attn.k_norm", kv),
            mlp: half(mlp, gate_up, linear("mlp.down_proj", ff, d, bias.mlp)),
        }
    }

    /// The linear layers of block `layer`, in the order of the forward pass.
    pub(super) fn linears(&self, layer: usize) -> impl Iterator<Item = LinearSpec> {
        self.block(layer).linears()
    }

    /// Those of all blocks.
    pub(super) fn all_linears(&self) -> impl Iterator<Item = LinearSpec> + '_ {
        (0..self.layers.len()).flat_map(|layer| self.linears(layer))
    }

    /// The last parts of the linear layers' names: what LoRA can target.
    pub fn linear_names(&self) -> Vec<String> {
        self.linears(0).filter_map(|linear| linear.path.rsplit('.').next().map(str::to_owned)).collect()
    }

    /// All tensors, lazily: a config may claim a thousand layers that the files do not have.
    pub(super) fn tensors(&self) -> impl Iterator<Item = TensorSpec> + '_ {
        let tensor = |name: String, shape: &[usize], role| TensorSpec { name, shape: shape.to_vec(), role };
        let (d, vocab) = (self.hidden_size, self.vocab_size);
        let first = tensor(EMBEDDING.to_owned(), &[vocab, d], Role::Matrix);
        let blocks = (0..self.layers.len()).flat_map(move |layer| {
            let block = self.block(layer);
            let norms: Vec<TensorSpec> =
                block.norms().map(|norm| tensor(norm.name.clone(), &[norm.width], Role::Norm)).collect();
            let linears = block.linears().flat_map(move |linear| {
                let bias = linear.bias.then(|| tensor(linear.bias(), &[linear.output], Role::Bias));
                let weight = tensor(linear.weight(), &[linear.output, linear.input], Role::Matrix);
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
        self.tensors().map(|tensor| tensor.shape.iter().product::<usize>()).sum()
    }
}
