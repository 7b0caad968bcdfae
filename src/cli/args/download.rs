//! What can be typed to fetch a model.

use model::ModelName;

/// Fetch a model from the Hugging Face hub into its cache, or go on with one that was begun
///
/// HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean to Python's huggingface_hub.
#[derive(Debug, clap::Args)]
pub struct Download {
    /// org/name, org/name@revision, or org/name/file.gguf.
    #[arg(value_name = "ORG/NAME")]
    pub model: ModelName,
    /// One JSON object a line: progress, then how it ended.
    #[arg(long)]
    pub json: bool,
}
