//! What is known of the keyboard between frames: keys that are held, letters that are typed in a row, and what lies over the
//! screen because a key was pressed.

use std::collections::HashSet;

/// All of it.
#[derive(Debug, Default)]
pub struct Keyboard {
    pub held: HeldKeys,
    pub letters: StrayLetters,
    pub over: Over,
    /// It was opened in this frame.
    just_opened: bool,
}

impl Keyboard {
    pub fn open(&mut self, over: Over) {
        self.over = over;
        self.just_opened = true;
    }

    /// Something outside was clicked: what lies over the screen goes, unless that click has brought it.
    pub fn click_outside(&mut self) {
        if !self.just_opened {
            self.over = Over::Nothing;
        }
    }

    /// What was opened has been drawn.
    pub fn drawn(&mut self) {
        self.just_opened = false;
    }
}

/// The command palette while it is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Palette {
    pub typed: String,
    /// The line of the list that Enter carries out.
    pub at: usize,
}

/// What lies over the screen.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Over {
    #[default]
    Nothing,
    /// The keys of this place.
    Help,
    Palette(Palette),
}

/// Keys that are down, by their place on the board.
///
/// egui tells a repeat by the letter: where Shift is let go before the digit, `!` goes down and `1` comes up, and every
/// later `!` would look like a repeat.
#[derive(Debug, Clone, Default)]
pub struct HeldKeys {
    down: HashSet<u64>,
}

impl HeldKeys {
    /// True when the key was up before.
    pub fn press(&mut self, place: u64) -> bool {
        self.down.insert(place)
    }

    pub fn release(&mut self, place: u64) {
        self.down.remove(&place);
    }

    /// The window lost the keyboard: what is let go now is not told.
    pub fn release_all(&mut self) {
        self.down.clear();
    }
}

/// Tells a letter that is meant as a command from one of a text that somebody believes to be typing.
///
/// A letter without a meaning, followed closely by others, is text: none of those that follow is taken as a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StrayLetters {
    last_ms: Option<i64>,
}

impl StrayLetters {
    /// Letters this close to each other, in milliseconds, belong to one text.
    const CLOSE_MS: i64 = 700;

    /// A letter that means nothing here was pressed.
    pub fn stray(&mut self, now_ms: i64) {
        self.last_ms = Some(now_ms);
    }

    /// Whether a letter that means something is meant; one that is not prolongs the text.
    pub fn is_meant(&mut self, now_ms: i64) -> bool {
        let close = self.last_ms.is_some_and(|last| (0..Self::CLOSE_MS).contains(&(now_ms - last)));
        if close {
            self.last_ms = Some(now_ms);
        }
        !close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g7_letters_of_a_text_are_no_commands() {
        let mut letters = StrayLetters::default();
        assert!(letters.is_meant(1_000), "a letter by itself is meant");
        letters.stray(2_000);
        for at in [2_100, 2_700, 3_300] {
            assert!(!letters.is_meant(at), "{at}");
        }
        assert!(letters.is_meant(4_100));
    }
}
