//! How a byte-level BPE cuts text into words before it merges, by the name that llama.cpp's converter gives it.
//!
//! The patterns are those of the models' own `tokenizer.json`, because what Transformers makes of a text is what the
//! model was trained on; llama.cpp rewrites some for its own engine. Names: `llama-vocab.cpp`,
//! `llama_vocab::impl::load`.

use serde_json::{Value as Json, json};

/// One way to cut.
pub(super) struct Words {
    pub(super) normalizer: Json,
    pub(super) splits: Vec<Json>,
    /// A word that is a token is that token, whatever the merges say.
    pub(super) ignore_merges: bool,
    pub(super) adds_bos: bool,
}

const CONTRACTIONS: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST: &str = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl Words {
    /// One name of each way, as llama.cpp's converter writes it.
    pub(super) const NAMES: [&str; 9] =
        ["llama-bpe", "dbrx", "qwen2", "seed-coder", "smollm", "gpt-2", "deepseek-coder", "gpt-4o", "tekken"];

    /// The way of this name, if it is one of a model that this crate may support.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "pixtral" | "lfm2" => {
                Self { ignore_merges: true, adds_bos: true, ..plain(by_digits(r"\p{N}{1,3}")) }
            }
            // The words of GPT-4, which OLMo 2 has too.
            "dbrx" | "smaug-bpe" => plain(by_digits(r"\p{N}{1,3}")),
            "qwen2" | "deepseek-r1-qwen" | "stablelm2" | "megrez" | "f2llmv2" => {
                Self { normalizer: json!({"type": "NFC"}), ..plain(by_digits(r"\p{N}")) }
            }
            "seed-coder" => plain(vec![
                isolated(format!(
                    r"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"
                )),
                bytes(false),
            ]),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" => {
                plain(vec![digits(), bytes(true)])
            }
            "gpt-2" | "gpt2" | "phi-2" | "olmo" | "mpt" => plain(vec![bytes(true)]),
            "deepseek-coder" => plain(vec![
                isolated(r"[\r\n]".to_owned()),
                isolated(r"\s?\p{L}+".to_owned()),
                isolated(r"\s?\p{P}+".to_owned()),
                isolated("[一-龥ࠀ-一가-퟿]+".to_owned()),
                digits(),
                bytes(false),
            ]),
            "gpt-4o" | "llama4" | "kanana2" => plain(by_case(&format!("{CONTRACTIONS}?"), r"\p{N}{1,3}")),
            "tekken" => Self { ignore_merges: true, adds_bos: true, ..plain(by_case("", r"\p{N}")) },
            _ => return None,
        })
    }
}

fn plain(splits: Vec<Json>) -> Words {
    Words { normalizer: Json::Null, splits, ignore_merges: false, adds_bos: false }
}

fn isolated(pattern: String) -> Json {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

/// Bytes as letters; with `regex`, GPT-2's words as well.
fn bytes(regex: bool) -> Json {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex})
}

fn digits() -> Json {
    json!({"type": "Digits", "individual_digits": true})
}

/// GPT-4's words, with so many digits in one.
fn by_digits(digits: &str) -> Vec<Json> {
    let pattern = format!(r"{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}|{REST}");
    vec![isolated(pattern), bytes(false)]
}

/// GPT-4o's words, which begin anew where a small letter is followed by a capital.
fn by_case(contractions: &str, digits: &str) -> Vec<Json> {
    let upper = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]";
    let lower = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]";
    let before = r"[^\r\n\p{L}\p{N}]?";
    let after = format!(r"{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+");
    let pattern = format!("{before}{upper}*{lower}+{contractions}|{before}{upper}+{lower}*{contractions}|{after}");
    vec![isolated(pattern), bytes(false)]
}
