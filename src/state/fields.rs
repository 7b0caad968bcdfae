//! The settings that the launch sheet shows, each with its label and a sentence about what it does.

/// A setting that the sheet shows as a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its place in `run.toml`.
    pub key: &'static str,
    pub label: &'static str,
    /// One sentence: what it does.
    pub about: &'static str,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any number, e.g. `3e-4`.
    Number,
    /// A whole number.
    Count,
    /// A whole number, or the word `auto`.
    CountOrAuto,
    Text,
    Folder,
    Switch,
    /// One of some words, each with what it is called on the screen.
    Choice(&'static [(&'static str, &'static str)]),
}

const fn field(key: &'static str, label: &'static str, kind: Kind, about: &'static str) -> Field {
    Field { key, label, about, kind }
}

/// What is typed into a number field, or a sentence that says what is wrong with it.
pub fn number(label: &str, typed: &str) -> Result<f64, String> {
    const WANTED: &str = "it must be a number such as 0.1 or 3e-4";
    let has_digits = typed.contains(|letter: char| letter.is_ascii_digit());
    let not_zero = typed.split(['e', 'E']).next().is_some_and(|digits| digits.contains(|c| ('1'..='9').contains(&c)));
    match typed.trim().parse::<f64>() {
        Ok(value) if value.is_infinite() && has_digits => {
            Err(format!("{label} is “{typed}”, which is larger than any number here; {WANTED}"))
        }
        Ok(value) if value == 0.0 && not_zero => {
            Err(format!("{label} is “{typed}”, which is so small that it would count as 0; {WANTED}, or 0"))
        }
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) | Err(_) => Err(format!("{label} is “{typed}”; {WANTED}")),
    }
}

/// The same for a whole number.
pub fn count(label: &str, typed: &str) -> Result<u64, String> {
    const WANTED: &str = "it must be a whole number such as 16";
    let digits = typed.trim().trim_start_matches('+');
    let only_digits = !digits.is_empty() && digits.chars().all(|letter| letter.is_ascii_digit());
    match digits.parse::<u64>() {
        // As far as a TOML file can tell a number.
        Ok(value) if i64::try_from(value).is_ok() => Ok(value),
        _ if only_digits => Err(format!("{label} is “{typed}”, which is larger than any count here; {WANTED}")),
        Ok(_) | Err(_) => Err(format!("{label} is “{typed}”; {WANTED}")),
    }
}

pub const MODEL: Field = field(
    "model.path",
    "Model folder",
    Kind::Folder,
    "Hugging Face folder with config.json, safetensors and tokenizer.json, or a GGUF file; empty = the project's own model",
);
pub const ADAPTER: Field = field(
    "model.start_adapter",
    "Start adapter",
    Kind::Folder,
    "A PEFT adapter to start from; it is frozen into the reference and a new one goes on top",
);
pub const CONTINUE: Field = field(
    "model.continue_adapter",
    "Adapter to train further",
    Kind::Folder,
    "A PEFT adapter that this run goes on from, instead of a new one on top; rank, alpha and layers are its own",
);
pub const BETA: Field = field(
    "objective.beta",
    "β",
    Kind::Number,
    "Scale of the margin: larger wins sooner and sleeps sooner; also the scale of the rewards shown",
);
pub const TAU: Field = field("objective.tau", "τ", Kind::Number, "IPO pulls every margin to 1/(2τ)");
pub const SMOOTHING: Field = field(
    "objective.label_smoothing",
    "Label smoothing",
    Kind::Number,
    "ε: the share of labels believed to be wrong, below 0.5",
);
pub const ROBUST: Field = field(
    "objective.robust",
    "Robust form",
    Kind::Switch,
    "The unbiased form of label smoothing instead of the conservative one",
);
pub const LAMBDA_REF: Field = field(
    "objective.reference_weight",
    "λ ref",
    Kind::Number,
    "Weight of the KL term on reference answers: holds the policy where it started",
);
pub const LAMBDA_PRE: Field = field(
    "objective.retention_weight",
    "λ pre",
    Kind::Number,
    "Weight of plain language modelling on the retention text",
);
pub const FULL: Field = field(
    "lora.full",
    "Train all weights",
    Kind::Switch,
    "Full weights instead of an adapter: more memory, no small file to share",
);
pub const RANK: Field = field("lora.rank", "Rank", Kind::Count, "Width of the adapter; 8 to 32 is usual");
pub const ALPHA: Field =
    field("lora.alpha", "Alpha", Kind::Number, "The adapter counts alpha / rank times; twice the rank is usual");
pub const RSLORA: Field =
    field("lora.rslora", "Rank-stabilised", Kind::Switch, "Scale by alpha / √rank, which keeps large ranks learning");
pub const TARGETS: Field = field("lora.targets", "Layers", Kind::Text, "all-linear, or names such as q_proj, v_proj");
pub const LEARNING_RATE: Field = field(
    "optimizer.learning_rate",
    "Learning rate",
    Kind::Number,
    "Peak rate of AdamW; adapters take about ten times what full weights take",
);
pub const WEIGHT_DECAY: Field =
    field("optimizer.weight_decay", "Weight decay", Kind::Number, "Pull of the trained weights to zero");
pub const WARMUP: Field = field(
    "optimizer.warmup_steps",
    "Warm-up steps",
    Kind::Count,
    "Steps until the learning rate is at its peak; 0 = at once",
);
pub const CLIP: Field = field(
    "optimizer.max_grad_norm",
    "Gradient clipping",
    Kind::Number,
    "Largest global gradient norm; 0 = no clipping",
);
pub const STEPS: Field = field("train.steps", "Steps", Kind::Count, "Optimiser steps; empty = by epochs");
pub const EPOCHS: Field = field(
    "train.epochs",
    "Epochs",
    Kind::Number,
    "Times that every pair is met; used when Steps is empty, and the last step takes what is left",
);
pub const PAIRS_PER_STEP: Field =
    field("train.pairs_per_step", "Pairs a step", Kind::Count, "Pairs that one update averages over");
pub const EVAL_EVERY: Field = field(
    "train.eval_every",
    "Evaluate every",
    Kind::Count,
    "Steps between measurements on held-out pairs; 0 = only at the start and the end",
);
pub const SAMPLE_EVERY: Field = field(
    "train.sample_every",
    "Sample every",
    Kind::Count,
    "Steps between answers to the probe prompts; 0 = only at the start and the end",
);
pub const CHECKPOINT_EVERY: Field =
    field("train.checkpoint_every", "Checkpoint every", Kind::Count, "Steps between checkpoints; 0 = only at the end");
pub const KEEP: Field = field(
    "train.keep",
    "Earlier ones kept",
    Kind::Count,
    "Checkpoints kept besides the newest, the best on held-out pairs and those you ask for; older ones make room",
);
pub const SEED: Field = field(
    "train.shuffle_seed",
    "Shuffle seed",
    Kind::Count,
    "Order of the pairs and start of the adapter; runs that differ only here show the noise",
);
pub const EVAL_FRACTION: Field = field(
    "data.eval_fraction",
    "Held-out share",
    Kind::Number,
    "Share of prompts kept for measuring, decided by the prompt",
);
pub const MAX_PROMPT: Field =
    field("data.max_prompt_tokens", "Longest prompt", Kind::Count, "Tokens; pairs with a longer prompt are set aside");
pub const MAX_ANSWER: Field = field(
    "data.max_answer_tokens",
    "Longest answer",
    Kind::Count,
    "Tokens; longer answers are cut, both sides by the same rule",
);
pub const DEVICE: Field = field("train.device", "Device", Kind::Text, "auto, cpu, cuda:0 or metal");
pub const DTYPE: Field = field(
    "model.dtype",
    "Weights",
    Kind::Choice(&[
        ("auto", "As in the file"),
        ("f32", "f32 arithmetic"),
        ("bf16", "bf16"),
        ("q8_0", "8 bits (q8_0)"),
        ("q4_k", "4 bits (q4_k)"),
    ]),
    "How weights that are not trained are kept, and in what they are multiplied: less takes less memory and rounds more",
);
pub const RECOMPUTE: Field = field(
    "train.recompute",
    "Recompute",
    Kind::Choice(&[("auto", "Where needed"), ("never", "Never"), ("always", "Always")]),
    "Whether layers run their forward again in the backward: less memory, about a third more time, the same numbers",
);
pub const MEMORY: Field = field(
    "train.memory_mb",
    "Memory limit, MB",
    Kind::Count,
    "What the program may hold while it trains; empty = 80 % of what is free when the run starts",
);
pub const ROW_TOKENS: Field = field(
    "train.micro_batch_tokens",
    "Tokens a row",
    Kind::CountOrAuto,
    "Tokens that are computed at once: auto, or a number; fewer need less memory",
);
pub const THREADS: Field = field(
    "train.threads",
    "Threads",
    Kind::CountOrAuto,
    "Threads that compute: auto leaves one to the window, or a number; the result is the same, to the bit",
);
pub const PRIORITY: Field = field(
    "train.priority",
    "Speed",
    Kind::Choice(&[("auto", "Gentle here"), ("gentle", "Gentle"), ("full", "Full speed")]),
    "Gentle: the window and other programs have the processor first. Full speed: they share it",
);

/// All of them.
pub const ALL: [Field; 36] = [
    MODEL,
    ADAPTER,
    CONTINUE,
    BETA,
    TAU,
    SMOOTHING,
    ROBUST,
    LAMBDA_REF,
    LAMBDA_PRE,
    FULL,
    RANK,
    ALPHA,
    RSLORA,
    TARGETS,
    LEARNING_RATE,
    WEIGHT_DECAY,
    WARMUP,
    CLIP,
    STEPS,
    EPOCHS,
    PAIRS_PER_STEP,
    EVAL_EVERY,
    SAMPLE_EVERY,
    CHECKPOINT_EVERY,
    KEEP,
    SEED,
    EVAL_FRACTION,
    MAX_PROMPT,
    MAX_ANSWER,
    DEVICE,
    DTYPE,
    RECOMPUTE,
    MEMORY,
    ROW_TOKENS,
    THREADS,
    PRIORITY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g22_every_wrong_number_gets_a_sentence_with_its_label() {
        for (typed, part) in [
            ("1e400", "β is “1e400”, which is larger than any number here"),
            ("-1e400", "larger than any number here"),
            ("1e-400", "so small that it would count as 0"),
            ("abc", "β is “abc”; it must be a number such as 0.1"),
            ("inf", "must be a number"),
            ("NaN", "must be a number"),
            ("0,3", "must be a number"),
            ("0.1.2", "must be a number"),
        ] {
            let sentence = number("β", typed).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
        for (typed, value) in [(".5", 0.5), ("5.", 5.0), (" 3e-4 ", 3e-4), ("0", 0.0), ("0e9", 0.0), ("-1", -1.0)] {
            assert_eq!(number("β", typed), Ok(value));
        }
        for typed in ["-1", "2.5", "1e3", "many", "", "١"] {
            let sentence = count("Rank", typed).unwrap_err();
            assert!(sentence.contains("must be a whole number"), "{sentence}");
        }
        for typed in ["99999999999999999999999", "9223372036854775808"] {
            assert!(count("Steps", typed).unwrap_err().contains("larger than any count here"));
        }
        for (typed, value) in [("007", 7), ("+16", 16), (" 9223372036854775807", i64::MAX as u64)] {
            assert_eq!(count("Steps", typed), Ok(value));
        }
    }
}
