//! Adapters in PEFT's layout.

use super::*;

/// An adapter for the good model: one pair of matrices of rank 2.
pub fn write_adapter(folder: &Path) {
    let name = |half: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.lora_{half}.weight");
    let header = json!({
        name("A"): {"dtype": "F32", "shape": [2, 16], "data_offsets": [0, 128]},
        name("B"): {"dtype": "F32", "shape": [16, 2], "data_offsets": [128, 256]},
    });
    let bytes = safetensors(&header.to_string(), 256);
    fs::write(folder.join("adapter_model.safetensors"), bytes).unwrap();
    let config = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}"#;
    fs::write(folder.join("adapter_config.json"), config).unwrap();
}

/// What `adapter::load` refuses.
pub fn adapters() -> Vec<Hostile> {
    const CONFIG: &str = "adapter_config.json";
    let set = |key: &'static str, value: Json| {
        move |folder: &Path| edit(&folder.join(CONFIG), &|json| json[key] = value.clone())
    };
    let mut all = vec![
        hostile("a rank of 10^9", "rank 1000000000", set("r", json!(1_000_000_000))),
        hostile("a rank of 2^64", "rank", set("r", json!(u64::MAX))),
        hostile("no rank", "rank", set("r", json!(0))),
        hostile("a negative rank", "rank", set("r", json!(-8))),
        hostile("a rank of 10^18 for one layer", "rank", set("rank_pattern", json!({"q_proj": 1e18}))),
        hostile("an alpha that is no number", "lora_alpha", set("lora_alpha", json!("x"))),
        hostile("a config of 2 GB", "bytes long", sparse(CONFIG, 1 << 31)),
        hostile("an empty config", "not valid JSON", write(CONFIG, Vec::new())),
        hostile(
            "a header of 4 GB",
            "header claims",
            write("adapter_model.safetensors", u64::to_le_bytes(1 << 32).to_vec()),
        ),
        hostile("empty weights", "partly downloaded", write("adapter_model.safetensors", Vec::new())),
    ];
    #[cfg(unix)]
    for name in [CONFIG, "adapter_model.safetensors"] {
        all.push(hostile("a pipe", "not a file", pipe(name)));
        all.push(hostile("a link", "outside its folder", link(name, "/etc/passwd")));
    }
    all
}
