//! The token inspector: what the model really sees of a pair.

use super::{Codec, Limits, Unusable};
use crate::data::Prompt;

/// One token as it is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    pub id: u32,
    /// Its own text, special tokens written out; a piece of a character shows as its bytes.
    pub text: String,
    /// Scored: part of the answer.
    pub in_answer: bool,
    pub special: bool,
}

/// A prompt with one answer, token by token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    pub tokens: Vec<TokenView>,
    /// Sentences that deserve a look.
    pub warnings: Vec<String>,
}

impl Codec {
    /// Every answer of a pair token by token, exactly as it is trained on.
    pub fn inspect(
        &self,
        prompt: &Prompt,
        answers: &[&str],
        limits: Limits,
    ) -> Result<Vec<Inspection>, Unusable> {
        let _ = (prompt, answers, limits);
        unimplemented!()
    }
}
