//! Tokenizers and chat templates against what Transformers makes of them, on every fixture model.

use std::{fs, path::PathBuf};

use nudge::{
    data::{Prompt, Turn},
    text::{Codec, StreamDecoder},
};
use serde_json::Value as Json;

/// `NUDGE_FIXTURES`, or the repository's own.
fn fixtures() -> PathBuf {
    std::env::var_os("NUDGE_FIXTURES").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        PathBuf::from,
    )
}

/// Every model with its tokenizer and what Transformers says about it.
fn models() -> Vec<(String, Codec, Json)> {
    let root = fixtures();
    let mut names: Vec<String> = fs::read_dir(root.join("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            root.join("models")
                .join(name)
                .join("tokenizer.json")
                .is_file()
        })
        .collect();
    names.sort();
    assert!(names.len() >= 7, "only {names:?} in {}", root.display());
    names
        .into_iter()
        .map(|name| {
            let codec = Codec::load(&root.join("models").join(&name)).unwrap();
            let path = root.join("expected").join(&name).join("expected.json");
            let expected = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            (name, codec, expected)
        })
        .collect()
}

fn ids(value: &Json) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn texts_become_the_ids_of_transformers_and_back() {
    for (name, codec, expected) in models() {
        let texts = expected["texts"].as_array().unwrap();
        assert!(!texts.is_empty());
        for case in texts {
            let text = case["text"].as_str().unwrap();
            assert_eq!(
                codec.encode(text),
                ids(&case["ids_plain"]),
                "{name}: {text:?}"
            );
            let with_specials = ids(&case["ids"]);
            assert_eq!(codec.encode_text(text), with_specials, "{name}: {text:?}");
            assert_eq!(codec.decode_all(&with_specials), case["decoded"], "{name}");
            assert_eq!(
                codec.decode(&with_specials),
                case["decoded_skip_special"],
                "{name}"
            );
        }
    }
}

#[test]
fn conversations_are_rendered_as_by_transformers() {
    for (name, codec, expected) in models() {
        let chats = expected["chats"].as_array().unwrap();
        assert!(!chats.is_empty());
        for case in chats {
            let turns: Vec<Turn> = serde_json::from_value(case["messages"].clone()).unwrap();
            let generation_prompt = case["add_generation_prompt"].as_bool().unwrap();
            let label = format!("{name}, {}, {generation_prompt}", case["name"]);
            let rendered = codec.render(&turns, generation_prompt);
            if let Some(refusal) = case.get("error") {
                let sentence = rendered.unwrap_err().to_string();
                assert!(
                    sentence.contains(refusal.as_str().unwrap()),
                    "{label}: {sentence}"
                );
                continue;
            }
            assert_eq!(rendered.unwrap(), case["text"].as_str().unwrap(), "{label}");
            if generation_prompt {
                let prompt = Prompt::Chat(turns);
                assert_eq!(
                    codec.prompt_ids(&prompt).unwrap(),
                    ids(&case["ids"]),
                    "{label}"
                );
            } else {
                let text = case["text"].as_str().unwrap();
                assert_eq!(codec.encode(text), ids(&case["ids"]), "{label}");
            }
        }
    }
}

#[test]
fn tokens_arriving_one_by_one_make_the_same_text() {
    for (name, codec, expected) in models() {
        for case in expected["texts"].as_array().unwrap() {
            let all = ids(&case["ids"]);
            let mut decoder = StreamDecoder::new();
            let mut text = String::new();
            for id in &all {
                let piece = decoder.push(&codec, *id);
                assert!(
                    !piece.contains('\u{FFFD}'),
                    "{name}: half a character in {piece:?}"
                );
                text.push_str(&piece);
            }
            text.push_str(&decoder.finish(&codec));
            assert_eq!(text, codec.decode(&all), "{name}");
        }
    }
}
