//! Tokenizers, their settings and templates.

use super::*;

/// A tokenizer with another part under `key`.
fn tokenizer(name: &'static str, says: &'static str, key: &'static str, part: Json) -> Hostile {
    hostile(name, says, move |folder| {
        edit(&folder.join("tokenizer.json"), &|json| {
            json[key] = part.clone();
        });
    })
}

/// What `Codec::load` refuses.
pub fn tokenizers() -> Vec<Hostile> {
    let merges = |merges: Json| {
        move |folder: &Path| {
            edit(&folder.join("tokenizer.json"), &|json| {
                json["model"]["merges"] = merges.clone();
            });
        }
    };
    let mut all = vec![
        hostile("an empty tokenizer", "tokenizer.json", write("tokenizer.json", Vec::new())),
        hostile("a tokenizer of 2 GB", "bytes long", sparse("tokenizer.json", 1 << 31)),
        hostile(
            "a tokenizer nested a million deep",
            "tokenizer.json",
            write("tokenizer.json", nested(1_000_000).into()),
        ),
        hostile("a folder for a tokenizer", "not a file", directory("tokenizer.json")),
        hostile("merges of what is no token", "tokenizer.json", merges(json!([["no such", "token"]]))),
        hostile("merges into what is no token", "tokenizer.json", merges(json!([["t", "t"], ["tt", "tt"]]))),
        hostile("merges that are none", "tokenizer.json", merges(json!([1, 2, 3]))),
        hostile("normalizers in normalizers", "tokenizer.json", |folder| {
            let mut normalizer = json!({"type": "Nothing"});
            for _ in 0..50 {
                normalizer = json!({"type": "Sequence", "normalizers": [normalizer]});
            }
            edit(&folder.join("tokenizer.json"), &|json| {
                json["normalizer"] = normalizer.clone();
            });
        }),
    ];
    all.extend(parts());
    all.extend(beside());
    #[cfg(unix)]
    {
        let names = [
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "generation_config.json",
            "config.json",
            "chat_template.jinja",
            "chat_template.json",
        ];
        all.extend(names.map(|name| hostile(name, "not a file", pipe(name))));
        all.extend(names.map(|name| hostile(name, "outside its folder", link(name, "/etc/passwd"))));
    }
    all
}

/// Parts of a tokenizer that would break its reader, or fill the memory.
fn parts() -> Vec<Hostile> {
    vec![
        tokenizer(
            "replacements that make a text of terabytes",
            "times as long",
            "normalizer",
            json!({"type": "Sequence", "normalizers": vec![json!({"type": "Replace", "pattern": {"String": "a"},
                "content": "a".repeat(1000)}); 4]}),
        ),
        tokenizer(
            "a prefix longer than what it is in front of",
            "break its reader",
            "model",
            json!({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]],
                "continuing_subword_prefix": "long"}),
        ),
        tokenizer(
            "a map of characters that is none",
            "break its reader",
            "normalizer",
            json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        ),
        tokenizer(
            "a template of tokens that are not there",
            "break its reader",
            "post_processor",
            json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "z", "type_id": 0}}], "pair": [],
                "special_tokens": {}}),
        ),
    ]
}

/// Files beside the tokenizer.
fn beside() -> Vec<Hostile> {
    vec![
        hostile("settings of 2 GB", "bytes long", sparse("tokenizer_config.json", 1 << 31)),
        hostile(
            "settings nested a million deep",
            "recursion limit",
            write("tokenizer_config.json", nested(1_000_000).into()),
        ),
        hostile("a template of 2 GB", "bytes long", sparse("chat_template.jinja", 1 << 31)),
        hostile(
            "ends of answers that are no JSON",
            "generation_config.json",
            write("generation_config.json", b"{".into()),
        ),
        hostile("a folder for ends of answers", "not a file", directory("generation_config.json")),
    ]
}
