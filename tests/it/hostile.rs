//! Folders and files that mean harm are refused with a sentence, and nothing waits, grows or breaks.
//! `tests/memory.rs` measures that each is refused in little memory.

use std::{fs, path::Path};

use nudge::{
    data::Prompt,
    gguf::Gguf,
    model::{LoadOptions, Policy, Spec, adapter},
    text::Codec,
};

use crate::hostile_folders::{self, Hostile};

/// Every one is refused by name, and the good folder is not.
fn refuse<T, E: ToString>(all: Vec<Hostile>, good: impl Fn(&Path), load: impl Fn(&Path) -> Result<T, E>) {
    let read = |folder: &Path| load(folder).err().map(|error| error.to_string());
    let dir = tempfile::tempdir().unwrap();
    good(dir.path());
    assert_eq!(read(dir.path()), None);
    let mut wrong = Vec::new();
    for Hostile { name, says, spoil } in all {
        let dir = tempfile::tempdir().unwrap();
        good(dir.path());
        spoil(dir.path());
        let error = read(dir.path()).unwrap_or_default();
        if !error.contains(says) || error.len() > 1000 {
            wrong.push(format!("{name}: {error:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn models() {
    refuse(hostile_folders::models(), hostile_folders::write_good, |folder| {
        Policy::load(folder, &LoadOptions::default()).map(|_| ())
    });
}

#[test]
fn tokenizers() {
    refuse(hostile_folders::tokenizers(), hostile_folders::write_good, Codec::load);
}

#[test]
fn adapters() {
    let dir = tempfile::tempdir().unwrap();
    hostile_folders::write_good(dir.path());
    let spec = Spec::read(dir.path()).unwrap();
    refuse(hostile_folders::adapters(), hostile_folders::write_adapter, |folder| adapter::load(folder, &spec));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for_as_a_gguf_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    for error in [
        Gguf::open(&path).unwrap_err().to_string(),
        Spec::read(&path).unwrap_err().to_string(),
        Codec::load(&path).unwrap_err().to_string(),
    ] {
        assert!(error.contains("not a file"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    hostile_folders::write_good(dir.path());
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        let path = dir.path().join(name);
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        if fs::File::open(&path).is_ok() {
            eprintln!("not tried: this user may read everything");
            return;
        }
        let error = match name {
            "tokenizer.json" => Codec::load(dir.path()).unwrap_err().to_string(),
            _ => Policy::load(dir.path(), &LoadOptions::default()).err().unwrap().to_string(),
        };
        assert!(error.contains(name), "{error}");
        fs::set_permissions(&path, before).unwrap();
    }
}

/// Some settings break the library only when there is text: then it is the text that cannot be encoded.
#[test]
fn a_tokenizer_that_breaks_while_it_works_gives_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    for (key, part) in [
        ("normalizer", r#"{"type": "Replace", "pattern": {"String": ""}, "content": "zz"}"#),
        ("pre_tokenizer", r#"{"type": "FixedLength", "length": 0}"#),
        (
            "pre_tokenizer",
            r#"{"type": "Split", "pattern": {"Regex": "(x+x+)+y(?!\\S)"}, "behavior": "Isolated", "invert": false}"#,
        ),
    ] {
        hostile_folders::write_good(dir.path());
        let path = dir.path().join("tokenizer.json");
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json[key] = serde_json::from_str(part).unwrap();
        fs::write(&path, json.to_string()).unwrap();
        let codec = Codec::load(dir.path()).unwrap();
        let prompt = Prompt::Text(format!("{} the ferry", "x".repeat(60)));
        match codec.prompt_ids(&prompt) {
            Ok(ids) => assert!(ids.len() < 200),
            Err(error) => assert!(error.to_string().contains("cannot encode"), "{error}"),
        }
    }
}

/// Tokens that are each other's parts end all the same: each merge leaves one token less.
#[test]
fn merges_in_a_circle_end() {
    let dir = tempfile::tempdir().unwrap();
    hostile_folders::write_good(dir.path());
    let path = dir.path().join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["model"]["vocab"] = serde_json::json!({"a": 0, "b": 1, "ab": 0, "aba": 1, "bab": 0});
    json["model"]["merges"] = serde_json::json!([["a", "b"], ["ab", "a"], ["b", "ab"]]);
    fs::write(&path, json.to_string()).unwrap();
    let codec = Codec::load(dir.path()).unwrap();
    assert!(codec.encode(&"ab".repeat(1000)).len() < 2000);
}

/// Nonsense among the ends of answers ends none.
#[test]
fn ends_of_answers_that_are_no_ids_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    hostile_folders::write_good(dir.path());
    let nonsense = r#"{"eos_token_id": [-1, 1e30, 99999999999, "x", null, [3], 5], "pad_token_id": {}}"#;
    fs::write(dir.path().join("generation_config.json"), nonsense).unwrap();
    let codec = Codec::load(dir.path()).unwrap();
    assert!(codec.stop_ids().contains(&5));
    assert!(codec.stop_ids().len() <= 2, "{:?}", codec.stop_ids());
}
