//! The methods: what each is called, what it learns from, and what its margin and weights are where settings leave them
//! open.

use serde::{Deserialize, Serialize};

use super::Margin;

choice! {
    Method = METHODS;

    #[default]
    Mpo = "mpo", "MPO", "Maximum Preference Optimization, arXiv 2312.16430";
    Dpo = "dpo", "DPO", "Direct Preference Optimization, arXiv 2305.18290";
    Ipo = "ipo", "IPO", "Identity Preference Optimization, arXiv 2310.12036";
    Reward = "reward", "Reward model",
        "Fits scores to the pairs (Bradley–Terry): about 2 forwards a token; what PPO, RLOO and GRPO need";
    Ppo = "ppo", "PPO",
        "RLHF with a critic, arXiv 1707.06347: samples answers, about 13 forwards a token; needs a reward model";
    Rloo = "rloo", "RLOO",
        "RLHF without a critic, arXiv 2402.14740: samples answers, about 6 forwards a token; needs a reward model";
    Grpo = "grpo", "GRPO",
        "RLHF with scores in units of their group, arXiv 2402.03300: about 6 forwards a token; needs a reward model";
}

/// What a method learns, and from what.
enum Learns {
    /// A policy, from pairs alone.
    Pairs,
    /// Scores, from pairs.
    Scores,
    /// A policy, from answers that it samples and their scores.
    Samples,
}

impl Method {
    /// Those that teach a policy from pairs alone.
    pub const PREFERENCE: [Self; Self::from_pairs().1] = {
        let (all, mut at, mut found) = (Self::from_pairs().0, 0, [Self::Mpo; Self::from_pairs().1]);
        while at < found.len() {
            found[at] = all[at];
            at += 1;
        }
        found
    };

    /// They, in front of an array, and how many they are.
    const fn from_pairs() -> ([Self; Self::ALL.len()], usize) {
        let (mut found, mut count, mut at) = (Self::ALL, 0, 0);
        while at < Self::ALL.len() {
            if matches!(Self::ALL[at].learns(), Learns::Pairs) {
                found[count] = Self::ALL[at];
                count += 1;
            }
            at += 1;
        }
        (found, count)
    }

    const fn learns(self) -> Learns {
        match self {
            Self::Mpo | Self::Dpo | Self::Ipo => Learns::Pairs,
            Self::Reward => Learns::Scores,
            Self::Ppo | Self::Rloo | Self::Grpo => Learns::Samples,
        }
    }

    /// Whether it learns from answers that the policy samples between its updates, with the score of a reward model.
    pub fn samples(self) -> bool {
        matches!(self.learns(), Learns::Samples)
    }

    /// Whether it has a form for several rejected answers of a pair at once.
    pub fn takes_several(self) -> bool {
        self.against_all().is_some()
    }

    /// What that form is called where methods are compared: as it is typed, and for a button.
    pub(super) fn against_all(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Mpo => Some(["mpo:all", "MPO, all rejected"]),
            Self::Dpo => Some(["dpo:all", "DPO, all rejected"]),
            Self::Ipo | Self::Reward | Self::Ppo | Self::Rloo | Self::Grpo => None,
        }
    }

    /// Whether its margin may be this one: only some do without a reference.
    pub fn takes(self, margin: Margin) -> bool {
        margin.is_anchored() || matches!(self, Self::Mpo | Self::Reward)
    }

    /// Its margin where the settings leave it open.
    pub(super) fn own_margin(self) -> Margin {
        match self {
            // Anchored margins start at 0, so a typical data set starts awake.
            Self::Mpo | Self::Dpo | Self::Reward | Self::Ppo | Self::Rloo | Self::Grpo => Margin::AnchoredSum,
            Self::Ipo => Margin::AnchoredMean,
        }
    }

    /// Its λ_ref, likewise.
    pub(super) fn own_reference_weight(self) -> f64 {
        match self {
            Self::Mpo => 0.3,
            Self::Dpo | Self::Ipo | Self::Reward | Self::Ppo | Self::Rloo | Self::Grpo => 0.0,
        }
    }
}
