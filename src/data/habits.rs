//! Habits of the hand that labelled: which side, which length, and what becomes of both in the course of a sitting.

use super::{Choice, Pair};

/// A longer pause between two labels ends a sitting.
const PAUSE_MS: i64 = 20 * 60 * 1000;

/// Labels that a sitting needs for its thirds to say something.
const LONG: usize = 30;

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CountOf {
    pub count: usize,
    pub of: usize,
}

impl CountOf {
    /// One more, which counts or does not.
    pub fn add(&mut self, counts: bool) {
        self.count += usize::from(counts);
        self.of += 1;
    }

    /// Absent of nothing.
    pub fn share(self) -> Option<f64> {
        (self.of > 0).then(|| self.count as f64 / self.of as f64)
    }
}

/// What was said in a stretch of labelling.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretch {
    pub labels: usize,
    /// Of those that prefer one: the answer on the left.
    pub left: CountOf,
    /// Of those that prefer one of two that differ in length: the longer one, by characters.
    pub longer: CountOf,
    /// Tie, both bad, skip.
    pub undecided: CountOf,
    /// Ascending.
    looks_ms: Vec<u32>,
}

impl Stretch {
    fn add(&mut self, label: &Label) {
        self.labels += 1;
        self.looks_ms.extend(label.took_ms);
        self.undecided.add(label.preferred.is_none());
        if let Some(Preferred { left, longer }) = label.preferred {
            self.left.add(left);
            if let Some(longer) = longer {
                self.longer.add(longer);
            }
        }
    }

    /// Half of the labels took no longer, milliseconds.
    pub fn usual_look_ms(&self) -> Option<u32> {
        self.looks_ms.get(self.looks_ms.len() / 2).copied()
    }
}

/// Of labels that were made in the window.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Habits {
    pub all: Stretch,
    /// First, middle and last third of every sitting of thirty labels or more, together.
    pub thirds: [Stretch; 3],
    /// Such sittings.
    pub sittings: usize,
}

/// What is kept of a label that was made in the window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Label {
    at_ms: i64,
    took_ms: Option<u32>,
    preferred: Option<Preferred>,
}

/// Of an answer that was preferred.
#[derive(Debug, Clone, Copy)]
struct Preferred {
    left: bool,
    /// Absent where both are as long.
    longer: Option<bool>,
}

impl Label {
    /// The label of a pair, if its side was noted; others were not made in the window.
    pub(crate) fn of(pair: &Pair) -> Option<Self> {
        let verdict = pair.verdict.as_ref()?;
        let left = verdict.shown_left?;
        let preferred = match verdict.choice {
            Choice::Better { chosen, .. } => pair.sides().map(|(better, worse)| {
                let (better, worse) = (better.text.chars().count(), worse.text.chars().count());
                Preferred { left: left == chosen, longer: (better != worse).then_some(better > worse) }
            }),
            Choice::Tie | Choice::BothBad | Choice::Skip => None,
        };
        Some(Self { at_ms: verdict.at_ms, took_ms: verdict.took_ms, preferred })
    }
}

/// Looks at all labels whose side was noted.
pub(crate) fn habits_of(mut labels: Vec<Label>) -> Habits {
    labels.sort_by_key(|label| label.at_ms);
    let mut habits = Habits::default();
    for label in &labels {
        habits.all.add(label);
    }
    for sitting in labels.chunk_by(|one, next| next.at_ms - one.at_ms <= PAUSE_MS) {
        if sitting.len() < LONG {
            continue;
        }
        habits.sittings += 1;
        for (place, label) in sitting.iter().enumerate() {
            habits.thirds[3 * place / sitting.len()].add(label);
        }
    }
    for stretch in habits.thirds.iter_mut().chain([&mut habits.all]) {
        stretch.looks_ms.sort_unstable();
    }
    habits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PairId, Prompt, Strength, Verdict};

    fn label(n: i64, at_ms: i64, choice: Choice, left: Option<usize>) -> Pair {
        Pair {
            verdict: Some(Verdict { took_ms: Some(1000), shown_left: left, ..Verdict::local(choice, at_ms) }),
            ..Pair::new(PairId(n), Prompt::Text("p".to_owned()), &["longer answer", "short"])
        }
    }

    fn better(chosen: usize) -> Choice {
        Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Clearly }
    }

    fn habits(pairs: &[Pair]) -> Habits {
        habits_of(pairs.iter().filter_map(Label::of).collect())
    }

    #[test]
    fn sides_lengths_and_indecision_are_counted_over_a_sitting() {
        // At first the longer answer on the right, at last whatever is on the left; a coffee break later one more.
        let mut pairs: Vec<Pair> = (0..30)
            .map(|n| match n {
                0..10 => label(n, n * 4000, better(0), Some(1)),
                10..20 => label(n, n * 4000, Choice::Tie, Some(0)),
                _ => label(n, n * 4000, better(1), Some(1)),
            })
            .collect();
        pairs.push(label(30, 3_600_000, better(0), Some(0)));
        pairs.push(label(31, 0, better(0), None));
        let found = habits(&pairs);
        assert_eq!((found.all.labels, found.sittings), (31, 1));
        assert_eq!(found.all.left, CountOf { count: 11, of: 21 });
        assert_eq!(found.all.longer, CountOf { count: 11, of: 21 });
        assert_eq!(found.all.undecided, CountOf { count: 10, of: 31 });
        let [first, middle, last] = &found.thirds;
        assert_eq!((first.left.share(), last.left.share(), middle.left.share()), (Some(0.0), Some(1.0), None));
        assert_eq!((first.longer.share(), last.longer.share()), (Some(1.0), Some(0.0)));
        assert_eq!(middle.undecided.share(), Some(1.0));
        assert_eq!(first.usual_look_ms(), Some(1000));
    }

    #[test]
    fn without_labels_of_the_window_there_is_nothing_to_say() {
        let found = habits(&[label(1, 0, better(0), None)]);
        assert_eq!(found, Habits::default());
        assert_eq!((found.all.left.share(), found.all.usual_look_ms()), (None, None));
    }
}
