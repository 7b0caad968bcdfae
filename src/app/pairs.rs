//! What the Pairs screen asks for.

use super::App;
use crate::state::pairs::PairsCommand;

impl App {
    /// Another project is open: read what the screen shows first.
    #[expect(clippy::unused_self, reason = "the screen reads nothing yet")]
    pub(super) fn pairs_opened(&mut self) {}

    #[expect(clippy::unused_self, reason = "the screen asks for nothing yet")]
    pub(super) fn apply_pairs(&mut self, command: PairsCommand, _frame: &eframe::Frame) {
        match command {}
    }
}
