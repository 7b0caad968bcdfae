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

/// The same where nobody waits for it.
const PATIENCE_ASIDE: Duration = Duration::from_millis(600);

/// Texts that are no longer than this together, in bytes, are compared in the frame that asks.
const AT_ONCE: usize = 6 * 1024;

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
        Self::within(PATIENCE, left, right)
    }

    /// The same for long texts, on a thread that may take its time.
    pub fn aside(left: &str, right: &str) -> Self {
        Self::within(PATIENCE_ASIDE, left, right)
    }

    /// Each side is one unmarked stretch.
    fn unmarked(left: &str, right: &str) -> Self {
        let whole = |text: &str| vec![Span { range: 0..text.len(), only_here: false }];
        Self { left: whole(left), right: whole(right), likeness: if left == right { 1.0 } else { 0.0 }, too_long: true }
    }

    fn within(patience: Duration, left: &str, right: &str) -> Self {
        if left.len() > LONGEST || right.len() > LONGEST {
            return Self::unmarked(left, right);
        }
        let words = TextDiff::configure().timeout(patience).diff_unicode_words(left, right);
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

/// The spans of `old`, moved to where they are in `new`: what was typed in between joins the stretch it was typed into.
/// Absent when the texts have less than half in common, so that nothing is known about most of `new`.
fn carried(spans: &[Span], old: &str, new: &str) -> Option<Vec<Span>> {
    let begin = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - begin;
    let end = old.bytes().rev().zip(new.bytes().rev()).take(rest).take_while(|(a, b)| a == b).count();
    if 2 * (begin + end) < old.len().max(new.len()) {
        return None;
    }
    // A stretch may not end inside a character of the new text.
    let place = |at: usize| {
        let at = match at {
            at if at == old.len() => new.len(),
            at if at <= begin => at,
            at if at + end >= old.len() => at + new.len() - old.len(),
            _ => begin,
        };
        (0..=at).rev().find(|at| new.is_char_boundary(*at)).unwrap_or(0)
    };
    let moved = spans.iter().map(|span| Span { range: place(span.range.start)..place(span.range.end), ..*span });
    Some(moved.filter(|span| !span.range.is_empty()).collect())
}

/// Two texts and what was found out about them.
#[derive(Debug)]
struct Compared {
    left: Arc<str>,
    right: Arc<str>,
    difference: Arc<Difference>,
}

/// Remembers comparisons, because a frame asks for the same ones again and again.
#[derive(Debug, Default)]
pub struct Differences {
    known: HashMap<u64, Arc<Difference>>,
    /// The last comparison that was made aside: while the next one is made, its marks are moved along.
    last: Option<Compared>,
    /// To be compared aside.
    wanted: Option<(Arc<str>, Arc<str>)>,
    under_way: bool,
}

impl Differences {
    /// Compares in this frame, whatever the length.
    pub fn between(&mut self, left: &str, right: &str) -> Arc<Difference> {
        let key = key(left, right);
        if let Some(known) = self.known.get(&key) {
            return Arc::clone(known);
        }
        let difference = Arc::new(Difference::between(left, right));
        self.remember(key, &difference);
        difference
    }

    /// The same, except that long texts are compared aside: until then the marks of the last comparison stay on the
    /// words they were on, or there are none. See [`Self::take_wanted`].
    pub fn soon(&mut self, left: &str, right: &str) -> Arc<Difference> {
        if left.len() + right.len() <= AT_ONCE {
            return self.between(left, right);
        }
        if let Some(known) = self.known.get(&key(left, right)) {
            return Arc::clone(known);
        }
        if !self.under_way {
            self.wanted = Some((left.into(), right.into()));
        }
        let moved = self.last.as_ref().and_then(|last| {
            Some(Difference {
                left: carried(&last.difference.left, &last.left, left)?,
                right: carried(&last.difference.right, &last.right, right)?,
                ..*last.difference
            })
        });
        Arc::new(moved.unwrap_or_else(|| Difference::unmarked(left, right)))
    }

    /// What is to be compared aside next, one at a time; the answer goes to [`Self::put`].
    pub fn take_wanted(&mut self) -> Option<(Arc<str>, Arc<str>)> {
        let wanted = self.wanted.take()?;
        self.under_way = true;
        Some(wanted)
    }

    pub fn put(&mut self, left: Arc<str>, right: Arc<str>, difference: Difference) {
        let difference = Arc::new(difference);
        self.remember(key(&left, &right), &difference);
        self.last = Some(Compared { left, right, difference });
        self.under_way = false;
    }

    fn remember(&mut self, key: u64, difference: &Arc<Difference>) {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(key, Arc::clone(difference));
    }
}

fn key(left: &str, right: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (left, right).hash(&mut hasher);
    hasher.finish()
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

    #[test]
    fn g26_long_texts_are_compared_aside_and_marks_stay_on_their_words() {
        let mut differences = Differences::default();
        let left = format!("the old word {}", "is here ".repeat(600));
        let right = format!("the new word {}", "is here ".repeat(600));
        let first = differences.soon(&left, &right);
        assert!(!first.left.iter().any(|span| span.only_here), "nothing is known yet");
        let (a, b) = differences.take_wanted().unwrap();
        // While one is compared, no second one is asked for.
        differences.soon(&left, &right);
        assert!(differences.take_wanted().is_none());
        let found = Difference::aside(&a, &b);
        differences.put(a, b, found);
        let known = differences.soon(&left, &right);
        assert!(marked(&left, &known.left).starts_with("the [old] word"));
        assert!(differences.take_wanted().is_none());
        // Typed at the end and in the middle: the mark stays on its word until the comparison is back.
        for typed in [format!("{left}ü"), left.replacen("word", "wörd", 1), format!("X{left}")] {
            let moved = differences.soon(&typed, &right);
            assert!(marked(&typed, &moved.left).contains("the [old] w"), "{}", marked(&typed, &moved.left));
            assert!(differences.take_wanted().is_some());
            differences.under_way = false;
        }
    }

    proptest! {
        #[test]
        fn carried_spans_cover_the_new_text(old in ".{0,60}", cut in 0usize..60, typed in ".{0,8}", drop in 0usize..4) {
            let count = old.chars().count();
            let cut = cut.min(count);
            let new: String =
                old.chars().take(cut).chain(typed.chars()).chain(old.chars().skip(cut + drop)).collect();
            let difference = Difference::between(&old, "something else");
            if let Some(spans) = carried(&difference.left, &old, &new) {
                let mut at = 0;
                for span in &spans {
                    prop_assert_eq!(span.range.start, at);
                    prop_assert!(new.is_char_boundary(span.range.end));
                    at = span.range.end;
                }
                prop_assert!(at == new.len() || spans.is_empty());
            }
        }

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
