//! What can go wrong between a folder or a conversation and its token ids, in sentences.

use std::path::PathBuf;

use thiserror::Error;

use ::files::FileError;

/// A tokenizer folder, a chat template or a conversation that cannot be used.
#[derive(Debug, Error)]
pub enum TextError {
    #[error(
        "There is no {file} in {folder}. Choose a model folder in the Hugging Face layout, with tokenizer.json beside config.json."
    )]
    Missing { folder: PathBuf, file: &'static str },
    #[error(
        "{folder} has its tokenizer in {file} only, an older form that cannot be read here. Convert it once with Transformers: python -c \"from transformers import AutoTokenizer as T; T.from_pretrained(r'{folder}').save_pretrained(r'{folder}')\", which writes tokenizer.json beside it."
    )]
    OldTokenizer { folder: PathBuf, file: &'static str },
    #[error("{0}. Check that the file is complete and readable.")]
    File(#[from] FileError),
    #[error("{path} is not what it should be: {reason}. Download the model folder again or repair the file.")]
    Malformed { path: PathBuf, reason: String },
    #[error("{0}")]
    Gguf(String),
    #[error("{} cannot be written as a GGUF file: {reason}. Export the merged folder, which keeps its tokenizer as it is.", model.display())]
    NoGguf { model: PathBuf, reason: String },
    #[error("The chat template of this model refuses the conversation: {0}")]
    Refused(String),
    #[error("The chat template of this model does not work: {0}")]
    Template(String),
    /// In its own words, with the file.
    #[error("{0}")]
    Tools(String),
    #[error("The prompt has no tokens, so there is nothing to answer. Write a prompt.")]
    EmptyPrompt,
    #[error("The tokenizer cannot encode this text: {0}")]
    Encode(String),
    #[error("Cannot train a tokenizer: {0}")]
    Train(String),
}

/// Why a pair, or a reference answer, cannot be trained on. Set aside visibly, never dropped in silence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    #[error("answer {} is empty", .answer + 1)]
    EmptyAnswer { answer: usize },
    #[error("answers {} and {} are the same, so there is nothing to prefer", .first + 1, .second + 1)]
    IdenticalAnswers { first: usize, second: usize },
    #[error("answers {} and {} are the same after cutting to {limit} tokens", .first + 1, .second + 1)]
    IdenticalAfterCut { first: usize, second: usize, limit: usize },
    #[error("the prompt has {tokens} tokens, more than the limit of {limit}")]
    PromptTooLong { tokens: usize, limit: usize },
    #[error("the prompt has no tokens, so nothing predicts the first token of the answer")]
    EmptyPrompt,
    #[error("{0}")]
    Text(String),
}
