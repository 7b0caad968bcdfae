//! Tokenizer classes that Transformers 5 rebuilds.
//!
//! Of most folders it takes `tokenizer.json` as it is. Of a few classes it takes the vocabulary and the merges alone,
//! and makes the rest anew from the class: the normaliser, the way to cut a text, the decoder. Where the file disagrees
//! with its class the ids differ, so it is done here too.
//!
//! Source: `models/auto/tokenization_auto.py` for which class a folder has, `models/*/tokenization_*.py` for what they
//! do.

use serde_json::{Value as Json, json};
use tokenizers::{DecoderWrapper, ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

/// A class with a way of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `tokenizer.json` as it is.
    AsFiled,
    Llama,
    CodeLlama,
    Qwen2,
    Qwen35,
    Gemma,
    Gpt2,
    GptNeoX,
    Cohere,
    /// One that is rebuilt there and cannot be here.
    Foreign(&'static str),
}

/// Classes that Transformers 5 rebuilds too, of models of other kinds.
const FOREIGN: [&str; 46] = [
    "AlbertTokenizer",
    "BarthezTokenizer",
    "BertTokenizer",
    "BigBirdTokenizer",
    "BlenderbotTokenizer",
    "CamembertTokenizer",
    "CLIPTokenizer",
    "CodeGenTokenizer",
    "ConvBertTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "DistilBertTokenizer",
    "EsmcTokenizer",
    "FNetTokenizer",
    "FunnelTokenizer",
    "HerbertTokenizer",
    "LasrTokenizer",
    "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer",
    "LayoutXLMTokenizer",
    "LukeTokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "MLukeTokenizer",
    "MPNetTokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "PegasusTokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RobertaTokenizer",
    "SeamlessM4TTokenizer",
    "Siglip2Tokenizer",
    "SplinterTokenizer",
    "T5Tokenizer",
    "Tipsv2Tokenizer",
    "UdopTokenizer",
    "VideoPrismTokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLMRobertaTokenizer",
    "XLNetTokenizer",
    "DPRContextEncoderTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRReaderTokenizer",
];

/// What `tokenizer_config.json` says to its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClassSettings {
    pub legacy: Option<bool>,
    pub add_prefix_space: Option<bool>,
}

impl Class {
    /// The class of a folder, from the name in its settings (or `config.json`), the model's type, and whether its
    /// `tokenizer.json` is byte-level.
    pub fn of(named: Option<&str>, model_type: Option<&str>, byte_level: bool) -> Self {
        let named = named.map(|name| name.strip_suffix("Fast").unwrap_or(name));
        // Llama 3 calls itself so too, and is none of that kind.
        if named == Some("LlamaTokenizer") && byte_level {
            return Self::AsFiled;
        }
        let own = |name: Option<&str>| name.map_or(Self::AsFiled, Self::by_name);
        match model_type {
            // Known to be published with wrong names.
            Some("qwen2") => Self::Qwen2,
            Some("qwen3" | "qwen2_moe" | "qwen3_moe") => named.map_or(Self::Qwen2, Self::by_name),
            Some("gemma" | "gemma2" | "gemma3" | "gemma3_text") => named.map_or(Self::Gemma, Self::by_name),
            Some("mistral" | "mistral3" | "ministral" | "ministral3" | "phi3" | "olmo2" | "olmo3" | "llava") => {
                Self::AsFiled
            }
            _ => own(named),
        }
    }

    fn by_name(name: &str) -> Self {
        match name {
            "LlamaTokenizer" | "Phi3Tokenizer" => Self::Llama,
            "CodeLlamaTokenizer" => Self::CodeLlama,
            "Qwen2Tokenizer" => Self::Qwen2,
            "Qwen3_5Tokenizer" => Self::Qwen35,
            "GemmaTokenizer" => Self::Gemma,
            "GPT2Tokenizer" => Self::Gpt2,
            "GPTNeoXTokenizer" => Self::GptNeoX,
            "CohereTokenizer" => Self::Cohere,
            other => FOREIGN.into_iter().find(|name| *name == other).map_or(Self::AsFiled, Self::Foreign),
        }
    }

    /// Special tokens that it names where the settings do not.
    pub fn default_names(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::AsFiled | Self::Foreign(_) => &[],
            Self::Llama => &[("unk_token", Some("<unk>")), ("bos_token", Some("<s>")), ("eos_token", Some("</s>"))],
            Self::CodeLlama => &[
                ("unk_token", Some("<unk>")),
                ("bos_token", Some("<s>")),
                ("eos_token", Some("</s>")),
                ("prefix_token", Some("▁<PRE>")),
                ("middle_token", Some("▁<MID>")),
                ("suffix_token", Some("▁<SUF>")),
                ("eot_token", Some("▁<EOT>")),
                ("fill_token", Some("<FILL_ME>")),
            ],
            Self::Qwen2 | Self::Qwen35 => &[
                ("unk_token", Some("<|endoftext|>")),
                ("bos_token", None),
                ("eos_token", Some("<|endoftext|>")),
                ("pad_token", Some("<|endoftext|>")),
            ],
            Self::Gemma => &[
                ("unk_token", Some("<unk>")),
                ("bos_token", Some("<bos>")),
                ("eos_token", Some("<eos>")),
                ("pad_token", Some("<pad>")),
                ("mask_token", Some("<mask>")),
            ],
            Self::Gpt2 => &[
                ("unk_token", Some("<|endoftext|>")),
                ("bos_token", Some("<|endoftext|>")),
                ("eos_token", Some("<|endoftext|>")),
            ],
            Self::GptNeoX => &[
                ("unk_token", Some("<|endoftext|>")),
                ("bos_token", Some("<|endoftext|>")),
                ("eos_token", Some("<|endoftext|>")),
                ("pad_token", Some("<|padding|>")),
            ],
            Self::Cohere => &[
                ("unk_token", Some("<UNK>")),
                ("bos_token", Some("<BOS_TOKEN>")),
                ("eos_token", Some("<|END_OF_TURN_TOKEN|>")),
                ("pad_token", Some("<PAD>")),
                ("cls_token", Some("<CLS>")),
                ("sep_token", Some("<SEP>")),
                ("mask_token", Some("<MASK_TOKEN>")),
            ],
        }
    }

    /// At the end it adds all its special tokens once more, as plain special ones.
    pub fn adds_specials_again(self) -> bool {
        matches!(self, Self::Qwen2 | Self::Cohere)
    }

    /// A BOS before every text, whatever the file's post-processor says.
    pub fn always_writes_bos(self) -> bool {
        self == Self::CodeLlama
    }

    /// The tokenizer made anew, without added tokens. `None` where the class takes the file as it is; an error where it
    /// would be made anew in a way that is not known here.
    pub fn rebuild(
        self,
        filed: &Tokenizer,
        settings: ClassSettings,
        unknown: Option<&str>,
    ) -> Result<Option<Tokenizer>, String> {
        const REMEDY: &str = "If the file is right as it is, put \"PreTrainedTokenizerFast\" as `tokenizer_class` into tokenizer_config.json";
        if let Self::Foreign(name) = self {
            return Err(format!(
                "its settings call it {name}, which Transformers makes anew in a way that is not known here. {REMEDY}"
            ));
        }
        let Some(parts) = self.parts(settings, unknown) else {
            return Ok(None);
        };
        let ModelWrapper::BPE(model) = filed.get_model() else {
            return Err(format!(
                "its settings name a class that Transformers makes anew from merges, and the file is no BPE. {REMEDY}"
            ));
        };
        let mut model = model.clone();
        model.dropout = None;
        model.unk_token = parts.unknown;
        model.continuing_subword_prefix = None;
        model.end_of_word_suffix = None;
        model.fuse_unk = parts.pieces;
        model.byte_fallback = parts.pieces;
        model.ignore_merges = false;
        let mut rebuilt = Tokenizer::new(model);
        let failed = |error: serde_json::Error| error.to_string();
        let normalizer: Option<NormalizerWrapper> = serde_json::from_value(parts.normalizer).map_err(failed)?;
        let pre_tokenizer: PreTokenizerWrapper = serde_json::from_value(parts.pre_tokenizer).map_err(failed)?;
        let decoder: DecoderWrapper = serde_json::from_value(parts.decoder).map_err(failed)?;
        rebuilt.with_normalizer(normalizer).map_err(|error| error.to_string())?;
        rebuilt.with_pre_tokenizer(Some(pre_tokenizer));
        rebuilt.with_decoder(Some(decoder));
        rebuilt.with_post_processor(filed.get_post_processor().cloned());
        Ok(Some(rebuilt))
    }

    fn parts(self, settings: ClassSettings, unknown: Option<&str>) -> Option<Parts> {
        let prefix = settings.add_prefix_space;
        let unknown = unknown.map(str::to_owned);
        Some(match self {
            Self::AsFiled | Self::Foreign(_) => return None,
            Self::Llama => {
                let prefix = prefix.unwrap_or(true);
                let scheme = match (prefix, settings.legacy.unwrap_or(false)) {
                    (false, _) => "never",
                    (true, false) => "first",
                    (true, true) => "always",
                };
                Parts::pieces(metaspace(scheme), prefix, None)
            }
            Self::CodeLlama => {
                let scheme = if prefix.unwrap_or(true) { "first" } else { "never" };
                Parts::pieces(metaspace(scheme), true, unknown)
            }
            Self::Gemma => Parts {
                normalizer: json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
                ..Parts::pieces(split(json!({"String": " "}), "MergedWithPrevious"), false, unknown)
            },
            Self::Qwen2 => Parts::words(r"\p{L}", prefix),
            Self::Qwen35 => Parts::words(r"\p{L}\p{M}", prefix),
            Self::Gpt2 => Parts::bytes(Json::Null, byte_level(prefix, true)),
            Self::GptNeoX => Parts::bytes(nfc(), byte_level(prefix, true)),
            Self::Cohere => {
                let digits = json!({"type": "Digits", "individual_digits": true});
                Parts::bytes(nfc(), sequence(json!([digits, byte_level(prefix, true)])))
            }
        })
    }
}

/// Mistral published tokenizers of this size and more with a splitter that was not theirs; a flag in the settings mends
/// it.
const MISTRAL_SIZE: usize = 100_000;

/// How they split words.
const MISTRAL_WORDS: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Puts Mistral's splitter in the place of the first one, where the size says that it is one of those.
pub fn mend_mistral(tokenizer: &mut Tokenizer) -> Result<(), String> {
    let Some(splitter) = tokenizer.get_pre_tokenizer().filter(|_| tokenizer.get_vocab_size(true) > MISTRAL_SIZE) else {
        return Ok(());
    };
    let failed = |error: serde_json::Error| error.to_string();
    let mut filed = serde_json::to_value(splitter).map_err(failed)?;
    let words = split(json!({"Regex": MISTRAL_WORDS}), "Isolated");
    let mended = if let Some(first) = filed.get_mut("pretokenizers").and_then(|list| list.get_mut(0)) {
        *first = words;
        filed
    } else if filed["type"] == "Metaspace" {
        sequence(json!([words, byte_level(None, false)]))
    } else {
        sequence(json!([words, filed]))
    };
    let mended: PreTokenizerWrapper = serde_json::from_value(mended).map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(mended));
    Ok(())
}

/// What a class puts in place of the file's own, as `tokenizer.json` would write it.
struct Parts {
    normalizer: Json,
    pre_tokenizer: Json,
    decoder: Json,
    unknown: Option<String>,
    /// SentencePiece's way: a piece that is not known falls apart into bytes.
    pieces: bool,
}

impl Parts {
    fn pieces(pre_tokenizer: Json, strip: bool, unknown: Option<String>) -> Self {
        let mut decoders = vec![
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
        ];
        if strip {
            decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
        }
        let decoder = json!({"type": "Sequence", "decoders": decoders});
        Self { normalizer: Json::Null, pre_tokenizer, decoder, unknown, pieces: true }
    }

    fn bytes(normalizer: Json, pre_tokenizer: Json) -> Self {
        let decoder = json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
        Self { normalizer, pre_tokenizer, decoder, unknown: None, pieces: false }
    }

    /// Words of these letters.
    fn words(letters: &str, prefix: Option<bool>) -> Self {
        let class = |letters: &str| if letters.len() > 5 { format!("[{letters}]") } else { letters.to_owned() };
        let pattern = [
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
            &format!(r"[^\r\n\p{{L}}\p{{N}}]?{}+", class(letters)),
            r"\p{N}",
            &format!(r" ?[^\s{letters}\p{{N}}]+[\r\n]*"),
            r"\s*[\r\n]+|\s+(?!\S)|\s+",
        ]
        .join("|");
        let splits = json!([split(json!({"Regex": pattern}), "Isolated"), byte_level(prefix, false)]);
        Self::bytes(nfc(), sequence(splits))
    }
}

fn nfc() -> Json {
    json!({"type": "NFC"})
}

fn metaspace(scheme: &str) -> Json {
    json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false})
}

fn split(pattern: Json, behavior: &str) -> Json {
    json!({"type": "Split", "pattern": pattern, "behavior": behavior, "invert": false})
}

fn byte_level(prefix: Option<bool>, use_regex: bool) -> Json {
    let prefix = prefix.unwrap_or(false);
    json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": use_regex})
}

fn sequence(pretokenizers: Json) -> Json {
    json!({"type": "Sequence", "pretokenizers": pretokenizers})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_is_the_one_transformers_chooses() {
        for (named, model_type, byte_level, class) in [
            (Some("LlamaTokenizerFast"), Some("llama"), false, Class::Llama),
            (Some("LlamaTokenizer"), Some("llama"), true, Class::AsFiled),
            (Some("LlamaTokenizer"), None, false, Class::Llama),
            (Some("PreTrainedTokenizerFast"), Some("llama"), false, Class::AsFiled),
            (Some("PreTrainedTokenizerFast"), Some("qwen2"), true, Class::Qwen2),
            (Some("PreTrainedTokenizerFast"), Some("qwen3"), true, Class::AsFiled),
            (None, Some("qwen3"), true, Class::Qwen2),
            (None, Some("gemma3_text"), false, Class::Gemma),
            (Some("LlamaTokenizer"), Some("mistral"), false, Class::AsFiled),
            (Some("LlamaTokenizer"), Some("phi3"), false, Class::AsFiled),
            (Some("GPT2Tokenizer"), Some("smollm3"), true, Class::Gpt2),
            (None, Some("llama"), false, Class::AsFiled),
            (Some("LlamaTokenizer"), Some("llava"), false, Class::AsFiled),
            (Some("T5TokenizerFast"), Some("llama"), false, Class::Foreign("T5Tokenizer")),
            (Some("BertTokenizer"), Some("mistral"), false, Class::AsFiled),
            (Some("TheirOwnTokenizer"), Some("llama"), false, Class::AsFiled),
        ] {
            assert_eq!(Class::of(named, model_type, byte_level), class, "{named:?} {model_type:?}");
        }
    }
}
