//! A step of a run that fits a reward model.

use data::metrics::GRADIENT_NORM;
use model::{PolicyError, Reads};
use store::PairVisit;

use crate::{
    dataset::packing::pack_for,
    error::Result,
    loss::Part,
    reward::{
        loss::{RewardLoss, ScoredPair, metrics},
        measure::objective,
    },
    run::{
        context::Context,
        training::{StepReport, Training, Update, closing_metrics, refusal, update},
    },
    step::{Loss as _, StepEnd},
};

impl Training {
    /// The step after `state.step`, as [`Training::step`] does it for a policy.
    pub fn step_of_scores(&mut self, context: &mut Context<'_>) -> Result<StepEnd<Part, StepReport>> {
        let mut next = self.state.clone();
        let drawn = self.draw_pairs(&mut next);
        if drawn.is_empty() {
            return Ok(StepEnd::Done(self.pass_over(next)));
        }
        let docs = drawn.iter().map(|&index| (Part::Pair(index), &self.dataset.pairs.train[index].doc));
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
}
