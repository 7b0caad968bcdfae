//! Settings that are one of some words, and what the words are called on the screen.

use serde::{Deserialize, Serialize};

/// A word of `run.toml` that a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub word: &'static str,
    /// What it is called on the screen.
    pub shown: &'static str,
    /// One sentence, where its name does not say all.
    pub about: &'static str,
}

choice! {
    /// Whose prompts are answered between updates.
    Prompts = PROMPTS;

    #[default]
    Pairs = "pairs", "Of the pairs", "Those of the pairs that are trained on";
    /// Half of them from the reference answers.
    WithReference = "pairs+reference", "And of references",
        "Every other one from the reference answers, where the KL counts too";
}

choice! {
    /// Where the score of an answer joins its tokens' rewards.
    RewardAt = REWARD_PLACES;

    #[default]
    LastToken = "last-token", "Last token", "";
    /// A slot of its own behind it, whose value is read at the last token.
    AfterEnd = "after-end", "After the end", "A slot of its own behind the last token, as TRL has it";
}

choice! {
    /// How the KL of a sampled answer is estimated for its reward, with d = log π − log π_ref of each token.
    KlEstimator = KL_ESTIMATORS;

    #[default]
    K1 = "k1", "k1", "Σ d: right in the mean, and noisy";
    K3 = "k3", "k3", "Σ e^−d − 1 + d: never negative and calmer; the policy's gradient through the reward is no longer that of the KL";
}

choice! {
    /// What the sum over the tokens of GRPO's answers is divided by.
    LossType = LOSS_TYPES;

    #[default]
    Dapo = "dapo", "All tokens", "The tokens of the update: a token counts alike in every answer";
    DrGrpo = "dr_grpo", "Longest length", "Answers times the longest length there may be: nothing hangs on how long the others are";
    Grpo = "grpo", "Own length", "Answers times the length of each: as first published, and long wrong answers cost little";
}

choice! {
    Schedule = SCHEDULES;

    #[default]
    Cosine = "cosine", "Cosine", "Falls along a cosine to zero";
    Linear = "linear", "Linear", "Falls in a straight line to zero";
    Constant = "constant", "Constant", "Stays at its peak";
}

choice! {
    /// Which rejected answers a pair brings to a step.
    Negatives = NEGATIVES;

    /// The one that its verdict names.
    #[default]
    First = "first", "One", "The rejected answer that the verdict names, as in a pair of two";
    /// All that were said to be worse than the chosen one.
    All = "all", "All",
        "All answers that were said to be worse, against the chosen one at once: a softmax over the pair's answers";
    /// Of those a few that are likely and unlike each other, chosen once before the run.
    Diverse = "diverse", "Unlike",
        "Of all that are worse some that are likely and far from the chosen answer and from each other; chosen once before the run";
}

choice! {
    /// Whether a block keeps all that its backward needs, or only its input and runs its forward again. Exact either way.
    Recompute = RECOMPUTES;

    /// As many blocks as do not fit in the memory at hand.
    #[default]
    Auto = "auto", "Where needed", "";
    Never = "never", "Never", "";
    Always = "always", "Always", "";
}

choice! {
    /// Who comes first when the processor is busy.
    Priority = PRIORITIES;

    /// Gentle beside a window.
    #[default]
    Auto = "auto", "Gentle here", "";
    Gentle = "gentle", "Gentle", "";
    Full = "full", "Full speed", "";
}

choice! {
    /// What is done about a run that drifts further than it may.
    DriftAction = DRIFT_ACTIONS;

    #[default]
    Stop = "stop", "Stop", "The run ends with a checkpoint";
    Warn = "warn", "Warn", "The run goes on, with a mark on its charts";
    Steer = "steer", "Steer λ ref",
        "λ ref grows while the drift is above the limit and comes down again below half of it";
}

pub(super) const OPTIMIZERS: &[Word] = &[Word { word: "adamw", shown: "AdamW", about: "" }];
