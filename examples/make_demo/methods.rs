//! What is measured: labels, methods, and the settings that each is searched over.

use serde::{Deserialize, Serialize};

/// Which labels are trained on. Held-out ones are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// The demo's own: one in ten turned round.
    AsMade,
    /// One in five.
    MoreFlipped,
    /// One in ten, and all of them certain.
    Certain,
    /// The demo's own, and answers in the missing manners that the visitor likes less than the chosen one.
    Several,
    /// The same judgements, each a pair of its own.
    Split,
}

impl Labels {
    pub fn flipped(self) -> f64 {
        match self {
            Self::AsMade | Self::Certain | Self::Several | Self::Split => crate::project::FLIPPED_LABELS,
            Self::MoreFlipped => 2.0 * crate::project::FLIPPED_LABELS,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::AsMade => "The demo's labels, 10 % flipped",
            Self::MoreFlipped => "20 % flipped",
            Self::Certain => "10 % flipped, every label certain",
            Self::Several => "10 % flipped, several rejected answers a pair",
            Self::Split => "10 % flipped, several rejected answers as pairs of their own",
        }
    }
}

/// A row of a table: its name, and what it changes of the demo's own settings.
pub struct Method {
    pub name: &'static str,
    pub changes: &'static [(&'static str, &'static str)],
}

const fn method(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Method {
    Method { name, changes }
}

const BETA: &str = "objective.beta";
const TAU: &str = "objective.tau";
const KIND: &str = "objective.kind";
const REFERENCE: &str = "objective.reference_weight";

/// The search: one number of each method, three values of it. MPO has its own λ_ref, the others none.
pub const SEARCHED: &[Method] = &[
    method("MPO β 0.5", &[(KIND, "mpo"), (BETA, "0.5")]),
    method("MPO β 1", &[(KIND, "mpo"), (BETA, "1.0")]),
    method("MPO β 2", &[(KIND, "mpo"), (BETA, "2.0")]),
    method("DPO β 0.5", &[(KIND, "dpo"), (BETA, "0.5")]),
    method("DPO β 1", &[(KIND, "dpo"), (BETA, "1.0")]),
    method("DPO β 2", &[(KIND, "dpo"), (BETA, "2.0")]),
    method("IPO τ 0.1", &[(KIND, "ipo"), (TAU, "0.1")]),
    method("IPO τ 0.25", &[(KIND, "ipo"), (TAU, "0.25")]),
    method("IPO τ 0.5", &[(KIND, "ipo"), (TAU, "0.5")]),
];

/// Each method at what [`SEARCHED`] found: the highest held-out accuracy at the end.
pub const BEST: &[Method] = &[
    method("MPO β 0.5", &[(KIND, "mpo"), (BETA, "0.5")]),
    method("DPO β 0.5", &[(KIND, "dpo"), (BETA, "0.5")]),
    method("IPO τ 0.5", &[(KIND, "ipo"), (TAU, "0.5")]),
];

/// Each method at the demo's own settings.
pub const METHODS: &[Method] =
    &[method("MPO", &[(KIND, "mpo")]), method("DPO", &[(KIND, "dpo")]), method("IPO", &[(KIND, "ipo")])];

/// The term on reference answers taken from one and given to another.
pub const EXCHANGED: &[Method] = &[
    method("MPO, λ_ref 0", &[(KIND, "mpo"), (REFERENCE, "0.0")]),
    method("DPO, λ_ref 0.3", &[(KIND, "dpo"), (REFERENCE, "0.3")]),
];

const RATE: &str = "optimizer.learning_rate";
const STEPS: &str = "train.steps";
const NEGATIVES: &str = "objective.negatives";
const WEIGHTS: &str = "objective.token_weights";
const KL: &str = "rlhf.kl_coef";
const PROMPTS: &str = "rlhf.prompts";
const PAIRS: &str = "train.pairs_per_step";
const ANSWERS: &str = "rlhf.answers_per_prompt";
const LONGEST: &str = "rlhf.max_tokens";
/// 32 sampled answers a step: PPO 16 prompts with 2 each, RLOO 8 with 4.
const TWO_EACH: [(&str, &str); 3] = [(PAIRS, "16"), (ANSWERS, "2"), (LONGEST, "48")];
const FOUR_EACH: [(&str, &str); 3] = [(PAIRS, "8"), (ANSWERS, "4"), (LONGEST, "48")];

/// What PPO and RLOO learn from, in every row below.
pub const REWARD: Method = method("reward model", &[(KIND, "reward"), (STEPS, "100")]);

/// Methods beside MPO, DPO and IPO, with as many settings of each as [`SEARCHED`] tries of those.
pub const OTHERS_SEARCHED: &[Method] = &[
    method("reward model, rate 3e-4", &[(KIND, "reward"), (STEPS, "100"), (RATE, "3e-4")]),
    REWARD,
    method("reward model, rate 2e-3", &[(KIND, "reward"), (STEPS, "100"), (RATE, "2e-3")]),
    method("PPO, KL 0.05", &[(KIND, "ppo"), (STEPS, "100"), TWO_EACH[0], TWO_EACH[1], TWO_EACH[2], (KL, "0.05")]),
    method("PPO, KL 0.2", &[(KIND, "ppo"), (STEPS, "100"), TWO_EACH[0], TWO_EACH[1], TWO_EACH[2], (KL, "0.2")]),
    method("PPO, KL 0.5", &[(KIND, "ppo"), (STEPS, "100"), TWO_EACH[0], TWO_EACH[1], TWO_EACH[2], (KL, "0.5")]),
    method("RLOO, KL 0.05", &[(KIND, "rloo"), (STEPS, "100"), FOUR_EACH[0], FOUR_EACH[1], FOUR_EACH[2], (KL, "0.05")]),
    method("RLOO, KL 0.2", &[(KIND, "rloo"), (STEPS, "100"), FOUR_EACH[0], FOUR_EACH[1], FOUR_EACH[2], (KL, "0.2")]),
    method("RLOO, KL 0.5", &[(KIND, "rloo"), (STEPS, "100"), FOUR_EACH[0], FOUR_EACH[1], FOUR_EACH[2], (KL, "0.5")]),
    method("TIS-DPO β 0.5", &[(KIND, "dpo"), (WEIGHTS, "tis"), (BETA, "0.5")]),
    method("TIS-DPO β 1", &[(KIND, "dpo"), (WEIGHTS, "tis"), (BETA, "1.0")]),
    method("TIS-DPO β 2", &[(KIND, "dpo"), (WEIGHTS, "tis"), (BETA, "2.0")]),
];

/// The same of several rejected answers.
pub const SEVERAL_SEARCHED: &[Method] = &[
    method("DPO, all rejected, β 0.5", &[(KIND, "dpo"), (NEGATIVES, "all"), (BETA, "0.5")]),
    method("DPO, all rejected, β 1", &[(KIND, "dpo"), (NEGATIVES, "all"), (BETA, "1.0")]),
    method("DPO, all rejected, β 2", &[(KIND, "dpo"), (NEGATIVES, "all"), (BETA, "2.0")]),
    method("MPO, all rejected, β 0.5", &[(KIND, "mpo"), (NEGATIVES, "all"), (BETA, "0.5")]),
    method("MPO, all rejected, β 1", &[(KIND, "mpo"), (NEGATIVES, "all"), (BETA, "1.0")]),
    method("MPO, all rejected, β 2", &[(KIND, "mpo"), (NEGATIVES, "all"), (BETA, "2.0")]),
];

/// RLHF and token weights beside the three, at settings of their own and where the reference answers hold them.
pub const OTHERS: &[Method] = &[
    REWARD,
    method("PPO", &[(KIND, "ppo"), (STEPS, "100"), TWO_EACH[0], TWO_EACH[1], TWO_EACH[2], (KL, "0.05")]),
    method(
        "PPO, prompts of both",
        &[
            (KIND, "ppo"),
            (STEPS, "100"),
            TWO_EACH[0],
            TWO_EACH[1],
            TWO_EACH[2],
            (KL, "0.05"),
            (PROMPTS, "pairs+reference"),
        ],
    ),
    method(
        "PPO, λ_ref 0.3",
        &[(KIND, "ppo"), (STEPS, "100"), TWO_EACH[0], TWO_EACH[1], TWO_EACH[2], (KL, "0.05"), (REFERENCE, "0.3")],
    ),
    method("RLOO", &[(KIND, "rloo"), (STEPS, "100"), FOUR_EACH[0], FOUR_EACH[1], FOUR_EACH[2], (KL, "0.05")]),
    method("TIS-DPO", &[(KIND, "dpo"), (WEIGHTS, "tis")]),
];

/// Several rejected answers in one pair.
pub const SEVERAL: &[Method] = &[
    method("MPO, all rejected", &[(KIND, "mpo"), (NEGATIVES, "all")]),
    method("DPO, all rejected", &[(KIND, "dpo"), (NEGATIVES, "all")]),
];

/// The same judgements as pairs.
pub const SPLIT: &[Method] =
    &[method("MPO, split pairs", &[(KIND, "mpo")]), method("DPO, split pairs", &[(KIND, "dpo")])];
