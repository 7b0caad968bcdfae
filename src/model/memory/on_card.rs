//! What a step holds in a graphics card's memory, beside what is foretold of it.

use super::*;
use crate::{AdamW, AdamWOptions, AdapterShape, Doc, Reads, ScalarHead, init};
use ::kernels::{
    device::DeviceChoice,
    gpu::{Card, CardOptions},
};
use data::config::Targets;

const LLAMA: &str = r#""model_type": "llama", "hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 3000, "tie_word_embeddings": true"#;
const WIDE: &str = r#""model_type": "llama", "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 1000, "tie_word_embeddings": false"#;
const QWEN: &str = r#""model_type": "qwen2", "hidden_size": 140, "intermediate_size": 400, "num_hidden_layers": 4,
    "num_attention_heads": 7, "num_key_value_heads": 1, "vocab_size": 5003, "tie_word_embeddings": true"#;
const QWEN3: &str = r#""model_type": "qwen3", "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 2000, "tie_word_embeddings": false"#;
const PHI: &str = r#""model_type": "phi3", "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 1024, "pad_token_id": 0, "tie_word_embeddings": false"#;
const GEMMA: &str = r#""model_type": "gemma2", "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 48, "vocab_size": 2000, "tie_word_embeddings": true,
    "attn_logit_softcapping": 2.0, "final_logit_softcapping": 2.0, "query_pre_attn_scalar": 24, "sliding_window": 100,
    "hidden_activation": "gelu_pytorch_tanh""#;

/// A prompt with answers of these lengths.
fn document(prompt: u32, answers: &[u32]) -> Doc {
    let ids = |first: u32, len: u32| (0..len).map(|i| (first + 7 * i) % 997).collect::<Vec<u32>>();
    Doc::new(ids(1, prompt), answers.iter().map(|&len| ids(len, len)))
}

/// The number of the card: no machine has so many.
const NUMBER: usize = 1020;

/// What is trained, and how weights and activations are kept.
#[derive(Debug, Clone, Copy)]
struct Way {
    rank: Option<usize>,
    precision: Precision,
    recompute: Recompute,
    /// The head that the row is read by, where that is not the vocabulary's.
    scalar: Option<ScalarHead>,
}

/// Bytes at the peak of a step on one row, and what was foretold of it; nothing where no driver answers.
fn peak_of_step(config: &str, way: Way, reads: Reads, documents: &[Doc]) -> Option<(u64, u64)> {
    let card = match Card::open(0, CardOptions::default()) {
        Ok(card) => card,
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set a card must answer: {error}"),
        Err(_) => return None,
    };
    device::adopt(NUMBER, &card);
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec::parse(&format!(r#"{{{config}, "rms_norm_eps": 1e-6, "max_position_embeddings": 8192}}"#)).unwrap();
    init::write_random(dir.path(), &spec, 3).unwrap();
    let options = LoadOptions {
        device: DeviceChoice::Gpu(NUMBER),
        precision: way.precision,
        recompute: way.recompute,
        full: way.rank.is_none(),
        scalar: way.scalar,
        adapter: way.rank.map(|rank| AdapterShape {
            rank,
            alpha: 32.0,
            rslora: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            seed: 0,
        }),
        ..LoadOptions::default()
    };
    let mut policy = Policy::load(dir.path(), &options).unwrap();
    let mut optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let row = Row::pack_for(documents, reads).unwrap();
    let foretold = policy.estimate_bytes(row.tokens(), row.answer_tokens());
    device::forget_peak(policy.place());
    let pass = policy.forward(&row).unwrap();
    policy.backward_tokens(pass, &vec![-0.1; row.answer_tokens()]).unwrap();
    policy.update(&mut optimizer, 1e-4, 1.0).unwrap();
    Some((device::memory(policy.place()).unwrap().peak, foretold))
}

#[test]
fn a_step_takes_what_was_foretold() {
    let plain = Way { rank: Some(8), precision: Precision::F32, recompute: Recompute::Never, scalar: None };
    let pair = || vec![document(200, &[40, 50])];
    let rewarding = Way { scalar: Some(ScalarHead::Plain), ..plain };
    let valuing = Way { scalar: Some(ScalarHead::WithBias), ..plain };
    let again = Recompute::Always;
    let packed = || (0..9).map(|n| document(30 + n, &[20, 25 + n])).collect();
    let cases: Vec<(&str, &str, Way, Reads, Vec<Doc>)> = vec![
        ("reward", LLAMA, rewarding, Reads::Ends, pair()),
        ("reward, recomputed", LLAMA, Way { recompute: again, ..rewarding }, Reads::Ends, pair()),
        ("reward, full", LLAMA, Way { rank: None, ..rewarding }, Reads::Ends, pair()),
        ("reward, packed", QWEN, rewarding, Reads::Ends, packed()),
        ("reward, wide", WIDE, rewarding, Reads::Ends, pair()),
        ("reward, gemma2", GEMMA, rewarding, Reads::Ends, pair()),
        ("critic", LLAMA, valuing, Reads::States, pair()),
        ("critic, recomputed", LLAMA, Way { recompute: again, ..valuing }, Reads::States, pair()),
        ("critic, wide", WIDE, valuing, Reads::States, vec![document(40, &[100, 160])]),
        ("critic, packed", QWEN, valuing, Reads::States, packed()),
        ("critic, one long text", WIDE, valuing, Reads::States, vec![document(1, &[400])]),
        ("llama", LLAMA, plain, Reads::LogProbs, pair()),
        ("full weights", LLAMA, Way { rank: None, ..plain }, Reads::LogProbs, pair()),
        ("recomputed", LLAMA, Way { recompute: Recompute::Always, ..plain }, Reads::LogProbs, pair()),
        ("bf16", LLAMA, Way { precision: Precision::Bf16, ..plain }, Reads::LogProbs, pair()),
        ("rank 64", LLAMA, Way { rank: Some(64), ..plain }, Reads::LogProbs, pair()),
        ("wide", WIDE, plain, Reads::LogProbs, vec![document(40, &[100, 160])]),
        (
            "wide, full, recomputed",
            WIDE,
            Way { rank: None, recompute: Recompute::Always, ..plain },
            Reads::LogProbs,
            pair(),
        ),
        ("packed", LLAMA, plain, Reads::LogProbs, packed()),
        ("several answers", LLAMA, plain, Reads::LogProbs, vec![document(100, &[20, 30, 35, 40, 45])]),
        ("long", LLAMA, Way { recompute: Recompute::Always, ..plain }, Reads::LogProbs, vec![document(900, &[60, 90])]),
        ("qwen2", QWEN, plain, Reads::LogProbs, pair()),
        ("qwen3", QWEN3, plain, Reads::LogProbs, pair()),
        ("phi3", PHI, plain, Reads::LogProbs, pair()),
        ("gemma2", GEMMA, plain, Reads::LogProbs, pair()),
        ("gemma2, full, bf16", GEMMA, Way { rank: None, precision: Precision::Bf16, ..plain }, Reads::LogProbs, pair()),
        (
            "one long text",
            WIDE,
            Way { precision: Precision::Bf16, ..plain },
            Reads::LogProbs,
            vec![document(1, &[400])],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, config, way, reads, documents) in cases {
        let Some((peak, foretold)) = peak_of_step(config, way, reads, &documents) else { return };
        let ratio = foretold as f64 / peak as f64;
        let told = format!("{name}: foretold {foretold}, took {peak}, {ratio:.3}");
        eprintln!("{told}");
        if !(1.0..1.08).contains(&ratio) {
            wrong.push(told);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
