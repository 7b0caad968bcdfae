//! `run.toml`: everything a run needs to be run again, and the table of its settings.
//!
//! Every key is optional; [`RunConfig::default`] is what the launch sheet starts from. A field's documentation is its
//! help on the screen; [`Setting`] says what else there is to a setting.

/// A section of `run.toml`: for each key its help, type and default, and what the rest of the program reads of it.
macro_rules! section {
    (
        $Section:ident = $section:literal;
        $(
            $(#[doc = $about:literal])+
            $(#[serde($($serde:tt)*)])?
            $key:ident: $Type:ty = $default:expr, $NAME:ident = $setting:expr;
        )*
    ) => {
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $Section {
            $( $(#[doc = $about])+ $(#[serde($($serde)*)])? pub $key: $Type, )*
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $( $key: $default, )* }
            }
        }

        impl $Section {
            $( pub const $NAME: Setting = $setting.named(concat!($section, ".", stringify!($key)), concat!($($about),+)); )*

            pub(super) const SETTINGS: &[Setting] = &[$( Self::$NAME ),*];
        }
    };
}

/// A setting that is one of some values: for each the word of `run.toml`, what it is called on the screen, and one
/// sentence where its name does not say all; and the table of these words.
macro_rules! choice {
    (
        $(#[$about:meta])*
        $Choice:ident = $WORDS:ident;
        $( $(#[$attribute:meta])* $Value:ident = $word:literal, $shown:literal, $sentence:literal; )*
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
        pub enum $Choice {
            $( $(#[$attribute])* #[serde(rename = $word)] $Value, )*
        }

        impl $Choice {
            pub const ALL: [Self; [$($word),*].len()] = [$( Self::$Value ),*];

            /// The word of `run.toml`.
            pub fn name(self) -> &'static str {
                match self {
                    $( Self::$Value => $word, )*
                }
            }

            /// The one of this word.
            pub fn named(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|choice| choice.name() == word)
            }
        }

        pub(super) const $WORDS: &[super::words::Word] =
            &[$( super::words::Word { word: $word, shown: $shown, about: $sentence } ),*];
    };
}

mod auto_or;
mod contender;
mod device;
mod fork;
mod knobs;
mod length;
mod margin;
mod method;
mod objective;
mod precision;
mod rlhf;
mod setting;
mod suggest;
mod targets;
mod text;
mod tokens;
pub mod typed;
mod validate;
mod when;
mod words;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use self::setting::NEXT;
pub use self::{
    auto_or::{Threads, TokenBudget},
    contender::Contender,
    device::DeviceChoice,
    fork::Changed,
    knobs::{Knob, Knobs},
    length::{Done, Length},
    margin::Margin,
    method::Method,
    precision::Precision,
    rlhf::{PpoConfig, RewardConfig, RlhfConfig},
    setting::{AtFork, Group, Live, Range, Setting, SettingKind},
    suggest::{Basis, FOLLOWING, Suggestion},
    targets::Targets,
    text::{ConfigError, plain_number},
    tokens::{Contrast, Every, LastToken, Prior, TiConfig, TisConfig, TokenWeights, Transform},
    validate::validate,
    when::When,
    words::{DriftAction, KlEstimator, LossType, Negatives, Priority, Prompts, Recompute, RewardAt, Schedule, Word},
};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    pub model: ModelConfig,
    pub data: DataConfig,
    pub objective: ObjectiveConfig,
    pub tis: TisConfig,
    pub ti: TiConfig,
    pub reward: RewardConfig,
    pub rlhf: RlhfConfig,
    pub ppo: PpoConfig,
    pub lora: LoraConfig,
    pub optimizer: OptimizerConfig,
    pub train: TrainConfig,
}

impl RunConfig {
    /// The table: every setting once, in the order of the file.
    pub fn settings() -> impl Iterator<Item = &'static Setting> {
        let model = ModelConfig::SETTINGS.iter().chain(DataConfig::SETTINGS).chain(ObjectiveConfig::SETTINGS);
        let weights = TisConfig::SETTINGS.iter().chain(TiConfig::SETTINGS);
        let rlhf = RewardConfig::SETTINGS.iter().chain(RlhfConfig::SETTINGS).chain(PpoConfig::SETTINGS);
        model
            .chain(weights)
            .chain(rlhf)
            .chain(LoraConfig::SETTINGS)
            .chain(OptimizerConfig::SETTINGS)
            .chain(TrainConfig::SETTINGS)
    }
}

section! { ModelConfig = "model";

    /// Hugging Face folder with config.json, safetensors and tokenizer.json, or a GGUF file; empty = the project's own model
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf> = None,
        PATH = Setting::path("Model folder").at(Group::Model, 1).unset(|_| "the project's own".to_owned())
            .stays("the weights of the checkpoint belong to this model");

    /// A PEFT adapter to start from; it is frozen into the reference and a new one goes on top
    #[serde(skip_serializing_if = "Option::is_none")]
    start_adapter: Option<PathBuf> = None,
        START_ADAPTER = Setting::path("Start adapter").at(Group::Folders, 1).unset(|_| "none".to_owned())
            .stays("it is part of the reference that the run is measured against");

    /// A PEFT adapter that this run goes on from, instead of a new one on top; rank, alpha and layers are its own
    #[serde(skip_serializing_if = "Option::is_none")]
    continue_adapter: Option<PathBuf> = None,
        CONTINUE_ADAPTER = Setting::path("Adapter to train further").at(Group::Folders, 2).unset(|_| "none".to_owned())
            .stays("it is part of the reference that the run is measured against");

    /// How weights that are not trained are kept, and in what they are multiplied: less takes less memory and rounds more
    dtype: Precision = Precision::Auto,
        DTYPE = Setting::choice("Weights", precision::PRECISIONS).at(Group::Machine, 5)
            .stays("other rounding would make the model another reference");
}

section! { DataConfig = "data";

    /// Tokens; pairs with a longer prompt are set aside
    max_prompt_tokens: usize = 1024,
        MAX_PROMPT_TOKENS = Setting::count("Longest prompt", Range::OneOrMore).at(Group::Details, 5)
            .stays("it decides which pairs there are, and their order goes on");

    /// Tokens; longer answers are cut, both sides by the same rule
    max_answer_tokens: usize = 1024,
        MAX_ANSWER_TOKENS = Setting::count("Longest answer", Range::OneOrMore).at(Group::Details, 6)
            .stays("it decides where answers are cut, and what was measured before would not compare");

    /// Share of prompts kept for measuring, decided by the prompt
    eval_fraction: f64 = 0.1,
        EVAL_FRACTION = Setting::number("Held-out share", Range::Below(1.0)).at(Group::Measuring, 6)
            .stays("it decides which pairs are held out, and some of those were trained on");

    /// Which prompts are held out: another number, another choice
    seed: u64 = 0,
        SEED = Setting::count("Split seed", Range::ZeroOrMore)
            .stays("it decides which pairs are held out, and some of those were trained on");

    /// Labels made, changed or removed while a run goes join it at each end of an epoch; without it only when asked
    live_labels: bool = false,
        LIVE_LABELS = Setting::switch("Take in new labels").at(Group::Details, 8)
            .changes("from the next end of an epoch on");

    /// Train although the token that begins a text stands twice in a row in some prompts; without it such a run does not start
    allow_doubled_bos: bool = false,
        ALLOW_DOUBLED_BOS = Setting::switch("Doubled BOS allowed");

    /// Reference answers for the KL term: auto = the project's own, or a JSONL file
    reference: String = "auto".to_owned(),
        REFERENCE = Setting::file("Reference answers").at(Group::Texts, 1)
            .stays("the order of the reference answers goes on");

    /// Text that the model was trained on before, for the retention term: a text file; empty = the project's own
    #[serde(skip_serializing_if = "Option::is_none")]
    retention: Option<PathBuf> = None,
        RETENTION = Setting::file("Retention text").at(Group::Texts, 2).unset(|_| "the project's own".to_owned())
            .stays("the order of the retention text goes on");
}

section! { ObjectiveConfig = "objective";

    /// What the preference loss is
    kind: Method = Method::Mpo,
        KIND = Setting::choice("Method", method::METHODS)
            .changes("the next step is the first of the other method; weights and momentum go on");

    /// What of a pair the loss looks at
    #[serde(skip_serializing_if = "Option::is_none")]
    margin: Option<Margin> = None,
        MARGIN = Setting::choice("Margin", margin::MARGINS).unset(|run| run.objective.margin().name().to_owned())
            .changes("from the next step on; the anchors are still those of step 0");

    /// Scale of the margin: larger wins sooner and sleeps sooner; also the scale of the rewards shown
    beta: f64 = 0.1,
        BETA = Setting::number("β", Range::AboveZero).at(Group::Method, 2).live(Live::Value).only(When::Preference)
            .changes("from the next step on, and the rewards shown scale with it");

    /// IPO pulls every margin to 1/(2τ)
    tau: f64 = 0.1,
        TAU = Setting::number("τ", Range::AboveZero).at(Group::Method, 1).only(When::Method(Method::Ipo)).changes(NEXT);

    /// ε: the share of labels believed to be wrong, below 0.5
    label_smoothing: f64 = 0.0,
        LABEL_SMOOTHING = Setting::number("Label smoothing", Range::Below(0.5)).at(Group::Method, 5).only(When::Method(Method::Dpo))
            .changes(NEXT);

    /// The unbiased form of label smoothing instead of the conservative one
    robust: bool = false,
        ROBUST = Setting::switch("Robust form").at(Group::Method, 6).only(When::Smoothed).changes(NEXT);

    /// Which rejected answers of a pair that has several in order: the one its verdict names, all, or some that are unlike each other. The starting loss and the push grow with their number; a step costs (1 + answers) / 2 of one with pairs
    negatives: Negatives = Negatives::First,
        NEGATIVES = Setting::choice("Rejected answers", words::NEGATIVES).at(Group::Method, 20).only(When::Softmax)
            .stays("it decides which answers the pairs bring, and their order goes on");

    /// Rejected answers that a step meets of one pair. Of more, each visit draws as many evenly at random and weighs them up: the sum over all is right in the mean, but the loss comes out a little low and its gradient is biased with it
    negatives_max: usize = 4,
        NEGATIVES_MAX = Setting::count("At most", Range::OneOrMore).at(Group::Method, 21).only(When::Several)
            .stays("it decides which answers the pairs bring, and their order goes on");

    /// Whether some tokens of an answer count more than others in the margin
    token_weights: TokenWeights = TokenWeights::None,
        TOKEN_WEIGHTS = Setting::choice("Token weights", tokens::TOKEN_WEIGHTS).at(Group::Method, 22).only(When::Preference).refits()
            .changes("from the next step on; a contrast pair is fitted on the pairs at the fork");

    /// Weight of the KL term on reference answers: holds the policy where it started
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_weight: Option<f64> = None,
        REFERENCE_WEIGHT = Setting::number("λ ref", Range::ZeroOrMore).at(Group::Method, 3).live(Live::Value).only(When::Policy)
            .unset(|run| run.objective.reference_weight().to_string()).changes(NEXT);

    /// Weight of plain language modelling on the retention text
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_weight: Option<f64> = None,
        RETENTION_WEIGHT = Setting::number("λ pre", Range::ZeroOrMore).at(Group::Method, 4).live(Live::Value).only(When::Policy)
            .unset(|run| run.objective.retention_weight().to_string()).changes(NEXT);
}

section! { LoraConfig = "lora";

    /// Full weights instead of an adapter: more memory, no small file to share
    full: bool = false,
        FULL = Setting::switch("Train all weights").at(Group::Adapter, 4)
            .stays("the checkpoint holds what this trains");

    /// Width of the adapter; 8 to 32 is usual
    rank: usize = 16,
        RANK = Setting::count("Rank", Range::OneOrMore).at(Group::Adapter, 1).only(When::Adapter)
            .stays("the adapter of the checkpoint has this width");

    /// The adapter counts alpha / rank times; twice the rank is usual
    alpha: f64 = 32.0,
        ALPHA = Setting::number("Alpha", Range::AboveZero).at(Group::Adapter, 2).only(When::Adapter)
            .stays("under another scale the adapter of the checkpoint would be another model");

    /// Share of the adapter's inputs that are dropped at random in training
    dropout: f64 = 0.0,
        DROPOUT = Setting::number("Dropout", Range::Below(1.0)).only(When::Adapter).changes(NEXT);

    /// Scale by alpha / √rank, which keeps large ranks learning
    rslora: bool = false,
        RSLORA = Setting::switch("Rank-stabilised").at(Group::Details, 7).only(When::Adapter)
            .stays("under another scale the adapter of the checkpoint would be another model");

    /// all-linear, or names such as q_proj, v_proj
    targets: Targets = Targets::AllLinear,
        TARGETS = Setting::layers("Layers").at(Group::Adapter, 3).only(When::Adapter)
            .stays("the adapter of the checkpoint lies on these layers");
}

section! { OptimizerConfig = "optimizer";

    /// The optimiser: always adamw
    kind: String = "adamw".to_owned(),
        KIND = Setting::choice("Optimiser", words::OPTIMIZERS).stays("its moments go on");

    /// Peak rate of AdamW; adapters take about ten times what full weights take
    learning_rate: f64 = 3e-4,
        LEARNING_RATE = Setting::number("Learning rate", Range::AboveZero).at(Group::Length, 4).live(Live::Factor)
            .changes("from the next step on, at its place of the schedule");

    /// How slowly AdamW forgets the mean of the gradients and of their squares
    betas: [f64; 2] = [0.9, 0.999],
        BETAS = Setting::numbers("Betas", Range::Below(1.0), "two numbers, each at least 0 and below 1")
            .changes("from the next step on; the moments go on");

    /// What AdamW adds to the root that it divides by
    eps: f64 = 1e-8,
        EPS = Setting::number("Epsilon", Range::AboveZero).changes(NEXT);

    /// Pull of the trained weights to zero
    weight_decay: f64 = 0.0,
        WEIGHT_DECAY = Setting::number("Weight decay", Range::ZeroOrMore).at(Group::Details, 2).changes(NEXT);

    /// Steps until the learning rate is at its peak; 0 = at once
    warmup_steps: u64 = 5,
        WARMUP_STEPS = Setting::count("Warm-up steps", Range::ZeroOrMore).at(Group::Details, 1)
            .changes("the schedule is that of a run planned so; done steps count");

    /// How the learning rate goes on from its peak
    schedule: Schedule = Schedule::Cosine,
        SCHEDULE = Setting::choice("Schedule", words::SCHEDULES)
            .changes("the schedule is that of a run planned so; done steps count");

    /// Largest global gradient norm; 0 = no clipping
    max_grad_norm: f64 = 1.0,
        MAX_GRAD_NORM = Setting::number("Gradient clipping", Range::ZeroOrMore).at(Group::Details, 3).changes(NEXT);
}

section! { TrainConfig = "train";

    /// Optimiser steps; empty = by epochs
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64> = None,
        STEPS = Setting::count("Steps", Range::OneOrMore).at(Group::Length, 1).unset(|_| "by epochs".to_owned())
            .changes("steps in all, those before the fork counted");

    /// Times that every pair is met; used when Steps is empty, and the last step takes what is left
    epochs: f64 = 1.0,
        EPOCHS = Setting::number("Epochs", Range::AboveZero).at(Group::Length, 2).only(When::ByEpochs)
            .changes("passes in all, those before the fork counted");

    /// Pairs that one update averages over, and as many reference answers and pieces of retention text where they have a weight
    pairs_per_step: usize = 16,
        PAIRS_PER_STEP = Setting::count("Pairs a step", Range::OneOrMore).at(Group::Length, 3)
            .changes("from the next step on; the order of the pairs goes on");

    /// Tokens that are computed at once: auto, or a number; fewer need less memory
    micro_batch_tokens: TokenBudget = TokenBudget::Auto,
        MICRO_BATCH_TOKENS = Setting::count_or_auto("Tokens a row", Range::OneOrMore).at(Group::Machine, 7)
            .stays("rows are packed as they were, so that sums round as they did");

    /// Whether layers run their forward again in the backward: less memory, about a third more time, the same numbers
    recompute: Recompute = Recompute::Auto,
        RECOMPUTE = Setting::choice("Recompute", words::RECOMPUTES).at(Group::Machine, 6)
            .changes("from the next step on; the numbers are the same");

    /// What the program may hold while it trains; empty = 80 % of what is free when the run starts
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mb: Option<u64> = None,
        MEMORY_MB = Setting::count("Memory limit, MB", Range::ZeroOrMore).at(Group::Machine, 4)
            .unset(|_| "80 % of what is free".to_owned()).changes(NEXT);

    /// Order of the pairs and start of the adapter; runs that differ only here show the noise
    shuffle_seed: u64 = 0,
        SHUFFLE_SEED = Setting::count("Shuffle seed", Range::ZeroOrMore).at(Group::Details, 4)
            .stays("the order of the pairs goes on");

    /// Steps between checkpoints; 0 = only at the end
    checkpoint_every: u64 = 50,
        CHECKPOINT_EVERY = Setting::count("Checkpoint every", Range::ZeroOrMore).at(Group::Measuring, 4).changes(NEXT);

    /// Checkpoints kept besides the newest, the best on held-out pairs and those you ask for; older ones make room
    keep: usize = 2,
        KEEP = Setting::count("Earlier ones kept", Range::ZeroOrMore).at(Group::Measuring, 5)
            .changes("of the fork's own checkpoints");

    /// Steps between measurements on held-out pairs; 0 = only at the start and the end
    eval_every: u64 = 10,
        EVAL_EVERY = Setting::count("Evaluate every", Range::ZeroOrMore).at(Group::Measuring, 1).changes(NEXT);

    /// Steps between answers to the probe prompts; 0 = only at the start and the end
    sample_every: u64 = 20,
        SAMPLE_EVERY = Setting::count("Sample every", Range::ZeroOrMore).at(Group::Measuring, 2).changes(NEXT);

    /// Answers drawn to each probe prompt beside the likeliest one, each by a seed that is the same at every step; 0 = none
    sample_seeds: usize = 2,
        SAMPLE_SEEDS = Setting::count("Drawn by seeds", Range::Between(0, 16)).at(Group::Measuring, 3)
            .changes("from the next sample on");

    /// The KL drift (the larger of kl/ref and kl/policy_k3, nats per token) that an evaluation may find; empty = any
    #[serde(skip_serializing_if = "Option::is_none")]
    kl_limit: Option<f64> = None,
        KL_LIMIT = Setting::number("Drift limit", Range::AboveZero).at(Group::Measuring, 7).unset(|_| "none".to_owned())
            .changes("from the next evaluation on");

    /// What an evaluation above the drift limit does: stop ends the run with a checkpoint, warn marks the charts, steer raises λ ref until the drift is below it
    kl_action: DriftAction = DriftAction::Stop,
        KL_ACTION = Setting::choice("Above the limit", words::DRIFT_ACTIONS).at(Group::Measuring, 8).only(When::Limited)
            .changes("from the next evaluation on; λ ref stays where it was steered to");

    /// Longest answer sampled to a probe prompt or at an evaluation, tokens
    sample_tokens: usize = 96,
        SAMPLE_TOKENS = Setting::count("Longest sample", Range::OneOrMore).changes("from the next sample on");

    /// Answers freshly sampled at each evaluation, for the policy's own KL drift, their length and whether they end; 0 = none
    eval_answers: usize = 8,
        EVAL_ANSWERS = Setting::count("Answers an evaluation", Range::ZeroOrMore)
            .changes("from the next evaluation on; drift of the policy's own answers then compares less well");

    /// auto (the quickest that is there and was found to compute rightly), cpu, gpu:0, cuda:0 or metal
    device: String = "auto".to_owned(),
        DEVICE = Setting::text("Device").at(Group::Machine, 1)
            .changes("another device rounds otherwise, so the curves are near each other, not equal");

    /// Threads that compute: auto leaves one to the window, or a number; the result is the same, to the bit
    threads: Threads = Threads::Auto,
        THREADS = Setting::count_or_auto("Threads", Range::Between(1, 1024)).at(Group::Machine, 2)
            .changes("the numbers are the same");

    /// Gentle: the window and other programs have the processor first. Full speed: they share it
    priority: Priority = Priority::Auto,
        PRIORITY = Setting::choice("Speed", words::PRIORITIES).at(Group::Machine, 3)
            .changes("the numbers are the same");
}
