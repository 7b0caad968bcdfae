//! Verdicts on one prompt that go round in a circle: A over B, B over C, C over A.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::PairId;

/// One circle of three answers or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    /// One pair a step: the answer rejected in one is the answer chosen in the next, and that rejected in the last is
    /// the one chosen in the first. Begins with the pair that comes first in the data.
    pub pairs: Vec<PairId>,
}

/// What one pair says: of a prompt's answers one is better than another. Answers and prompt by their hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Comparison {
    pub(crate) prompt: u64,
    pub(crate) chosen: u64,
    pub(crate) rejected: u64,
    pub(crate) pair: PairId,
}

/// Circles among the comparisons of each prompt, which come in the order of the data; no answer is in more than one of
/// them. Two answers that were each preferred to the other are a contradiction, not a circle, and their pairs are left
/// out. Time and memory are linear in the comparisons.
pub(crate) fn cycles_of(comparisons: &[Comparison]) -> Vec<Cycle> {
    let mut order: Vec<usize> = (0..comparisons.len()).collect();
    order.sort_unstable_by_key(|&index| (comparisons[index].prompt, index));
    let mut found = Vec::new();
    for prompt in order.chunk_by(|a, b| comparisons[*a].prompt == comparisons[*b].prompt) {
        if prompt.len() < 3 {
            continue;
        }
        // The first pair that says so, by chosen and rejected answer.
        let mut edges: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        for &index in prompt {
            let Comparison { chosen, rejected, .. } = comparisons[index];
            if chosen != rejected {
                edges.entry((chosen, rejected)).or_insert(index);
            }
        }
        found.extend(Comparisons::circles(edges));
    }
    for circle in &mut found {
        let first = circle.iter().enumerate().min_by_key(|(_, index)| **index).map_or(0, |(at, _)| at);
        circle.rotate_left(first);
    }
    found.sort_unstable();
    let ids = |circle: Vec<usize>| Cycle { pairs: circle.into_iter().map(|index| comparisons[index].pair).collect() };
    found.into_iter().map(ids).collect()
}

/// The comparisons of one prompt that may still be part of a circle.
struct Comparisons {
    /// Of each answer: those it was preferred to, and the pair that says so.
    better: BTreeMap<u64, BTreeMap<u64, usize>>,
    /// Of each answer: those that were preferred to it.
    worse: BTreeMap<u64, BTreeSet<u64>>,
}

impl Comparisons {
    fn circles(edges: BTreeMap<(u64, u64), usize>) -> Vec<Vec<usize>> {
        let mut all = Self { better: BTreeMap::new(), worse: BTreeMap::new() };
        for (&(chosen, rejected), &pair) in &edges {
            if !edges.contains_key(&(rejected, chosen)) {
                all.better.entry(chosen).or_default().insert(rejected, pair);
                all.worse.entry(rejected).or_default().insert(chosen);
            }
        }
        let ends: Vec<u64> = all.better.keys().chain(all.worse.keys()).copied().collect();
        all.trim(ends);
        let mut circles = Vec::new();
        while let Some(circle) = all.take_circle() {
            circles.push(circle);
        }
        circles
    }

    /// Takes out answers that nothing was preferred to, or that were preferred to nothing: no circle goes through them.
    fn trim(&mut self, mut suspects: Vec<u64>) {
        while let Some(answer) = suspects.pop() {
            if !self.better.contains_key(&answer) || !self.worse.contains_key(&answer) {
                suspects.extend(self.remove(answer));
            }
        }
    }

    /// Takes an answer out and gives those whose comparisons became fewer by that.
    fn remove(&mut self, answer: u64) -> Vec<u64> {
        let below: Vec<u64> = self.better.remove(&answer).unwrap_or_default().into_keys().collect();
        let above = self.worse.remove(&answer).unwrap_or_default();
        for other in &below {
            if let Some(worse) = self.worse.get_mut(other) {
                worse.remove(&answer);
                if worse.is_empty() {
                    self.worse.remove(other);
                }
            }
        }
        for other in &above {
            if let Some(better) = self.better.get_mut(other) {
                better.remove(&answer);
                if better.is_empty() {
                    self.better.remove(other);
                }
            }
        }
        below.into_iter().chain(above).collect()
    }

    /// Every answer that is left was preferred to another that is left, so whoever goes on down comes round.
    fn take_circle(&mut self) -> Option<Vec<usize>> {
        let mut at = *self.better.keys().next()?;
        let (mut path, mut steps): (Vec<u64>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut place = HashMap::new();
        while let std::collections::hash_map::Entry::Vacant(new) = place.entry(at) {
            new.insert(path.len());
            path.push(at);
            let (&next, &pair) = self.better.get(&at)?.first_key_value()?;
            steps.push(pair);
            at = next;
        }
        let start = place[&at];
        for answer in &path[start..] {
            let touched = self.remove(*answer);
            self.trim(touched);
        }
        Some(steps.split_off(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Choice, Pair, Prompt, Strength, Verdict,
        fingerprint::{fingerprint, prompt_fingerprint},
    };

    fn pair(id: i64, prompt: &str, chosen: &str, rejected: &str) -> Pair {
        let mut pair = Pair::new(PairId(id), Prompt::Text(prompt.to_owned()), &[rejected, chosen]);
        pair.verdict = Some(Verdict::local(Choice::Better { chosen: 1, rejected: 0, strength: Strength::Strongly }, 0));
        pair
    }

    fn found(pairs: &[Pair]) -> Vec<Vec<i64>> {
        let comparison = |pair: &Pair| {
            let (chosen, rejected) = pair.sides()?;
            let (chosen, rejected) = (fingerprint(chosen), fingerprint(rejected));
            Some(Comparison { prompt: prompt_fingerprint(pair), chosen, rejected, pair: pair.id })
        };
        let comparisons: Vec<Comparison> = pairs.iter().filter_map(comparison).collect();
        cycles_of(&comparisons).into_iter().map(|cycle| cycle.pairs.into_iter().map(|id| id.0).collect()).collect()
    }

    #[test]
    fn a_circle_is_told_by_its_pairs() {
        let mut pairs = vec![
            pair(1, "p", "x", "a"), // leads into the circle, is no part of it
            pair(2, "p", "a", "b"),
            pair(3, "p", "c", "a"),
            pair(4, "p", "b", "c "),
            pair(5, "p", "c", "z"),
            pair(6, "q", "a", "b"),
            pair(7, "q", "b", "c"),
        ];
        assert_eq!(found(&pairs), [[2, 4, 3]]);
        pairs.push(pair(8, "q", "c", "a"));
        assert_eq!(found(&pairs), [[2, 4, 3], [6, 7, 8]]);
    }

    #[test]
    fn a_contradiction_is_no_circle() {
        let two = [pair(1, "p", "a", "b"), pair(2, "p", "b", "a")];
        assert!(found(&two).is_empty());
        let more = [&two[..], &[pair(3, "p", "b", "c"), pair(4, "p", "c", "a")]].concat();
        assert!(found(&more).is_empty(), "the circle would go through a comparison that is taken back");
    }

    #[test]
    fn a_long_chain_is_walked_once() {
        let count = 20_000;
        let mut pairs: Vec<Pair> = (0..count).map(|i| pair(i, "p", &i.to_string(), &(i + 1).to_string())).collect();
        assert!(found(&pairs).is_empty());
        pairs.push(pair(count, "p", &count.to_string(), "0"));
        assert_eq!(found(&pairs)[0].len(), pairs.len());
    }
}
