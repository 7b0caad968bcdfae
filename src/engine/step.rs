//! One optimizer step: log-probs of a step's rows, the objective's gradient for each answer, one update.

use std::time::{Duration, Instant};

use super::{
    anchors::Anchors,
    batches::{Batches, PairDoc, TextDoc},
    budget::Room,
    checkpoint::State,
    error::{EngineError, Result},
    helm::Helm,
    order::Order,
    reference::sum,
    rows::{Packed, pack},
    schedule,
};
use crate::{
    data::{
        PairId,
        config::{Length, RunConfig},
    },
    model::{AdamW, Doc, Policy, PolicyError, Row},
    objective::{Objective, PairLogProbs, PairTerm, TokenMean, summarize},
    store::PairVisit,
    text::Codec,
};

/// What is trained, and everything a step needs besides.
pub struct Trainer {
    pub config: RunConfig,
    pub policy: Policy,
    pub codec: Codec,
    pub optimizer: AdamW,
    pub batches: Batches,
    pub anchors: Anchors,
    pub state: State,
    pub room: Room,
    pub length: Length,
}

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

/// What one step did.
pub struct StepDone {
    /// TRL's names, in the order they are shown.
    pub metrics: Vec<(String, f64)>,
    pub visits: Vec<PairVisit>,
    pub update: Update,
    /// Why the update was not made.
    pub remark: Option<String>,
}

/// What became of a step's update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    Made,
    /// Loss or gradient was no number.
    Refused,
    /// There was nothing to learn from.
    Nothing,
}

/// How a step ended.
pub enum StepEnd {
    Done(StepDone),
    /// Stopped between micro-batches: nothing of this step counts.
    Abandoned,
    /// A row did not fit the memory there is: nothing of this step counts.
    NoRoom {
        error: EngineError,
        /// The document of the row, when it is the only one.
        alone: Option<Part>,
    },
}

/// What the rows of a step added up to.
#[derive(Default)]
struct Tally {
    terms: Vec<(usize, PairTerm)>,
    references: TokenTally,
    retention: TokenTally,
    tokens: usize,
}

#[derive(Default)]
struct TokenTally {
    log_probs: f64,
    tokens: usize,
}

/// What a step will do, decided before its first micro-batch.
struct Plan {
    /// The state after the step.
    next: State,
    objective: Objective,
    /// Indices of the step's pairs, in the order of the shuffle.
    chosen: Vec<usize>,
    reference: TokenMean,
    retention: TokenMean,
    rows: Vec<Packed<Part>>,
}

impl Trainer {
    /// The step after `state.step`. On success the state has moved on; an abandoned step leaves it as it was.
    pub fn step(&mut self, helm: &mut Helm<'_>) -> Result<StepEnd> {
        let plan = self.plan()?;
        if plan.chosen.is_empty() {
            return Ok(StepEnd::Done(self.pass_over(plan)));
        }
        if self.anchor(&plan.chosen, helm)?.is_break() {
            return Ok(StepEnd::Abandoned);
        }
        let started = Instant::now();
        let rested_before = helm.rested;
        self.room.set_others(helm.desk.others());
        self.policy.gradients().zero().map_err(PolicyError::from)?;
        let mut tally = Tally::default();
        for (index, packed) in plan.rows.iter().enumerate() {
            if helm.attend(Some((&self.policy, &self.codec)))?.is_break() {
                return Ok(StepEnd::Abandoned);
            }
            #[cfg(test)]
            let struck = super::fault::strike(helm, plan.next.step);
            #[cfg(not(test))]
            let struck = Ok(());
            self.policy.set_noise(plan.next.step << 20 | index as u64);
            let done = struck
                .and_then(|()| self.make_room(&packed.row))
                .and_then(|()| self.micro_batch(&plan, packed, &mut tally));
            match done {
                Ok(()) => {}
                Err(error) if error.is_out_of_memory() => {
                    let alone = packed.alone();
                    return Ok(StepEnd::NoRoom { error, alone });
                }
                Err(error) => return Err(error),
            }
        }
        // Rows are packed by length; metrics and visits are told in the order of the shuffle.
        tally.terms.sort_by_key(|(i, _)| plan.chosen.iter().position(|c| c == i));
        let squared = self.policy.gradients().norm_squared();
        let gradient_norm = squared.map_err(PolicyError::from)?.sqrt();
        #[cfg(test)]
        let gradient_norm = gradient_norm + super::fault::spoiled_by(helm, plan.next.step);
        let rests = helm.rested.saturating_sub(rested_before);
        self.room.set_others(helm.desk.others());
        self.finish(plan, &tally, gradient_norm, started.elapsed().saturating_sub(rests)).map(StepEnd::Done)
    }

    /// The pairs of a step, in the order of the shuffle.
    pub fn drawn(&self, order: &mut Order, step: u64) -> Vec<usize> {
        let mut drawn = order.take(self.length.pairs_of(step));
        drawn.retain(|index| !self.state.aside.pairs.contains(index));
        drawn
    }

    /// Draws the step's pairs, and `pairs_per_step` reference answers and texts where their weights are not 0.
    fn plan(&self) -> Result<Plan> {
        let mut next = self.state.clone();
        next.step += 1;
        let knobs = self.state.knobs;
        let chosen = self.drawn(&mut next.pairs, next.step);
        let drawn = |count: usize, order: &mut Order, aside: &[usize]| {
            let mut drawn = order.take(count);
            drawn.retain(|index| !aside.contains(index));
            drawn
        };
        // The last step of an epoch may have few pairs; the terms beside them are means of as many texts as ever.
        let texts = |weight: f64| if weight > 0.0 { self.config.train.pairs_per_step } else { 0 };
        let aside = &self.state.aside;
        let references = drawn(texts(knobs.reference_weight), &mut next.references, &aside.references);
        let retention = drawn(texts(knobs.retention_weight), &mut next.retention, &aside.retention);

        let batches = &self.batches;
        let text = |texts: &'_ [TextDoc], i: usize| texts[i].doc.clone();
        let references: Vec<(Part, Doc)> =
            references.into_iter().map(|i| (Part::Reference(i), text(&batches.references.train, i))).collect();
        let retention: Vec<(Part, Doc)> =
            retention.into_iter().map(|i| (Part::Retention(i), text(&batches.retention.train, i))).collect();
        let mean = |weight: f64, docs: &[(Part, Doc)]| TokenMean {
            weight,
            tokens: docs.iter().map(|(_, doc)| doc.answer_tokens()).sum(),
        };
        let docs = chosen
            .iter()
            .map(|&i| (Part::Pair(i), &batches.pairs.train[i].doc))
            .chain(references.iter().chain(&retention).map(|(part, doc)| (*part, doc)));
        Ok(Plan {
            objective: Objective::of(&knobs.turned(&self.config.objective)),
            reference: mean(knobs.reference_weight, &references),
            retention: mean(knobs.retention_weight, &retention),
            rows: pack(docs, self.state.budget).map_err(PolicyError::from)?,
            chosen,
            next,
        })
    }

    /// Looks whether the row fits the memory there is; blocks that do not fit will run their forward again.
    fn make_room(&mut self, row: &Row) -> Result<()> {
        let room = self.room.now(&self.policy);
        self.policy.set_room(room);
        let tokens = row.tokens();
        let needed = self.policy.least_row_bytes(tokens, row.answer_tokens());
        if needed <= room {
            return Ok(());
        }
        Err(EngineError::NoRoom { tokens, needed_mb: needed.div_ceil(1 << 20), room_mb: room >> 20 })
    }

    /// One row forward, the objective's word on each answer, and backward.
    fn micro_batch(&mut self, plan: &Plan, packed: &Packed<Part>, tally: &mut Tally) -> Result<()> {
        let pass = self.policy.forward(&packed.row)?;
        let mut coefficients = Vec::with_capacity(packed.row.scored().len());
        for (part, answers) in packed.by_owner(pass.log_probs()) {
            match part {
                Part::Pair(i) => {
                    let pair = &self.batches.pairs.train[i];
                    let term = judge(&plan.objective, pair, answers, self.anchors.of_pair(i));
                    coefficients.extend(term.coefficients(plan.chosen.len()));
                    tally.terms.push((i, term));
                }
                Part::Reference(_) => {
                    tally.references.add(answers);
                    coefficients.push(plan.reference.coefficient());
                }
                Part::Retention(_) => {
                    tally.retention.add(answers);
                    coefficients.push(plan.retention.coefficient());
                }
            }
        }
        tally.tokens += packed.row.tokens();
        self.policy.backward(pass, &coefficients)?;
        Ok(())
    }

    /// The update, unless loss or gradient is no number, and what is told about the step.
    fn finish(&mut self, plan: Plan, tally: &Tally, gradient_norm: f64, elapsed: Duration) -> Result<StepDone> {
        let loss = losses(tally, &plan);
        let Plan { mut next, chosen, .. } = plan;
        let rate = schedule::learning_rate(&self.config.optimizer, next.step, self.length.steps)
            * next.knobs.learning_rate_scale;
        let finite = gradient_norm.is_finite() && loss.iter().all(|(_, value)| value.is_finite());
        if finite {
            let limit = self.config.optimizer.max_grad_norm;
            let scale = if limit > 0.0 && gradient_norm > limit { limit / gradient_norm } else { 1.0 };
            self.policy.update(&mut self.optimizer, rate, scale)?;
            next.refused = 0;
            // What was measured are the weights as they were before this update.
            next.proven = self.state.step;
        } else {
            next.refused += 1;
        }
        next.wall_ms += elapsed.as_millis() as u64;
        self.state = next;

        let pair_of = |i: usize| self.batches.pairs.train[i].id;
        let remark = (!finite).then(|| {
            let ids: Vec<PairId> = chosen.iter().map(|&i| pair_of(i)).collect();
            refusal(self.state.step, gradient_norm, &loss, &ids)
        });
        let visits = tally.terms.iter().map(|(i, term)| PairVisit {
            pair: pair_of(*i),
            margin: term.margin as f32,
            push: term.push as f32,
        });
        let visits = visits.collect();
        let speed = tally.tokens as f64 / elapsed.as_secs_f64().max(1e-9);
        let memory = self.room.used(&self.policy) as f64 / f64::from(1 << 20);
        let mut metrics = loss;
        metrics.extend(self.pair_metrics(&tally.terms));
        metrics.extend([
            ("grad_norm".to_owned(), gradient_norm),
            ("learning_rate".to_owned(), rate),
            ("epoch".to_owned(), self.state.pairs.epochs()),
            ("tokens_per_sec".to_owned(), speed),
            ("memory_mb".to_owned(), memory),
        ]);
        let update = if finite { Update::Made } else { Update::Refused };
        Ok(StepDone { metrics, visits, update, remark })
    }

    /// A step without a pair: it counts, for the order and for the schedule, but it is no step of the optimizer, whose old
    /// momentum would move the weights though nothing was learnt.
    fn pass_over(&mut self, plan: Plan) -> StepDone {
        self.state = plan.next;
        let step = self.state.step;
        let remark = format!("Step {step} changed nothing: every one of its pairs is set aside");
        let metrics = vec![("epoch".to_owned(), self.state.pairs.epochs())];
        StepDone { metrics, visits: Vec::new(), update: Update::Nothing, remark: Some(remark) }
    }

    /// Whether the weights still give numbers: finite themselves, and the log-probs of a pair with them.
    pub fn gives_numbers(&self) -> Result<bool> {
        if !self.policy.parameters().are_finite()? {
            return Ok(false);
        }
        let pairs = self.batches.pairs.train.iter().enumerate();
        let at_hand = pairs.filter(|(index, _)| !self.state.aside.pairs.contains(index)).map(|(_, pair)| &pair.doc);
        let Some(shortest) = at_hand.min_by_key(|doc| doc.tokens()) else {
            return Ok(true);
        };
        let row = Row::pack(std::slice::from_ref(shortest)).map_err(PolicyError::from)?;
        let log_probs = self.policy.log_probs(&row)?;
        Ok(log_probs.iter().flatten().all(|value| value.is_finite()))
    }

    fn pair_metrics(&self, terms: &[(usize, PairTerm)]) -> Vec<(String, f64)> {
        let anchored: Vec<(PairTerm, &[f64])> =
            terms.iter().map(|&(i, term)| (term, self.anchors.of_pair(i))).collect();
        pair_metrics(&anchored)
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

impl TokenTally {
    fn add(&mut self, answers: &[Vec<f32>]) {
        for values in answers {
            self.log_probs += sum(values);
            self.tokens += values.len();
        }
    }
}

/// `loss` and its parts; a part that is switched off is not told.
fn losses(tally: &Tally, plan: &Plan) -> Vec<(String, f64)> {
    let pairs = tally.terms.len().max(1) as f64;
    let preference = tally.terms.iter().map(|(_, term)| term.loss).sum::<f64>() / pairs;
    let mut total = preference;
    let mut parts = vec![("loss/preference".to_owned(), preference)];
    let terms =
        [("loss/reference", plan.reference, &tally.references), ("loss/retention", plan.retention, &tally.retention)];
    for (name, mean, tally) in terms {
        if tally.tokens > 0 {
            total += mean.term(tally.log_probs);
            parts.push((name.to_owned(), mean.loss(tally.log_probs)));
        }
    }
    parts.insert(0, ("loss".to_owned(), total));
    parts
}

/// Why a step was not applied, with the batch named.
fn refusal(step: u64, gradient_norm: f64, loss: &[(String, f64)], pairs: &[PairId]) -> String {
    let what = loss
        .iter()
        .find(|(_, value)| !value.is_finite())
        .map_or_else(|| format!("the gradient norm is {gradient_norm}"), |(name, value)| format!("{name} is {value}"));
    let ids: Vec<String> = pairs.iter().map(|pair| pair.0.to_string()).collect();
    format!("Step {step} was not applied: {what}. Its pairs: {}", ids.join(", "))
}
