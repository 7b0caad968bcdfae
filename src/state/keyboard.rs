//! What is known of the keyboard between frames: keys that are held, letters that are typed in a row, and what lies
//! over the screen because a key was pressed.

use std::collections::HashSet;

use super::scope::Scope;

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
pub struct CommandPalette {
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
    Palette(CommandPalette),
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
/// Of a text is what closely follows a letter without a meaning, and what closely follows a letter that led to another
/// place: whoever wants to do something there looks at it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StrayLetters {
    last: Option<Letter>,
}

/// The letter that was pressed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Letter {
    at_ms: i64,
    place: Scope,
    /// Letters in a row, with this one, that were no commands.
    strays: u32,
    /// It has led to another place, or will in a moment.
    leads: bool,
}

impl StrayLetters {
    /// Letters this close to each other, in milliseconds, belong to one text.
    const CLOSE_MS: i64 = 700;

    fn before(&self, now_ms: i64) -> Option<Letter> {
        self.last.filter(|last| (0..Self::CLOSE_MS).contains(&(now_ms - last.at_ms)))
    }

    /// A letter that means nothing here was pressed.
    pub fn stray(&mut self, place: Scope, now_ms: i64) {
        let strays = self.before(now_ms).map_or(1, |last| last.strays + 1);
        self.last = Some(Letter { at_ms: now_ms, place, strays, leads: false });
    }

    /// Whether a letter that means something in this place is meant; one that is not prolongs the text. `leads`: what
    /// it means leads to another place.
    pub fn is_meant(&mut self, place: Scope, leads: bool, now_ms: i64) -> bool {
        let of_text = self.before(now_ms).is_some_and(|last| last.strays > 0 || last.leads || last.place != place);
        if of_text {
            self.stray(place, now_ms);
        } else {
            self.last = Some(Letter { at_ms: now_ms, place, strays: 0, leads });
        }
        !of_text
    }

    /// Whether a digit is meant: not in the middle of a text of several letters. One slip beside it is no text.
    pub fn is_digit_meant(&mut self, place: Scope, now_ms: i64) -> bool {
        let of_text = self.before(now_ms).is_some_and(|last| last.strays > 1);
        if of_text {
            self.stray(place, now_ms);
        }
        !of_text
    }

    /// A key that no text has: what follows is meant.
    pub fn end(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Screen;

    const PAIRS: Scope = Scope::On(Screen::Pairs);

    #[test]
    fn g7_letters_of_a_text_are_no_commands() {
        let mut letters = StrayLetters::default();
        assert!(letters.is_meant(PAIRS, false, 1_000), "a letter by itself is meant");
        letters.stray(PAIRS, 2_000);
        for at in [2_100, 2_700, 3_300] {
            assert!(!letters.is_meant(PAIRS, false, at), "{at}");
        }
        assert!(letters.is_meant(PAIRS, false, 4_100));
        assert!(letters.is_meant(PAIRS, false, 4_200), "one command after the other");
    }

    #[test]
    fn letters_right_behind_one_that_led_elsewhere_are_a_text() {
        // “Let”: the first letter begins to label, a moment later; the others are no verdicts and begin no edit.
        let mut letters = StrayLetters::default();
        assert!(letters.is_meant(PAIRS, true, 1_000));
        assert!(!letters.is_meant(PAIRS, false, 1_100), "the list is still being made");
        assert!(!letters.is_meant(Scope::Labelling, false, 1_250));
        assert!(letters.is_meant(Scope::Labelling, false, 2_000));
        assert!(!letters.is_meant(PAIRS, false, 2_100), "the place is another one, whatever has changed it");
        letters.end();
        assert!(letters.is_meant(PAIRS, false, 2_200), "Escape is no letter of a text");
    }

    #[test]
    fn digits_are_meant_unless_they_stand_among_letters() {
        let mut letters = StrayLetters::default();
        for at in (0..20).map(|n| 1_000 + 100 * n) {
            assert!(letters.is_digit_meant(Scope::Labelling, at), "quick labelling");
        }
        letters.stray(Scope::Labelling, 5_000);
        assert!(letters.is_digit_meant(Scope::Labelling, 5_100), "a slip beside the digit");
        letters.stray(Scope::Labelling, 5_200);
        assert!(!letters.is_digit_meant(Scope::Labelling, 5_300), "a word before it");
    }
}
