//! Tokenizers and chat templates against what Transformers makes of them, on every fixture model.

use std::{fs, path::PathBuf};

use nudge::{
    data::{Flaw, Prompt, Role, Turn},
    text::{Codec, Limits, StreamDecoder, TextError, Unusable},
};
use serde_json::Value as Json;

/// `NUDGE_FIXTURES`, or the repository's own.
fn fixtures() -> PathBuf {
    std::env::var_os("NUDGE_FIXTURES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from)
}

/// Every model with its tokenizer and what Transformers says about it.
pub fn models() -> Vec<(String, Codec, Json)> {
    let root = fixtures();
    let mut names: Vec<String> = fs::read_dir(root.join("expected"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| root.join("models").join(name).join("tokenizer.json").is_file())
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

/// A model of the repository's own fixtures.
pub fn codec(name: &str) -> Codec {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    Codec::load(&root.join(name)).unwrap()
}

pub fn chat(turns: &[(Role, &str)]) -> Prompt {
    let turn = |(role, content): &(Role, &str)| Turn::new(*role, *content);
    Prompt::chat(turns.iter().map(turn).collect())
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
            assert_eq!(codec.encode(text), ids(&case["ids_plain"]), "{name}: {text:?}");
            let with_specials = ids(&case["ids"]);
            assert_eq!(codec.encode_text(text), with_specials, "{name}: {text:?}");
            assert_eq!(codec.decode_all(&with_specials), case["decoded"], "{name}");
            assert_eq!(codec.decode(&with_specials), case["decoded_skip_special"], "{name}");
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
                assert!(sentence.contains(refusal.as_str().unwrap()), "{label}: {sentence}");
                continue;
            }
            assert_eq!(rendered.unwrap(), case["text"].as_str().unwrap(), "{label}");
            if generation_prompt {
                let prompt = Prompt::chat(turns);
                assert_eq!(codec.prompt_ids(&prompt).unwrap(), ids(&case["ids"]), "{label}");
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
                assert!(!piece.contains('\u{FFFD}'), "{name}: half a character in {piece:?}");
                text.push_str(&piece);
            }
            text.push_str(&decoder.finish(&codec));
            assert_eq!(text, codec.decode(&all), "{name}");
        }
    }
}

/// The batch that TRL tokenised for the fixtures. It scores what the template writes behind the end of turn; we do not.
#[test]
fn a_pair_becomes_the_ids_of_trl_up_to_the_end_of_turn() {
    let conversations = [
        chat(&[(Role::User, "Explain the history of tea.")]),
        chat(&[(Role::User, "Hi"), (Role::Assistant, "Hello!"), (Role::User, "What is 12 + 7?")]),
        chat(&[(Role::User, "Draw two bridges")]),
    ];
    let answers = [
        ["I like tea in the morning.", "No."],
        ["12 + 7 = 19.", "It is 21, because it rained again."],
        ["A small robot draws two bridges.", "The old captain forgets the answer, again."],
    ];
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/expected");
    let mut compared = 0;
    for (name, _, _) in models() {
        let Ok(file) = fs::read(root.join(&name).join("expected.json")) else {
            continue;
        };
        let expected: Json = serde_json::from_slice(&file).unwrap();
        let codec = codec(&name);
        for (i, (prompt, answers)) in conversations.iter().zip(answers).enumerate() {
            let pair = &expected["preference"]["pairs"][i];
            let encoded = codec.encode_answers(prompt, &answers, Limits::NONE).unwrap();
            assert_eq!(encoded.prefix, ids(&pair["prompt"]), "{name}, pair {i}");
            for (side, answer) in ["chosen", "rejected"].iter().zip(&encoded.answers) {
                let whole = ids(&pair[side]);
                if i == 2 && *side == "rejected" {
                    // The fixture's own cut, before the end.
                    assert!(answer.ids.starts_with(&whole), "{name}, {side} {i}");
                    continue;
                }
                assert!(answer.ended && !answer.cut);
                assert!(codec.stop_ids().contains(answer.ids.last().unwrap()));
                let behind = whole.strip_prefix(&answer.ids[..]).unwrap_or_else(|| panic!("{name}, {side} {i}"));
                assert_eq!(codec.decode(behind).trim(), "", "{name}, {side} {i}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 7 * 5, "{compared}");
}

#[test]
fn prefix_and_answer_together_are_the_text_the_model_saw() {
    for (name, codec, _) in models() {
        for prompt in ["The moon is", "The moon is ", "Où est le ca", "1 + 1 =\n"] {
            let answers = [" a rock.", "fé 🙂", "  \n2"];
            let encoded = codec.encode_answers(&Prompt::Text(prompt.to_owned()), &answers, Limits::NONE).unwrap();
            for (text, answer) in answers.iter().zip(&encoded.answers) {
                let all = [&encoded.prefix[..], &answer.ids].concat();
                assert!(
                    codec.decode(&all).trim_start() == format!("{prompt}{text}").trim_start(),
                    "{name}: {prompt:?} {text:?} became {:?}",
                    codec.decode(&all)
                );
                assert_eq!(answer.ids.last().copied(), codec.eos(), "{name}");
                assert!(answer.ended && !answer.cut);
            }
        }
    }
}

#[test]
fn bos_comes_once_or_not_at_all() {
    for (name, codec, expected) in models() {
        let bare = ids(&expected["texts"][0]["ids"]);
        let first = codec.bos().filter(|bos| bare.first() == Some(bos));
        let prompt = codec.prompt_ids(&Prompt::Text("Hello".to_owned())).unwrap();
        let Some(bos) = first else {
            assert_eq!(prompt, codec.encode("Hello"), "{name}: no BOS is a valid state");
            continue;
        };
        assert_eq!(prompt[0], bos, "{name}");
        assert_ne!(prompt[1], bos, "{name}");
        // Spelled out in the text, it is not added again.
        let spelled = format!("{}Hello", codec.decode_all(&[bos]));
        let prompt = codec.prompt_ids(&Prompt::Text(spelled.clone())).unwrap();
        assert_eq!(prompt.iter().filter(|id| **id == bos).count(), 1, "{name}");
        let retention = codec.encode_text(&spelled);
        assert_eq!(retention.iter().filter(|id| **id == bos).count(), 1, "{name}");
        // A template that writes BOS itself gets no second one.
        let rendered = codec.prompt_ids(&chat(&[(Role::User, "Hi")])).unwrap();
        assert_ne!(rendered[1], bos, "{name}");
    }
}

#[test]
fn masks_go_by_position_even_where_the_answer_spells_out_the_end_of_turn() {
    let codec = codec("qwen2_bias");
    let end = codec.eos().unwrap();
    let prompt = chat(&[(Role::User, "Hi")]);
    let encoded = codec.encode_answers(&prompt, &["one<|im_end|>two", "plain"], Limits::NONE).unwrap();
    let spelled = &encoded.answers[0].ids;
    assert_eq!(spelled.iter().filter(|id| **id == end).count(), 2);
    assert_eq!(spelled.last(), Some(&end));
    assert_eq!(codec.decode(spelled), "onetwo");
    let inspection = codec.inspect(&prompt, &["one<|im_end|>two", "plain"], Limits::NONE).answers;
    assert_eq!(inspection[0].findings[0].flaw, Flaw::SpecialInside);
    assert_eq!(inspection[1].findings, []);
}

#[test]
fn a_template_that_rewrites_the_question_does_not_get_it_into_the_answer() {
    // This template shows the system turn only while the user's is the last: in training it would vanish.
    let codec = codec("mistral_window");
    let prompt = chat(&[(Role::System, "Answer briefly."), (Role::User, "Where is the library?")]);
    let answers = ["Left.", "Right."];
    let encoded = codec.encode_answers(&prompt, &answers, Limits::NONE).unwrap();
    assert_eq!(encoded.prefix, codec.prompt_ids(&prompt).unwrap());
    for (text, answer) in answers.iter().zip(&encoded.answers) {
        assert_eq!(codec.decode(&answer.ids).trim(), *text);
        assert!(answer.ended);
    }
    let inspections = codec.inspect(&prompt, &answers, Limits::NONE).answers;
    assert_eq!(inspections[0].findings[0].flaw, Flaw::PromptRewritten);
}

#[test]
fn what_cannot_be_trained_on_says_why() {
    let codec = codec("qwen2_bias");
    let prompt = chat(&[(Role::User, "Hi")]);
    let refused =
        |prompt: &Prompt, answers: &[&str], limits| codec.encode_answers(prompt, answers, limits).unwrap_err();
    assert_eq!(refused(&prompt, &["a", " \n"], Limits::NONE), Unusable::EmptyAnswer { answer: 1 });
    assert_eq!(refused(&prompt, &["a", "b", "a"], Limits::NONE), Unusable::IdenticalAnswers { first: 0, second: 2 });
    let tokens = codec.prompt_ids(&prompt).unwrap().len();
    let short = Limits { max_prompt: tokens - 1, max_answer: 9 };
    assert_eq!(refused(&prompt, &["a", "b"], short), Unusable::PromptTooLong { tokens, limit: tokens - 1 });
    let limits = Limits { max_prompt: tokens, max_answer: 2 };
    assert_eq!(
        refused(&prompt, &["one two three four", "one two three five"], limits),
        Unusable::IdenticalAfterCut { first: 0, second: 1, limit: 2 }
    );
    let encoded = codec.encode_answers(&prompt, &["1", "one two three four"], limits).unwrap();
    assert!(encoded.answers[0].ended && !encoded.answers[0].cut);
    assert!(!encoded.answers[1].ended && encoded.answers[1].cut);
    assert_eq!(encoded.answers[1].ids.len(), 2);

    // Without BOS nothing stands before the first token of an empty prompt.
    let empty = Prompt::Text(String::new());
    assert_eq!(refused(&empty, &["a"], Limits::NONE), Unusable::EmptyPrompt);
    assert!(matches!(codec.prompt_ids(&empty), Err(TextError::EmptyPrompt)));

    let gemma = self::codec("gemma2");
    let reason =
        gemma.encode_answers(&chat(&[(Role::User, "x"), (Role::User, "y")]), &["a"], Limits::NONE).unwrap_err();
    assert!(reason.to_string().contains("refuses the conversation"), "{reason}");
}

#[test]
fn generation_stops_where_any_file_says_an_answer_ends() {
    let ends = |name: &str| {
        let codec = codec(name);
        let mut texts: Vec<String> = codec.stop_ids().iter().map(|id| codec.decode_all(&[*id])).collect();
        texts.sort();
        texts
    };
    assert_eq!(ends("llama_mha"), ["</s>"]);
    assert_eq!(ends("smollm"), ["<|im_end|>"]);
    assert_eq!(ends("qwen2_bias"), ["<|endoftext|>", "<|im_end|>"]);
    assert_eq!(ends("phi3_fused"), ["<|endoftext|>", "<|end|>"]);
    assert_eq!(ends("gemma2"), ["<end_of_turn>", "<eos>"]);
    assert_eq!(ends("llama_gqa_rope3"), ["<|end_of_text|>", "<|eot_id|>"]);
}
