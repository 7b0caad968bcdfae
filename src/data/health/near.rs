//! Nearly the same words: a 64-bit SimHash of each pair (Charikar 2002; the banding of Manku, Jain and Das Sarma 2007),
//! whose bits differ about as much as the texts do.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hasher as _},
};

use crate::{Pair, PairId, Prompt};

/// Pairs with fewer words are told apart by chance.
const FEWEST_WORDS: usize = 16;
/// Bits that may differ. Unlike texts differ in 32 of 64, give or take 4.
const BITS: u32 = 6;
/// The bits in bands: what differs in no more bits than there are bands but one has a band alike.
const BANDS: u32 = BITS + 1;
/// Neighbours in a band that one is compared with, so that a band full of one text costs no more than the others.
const NEIGHBOURS: usize = 4096;

/// What is kept of each pair.
#[derive(Default)]
pub(super) struct Sketches(Vec<Sketch>);

struct Sketch {
    bits: u64,
    /// Hash of prompt and answers: alike for pairs that are no near but exact duplicates.
    exact: u64,
    pair: PairId,
}

impl Sketches {
    pub(super) fn add(&mut self, pair: &Pair, exact: u64) {
        let mut votes = [0_i32; 64];
        let mut words = 0;
        let answers = pair.answers.iter().map(|answer| answer.text.as_str());
        let prompt = match &pair.prompt {
            Prompt::Text(text) => vec![text.as_str()],
            Prompt::Chat(turns) => turns.iter().map(|turn| turn.content.as_str()).collect(),
        };
        for text in prompt.into_iter().chain(answers) {
            let mut before = 0;
            for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
                words += 1;
                let now = hash(&word);
                // Two words in a row, so that their order counts.
                let feature = hash(&(before, now));
                before = now;
                for (bit, vote) in votes.iter_mut().enumerate() {
                    *vote += if feature >> bit & 1 == 1 { 1 } else { -1 };
                }
            }
        }
        if words >= FEWEST_WORDS {
            let bits = votes.iter().enumerate().fold(0, |bits, (bit, vote)| bits | u64::from(*vote > 0) << bit);
            self.0.push(Sketch { bits, exact, pair: pair.id });
        }
    }

    /// Groups of pairs that say nearly the same; one of each exact duplicate is in them.
    pub(super) fn groups(&self) -> Vec<Vec<PairId>> {
        // One of each text.
        let mut first: HashMap<u64, usize> = HashMap::new();
        for (index, sketch) in self.0.iter().enumerate() {
            first.entry(sketch.exact).or_insert(index);
        }
        let mut distinct: Vec<usize> = first.into_values().collect();
        distinct.sort_unstable();
        let mut united: Vec<usize> = (0..self.0.len()).collect();
        for band in 0..BANDS {
            let (low, high) = (64 * band / BANDS, 64 * (band + 1) / BANDS);
            let of_band = |index: usize| self.0[index].bits >> low & ((1 << (high - low)) - 1);
            distinct.sort_unstable_by_key(|&index| (of_band(index), self.0[index].bits, index));
            for (at, &one) in distinct.iter().enumerate() {
                let rest = distinct[at + 1..].iter().take(NEIGHBOURS);
                for &other in rest.take_while(|&&other| of_band(other) == of_band(one)) {
                    if (self.0[one].bits ^ self.0[other].bits).count_ones() <= BITS {
                        unite(&mut united, one, other);
                    }
                }
            }
        }
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        distinct.sort_unstable();
        for index in distinct {
            groups.entry(root(&mut united, index)).or_default().push(index);
        }
        let groups = groups.into_values().filter(|group| group.len() > 1);
        groups.map(|group| group.into_iter().map(|index| self.0[index].pair).collect()).collect()
    }
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

fn root(united: &mut [usize], mut index: usize) -> usize {
    while united[index] != index {
        united[index] = united[united[index]];
        index = united[index];
    }
    index
}

/// The lower index stands for both.
fn unite(united: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(united, one), root(united, other));
    united[one.max(other)] = one.min(other);
}
