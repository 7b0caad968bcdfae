//! Which pair a labelling session asks about first.

use data::{PairId, mix};
use serde::{Deserialize, Serialize};

/// What decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AskFirst {
    /// The order of the list.
    #[default]
    Listed,
    Closest,
    Disputed,
    Unlike,
    Random,
}

impl AskFirst {
    pub const ALL: [Self; 5] = [Self::Listed, Self::Closest, Self::Disputed, Self::Unlike, Self::Random];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Listed => "Ask as listed",
            Self::Closest => "Ask closest margin first",
            Self::Disputed => "Ask where runs disagree",
            Self::Unlike => "Ask unlike what is labelled",
            Self::Random => "Ask at random",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Self::Listed => "Labelling goes through the list from the chosen pair on",
            Self::Closest => "First the pairs of whose answers the scored model is least sure which it prefers",
            Self::Disputed => "First the pairs about which the runs' newest scored checkpoints say different things",
            Self::Unlike => {
                "First the pairs that are, to the model, least like any labelled one, and unlike each other"
            }
            Self::Random => "An even sample, however the file was sorted",
        }
    }
}

/// The pairs by a number of each, the lowest first; those without one come last, in the order they had.
pub fn by_number(mut queue: Vec<PairId>, number: impl Fn(PairId) -> Option<f64>) -> Vec<PairId> {
    queue.sort_by_cached_key(|pair| number(*pair).map_or(u64::MAX, ordered));
    queue
}

/// The pairs in an order that only `seed` decides.
pub fn shuffled(mut queue: Vec<PairId>, seed: u64) -> Vec<PairId> {
    queue.sort_by_key(|pair| mix(seed ^ mix(pair.0 as u64)));
    queue
}

/// How far some weights are from agreeing which answer is better, from the margins they give: −½ where half of them say
/// this and half that, 0 where all say the same; between, those whose mean is nearest to neither come first.
pub fn agreement(margins: &[f64]) -> Option<f64> {
    if margins.len() < 2 {
        return None;
    }
    let count = margins.len() as f64;
    let first = margins.iter().filter(|margin| **margin > 0.0).count() as f64;
    let minority = first.min(count - first) / count;
    let mean = (margins.iter().sum::<f64>() / count).abs();
    // Less than one more voice counts, whatever the mean.
    Some(mean / (1.0 + mean) / (2.0 * count) - minority)
}

/// Bits that sort as the numbers do.
fn ordered(number: f64) -> u64 {
    let bits = number.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_the_lowest_number_come_first_and_the_unknown_last() {
        let number = |pair: PairId| [None, Some(0.5), Some(-2.0), None, Some(0.0), Some(-0.25)][pair.0 as usize];
        let sorted = by_number((0..6).map(PairId).collect(), number);
        assert_eq!(sorted.iter().map(|pair| pair.0).collect::<Vec<_>>(), [2, 5, 4, 1, 0, 3]);
    }

    #[test]
    fn an_even_split_is_disputed_most_and_one_voice_outweighs_any_mean() {
        let disputed = |margins: &[f64]| agreement(margins).unwrap();
        assert!(disputed(&[1.0, -1.0]) < disputed(&[3.0, -1.0]), "nearer to neither");
        assert!(disputed(&[900.0, -1.0, 900.0]) < disputed(&[0.1, 0.1, 0.1]), "one of three says otherwise");
        assert!(disputed(&[1.0, -1.0]) < disputed(&[1.0, 1.0, -1.0]));
        assert_eq!(agreement(&[1.0]), None, "one alone does not disagree");
    }
}
