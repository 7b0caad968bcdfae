//! The contrast pair fitted: two short runs on the run's own base.

use std::ops::ControlFlow;

use data::{
    PairSide,
    config::{Contrast, Margin},
    counted,
    metrics::REWARD_MARGIN,
};
use model::{AdamW, Doc, Policy};
use store::LogLevel;

use super::{
    contrast::{self, keep, model_of, name_of},
    unfinished::{Half, Unfinished},
};
use crate::{
    dataset::{documents::PairDoc, inputs, sampler::Sampler},
    error::{Result, TrainError},
    loss::{Batch, BatchLoss, StepDoc, Texts},
    objective::{Dpo, Objective, Smoothing},
    run::{
        context::Context,
        schedule,
        training::{Training, update},
    },
    step::{Plan, StepDone, StepEnd, Trainer},
};

/// Tells the walk over the contrast pair's lessons from the run's own.
const STREAM: u32 = 16;

impl Training {
    /// Of what the run's contrast pair would be fitted on.
    pub(super) fn contrast_name(&self) -> String {
        let pairs = self.dataset.pairs.train.iter().enumerate();
        let to_learn = pairs.filter(|(index, _)| !self.left_out.contains(index)).map(|(_, pair)| pair);
        name_of(&self.state.reference, &self.config, self.contrast_steps(), to_learn)
    }

    fn contrast_steps(&self) -> u64 {
        contrast::steps(&self.config.tis, self.length.steps)
    }

    /// Two short runs on the run's own base, kept in the project under this name. `Break` = stopped meanwhile.
    pub(super) fn fit(&mut self, name: &str, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        contrast::clear(&context.project, Some((context.run, name)));
        let watch = context.watch();
        let mut unfinished = Unfinished::of(context.project.dir(), name, context.run);
        let mut fitted = Vec::with_capacity(2);
        for side in [PairSide::Chosen, PairSide::Rejected] {
            let Some(one) = self.fit_one(side, &mut unfinished, context)? else {
                return Ok(ControlFlow::Break(()));
            };
            fitted.push(one);
        }
        let (Some((negative, on_swapped)), Some((positive, on_pairs))) = (fitted.pop(), fitted.pop()) else {
            return Ok(ControlFlow::Break(()));
        };
        self.state.contrast = Some(keep(&context.project, name, &[positive, negative])?);
        unfinished.forget();
        let steps = counted(self.contrast_steps() as usize, "step", "steps");
        let how = match self.config.tis.contrast {
            Contrast::Dpo => format!(
                "by DPO on the pairs and on the pairs swapped, {steps} each; reward margins {on_pairs:.3} and {on_swapped:.3} at their last steps"
            ),
            Contrast::Sft => format!(
                "on the chosen answers and on the rejected ones, {steps} each; {on_pairs:.3} and {on_swapped:.3} nats a token at their last steps"
            ),
        };
        let secs = watch.elapsed(context).as_secs_f64();
        context.log(LogLevel::Info, format!("Fitted the contrast pair for the token weights {how}. It took {secs:.1} s and stays in the project for other runs on the same pairs"))?;
        Ok(ControlFlow::Continue(()))
    }

    /// One of the two, and what it came to at its last step: reward margin, or loss a token. Goes on where it was
    /// stopped before. `None` = stopped meanwhile.
    fn fit_one(
        &mut self,
        side: PairSide,
        unfinished: &mut Unfinished,
        context: &mut Context<'_>,
    ) -> Result<Option<(Policy, f64)>> {
        let shape = inputs::adapter_shape(&self.config.lora, self.config.train.shuffle_seed);
        let policy = self.trainer.policy.beside(&shape, None)?;
        let optimizer = AdamW::new(policy.parameters(), inputs::adamw(&self.config))?;
        let memory = self.trainer.memory.map(|memory| memory.seen_from(&self.trainer.policy, &policy));
        let mut trainer = Trainer { policy, optimizer, memory };
        if let Some(told) = unfinished.load_done(side, &mut trainer.policy)? {
            return Ok(Some((trainer.policy, told)));
        }
        let steps = self.contrast_steps();
        let mut half = Half::new(self.state.budget);
        if let Some(found) = unfinished.load_half(side, &mut trainer)? {
            let text = format!(
                "Goes on with the contrast pair for the token weights where it was stopped, after {} of the {} steps of {}",
                found.step,
                steps,
                model_of(side)
            );
            context.log(LogLevel::Info, text)?;
            half = found;
        }
        let mut order = Sampler::new(self.dataset.pairs.train.len(), self.config.train.shuffle_seed, STREAM);
        for _ in 0..half.step {
            order.take(self.config.train.pairs_per_step);
        }
        let what = format!("Fitting the contrast pair, {}", model_of(side));
        while half.step < steps {
            context.phase(&what, Some(half.step as f32 / steps as f32));
            let mut met = order.take(self.config.train.pairs_per_step);
            met.retain(|index| !self.left_out.contains(index) && !self.state.aside.pairs.contains(index));
            loop {
                met.retain(|index| !half.aside.contains(index));
                if met.is_empty() {
                    break;
                }
                match self.contrast_step(&mut trainer, side, (&met, half.step + 1, half.budget), context)? {
                    StepEnd::Done((done, value)) if done.updated => {
                        half.told = value;
                        break;
                    }
                    StepEnd::Done(_) => {
                        return Err(TrainError::Sentence(format!(
                            "The contrast pair for the token weights gave a loss or a gradient that is not a number at step {}. A lower tis.learning_rate usually helps",
                            half.step + 1
                        )));
                    }
                    StepEnd::Stopped => {
                        if half.step > 0 {
                            kept(unfinished.keep_half(&trainer, half), context)?;
                        }
                        return Ok(None);
                    }
                    StepEnd::OutOfMemory { alone: Some(StepDoc::Pair(place) | StepDoc::Reference(place)), .. } => {
                        half.aside.push(met[place]);
                    }
                    StepEnd::OutOfMemory { alone: None, .. } if half.budget > 1 => half.budget /= 2,
                    StepEnd::OutOfMemory { error, .. } => return Err(error),
                }
            }
            half.step += 1;
        }
        kept(unfinished.keep_done(side, &trainer.policy, half.told), context)?;
        Ok(Some((trainer.policy, half.told)))
    }

    /// One of its steps, with what it came to.
    fn contrast_step(
        &mut self,
        trainer: &mut Trainer,
        side: PairSide,
        (met, step, budget): (&[usize], u64, usize),
        context: &mut Context<'_>,
    ) -> Result<StepEnd<StepDoc, (StepDone, f64)>> {
        let by_dpo = self.config.tis.contrast == Contrast::Dpo;
        if by_dpo && self.anchor(met, context)?.is_break() {
            return Ok(StepEnd::Stopped);
        }
        let of_pair = |index: &usize| &self.dataset.pairs.train[*index];
        let lessons: Vec<PairDoc> = met.iter().map(|index| contrast::lesson(of_pair(index), side)).collect();
        let texts: Vec<Doc> = met.iter().map(|index| contrast::text(of_pair(index), side)).collect();
        let anchors: Vec<Vec<f64>> = met.iter().map(|&index| lesson_sums(self.anchors.of_pair(index), side)).collect();
        let batch = if by_dpo {
            let docs: Vec<(usize, &Doc)> = lessons.iter().map(|lesson| &lesson.doc).enumerate().collect();
            Batch::pack(&docs, &Texts::default(), &Texts::default(), budget)?
        } else {
            let docs: Vec<(usize, &Doc)> = texts.iter().enumerate().collect();
            Batch::pack(&[], &Texts { weight: 1.0, docs }, &Texts::default(), budget)?
        };
        let optimizer = &self.config.optimizer;
        let peak = self.config.tis.learning_rate.unwrap_or(optimizer.learning_rate);
        let scheduled = schedule::learning_rate(optimizer, step, self.contrast_steps());
        let plan = Plan {
            step,
            rows: &batch.rows,
            learning_rate: peak * scheduled / optimizer.learning_rate,
            max_grad_norm: optimizer.max_grad_norm,
        };
        let (beta, margin) = (self.config.tis.beta, Margin::AnchoredSum);
        let objective = Objective::Dpo(Dpo { beta, margin, smoothing: Smoothing::None });
        let at_start = |place: usize| anchors[place].as_slice();
        let mut loss = BatchLoss::new(&batch, objective, &lessons, &at_start);
        let speaker = Some(&self.trainer.policy);
        let done = match update(trainer, plan, &mut loss, (speaker, &self.codec), context)?.or_end() {
            Ok(done) => done,
            Err(end) => return Ok(end),
        };
        let margin = loss.pair_metrics().into_iter().find(|(name, _)| name == REWARD_MARGIN);
        let value = margin.map_or_else(|| crate::step::Loss::value(&loss), |(_, margin)| margin);
        Ok(StepEnd::Done((done, value)))
    }
}

/// Says what could not be kept of a fit; it is done again then.
fn kept(done: Result<()>, context: &mut Context<'_>) -> Result<()> {
    let Err(error) = done else { return Ok(()) };
    let text = format!("What is fitted of the contrast pair could not be kept for later: {error}");
    context.log(LogLevel::Warning, text)
}

/// Σ log π_ref of a lesson's two answers from those of the pair's.
fn lesson_sums(of_pair: &[f64], side: PairSide) -> Vec<f64> {
    let mut sums: Vec<f64> = of_pair.iter().take(2).copied().collect();
    if side == PairSide::Rejected {
        sums.reverse();
    }
    sums
}
