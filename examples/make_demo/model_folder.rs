//! The model's folder in the Hugging Face layout: tokenizer, chat template, configuration, first weights.

use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Args;
use nudge::{
    model::{Spec, init},
    text::train_bpe,
};
use serde_json::json;

use crate::{
    Stream,
    chat::{Question, conversation},
    guide,
    project::write,
    stream,
    world::World,
};

const VOCABULARY: usize = 1280;
/// Ids 0, 1, 2 in this order.
const SPECIALS: [&str; 3] = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];

/// ChatML, as SmolLM and Qwen write it.
const TEMPLATE: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// How large the model is: 5 layers of 128 are one million parameters, 6 of 256 five, 6 of 512 nineteen.
#[derive(Args)]
pub struct Shape {
    /// Width, a multiple of 64.
    #[arg(long, default_value_t = Self::DEMO.hidden)]
    hidden: usize,
    #[arg(long, default_value_t = Self::DEMO.layers)]
    layers: usize,
}

impl Shape {
    pub const DEMO: Self = Self { hidden: 128, layers: 5 };
}

/// Of a head.
const HEAD: usize = 32;

/// Writes everything but learnt weights; the weights written are random.
pub fn lay_out(world: &World, seed: u64, shape: &Shape, folder: &Path) -> Result<()> {
    let heads = shape.hidden / HEAD;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let tokenizer = train_bpe(&texts(world, seed), VOCABULARY, &SPECIALS)?;
    write(&folder.join("tokenizer.json"), &tokenizer)?;
    let tokenizer_config = json!({
        "bos_token": SPECIALS[0],
        "eos_token": SPECIALS[2],
        "pad_token": SPECIALS[0],
        "add_bos_token": false,
        "clean_up_tokenization_spaces": false,
        "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": TEMPLATE,
    });
    write_json(&folder.join("tokenizer_config.json"), &tokenizer_config)?;
    let generation_config = json!({
        "bos_token_id": 0,
        "eos_token_id": [2, 0],
        "pad_token_id": 0,
        "do_sample": true,
        "temperature": 0.5,
        "top_p": 0.9,
    });
    write_json(&folder.join("generation_config.json"), &generation_config)?;
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.hidden * 11 / 4,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads / 2,
        "head_dim": HEAD,
        "hidden_act": "silu",
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": false,
        "mlp_bias": false,
        "tie_word_embeddings": true,
        "initializer_range": 0.02,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "torch_dtype": "bfloat16",
    });
    let spec = Spec::parse(&config.to_string()).map_err(anyhow::Error::msg)?;
    init::write_random(folder, &spec, seed)?;
    write_json(&folder.join("config.json"), &config)
}

/// What the tokenizer learns its merges from: a fair sample of everything the model will read.
fn texts(world: &World, seed: u64) -> Vec<String> {
    let mut rng = stream(seed, Stream::Tokenizer);
    let questions = Question::all(world);
    let mut texts = Vec::new();
    for _ in 0..6000 {
        for turn in conversation(world, &questions, &mut rng) {
            texts.push(turn.content);
        }
    }
    for _ in 0..1000 {
        texts.push(guide::paragraph(world, &mut rng));
    }
    texts.push("system user assistant".to_owned());
    texts
}

fn write_json(path: &Path, value: &serde_json::Value) -> Result<()> {
    write(path, &(serde_json::to_string_pretty(value)? + "\n"))
}
