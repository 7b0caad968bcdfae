//! The token ribbon: what the tokens of a pair's answers are coloured by, under which weights.

use std::sync::Arc;

use engine::protocol::{Event, RequestId, TokenLogProbs};
use serde::{Deserialize, Serialize};

use super::{runs::Runs, scores::Whose, tokens::TokensOf};

/// What tokens are coloured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Tint {
    /// Whose text it is.
    #[default]
    Part,
    /// log π of the token.
    LogProb,
    /// How that changed since step 0.
    Change,
    /// What the token counts in the margin of a run that weighs tokens.
    Weight,
}

impl Tint {
    /// Those that say something in this project.
    pub fn all(runs: &Runs) -> &'static [Self] {
        const ALL: [Tint; 4] = [Tint::Part, Tint::LogProb, Tint::Change, Tint::Weight];
        let weighs = |run| runs.settings(run).is_some_and(|settings| settings.config.weighs_tokens());
        if runs.records.iter().any(|record| weighs(record.id)) { &ALL } else { &ALL[..3] }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Part => "Parts",
            Self::LogProb => "Log-probs",
            Self::Change => "Change",
            Self::Weight => "Weights",
        }
    }

    pub fn about(self) -> &'static str {
        match self {
            Self::Part => "Template, prompt and answer (C)",
            Self::LogProb => "The less the model expects a token, the stronger its colour (C)",
            Self::Change => "What the run has made likelier and unlikelier since step 0 (C)",
            Self::Weight => "What each token counts in the run's margin, with the change since step 0 as a line (C)",
        }
    }

    /// The one after it, round about.
    pub fn next(self, runs: &Runs) -> Self {
        let all = Self::all(runs);
        let at = all.iter().position(|tint| *tint == self).unwrap_or(0);
        all[(at + 1) % all.len()]
    }
}

/// What the screen remembers of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RibbonView {
    pub tint: Tint,
    pub whose: Whose,
}

impl RibbonView {
    /// The weights that can be scrubbed through: the start, then the checkpoints of one run, ascending. The run is that
    /// of the weights at hand, or the newest with a checkpoint.
    pub fn stops(&self, runs: &Runs) -> Vec<Whose> {
        let with_checkpoint =
            || runs.records.iter().rev().map(|record| record.id).find(|run| !runs.checkpoints(*run).is_empty());
        let run = match self.whose {
            Whose::Checkpoint { run, .. } => Some(run),
            Whose::Start => with_checkpoint(),
        };
        let steps = run.map_or(&[][..], |run| runs.checkpoints(run)).iter().filter(|step| **step > 0);
        let checkpoints =
            run.into_iter().flat_map(|run| steps.clone().map(move |&step| Whose::Checkpoint { run, step }));
        std::iter::once(Whose::Start).chain(checkpoints).collect()
    }

    /// Weights of tokens are those of a run: where the one at hand has none, the newest that has some.
    pub fn find_weights(&mut self, runs: &Runs) {
        let weighs = |run| runs.settings(run).is_some_and(|settings| settings.config.weighs_tokens());
        let has_some = |whose: &Whose| matches!(whose, Whose::Checkpoint { run, .. } if weighs(*run));
        if self.tint == Tint::Weight && !has_some(&self.whose) {
            self.whose = Whose::all(runs).into_iter().find(has_some).unwrap_or(self.whose);
        }
    }

    /// To the last weights of its run that are not later than this step.
    pub fn read_at(&mut self, runs: &Runs, step: u64) {
        let is_before = |whose: &Whose| matches!(whose, Whose::Checkpoint { step: at, .. } if *at <= step);
        let last = self.stops(runs).into_iter().rfind(is_before);
        // Without a checkpoint so early it is what the run started from; without any there is nothing to be led to.
        self.whose = last.unwrap_or(Whose::Start);
    }

    /// The step of its weights.
    pub fn step(self) -> u64 {
        match self.whose {
            Whose::Start => 0,
            Whose::Checkpoint { step, .. } => step,
        }
    }

    /// To the next weights, or the ones before.
    pub fn scrub(&mut self, runs: &Runs, forward: bool) {
        let stops = self.stops(runs);
        let at = stops.iter().position(|stop| *stop == self.whose).unwrap_or(0);
        let to = if forward { (at + 1).min(stops.len() - 1) } else { at.saturating_sub(1) };
        self.whose = stops[to];
        if self.tint == Tint::Part {
            self.tint = Tint::Change;
        }
    }
}

/// What came of a question.
#[derive(Debug, Clone)]
pub enum Read {
    Waiting(RequestId),
    Ready(Arc<TokenLogProbs>),
    Failed(String),
}

/// What is known of the answers on the screen. Written only by `app`.
#[derive(Debug, Default)]
pub struct RibbonData {
    /// Which answers.
    subject: Option<TokensOf>,
    known: Vec<(Whose, Read)>,
}

impl RibbonData {
    /// What is known of these answers under these weights.
    pub fn get(&self, subject: &TokensOf, whose: Whose) -> Option<&Read> {
        let of_subject = self.subject.as_ref().filter(|known| *known == subject);
        of_subject.and_then(|_| self.known.iter().find(|(of, _)| *of == whose)).map(|(_, read)| read)
    }

    /// Something is being read: the next question waits for it.
    pub fn is_waiting(&self) -> bool {
        self.known.iter().any(|(_, read)| matches!(read, Read::Waiting(_)))
    }

    /// Asked now. What is known of other answers is forgotten.
    pub fn ask(&mut self, subject: TokensOf, whose: Whose, request: RequestId) {
        if self.subject.as_ref() != Some(&subject) {
            self.known.clear();
            self.subject = Some(subject);
        }
        self.known.retain(|(of, _)| *of != whose);
        self.known.push((whose, Read::Waiting(request)));
    }

    /// The engine did not take the question: it is asked again when these answers come back to the screen.
    pub fn refused(&mut self, request: RequestId) {
        let error =
            "The engine was busy and did not take this; look at another pair and come back to try again".to_owned();
        self.take(&Event::Failed { request, error });
    }

    /// Takes in an answer; whether it was one.
    pub fn take(&mut self, event: &Event) -> bool {
        let (answered, read) = match event {
            Event::TokensRead { request, log_probs } => (*request, Read::Ready(Arc::clone(log_probs))),
            Event::Failed { request, error } => (*request, Read::Failed(error.clone())),
            _ => return false,
        };
        let waits = |read: &Read| matches!(read, Read::Waiting(request) if *request == answered);
        let Some((_, slot)) = self.known.iter_mut().find(|(_, read)| waits(read)) else {
            // The answers have left the screen since.
            return matches!(event, Event::TokensRead { .. });
        };
        *slot = read;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_as_long_as_its_text_is_on_the_screen() {
        let subject = |text: &str| TokensOf::Pair {
            prompt: data::Prompt::Text(text.to_owned()),
            answers: Vec::new(),
            max_prompt: 1,
            max_answer: 1,
        };
        let read = |request| Event::TokensRead {
            request: RequestId(request),
            log_probs: Arc::new(TokenLogProbs { now: Vec::new(), start: Vec::new(), weights: Ok(Vec::new()) }),
        };
        let mut data = RibbonData::default();
        data.ask(subject("a"), Whose::Start, RequestId(1));
        assert!(matches!(data.get(&subject("a"), Whose::Start), Some(Read::Waiting(_))));
        assert!(data.take(&read(1)));
        assert!(matches!(data.get(&subject("a"), Whose::Start), Some(Read::Ready(_))));
        assert!(data.get(&subject("b"), Whose::Start).is_none());
        data.ask(subject("b"), Whose::Start, RequestId(2));
        assert!(data.get(&subject("a"), Whose::Start).is_none());
        assert!(data.take(&read(1)), "too late, and nobody else's");
        assert!(matches!(data.get(&subject("b"), Whose::Start), Some(Read::Waiting(_))));
        let failed = Event::Failed { request: RequestId(2), error: "gone".to_owned() };
        assert!(data.take(&failed) && !data.take(&failed));
        // A question that was not taken is none that waits, and is not asked again for the same answers.
        data.ask(subject("c"), Whose::Start, RequestId(3));
        data.refused(RequestId(3));
        assert!(matches!(data.get(&subject("c"), Whose::Start), Some(Read::Failed(_))) && !data.is_waiting());
        data.ask(subject("d"), Whose::Start, RequestId(4));
        assert!(data.get(&subject("c"), Whose::Start).is_none());
    }
}
