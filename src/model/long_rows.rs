//! Long rows on a graphics card whose operands are small, beside the processor's.

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

/// Log-probs, and the gradient of their sum.
fn of_row(config: &str, device: DeviceChoice, row: &Row) -> [Vec<f64>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let spec =
        format!(r#"{{{config}, "rms_norm_eps": 1e-6, "max_position_embeddings": 65536, "initializer_range": 0.2}}"#);
    init::write_random(dir.path(), &Spec::parse(&spec).unwrap(), 5).unwrap();
    let shape = AdapterShape { rank: 3, alpha: 6.0, rslora: false, dropout: 0.0, targets: Targets::AllLinear, seed: 1 };
    let options = LoadOptions { device, adapter: Some(shape), ..LoadOptions::default() };
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

#[track_caller]
fn is_near(config: &str, operand: u64, documents: &[Doc]) {
    const NUMBER: usize = 1030;
    let opened = Card::open(0, CardOptions { binding_limit: Some(operand), poison: true, ..CardOptions::default() });
    let card = match opened {
        Ok(card) => card,
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set a card must answer: {error}"),
        Err(_) => return,
    };
    device::adopt(NUMBER, &card);
    let row = Row::pack(documents).unwrap();
    let (found, expected) = (of_row(config, DeviceChoice::Gpu(NUMBER), &row), of_row(config, DeviceChoice::Cpu, &row));
    for (what, (found, expected)) in ["log-probs", "gradients"].iter().zip(found.iter().zip(&expected)) {
        let size = expected.iter().fold(1e-6_f64, |size, x| size.max(x.abs()));
        let off = found.iter().zip(expected).fold(0.0_f64, |off, (a, b)| off.max((a - b).abs()));
        assert!(found.len() == expected.len() && off <= 2e-3 * size, "{what}: off by {off} of {size}");
    }
}

#[test]
fn documents_longer_than_one_operand_are_near_the_processors() {
    // A quarter of a megabyte has 1,022 rows of one head, or 817.
    is_near(LLAMA, 1 << 18, &[document(900, &[400, 250])]);
    is_near(GEMMA, 1 << 18, &[document(700, &[300]), document(30, &[40, 50])]);
}
