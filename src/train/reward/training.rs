//! A run that fits a reward model: its steps, and what its scores are like on the way.

use std::ops::ControlFlow;

use data::{
    config::Method,
    metrics::{GRADIENT_NORM, STEP_PAIRS, histogram},
};
use model::{Doc, PolicyError, Reads};
use store::PairVisit;

use crate::{
    dataset::{documents::first, packing::pack_for},
    error::Result,
    loss::StepDoc,
    reward::{
        loss::{RewardLoss, ScoredPair, metrics},
        measure::{ScoreScale, objective, scores, together},
    },
    run::{
        context::Context,
        training::{StepReport, Training, Update, closing_metrics, refusal, update},
    },
    step::{Loss as _, StepEnd},
};

impl Training {
    /// The step after `state.step`, as [`Training::step`] does it for a policy.
    pub fn step_of_scores(&mut self, context: &mut Context<'_>) -> Result<StepEnd<StepDoc, StepReport>> {
        let mut next = self.state.clone();
        let drawn = self.draw_pairs(&mut next);
        if drawn.is_empty() {
            return Ok(StepEnd::Done(self.pass_over(next)));
        }
        let docs = drawn.iter().map(|&index| (StepDoc::Pair(index), &self.dataset.pairs.train[index].doc));
        let rows = pack_for(docs, self.state.budget, Reads::Ends).map_err(PolicyError::from)?;
        let watch = context.watch();
        let plan = self.plan(&next, &rows);
        let Self { config, trainer, codec, dataset, .. } = self;
        let mut loss = RewardLoss::new(objective(config), &dataset.pairs.train, drawn.len());
        let done = match update(trainer, plan, &mut loss, (None, codec), context)?.or_end() {
            Ok(done) => done,
            Err(end) => return Ok(end),
        };
        let elapsed = watch.elapsed(context);
        let scored = loss.scored(&drawn);
        let pairs: Vec<ScoredPair> = scored.iter().map(|&(_, scored)| scored).collect();
        let mut told = metrics(&pairs);
        let id = |index: usize| dataset.pairs.train[index].id;
        let remark = (!done.updated).then(|| {
            let ids: Vec<_> = scored.iter().map(|&(index, _)| id(index)).collect();
            let loss = vec![("loss".to_owned(), loss.value())];
            refusal(next.step, done.gradient_norm, &loss, &ids)
        });
        told.push((GRADIENT_NORM.to_owned(), done.gradient_norm));
        told.push((STEP_PAIRS.to_owned(), pairs.len() as f64));
        told.extend(closing_metrics(trainer, &next, done.passes.tokens, plan.learning_rate, elapsed));
        let visits = scored.iter().map(|&(index, scored)| PairVisit {
            pair: id(index),
            margin: scored.margin() as f32,
            push: scored.slope.abs() as f32,
        });
        let visits = visits.collect();
        let update = if done.updated { Update::Made } else { Update::Refused };
        self.move_on(next, done.updated, elapsed);
        Ok(StepEnd::Done(StepReport { metrics: told, visits, update, remark, sampled: Vec::new() }))
    }

    /// `eval_*` of the held-out pairs; nothing because the run is to stop.
    pub fn evaluate_scores(&self, context: &mut Context<'_>) -> Result<Option<Vec<(String, f64)>>> {
        let pairs = first(&self.dataset.pairs.eval);
        let docs: Vec<&Doc> = pairs.iter().map(|pair| &pair.doc).collect();
        let mut tick = || context.attend(Some(self.weights()));
        let Some(scores) = scores(&self.trainer.policy, &docs, self.state.budget, &mut tick)? else {
            return Ok(None);
        };
        let scored = together(objective(&self.config), pairs, &scores);
        let side = |of: fn(&ScoredPair) -> f64| scored.iter().map(of).collect::<Vec<f64>>();
        let metrics = metrics(&scored).into_iter().map(|(name, value)| (format!("eval_{name}"), value));
        let bins = histogram::bins(&side(|pair| pair.chosen), &side(|pair| pair.rejected));
        Ok(Some(metrics.chain(bins).collect()))
    }

    /// The scale of the scores as the weights are, where it is a reward model that is trained. Whoever asks meanwhile
    /// is answered; it is not cut short, since a checkpoint is of use with it only.
    pub fn scale(&self, context: &mut Context<'_>) -> Result<Option<ScoreScale>> {
        if self.config.objective.kind != Method::Reward {
            return Ok(None);
        }
        let references: Vec<&Doc> = first(self.dataset.references.measured()).iter().map(|text| &text.doc).collect();
        let docs = if references.is_empty() {
            first(&self.dataset.pairs.train).iter().map(|pair| &pair.doc).collect()
        } else {
            references
        };
        let mut tick = || context.attend(Some(self.weights())).map(|_| ControlFlow::Continue(()));
        let scores = scores(&self.trainer.policy, &docs, self.state.budget, &mut tick)?.unwrap_or_default();
        Ok(Some(ScoreScale::of(&scores.concat())))
    }
}
