//! The step-0 log-probs that a run is measured against, each computed when the run first needs it.
//!
//! A step computes those of its own pairs, an evaluation those that it uses. With full weights the reference is gone
//! after the first step, so all that the run will visit are computed before it.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use data::config::Method;
use model::{Doc, Policy};
use store::LogLevel;

use crate::{
    dataset::{
        documents::{PairDoc, first},
        sampler::Sampler,
    },
    error::{Result, TrainError},
    measure::{
        golden,
        log_probs::{LogProbs, Sums, sums},
        reference::ReferenceSource,
    },
    objective::Objective,
    reward,
    run::{context::Context, host::CurrentWeights, training::Training},
};

/// What lasts no longer needs no word.
const LONG: Duration = Duration::from_secs(1);

impl Training {
    /// Looks that the policy is its own reference, on the pairs of the step that comes next. The policy must be at step
    /// 0; `next`: the order of the pairs from where the run goes on. `Break` = stopped meanwhile.
    pub fn check_start(&mut self, next: &Sampler, step: u64, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        let chosen = self.drawn(&mut next.clone(), step);
        if self.config.objective.kind == Method::Reward {
            let pairs: Vec<PairDoc> = chosen.iter().map(|&i| self.dataset.pairs.train[i].clone()).collect();
            reward::measure::check_start(&mut self.trainer.policy, &self.config, &pairs, self.state.budget)?;
            return Ok(ControlFlow::Continue(()));
        }
        let objective = Objective::of(&self.state.knobs.turned(&self.config.objective));
        for attempt in 0.. {
            if self.anchor(&chosen, context)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.weigh(&chosen, context)?.done()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let pairs: Vec<PairDoc> =
                chosen.iter().take(golden::PAIRS).map(|&i| self.dataset.pairs.train[i].clone()).collect();
            let anchors: Sums = chosen.iter().map(|&i| self.anchors.of_pair(i).to_vec()).collect();
            let weighed = |place: usize| self.weigher.as_ref()?.of_pair(chosen[place]).cloned();
            match golden::check(&self.trainer.policy, &objective, &pairs, &anchors, &weighed, self.state.budget) {
                Err(TrainError::Golden(_)) if attempt == 0 && self.anchors.computed < self.anchors.known => {
                    self.forget_cached(context)?;
                }
                checked => return checked.map(|_| ControlFlow::Continue(())),
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Cached values that are not those of this model were written by mistake; nothing in the cache is relied on then.
    fn forget_cached(&mut self, context: &mut Context<'_>) -> Result<()> {
        let pairs = self.dataset.pairs.train.iter().chain(&self.dataset.pairs.eval).map(|pair| &pair.doc);
        let references = self.dataset.references.train.iter().chain(&self.dataset.references.eval);
        let docs = pairs.chain(references.map(|text| &text.doc));
        self.state.reference.forget(&mut self.anchors.cache, docs)?;
        self.anchors.train.fill(None);
        (self.anchors.known, self.anchors.computed) = (0, 0);
        context.log(
            LogLevel::Warning,
            "Cached reference log-probs are not those of this model; they are forgotten and computed again",
        )
    }

    /// What full weights need before they move: the values of all that the run will visit and measure. `Break` =
    /// stopped meanwhile.
    pub fn anchor_ahead(&mut self, next: &Sampler, first: u64, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        let mut order = next.clone();
        let steps = first..=self.length.steps;
        let visits = steps.clone().count().saturating_mul(self.config.train.pairs_per_step);
        let to_visit = self.anchors.train.len().min(visits).max(1);
        for step in steps {
            if self.anchors.known == self.anchors.train.len() {
                break;
            }
            let chosen = self.drawn(&mut order, step);
            context.phase("Computing reference log-probs", Some(self.anchors.known as f32 / to_visit as f32));
            if self.anchor(&chosen, context)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let measured = self.anchor_held_out(context)?.is_break() || self.anchor_references(context)?.is_break();
        Ok(if measured { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// The same for pairs that join a run of full weights on its way: `start`, its start model, is loaded once more and
    /// let go of again. `Break` = stopped meanwhile.
    pub fn anchor_ahead_with(&mut self, start: Policy, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        let trained = std::mem::replace(&mut self.trainer.policy, start);
        self.anchors.stand_in = true;
        let next = self.state.pairs.clone();
        let done = self.anchor_ahead(&next, self.state.step + 1, context);
        self.anchors.stand_in = false;
        self.trainer.policy = trained;
        done
    }

    /// Finds or computes the values of a step's pairs. `Break` = stopped meanwhile.
    pub fn anchor(&mut self, chosen: &[usize], context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        if chosen.iter().all(|&i| self.anchors.train[i].is_some()) {
            return Ok(ControlFlow::Continue(()));
        }
        let docs = |training: &Self| chosen.iter().map(|&i| training.dataset.pairs.train[i].doc.clone()).collect();
        let Some((log_probs, computed)) = self.at_start(docs, context)? else {
            return Ok(ControlFlow::Break(()));
        };
        for ((&index, sums), answers) in chosen.iter().zip(sums(&log_probs)).zip(&log_probs) {
            if let Some(weigher) = &mut self.weigher {
                weigher.anchor(index, answers);
            }
            if self.anchors.train[index].is_none() {
                self.anchors.train[index] = Some(sums);
                self.anchors.known += 1;
            }
        }
        self.anchors.computed += computed;
        Ok(ControlFlow::Continue(()))
    }

    /// The same for the held-out pairs that an evaluation uses. Gives their log-probs where they were not here before.
    pub fn anchor_held_out(&mut self, context: &mut Context<'_>) -> Result<ControlFlow<(), Option<LogProbs>>> {
        if self.anchors.eval.is_some() {
            return Ok(ControlFlow::Continue(None));
        }
        let docs = |training: &Self| first(&training.dataset.pairs.eval).iter().map(|pair| pair.doc.clone()).collect();
        let Some((log_probs, _)) = self.at_start(docs, context)? else {
            return Ok(ControlFlow::Break(()));
        };
        self.anchors.eval = Some(sums(&log_probs));
        if let Some(weigher) = &mut self.weigher {
            weigher.anchor_held_out(&log_probs);
        }
        Ok(ControlFlow::Continue(Some(log_probs)))
    }

    /// The same for the reference answers that an evaluation uses.
    pub fn anchor_references(&mut self, context: &mut Context<'_>) -> Result<ControlFlow<(), Option<LogProbs>>> {
        if self.anchors.references.is_some() {
            return Ok(ControlFlow::Continue(None));
        }
        let docs = |training: &Self| {
            let measured = first(training.dataset.references.measured());
            measured.iter().map(|text| text.doc.clone()).collect()
        };
        let Some((log_probs, _)) = self.at_start(docs, context)? else {
            return Ok(ControlFlow::Break(()));
        };
        self.anchors.references = Some(sums(&log_probs));
        Ok(ControlFlow::Continue(Some(log_probs)))
    }

    /// log π_ref of some documents and how many of them were not in the cache. `None` = stopped meanwhile.
    fn at_start(
        &mut self,
        docs: impl FnOnce(&Self) -> Vec<Doc>,
        context: &mut Context<'_>,
    ) -> Result<Option<(LogProbs, usize)>> {
        let docs = docs(self);
        let docs: Vec<&Doc> = docs.iter().collect();
        let (begun, rested) = (Instant::now(), context.rested);
        let Self { trainer, codec, anchors, state, .. } = self;
        let mut source = ReferenceSource {
            cache: &mut anchors.cache,
            policy: &mut trainer.policy,
            origin: &anchors.origin,
            budget: state.budget,
        };
        let stand_in = anchors.stand_in;
        let mut failed = None;
        let found = state.reference.log_probs(&mut source, &docs, &mut |policy, done| {
            if begun.elapsed() > LONG {
                context.phase("Computing reference log-probs", Some(done));
            }
            context.attend((!stand_in).then_some(CurrentWeights { policy, codec })).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        anchors.spent += begun.elapsed().saturating_sub(context.rested.saturating_sub(rested));
        if let Some(error) = failed {
            return Err(error);
        }
        let Some(found) = found else {
            return Ok(None);
        };
        if found.damaged > 0 {
            let text = format!("{} cached reference log-probs were damaged and are computed again", found.damaged);
            context.log(LogLevel::Warning, text)?;
        }
        Ok(Some((found.log_probs, found.computed)))
    }
}
