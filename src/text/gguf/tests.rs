//! The tokenizers of the fixtures, written as a GGUF file says them, make the ids that Transformers makes.

use std::{fs, path::PathBuf};

use super::*;
use crate::Codec;
use ::gguf::build::Build;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn json(path: &str) -> Json {
    serde_json::from_slice(&fs::read(fixtures().join(path)).unwrap()).unwrap()
}

/// What llama.cpp's converter keeps of a `tokenizer.json`.
fn converted(model: &str, pre: Option<&str>) -> Build {
    let tokenizer = json(&format!("models/{model}/tokenizer.json"));
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let added = tokenizer["added_tokens"].as_array().unwrap();
    let ids = vocabulary
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap() as usize, token.as_str()))
        .chain(added.iter().map(|token| (token["id"].as_u64().unwrap() as usize, token["content"].as_str().unwrap())));
    let mut tokens: Vec<String> = Vec::new();
    for (id, token) in ids {
        // The table of the model may be longer than the tokenizer: the converter fills it up.
        while tokens.len() <= id.max(519) {
            tokens.push(format!("[PAD{}]", tokens.len()));
        }
        tokens[id] = token.to_owned();
    }
    let special = |text: &str| added.iter().find(|token| token["content"] == text);
    let kinds: Vec<f32> = tokens
        .iter()
        .map(|token| match special(token) {
            Some(token) if token["special"] == true => 3.0,
            Some(_) => 4.0,
            None if token.starts_with("[PAD") => 5.0,
            None if token.len() == 6 && token.starts_with("<0x") => 6.0,
            None => 1.0,
        })
        .collect();
    let id_of = |key: &str| {
        let settings = json(&format!("models/{model}/tokenizer_config.json"));
        let text = settings[key].as_str().or_else(|| settings[key]["content"].as_str())?.to_owned();
        Some(tokens.iter().position(|token| *token == text)? as u32)
    };
    let texts: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let mut file = Build::default()
        .text("general.architecture", "llama")
        .texts("tokenizer.ggml.tokens", &texts)
        .numbers("tokenizer.ggml.token_type", &kinds);
    for (key, name) in [
        ("bos_token", "bos_token_id"),
        ("eos_token", "eos_token_id"),
        ("pad_token", "padding_token_id"),
        ("unk_token", "unknown_token_id"),
    ] {
        if let Some(id) = id_of(key) {
            file = file.size(&format!("tokenizer.ggml.{name}"), id);
        }
    }
    if let Some(pre) = pre {
        let merges: Vec<String> = tokenizer["model"]["merges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|merge| match merge {
                Json::String(text) => text.clone(),
                pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
            })
            .collect();
        let merges: Vec<&str> = merges.iter().map(String::as_str).collect();
        file.text("tokenizer.ggml.model", "gpt2")
            .text("tokenizer.ggml.pre", pre)
            .texts("tokenizer.ggml.merges", &merges)
    } else {
        // As in SentencePiece's own models: the later a piece was found, the worse its score.
        let scores: Vec<f32> = (0..tokens.len()).map(|id| -(id as f32)).collect();
        file.text("tokenizer.ggml.model", "llama").numbers("tokenizer.ggml.scores", &scores)
    }
}

fn load(file: &Build) -> Result<Codec, TextError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    fs::write(&path, file.bytes()).unwrap();
    Codec::load(&path)
}

fn same_ids(model: &str, codec: &Codec) {
    let expected = json(&format!("expected/{model}/expected.json"));
    for text in expected["texts"].as_array().unwrap() {
        let wanted: Vec<u32> = serde_json::from_value(text["ids_plain"].clone()).unwrap();
        let source = text["text"].as_str().unwrap();
        assert_eq!(codec.encode(source), wanted, "{model}: {source:?}");
        assert_eq!(codec.decode(&wanted), text["decoded_skip_special"].as_str().unwrap(), "{model}");
    }
}

#[test]
fn byte_level_tokenizers_make_the_ids_of_transformers() {
    for (model, pre) in
        [("llama_gqa_rope3", "llama-bpe"), ("smollm", "smollm"), ("qwen2_bias", "qwen2"), ("qwen3_qknorm", "qwen2")]
    {
        same_ids(model, &load(&converted(model, Some(pre))).unwrap());
    }
}

/// Ids by Transformers' own library, with the pattern that OpenAI's `tiktoken` has for GPT-4o.
#[test]
fn the_words_of_gpt_4o_are_those_of_tiktoken() {
    let codec = load(&converted("smollm", Some("gpt-4o"))).unwrap();
    for (text, ids) in [
        (
            "It's theHTTPServer2000's camelCase don'T stop",
            &[
                43, 86, 9, 85, 271, 42, 54, 54, 50, 53, 263, 88, 263, 20, 18, 18, 18, 9, 85, 284, 79, 71, 78, 37, 464,
                71, 485, 9, 54, 274, 86, 81, 82,
            ][..],
        ),
        ("a  b   \n\t c !!!/\n...", &[67, 223, 266, 455, 223, 201, 200, 376, 223, 3, 3, 3, 17, 201, 16, 16, 16]),
        (
            "हिन्दी I'LL we'Ve",
            &[
                159, 100, 120, 159, 100, 126, 159, 100, 104, 159, 101, 238, 159, 100, 102, 159, 101, 225, 223, 43, 9,
                46, 46, 295, 71, 9, 56, 71,
            ],
        ),
    ] {
        assert_eq!(codec.encode(text), ids, "{text:?}");
    }
}

/// Where GPT-4o's words end and GPT-4's do not, and the other way round, as merges across the borders show.
#[test]
fn words_end_at_capitals_and_hold_their_contractions() {
    let tokens = ["a", "c", "e", "i", "l", "m", "s", "t", "C", "'", "Ġ", "lC", "t'"];
    let with = |pre: &str| {
        let file = Build::default()
            .texts(TOKENS, &tokens)
            .text("tokenizer.ggml.model", "gpt2")
            .text("tokenizer.ggml.pre", pre)
            .texts("tokenizer.ggml.merges", &["l C", "t '"]);
        let codec = load(&file).unwrap();
        let ids = codec.encode("camelCase it's");
        let text = |id: &u32| tokens[*id as usize];
        ids.iter().map(text).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(with("gpt-4o"), "c a m e l C a s e Ġ i t' s");
    assert_eq!(with("dbrx"), "c a m e lC a s e Ġ i t ' s");
    assert_eq!(with("seed-coder"), "c a m e lC a s e Ġ i t ' s");
    assert_eq!(with("tekken"), "c a m e l C a s e Ġ i t ' s");
    assert_eq!(with("deepseek-coder"), "c a m e lC a s e Ġ i t ' s");
}

#[test]
fn sentencepiece_tokenizers_make_the_ids_of_transformers() {
    for model in ["llama_mha", "mistral_window", "phi3_fused"] {
        same_ids(model, &load(&converted(model, None)).unwrap());
    }
    // Gemma puts no space in front.
    for model in ["gemma2", "gemma3"] {
        let file = converted(model, None).flag("tokenizer.ggml.add_space_prefix", false);
        same_ids(model, &load(&file).unwrap());
    }
}

#[test]
fn special_tokens_and_the_template_come_along() {
    let template = "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
    let file = converted("smollm", Some("smollm")).text(TEMPLATE, template);
    let codec = load(&file).unwrap();
    assert_eq!(codec.plain_style(), None);
    assert!(codec.eos().is_some_and(|eos| codec.stop_ids().contains(&eos)));
    assert!(codec.is_special(1) && !codec.is_special(300));
    let llama = load(&converted("llama_mha", None)).unwrap();
    assert_eq!(llama.encode_text("Hello")[0], llama.bos().unwrap());
    let without = converted("llama_mha", None).flag("tokenizer.ggml.add_bos_token", false);
    assert_ne!(Some(load(&without).unwrap().encode_text("Hello")[0]), llama.bos());
}

#[test]
fn what_cannot_be_known_is_refused_by_name_or_read_beside() {
    let unknown = converted("smollm", Some("viking"));
    let error = load(&unknown).unwrap_err().to_string();
    assert!(error.contains("`viking`") && error.contains("tokenizer.json"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    fs::write(&path, unknown.bytes()).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixtures().join("models/smollm").join(file), dir.path().join(file)).unwrap();
    }
    same_ids("smollm", &Codec::load(&path).unwrap());

    let kind = Build::default().texts(TOKENS, &["a"]).text("tokenizer.ggml.model", "bert");
    assert!(load(&kind).unwrap_err().to_string().contains("`bert`"));
    let unscored = Build::default()
        .texts(TOKENS, &["a", "b", "ab"])
        .numbers("tokenizer.ggml.scores", &[-1000.0; 3])
        .text("tokenizer.ggml.model", "llama");
    assert!(load(&unscored).unwrap_err().to_string().contains("scores are all the same"));
    let merges = Build::default()
        .texts(TOKENS, &["a", "b"])
        .text("tokenizer.ggml.model", "gpt2")
        .text("tokenizer.ggml.pre", "gpt-2")
        .texts("tokenizer.ggml.merges", &["a b"]);
    let error = load(&merges).unwrap_err().to_string();
    assert!(error.contains("\"a b\""), "{error}");
    assert!(load(&Build::default()).unwrap_err().to_string().contains(TOKENS));
}
