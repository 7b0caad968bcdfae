//! The loss of a step on preference pairs: L = L_pref + λ_ref·L_ref + λ_pre·L_pre, over documents packed into rows.

use std::collections::BTreeMap;

use model::{Doc, PolicyError};

use crate::{
    dataset::{
        documents::PairDoc,
        negatives::DrawnNegatives,
        packing::{Packed, pack},
    },
    error::Result,
    measure::log_probs::sum,
    objective::{AnswerLogProbs, Label, Objective, PairTerm, Term, TokenMean, Triplet, WeighedAnswer, summarize},
    step::{Loss, Slopes},
};

/// A document of a step and what it is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepDoc {
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
    pub rows: Vec<Packed<StepDoc>>,
    /// What was drawn of pairs with more rejected answers than a step meets.
    draws: BTreeMap<usize, DrawnNegatives>,
    /// Of the pairs whose document ends with an answer sampled for the triplet term: log π_ref of its tokens.
    sampled: BTreeMap<usize, Vec<f32>>,
    texts: TextTerms,
}

/// The triplet term of TI-DPO beside a preference loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripletTerm {
    /// γ.
    pub weight: f64,
    pub margin: f64,
}

impl Batch {
    /// The pairs of these indices were packed as what was drawn of them.
    #[must_use]
    pub fn with_draws(self, draws: BTreeMap<usize, DrawnNegatives>) -> Self {
        Self { draws, ..self }
    }

    /// The documents of these pairs end with an answer sampled for the triplet term.
    #[must_use]
    pub fn with_sampled(self, sampled: BTreeMap<usize, Vec<f32>>) -> Self {
        Self { sampled, ..self }
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
            .map(|&(index, doc)| (StepDoc::Pair(index), doc))
            .chain(references.parts(StepDoc::Reference))
            .chain(retention.parts(StepDoc::Retention));
        Ok(Self {
            rows: pack(docs, row_tokens).map_err(PolicyError::from)?,
            pairs: pairs.iter().map(|&(index, _)| index).collect(),
            draws: BTreeMap::new(),
            sampled: BTreeMap::new(),
            texts: TextTerms::of(references, retention),
        })
    }
}

impl<'d> Texts<'d> {
    /// Each with what it is there for.
    pub fn parts(&self, part: fn(usize) -> StepDoc) -> impl Iterator<Item = (StepDoc, &'d Doc)> {
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
    /// What [`StepDoc::Pair`] counts in.
    pairs: &'a [PairDoc],
    /// Σ log π_ref of a pair's chosen and rejected answers; empty where nobody asked for it.
    at_start: &'a dyn Fn(usize) -> &'a [f64],
    /// Of pairs whose tokens have weights.
    weighed: Option<&'a dyn Fn(usize) -> Option<&'a WeighedTokens>>,
    triplet: Option<TripletTerm>,
    terms: Vec<(usize, PairTerm)>,
    /// Of each answer sampled for the triplet term what it cost, without weight, and its length.
    triplets: Vec<(usize, f64, usize)>,
    texts: TextTerms,
}

/// What a margin that weighs tokens needs of a pair, by answer and token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WeighedTokens {
    pub weights: Vec<Vec<f32>>,
    /// log π_ref.
    pub reference: Vec<Vec<f32>>,
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
    pub fn add(&mut self, part: StepDoc, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        let (mean, sum) = match part {
            StepDoc::Reference(_) => &mut self.reference,
            StepDoc::Retention(_) => &mut self.retention,
            StepDoc::Pair(_) | StepDoc::Rollout(_) => return,
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
        Self {
            batch,
            objective,
            pairs,
            at_start,
            weighed: None,
            triplet: None,
            terms: Vec::new(),
            triplets: Vec::new(),
            texts: batch.texts.clone(),
        }
    }

    /// Tokens of these pairs have weights in the margin.
    #[must_use]
    pub fn weighed(self, weighed: &'a dyn Fn(usize) -> Option<&'a WeighedTokens>) -> Self {
        Self { weighed: Some(weighed), ..self }
    }

    /// With the triplet term on what was sampled for it.
    #[must_use]
    pub fn with_triplet(self, triplet: Option<TripletTerm>) -> Self {
        Self { triplet, ..self }
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
        if let Some(triplet) = self.triplet {
            // In the order of the rows that they came in, whatever it was.
            let mut triplets = self.triplets.clone();
            triplets.sort_by_key(|(index, ..)| *index);
            let count = triplets.len().max(1) as f64;
            let sum: f64 = triplets.iter().map(|(_, loss, _)| loss).sum();
            total += triplet.weight * sum / terms.len().max(1) as f64;
            let active = triplets.iter().filter(|(_, loss, _)| *loss > 0.0).count();
            let tokens: usize = triplets.iter().map(|(.., tokens)| tokens).sum();
            parts.push(("ti/triplet".to_owned(), sum / count));
            parts.push(("ti/triplet_active".to_owned(), active as f64 / count));
            parts.push(("ti/anchor_length".to_owned(), tokens as f64 / count));
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

impl Loss<StepDoc> for BatchLoss<'_> {
    fn add(&mut self, part: StepDoc, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        let StepDoc::Pair(index) = part else {
            return self.texts.add(part, log_probs, slopes);
        };
        let (pair, at_start) = (&self.pairs[index], (self.at_start)(index));
        let weighed = self.weighed.and_then(|weighed| weighed(index));
        let count = self.batch.pairs.len();
        let (log_probs, sampled) = match (self.batch.sampled.get(&index), log_probs.split_last()) {
            (Some(reference), Some((sampled, answers))) => (answers, Some((sampled, reference))),
            _ => (log_probs, None),
        };
        let (objective, draw) = (&self.objective, self.batch.draws.get(&index));
        let stands_for = draw.map_or(1.0, |draw| draw.stands_for);
        let term = if let Some(all) = weighed {
            let drawn = draw.map(|draw| all.of(draw));
            let known = drawn.as_ref().unwrap_or(all);
            let term = weighed_term(objective, pair, log_probs, known, stands_for);
            let triplet = self.triplet.zip(sampled).map(|(term, sampled)| {
                let (sampled, reference): (&Vec<f32>, &Vec<f32>) = sampled;
                let triplet = triplet_of(term, log_probs, known, (sampled, reference));
                (term.weight, triplet)
            });
            for (place, (weights, slope)) in known.weights.iter().zip(&term.slopes).enumerate() {
                let beside = triplet.as_ref().and_then(|(weight, triplet)| match place {
                    0 => Some((weight, &triplet.chosen)),
                    1 => Some((weight, &triplet.rejected)),
                    _ => None,
                });
                let of_token = |(token, weight): (usize, &f32)| {
                    let own = slope * f64::from(*weight);
                    let beside = beside.map_or(0.0, |(weight, slopes)| weight * slopes[token]);
                    ((own + beside) / count.max(1) as f64) as f32
                };
                slopes.tokens(weights.iter().enumerate().map(of_token));
            }
            if let Some((weight, triplet)) = triplet {
                let of_token = |slope: &f64| (weight * slope / count.max(1) as f64) as f32;
                slopes.tokens(triplet.anchor.iter().map(of_token));
                self.triplets.push((index, triplet.loss, triplet.anchor.len()));
            }
            term
        } else {
            let drawn = draw.map(|draw| draw.pick(at_start));
            let term = term(objective, pair, log_probs, drawn.as_deref().unwrap_or(at_start), stands_for);
            for (answer, slope) in log_probs.iter().zip(term.coefficients(count)) {
                slopes.answer(slope, answer.len());
            }
            term
        };
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

/// The triplet term of a pair's first two answers and a sampled one, its log-probs and those of the reference.
fn triplet_of(
    term: TripletTerm,
    answers: &[Vec<f32>],
    known: &WeighedTokens,
    (sampled, reference): (&[f32], &[f32]),
) -> Triplet {
    let ratios = |policy: &[f32], reference: &[f32]| -> Vec<f64> {
        policy.iter().zip(reference).map(|(policy, reference)| f64::from(*policy) - f64::from(*reference)).collect()
    };
    let of = |place: usize| ratios(&answers[place], &known.reference[place]);
    Triplet::of(term.margin, &ratios(sampled, reference), &of(0), &of(1))
}

impl WeighedTokens {
    /// Of the drawn answers.
    fn of(&self, draw: &DrawnNegatives) -> Self {
        Self { weights: draw.pick(&self.weights), reference: draw.pick(&self.reference) }
    }
}

/// The objective's judgement of one pair from its answers' log-probs (chosen, then rejected). `weighed`: where its
/// tokens have weights.
pub fn judge(
    objective: &Objective,
    pair: &PairDoc,
    answers: &[Vec<f32>],
    anchor: &[f64],
    weighed: Option<&WeighedTokens>,
) -> PairTerm {
    match weighed {
        Some(weighed) => weighed_term(objective, pair, answers, weighed, 1.0).pair,
        None => term(objective, pair, answers, anchor, 1.0).pair,
    }
}

/// The same with its gradient. `stands_for`: of how many in its pool each rejected answer tells.
fn term(objective: &Objective, pair: &PairDoc, answers: &[Vec<f32>], anchor: &[f64], stands_for: f64) -> Term {
    let answer = |(index, values): (usize, &Vec<f32>)| AnswerLogProbs {
        policy: sum(values),
        reference: anchor.get(index).copied().unwrap_or(f64::NAN),
        tokens: values.len() as f64,
        stands_for,
    };
    let mut answers = answers.iter().enumerate().map(answer);
    let nothing = AnswerLogProbs { policy: f64::NAN, reference: f64::NAN, tokens: 0.0, stands_for };
    let (chosen, rejected) = (answers.next().unwrap_or(nothing), answers.collect::<Vec<_>>());
    objective.evaluate_against(label(pair), chosen, &rejected)
}

fn weighed_term(
    objective: &Objective,
    pair: &PairDoc,
    answers: &[Vec<f32>],
    weighed: &WeighedTokens,
    stands_for: f64,
) -> Term {
    let known = weighed.reference.iter().zip(&weighed.weights);
    let mut answers = answers.iter().zip(known).map(|(policy, (reference, weights))| WeighedAnswer {
        policy,
        reference,
        weights,
        stands_for,
    });
    let nothing = WeighedAnswer { policy: &[f32::NAN], reference: &[f32::NAN], weights: &[1.0], stands_for };
    let (chosen, rejected) = (answers.next().unwrap_or(nothing), answers.collect::<Vec<_>>());
    objective.evaluate_weighed(label(pair), chosen, &rejected)
}

fn label(pair: &PairDoc) -> Label {
    Label { certainty: pair.certainty, reward: pair.reward, behaviour: pair.behaviour }
}
