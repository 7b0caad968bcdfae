//! How a pair stands under an objective, from its scores in the project.

use serde::{Deserialize, Serialize};
use store::PairScores;

use super::{Objective, PairLogProbs};

/// What an objective makes of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// m_θ of the objective's own kind.
    pub margin: f64,
    /// β·(s_θ − s_θ0) of each side.
    pub chosen_reward: f64,
    pub rejected_reward: f64,
    pub loss: f64,
    /// |∂loss/∂m|; 0 for a pair that is not trained on.
    pub push: f64,
    /// Trained on, and with next to no push left.
    pub asleep: bool,
}

impl Standing {
    /// Absent where what the run started from has not been scored.
    pub fn of(objective: &Objective, scores: &PairScores) -> Option<Self> {
        let term = objective.evaluate(&PairLogProbs::of(scores)?);
        let is_trained = scores.certainty.is_some();
        Some(Self {
            margin: term.margin,
            chosen_reward: term.chosen_reward,
            rejected_reward: term.rejected_reward,
            loss: term.loss,
            push: if is_trained { term.push } else { 0.0 },
            asleep: is_trained && term.asleep,
        })
    }

    /// Chosen reward − rejected reward.
    pub fn reward_margin(&self) -> f64 {
        self.chosen_reward - self.rejected_reward
    }
}

/// A number made of a pair's scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Number {
    /// log π(chosen) − log π(rejected).
    #[default]
    Margin,
    Push,
    /// Chosen reward − rejected reward.
    Reward,
    /// β·(s_θ − s_θ0) of the chosen answer.
    ChosenReward,
    RejectedReward,
}

impl Number {
    pub const ALL: [Self; 5] = [Self::Margin, Self::Push, Self::Reward, Self::ChosenReward, Self::RejectedReward];

    pub fn title(self) -> &'static str {
        match self {
            Self::Margin => "Margin",
            Self::Push => "Push",
            Self::Reward => "Reward margin",
            Self::ChosenReward => "Reward of chosen",
            Self::RejectedReward => "Reward of rejected",
        }
    }

    /// Over a narrow column.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Margin => "Margin",
            Self::Push => "Push",
            Self::Reward => "Reward",
            Self::ChosenReward => "Chosen",
            Self::RejectedReward => "Rejected",
        }
    }

    /// What it says, in a sentence.
    pub fn about(self) -> &'static str {
        match self {
            Self::Margin => "Log-prob of the chosen answer minus that of the rejected one",
            Self::Push => "How hard the objective pulls on the pair",
            Self::Reward => "Reward of the chosen answer minus that of the rejected one",
            Self::ChosenReward => "How much likelier the chosen answer is than under the start model, times β",
            Self::RejectedReward => "How much likelier the rejected answer is than under the start model, times β",
        }
    }

    pub fn of(self, scores: &PairScores, standing: &Standing) -> f64 {
        match self {
            Self::Margin => scores.margin(),
            Self::Push => standing.push,
            Self::Reward => standing.reward_margin(),
            Self::ChosenReward => standing.chosen_reward,
            Self::RejectedReward => standing.rejected_reward,
        }
    }
}

/// Between which bounds, both included, a number of a pair lies. An absent bound is none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct NumberBounds {
    pub number: Number,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
}

impl NumberBounds {
    pub fn holds(&self, scores: &PairScores, standing: &Standing) -> bool {
        let number = self.number.of(scores, standing);
        self.least.is_none_or(|least| number >= least) && self.most.is_none_or(|most| number <= most)
    }
}

impl PairLogProbs {
    /// A pair without a label counts as a certain one.
    fn of(scores: &PairScores) -> Option<Self> {
        let [reference_chosen, reference_rejected] = scores.start?;
        Some(Self {
            policy_chosen: scores.chosen.log_prob,
            policy_rejected: scores.rejected.log_prob,
            reference_chosen,
            reference_rejected,
            chosen_tokens: scores.chosen.tokens as f64,
            rejected_tokens: scores.rejected.tokens as f64,
            certainty: scores.certainty.unwrap_or(1.0),
            reward: scores.reward,
            behaviour: scores.behaviour,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objective::Mpo;
    use data::{PairId, config::Margin};
    use store::{Score, VerdictState};

    #[test]
    fn only_what_is_trained_on_is_pushed() {
        let score = |log_prob| Score { log_prob, tokens: 4 };
        let mut scores = PairScores {
            pair: PairId(1),
            state: VerdictState::Better,
            certainty: Some(1.0),
            reward: 1.0,
            behaviour: 1.0,
            chosen: score(-10.0),
            rejected: score(-12.0),
            start: Some([-11.0, -11.0]),
        };
        let objective = Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum });
        let standing = Standing::of(&objective, &scores).unwrap();
        assert_eq!((standing.margin, standing.chosen_reward, standing.rejected_reward), (2.0, 0.5, -0.5));
        assert!(standing.push > 0.09 && !standing.asleep);
        let within = |number, least, most| NumberBounds { number, least, most }.holds(&scores, &standing);
        assert!(within(Number::Margin, Some(2.0), Some(2.0)) && within(Number::Reward, Some(0.9), None));
        assert!(within(Number::ChosenReward, Some(0.5), None) && within(Number::RejectedReward, None, Some(-0.5)));
        assert!(!within(Number::ChosenReward, None, Some(0.4)) && !within(Number::RejectedReward, Some(-0.4), None));
        assert!(!within(Number::Margin, None, Some(1.9)) && !within(Number::Push, Some(0.5), None));
        scores.certainty = None;
        let unlabelled = Standing::of(&objective, &scores).unwrap();
        assert_eq!((unlabelled.margin, unlabelled.push, unlabelled.asleep), (2.0, 0.0, false));
        scores.start = None;
        assert_eq!(Standing::of(&objective, &scores), None);
    }
}
