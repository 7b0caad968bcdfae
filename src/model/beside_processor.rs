//! Whole policies on a graphics card, beside the processor's: models of odd shapes, and rows longer than one operand.

use ::kernels::{
    device::{self, DeviceChoice},
    gpu::{Card, CardOptions},
};
use data::config::Targets;

use super::{AdapterShape, Doc, LoadOptions, Policy, Row, Spec, init};

const LLAMA: &str = r#""model_type": "llama", "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 131, "tie_word_embeddings": false"#;
const GEMMA: &str = r#""model_type": "gemma2", "hidden_size": 35, "intermediate_size": 60, "num_hidden_layers": 2,
    "num_attention_heads": 7, "num_key_value_heads": 1, "head_dim": 80, "vocab_size": 257, "tie_word_embeddings": true,
    "attn_logit_softcapping": 2.0, "final_logit_softcapping": 2.0, "query_pre_attn_scalar": 24, "sliding_window": 500,
    "hidden_activation": "gelu_pytorch_tanh""#;

/// A prompt with answers of these lengths.
fn document(prompt: u32, answers: &[u32]) -> Doc {
    let ids = |first: u32, len: u32| (0..len).map(|i| (first + 7 * i + i * i / 5) % 127).collect::<Vec<u32>>();
    Doc::new(ids(1, prompt), answers.iter().map(|&len| ids(len, len)))
}

/// Log-probs, and the gradient of their sum, of an adapter or of all weights.
fn of_row(config: &str, is_full: bool, device: DeviceChoice, row: &Row) -> [Vec<f64>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let spec =
        format!(r#"{{{config}, "rms_norm_eps": 1e-6, "max_position_embeddings": 65536, "initializer_range": 0.2}}"#);
    init::write_random(dir.path(), &Spec::parse(&spec).unwrap(), 5).unwrap();
    let shape = AdapterShape { rank: 3, alpha: 6.0, rslora: false, dropout: 0.0, targets: Targets::AllLinear, seed: 1 };
    let options = LoadOptions { device, full: is_full, adapter: (!is_full).then_some(shape), ..LoadOptions::default() };
    let mut policy = Policy::load(dir.path(), &options).unwrap();
    // B begins at zero, which would hide the gradients of A.
    let trained = policy.trainable().unwrap().into_iter().map(|(name, tensor)| {
        let numbers: Vec<f32> = tensor.to_vec().unwrap();
        let moved = numbers.iter().zip(0..).map(|(x, i)| x + 0.02 * ((i * 37 % 11) as f32 - 5.0)).collect();
        let moved = ::kernels::Tensor::from_vec(moved, tensor.dims(), &::kernels::Place::CPU).unwrap();
        (name, moved)
    });
    let trained: Vec<_> = trained.collect();
    policy.set_trainable(&trained).unwrap();
    let pass = policy.forward(row).unwrap();
    let log_probs = pass.log_probs().concat();
    let coefficients = vec![1e-3; row.scored.len()];
    policy.backward(pass, &coefficients).unwrap();
    let gradients = policy.gradients().to_vec().unwrap();
    [log_probs, gradients].map(|numbers| numbers.into_iter().map(f64::from).collect())
}

/// The number of a card with operands of so many bytes: no machine has so many cards. `None` where no driver answers.
fn card(number: usize, operand: Option<u64>) -> Option<DeviceChoice> {
    match Card::open(0, CardOptions { binding_limit: operand, poison: true, ..CardOptions::default() }) {
        Ok(card) => device::adopt(number, &card),
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set a card must answer: {error}"),
        Err(_) => return None,
    }
    Some(DeviceChoice::Gpu(number))
}

#[track_caller]
fn is_near(config: &str, is_full: bool, card: DeviceChoice, documents: &[Doc]) {
    let row = Row::pack(documents).unwrap();
    let of = |device| of_row(config, is_full, device, &row);
    let (found, expected) = (of(card), of(DeviceChoice::Cpu));
    for (what, (found, expected)) in ["log-probs", "gradients"].iter().zip(found.iter().zip(&expected)) {
        let size = expected.iter().fold(1e-6_f64, |size, x| size.max(x.abs()));
        let off = found.iter().zip(expected).fold(0.0_f64, |off, (a, b)| off.max((a - b).abs()));
        assert!(found.len() == expected.len() && off <= 1e-3 * size, "{what}: off by {off} of {size} with {config}");
    }
}

#[test]
fn documents_longer_than_one_operand_are_near_the_processors() {
    // A quarter of a megabyte has 1,022 rows of one head, or 817.
    let Some(card) = card(1030, Some(1 << 18)) else { return };
    is_near(LLAMA, false, card, &[document(900, &[400, 250])]);
    is_near(GEMMA, false, card, &[document(700, &[300]), document(30, &[40, 50])]);
}

/// Heads of odd numbers and widths, vocabularies of prime numbers, every family.
const ODD: [(&str, bool); 9] = [
    (
        r#""model_type": "llama", "hidden_size": 63, "intermediate_size": 101, "num_hidden_layers": 2,
        "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 14, "vocab_size": 509, "tie_word_embeddings": false"#,
        true,
    ),
    (
        r#""model_type": "qwen2", "hidden_size": 560, "intermediate_size": 77, "num_hidden_layers": 2,
        "num_attention_heads": 7, "num_key_value_heads": 1, "vocab_size": 263, "tie_word_embeddings": true"#,
        false,
    ),
    (
        r#""model_type": "qwen3", "hidden_size": 50, "intermediate_size": 90, "num_hidden_layers": 2,
        "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 96, "vocab_size": 131, "tie_word_embeddings": true"#,
        true,
    ),
    (
        r#""model_type": "phi3", "hidden_size": 66, "intermediate_size": 53, "num_hidden_layers": 2, "pad_token_id": 0,
        "num_attention_heads": 3, "num_key_value_heads": 3, "vocab_size": 257, "tie_word_embeddings": false"#,
        false,
    ),
    (
        r#""model_type": "mistral", "hidden_size": 44, "intermediate_size": 70, "num_hidden_layers": 2, "sliding_window": 11,
        "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 18, "vocab_size": 139, "tie_word_embeddings": false"#,
        false,
    ),
    (GEMMA, true),
    (
        r#""model_type": "gemma3_text", "hidden_size": 33, "intermediate_size": 60, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 34, "vocab_size": 149, "tie_word_embeddings": true,
        "query_pre_attn_scalar": 24, "sliding_window": 9, "rope_local_base_freq": 10000.0, "sliding_window_pattern": 3,
        "hidden_activation": "gelu_pytorch_tanh""#,
        false,
    ),
    (
        r#""model_type": "olmo2", "hidden_size": 45, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 30, "vocab_size": 151, "tie_word_embeddings": false"#,
        true,
    ),
    (
        r#""model_type": "smollm3", "hidden_size": 48, "intermediate_size": 71, "num_hidden_layers": 4,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 22, "vocab_size": 163, "tie_word_embeddings": true,
        "no_rope_layers": [1, 1, 1, 0]"#,
        false,
    ),
];

#[test]
fn models_of_odd_shapes_are_near_the_processors() {
    let Some(card) = card(1031, None) else { return };
    for (config, is_full) in ODD {
        is_near(config, is_full, card, &[document(40, &[20, 13]), document(7, &[30])]);
    }
}
