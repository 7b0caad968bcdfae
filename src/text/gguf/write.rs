//! A tokenizer, its special tokens and its chat template as the values of a GGUF file: the way back of `read`.
//!
//! The file holds no way to cut words, only a name that llama.cpp has one for. So the name is chosen whose way cuts
//! texts as the tokenizer does; one without a name is refused. SentencePiece scores are made from the order of the
//! merges.

use std::{collections::HashMap, path::Path};

use serde_json::Value as Json;
use tokenizers::{
    OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer as _, PreTokenizerWrapper, Tokenizer,
};

use super::{Kind, TEMPLATE, TOKENS, words::Words};
use crate::{
    Codec, TextError,
    contained::contained,
    reading,
    tokenizer::{self, Built},
};
use ::gguf::{Gguf, build::Build};

/// Words, blanks, digits, signs, letters of many scripts, line ends of both kinds: what tokenizers cut in different
/// ways. In composed form, because llama.cpp does not normalise.
pub const WORDS: &str = "The quick brown fox doesn't  jump:\n\n\n   it's 3.14159, 1234567 or 'LL we'll\t\ttabs\r\nend  \n \
    HelloWorld camelCase SHOUT ÄÖÜ éàç ñandú Привет мир 你好，世界 こんにちは 한국어 สวัสดี שלום 🦙🦙 🚀👩‍🚀 <b>x</b> a+b=c; \
    f(x)->y { return 0xFF; } ... !!! ??? $100 50% e-mail@example.org https://example.org/?q=1&r=2   ";

impl Codec {
    /// What a GGUF file says of this tokenizer, for a model of `vocab_size` rows. A model that is a GGUF file itself
    /// keeps its own values. `plain_style` is the template of a model that has none.
    pub fn gguf_fields(&self, model: &Path, vocab_size: usize, plain_style: Option<&str>) -> Result<Build, TextError> {
        let no_way = |reason: String| TextError::NoGguf { model: model.to_owned(), reason };
        if let Some(path) = Gguf::find(model) {
            let file = Gguf::open(&path).map_err(|error| TextError::Gguf(error.to_string()))?;
            let own = |key: &&str| key.starts_with("tokenizer.");
            let build = file.keys().filter(own).fold(Build::default(), |build, key| build.copied(key, &file));
            let template = plain_style.filter(|_| !file.has(TEMPLATE));
            return Ok(template.into_iter().fold(build, |build, template| build.text(TEMPLATE, template)));
        }
        let folder = reading::read(model)?;
        let built = contained(|| tokenizer::build(&folder)).map_err(no_way)?;
        let mut build = self.vocabulary(&built, vocab_size).map_err(no_way)?;
        let id = |text: Option<&str>| built.tokenizer.token_to_id(text?);
        let named = |name: &str| built.specials.texts().find(|(known, _)| *known == name).map(|(_, text)| text);
        // The end of a turn, and what else ends an answer.
        let mut more_ends = self.stop_ids().iter().copied().filter(|id| Some(*id) != self.eos());
        let ids = [
            ("bos_token_id", self.bos()),
            ("eos_token_id", self.eos().or_else(|| self.stop_ids().first().copied())),
            ("eot_token_id", more_ends.next()),
            ("eom_token_id", more_ends.next()),
            ("unknown_token_id", id(named("unk_token"))),
            ("padding_token_id", id(named("pad_token"))),
        ];
        for (name, id) in ids.into_iter().filter_map(|(name, id)| Some((name, id?))) {
            build = build.size(&format!("tokenizer.ggml.{name}"), id);
        }
        build = build
            .flag("tokenizer.ggml.add_bos_token", !built.leading.is_empty())
            .flag("tokenizer.ggml.add_eos_token", false);
        let templates = folder.templates;
        if let Some(template) = templates.default.as_ref().map(|source| source.text.as_str()).or(plain_style) {
            build = build.text(TEMPLATE, template);
        }
        if let Some(source) = templates.tool_use {
            build = build.text(&format!("{TEMPLATE}.tool_use"), &source.text);
        }
        Ok(build)
    }

    fn vocabulary(&self, built: &Built, vocab_size: usize) -> Result<Build, String> {
        let tokenizer: Json = serde_json::to_value(&built.tokenizer).map_err(|error| error.to_string())?;
        let model = &tokenizer["model"];
        if model["type"] != "BPE" {
            return Err(format!("its tokenizer is of the kind {}, not BPE", model["type"]));
        }
        let merges = merges(&model["merges"]).ok_or("the merges of its tokenizer are not pairs of texts")?;
        let bytes = model["byte_fallback"] == true;
        let mut tokens: Vec<Option<String>> = vec![None; vocab_size];
        let mut kinds = vec![Kind::Unused; vocab_size];
        let mut vocabulary: Vec<(String, u32)> = built.tokenizer.get_vocab(true).into_iter().collect();
        vocabulary.sort_unstable_by_key(|(_, id)| *id);
        for (text, id) in vocabulary {
            let added = built.added_ids.contains(&id);
            let kind = match () {
                () if bytes && model["unk_token"] == text.as_str() => Kind::Unknown,
                () if built.special_ids.contains(&id) => Kind::Control,
                () if added => Kind::UserDefined,
                () if bytes && is_byte(&text) => Kind::Byte,
                () => Kind::Normal,
            };
            let (Some(token), Some(known)) = (tokens.get_mut(id as usize), kinds.get_mut(id as usize)) else {
                return Err(format!("its tokenizer has a token {id}, its table of embeddings {vocab_size} rows"));
            };
            (*token, *known) = (Some(text), kind);
        }
        let tokens: Vec<String> =
            tokens.into_iter().enumerate().map(|(id, text)| text.unwrap_or_else(|| format!("[PAD{id}]"))).collect();
        let build = Build::default()
            .texts(TOKENS, &tokens)
            .integers("tokenizer.ggml.token_type", &kinds.iter().map(|kind| *kind as i32).collect::<Vec<_>>());
        if bytes {
            return Ok(build
                .text("tokenizer.ggml.model", "llama")
                .text("tokenizer.ggml.pre", "default")
                .numbers("tokenizer.ggml.scores", &scores(&tokens, &merges))
                .flag("tokenizer.ggml.add_space_prefix", self.space_before(&tokenizer)));
        }
        let name = words_of(&built.tokenizer, model["ignore_merges"] == true)?;
        let merges: Vec<String> = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
        Ok(build
            .text("tokenizer.ggml.model", "gpt2")
            .text("tokenizer.ggml.pre", name)
            .texts("tokenizer.ggml.merges", &merges))
    }

    /// Whether llama.cpp is to put a blank before a text, which it then does behind each special token too. Where
    /// Transformers does so at the start alone, a conversation that starts with a special token never sees it.
    fn space_before(&self, tokenizer: &Json) -> bool {
        let scheme = |splitter: &Json| splitter["prepend_scheme"].as_str().map(str::to_owned);
        let parts = |part: &Json, list: &str| match part[list].as_array() {
            Some(parts) => parts.clone(),
            None => vec![part.clone()],
        };
        if parts(&tokenizer["normalizer"], "normalizers").iter().any(|part| part["type"] == "Prepend") {
            return true;
        }
        match parts(&tokenizer["pre_tokenizer"], "pretokenizers").iter().find_map(scheme).as_deref() {
            Some("always") => true,
            Some("first") => !self.has_template() || !self.begins_conversations_specially(),
            _ => false,
        }
    }
}

fn is_byte(text: &str) -> bool {
    let inner = text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
    inner.is_some_and(|digits| digits.len() == 2 && u8::from_str_radix(digits, 16).is_ok())
}

/// `["a b", ..]` or `[["a", "b"], ..]`.
fn merges(list: &Json) -> Option<Vec<(String, String)>> {
    let one = |merge: &Json| match merge {
        Json::String(text) => text.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned())),
        merge => Some((merge[0].as_str()?.to_owned(), merge[1].as_str()?.to_owned())),
    };
    list.as_array()?.iter().map(one).collect()
}

/// A score a token: the earlier its first merge, the better. Tokens that no merge makes come last.
fn scores(tokens: &[String], merges: &[(String, String)]) -> Vec<f32> {
    let mut places: HashMap<String, usize> = HashMap::new();
    for (left, right) in merges {
        let next = places.len();
        places.entry([left.as_str(), right].concat()).or_insert(next);
    }
    let last = places.len();
    tokens.iter().map(|token| -(places.get(token).copied().unwrap_or(last) as f32)).collect()
}

/// The name of the way that cuts words as this tokenizer does.
fn words_of(tokenizer: &Tokenizer, ignore_merges: bool) -> Result<&'static str, String> {
    let own = tokenizer.get_pre_tokenizer().ok_or("its tokenizer does not cut words")?;
    let cut = pieces(own)?;
    let mut same = Vec::new();
    for name in Words::NAMES {
        let Some(words) = Words::named(name) else {
            continue;
        };
        let splits = serde_json::json!({"type": "Sequence", "pretokenizers": words.splits});
        let way: PreTokenizerWrapper = serde_json::from_value(splits).map_err(|error| error.to_string())?;
        if pieces(&way)? == cut {
            same.push((name, words.ignore_merges == ignore_merges));
        }
    }
    let best = same.iter().find(|(_, exact)| *exact).or(same.first());
    best.map(|(name, _)| *name)
        .ok_or_else(|| "its tokenizer cuts words in a way that llama.cpp has no name for that is known here".to_owned())
}

fn pieces(way: &PreTokenizerWrapper) -> Result<Vec<String>, String> {
    let mut text = PreTokenizedString::from(WORDS);
    way.pre_tokenize(&mut text).map_err(|error| error.to_string())?;
    let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
    Ok(splits.into_iter().map(|(piece, _, _)| piece.to_owned()).collect())
}
