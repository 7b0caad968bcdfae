//! The token inspector: what the model really sees of a pair.

use super::{Codec, Limits, StreamDecoder, Unusable, answers::Border};
use crate::data::Prompt;

/// One token as it is trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    pub id: u32,
    /// The text it completes, special tokens written out. A token inside a character shows as its own piece, and the one
    /// that completes the character shows the character.
    pub text: String,
    /// Scored: part of the answer.
    pub in_answer: bool,
    pub special: bool,
}

/// A prompt with one answer, token by token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inspection {
    pub tokens: Vec<TokenView>,
    /// The last token ends the turn, so stopping is trained.
    pub ended: bool,
    pub cut: bool,
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
        let (encoded, borders) = self.encode_with_borders(prompt, answers, limits)?;
        Ok(encoded
            .answers
            .iter()
            .zip(borders)
            .map(|(answer, border)| {
                let mut inspection = Inspection {
                    tokens: self.view(&encoded.prefix, &answer.ids),
                    ended: answer.ended,
                    cut: answer.cut,
                    warnings: Vec::new(),
                };
                self.warn(&mut inspection, border, limits);
                inspection
            })
            .collect())
    }

    /// Tokens of `prefix` and then of `answer`, each with the text it stands for.
    pub fn view(&self, prefix: &[u32], answer: &[u32]) -> Vec<TokenView> {
        let mut decoder = StreamDecoder::with_specials();
        let ids = prefix.iter().chain(answer).copied().enumerate();
        ids.map(|(position, id)| {
            let text = decoder.push(self, id);
            TokenView {
                id,
                text: if text.is_empty() {
                    self.piece(id).unwrap_or_default()
                } else {
                    text
                },
                in_answer: position >= prefix.len(),
                special: self.is_special(id),
            }
        })
        .collect()
    }

    fn warn(&self, inspection: &mut Inspection, border: Border, limits: Limits) {
        let warnings = &mut inspection.warnings;
        let tokens = &inspection.tokens;
        if let Some(bos) = self.bos()
            && !self.stop_ids().contains(&bos)
            && tokens.len() > 1
            && tokens[..2].iter().all(|token| token.id == bos)
        {
            warnings.push(
                "The text begins with the BOS token twice: the prompt spells it out once more than the template. Remove it from the prompt."
                    .to_owned(),
            );
        }
        if inspection.cut {
            warnings.push(format!(
                "The answer is longer than {} tokens and was cut, so its end is not trained.",
                limits.max_answer
            ));
        } else if !inspection.ended {
            warnings.push(
                "The answer has no end-of-turn token, so the model does not learn to stop after it."
                    .to_owned(),
            );
        }
        let scored = tokens.iter().filter(|token| token.in_answer);
        let inner = scored
            .clone()
            .count()
            .saturating_sub(usize::from(inspection.ended));
        if scored.take(inner).any(|token| token.special) {
            warnings.push(
                "A special token stands inside the answer, because its text spells one out."
                    .to_owned(),
            );
        }
        match border {
            Border::Plain => {}
            Border::Grafted => warnings.push(
                "The chat template writes the prompt differently once an answer follows. It is trained as the model sees it when it answers."
                    .to_owned(),
            ),
            Border::Torn => warnings.push(
                "The chat template writes the prompt differently once an answer follows, and the two could not be matched: everything behind the first difference is scored."
                    .to_owned(),
            ),
        }
    }
}
