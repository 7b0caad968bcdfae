//! `run.toml`: everything a run needs to be run again.
//!
//! Every key is optional; [`RunConfig::default`] is what the launch sheet starts from.

mod auto_or;
mod device;
mod knobs;
mod length;
mod margin;
mod method;
mod precision;
mod targets;
mod text;
mod validate;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::{
    auto_or::{Threads, TokenBudget},
    device::DeviceChoice,
    knobs::{Knob, Knobs},
    length::Length,
    margin::Margin,
    precision::Precision,
    targets::Targets,
    text::ConfigError,
    validate::validate,
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    pub model: ModelConfig,
    pub data: DataConfig,
    pub objective: ObjectiveConfig,
    pub lora: LoraConfig,
    pub optimizer: OptimizerConfig,
    pub train: TrainConfig,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Hugging Face folder or GGUF file; the project's own model when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Adapter (PEFT or mlx-lm folder, or GGUF file) frozen into the reference; a new adapter goes on top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_adapter: Option<PathBuf>,
    /// Adapter that is trained further instead of a new one; the reference is the model with it as it was. Its own rank,
    /// alpha and targets count, not those of `[lora]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continue_adapter: Option<PathBuf>,
    pub dtype: Precision,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Longer prompts make a pair unusable (set aside visibly).
    pub max_prompt_tokens: usize,
    /// Longer answers are cut at the end, both sides by the same rule.
    pub max_answer_tokens: usize,
    /// Share of prompts held out, by a hash of the prompt and `seed`.
    pub eval_fraction: f64,
    pub seed: u64,
    /// Train although BOS stands twice in a row in some prompts; without it such a run does not start.
    pub allow_doubled_bos: bool,
    /// Reference answers: "auto" = the project's own, or a JSONL file.
    pub reference: String,
    /// Retention text: the project's own when absent, or a text file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    #[default]
    Mpo,
    Dpo,
    Ipo,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    pub kind: Method,
    /// Absent = the method's own default (MPO and DPO `anchored-sum`, IPO `anchored-mean`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<Margin>,
    /// MPO and DPO: h = β·m. Also the scale of the reported rewards of every method.
    pub beta: f64,
    /// IPO: the target margin is 1/(2τ).
    pub tau: f64,
    /// DPO label smoothing ε.
    pub label_smoothing: f64,
    /// DPO: smoothing in the robust (unbiased) form instead of cDPO's.
    pub robust: bool,
    /// λ_ref. Absent = the method's own default (MPO 0.3, DPO and IPO 0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_weight: Option<f64>,
    /// λ_pre. Absent = 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_weight: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Full weights instead of an adapter; the other keys are then unused.
    pub full: bool,
    pub rank: usize,
    pub alpha: f64,
    pub dropout: f64,
    pub rslora: bool,
    pub targets: Targets,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Always "adamw".
    pub kind: String,
    pub learning_rate: f64,
    pub betas: [f64; 2],
    pub eps: f64,
    pub weight_decay: f64,
    pub warmup_steps: u64,
    pub schedule: Schedule,
    /// Global norm; 0 = no clipping.
    pub max_grad_norm: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    #[default]
    Cosine,
    Linear,
    Constant,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimizer steps; wins over `epochs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// How often every pair is met. The last step takes what is left, be it less than `pairs_per_step`.
    pub epochs: f64,
    /// Pairs of one optimizer step. A step takes as many reference answers and as many pieces of retention text, where their weights are not 0.
    pub pairs_per_step: usize,
    /// Tokens of one packed row. `"auto"` or a number.
    pub micro_batch_tokens: TokenBudget,
    /// Whether blocks run their forward again in the backward, for less memory: `"auto"` where memory is short.
    pub recompute: Recompute,
    /// Memory that the process may hold while it trains, in MB. Absent = 80 % of what is free when the run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    pub shuffle_seed: u64,
    /// Steps between checkpoints; 0 = only at the end.
    pub checkpoint_every: u64,
    /// Checkpoints kept besides the last, the best and those that somebody asked for.
    pub keep: usize,
    /// Steps between evaluations; 0 = only at the start and the end.
    pub eval_every: u64,
    /// Steps between answers to the probe prompts; 0 = only at the start and the end.
    pub sample_every: u64,
    /// Longest answer sampled to a probe prompt or at an evaluation, tokens.
    pub sample_tokens: usize,
    /// Answers freshly sampled at each evaluation (`kl/policy_k3`, answer length, share that ended by itself); 0 = none.
    pub eval_answers: usize,
    /// "auto" (the first accelerator that answers, else the processor), "cpu", "cuda:0" or "metal".
    pub device: String,
    /// Threads that compute: a number, or `"auto"` = as many as the machine has, one less beside a window. The numbers that
    /// come out are the same, to the bit.
    pub threads: Threads,
    /// Who comes first when the processor is busy: `"gentle"` = everybody else, `"full"` = nobody, `"auto"` = gentle beside a
    /// window.
    pub priority: Priority,
}

/// Whether a block keeps all that its backward needs, or only its input and runs its forward again. Exact either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// As many blocks as do not fit in the memory at hand.
    #[default]
    Auto,
    Never,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    #[default]
    Auto,
    Gentle,
    Full,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            max_prompt_tokens: 1024,
            max_answer_tokens: 1024,
            eval_fraction: 0.1,
            seed: 0,
            allow_doubled_bos: false,
            reference: "auto".to_owned(),
            retention: None,
        }
    }
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            kind: Method::Mpo,
            margin: None,
            beta: 0.1,
            tau: 0.1,
            label_smoothing: 0.0,
            robust: false,
            reference_weight: None,
            retention_weight: None,
        }
    }
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self { full: false, rank: 16, alpha: 32.0, dropout: 0.0, rslora: false, targets: Targets::AllLinear }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: "adamw".to_owned(),
            learning_rate: 3e-4,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            warmup_steps: 5,
            schedule: Schedule::Cosine,
            max_grad_norm: 1.0,
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: 1.0,
            pairs_per_step: 16,
            micro_batch_tokens: TokenBudget::Auto,
            recompute: Recompute::Auto,
            memory_mb: None,
            shuffle_seed: 0,
            checkpoint_every: 50,
            keep: 2,
            eval_every: 10,
            sample_every: 20,
            sample_tokens: 96,
            eval_answers: 8,
            device: "auto".to_owned(),
            threads: Threads::Auto,
            priority: Priority::Auto,
        }
    }
}
