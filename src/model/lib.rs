//! The policy: families, weights, LoRA, forward, backward, generation.
//!
//! # Bird's-eye view
//!
//! [`Policy::load`] reads a Hugging Face folder into a [`Spec`] and f32 weights and decides what is trained: a LoRA
//! adapter, or everything. What is trained lives in one flat buffer ([`Parameters`]); each block sees it as views.
//! A training step is [`Row::pack`], [`Policy::forward`] (log-probs out), the objective's business, then
//! [`Policy::backward`] (one coefficient a scored answer in), and [`Policy::update`] once a step. Forward and backward
//! are written by hand on top of [`::kernels`]: nothing is kept that the backward does not need, frozen weights cost no
//! gradient, and each block's activations are freed as the backward passes it.
//!
//! There is no reference policy: the reference is this policy at step 0, as cached log-probs, named by
//! [`Policy::identity`].
//!
//! # Files in reading order
//!
//! - `config`, `spec`, `families/`: `config.json`, normalised; one file a family. `tensors`: what weights that makes.
//! - `weights`: safetensors, checked before anything is allocated. `gguf/`: the same of a GGUF file. `source`: either.
//!   `tensor_file`: safetensors out.
//! - `parameters`: the flat buffer of what is trained; `optimizer`: AdamW's moments. `flat_file`: both on the disk.
//! - `lora`, `projection`: adapters, and a linear layer that may carry one (with dropout).
//! - `rope`: rotary positions. `tokens`: ids in memory or in a file. `row`: documents packed into one row of them.
//!   `scalar`: heads that give one number.
//! - `context`: what all blocks of a pass share. `sublayer`, `block`: one decoder block, forward and backward.
//! - `load_options`, `examine`, `load`: how, every check first, then a folder into a policy, as long as it is `wanted`;
//!   `trained`: what of it is trained. `policy`: the model as a whole, `identity` its name as a reference; `beside`:
//!   further ones on the same base, and `beside_reference` what it says beside step 0; `pass`: what its forward keeps;
//!   `backward`: the way back; `attribution`: the same down to the inputs; `memory`: what it takes; `arithmetic`: in
//!   what it multiplies; `rates`: what was measured for that.
//! - `name`, `hub_cache`: which folder is meant by a name or a path; `survey`: what it holds, from headers alone.
//!   `disk`: room for it. `generate`: answers; `sampler`: one token out of its logits, `mix` of two policies.
//!   `adapter/`: adapters in and out, in three layouts. `merged`: the whole model as a folder; `gguf/write`: as one
//!   file. `strength`: a training weakened or exaggerated. `init`: random weights.

pub mod adapter;
mod arithmetic;
mod attribution;
mod backward;
mod beside;
#[cfg(test)]
mod beside_processor;
mod beside_reference;
mod block;
mod config;
mod context;
mod disk;
mod error;
mod examine;
mod families;
mod flat_file;
mod generate;
mod gguf;
mod hub_cache;
mod identity;
pub mod init;
mod load;
mod load_options;
mod lora;
mod memory;
mod merged;
mod mix;
mod name;
mod optimizer;
mod parameters;
mod pass;
mod policy;
mod projection;
pub mod rates;
mod rope;
mod row;
mod sampler;
mod scalar;
mod source;
mod spec;
mod strength;
mod sublayer;
mod survey;
mod tensor_file;
mod tensors;
mod tokens;
mod trained;
mod wanted;
mod weights;

pub use arithmetic::Products;
pub use beside_reference::{Beside, WholeVocabulary};
pub use disk::free_disk_bytes;
pub use error::{LoadError, PolicyError, Result};
pub use examine::examine;
pub use generate::Generation;
pub use gguf::{GgufType, OnTensor, write_gguf};
pub use hub_cache::{HubCache, hugging_face_home};
pub use load_options::LoadOptions;
pub use lora::AdapterShape;
pub use merged::{MergedOptions, WeightType, save_merged, write_merged};
pub use mix::{Mix, MixSide};
pub use name::{MAIN, ModelName, NameError, check_file, is_gguf};
pub use optimizer::{AdamW, AdamWOptions, AdamWState};
pub use parameters::{Parameter, Parameters};
pub use pass::Pass;
pub use policy::Policy;
pub use rope::{Rope, RopeScaling};
pub use row::{Doc, Reads, Row, RowError};
pub use sampler::{GenerateOptions, Sampling};
pub use scalar::ScalarHead;
pub use spec::{Biases, Family, Layer, NormPlaces, QueryKeyNorm, Spec};
pub use survey::{AdapterSurvey, Survey, bytes_on_disk};
pub use tokens::{TokenFiles, Tokens};
