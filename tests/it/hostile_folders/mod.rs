//! Model folders that mean harm, or were damaged so badly that they might as well: each a good folder with one thing
//! changed, and a piece of the sentence that refuses it.

use std::{fs, path::Path};

mod adapters;
mod models;
mod tokenizers;

use nudge::{
    model::{Spec, init},
    text::train_bpe,
};
use serde_json::{Value as Json, json};

pub use adapters::{adapters, write_adapter};
pub use models::models;
pub use tokenizers::tokenizers;

/// One way to spoil a folder.
pub struct Hostile {
    pub name: &'static str,
    /// In the sentence that refuses it.
    pub says: &'static str,
    pub spoil: Box<dyn Fn(&Path)>,
}

fn hostile(name: &'static str, says: &'static str, spoil: impl Fn(&Path) + 'static) -> Hostile {
    Hostile { name, says, spoil: Box::new(spoil) }
}

/// A whole model with a tokenizer, small and good.
pub fn write_good(folder: &Path) {
    let spec = Spec::parse(
        r#"{"model_type": "llama", "vocab_size": 300, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2}"#,
    );
    init::write_random(folder, &spec.unwrap(), 3).unwrap();
    let texts = ["the ferry to the island".to_owned()];
    let tokenizer = train_bpe(&texts, 280, &["<|end|>"]).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
    fs::write(folder.join("tokenizer_config.json"), r#"{"eos_token": "<|end|>"}"#).unwrap();
}

fn config(change: impl Fn(&mut Json) + 'static) -> impl Fn(&Path) + 'static {
    move |folder| edit(&folder.join("config.json"), &change)
}

fn edit(path: &Path, change: &dyn Fn(&mut Json)) {
    let mut json: Json = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

fn set(key: &'static str, value: Json) -> impl Fn(&Path) + 'static {
    config(move |json| json[key] = value.clone())
}

/// `config.json` with a piece of its text exchanged for what is no JSON value.
fn raw(key: &'static str, value: &'static str) -> impl Fn(&Path) + 'static {
    move |folder| {
        set(key, json!("HERE"))(folder);
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"HERE\"", value)).unwrap();
    }
}

fn write(name: &'static str, bytes: Vec<u8>) -> impl Fn(&Path) + 'static {
    move |folder| {
        fs::remove_file(folder.join(name)).ok();
        fs::write(folder.join(name), &bytes).unwrap();
    }
}

/// A file that claims to be this long and takes no room on the disk.
fn sparse(name: &'static str, length: u64) -> impl Fn(&Path) + 'static {
    move |folder| {
        let file = fs::File::create(folder.join(name)).unwrap();
        file.set_len(length).unwrap();
    }
}

fn directory(name: &'static str) -> impl Fn(&Path) + 'static {
    move |folder| {
        fs::remove_file(folder.join(name)).ok();
        fs::create_dir(folder.join(name)).unwrap();
    }
}

#[cfg(unix)]
fn link(name: &'static str, target: &'static str) -> impl Fn(&Path) + 'static {
    move |folder| {
        fs::remove_file(folder.join(name)).ok();
        std::os::unix::fs::symlink(target, folder.join(name)).unwrap();
    }
}

/// A named pipe that nobody ever writes to.
#[cfg(unix)]
fn pipe(name: &'static str) -> impl Fn(&Path) + 'static {
    move |folder| {
        fs::remove_file(folder.join(name)).ok();
        let made = std::process::Command::new("mkfifo").arg(folder.join(name)).status();
        assert!(made.unwrap().success());
    }
}

/// A file with this header and so many bytes behind it.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn header(header: &str, data: usize) -> impl Fn(&Path) + 'static {
    write("model.safetensors", safetensors(header, data))
}

/// Weights of these shapes that take no room on the disk.
fn sparse_weights(folder: &Path, spec: &Spec) {
    let (d, ff, v) = (spec.hidden_size, spec.intermediate_size, spec.vocab_size);
    let (q, kv) = (spec.query_width(), spec.kv_width());
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let mut tensors = serde_json::Map::new();
    let mut at = 0;
    for (name, shape) in [
        ("model.embed_tokens.weight".to_owned(), vec![v, d]),
        ("model.norm.weight".to_owned(), vec![d]),
        (layer("input_layernorm"), vec![d]),
        (layer("post_attention_layernorm"), vec![d]),
        (layer("self_attn.q_proj"), vec![q, d]),
        (layer("self_attn.k_proj"), vec![kv, d]),
        (layer("self_attn.v_proj"), vec![kv, d]),
        (layer("self_attn.o_proj"), vec![d, q]),
        (layer("mlp.gate_proj"), vec![ff, d]),
        (layer("mlp.up_proj"), vec![ff, d]),
        (layer("mlp.down_proj"), vec![d, ff]),
    ] {
        let end = at + 4 * shape.iter().product::<usize>();
        tensors.insert(name, json!({"dtype": "F32", "shape": shape, "data_offsets": [at, end]}));
        at = end;
    }
    let path = folder.join("model.safetensors");
    let header = safetensors(&Json::Object(tensors).to_string(), 0);
    fs::write(&path, &header).unwrap();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.set_len((header.len() + at) as u64).unwrap();
}

const INDEX: &str = "model.safetensors.index.json";

/// A folder whose weights are in the files that `weight_map` names; those that it had are in `a.safetensors`.
fn index(weight_map: Json) -> impl Fn(&Path) + 'static {
    instead_of_one_file(write(INDEX, json!({"metadata": {}, "weight_map": weight_map}).to_string().into()))
}

/// Renames `model.safetensors`, beside which no index is read.
fn instead_of_one_file(spoil: impl Fn(&Path) + 'static) -> impl Fn(&Path) + 'static {
    move |folder| {
        spoil(folder);
        fs::rename(folder.join("model.safetensors"), folder.join("a.safetensors")).unwrap();
    }
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}
