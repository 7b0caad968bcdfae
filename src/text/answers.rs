//! THE function from a prompt and its answers to token ids.

use super::{Codec, TextError, Unusable};
use crate::data::Prompt;

/// How long a prompt may be, and where answers are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens; a longer prompt makes the pair unusable.
    pub max_prompt: usize,
    /// Tokens; longer answers lose their end, all by this one rule.
    pub max_answer: usize,
}

impl Limits {
    /// Nothing is too long.
    pub const NONE: Self = Self {
        max_prompt: usize::MAX,
        max_answer: usize::MAX,
    };
}

/// A prompt and its answers as token ids that share one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedAnswers {
    /// Seen by every answer, scored by none. At least one token.
    pub prefix: Vec<u32>,
    /// In the order given; every token of them is scored.
    pub answers: Vec<EncodedAnswer>,
}

/// What is scored of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedAnswer {
    /// At least one token.
    pub ids: Vec<u32>,
    /// The last id ends the turn, so stopping is trained.
    pub ended: bool,
    /// The end was cut off at [`Limits::max_answer`].
    pub cut: bool,
}

impl Codec {
    /// Token ids of a prompt as the model sees it before it answers.
    pub fn prompt_ids(&self, prompt: &Prompt) -> Result<Vec<u32>, TextError> {
        let _ = prompt;
        unimplemented!()
    }

    /// The one function: prompt and answers to a shared prefix and scored ids, by position and never by id.
    pub fn encode_answers(
        &self,
        prompt: &Prompt,
        answers: &[&str],
        limits: Limits,
    ) -> Result<EncodedAnswers, Unusable> {
        let _ = (prompt, answers, limits);
        unimplemented!()
    }
}
