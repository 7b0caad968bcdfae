//! What can go wrong, as sentences: what happened, to what, and what to do.

use std::path::PathBuf;

use ::files::FileError;
use ::kernels::KernelError;

/// A model folder or an adapter could not be loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("Could not read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("Could not write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{path} cannot be used: {reason}")]
    Config { path: PathBuf, reason: String },
    #[error("{path} cannot be used: {reason}")]
    Weights { path: PathBuf, reason: String },
    #[error("{0}")]
    Gguf(String),
    #[error(
        "The weights of {path} alone take {needed}, and there are {total} of memory in all. Choose a smaller model, a GGUF \
         file of it, or `dtype = \"q4_k\"`"
    )]
    Memory { path: PathBuf, needed: String, total: String },
    #[error(
        "All weights cannot be trained while they are kept in blocks of a few bits ({0}): updates are smaller than their \
         steps. Train an adapter, or load the weights with `dtype = \"f32\"`"
    )]
    TrainedBlocks(String),
    #[error(
        "{path} keeps its weights in blocks of a few bits, too coarse to merge an adapter into. Export the adapter, and merge it \
         into the model's original safetensors folder"
    )]
    MergedBlocks { path: PathBuf },
    #[error(
        "{} cannot be written as a GGUF file: llama.cpp has no way to say {what}. Export the merged folder, which keeps it",
        model.display()
    )]
    NoGguf { model: PathBuf, what: String },
    #[error("`{tensor}` has numbers that do not fit in {element}; choose another type, such as bf16")]
    NotFinite { tensor: String, element: String },
    #[error(
        "{path} holds an adapter, not a model: {}load that model, and this folder as the adapter on top (`--adapter`)",
        if base.is_empty() { "its config does not say for which; ".to_owned() } else { format!("it was made for {base}; ") }
    )]
    IsAdapter { path: PathBuf, base: String },
    #[error("The adapter {path} cannot be used: {reason}")]
    Adapter { path: PathBuf, reason: String },
    #[error(
        "{path} holds a model and an adapter beside it, which Transformers would apply, but the adapter cannot be used. {error}. \
         Complete it, or take its adapter_config.json away to have the model alone"
    )]
    Beside { path: PathBuf, error: Box<LoadError> },
    #[error("The LoRA settings cannot be used: {0}")]
    Lora(String),
    #[error("Stopped before it was done")]
    Stopped,
    #[error("Could not set up the policy: {0}")]
    Policy(#[from] PolicyError),
}

/// A forward, a backward, an update or a generation failed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(
        "Token id {id} is outside the model's vocabulary of {vocab_size}; the tokenizer does not belong to this model"
    )]
    Token { id: u32, vocab_size: usize },
    #[error("{0}")]
    Usage(String),
    /// Whoever asked for it no longer wants it.
    #[error("It was cancelled")]
    Cancelled,
    #[error(transparent)]
    Row(#[from] super::RowError),
}

impl From<FileError> for LoadError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Read { path, source } => Self::Read { path, source },
            FileError::Unfit { path, reason } => Self::Config { path, reason },
        }
    }
}

pub type Result<T, E = PolicyError> = std::result::Result<T, E>;
