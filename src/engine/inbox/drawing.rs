//! Answers to be labelled, drawn a few prompts at a time when everything else that was asked is done.

use train::Result;

use super::{Current, Inbox};
use crate::{
    answers::{Drawing, Turn, draw},
    border,
    protocol::Event,
};

impl Inbox {
    /// The next few prompts of what is being drawn.
    pub(super) fn draw_some(&mut self, current: Option<&Current<'_>>) {
        let Some(drawing) = self.drawings.take() else { return };
        let request = drawing.request;
        if drawing.has_ended() {
            self.reporter.send(Event::AllDrawn { request });
            return;
        }
        let mut heard = None;
        self.aside(current, "answers to label were written", |inbox| {
            match border::within(|| inbox.turn_of(&drawing, current)) {
                Ok(Ok(turn)) => heard = Some(turn),
                Ok(Err(error)) => inbox.reporter.send(Event::Failed { request, error: error.to_string() }),
                Err(error) => inbox.reporter.send(Event::Failed { request, error }),
            }
        });
        let Some(turn) = heard else { return };
        let mut done = 0;
        for drawn in turn.whole() {
            done += 1;
            self.reporter.send(Event::Drawn { request, drawn });
        }
        self.drawings.put_back(drawing, done);
    }

    fn turn_of(&mut self, drawing: &Drawing, current: Option<&Current<'_>>) -> Result<Turn> {
        let may_go_on = self.wanted(current);
        let wanted = || !drawing.control.stopping() && may_go_on();
        let prompts = drawing.turn(current.is_some_and(|current| !current.rests));
        let mut turn = Turn::of(prompts.len());
        let mut each = |index, drawn| turn.hear(index, drawn);
        let asked = &drawing.asked;
        if let Some(current) = current.filter(|current| current.is_asked(&drawing.source)) {
            let whose = format!("{} at step {}", drawing.name, self.step);
            draw(current.weights.policy, current.weights.codec, prompts, asked, &whose, &wanted, &mut each)?;
            return Ok(turn);
        }
        let speaker = self.speakers.get(&drawing.source)?;
        let whose = match speaker.step {
            Some(step) => format!("{} at step {step}", drawing.name),
            None => drawing.name.clone(),
        };
        draw(&speaker.policy, &speaker.codec, prompts, asked, &whose, &wanted, &mut each)?;
        Ok(turn)
    }
}
