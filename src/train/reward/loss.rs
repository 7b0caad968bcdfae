//! The Bradley–Terry loss of a step, and what is told of scored pairs.

use data::metrics::SCORE_ACCURACY;
use model::Tokens;

use crate::{
    dataset::documents::PairDoc,
    loss::StepDoc,
    reward::bradley_terry::BradleyTerry,
    step::{Loss, Slopes},
};

/// The loss of a step's pairs, filled row by row; what is read of a pair is one score an answer.
pub struct RewardLoss<'a> {
    objective: BradleyTerry,
    /// What [`StepDoc::Pair`] counts in.
    pairs: &'a [PairDoc],
    /// Of the whole step, so that it makes no difference how it is cut into rows.
    count: usize,
    scored: Vec<(usize, ScoredPair)>,
}

/// The scores of a pair and what they cost.
#[derive(Debug, Clone, Copy)]
pub struct ScoredPair {
    pub chosen: f64,
    pub rejected: f64,
    /// Lengths of the two answers in tokens.
    pub tokens: [usize; 2],
    /// c.
    pub certainty: f64,
    pub loss: f64,
    /// ∂loss/∂(score of chosen).
    pub slope: f64,
}

impl ScoredPair {
    /// Of the scores of the chosen and the rejected answer; and ∂loss/∂(each of them).
    pub fn of(objective: BradleyTerry, pair: &PairDoc, scores: &[f64]) -> (Self, [f64; 2]) {
        let [chosen, rejected] = [0, 1].map(|place| scores.get(place).copied().unwrap_or(f64::NAN));
        let fit = objective.fit(chosen, rejected, pair.certainty);
        let tokens = [0, 1].map(|place| pair.doc.continuations.get(place).map_or(0, Tokens::len));
        let scored = Self { chosen, rejected, tokens, certainty: pair.certainty, loss: fit.loss, slope: fit.chosen };
        (scored, [fit.chosen, fit.rejected])
    }

    pub fn margin(&self) -> f64 {
        self.chosen - self.rejected
    }
}

impl<'a> RewardLoss<'a> {
    pub fn new(objective: BradleyTerry, pairs: &'a [PairDoc], count: usize) -> Self {
        Self { objective, pairs, count, scored: Vec::new() }
    }

    /// The pairs with their places, in the order of `drawn`, though rows are packed by length.
    pub fn scored(&self, drawn: &[usize]) -> Vec<(usize, ScoredPair)> {
        let mut scored = self.scored.clone();
        scored.sort_by_key(|(index, _)| drawn.iter().position(|drawn| drawn == index));
        scored
    }
}

impl Loss<StepDoc> for RewardLoss<'_> {
    fn add(&mut self, part: StepDoc, scores: &[Vec<f32>], slopes: &mut Slopes) {
        let StepDoc::Pair(index) = part else { return };
        let scores: Vec<f64> = scores.iter().flatten().map(|&score| f64::from(score)).collect();
        let (scored, of_each) = ScoredPair::of(self.objective, &self.pairs[index], &scores);
        slopes.tokens(of_each.into_iter().map(|slope| (slope / self.count as f64) as f32));
        self.scored.push((index, scored));
    }

    fn value(&self) -> f64 {
        mean(self.scored.iter().map(|(_, scored)| scored.loss))
    }
}

/// `loss`, `accuracy`, `margin` and what else is told of scored pairs, by TRL's names where it has them.
pub fn metrics(pairs: &[ScoredPair]) -> Vec<(String, f64)> {
    if pairs.is_empty() {
        return Vec::new();
    }
    // A tie has no right answer to be accurate about.
    let decided: Vec<&ScoredPair> = pairs.iter().filter(|pair| pair.certainty > 0.5).collect();
    let share = |holds: &dyn Fn(&ScoredPair) -> bool| {
        decided.iter().filter(|pair| holds(pair)).count() as f64 / decided.len() as f64
    };
    let scores = || pairs.iter().flat_map(|pair| [pair.chosen, pair.rejected]);
    let lengths = pairs.iter().flat_map(|pair| pair.tokens).map(|tokens| tokens as f64);
    let mut metrics = vec![
        ("loss", mean(pairs.iter().map(|pair| pair.loss))),
        ("margin", mean(pairs.iter().map(ScoredPair::margin))),
        ("mean_reward", mean(scores())),
        ("min_reward", scores().fold(f64::INFINITY, f64::min)),
        ("max_reward", scores().fold(f64::NEG_INFINITY, f64::max)),
    ];
    // Where no score differs yet, a strict count is no accuracy.
    if decided.iter().any(|pair| pair.margin() != 0.0) {
        metrics.insert(1, (SCORE_ACCURACY, share(&|pair| pair.margin() > 0.0)));
    }
    if !decided.is_empty() {
        metrics.push(("ties", share(&|pair| pair.margin() == 0.0)));
    }
    metrics.extend(correlation(scores(), lengths).map(|value| ("length_correlation", value)));
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Pearson's; nothing where either does not vary.
fn correlation(a: impl Iterator<Item = f64> + Clone, b: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let (mean_a, mean_b) = (mean(a.clone()), mean(b.clone()));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (aa > 0.0 && bb > 0.0).then(|| ab / (aa * bb).sqrt())
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use data::PairId;
    use model::Doc;

    use super::*;

    fn pair(chosen: f64, rejected: f64, tokens: [usize; 2], certainty: f64) -> ScoredPair {
        let doc = Doc::new(vec![1], tokens.iter().map(|&count| vec![2; count]));
        let pair = PairDoc { certainty, ..PairDoc::certain(PairId(1), doc) };
        ScoredPair::of(BradleyTerry { center: 0.0, margin: 0.0 }, &pair, &[chosen, rejected]).0
    }

    #[test]
    fn pairs_are_counted_strictly_and_ties_apart() {
        let pairs = [pair(1.0, 0.0, [4, 2], 1.0), pair(0.5, 0.5, [3, 3], 1.0), pair(0.0, 2.0, [2, 6], 0.5)];
        let metrics = metrics(&pairs);
        let of = |name: &str| metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        assert_eq!(
            (of("accuracy"), of("ties"), of("min_reward"), of("max_reward")),
            (Some(0.5), Some(0.5), Some(0.0), Some(2.0))
        );
        assert!((of("margin").unwrap() + 1.0 / 3.0).abs() < 1e-12);
        assert!(of("length_correlation").unwrap() > 0.8);
        assert!(super::metrics(&[pair(0.0, 0.0, [1, 2], 1.0)]).iter().all(|(name, _)| name != "length_correlation"));
    }

    #[test]
    fn of_answers_of_which_none_is_better_no_accuracy_is_told() {
        let names = |pairs: &[ScoredPair]| -> Vec<String> {
            super::metrics(pairs)
                .into_iter()
                .map(|(name, _)| name)
                .filter(|name| name == "accuracy" || name == "ties")
                .collect()
        };
        let tie = pair(1.0, 0.25, [4, 2], 0.5);
        assert!(names(&[tie, tie]).is_empty());
        assert_eq!(
            names(&[tie, pair(0.5, 0.5, [3, 3], 1.0)]),
            ["ties"],
            "the only pair with an order has no scores that differ"
        );
        assert_eq!(names(&[tie, pair(0.5, 0.0, [3, 3], 1.0)]), ["accuracy", "ties"]);
    }
}
