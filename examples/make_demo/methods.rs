//! What is measured: labels, methods, and the settings that each is searched over.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which labels are trained on. Held-out ones are always the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
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

/// `section.key` and value.
type Change = (&'static str, &'static str);

/// A row of a table: its name, and what it changes of the demo's own settings.
pub struct Method {
    pub name: &'static str,
    changes: &'static [&'static [Change]],
}

impl Method {
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().copied().flatten()
    }
}

const fn method(name: &'static str, changes: &'static [&'static [Change]]) -> Method {
    Method { name, changes }
}

const BETA: &str = "objective.beta";
const TAU: &str = "objective.tau";
const KIND: &str = "objective.kind";
const RATE: &str = "optimizer.learning_rate";
const STEPS: &str = "train.steps";
const PAIRS: &str = "train.pairs_per_step";
const ANSWERS: &str = "rlhf.answers_per_prompt";
const LONGEST: &str = "rlhf.max_tokens";
const KL: &str = "rlhf.kl_coef";

const MPO: &[Change] = &[(KIND, "mpo")];
const DPO: &[Change] = &[(KIND, "dpo")];
const IPO: &[Change] = &[(KIND, "ipo")];
const TIS: &[Change] = &[(KIND, "dpo"), ("objective.token_weights", "tis")];
const SCORES: &[Change] = &[(KIND, "reward"), (STEPS, "100")];
// 32 sampled answers a step: 16 prompts with 2 each, or 8 with 4.
const PPO: &[Change] = &[(KIND, "ppo"), (STEPS, "100"), (PAIRS, "16"), (ANSWERS, "2"), (LONGEST, "48")];
const RLOO: &[Change] = &[(KIND, "rloo"), (STEPS, "100"), (PAIRS, "8"), (ANSWERS, "4"), (LONGEST, "48")];
const ALL_REJECTED: &[Change] = &[("objective.negatives", "all")];
const HELD: &[Change] = &[("objective.reference_weight", "0.3")];

/// The search: one number of each method, three values of it. MPO has its own λ_ref, the others none.
pub const SEARCHED: &[Method] = &[
    method("MPO β 0.5", &[MPO, &[(BETA, "0.5")]]),
    method("MPO β 1", &[MPO, &[(BETA, "1.0")]]),
    method("MPO β 2", &[MPO, &[(BETA, "2.0")]]),
    method("DPO β 0.5", &[DPO, &[(BETA, "0.5")]]),
    method("DPO β 1", &[DPO, &[(BETA, "1.0")]]),
    method("DPO β 2", &[DPO, &[(BETA, "2.0")]]),
    method("IPO τ 0.1", &[IPO, &[(TAU, "0.1")]]),
    method("IPO τ 0.25", &[IPO, &[(TAU, "0.25")]]),
    method("IPO τ 0.5", &[IPO, &[(TAU, "0.5")]]),
];

/// Each method at what [`SEARCHED`] found: the highest held-out accuracy at the end.
pub const BEST: &[Method] = &[
    method("MPO β 0.5", &[MPO, &[(BETA, "0.5")]]),
    method("DPO β 0.5", &[DPO, &[(BETA, "0.5")]]),
    method("IPO τ 0.5", &[IPO, &[(TAU, "0.5")]]),
];

/// Each method at the demo's own settings.
pub const METHODS: &[Method] = &[method("MPO", &[MPO]), method("DPO", &[DPO]), method("IPO", &[IPO])];

/// The term on reference answers taken from one and given to another.
pub const EXCHANGED: &[Method] =
    &[method("MPO, λ_ref 0", &[MPO, &[("objective.reference_weight", "0.0")]]), method("DPO, λ_ref 0.3", &[DPO, HELD])];

/// Methods beside MPO, DPO and IPO, with as many settings of each as [`SEARCHED`] tries of those.
pub const OTHERS_SEARCHED: &[Method] = &[
    method("reward model, rate 3e-4", &[SCORES, &[(RATE, "3e-4")]]),
    method("reward model", &[SCORES]),
    method("reward model, rate 2e-3", &[SCORES, &[(RATE, "2e-3")]]),
    method("PPO, KL 0.05", &[PPO, &[(KL, "0.05")]]),
    method("PPO, KL 0.2", &[PPO, &[(KL, "0.2")]]),
    method("PPO, KL 0.5", &[PPO, &[(KL, "0.5")]]),
    method("RLOO, KL 0.05", &[RLOO, &[(KL, "0.05")]]),
    method("RLOO, KL 0.2", &[RLOO, &[(KL, "0.2")]]),
    method("RLOO, KL 0.5", &[RLOO, &[(KL, "0.5")]]),
    method("TIS-DPO β 0.5", &[TIS, &[(BETA, "0.5")]]),
    method("TIS-DPO β 1", &[TIS, &[(BETA, "1.0")]]),
    method("TIS-DPO β 2", &[TIS, &[(BETA, "2.0")]]),
];

/// The same of several rejected answers.
pub const SEVERAL_SEARCHED: &[Method] = &[
    method("DPO, all rejected, β 0.5", &[DPO, ALL_REJECTED, &[(BETA, "0.5")]]),
    method("DPO, all rejected, β 1", &[DPO, ALL_REJECTED, &[(BETA, "1.0")]]),
    method("DPO, all rejected, β 2", &[DPO, ALL_REJECTED, &[(BETA, "2.0")]]),
    method("MPO, all rejected, β 0.5", &[MPO, ALL_REJECTED, &[(BETA, "0.5")]]),
    method("MPO, all rejected, β 1", &[MPO, ALL_REJECTED, &[(BETA, "1.0")]]),
    method("MPO, all rejected, β 2", &[MPO, ALL_REJECTED, &[(BETA, "2.0")]]),
];

/// What PPO and RLOO learn from.
pub const REWARD: Method = method("reward model", &[SCORES, &[(RATE, "3e-4")]]);

/// RLHF and token weights beside the three, each at what [`OTHERS_SEARCHED`] found, and PPO where reference answers
/// hold it.
pub const OTHERS: &[Method] = &[
    REWARD,
    method("RLOO", &[RLOO, &[(KL, "0.2")]]),
    method("PPO", &[PPO, &[(KL, "0.5")]]),
    method("TIS-DPO", &[TIS, &[(BETA, "2.0")]]),
    method("PPO, λ_ref 0.3", &[PPO, &[(KL, "0.5")], HELD]),
    method("PPO, prompts of both", &[PPO, &[(KL, "0.5"), ("rlhf.prompts", "pairs+reference")]]),
];

/// Several rejected answers in one pair, each method at what [`SEVERAL_SEARCHED`] found.
pub const SEVERAL: &[Method] = &[
    method("MPO, all rejected", &[MPO, ALL_REJECTED, &[(BETA, "1.0")]]),
    method("DPO, all rejected", &[DPO, ALL_REJECTED, &[(BETA, "0.5")]]),
];

/// The same judgements as pairs, at the same settings.
pub const SPLIT: &[Method] =
    &[method("MPO, split pairs", &[MPO, &[(BETA, "1.0")]]), method("DPO, split pairs", &[DPO, &[(BETA, "0.5")]])];
