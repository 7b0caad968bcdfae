//! The token inspector: what it was asked and what came back.

use std::sync::Arc;

use data::{Answer, PairInspection, Prompt};

use crate::labelling::Side;

/// Where an inspection is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spot {
    /// Under the pair that is open.
    Pair,
    /// Under an answer of the ask box.
    Answer(Side),
}

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokensOf {
    /// A prompt with its answers, as training sees them.
    Pair {
        prompt: Prompt,
        answers: Vec<Answer>,
        /// Tokens, as the launch sheet says.
        max_prompt: usize,
        max_answer: usize,
    },
    /// Ids that a model was given and gave.
    Generated { prompt: Vec<u32>, ids: Vec<u32> },
}

#[derive(Debug, Clone)]
pub enum Inspected {
    Waiting,
    Ready(Arc<PairInspection>),
    Failed(String),
}

/// What each spot shows. Written only by `app`.
#[derive(Debug, Default)]
pub struct TokensData {
    spots: Vec<(Spot, Arc<TokensOf>, Inspected)>,
    /// The last answer of each spot: shown while the next one is made, so that nothing flickers while one types.
    last: Vec<(Spot, Arc<PairInspection>)>,
}

impl TokensData {
    /// Whether this is what the spot was asked last.
    pub fn is_asked(&self, spot: Spot, subject: &TokensOf) -> bool {
        self.find(spot).is_some_and(|(_, asked, _)| **asked == *subject)
    }

    pub fn ask(&mut self, spot: Spot, subject: Arc<TokensOf>) {
        self.spots.retain(|(other, ..)| *other != spot);
        self.spots.push((spot, subject, Inspected::Waiting));
    }

    /// An answer to an older question is dropped.
    pub fn answer(&mut self, spot: Spot, subject: &Arc<TokensOf>, outcome: Inspected) {
        let Some((_, asked, slot)) = self.spots.iter_mut().find(|(other, ..)| *other == spot) else {
            return;
        };
        if !Arc::ptr_eq(asked, subject) {
            return;
        }
        if let Inspected::Ready(inspection) = &outcome {
            self.last.retain(|(other, _)| *other != spot);
            self.last.push((spot, Arc::clone(inspection)));
        }
        *slot = outcome;
    }

    /// What to draw: the newest inspection of the spot, or why there is none.
    pub fn shown(&self, spot: Spot) -> Result<Option<&Arc<PairInspection>>, &str> {
        match self.find(spot) {
            Some((_, _, Inspected::Failed(error))) => Err(error),
            Some((_, _, Inspected::Ready(inspection))) => Ok(Some(inspection)),
            Some((_, _, Inspected::Waiting)) => {
                Ok(self.last.iter().find(|(other, _)| *other == spot).map(|(_, inspection)| inspection))
            }
            None => Ok(None),
        }
    }

    fn find(&self, spot: Spot) -> Option<&(Spot, Arc<TokensOf>, Inspected)> {
        self.spots.iter().find(|(other, ..)| *other == spot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::PairFit;

    #[test]
    fn only_the_answer_to_the_last_question_is_shown() {
        let subject = |text: &str| {
            Arc::new(TokensOf::Pair {
                prompt: Prompt::Text(text.to_owned()),
                answers: Vec::new(),
                max_prompt: 1,
                max_answer: 1,
            })
        };
        let ready = |fate| Inspected::Ready(Arc::new(PairInspection { fate, reason: None, answers: Vec::new() }));
        let mut tokens = TokensData::default();
        let (old, new) = (subject("a"), subject("b"));
        tokens.ask(Spot::Pair, Arc::clone(&old));
        tokens.answer(Spot::Pair, &old, ready(PairFit::Fits));
        tokens.ask(Spot::Pair, Arc::clone(&new));
        assert!(tokens.is_asked(Spot::Pair, &new) && !tokens.is_asked(Spot::Pair, &old));
        // While the new one is made, the old one stays on the screen; a late answer to it changes nothing.
        tokens.answer(Spot::Pair, &old, ready(PairFit::Unusable));
        assert_eq!(tokens.shown(Spot::Pair).unwrap().unwrap().fate, PairFit::Fits);
        tokens.answer(Spot::Pair, &new, ready(PairFit::AnswerCut));
        assert_eq!(tokens.shown(Spot::Pair).unwrap().unwrap().fate, PairFit::AnswerCut);
        assert!(tokens.shown(Spot::Answer(Side::Left)).unwrap().is_none());
    }
}
