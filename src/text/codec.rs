//! The tokenizer and chat template of a model folder.

use std::{collections::HashSet, path::Path};

use tokenizers::Tokenizer;

use super::{
    TextError,
    folder::{Folder, Specials},
    template::Template,
};
use crate::data::{Role, Turn};

/// Stands for an answer where only the template's own text around it is asked for.
pub(super) const SENTINEL: &str = "qzSENTINELzq";

/// Reads and writes token ids as the model in one folder does. `Sync`: share it between threads.
#[derive(Debug)]
pub struct Codec {
    tokenizer: Tokenizer,
    template: Option<Template>,
    template_origin: Option<String>,
    specials: Specials,
    bos: Option<u32>,
    eos: Option<u32>,
    /// A plain text starts with BOS.
    starts_with_bos: bool,
    stop_ids: Vec<u32>,
    special_ids: HashSet<u32>,
    vocab_size: usize,
    identity: String,
}

impl Codec {
    /// Reads `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`, `generation_config.json` and `config.json`.
    ///
    /// Only the first is required. Truncation and padding that `tokenizer.json` may ask for are switched off.
    pub fn load(model_folder: &Path) -> Result<Self, TextError> {
        let folder = Folder::read(model_folder)?;
        let malformed = |reason: String| TextError::Malformed {
            path: model_folder.join("tokenizer.json"),
            reason,
        };
        let mut tokenizer = Tokenizer::from_bytes(&folder.tokenizer)
            .map_err(|error| malformed(error.to_string()))?;
        tokenizer
            .with_truncation(None)
            .map_err(|error| malformed(error.to_string()))?;
        tokenizer.with_padding(None);

        let id_of = |text: &Option<String>| tokenizer.token_to_id(text.as_deref()?);
        let (bos, eos) = (id_of(&folder.specials.bos), id_of(&folder.specials.eos));
        let template = match &folder.template {
            Some((_, source)) => Some(Template::compile(source)?),
            None => None,
        };

        let mut stop_ids = folder.end_ids.clone();
        stop_ids.extend(eos);
        let mut special_ids: HashSet<u32> = tokenizer
            .get_added_tokens_decoder()
            .into_iter()
            .filter_map(|(id, token)| token.special.then_some(id))
            .collect();
        special_ids.extend(bos);
        special_ids.extend(&stop_ids);

        let added = tokenizer
            .encode_fast("", true)
            .map_err(|error| malformed(error.to_string()))?;
        let writes_bos = bos.is_some() && added.get_ids().first() == bos.as_ref();

        let mut codec = Self {
            vocab_size: tokenizer.get_vocab_size(true),
            identity: identity(&folder),
            tokenizer,
            template,
            template_origin: folder.template.map(|(origin, _)| origin),
            specials: folder.specials,
            bos,
            eos,
            starts_with_bos: bos.is_some() && folder.add_bos.unwrap_or(writes_bos),
            stop_ids,
            special_ids,
        };
        codec.stop_ids.extend(codec.template_end());
        let mut seen = HashSet::new();
        codec.stop_ids.retain(|id| seen.insert(*id));
        Ok(codec)
    }

    /// Ids of the text alone, no special tokens added. Special tokens spelled out in the text become their ids, as in
    /// Transformers.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        self.try_encode(text).unwrap_or_else(|error| {
            tracing::error!("{error}");
            Vec::new()
        })
    }

    /// Ids of a text on its own, as pre-training saw it: BOS first when the model puts one there, never twice.
    pub fn encode_text(&self, text: &str) -> Vec<u32> {
        let ids = self.encode(text);
        self.with_bos(ids)
    }

    /// Text of the ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, true).unwrap_or_default()
    }

    /// Text of the ids, special tokens written out.
    pub fn decode_all(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids, false).unwrap_or_default()
    }

    /// The conversation as the chat template writes it.
    pub fn render(&self, turns: &[Turn], generation_prompt: bool) -> Result<String, TextError> {
        self.template.as_ref().ok_or(TextError::NoTemplate)?.render(
            turns,
            &self.specials,
            generation_prompt,
        )
    }

    /// The folder has a chat template; without one only plain text can be completed.
    pub fn has_template(&self) -> bool {
        self.template.is_some()
    }

    /// The file the chat template came from.
    pub fn template_origin(&self) -> Option<&str> {
        self.template_origin.as_deref()
    }

    /// Ids that end an answer: those of `generation_config.json` (or `config.json`), the tokenizer's EOS, and the
    /// token that the chat template ends an assistant turn with. Generation stops on any of them.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    pub fn eos(&self) -> Option<u32> {
        self.eos
    }

    /// Special by `tokenizer.json`, or one that starts or ends a text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// Ids the tokenizer can produce; the model's table may be padded past it.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Hash of the tokenizer, its special tokens and the template: equal identities make equal ids.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    pub(super) fn try_encode(&self, text: &str) -> Result<Vec<u32>, TextError> {
        self.tokenizer
            .encode_fast(text, false)
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|error| TextError::Encode(error.to_string()))
    }

    pub(super) fn with_bos(&self, mut ids: Vec<u32>) -> Vec<u32> {
        if let Some(bos) = self.bos
            && self.starts_with_bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        ids
    }

    /// The tokenizer's own name of an id, e.g. "Ġthe" or "<0xC3>".
    pub(super) fn piece(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// The special token with which the chat template ends an assistant turn.
    fn template_end(&self) -> Option<u32> {
        let turn = |role, content: &str| Turn {
            role,
            content: content.to_owned(),
        };
        let turns = [turn(Role::User, "a"), turn(Role::Assistant, SENTINEL)];
        let text = self.render(&turns, false).ok()?;
        let (_, tail) = text.rsplit_once(SENTINEL)?;
        let ids = self.try_encode(tail).ok()?;
        ids.into_iter().find(|id| self.is_special(*id))
    }
}

fn identity(folder: &Folder) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&folder.tokenizer);
    part(
        format!(
            "{:?} {:?} {:?}",
            folder.specials, folder.add_bos, folder.end_ids
        )
        .as_bytes(),
    );
    part(
        folder
            .template
            .as_ref()
            .map_or("", |(_, source)| source)
            .as_bytes(),
    );
    hasher.finalize().to_hex().to_string()
}
