//! The tokenizer and chat template of a model folder.

use std::{collections::HashSet, path::Path};

use tokenizers::{AddedToken, Tokenizer};

use super::{
    Conversation, TextError,
    contained::{self, contained},
    folder::{Folder, Source, Specials},
    template::Template,
};
use ::data::{Role, Turn};

/// How a conversation is written for a model without a chat template: plain text that a base model can go on with.
///
/// `User: ..`, `Assistant: ..`, an empty line between turns, EOS (where there is one) behind each answer, BOS in front
/// where the tokenizer puts one.
const PLAIN_STYLE: &str = "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ message.content }}{% else %}{{ message.role | capitalize }}: {{ message.content }}{% if message.role == 'assistant' %}{{ eos_token }}{% endif %}{% endif %}{% if not loop.last or add_generation_prompt %}{{ '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}";

/// What becomes of a system turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemTurns {
    /// The template has a place for it.
    Kept,
    /// The template refuses or ignores it: it is put in front of the first user turn, an empty line between.
    Folded,
}

/// Stands for an answer where only the template's own text around it is asked for.
pub(super) const SENTINEL: &str = "qzSENTINELzq";

/// Reads and writes token ids as the model in one folder does. `Sync`: share it between threads.
#[derive(Debug)]
pub struct Codec {
    tokenizer: Tokenizer,
    template: Option<Template>,
    template_origin: Option<String>,
    /// In place of `template` when the conversation has tools.
    tool_template: Option<Template>,
    /// For conversations where there is no template.
    plain_style: Template,
    system_turns: SystemTurns,
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
        let malformed = |reason: String| TextError::Malformed { path: model_folder.join("tokenizer.json"), reason };
        let mut tokenizer = contained::read(&folder.tokenizer).map_err(malformed)?;
        contained(|| add_missing_tokens(&mut tokenizer, &folder)).map_err(malformed)?;

        let id_of = |text: Option<&str>| tokenizer.token_to_id(text?);
        let (bos, eos) = (id_of(folder.specials.bos()), id_of(folder.specials.eos()));
        let compiled = |source: &Option<Source>| match source {
            Some(source) => Template::compile(&source.text).map(Some),
            None => Ok(None),
        };
        let template = compiled(&folder.templates.default)?;
        let tool_template = compiled(&folder.templates.tool_use)?;

        let encode = || tokenizer.encode_fast("", true);
        let added = contained(|| encode().map_err(|error| error.to_string())).map_err(malformed)?;
        let first = added.get_ids().first().copied();
        // As Transformers 5: the post-processor decides, and may write a token that no setting calls BOS.
        let bos = bos.or(first.filter(|first| Some(*first) != eos));
        let starts_with_bos = bos.is_some() && first == bos;

        let mut stop_ids = folder.end_ids.clone();
        stop_ids.extend(eos);
        let mut special_ids: HashSet<u32> = tokenizer
            .get_added_tokens_decoder()
            .into_iter()
            .filter_map(|(id, token)| token.special.then_some(id))
            .collect();
        special_ids.extend(bos);
        special_ids.extend(&stop_ids);

        let mut codec = Self {
            vocab_size: tokenizer.get_vocab_size(true),
            identity: identity(&folder),
            tokenizer,
            template,
            template_origin: folder.templates.default.map(|source| source.origin),
            tool_template,
            plain_style: Template::compile(&if starts_with_bos {
                PLAIN_STYLE.to_owned()
            } else {
                PLAIN_STYLE.replace("{{ bos_token }}", "")
            })?,
            system_turns: SystemTurns::Kept,
            specials: folder.specials,
            bos,
            eos,
            starts_with_bos,
            stop_ids,
            special_ids,
        };
        codec.system_turns = codec.probe_system_turns();
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
        self.decoded(ids, true)
    }

    /// Text of the ids, special tokens written out.
    pub fn decode_all(&self, ids: &[u32]) -> String {
        self.decoded(ids, false)
    }

    fn decoded(&self, ids: &[u32], skip_specials: bool) -> String {
        let decode = || self.tokenizer.decode(ids, skip_specials);
        contained(|| decode().map_err(|error| error.to_string())).unwrap_or_else(|reason| {
            tracing::error!("The tokenizer cannot decode {} tokens: {reason}", ids.len());
            String::new()
        })
    }

    /// The turns exactly as the chat template writes them, or in plain style where there is none.
    ///
    /// # Errors
    /// What the template says when it refuses, e.g. a system turn; [`Codec::prompt_ids`] and training fold that.
    pub fn render(&self, turns: &[Turn], generation_prompt: bool) -> Result<String, TextError> {
        self.render_conversation(&turns.into(), generation_prompt)
    }

    /// The same for messages with tool calls, reasoning and the like, for tools and for documents.
    pub fn render_conversation(
        &self,
        conversation: &Conversation,
        generation_prompt: bool,
    ) -> Result<String, TextError> {
        let with_tools = self.tool_template.as_ref().filter(|_| conversation.tools.is_some());
        with_tools.or(self.template.as_ref()).unwrap_or(&self.plain_style).render(
            conversation,
            &self.specials,
            generation_prompt,
        )
    }

    /// What becomes of system turns in training and answers.
    pub fn system_turns(&self) -> SystemTurns {
        self.system_turns
    }

    /// The turns as training and answers hand them to the template: a system turn that it has no place for is put in
    /// front of the first user turn.
    pub fn fold(&self, turns: &[Turn]) -> Vec<Turn> {
        let mut turns = turns.to_vec();
        if self.system_turns == SystemTurns::Folded
            && let [system, user, ..] = &turns[..]
            && (system.role, user.role) == (Role::System, Role::User)
        {
            turns[1].content = format!("{}\n\n{}", system.content, user.content);
            turns.remove(0);
        }
        turns
    }

    /// The folder has a chat template; without one a conversation is written in plain style.
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
        let encode = || self.tokenizer.encode_fast(text, false);
        contained(|| encode().map_err(|error| error.to_string()))
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(TextError::Encode)
    }

    /// Where in the text, in bytes, each token stands.
    pub(super) fn spans(&self, text: &str) -> Vec<(usize, usize)> {
        let encode = || self.tokenizer.encode(text, false);
        contained(|| encode().map_err(|error| error.to_string()))
            .map_or_else(|_| Vec::new(), |encoding| encoding.get_offsets().to_vec())
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

    /// Asks the template for a conversation with a system turn and looks for its text.
    fn probe_system_turns(&self) -> SystemTurns {
        let turn = |role, content: &str| Turn { role, content: content.to_owned() };
        let user = turn(Role::User, "a");
        let with = self.render(&[turn(Role::System, SENTINEL), user.clone()], true);
        match with {
            Ok(text) if text.contains(SENTINEL) => SystemTurns::Kept,
            // Only a template that works without the system turn shows that the turn is the trouble.
            _ if self.render(&[user], true).is_ok() => SystemTurns::Folded,
            _ => SystemTurns::Kept,
        }
    }

    /// The special token with which the chat template ends an assistant turn.
    fn template_end(&self) -> Option<u32> {
        let turn = |role, content: &str| Turn { role, content: content.to_owned() };
        let turns = [turn(Role::User, "a"), turn(Role::Assistant, SENTINEL)];
        let text = self.render(&turns, false).ok()?;
        let (_, tail) = text.rsplit_once(SENTINEL)?;
        let ids = self.try_encode(tail).ok()?;
        ids.into_iter().find(|id| self.is_special(*id))
    }
}

/// Tokens that `tokenizer_config.json` knows and `tokenizer.json` does not, or knows otherwise; and named special tokens
/// that are only part of the vocabulary so far. As Transformers does, so that they are found whole in a text.
///
/// A named token that is not even in the vocabulary stays unknown: the model has no row for it.
fn add_missing_tokens(tokenizer: &mut Tokenizer, folder: &Folder) -> Result<(), String> {
    let known = tokenizer.get_added_tokens_decoder();
    let flags = |token: &AddedToken| {
        let flags = [token.special, token.lstrip, token.rstrip];
        (flags, token.single_word, token.normalized)
    };
    let mut missing: Vec<AddedToken> = Vec::new();
    for (id, token) in &folder.added {
        let same = known.get(id).is_some_and(|old| old.content == token.content && flags(old) == flags(token));
        if !same {
            missing.push(token.clone());
        }
    }
    for (_, text) in folder.specials.texts() {
        let mut all = known.values().chain(&missing);
        if !all.any(|token| token.content == text) && tokenizer.token_to_id(text).is_some() {
            missing.push(AddedToken::from(text, true));
        }
    }
    tokenizer.add_tokens(missing).map(|_| ()).map_err(|error| error.to_string())
}

fn identity(folder: &Folder) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&folder.tokenizer);
    part(format!("{:?} {:?} {:?}", folder.specials, folder.added, folder.end_ids).as_bytes());
    let templates = &folder.templates;
    for source in [&templates.default, &templates.tool_use] {
        part(source.as_ref().map_or("", |source| &source.text).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
