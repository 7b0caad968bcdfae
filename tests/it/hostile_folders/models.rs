//! Settings, indexes and weights.

use super::*;

/// A file that is too long, in bytes.
const LARGE: u64 = 1 << 31;

/// What `Policy::load` refuses.
pub fn models() -> Vec<Hostile> {
    let all = [settings(), numbers(), indexes(), weights(), vec![too_large()], links()];
    all.into_iter().flatten().collect()
}

/// `config.json` as a file.
fn settings() -> Vec<Hostile> {
    vec![
        hostile("an empty config", "not valid JSON", write("config.json", Vec::new())),
        hostile("a config of 2 GB", "bytes long", sparse("config.json", LARGE)),
        hostile("a config nested a million deep", "recursion limit", write("config.json", nested(1_000_000).into())),
        hostile("a config that is a list", "not a JSON object", write("config.json", b"[]".into())),
        hostile("a config that is no text", "not text", write("config.json", vec![0xFF; 9])),
        hostile("a folder for a config", "not a file", directory("config.json")),
    ]
}

/// What stands in `config.json`.
fn numbers() -> Vec<Hostile> {
    vec![
        hostile("2^60 hidden", "hidden_size", set("hidden_size", json!(1_u64 << 60))),
        hostile("a billion layers", "num_hidden_layers", set("num_hidden_layers", json!(1_000_000_000))),
        hostile("no heads", "num_attention_heads", set("num_attention_heads", json!(0))),
        hostile("no key heads", "num_key_value_heads", set("num_key_value_heads", json!(0))),
        hostile("negative heads", "num_attention_heads", set("num_attention_heads", json!(-4))),
        hostile("half a head", "num_attention_heads", set("num_attention_heads", json!(3.5))),
        hostile("2^40 tokens", "vocab_size", set("vocab_size", json!(1_u64 << 40))),
        hostile("an epsilon that is no number", "not valid JSON", raw("rms_norm_eps", "NaN")),
        hostile("an epsilon without bound", "not valid JSON", raw("rms_norm_eps", "1e999")),
        hostile("a negative epsilon", "rms_norm_eps", set("rms_norm_eps", json!(-1e-6))),
        hostile("a rotation by nothing", "rope_theta", set("rope_theta", json!(0.0))),
        hostile("a rotation backwards", "rope_theta", set("rope_theta", json!(-1.0))),
        hostile("a text where a number should be", "hidden_size", set("hidden_size", json!("16; DROP TABLE"))),
        hostile(
            "more positions than can be counted",
            "max_position_embeddings",
            set("max_position_embeddings", json!(u64::MAX)),
        ),
    ]
}

/// `model.safetensors.index.json` and what it names, where there is no `model.safetensors`, which would count.
fn indexes() -> Vec<Hostile> {
    let write = |bytes: Vec<u8>| instead_of_one_file(write(INDEX, bytes));
    vec![
        hostile("an empty index", "not a JSON index", write(Vec::new())),
        hostile("an index of nothing", "empty", index(json!({}))),
        hostile("an index of 2 GB", "bytes long", instead_of_one_file(sparse(INDEX, LARGE))),
        hostile(
            "an index nested a million deep",
            "not a JSON index",
            write(format!(r#"{{"metadata": {}}}"#, nested(1_000_000)).into()),
        ),
        hostile("a folder for an index", "not a file", instead_of_one_file(directory(INDEX))),
        hostile(
            "an index that leads upwards",
            "inside the folder",
            index(json!({"model.norm.weight": "../other/model.safetensors"})),
        ),
        hostile(
            "an index that leads to a fixed place",
            "inside the folder",
            index(json!({"model.norm.weight": "/etc/passwd.safetensors"})),
        ),
        hostile(
            "an index of files that are not there",
            "part-1.safetensors",
            index(json!({"model.norm.weight": "part-1.safetensors"})),
        ),
        hostile("one tensor in two files", "which of them is meant", |folder| {
            let mut bytes = fs::read(folder.join("model.safetensors")).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(folder.join("b.safetensors"), bytes).unwrap();
            index(json!({"model.norm.weight": "a.safetensors", "lm_head.weight": "b.safetensors"}))(folder);
        }),
    ]
}

/// `model.safetensors`.
fn weights() -> Vec<Hostile> {
    let one = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;
    vec![
        hostile("empty weights", "partly downloaded", write("model.safetensors", Vec::new())),
        hostile("a folder for weights", "not a file", directory("model.safetensors")),
        hostile("a header of 4 GB", "header claims", write("model.safetensors", u64::to_le_bytes(1 << 32).to_vec())),
        hostile("a header of 2^64 bytes", "header claims", write("model.safetensors", vec![0xFF; 64])),
        hostile(
            "a header beyond the file",
            "partly downloaded",
            write("model.safetensors", u64::to_le_bytes(1 << 20).to_vec()),
        ),
        hostile(
            "a header nested a million deep",
            "recursion limit",
            header(&format!(r#"{{"a": {}}}"#, nested(1_000_000)), 0),
        ),
        hostile(
            "tensors on top of each other",
            "partly downloaded",
            header(&format!(r#"{one},"b":{{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}}}"#), 12),
        ),
        hostile(
            "a tensor twice",
            "partly downloaded",
            header(&format!(r#"{one},"a":{{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}}}"#), 16),
        ),
        hostile(
            "a tensor beyond the file",
            "partly downloaded",
            header(r#"{"a":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}"#, 8),
        ),
        hostile(
            "a tensor that ends before it begins",
            "partly downloaded",
            header(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8),
        ),
        hostile(
            "a shape whose product overflows",
            "partly downloaded",
            header(r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,8]}}"#, 8),
        ),
        hostile(
            "a shape whose bytes overflow",
            "partly downloaded",
            header(r#"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}}"#, 8),
        ),
        hostile("the weights of another model", "is missing", header(&format!("{one}}}"), 8)),
    ]
}

/// A file as long as it says.
fn too_large() -> Hostile {
    hostile("more weights than any machine can hold", "GB of memory in all", |folder| {
        config(|json| {
            json["hidden_size"] = json!(1 << 18);
            json["head_dim"] = json!(2);
            json["intermediate_size"] = json!(2);
            json["num_hidden_layers"] = json!(1);
            json["num_attention_heads"] = json!(1);
            json["num_key_value_heads"] = json!(1);
            json["vocab_size"] = json!(1 << 22);
            json["tie_word_embeddings"] = json!(true);
        })(folder);
        let config = fs::read_to_string(folder.join("config.json")).unwrap();
        sparse_weights(folder, &Spec::parse(&config).unwrap());
    })
}

/// What is there in place of a file.
#[cfg(unix)]
fn links() -> Vec<Hostile> {
    vec![
        hostile("a pipe for a config", "not a file", pipe("config.json")),
        hostile("a pipe for an index", "not a file", instead_of_one_file(pipe(INDEX))),
        hostile("a pipe for weights", "not a file", pipe("model.safetensors")),
        hostile("a pipe in the index", "not a file", |folder| {
            pipe("part.safetensors")(folder);
            index(json!({"model.norm.weight": "part.safetensors"}))(folder);
        }),
        hostile("an endless device for weights", "outside its folder", link("model.safetensors", "/dev/zero")),
        hostile("an endless device for a config", "outside its folder", link("config.json", "/dev/zero")),
        hostile("a file behind a link", "outside its folder", |folder| {
            let elsewhere = tempfile::tempdir().unwrap().keep();
            fs::copy(folder.join("model.safetensors"), elsewhere.join("a.safetensors")).unwrap();
            std::os::unix::fs::symlink(&elsewhere, folder.join("sub")).unwrap();
            index(json!({"model.norm.weight": "sub/a.safetensors"}))(folder);
        }),
        hostile("a link to itself", "config.json", link("config.json", "config.json")),
    ]
}

#[cfg(not(unix))]
fn links() -> Vec<Hostile> {
    Vec::new()
}
