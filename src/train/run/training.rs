//! A step of a run: which documents are its turn, and what is told about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

use data::{
    MEGABYTE, PairId,
    config::{Done, Length, Method, RunConfig, TrainConfig},
    metrics::{EPOCH, GRADIENT_NORM, IMPORTANCE_SHARE, STEP_PAIRS, STEP_TOKENS, TOKENS_PER_SEC},
};
use model::{Doc, Policy, PolicyError};
use store::{PairVisit, SampledGroup};
use text::Codec;

use crate::{
    dataset::{
        documents::{Dataset, TextDoc},
        negatives::DrawnNegatives,
        packing::{Packed, pack_for},
        sampler::Sampler,
    },
    error::Result,
    importance::{Anchor, Weigher, weigher::weighs_each_step},
    loss::{Batch, BatchLoss, StepDoc, Texts, TripletTerm},
    measure::anchors::Anchors,
    objective::Objective,
    reward,
    rlhf::Rlhf,
    run::{checkpoint::State, context::Context, host::CurrentWeights, joining::Joining, schedule},
    step::{Loss, Plan, StepDone, StepEnd, Trainer},
};

/// A run at work: what is trained, on what, and how far it is.
pub struct Training {
    pub config: RunConfig,
    pub trainer: Trainer,
    pub codec: Codec,
    pub dataset: Dataset,
    pub anchors: Anchors,
    /// Where tokens have weights of their own.
    pub weigher: Option<Weigher>,
    pub state: State,
    pub length: Length,
    /// Pairs that the run does not train on, by their place in the training data.
    pub left_out: BTreeSet<usize>,
    pub joining: Joining,
    /// Where it learns from what it samples.
    pub rlhf: Option<Rlhf>,
}

/// A step that is still to be done: places in the training data, in the order in which they are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct StepAhead {
    pub step: u64,
    pub learning_rate: f64,
    pub pairs: Vec<usize>,
    pub references: Vec<usize>,
    pub retention: Vec<usize>,
}

/// What is told of a step.
pub struct StepReport {
    /// TRL's names, in the order they are shown.
    pub metrics: Vec<(String, f64)>,
    pub visits: Vec<PairVisit>,
    pub update: Update,
    /// Why the update was not made.
    pub remark: Option<String>,
    /// What was sampled to learn from.
    pub sampled: Vec<SampledGroup>,
}

/// What became of a step's update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    Made,
    /// Loss or gradient was no number.
    Refused,
    /// The reward model gave no sampled answer a score that is a number.
    Unscored,
    /// There was nothing to learn from.
    Nothing,
}

impl Training {
    /// The step after `state.step`. When it is done the state has moved on, else it is what it was.
    pub fn step(&mut self, context: &mut Context<'_>) -> Result<StepEnd<StepDoc, StepReport>> {
        if self.config.objective.kind == Method::Reward {
            return self.step_of_scores(context);
        }
        if self.config.objective.kind.samples() {
            return self.step_of_samples(context);
        }
        let (watch, once) = (context.watch(), self.anchors.spent());
        let mut next = self.state.clone();
        let met = self.draw_pairs(&mut next);
        let Some(sampled) = self.sample_anchors(&met, next.step, context)? else {
            return Ok(StepEnd::Stopped);
        };
        let batch = self.pack(&mut next, met, sampled)?;
        if batch.pairs.is_empty() {
            return Ok(StepEnd::Done(self.pass_over(next)));
        }
        if self.anchor(&batch.pairs, context)?.is_break() {
            return Ok(StepEnd::Stopped);
        }
        match self.weigh(&batch.pairs, context)?.or_end() {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(StepEnd::Stopped),
            Err(end) => return Ok(end),
        }
        let plan = self.plan(&next, &batch.rows);
        let Self { config, trainer, codec, dataset, anchors, weigher, state, .. } = self;
        let at_start = |index| anchors.of_pair(index);
        let weighed = |index| weigher.as_ref()?.of_pair(index);
        let objective = Objective::of(&state.knobs.turned(&config.objective));
        let mut loss = BatchLoss::new(&batch, objective, &dataset.pairs.train, &at_start).weighed(&weighed);
        let triplet = TripletTerm { weight: config.ti.triplet_weight, margin: config.ti.triplet_margin };
        loss = loss.with_triplet(config.has_triplet().then_some(triplet));
        let done = match update(trainer, plan, &mut loss, (None, codec), context)?.or_end() {
            Ok(done) => done,
            Err(end) => return Ok(end),
        };
        // What a pair costs once is no part of a step.
        let elapsed = watch.elapsed(context).saturating_sub(anchors.spent().saturating_sub(once));
        let mut told = tell(trainer, dataset, &loss, &next, (done, plan.learning_rate, elapsed));
        let share = weigher.as_ref().filter(|_| weighs_each_step(config)).map(|weigher| weigher.share_of(elapsed));
        told.metrics.extend(share.map(|share| (IMPORTANCE_SHARE.to_owned(), share)));
        self.move_on(next, done.updated, elapsed);
        Ok(StepEnd::Done(told))
    }

    /// Whether what is trained gives text, and no scores.
    pub fn speaks(&self) -> bool {
        self.config.objective.kind != Method::Reward
    }

    /// Of PPO.
    pub fn critic(&self) -> Option<&Trainer> {
        self.rlhf.as_ref()?.critic.as_ref()
    }

    pub fn weights(&self) -> CurrentWeights<'_> {
        CurrentWeights { policy: &self.trainer.policy, codec: &self.codec }
    }

    /// The pairs of a step, in the order of the shuffle.
    pub fn drawn(&self, order: &mut Sampler, step: u64) -> Vec<usize> {
        let most = if self.joining.ends_epoch(step) { order.left() } else { usize::MAX };
        let mut drawn = order.take(self.length.pairs_of(step).min(most));
        drawn.retain(|index| !self.state.aside.pairs.contains(index) && !self.left_out.contains(index));
        drawn
    }

    /// What the step that `next` is the state after works on, and how far it goes.
    pub(crate) fn plan<'r, K>(&self, next: &State, rows: &'r [Packed<K>]) -> Plan<'r, K> {
        let optimizer = &self.config.optimizer;
        let scheduled = schedule::learning_rate(optimizer, next.step, self.length.steps);
        Plan {
            step: next.step,
            rows,
            learning_rate: next.knobs.learning_rate_scale * scheduled,
            max_grad_norm: optimizer.max_grad_norm,
        }
    }

    /// Moves `next` on by a step and draws its pairs.
    pub(crate) fn draw_pairs(&self, next: &mut State) -> Vec<usize> {
        next.step += 1;
        let drawn = self.drawn(&mut next.pairs, next.step);
        if self.joining.ends_epoch(next.step)
            && let Some(epochs) = next.pairs.at_border()
        {
            next.done = Done { steps: next.step, epochs };
        }
        drawn
    }

    /// The step's pairs as rows, each with what was sampled to its prompt, and with `pairs_per_step` reference answers
    /// and texts where their weights are not 0. Moves `next` on by these.
    fn pack(&self, next: &mut State, met: Vec<usize>, sampled: BTreeMap<usize, Anchor>) -> Result<Batch> {
        let train = &self.dataset.pairs.train;
        let (most, seed) = (self.config.objective.negatives_max, self.config.train.shuffle_seed);
        let draw = |index: &usize| Some((*index, DrawnNegatives::of(&train[*index], most, seed, next.step)?));
        let draws: BTreeMap<usize, DrawnNegatives> = met.iter().filter_map(draw).collect();
        let drawn = |index: usize| draws.get(&index).map_or(&train[index].doc, |draw| &draw.doc);
        let with_sampled = |(index, anchor): (&usize, &Anchor)| {
            let mut doc = drawn(*index).clone();
            doc.continuations.push(anchor.ids.clone().into());
            (*index, doc)
        };
        let longer: BTreeMap<usize, Doc> = sampled.iter().map(with_sampled).collect();
        let doc = |index: usize| longer.get(&index).unwrap_or_else(|| drawn(index));
        let pairs: Vec<(usize, &Doc)> = met.into_iter().map(|index| (index, doc(index))).collect();
        let [references, retention] = self.draw_texts(next);
        let batch = Batch::pack(&pairs, &references, &retention, self.state.budget)?;
        let reference = sampled.into_iter().map(|(index, anchor)| (index, anchor.reference)).collect();
        Ok(batch.with_draws(draws).with_sampled(reference))
    }

    /// Reference answers and retention text of the step that `next` is the state after. Moves `next` on by these.
    fn draw_texts(&self, next: &mut State) -> [Texts<'_>; 2] {
        // The last step of an epoch may have few pairs; the terms beside them are means of as many texts as ever.
        let count = self.config.train.pairs_per_step;
        let (knobs, aside, dataset) = (self.state.knobs, &self.state.aside, &self.dataset);
        [
            texts(knobs.reference_weight, &dataset.references.train, &mut next.references, count, &aside.references),
            texts(knobs.retention_weight, &dataset.retention.train, &mut next.retention, count, &aside.retention),
        ]
    }

    /// What the step after `state.step` would work on, and how far it would go. The state moves on as if it was done.
    pub fn pass_ahead(&mut self) -> StepAhead {
        let mut next = self.state.clone();
        let pairs = self.draw_pairs(&mut next);
        let places = |texts: &Texts<'_>| texts.docs.iter().map(|(index, _)| *index).collect();
        let [references, retention] = self.draw_texts(&mut next).each_ref().map(places);
        let Plan { step, learning_rate, .. } = self.plan::<StepDoc>(&next, &[]);
        self.enter(next);
        StepAhead { step, learning_rate, pairs, references, retention }
    }

    /// The state after a step that was done.
    pub(crate) fn move_on(&mut self, mut next: State, updated: bool, elapsed: Duration) {
        if updated {
            next.refused = 0;
            // What was measured are the weights as they were before this update.
            next.proven = self.state.step;
        } else {
            next.refused += 1;
        }
        if let Some(critic) = self.critic() {
            next.critic_updates = critic.optimizer.step();
        }
        next.wall_ms += elapsed.as_millis() as u64;
        self.enter(next);
    }

    /// Where the state counts its length anew, so does the run.
    pub fn enter(&mut self, next: State) {
        let is_anew = next.done != self.state.done;
        self.state = next;
        if is_anew {
            self.length = self.measure_length();
        }
    }

    /// How long the run is by its settings, from what it trains on now.
    pub fn measure_length(&self) -> Length {
        length(&self.config.train, &self.state, self.dataset.pairs.train.len())
    }

    /// A step without a pair: it counts, for the order and for the schedule, but it is no step of the optimizer, whose
    /// old momentum would move the weights though nothing was learnt.
    pub(crate) fn pass_over(&mut self, next: State) -> StepReport {
        self.enter(next);
        let step = self.state.step;
        let remark = format!("Step {step} changed nothing: every one of its pairs is set aside or left out");
        let metrics = vec![(EPOCH.to_owned(), self.state.pairs.epochs())];
        StepReport { metrics, visits: Vec::new(), update: Update::Nothing, remark: Some(remark), sampled: Vec::new() }
    }

    /// Whether the weights still give numbers: finite themselves, and the log-probs of a pair with them.
    pub fn gives_numbers(&self) -> Result<bool> {
        let policy = &self.trainer.policy;
        if !policy.parameters().are_finite()? {
            return Ok(false);
        }
        let pairs = self.dataset.pairs.train.iter().enumerate();
        let at_hand = pairs.filter(|(index, _)| !self.state.aside.pairs.contains(index)).map(|(_, pair)| &pair.doc);
        let Some(shortest) = at_hand.min_by_key(|doc| doc.tokens()) else {
            return Ok(true);
        };
        let docs = [((), shortest)];
        let rows =
            pack_for(docs, shortest.tokens(), reward::measure::reads(&self.config)).map_err(PolicyError::from)?;
        for packed in rows {
            if policy.log_probs(&packed.row)?.iter().flatten().any(|value| !value.is_finite()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// One update of what `trainer` trains, the same in every kind of step. Whoever asks meanwhile is answered by
/// `speaker`, or by what is trained.
pub(crate) fn update(
    trainer: &mut Trainer,
    plan: Plan<'_, StepDoc>,
    loss: &mut dyn Loss<StepDoc>,
    (speaker, codec): (Option<&Policy>, &Codec),
    context: &mut Context<'_>,
) -> Result<StepEnd<StepDoc>> {
    trainer.set_others(context.host.others());
    let mut tick = |policy: &mut Policy| {
        context.host.before_micro_batch(plan.step, policy)?;
        context.attend(Some(CurrentWeights { policy: speaker.unwrap_or(policy), codec }))
    };
    let end = trainer.step(plan, loss, &mut tick)?;
    trainer.set_others(context.host.others());
    Ok(end)
}

/// How long a run is that goes on from `state` with so many pairs to train on.
pub fn length(config: &TrainConfig, state: &State, pairs: usize) -> Length {
    let length = Length::after(state.done, config, pairs);
    if state.pairs.keeps_epochs() { length } else { length.in_whole_steps() }
}

/// Reference answers or retention text of a step.
pub(crate) fn texts<'d>(
    weight: f64,
    docs: &'d [TextDoc],
    order: &mut Sampler,
    count: usize,
    aside: &[usize],
) -> Texts<'d> {
    let mut drawn = if weight > 0.0 { order.take(count) } else { Vec::new() };
    drawn.retain(|index| !aside.contains(index));
    Texts { weight, docs: drawn.into_iter().map(|index| (index, &docs[index].doc)).collect() }
}

/// What is told about a step, `next` being the state after it.
fn tell(
    trainer: &Trainer,
    dataset: &Dataset,
    loss: &BatchLoss<'_>,
    next: &State,
    (done, rate, elapsed): (StepDone, f64, Duration),
) -> StepReport {
    let pair_of = |index: usize| dataset.pairs.train[index].id;
    let terms = loss.terms();
    let mut metrics = loss.metrics();
    let remark = (!done.updated).then(|| {
        let ids: Vec<PairId> = terms.iter().map(|&(index, _)| pair_of(index)).collect();
        refusal(next.step, done.gradient_norm, &metrics, &ids)
    });
    metrics.extend(loss.pair_metrics());
    metrics.push((GRADIENT_NORM.to_owned(), done.gradient_norm));
    metrics.push((STEP_PAIRS.to_owned(), terms.len() as f64));
    metrics.extend(closing_metrics(trainer, next, done.passes.tokens, rate, elapsed));
    let visits = terms.iter().map(|&(index, term)| PairVisit {
        pair: pair_of(index),
        margin: term.margin as f32,
        push: term.push as f32,
    });
    let update = if done.updated { Update::Made } else { Update::Refused };
    StepReport { metrics, visits: visits.collect(), update, remark, sampled: Vec::new() }
}

/// What every step tells, whatever it learns from. `tokens`: computed in it.
pub(crate) fn closing_metrics(
    trainer: &Trainer,
    next: &State,
    tokens: usize,
    rate: f64,
    elapsed: Duration,
) -> [(String, f64); 5] {
    [
        ("learning_rate".to_owned(), rate),
        (EPOCH.to_owned(), next.pairs.epochs()),
        (STEP_TOKENS.to_owned(), tokens as f64),
        (TOKENS_PER_SEC.to_owned(), tokens as f64 / elapsed.as_secs_f64().max(1e-9)),
        ("memory_mb".to_owned(), trainer.used_bytes() as f64 / MEGABYTE as f64),
    ]
}

/// Why a step was not applied, with the batch named.
pub(crate) fn refusal(step: u64, gradient_norm: f64, loss: &[(String, f64)], pairs: &[PairId]) -> String {
    let what = loss
        .iter()
        .find(|(_, value)| !value.is_finite())
        .map_or_else(|| format!("the gradient norm is {gradient_norm}"), |(name, value)| format!("{name} is {value}"));
    let ids: Vec<String> = pairs.iter().map(|pair| pair.0.to_string()).collect();
    format!("Step {step} was not applied: {what}. Its pairs: {}", ids.join(", "))
}
