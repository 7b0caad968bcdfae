//! The loss of a step on preference pairs: L = L_pref + λ_ref·L_ref + λ_pre·L_pre, over documents packed into rows.

use model::{Doc, PolicyError};

use crate::{
    dataset::{
        documents::PairDoc,
        packing::{Packed, pack},
    },
    error::Result,
    measure::log_probs::sum,
    objective::{Objective, PairLogProbs, PairTerm, TokenMean, summarize},
    step::{Loss, Slopes},
};

/// A document of a step and what it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Index into the training pairs.
    Pair(usize),
    /// Index into the reference answers to train on.
    Reference(usize),
    /// Index into the retention text to train on.
    Retention(usize),
}

/// Reference answers or retention text of a step, by index, and the weight of their mean in the loss.
#[derive(Default)]
pub struct Texts<'d> {
    /// λ_ref or λ_pre.
    pub weight: f64,
    pub docs: Vec<(usize, &'d Doc)>,
}

/// The documents of a step as rows.
pub struct Batch {
    /// Indices of the pairs, in the order they were drawn.
    pub pairs: Vec<usize>,
    pub rows: Vec<Packed<Part>>,
    reference: TokenMean,
    retention: TokenMean,
}

impl Batch {
    /// `row_tokens`: how many a row may hold.
    pub fn pack<'d>(
        pairs: &[(usize, &'d Doc)],
        references: &Texts<'d>,
        retention: &Texts<'d>,
        row_tokens: usize,
    ) -> Result<Self> {
        let docs = pairs
            .iter()
            .map(|&(index, doc)| (Part::Pair(index), doc))
            .chain(references.docs.iter().map(|&(index, doc)| (Part::Reference(index), doc)))
            .chain(retention.docs.iter().map(|&(index, doc)| (Part::Retention(index), doc)));
        Ok(Self {
            rows: pack(docs, row_tokens).map_err(PolicyError::from)?,
            pairs: pairs.iter().map(|&(index, _)| index).collect(),
            reference: references.mean(),
            retention: retention.mean(),
        })
    }
}

impl Texts<'_> {
    fn mean(&self) -> TokenMean {
        TokenMean { weight: self.weight, tokens: self.docs.iter().map(|(_, doc)| doc.answer_tokens()).sum() }
    }
}

/// The loss of a batch, filled row by row.
pub struct BatchLoss<'a> {
    batch: &'a Batch,
    objective: Objective,
    /// What [`Part::Pair`] counts in.
    pairs: &'a [PairDoc],
    /// Σ log π_ref of a pair's chosen and rejected answer; empty where nobody asked for it.
    at_start: &'a dyn Fn(usize) -> &'a [f64],
    terms: Vec<(usize, PairTerm)>,
    references: TokenSum,
    retention: TokenSum,
}

#[derive(Default)]
struct TokenSum {
    log_probs: f64,
    tokens: usize,
}

impl<'a> BatchLoss<'a> {
    pub fn new(
        batch: &'a Batch,
        objective: Objective,
        pairs: &'a [PairDoc],
        at_start: &'a dyn Fn(usize) -> &'a [f64],
    ) -> Self {
        let (references, retention) = (TokenSum::default(), TokenSum::default());
        Self { batch, objective, pairs, at_start, terms: Vec::new(), references, retention }
    }

    /// Index and term of each pair, in the order they were drawn, though rows are packed by length.
    pub fn terms(&self) -> Vec<(usize, PairTerm)> {
        let mut terms = self.terms.clone();
        terms.sort_by_key(|(index, _)| self.batch.pairs.iter().position(|drawn| drawn == index));
        terms
    }

    /// `loss` and its parts; a part that is switched off is not told.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let terms = self.terms();
        let preference = terms.iter().map(|(_, term)| term.loss).sum::<f64>() / terms.len().max(1) as f64;
        let mut total = preference;
        let mut parts = vec![("loss/preference".to_owned(), preference)];
        let means = [
            ("loss/reference", self.batch.reference, &self.references),
            ("loss/retention", self.batch.retention, &self.retention),
        ];
        for (name, mean, sum) in means {
            if sum.tokens > 0 {
                total += mean.term(sum.log_probs);
                parts.push((name.to_owned(), mean.loss(sum.log_probs)));
            }
        }
        parts.insert(0, ("loss".to_owned(), total));
        parts
    }

    /// `rewards/*`, `logps/*`, importance, push and margins of the pairs.
    pub fn pair_metrics(&self) -> Vec<(String, f64)> {
        let anchored: Vec<_> = self.terms().into_iter().map(|(index, term)| (term, (self.at_start)(index))).collect();
        pair_metrics(&anchored)
    }
}

impl Loss<Part> for BatchLoss<'_> {
    fn add(&mut self, part: Part, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        let (sum, mean) = match part {
            Part::Pair(index) => {
                let term = judge(&self.objective, &self.pairs[index], log_probs, (self.at_start)(index));
                for (answer, slope) in log_probs.iter().zip(term.coefficients(self.batch.pairs.len())) {
                    slopes.answer(slope, answer.len());
                }
                self.terms.push((index, term));
                return;
            }
            Part::Reference(_) => (&mut self.references, self.batch.reference),
            Part::Retention(_) => (&mut self.retention, self.batch.retention),
        };
        for answer in log_probs {
            sum.log_probs += self::sum(answer);
            sum.tokens += answer.len();
            slopes.answer(mean.coefficient(), answer.len());
        }
    }

    fn value(&self) -> f64 {
        self.metrics()[0].1
    }
}

/// `rewards/*`, `logps/*`, importance, push and margins of pairs, each with its step-0 log-probs.
pub fn pair_metrics(terms: &[(PairTerm, &[f64])]) -> Vec<(String, f64)> {
    let only: Vec<PairTerm> = terms.iter().map(|(term, _)| *term).collect();
    let Some(diagnostics) = summarize(&only) else {
        return Vec::new();
    };
    let count = terms.len() as f64;
    let change = |side: fn(&PairTerm) -> f64, index: usize| {
        let moved = terms.iter().map(|(term, anchor)| side(term) - anchor.get(index).copied().unwrap_or(f64::NAN));
        moved.sum::<f64>() / count
    };
    let mut metrics: Vec<(String, f64)> =
        diagnostics.metrics().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // Who moved: how far each side is from where it stood at step 0.
    metrics.push(("logps/chosen_change".to_owned(), change(|term| term.policy_chosen, 0)));
    metrics.push(("logps/rejected_change".to_owned(), change(|term| term.policy_rejected, 1)));
    metrics
}

/// The objective's judgement of one pair from its answers' log-probs (chosen, then rejected).
pub fn judge(objective: &Objective, pair: &PairDoc, answers: &[Vec<f32>], anchor: &[f64]) -> PairTerm {
    let side = |index: usize| answers.get(index).map_or(f64::NAN, |values| sum(values));
    let at_start = |index: usize| anchor.get(index).copied().unwrap_or(f64::NAN);
    objective.evaluate(&PairLogProbs {
        policy_chosen: side(0),
        policy_rejected: side(1),
        reference_chosen: at_start(0),
        reference_rejected: at_start(1),
        chosen_tokens: answers.first().map_or(0, Vec::len),
        rejected_tokens: answers.get(1).map_or(0, Vec::len),
        certainty: pair.certainty,
        reward: pair.reward,
        behaviour: pair.behaviour,
    })
}
