//! The loss of a step on preference pairs: L = L_pref + λ_ref·L_ref + λ_pre·L_pre, over documents packed into rows.

use std::collections::BTreeMap;

use model::{Doc, PolicyError};

use crate::{
    dataset::{
        documents::PairDoc,
        negatives::Draw,
        packing::{Packed, pack},
    },
    error::Result,
    measure::log_probs::sum,
    objective::{Answer, Label, Objective, PairTerm, Term, TokenMean, summarize},
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
    /// Index into the prompts that a step sampled answers to.
    Rollout(usize),
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
    /// What was drawn of pairs with more rejected answers than a step meets.
    draws: BTreeMap<usize, Draw>,
    texts: TextTerms,
}

impl Batch {
    /// The pairs of these indices were packed as what was drawn of them.
    #[must_use]
    pub fn with_draws(self, draws: BTreeMap<usize, Draw>) -> Self {
        Self { draws, ..self }
    }

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
            .chain(references.parts(Part::Reference))
            .chain(retention.parts(Part::Retention));
        Ok(Self {
            rows: pack(docs, row_tokens).map_err(PolicyError::from)?,
            pairs: pairs.iter().map(|&(index, _)| index).collect(),
            draws: BTreeMap::new(),
            texts: TextTerms::of(references, retention),
        })
    }
}

impl<'d> Texts<'d> {
    /// Each with what it is there for.
    pub fn parts(&self, part: fn(usize) -> Part) -> impl Iterator<Item = (Part, &'d Doc)> {
        self.docs.iter().map(move |&(index, doc)| (part(index), doc))
    }

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
    /// Σ log π_ref of a pair's chosen and rejected answers; empty where nobody asked for it.
    at_start: &'a dyn Fn(usize) -> &'a [f64],
    terms: Vec<(usize, PairTerm)>,
    texts: TextTerms,
}

/// The terms of a loss that are means over the tokens of texts: L_ref and L_pre.
#[derive(Debug, Clone, Default)]
pub struct TextTerms {
    reference: (TokenMean, TokenSum),
    retention: (TokenMean, TokenSum),
}

impl TextTerms {
    /// Before any of them was added.
    pub fn of(references: &Texts<'_>, retention: &Texts<'_>) -> Self {
        let begin = |texts: &Texts<'_>| (texts.mean(), TokenSum::default());
        Self { reference: begin(references), retention: begin(retention) }
    }

    /// What of a loss is no pair and no sampled answer.
    pub fn add(&mut self, part: Part, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        let (mean, sum) = match part {
            Part::Reference(_) => &mut self.reference,
            Part::Retention(_) => &mut self.retention,
            Part::Pair(_) | Part::Rollout(_) => return,
        };
        for answer in log_probs {
            sum.log_probs += self::sum(answer);
            sum.tokens += answer.len();
            slopes.answer(mean.coefficient(), answer.len());
        }
    }

    /// Name, what it adds to the loss, and its own value; a part that is switched off is not told.
    pub fn parts(&self) -> Vec<(String, f64, f64)> {
        let named = [("loss/reference", &self.reference), ("loss/retention", &self.retention)];
        let told = named.into_iter().filter(|(_, (_, sum))| sum.tokens > 0);
        told.map(|(name, (mean, sum))| (name.to_owned(), mean.term(sum.log_probs), mean.loss(sum.log_probs))).collect()
    }

    /// The same of the updates of a step, mean over those.
    pub fn mean(updates: &[Self]) -> Vec<(String, f64, f64)> {
        let count = updates.len() as f64;
        let mut means: Vec<(String, f64, f64)> = Vec::new();
        for (name, term, loss) in updates.iter().flat_map(Self::parts) {
            match means.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, terms, losses)) => (*terms, *losses) = (*terms + term / count, *losses + loss / count),
                None => means.push((name, term / count, loss / count)),
            }
        }
        means
    }

    /// What all of them add to the loss.
    pub fn value(&self) -> f64 {
        self.parts().iter().map(|(_, term, _)| term).sum()
    }
}

#[derive(Debug, Clone, Copy, Default)]
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
        Self { batch, objective, pairs, at_start, terms: Vec::new(), texts: batch.texts.clone() }
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
        for (name, term, loss) in self.texts.parts() {
            total += term;
            parts.push((name, loss));
        }
        parts.insert(0, ("loss".to_owned(), total));
        parts
    }

    /// `rewards/*`, `logps/*`, importance, push and margins of the pairs.
    pub fn pair_metrics(&self) -> Vec<(String, f64)> {
        let terms: Vec<PairTerm> = self.terms().into_iter().map(|(_, term)| term).collect();
        pair_metrics(&terms)
    }
}

impl Loss<Part> for BatchLoss<'_> {
    fn add(&mut self, part: Part, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        let Part::Pair(index) = part else {
            return self.texts.add(part, log_probs, slopes);
        };
        let (pair, at_start) = (&self.pairs[index], (self.at_start)(index));
        let term = match self.batch.draws.get(&index) {
            None => term(&self.objective, pair, log_probs, at_start, 1.0),
            Some(draw) => term(&self.objective, pair, log_probs, &draw.pick(at_start), draw.stands_for),
        };
        for (answer, slope) in log_probs.iter().zip(term.coefficients(self.batch.pairs.len())) {
            slopes.answer(slope, answer.len());
        }
        self.terms.push((index, term.pair));
    }

    fn value(&self) -> f64 {
        self.metrics()[0].1
    }
}

/// `rewards/*`, `logps/*`, importance, push and margins of pairs.
pub fn pair_metrics(terms: &[PairTerm]) -> Vec<(String, f64)> {
    let metrics = summarize(terms).map(|diagnostics| diagnostics.metrics()).unwrap_or_default();
    metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The objective's judgement of one pair from its answers' log-probs (chosen, then rejected).
pub fn judge(objective: &Objective, pair: &PairDoc, answers: &[Vec<f32>], anchor: &[f64]) -> PairTerm {
    term(objective, pair, answers, anchor, 1.0).pair
}

/// The same with its gradient. `stands_for`: of how many in its pool each rejected answer tells.
fn term(objective: &Objective, pair: &PairDoc, answers: &[Vec<f32>], anchor: &[f64], stands_for: f64) -> Term {
    let answer = |(index, values): (usize, &Vec<f32>)| Answer {
        policy: sum(values),
        reference: anchor.get(index).copied().unwrap_or(f64::NAN),
        tokens: values.len(),
        stands_for,
    };
    let mut answers = answers.iter().enumerate().map(answer);
    let nothing = Answer { policy: f64::NAN, reference: f64::NAN, tokens: 0, stands_for };
    let (chosen, rejected) = (answers.next().unwrap_or(nothing), answers.collect::<Vec<_>>());
    let label = Label { certainty: pair.certainty, reward: pair.reward, behaviour: pair.behaviour };
    objective.evaluate_against(label, chosen, &rejected)
}
