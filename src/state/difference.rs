//! What two texts have in common, word by word, and what only one of them says.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    ops::Range,
    sync::Arc,
    time::Duration,
};

use similar::{DiffOp, TextDiff};

/// Beyond this many bytes a side is not compared: the answer would come too late for a frame.
const LONGEST: usize = 64 * 1024;

/// A comparison that takes longer than this settles for a coarser answer.
const PATIENCE: Duration = Duration::from_millis(40);

/// How many comparisons are remembered.
const REMEMBERED: usize = 256;

/// A stretch of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Bytes of the text it belongs to.
    pub range: Range<usize>,
    /// The other text does not have it here.
    pub only_here: bool,
}

/// Two texts cut into stretches; the ranges of each side cover that side exactly and in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub left: Vec<Span>,
    pub right: Vec<Span>,
    /// 1 for equal texts, 0 when no word is shared.
    pub likeness: f32,
    /// A side was too long to compare; each side is one stretch.
    pub too_long: bool,
}

impl Difference {
    /// Compares by Unicode words, so that scripts without spaces are cut as well.
    pub fn between(left: &str, right: &str) -> Self {
        if left.len() > LONGEST || right.len() > LONGEST {
            let whole = |text: &str| vec![Span { range: 0..text.len(), only_here: false }];
            return Self {
                left: whole(left),
                right: whole(right),
                likeness: if left == right { 1.0 } else { 0.0 },
                too_long: true,
            };
        }
        let words = TextDiff::configure().timeout(PATIENCE).diff_unicode_words(left, right);
        let mut sides = [Side::default(), Side::default()];
        for op in words.ops() {
            let only_here = !matches!(op, DiffOp::Equal { .. });
            let old = op.old_range();
            let new = op.new_range();
            sides[0].push(words.iter_old_slices().skip(old.start).take(old.len()), only_here);
            sides[1].push(words.iter_new_slices().skip(new.start).take(new.len()), only_here);
        }
        let [a, b] = sides;
        Self { left: a.close(left), right: b.close(right), likeness: words.ratio(), too_long: false }
    }

    /// Whether anything differs.
    pub fn any(&self) -> bool {
        self.too_long && self.likeness < 1.0 || self.left.iter().chain(&self.right).any(|span| span.only_here)
    }
}

#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    at: usize,
}

impl Side {
    fn push<'a>(&mut self, words: impl Iterator<Item = &'a str>, only_here: bool) {
        let start = self.at;
        self.at += words.map(str::len).sum::<usize>();
        if self.at == start {
            return;
        }
        match self.spans.last_mut() {
            Some(last) if last.only_here == only_here => last.range.end = self.at,
            _ => self.spans.push(Span { range: start..self.at, only_here }),
        }
    }

    /// Joins changed words that only a space keeps apart: one mark reads better than confetti.
    fn close(self, text: &str) -> Vec<Span> {
        let mut joined: Vec<Span> = Vec::with_capacity(self.spans.len());
        let mut spans = self.spans.into_iter().peekable();
        while let Some(mut span) = spans.next() {
            let bridge = !span.only_here
                && text[span.range.clone()].chars().all(char::is_whitespace)
                && joined.last().is_some_and(|before| before.only_here)
                && spans.peek().is_some_and(|after| after.only_here);
            span.only_here |= bridge;
            match joined.last_mut() {
                Some(last) if last.only_here == span.only_here => last.range.end = span.range.end,
                _ => joined.push(span),
            }
        }
        joined
    }
}

/// Remembers comparisons, because a frame asks for the same ones again and again.
#[derive(Debug, Default)]
pub struct Differences {
    known: HashMap<u64, Arc<Difference>>,
}

impl Differences {
    pub fn between(&mut self, left: &str, right: &str) -> Arc<Difference> {
        let mut hasher = DefaultHasher::new();
        (left, right).hash(&mut hasher);
        let key = hasher.finish();
        if let Some(known) = self.known.get(&key) {
            return Arc::clone(known);
        }
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        let difference = Arc::new(Difference::between(left, right));
        self.known.insert(key, Arc::clone(&difference));
        difference
    }
}

/// Words as a person counts them.
pub fn word_count(text: &str) -> usize {
    text.split_whitespace().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marked(text: &str, spans: &[Span]) -> String {
        spans
            .iter()
            .map(|span| {
                let piece = &text[span.range.clone()];
                if span.only_here { format!("[{piece}]") } else { piece.to_owned() }
            })
            .collect()
    }

    #[track_caller]
    fn check(left: &str, right: &str, expected: [&str; 2]) {
        let difference = Difference::between(left, right);
        assert_eq!(marked(left, &difference.left), expected[0]);
        assert_eq!(marked(right, &difference.right), expected[1]);
    }

    #[test]
    fn words_are_marked_on_both_sides() {
        check(
            "the ferry leaves at nine",
            "the ferry leaves at ten",
            ["the ferry leaves at [nine]", "the ferry leaves at [ten]"],
        );
        check("same", "same", ["same", "same"]);
        check("", "all of it", ["", "[all of it]"]);
    }

    #[test]
    fn neighbouring_changes_become_one_mark() {
        check("it is red now", "it was blue now", ["it [is red] now", "it [was blue] now"]);
    }

    #[test]
    fn long_texts_are_not_compared() {
        let long = "word ".repeat(LONGEST);
        let difference = Difference::between(&long, "short");
        assert!(difference.too_long && difference.any());
        assert_eq!(difference.left.len(), 1);
        assert!(!Difference::between(&long, &long).any());
    }

    #[test]
    fn comparisons_are_remembered() {
        let mut differences = Differences::default();
        let first = differences.between("a b", "a c");
        assert!(Arc::ptr_eq(&first, &differences.between("a b", "a c")));
        assert!(!Arc::ptr_eq(&first, &differences.between("a c", "a b")));
    }

    proptest! {
        #[test]
        fn spans_cover_each_text_exactly(left in ".{0,80}", right in ".{0,80}") {
            let difference = Difference::between(&left, &right);
            for (text, spans) in [(&left, &difference.left), (&right, &difference.right)] {
                let mut at = 0;
                for span in spans {
                    prop_assert_eq!(span.range.start, at);
                    prop_assert!(text.is_char_boundary(span.range.end));
                    at = span.range.end;
                }
                prop_assert_eq!(at, text.len());
            }
            prop_assert_eq!(difference.any(), left != right);
        }
    }
}
