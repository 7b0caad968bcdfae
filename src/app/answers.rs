//! What the Answers screen asks for.

use super::App;
use crate::{engine::protocol::Event, state::answers::AnswersCommand};

impl App {
    /// Another project is open: read what the screen shows first.
    #[expect(clippy::unused_self, reason = "the screen reads nothing yet")]
    pub(super) fn answers_opened(&mut self) {}

    #[expect(clippy::unused_self, reason = "the screen asks for nothing yet")]
    pub(super) fn apply_answers(&mut self, command: AnswersCommand, _frame: &eframe::Frame) {
        match command {}
    }

    /// An event that may be about an answer: sampled, streamed, finished or failed.
    #[expect(clippy::unused_self, reason = "the screen listens to nothing yet")]
    pub(super) fn take_answers_event(&mut self, _event: &Event) {}
}
