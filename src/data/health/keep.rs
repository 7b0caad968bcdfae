//! Which pair of a group that says the same stays.

use std::collections::HashMap;

use crate::{Answer, Choice, Pair};

/// The place of the first one with a label, or of the first where none has one. Nothing where the labels disagree, for
/// then somebody has to look.
pub(super) fn place(group: &[Pair]) -> Option<usize> {
    let mut labelled = group.iter().enumerate().filter(|(_, pair)| label(pair).is_some());
    let Some((place, kept)) = labelled.next() else { return Some(0) };
    labelled.all(|(_, other)| agree(kept, other)).then_some(place)
}

fn label(pair: &Pair) -> Option<Choice> {
    pair.choice().filter(|choice| *choice != Choice::Skip)
}

/// Whether two labels of nearly the same answers, in whatever order these stand, prefer the same one.
fn agree(one: &Pair, other: &Pair) -> bool {
    let (Some((chosen, rejected)), Some((also_chosen, also_rejected))) = (one.sides(), other.sides()) else {
        return one.sides().is_none() && other.sides().is_none() && label(one) == label(other);
    };
    let same = |a: &Answer, b: &Answer| a.text.trim() == b.text.trim();
    (same(chosen, also_chosen) && same(rejected, also_rejected))
        || alike(chosen, also_chosen) + alike(rejected, also_rejected)
            > alike(chosen, also_rejected) + alike(rejected, also_chosen)
}

/// Share of the words of both that are in both, 0 to 1.
fn alike(a: &Answer, b: &Answer) -> f64 {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let (mut common, mut all) = (0, 0);
    for word in a.text.split_whitespace() {
        *counts.entry(word).or_default() += 1;
        all += 1;
    }
    for word in b.text.split_whitespace() {
        all += 1;
        if let Some(left) = counts.get_mut(word).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    2.0 * f64::from(common) / f64::from(all.max(1))
}
