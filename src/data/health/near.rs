//! Nearly the same words: a 64-bit SimHash of each pair (Charikar 2002; the tables of Manku, Jain and Das Sarma 2007),
//! whose bits differ about as much as the texts do.

use std::collections::{BTreeMap, HashMap};

use crate::{Pair, PairId, Prompt};

/// Pairs with fewer words are told apart by chance.
const FEWEST_WORDS: usize = 16;
/// Bits that may differ. Unlike texts differ in 32 of 64, give or take 4.
const BITS: u32 = 6;
/// The bits in bytes: what differs in no more bits than there are bytes but two has two bytes alike.
const BYTES: u32 = BITS + 2;
const _: () = assert!(BYTES == u64::BITS / 8);
/// Neighbours with two bytes alike that one is compared with, so that many of one text cost no more than others.
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
        let mut votes = Votes::default();
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
                let now = hash(word);
                // Two words in a row, so that their order counts.
                votes.add(mix(before ^ now.rotate_left(32)));
                before = now;
            }
        }
        if words >= FEWEST_WORDS {
            let bits = votes.bits();
            self.0.push(Sketch { bits, exact, pair: pair.id });
        }
    }

    /// Bits and places of these sketches, by two bytes of their bits; those that are alike in their own order.
    fn sort_by_bytes(&self, places: [u32; 2], of: &[usize], sorted: &mut Vec<(u64, usize)>) {
        let key = |bits: u64| places.into_iter().fold(0, |key, place| key << 8 | byte(bits, place));
        let mut next = vec![0; 1 << 16];
        for &index in of {
            next[key(self.0[index].bits)] += 1;
        }
        let mut before = 0;
        for count in &mut next {
            before += std::mem::replace(count, before);
        }
        sorted.clear();
        sorted.resize(of.len(), (0, 0));
        for &index in of {
            let bits = self.0[index].bits;
            let place = &mut next[key(bits)];
            sorted[*place] = (bits, index);
            *place += 1;
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
        let mut sorted = Vec::new();
        for (one, other) in (0..BYTES).flat_map(|one| (one + 1..BYTES).map(move |other| (one, other))) {
            self.sort_by_bytes([one, other], &distinct, &mut sorted);
            for alike in sorted.chunk_by(|(bits, _), (others, _)| same_bytes([one, other], *bits, *others)) {
                for (at, (bits, index)) in alike.iter().enumerate() {
                    for (others, neighbour) in alike[at + 1..].iter().take(NEIGHBOURS) {
                        if (bits ^ others).count_ones() <= BITS {
                            unite(&mut united, *index, *neighbour);
                        }
                    }
                }
            }
        }
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for index in distinct {
            groups.entry(root(&mut united, index)).or_default().push(index);
        }
        let groups = groups.into_values().filter(|group| group.len() > 1);
        groups.map(|group| group.into_iter().map(|index| self.0[index].pair).collect()).collect()
    }
}

/// The byte at this place, 0 being the lowest.
fn byte(bits: u64, place: u32) -> usize {
    (bits >> (8 * place) & 0xFF) as usize
}

fn same_bytes(places: [u32; 2], one: u64, other: u64) -> bool {
    places.into_iter().all(|place| byte(one, place) == byte(other, place))
}

/// For each of 64 bits, how many features have it.
#[derive(Default)]
struct Votes {
    features: u32,
    /// The bits that are the `n`th of their byte, counted in a byte each, until one may overflow.
    recent: [u64; 8],
    waiting: u8,
    counts: [[u32; 8]; 8],
}

impl Votes {
    fn add(&mut self, feature: u64) {
        const LOWEST: u64 = 0x0101_0101_0101_0101;
        for (place, counts) in self.recent.iter_mut().enumerate() {
            *counts += feature >> place & LOWEST;
        }
        self.features += 1;
        self.waiting += 1;
        if self.waiting == u8::MAX {
            self.settle();
        }
    }

    fn settle(&mut self) {
        for (counts, recent) in self.counts.iter_mut().zip(&mut self.recent) {
            for (count, byte) in counts.iter_mut().zip(recent.to_le_bytes()) {
                *count += u32::from(byte);
            }
            *recent = 0;
        }
        self.waiting = 0;
    }

    /// The bits that more than half of the features have.
    fn bits(mut self) -> u64 {
        self.settle();
        let most = |count: u32| u64::from(2 * count > self.features);
        (0..64).fold(0, |bits, bit| bits | most(self.counts[bit % 8][bit / 8]) << bit)
    }
}

/// FNV-1a, mixed; nobody gains from two words that hash alike.
fn hash(word: &str) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    mix(word.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)))
}

/// Every bit of the result depends on all of them (`SplitMix64`).
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_set_where_most_features_have_it() {
        let mut votes = Votes::default();
        (0..600)
            .for_each(|feature| votes.add(1 << 63 | u64::from(feature % 3 == 0) | u64::from(feature % 3 > 0) << 13));
        assert_eq!(votes.bits(), 1 << 63 | 1 << 13);
    }

    #[test]
    fn what_differs_in_few_bits_is_found_whichever_they_are() {
        let one = mix(1);
        // A bit in each of six bytes, and six in one.
        let apart = (0..6).fold(one, |bits, byte| bits ^ 1 << (8 * byte + 3));
        let few = Sketches(
            [one, mix(2), apart, one ^ 0x3F << 56, one ^ 0x7F]
                .into_iter()
                .zip(1..)
                .map(|(bits, pair)| Sketch { bits, exact: bits, pair: PairId(pair) })
                .collect(),
        );
        assert_eq!(few.groups(), [[PairId(1), PairId(3), PairId(4)]]);
    }
}
