//! How a pair stands under an objective, from its scores in the project.

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
        let objective = Objective::Mpo { beta: 0.5, margin: Margin::AnchoredSum };
        let standing = Standing::of(&objective, &scores).unwrap();
        assert_eq!((standing.margin, standing.chosen_reward, standing.rejected_reward), (2.0, 0.5, -0.5));
        assert!(standing.push > 0.09 && !standing.asleep);
        scores.certainty = None;
        let unlabelled = Standing::of(&objective, &scores).unwrap();
        assert_eq!((unlabelled.margin, unlabelled.push, unlabelled.asleep), (2.0, 0.0, false));
        scores.start = None;
        assert_eq!(Standing::of(&objective, &scores), None);
    }
}
