//! The tokenizer inside a GGUF file, there (`write`) and back: as the `tokenizer.json` and settings that a Hugging Face
//! folder would have.
//!
//! Two kinds are read: byte-level BPE (`gpt2`), whose way to cut text into words is a name in the file, and
//! SentencePiece BPE (`llama`), whose merges follow from the pieces' scores.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    path::Path,
};

use serde_json::{Value as Json, json};
use tokenizers::AddedToken;

mod words;
pub mod write;

use super::{
    TextError,
    class::{Class, ClassSettings},
    folder::Folder,
    sources::{Source, Sources},
    specials::TokenSettings,
};
use ::gguf::Gguf;
use words::Words;

const TOKENS: &str = "tokenizer.ggml.tokens";
const TEMPLATE: &str = "tokenizer.chat_template";

/// Longer pieces are runs that were added by hand; no merge makes them.
const LONGEST_MERGED: usize = 256;

/// `llama_token_type` of a token, with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

/// What the file says about its tokens.
struct Vocabulary<'a> {
    tokens: Vec<&'a str>,
    kinds: Vec<Kind>,
}

/// Reads the tokenizer, the template and the special tokens of a file.
pub(super) fn read(path: &Path) -> Result<Folder, TextError> {
    let malformed = |reason: String| TextError::Malformed { path: path.to_owned(), reason };
    let file = Gguf::open(path).map_err(|error| TextError::Gguf(error.to_string()))?;
    let Some(tokens) = file.texts(TOKENS) else {
        return Err(malformed(format!("`{TOKENS}` is missing or not a list of texts")));
    };
    let vocabulary = Vocabulary { kinds: kinds(&file, tokens.len()).map_err(malformed)?, tokens };
    let token = |key: &str| {
        let id = file.size(&format!("tokenizer.ggml.{key}"))?;
        Some(((*vocabulary.tokens.get(id)?).to_owned(), id as u32))
    };
    let (bos, eos, turn_end) = (token("bos_token_id"), token("eos_token_id"), token("eot_token_id"));
    let model = file.text("tokenizer.ggml.model").unwrap_or_default();
    let name = file.text("tokenizer.ggml.pre");
    let (tokenizer, adds_bos) = match model {
        "gpt2" => byte_level(&file, &vocabulary, name),
        "llama" => pieces(&file, &vocabulary),
        other => Err(format!(
            "its tokenizer is of the kind `{other}`; only `gpt2` (byte-level BPE) and `llama` (SentencePiece BPE) are known"
        )),
    }
    .map_err(malformed)?;
    let add_bos = file.flag("tokenizer.ggml.add_bos_token").unwrap_or(adds_bos);
    let tokenizer = with_specials(tokenizer, &vocabulary, bos.as_ref().filter(|_| add_bos));
    let name_of = |token: Option<(String, u32)>| token.map(|(text, _)| text);
    Ok(Folder {
        tokenizer: tokenizer.to_string().into_bytes(),
        end_ids: eos.iter().chain(&turn_end).map(|&(_, id)| id).collect(),
        class: Class::AsFiled,
        class_settings: ClassSettings::default(),
        mends_mistral: false,
        tokens: TokenSettings {
            named: [
                ("bos_token", bos),
                ("eos_token", eos),
                ("unk_token", token("unknown_token_id")),
                ("pad_token", token("padding_token_id")),
            ]
            .into_iter()
            .filter_map(|(name, token)| Some((name.to_owned(), Some(AddedToken::from(name_of(token)?, true)))))
            .collect(),
            ..TokenSettings::default()
        },
        split_specials: false,
        templates: Sources {
            default: file.text(TEMPLATE).map(|text| Source { origin: TEMPLATE.to_owned(), text: text.to_owned() }),
            tool_use: None,
        },
    })
}

fn kinds(file: &Gguf, count: usize) -> Result<Vec<Kind>, String> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let Some(numbers) = file.numbers(KEY) else {
        return Ok(vec![Kind::Normal; count]);
    };
    if numbers.len() != count {
        return Err(format!("`{KEY}` names {} tokens of {count}", numbers.len()));
    }
    let kind = |number: f64| match number as i64 {
        2 => Kind::Unknown,
        3 => Kind::Control,
        4 => Kind::UserDefined,
        5 => Kind::Unused,
        6 => Kind::Byte,
        _ => Kind::Normal,
    };
    Ok(numbers.into_iter().map(kind).collect())
}

impl<'a> Vocabulary<'a> {
    /// Id and text of every token that a text can become.
    fn used(&self) -> impl Iterator<Item = (usize, &'a str, Kind)> + '_ {
        let all = self.tokens.iter().zip(&self.kinds).enumerate();
        all.map(|(id, (&token, &kind))| (id, token, kind)).filter(|(_, _, kind)| *kind != Kind::Unused)
    }

    fn table(&self) -> Json {
        let mut table = serde_json::Map::new();
        for (id, token, _) in self.used() {
            table.entry(token).or_insert_with(|| json!(id));
        }
        Json::Object(table)
    }
}

fn byte_level(file: &Gguf, vocabulary: &Vocabulary<'_>, name: Option<&str>) -> Result<(Json, bool), String> {
    let name = name.unwrap_or("default");
    let Some(words) = Words::named(name) else {
        return Err(format!(
            "its tokenizer cuts words in the way `{name}`, which is not known here; put the model's own tokenizer.json beside the file"
        ));
    };
    let known: HashSet<&str> = vocabulary.used().map(|(_, token, _)| token).collect();
    let merges = file
        .texts("tokenizer.ggml.merges")
        .ok_or("`tokenizer.ggml.merges` is missing or not a list of texts")?
        .into_iter()
        .map(|merge| {
            merge
                .split_once(' ')
                .filter(|(left, right)| {
                    let parts = known.contains(left) && known.contains(right);
                    parts && known.contains([*left, *right].concat().as_str())
                })
                .ok_or_else(|| format!("{merge:?} is no merge of two tokens into a third"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let tokenizer = json!({
        "version": "1.0",
        "normalizer": words.normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": words.splits},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": words.ignore_merges, "vocab": vocabulary.table(), "merges": merges,
        },
    });
    Ok((tokenizer, words.adds_bos))
}

fn pieces(file: &Gguf, vocabulary: &Vocabulary<'_>) -> Result<(Json, bool), String> {
    const KEY: &str = "tokenizer.ggml.scores";
    let scores = file
        .numbers(KEY)
        .filter(|scores| scores.len() == vocabulary.tokens.len())
        .ok_or_else(|| format!("`{KEY}` is missing or does not name every token"))?;
    let merges = merges(vocabulary, &scores)?;
    // Spaces become ▁, and a text begins with one, unless the file says otherwise.
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let mut back = vec![
        json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    let normalizer = if file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        back.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace]})
    } else {
        replace
    };
    let unknown = vocabulary.used().find(|(_, _, kind)| *kind == Kind::Unknown);
    let tokenizer = json!({
        "version": "1.0",
        "normalizer": normalizer,
        "pre_tokenizer": null,
        "decoder": {"type": "Sequence", "decoders": back},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown.map(|(_, token, _)| token),
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true,
            "byte_fallback": true, "ignore_merges": false, "vocab": vocabulary.table(), "merges": merges,
        },
    });
    Ok((tokenizer, true))
}

/// SentencePiece has no list of merges: two pieces merge when their union is a piece, the best score first. Ties in the
/// order that Transformers' converter gives them.
fn merges<'a>(vocabulary: &Vocabulary<'a>, scores: &[f64]) -> Result<Vec<(&'a str, &'a str)>, String> {
    let ids: HashMap<&str, usize> =
        vocabulary.used().filter(|(_, _, kind)| *kind == Kind::Normal).map(|(id, token, _)| (token, id)).collect();
    let distinct: HashSet<u64> = ids.values().take(1000).map(|&id| scores[id].to_bits()).collect();
    if ids.len() > 1 && distinct.len() < 2 {
        return Err("its tokenizer's scores are all the same, so they say nothing about merges; \
             put the model's own tokenizer.json beside the file"
            .to_owned());
    }
    let mut found = Vec::new();
    for (id, token, kind) in vocabulary.used() {
        if kind != Kind::Normal || token.len() > LONGEST_MERGED {
            continue;
        }
        let first = found.len();
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right)) {
                found.push((scores[id], left, right, (l, r)));
            }
        }
        found[first..].sort_by_key(|found| found.3);
    }
    // Stable: the best score first, then the longer left part, then the longer right part.
    found.sort_by(|a, b| {
        let lengths = |x: &(f64, &str, &str, _)| Reverse((x.1.chars().count(), x.2.chars().count()));
        b.0.total_cmp(&a.0).then_with(|| lengths(a).cmp(&lengths(b)))
    });
    Ok(found.into_iter().map(|(_, left, right, _)| (left, right)).collect())
}

/// Adds the tokens that are cut out of a text before anything else, and the BOS in front of it.
fn with_specials(mut tokenizer: Json, vocabulary: &Vocabulary<'_>, bos: Option<&(String, u32)>) -> Json {
    let added: Vec<Json> = vocabulary
        .used()
        .filter_map(|(id, token, kind)| {
            let special = match kind {
                Kind::Control | Kind::Unknown => true,
                Kind::UserDefined => false,
                Kind::Normal | Kind::Byte | Kind::Unused => return None,
            };
            Some(json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            }))
        })
        .collect();
    tokenizer["added_tokens"] = Json::Array(added);
    tokenizer["post_processor"] = match bos {
        None => Json::Null,
        Some((text, id)) => {
            let bos = |of: u8| json!({"SpecialToken": {"id": text, "type_id": of}});
            let sequence = |name: &str, of: u8| json!({"Sequence": {"id": name, "type_id": of}});
            json!({
                "type": "TemplateProcessing",
                "single": [bos(0), sequence("A", 0)],
                "pair": [bos(0), sequence("A", 0), bos(1), sequence("B", 1)],
                "special_tokens": {text.as_str(): {"id": text, "ids": [id], "tokens": [text]}},
            })
        }
    };
    tokenizer
}

#[cfg(test)]
mod tests;
