//! Pairs scored some at a time, when everything else that was asked is done; and single answers read at once.

use std::{path::Path, sync::Arc};

use data::{Answer, Prompt};
use store::RunId;
use train::Result;

use super::{Current, Inbox};
use crate::{
    answers::{ALONE, Asked, BESIDE_A_RUN, ScoringJob, Turned, read},
    border,
    protocol::{Event, RequestId},
};

impl Inbox {
    /// The next few pairs of what is being scored.
    pub(super) fn score_some(&mut self, current: Option<&Current<'_>>) {
        let Some(mut asked) = self.scorings.take() else { return };
        let request = asked.request;
        let mut outcome = None;
        if !asked.control.stopping() {
            self.aside(current, "pairs were scored", |inbox| {
                outcome = Some(border::within(|| inbox.turn_of_scoring(&mut asked, current)));
            });
        }
        match outcome {
            Some(Ok(Ok(has_ended))) => {
                if let Some(scoring) = &asked.begun {
                    let Turned { done, of } = scoring.turned();
                    self.reporter.send(Event::Scored { request, step: scoring.step, done, of });
                }
                if !has_ended {
                    return self.scorings.put_back(asked);
                }
            }
            Some(Ok(Err(error))) => return self.reporter.send(Event::Failed { request, error: error.to_string() }),
            Some(Err(error)) => return self.reporter.send(Event::Failed { request, error }),
            None => {}
        }
        let passed_over = asked.begun.map_or_else(Vec::new, |scoring| scoring.passed_over);
        self.reporter.send(Event::AllScored { request, passed_over });
    }

    /// Answers on the screen, token by token.
    pub(super) fn read_tokens(
        &mut self,
        request: RequestId,
        project: &Path,
        run: Option<(RunId, u64)>,
        prompt: &Prompt,
        answers: &[Answer],
    ) -> Result<Event> {
        let log_probs = Arc::new(read(&mut self.speakers, project, run, prompt, answers)?);
        Ok(Event::TokensRead { request, log_probs })
    }

    /// Whether that was the last one.
    fn turn_of_scoring(&mut self, asked: &mut Asked, current: Option<&Current<'_>>) -> Result<bool> {
        let may_go_on = self.wanted(current);
        let Asked { project, run, control, begun, .. } = asked;
        let wanted = || !control.stopping() && may_go_on();
        let Some(scoring) = begun else {
            // Its model is loaded now: scores come with the next turn.
            return Ok(begun.insert(ScoringJob::begin(&mut self.speakers, project, *run)?).has_ended());
        };
        let beside_a_run = current.is_some_and(|current| !current.rests);
        scoring.turn(&mut self.speakers, if beside_a_run { BESIDE_A_RUN } else { ALONE }, &wanted)?;
        Ok(scoring.has_ended())
    }
}
