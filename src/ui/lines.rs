//! A text under the caret whose `\r\n` stays one line end: nothing is put between its two characters, and neither of
//! them is taken away alone.

use std::{any::TypeId, ops::Range};

use egui::{
    TextBuffer,
    text::{CCursor, CharIndex},
};

/// What a field edits instead of the `String` itself.
pub struct Lines<'a>(pub &'a mut String);

impl Lines<'_> {
    /// Whether a caret here would stand between `\r` and `\n`, where nobody can see it.
    pub fn splits_line_end(&self, at: CharIndex) -> bool {
        if !self.0.contains("\r\n") {
            return false;
        }
        let byte = self.byte_index_from_char_index(at).0;
        self.0[..byte].ends_with('\r') && self.0[byte..].starts_with('\n')
    }

    /// The place that is meant: before a line end rather than in the middle of it.
    fn place(&self, at: CharIndex) -> CharIndex {
        if self.splits_line_end(at) { at.saturating_sub(1) } else { at }
    }

    /// How the line at this place ends, or, in the last one, the line before it.
    fn line_end(&self, at: CharIndex) -> &'static str {
        let byte = self.byte_index_from_char_index(at).0;
        let (before, after) = self.0.split_at(byte);
        let whole = match (after.find('\n'), before.rfind('\n')) {
            (Some(next), _) => byte + next,
            (None, Some(last)) => last,
            (None, None) => return "\n",
        };
        if self.0[..whole].ends_with('\r') { "\r\n" } else { "\n" }
    }
}

impl TextBuffer for Lines<'_> {
    fn is_mutable(&self) -> bool {
        true
    }

    fn as_str(&self) -> &str {
        self.0
    }

    /// A line end by itself is the Enter key: it becomes one as the text around it has them.
    fn insert_text(&mut self, text: &str, at: CharIndex) -> usize {
        let at = self.place(at);
        let text = if text == "\n" { self.line_end(at) } else { text };
        self.0.insert_text(text, at)
    }

    fn delete_char_range(&mut self, range: Range<CharIndex>) {
        let start = self.place(range.start);
        let mut end = self.place(range.end);
        if end <= start && range.start < range.end {
            // The first half of a line end: the other half goes with it.
            end = start + 2;
        }
        self.0.delete_char_range(start..end);
    }

    fn delete_selected_ccursor_range(&mut self, [min, max]: [CCursor; 2]) -> CCursor {
        let index = self.place(min.index);
        self.delete_char_range(min.index..max.index);
        CCursor { index, prefer_next_row: true }
    }

    fn delete_previous_char(&mut self, cursor: CCursor) -> CCursor {
        let max = self.place(cursor.index);
        if max == CharIndex::ZERO {
            return cursor;
        }
        let at = |index| CCursor { index, ..cursor };
        self.delete_selected_ccursor_range([at(max.saturating_sub(1)), at(max)])
    }

    fn delete_next_char(&mut self, cursor: CCursor) -> CCursor {
        let min = self.place(cursor.index);
        let at = |index| CCursor { index, ..cursor };
        self.delete_selected_ccursor_range([at(min), at(min + 1)])
    }

    fn replace_with(&mut self, text: &str) {
        text.clone_into(self.0);
    }

    fn type_id(&self) -> TypeId {
        TypeId::of::<Lines<'static>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(index: usize) -> CCursor {
        CCursor { index: CharIndex(index), prefer_next_row: true }
    }

    #[track_caller]
    fn typed(text: &str, place: usize, typed: &str, expected: &str, caret: usize) {
        let mut text = text.to_owned();
        let mut cursor = at(place);
        Lines(&mut text).insert_text_at(&mut cursor, typed, usize::MAX);
        assert_eq!((text.as_str(), cursor.index.0), (expected, caret));
    }

    #[track_caller]
    fn changed(text: &str, expected: &str, caret: usize, change: impl FnOnce(&mut Lines<'_>) -> CCursor) {
        let mut text = text.to_owned();
        let cursor = change(&mut Lines(&mut text));
        assert_eq!((text.as_str(), cursor.index.0), (expected, caret));
    }

    #[test]
    fn g14_typing_at_the_end_of_a_line_stays_before_its_end() {
        // The End key puts the caret after the `\r`, which has no width.
        typed("next\r\nö", 5, "Q", "nextQ\r\nö", 6);
        typed("next\r\nö", 4, "Q", "nextQ\r\nö", 5);
        typed("next\r\nö", 6, "Q", "next\r\nQö", 7);
        // Pasted lines come in as they are.
        typed("a\r\nb", 2, "1\n2", "a1\n2\r\nb", 5);
        // A single `\n` and a single `\r` are characters like others.
        typed("a\nb", 1, "Q", "aQ\nb", 2);
        typed("a\rb", 2, "Q", "a\rQb", 3);
    }

    #[test]
    fn g14_enter_makes_the_line_end_that_the_text_has() {
        typed("a\r\nb", 2, "\n", "a\r\n\r\nb", 4);
        typed("a\r\nb", 4, "\n", "a\r\nb\r\n", 6);
        typed("a\nb", 1, "\n", "a\n\nb", 2);
        typed("a", 1, "\n", "a\n", 2);
    }

    #[test]
    fn g14_a_line_end_is_deleted_whole() {
        // Backspace at the start of the second line, Delete at the end of the first, on both sides of the `\r`.
        changed("a\r\nb", "ab", 1, |lines| lines.delete_previous_char(at(3)));
        changed("a\r\nb", "ab", 1, |lines| lines.delete_next_char(at(1)));
        changed("a\r\nb", "ab", 1, |lines| lines.delete_next_char(at(2)));
        // Backspace at the end of the first line takes its last letter.
        changed("a\r\nb", "\r\nb", 0, |lines| lines.delete_previous_char(at(2)));
        changed("ä\r\n", "ä", 1, |lines| lines.delete_previous_char(at(3)));
        changed("a", "a", 0, |lines| lines.delete_previous_char(at(0)));
        changed("a", "a", 1, |lines| lines.delete_next_char(at(1)));
    }

    #[test]
    fn g14_a_selection_never_ends_in_the_middle_of_a_line_end() {
        changed("ab\r\ncd", "a\r\ncd", 1, |lines| lines.delete_selected_ccursor_range([at(1), at(3)]));
        changed("ab\r\ncd", "abd", 2, |lines| lines.delete_selected_ccursor_range([at(3), at(5)]));
        changed("ab\r\ncd\r\n", "ab\r\n", 2, |lines| lines.delete_selected_ccursor_range([at(2), at(7)]));
    }

    proptest::proptest! {
        #[test]
        fn g14_no_edit_leaves_half_a_line_end(
            text in "(a|ö|\r\n){0,12}",
            edits in proptest::collection::vec((0usize..24, 0usize..4), 1..8),
        ) {
            let mut text = text;
            for (place, what) in edits {
                let place = at(place.min(text.chars().count()));
                let mut lines = Lines(&mut text);
                match what {
                    0 => { lines.delete_previous_char(place); }
                    1 => { lines.delete_next_char(place); }
                    2 => { lines.delete_previous_word(place); }
                    _ => { lines.insert_text("Q", place.index); }
                }
                proptest::prop_assert_eq!(text.matches('\r').count(), text.matches("\r\n").count(), "{:?}", text);
                proptest::prop_assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{:?}", text);
            }
        }
    }
}
