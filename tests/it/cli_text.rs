//! Answers and tokens on the command line.

use std::fs;

use serde_json::Value;

use crate::terminal::{expected, json_lines, model, out, path};

#[test]
fn greedy_answers_and_tokens_are_those_of_transformers() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let expected = expected();
    let model = model();
    let greedy = &expected["greedy"][0];
    let ids: Vec<String> = greedy["prompt"].as_array().unwrap().iter().map(Value::to_string).collect();
    let ids = ids.join(",");
    let args =
        ["generate", "--model", &model, "--prompt-ids", &ids, "--greedy", "--max-new", "32", "--ignore-eos", "--json"];
    let answer = &json_lines(&out(home, &args))[0];
    assert_eq!(answer["ids"], greedy["tokens"]);
    assert_eq!(answer["prompt_ids"], greedy["prompt"]);
    assert_eq!(answer["stopped_by"], "limit");

    let chat = expected["chats"]
        .as_array()
        .unwrap()
        .iter()
        .find(|chat| chat["add_generation_prompt"] == true && chat["error"].is_null())
        .unwrap();
    let messages = home.join("chat.json");
    fs::write(&messages, chat["messages"].to_string()).unwrap();
    let messages = path(&messages);
    let tokens = ["tokens", "--model", &model, "--messages", &messages, "--generation-prompt", "--json"];
    let seen = &json_lines(&out(home, &tokens))[0];
    assert_eq!((&seen["text"], &seen["ids"]), (&chat["text"], &chat["ids"]));

    let text = expected["texts"][0]["text"].as_str().unwrap();
    let seen = &json_lines(&out(home, &["tokens", "--model", &model, "--text", text, "--json"]))[0];
    assert_eq!(seen["ids"], expected["texts"][0]["ids"]);
}

#[test]
fn sampling_repeats_with_its_seed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let model = model();
    let say = |seed: &str| {
        let args = [
            "generate",
            "--model",
            &model,
            "--prompt",
            "Hello",
            "--temperature",
            "1",
            "--seed",
            seed,
            "--max-new",
            "12",
            "--ignore-eos",
            "--json",
        ];
        json_lines(&out(home, &args))[0]["ids"].clone()
    };
    assert_eq!(say("1"), say("1"));
    assert_ne!(say("1"), say("2"));
}

#[test]
fn an_answer_is_masked_by_position() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let messages = home.join("chat.json");
    let chat = r#"[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, world!"}]"#;
    fs::write(&messages, chat).unwrap();
    let args = ["tokens", "--model", &model(), "--messages", &path(&messages), "--json"];
    let seen = &json_lines(&out(home, &args))[0];
    let mask: Vec<u64> = seen["mask"].as_array().unwrap().iter().map(|m| m.as_u64().unwrap()).collect();
    assert_eq!(mask.len(), seen["ids"].as_array().unwrap().len());
    let first = mask.iter().position(|m| *m == 1).expect("there is an answer");
    assert!(first > 0 && mask[first..].iter().all(|m| *m == 1));
}
