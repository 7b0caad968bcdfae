//! The tokenizer and chat template of a model folder.

use std::{collections::HashSet, path::Path};

use serde_json::json;
use tokenizers::Tokenizer;

use super::{
    Conversation, TextError,
    contained::contained,
    folder::Folder,
    reading,
    sources::Source,
    specials::{NAMED, Specials},
    template::{Clock, Template},
    tokenizer::{self, Built},
};
use ::data::{Chat, Role, Turn};

/// How a conversation is written for a model without a chat template: plain text that a base model can go on with.
///
/// `User: ..`, `Assistant: ..`, an empty line between turns, EOS (where there is one) behind each answer, BOS in front
/// where the tokenizer puts one; see [`plain_style`].
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
    /// The folder's own, or else that of the plain style.
    template: Template,
    /// The source of the plain style's template, where that one is used.
    plain_style: Option<String>,
    /// In place of `template` when the conversation has tools; one that does not work is told when it is needed.
    tool_template: Option<Result<Template, String>>,
    system_turns: SystemTurns,
    /// The template looks into a content that comes in parts.
    reads_parts: bool,
    specials: Specials,
    clock: Clock,
    /// A template of the folder asks for the time.
    is_dated: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    /// What stands before a plain text: BOS, in most models.
    leading: Vec<u32>,
    stop_ids: Vec<u32>,
    special_ids: HashSet<u32>,
    /// Ids that are cut out of a text whole.
    added_ids: HashSet<u32>,
    vocab_size: usize,
    identity: String,
}

impl Codec {
    /// Reads `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`, `generation_config.json` and
    /// `config.json`.
    ///
    /// Only the first is required. Truncation and padding that `tokenizer.json` may ask for are switched off.
    pub fn load(model_folder: &Path) -> Result<Self, TextError> {
        let folder = reading::read(model_folder)?;
        let malformed = |reason: String| TextError::Malformed { path: model_folder.join("tokenizer.json"), reason };
        let built = contained(|| tokenizer::build(&folder)).map_err(malformed)?;
        let identity = identity(&folder, &built);
        let Built { tokenizer, specials, mut special_ids, added_ids, leading, .. } = built;

        let id_of = |text: Option<&str>| tokenizer.token_to_id(text?);
        // As Transformers 5: the post-processor decides, and may write a token that no setting calls BOS.
        let bos = leading.first().copied().or_else(|| id_of(specials.bos()));
        let eos = id_of(specials.eos());
        let templates = folder.templates;
        let text = |ids: &[u32]| tokenizer.decode(ids, false).map_err(|error| error.to_string());
        let (template, plain_style) = if let Some(source) = &templates.default {
            (Template::compile(&source.text)?, None)
        } else {
            let bos = contained(|| text(&leading)).map_err(malformed)?;
            let source = plain_style(&bos, specials.eos().unwrap_or_default());
            (Template::compile(&source)?, Some(source))
        };
        let asks = |source: &Source| source.text.contains("strftime_now");
        let is_dated = templates.default.iter().chain(&templates.tool_use).any(asks);
        let tool_template = templates.tool_use.map(|source| {
            Template::compile(&source.text)
                .map_err(|error| format!("{error} ({}, for conversations with tools)", source.origin))
        });
        let mut stop_ids = folder.end_ids;
        stop_ids.extend(eos);
        special_ids.extend(bos);
        special_ids.extend(&stop_ids);

        let mut codec = Self {
            vocab_size: tokenizer.get_vocab_size(true),
            identity,
            tokenizer,
            template,
            plain_style,
            tool_template,
            system_turns: SystemTurns::Kept,
            reads_parts: false,
            specials,
            clock: Clock::Now,
            is_dated,
            bos,
            eos,
            leading,
            stop_ids,
            special_ids,
            added_ids,
        };
        codec.reads_parts = codec.probe_parts();
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

    /// The same codec at another time: templates that ask for the date are told this one, so that token ids depend on
    /// nothing else.
    #[must_use]
    pub fn at(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The turns exactly as the chat template writes them, or in plain style where there is none.
    ///
    /// # Errors
    /// What the template says when it refuses, e.g. a system turn; [`Codec::prompt_ids`] and training fold that.
    pub fn render(&self, turns: &[Turn], generation_prompt: bool) -> Result<String, TextError> {
        self.render_chat(&turns.to_vec().into(), generation_prompt)
    }

    /// The same with the tools and variables that the conversation comes with. A content in parts is joined for a
    /// template that does not look into parts.
    pub fn render_chat(&self, chat: &Chat, generation_prompt: bool) -> Result<String, TextError> {
        let mut conversation = Conversation::from(chat);
        if !self.reads_parts {
            for (message, turn) in conversation.messages.iter_mut().zip(chat.iter()) {
                if let Some(content) = message.get_mut("content") {
                    *content = turn.content.as_str().into();
                }
            }
        }
        self.render_conversation(&conversation, generation_prompt)
    }

    /// Messages of any kind, tools and documents exactly as they are.
    pub fn render_conversation(
        &self,
        conversation: &Conversation,
        generation_prompt: bool,
    ) -> Result<String, TextError> {
        let template = match &self.tool_template {
            Some(Ok(template)) if conversation.given.tools.is_some() => template,
            Some(Err(reason)) if conversation.given.tools.is_some() => return Err(TextError::Tools(reason.clone())),
            _ => &self.template,
        };
        template.render(conversation, &self.specials, generation_prompt, self.clock)
    }

    /// What becomes of system turns in training and answers.
    pub fn system_turns(&self) -> SystemTurns {
        self.system_turns
    }

    /// The turns as training and answers hand them to the template: a system turn that it has no place for is put in
    /// front of the first user turn.
    pub fn fold(&self, chat: &Chat) -> Chat {
        let mut chat = chat.clone();
        if self.system_turns == SystemTurns::Folded
            && let [system, user, ..] = &chat[..]
            && (system.role, user.role) == (Role::System, Role::User)
        {
            chat[1].content = format!("{}\n\n{}", system.content, user.content);
            chat.remove(0);
        }
        chat
    }

    /// The folder has a chat template; without one a conversation is written in plain style.
    pub fn has_template(&self) -> bool {
        self.plain_style.is_none()
    }

    /// A chat template that writes the plain style, for a folder that has none: it makes exactly the ids that are made
    /// here. `None` where the folder has its own.
    pub fn plain_style(&self) -> Option<&str> {
        self.plain_style.as_deref()
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

    /// Special by its flag or by its name, or one that starts or ends a text.
    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// Cut out of a text whole, and no blank: what may mark the border of a turn, special or not.
    fn is_mark(&self, id: u32) -> bool {
        self.added_ids.contains(&id)
            && self.piece(id).is_some_and(|text| !text.trim_matches(['▁', ' ', '\n', '\t', '\r']).is_empty())
    }

    /// The tokenizer cuts this text out of any other, as one token.
    pub(super) fn has_mark(&self, text: &str) -> bool {
        self.tokenizer.token_to_id(text).is_some_and(|id| self.added_ids.contains(&id))
    }

    /// With this chat template for all conversations.
    pub(super) fn with_template(mut self, template: Template) -> Self {
        (self.template, self.tool_template, self.plain_style) = (template, None, None);
        self.reads_parts = self.probe_parts();
        self.system_turns = self.probe_system_turns();
        self.stop_ids.extend(self.template_end());
        self
    }

    /// Where among these tokens, which follow an answer, the turn ends: those that may be its end. Special tokens where
    /// there are any, and else whatever is cut out of a text whole.
    pub(super) fn turn_marks(&self, tail: &[u32]) -> impl Fn(u32) -> bool {
        let by_name = tail.iter().any(|id| self.is_special(*id));
        move |id| if by_name { self.is_special(id) } else { self.is_mark(id) }
    }

    /// Ids the tokenizer can produce; the model's table may be padded past it.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The day that templates are told, where one of the folder asks for it: ids depend on it then.
    pub fn day(&self) -> Option<String> {
        self.is_dated.then(|| self.clock.strftime("%Y-%m-%d").unwrap_or_default())
    }

    /// Hash of the tokenizer, its special tokens and the template: equal identities make equal ids, on the same
    /// [`Self::day`].
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
        if ids.first() != self.leading.first() {
            ids.splice(0..0, self.leading.iter().copied());
        }
        ids
    }

    /// The token of an id in words, for messages.
    pub fn token(&self, id: u32) -> String {
        self.piece(id).unwrap_or_default()
    }

    /// The tokenizer's own name of an id, e.g. "Ġthe" or "<0xC3>".
    pub(super) fn piece(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    /// Asks the template for a conversation with a system turn and looks for its text.
    fn probe_system_turns(&self) -> SystemTurns {
        let user = Turn::new(Role::User, "a");
        let with = self.render(&[Turn::new(Role::System, SENTINEL), user.clone()], true);
        match with {
            Ok(text) if text.contains(SENTINEL) => SystemTurns::Kept,
            // Only a template that works without the system turn shows that the turn is the trouble.
            _ if self.render(&[user], true).is_ok() => SystemTurns::Folded,
            _ => SystemTurns::Kept,
        }
    }

    /// Gives the template a content in parts and looks whether it takes the text out or prints them as they are.
    fn probe_parts(&self) -> bool {
        let message = json!({"role": "user", "content": [{"type": "text", "text": SENTINEL}]});
        let messages = message.as_object().cloned().into_iter().collect();
        let text = self.render_conversation(&Conversation { messages, ..Conversation::default() }, true);
        text.is_ok_and(|text| {
            text.contains(SENTINEL)
                && !text.contains(&format!("'{SENTINEL}'"))
                && !text.contains(&format!("\"{SENTINEL}\""))
        })
    }

    /// Whether the template writes a special token first.
    pub(super) fn begins_conversations_specially(&self) -> bool {
        let text = self.render(&[Turn::new(Role::User, SENTINEL)], true).unwrap_or_default();
        self.encode(&text).first().is_some_and(|id| self.is_mark(*id))
    }

    /// The token with which the chat template ends an assistant turn.
    fn template_end(&self) -> Option<u32> {
        let turns = [Turn::new(Role::User, "a"), Turn::new(Role::Assistant, SENTINEL)];
        let text = self.render(&turns, false).ok()?;
        let (_, tail) = text.rsplit_once(SENTINEL)?;
        let ids = self.try_encode(tail).ok()?;
        let ends = self.turn_marks(&ids);
        ids.iter().copied().find(|id| ends(*id))
    }
}

/// The plain style with these tokens as literals, so that the template depends on no setting.
fn plain_style(bos: &str, eos: &str) -> String {
    let literal = |text: &str| {
        let escaped = text.replace('\\', r"\\").replace('\'', r"\'").replace('\n', r"\n");
        if text.is_empty() { String::new() } else { format!("{{{{ '{escaped}' }}}}") }
    };
    PLAIN_STYLE.replace("{{ bos_token }}", &literal(bos)).replace("{{ eos_token }}", &literal(eos))
}

fn identity(folder: &Folder, built: &Built) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(&folder.tokenizer);
    let tokens = &folder.tokens;
    // Names of their own, lists and classes came later: folders without them keep the identity that old runs know.
    let texts = tokens.texts();
    let named: Specials = texts
        .texts()
        .filter(|(name, _)| NAMED.contains(name))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    part(format!("{named:?} {:?} {:?}", tokens.added, folder.end_ids).as_bytes());
    let templates = &folder.templates;
    for source in [&templates.default, &templates.tool_use] {
        part(source.as_ref().map_or("", |source| &source.text).as_bytes());
    }
    let own: Vec<(&str, &str)> = texts.texts().filter(|(name, _)| !NAMED.contains(name)).collect();
    if !own.is_empty() || !tokens.extra.is_empty() || !built.changes.is_empty() || folder.split_specials {
        part(format!("{own:?} {:?} {} {}", tokens.extra, built.changes, folder.split_specials).as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
