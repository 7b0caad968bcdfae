//! The tokenizer and chat template of a model folder.

use std::path::Path;

use super::TextError;
use crate::data::Turn;

/// Reads and writes token ids as the model in one folder does. `Sync`: share it between threads.
pub struct Codec {
    identity: String,
}

impl Codec {
    /// Reads `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`, `generation_config.json` and `config.json`.
    pub fn load(model_folder: &Path) -> Result<Self, TextError> {
        let _ = model_folder;
        unimplemented!()
    }

    /// Ids of the text alone, no special tokens added.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let _ = text;
        unimplemented!()
    }

    /// Ids of a text on its own, as pre-training saw it: BOS first when the model has one and puts it there.
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        let _ = text;
        unimplemented!()
    }

    /// Text of the ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        let _ = ids;
        unimplemented!()
    }

    /// Text of the ids, special tokens written out.
    pub fn decode_all(&self, ids: &[u32]) -> String {
        let _ = ids;
        unimplemented!()
    }

    /// The conversation as the chat template writes it.
    pub fn render(&self, turns: &[Turn], generation_prompt: bool) -> Result<String, TextError> {
        let _ = (turns, generation_prompt);
        unimplemented!()
    }

    /// The folder has a chat template; without one only plain text can be completed.
    pub fn has_template(&self) -> bool {
        unimplemented!()
    }

    /// Ids that end an answer. Generation stops on any of them.
    pub fn stop_ids(&self) -> &[u32] {
        unimplemented!()
    }

    pub fn bos(&self) -> Option<u32> {
        unimplemented!()
    }

    pub fn eos(&self) -> Option<u32> {
        unimplemented!()
    }

    /// Ids the tokenizer can produce; the model's table may be padded past it.
    pub fn vocab_size(&self) -> usize {
        unimplemented!()
    }

    /// Hash of the tokenizer and the template: equal identities make equal ids.
    pub fn identity(&self) -> &str {
        &self.identity
    }
}
