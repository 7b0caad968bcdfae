//! Rejected answers that a pair brings beyond the one its verdict names: which of them a step meets.

use data::counted;
use model::Doc;
use rand::{SeedableRng, seq::index};
use rand_chacha::ChaCha8Rng;

use super::documents::{PairDoc, with};

/// Some of a pair's rejected answers, drawn for one visit.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnNegatives {
    /// The chosen answer and those that were drawn.
    pub doc: Doc,
    /// Where these stand in the pair's own document.
    pub places: Vec<usize>,
    /// How many of the pair's rejected answers each drawn one stands for.
    pub stands_for: f64,
}

impl DrawnNegatives {
    /// At most `most` of the rejected answers, all equally likely, a function of seed, step and pair; absent where they
    /// are no more.
    pub fn of(pair: &PairDoc, most: usize, seed: u64, step: u64) -> Option<Self> {
        let (pool, most) = (pair.rejected(), most.max(1));
        if pool <= most {
            return None;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (pair.id.0 as u64).rotate_left(32));
        rng.set_stream(step);
        let mut drawn = index::sample(&mut rng, pool, most).into_vec();
        drawn.sort_unstable();
        let places: Vec<usize> = std::iter::once(0).chain(drawn.into_iter().map(|at| at + 1)).collect();
        Some(Self { doc: with(&pair.doc, &places), places, stands_for: pool as f64 / most as f64 })
    }

    /// What belongs to the drawn answers, out of what belongs to all of the pair.
    pub fn pick<T: Clone>(&self, of_all: &[T]) -> Vec<T> {
        self.places.iter().filter_map(|place| of_all.get(*place).cloned()).collect()
    }
}

/// The largest document that a visit may meet: the chosen answer and the longest of the others.
pub fn largest(pair: &PairDoc, most: usize) -> Option<Doc> {
    let most = most.max(1);
    (pair.rejected() > most).then(|| {
        let mut places: Vec<usize> = (1..=pair.rejected()).collect();
        places.sort_by_key(|place| std::cmp::Reverse(pair.doc.continuations[*place].len()));
        places.truncate(most);
        places.insert(0, 0);
        with(&pair.doc, &places)
    })
}

/// What pairs with several rejected answers come to, in words; nothing where there are none.
pub fn remark(pairs: &[PairDoc], most: usize) -> Option<String> {
    let several: Vec<usize> = pairs.iter().map(PairDoc::rejected).filter(|rejected| *rejected > 1).collect();
    let (largest, drawn) = (several.iter().max()?, several.iter().filter(|rejected| **rejected > most).count());
    let mean = several.iter().sum::<usize>() as f64 / several.len() as f64;
    let pairs = counted(several.len(), "pair brings", "pairs bring");
    let text = format!("{pairs} several rejected answers, {mean:.1} in the mean, up to {largest}");
    Some(match drawn {
        0 => text,
        _ => format!("{text}; of {drawn} of them a visit draws {most}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::PairId;

    fn pair(rejected: usize) -> PairDoc {
        let continuations = (0..=rejected).map(|at| vec![at as u32; at + 1]);
        PairDoc::certain(PairId(7), Doc::new(vec![9], continuations))
    }

    #[test]
    fn a_visit_draws_some_and_again_the_same() {
        assert_eq!(DrawnNegatives::of(&pair(4), 4, 1, 1), None);
        let draw = DrawnNegatives::of(&pair(9), 3, 1, 1).unwrap();
        assert_eq!((draw.places.len(), draw.places[0], draw.stands_for), (4, 0, 3.0));
        assert!(draw.places.windows(2).all(|two| two[0] < two[1]), "{draw:?}");
        for (answer, place) in draw.doc.continuations.iter().zip(&draw.places) {
            assert_eq!(answer.len(), place + 1);
        }
        assert_eq!(DrawnNegatives::of(&pair(9), 3, 1, 1), Some(draw.clone()));
        assert_eq!(draw.pick(&(0..10).collect::<Vec<_>>()), draw.places);
        let others = (2..40).filter(|step| DrawnNegatives::of(&pair(9), 3, 1, *step).unwrap().places != draw.places);
        assert!(others.count() > 30);
    }

    #[test]
    fn every_rejected_answer_is_drawn_as_often() {
        let mut met = [0; 6];
        for step in 0..6000 {
            for place in DrawnNegatives::of(&pair(5), 2, 3, step).unwrap().places {
                met[place] += 1;
            }
        }
        assert_eq!(met[0], 6000);
        // 2400 each; five standard deviations are 190.
        assert!(met[1..].iter().all(|count| (2210..2590).contains(count)), "{met:?}");
    }

    #[test]
    fn no_visit_is_larger_than_the_largest() {
        let most = largest(&pair(9), 3).unwrap().tokens();
        assert!((0..50).all(|step| DrawnNegatives::of(&pair(9), 3, 0, step).unwrap().doc.tokens() <= most));
        assert_eq!(largest(&pair(3), 3), None);
        assert_eq!(remark(&[pair(1)], 4), None);
        let text = remark(&[pair(1), pair(3), pair(6)], 4).unwrap();
        assert_eq!(
            text,
            "2 pairs bring several rejected answers, 4.5 in the mean, up to 6; of 1 of them a visit draws 4"
        );
    }
}
