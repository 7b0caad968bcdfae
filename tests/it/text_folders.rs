//! The tokenizer's side of a model folder: every way to write one, what is missing, and the tokenizer that this project
//! trains.

use std::fs;

use nudge::{
    data::{Flaw, Prompt, Role},
    text::{CHATML_TEMPLATE, Codec, Limits, StreamDecoder, train_bpe},
};
use serde_json::Value as Json;

use crate::text::chat;

/// A folder with the demo's kind of tokenizer and these settings.
pub fn folder(settings: &Json, others: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer.json"), small_tokenizer()).unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), settings.to_string()).unwrap();
    for (name, content) in others {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

const SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

fn small_tokenizer() -> String {
    let texts: Vec<String> = ["the ferry to the island", "the island of the ferry, 12 coins"]
        .iter()
        .cycle()
        .take(20)
        .map(ToString::to_string)
        .collect();
    train_bpe(&texts, 300, &SPECIALS).unwrap()
}

#[test]
fn every_way_to_write_a_folder_is_read() {
    let hi = chat(&[(Role::User, "Hi")]);
    let text_of = |codec: &Codec| codec.decode_all(&codec.prompt_ids(&hi).unwrap());
    let settings = serde_json::json!({
        "bos_token": null,
        "eos_token": {"content": "<|im_end|>", "special": true},
        "chat_template": [
            {"name": "tool_use", "template": "tools"},
            {"name": "default", "template": CHATML_TEMPLATE},
        ],
    });
    let plain = folder(&settings, &[]);
    let codec = Codec::load(plain.path()).unwrap();
    assert_eq!(codec.bos(), None);
    assert_eq!(codec.eos(), Some(2));
    assert_eq!(codec.stop_ids(), [2]);
    assert!((260..=300).contains(&codec.vocab_size()));
    assert_eq!(text_of(&codec), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");

    // The separate template file wins; config.json tells where answers end if generation_config.json does not.
    let jinja = "{% for m in messages %}[{{ m.content }}]{% endfor %}\n";
    let other = folder(&settings, &[("chat_template.jinja", jinja), ("config.json", r#"{"eos_token_id": [0, 2]}"#)]);
    let other = Codec::load(other.path()).unwrap();
    assert_eq!(text_of(&other), "[Hi]");
    assert_eq!(other.stop_ids(), [0, 2]);
    assert_ne!(codec.identity(), other.identity());
    assert_eq!(codec.identity(), Codec::load(plain.path()).unwrap().identity());

    // As Transformers 5 has it, tokenizer.json decides whether BOS comes first; add_bos_token is older than that.
    let with_bos = folder(&serde_json::json!({"bos_token": "<|endoftext|>", "add_bos_token": true}), &[]);
    let with_bos = Codec::load(with_bos.path()).unwrap();
    assert_eq!(with_bos.bos(), Some(0));
    assert_eq!(with_bos.encode_text("the"), with_bos.encode("the"));

    // The template's end of turn stops generation even if no other file names it.
    let ends = folder(&serde_json::json!({"eos_token": "<|endoftext|>", "chat_template": CHATML_TEMPLATE}), &[]);
    assert_eq!(Codec::load(ends.path()).unwrap().stop_ids(), [0, 2]);
}

#[test]
fn a_truncating_tokenizer_file_does_not_truncate() {
    let folder = folder(&serde_json::json!({}), &[]);
    let path = folder.path().join("tokenizer.json");
    let mut tokenizer: Json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    tokenizer["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    tokenizer["padding"] = serde_json::json!({
        "strategy": {"Fixed": 64}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"
    });
    fs::write(&path, tokenizer.to_string()).unwrap();
    let codec = Codec::load(folder.path()).unwrap();
    let text = "the ferry to the island of the ferry";
    assert_eq!(codec.decode_all(&codec.encode(text)), text);
}

#[test]
fn what_is_missing_or_broken_is_said_in_a_sentence() {
    let empty = tempfile::tempdir().unwrap();
    let sentence = Codec::load(empty.path()).unwrap_err().to_string();
    assert!(sentence.contains("tokenizer.json") && sentence.contains("Hugging Face"), "{sentence}");

    let broken = folder(&serde_json::json!({}), &[("generation_config.json", "{")]);
    let sentence = Codec::load(broken.path()).unwrap_err().to_string();
    assert!(sentence.contains("generation_config.json"), "{sentence}");

    // An older tokenizer is named, with the way to convert it.
    fs::write(empty.path().join("tokenizer.model"), "x").unwrap();
    let sentence = Codec::load(empty.path()).unwrap_err().to_string();
    assert!(sentence.contains("save_pretrained"), "{sentence}");

    // Without a template plain text still works.
    let plain = folder(&serde_json::json!({"eos_token": "<|endoftext|>"}), &[]);
    let codec = Codec::load(plain.path()).unwrap();
    assert!(!codec.has_template());
    let prompt = Prompt::Text("the ferry".to_owned());
    let encoded = codec.encode_answers(&prompt, &[" to the island"], Limits::NONE).unwrap();
    assert_eq!(encoded.answers[0].ids.last(), Some(&0));

    // Without any end the answer is trained, and the inspector says what that means.
    let endless = folder(&serde_json::json!({}), &[]);
    let codec = Codec::load(endless.path()).unwrap();
    let inspection = codec.inspect(&prompt, &[" to the island"], Limits::NONE).answers;
    assert!(!inspection[0].ended && !inspection[0].end_trained());
    assert_eq!(inspection[0].findings[0].flaw, Flaw::NoEnd);
}

#[test]
fn the_trained_tokenizer_is_the_same_every_time_and_loses_nothing() {
    let one = small_tokenizer();
    assert_eq!(one, small_tokenizer());
    // Also the same as in another process, with other hash seeds.
    let hash = blake3::hash(one.as_bytes()).to_hex();
    assert_eq!(&hash[..16], "576498b2be8f2e7c");
    let folder = folder(&serde_json::json!({}), &[]);
    let codec = Codec::load(folder.path()).unwrap();
    for (id, text) in SPECIALS.iter().enumerate() {
        assert_eq!(codec.encode(text), [id as u32]);
    }
    // Merges were learned, and bytes never seen still have ids.
    assert!(codec.encode(" island").len() < 4);
    let text = "Où? 🦀 日本 \u{0} the island\n";
    assert_eq!(codec.decode_all(&codec.encode(text)), text);
    assert!(train_bpe(&[], 100, &SPECIALS).unwrap_err().to_string().contains("259"));
}

#[test]
fn a_character_of_many_tokens_appears_whole_and_rubbish_does_not_wait_for_ever() {
    let folder = folder(&serde_json::json!({}), &[]);
    let codec = Codec::load(folder.path()).unwrap();
    let crab = codec.encode("🦀");
    assert_eq!(crab.len(), 4);
    let mut decoder = StreamDecoder::new();
    let pieces: Vec<String> = crab.iter().map(|id| decoder.push(&codec, *id)).collect();
    assert_eq!(pieces, ["", "", "", "🦀"]);

    let mut decoder = StreamDecoder::new();
    let shown: String = (0..40).map(|_| decoder.push(&codec, crab[0])).collect();
    assert!(shown.contains('\u{FFFD}'));
    // An unfinished character shows at the end, and nothing is left behind for the next answer.
    decoder.push(&codec, crab[0]);
    assert!(decoder.finish(&codec).contains('\u{FFFD}'));
    assert_eq!(decoder.finish(&codec), "");
}
