//! What a model sees of a pair, token by token: plain values, made by the text room and drawn by the window.

use serde::{Deserialize, Serialize};

/// Whose text a token holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// The chat template's own.
    Template,
    Prompt,
    Answer,
}

/// One token as it is trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    pub id: u32,
    /// The text it completes, special tokens written out. A token inside a character shows as its own piece, and the
    /// one that completes the character shows the character.
    pub text: String,
    pub part: TextPart,
    pub special: bool,
}

/// What can be wrong with the tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// Two BOS tokens stand side by side.
    DoubledBos,
    /// The end of the answer is over the limit.
    Cut,
    /// Nothing ends the turn.
    NoEnd,
    /// The answer's text spells out a special token.
    SpecialInside,
    /// The template writes the prompt differently once an answer follows.
    PromptRewritten,
    /// The answer begins in the middle of a token.
    BeginsInside,
    /// There is no place for a system turn.
    SystemFolded,
    /// There is no chat template.
    PlainStyle,
    /// There is no memory for it.
    TooLarge,
}

impl Flaw {
    /// Drawn red: the training would teach something wrong. The others are notes.
    pub fn is_grave(self) -> bool {
        matches!(self, Self::DoubledBos | Self::Cut | Self::NoEnd)
    }
}

/// A flaw and its sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlawNote {
    pub flaw: Flaw,
    pub text: String,
}

/// A prompt with one answer, token by token; what is cut off is there too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inspection {
    pub tokens: Vec<TokenView>,
    /// Tokens from here on are scored.
    pub scored_from: usize,
    /// Tokens from here on are cut off; the number of tokens where nothing is.
    pub cut_at: usize,
    /// The last token, cut off or not, ends the turn.
    pub ended: bool,
    /// BOS and end-of-turn tokens among those that are not cut off.
    pub bos: usize,
    pub ends: usize,
    pub findings: Vec<FlawNote>,
}

impl Inspection {
    /// The turn's end is scored, so stopping is trained.
    pub fn end_trained(&self) -> bool {
        self.ended && self.cut_at == self.tokens.len()
    }

    /// Scored tokens.
    pub fn scored(&self) -> usize {
        self.cut_at.saturating_sub(self.scored_from)
    }
}

/// What becomes of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairFit {
    Fits,
    /// At least one answer loses its end.
    AnswerCut,
    PromptTooLong,
    /// E.g. an answer is empty, or both are the same once they are cut.
    Unusable,
}

/// All answers of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairInspection {
    pub fate: PairFit,
    /// Why the pair is set aside, in words.
    pub reason: Option<String>,
    /// In the order of the answers.
    pub answers: Vec<Inspection>,
}
