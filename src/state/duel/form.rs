//! Who answers in a duel, and what.

use engine::protocol::{AnswerOptions, Candidates, Sampling};

use crate::ask::AnswerSource;

/// More prompts than a person judges in one sitting are not asked.
pub const MOST_PROMPTS: usize = 100;

/// Where the prompts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DuelPrompts {
    /// Of pairs that neither side was trained on.
    #[default]
    HeldOut,
    Probes,
    Typed,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct DuelForm {
    pub sides: [AnswerSource; 2],
    pub of: DuelPrompts,
    /// One a line.
    pub typed: String,
    pub temperature: f64,
    pub longest_tokens: usize,
    /// Decides the answers, the prompts where there are many, and who stands on which side. Another one each time.
    pub seed: u64,
}

impl Default for DuelForm {
    fn default() -> Self {
        Self {
            sides: [AnswerSource::Base; 2],
            of: DuelPrompts::default(),
            typed: String::new(),
            temperature: 0.7,
            longest_tokens: 256,
            seed: 0,
        }
    }
}

impl DuelForm {
    pub fn asked(&self) -> Candidates {
        let options = AnswerOptions {
            sampling: Sampling::at(self.temperature),
            max_new_tokens: self.longest_tokens,
            seed: self.seed,
            ..AnswerOptions::default()
        };
        Candidates { options, answers: 1, pilaf: None }
    }
}
