//! A step of a run that learns from what it samples: rollout, then the updates that go over it.

use data::{PairId, config::Method, metrics::LOSS};
use kernels::Tensor;
use model::{AdamWState, Doc, PolicyError};

use crate::{
    dataset::packing::{Packed, pack},
    error::{Result, TrainError},
    loss::{StepDoc, TextTerms},
    rlhf::{
        loss::{PolicyLoss, ValueLoss},
        rollout::{Rollout, no_teacher, reads},
        told::{SoFar, Updates, metrics},
    },
    run::{
        checkpoint::State,
        context::Context,
        training::{StepReport, Training, Update, closing_metrics, refusal, texts, update},
    },
    step::{Loss as _, Plan, StepEnd, Trainer},
};

/// Nats a token from the reference, where the reward model has never seen the like.
const FAR: f64 = 1.0;
/// A critic that does so much worse than a constant.
const LOST: f64 = -1.0;

/// What a step began with, to go back to where it is stopped between two updates.
struct Before {
    policy: (Vec<(String, Tensor)>, AdamWState),
    critic: Option<(Vec<(String, Tensor)>, AdamWState)>,
}

impl Before {
    fn of(policy: &Trainer, critic: Option<&Trainer>) -> Result<Self> {
        let copy = |trainer: &Trainer| -> Result<_> { Ok((trainer.policy.trainable()?, trainer.optimizer.state()?)) };
        Ok(Self { policy: copy(policy)?, critic: critic.map(copy).transpose()? })
    }

    fn restore(self, policy: &mut Trainer, critic: Option<&mut Trainer>) -> Result<()> {
        let back = |trainer: &mut Trainer, (values, state): (Vec<(String, Tensor)>, AdamWState)| -> Result<()> {
            trainer.policy.set_trainable(&values)?;
            Ok(trainer.optimizer.restore(&state)?)
        };
        back(policy, self.policy)?;
        critic.zip(self.critic).map_or(Ok(()), |(critic, before)| back(critic, before))
    }
}

/// What an update of a pass works on.
struct Share {
    /// Places of its groups in the rollout.
    groups: Vec<usize>,
    /// Their answers, with the texts that hold the policy.
    rows: Vec<Packed<StepDoc>>,
    /// What the texts among them count.
    texts: TextTerms,
}

/// How the updates of a step went.
struct Went {
    updates: Updates,
    /// Of the update that was not made, which ends the step: the loss and the gradient norm.
    refused: Option<(f64, f64)>,
}

impl Training {
    /// The step after `state.step`, as [`Training::step`] does it for pairs.
    pub fn step_of_samples(&mut self, context: &mut Context<'_>) -> Result<StepEnd<StepDoc, StepReport>> {
        let mut next = self.state.clone();
        let drawn = self.draw_pairs(&mut next);
        let asked = self.prompts(&drawn, &mut next);
        if asked.is_empty() {
            return Ok(StepEnd::Done(self.pass_over(next)));
        }
        let watch = context.watch();
        self.trainer.set_others(context.host.others());
        let mut rollout = match self.sample(asked, next.step, context)?.or_end() {
            Ok(rollout) => rollout,
            Err(end) => return Ok(end),
        };
        let unscored = self.unscored(&rollout.drop_unscored(), next.step)?;
        if rollout.groups.is_empty() {
            return Ok(StepEnd::Done(self.refused(next, Update::Unscored, unscored.unwrap_or_default())));
        }
        context.phase("Learning from the answers", None);
        let shares = self.shares(&rollout, &mut next)?;
        for share in &shares {
            if let Err(end) = self.freeze_log_probs(&mut rollout, &share.rows, context)?.or_end() {
                return Ok(end);
            }
        }
        if self.has_not_moved() {
            rollout.check_start()?;
        }
        rollout.judge(&self.config);
        next.episodes += rollout.answers().count() as u64;
        next.sampled_tokens += rollout.read_tokens() as u64;
        let before = Before::of(&self.trainer, self.critic())?;
        let went = match self.learn(&rollout, &shares, &next, context)?.or_end() {
            Ok(went) => went,
            Err(end) => {
                self.go_back(before)?;
                return Ok(rollout.named(end));
            }
        };
        if let Some((loss, norm)) = went.refused {
            self.go_back(before)?;
            let ids: Vec<PairId> = drawn.iter().map(|&index| self.dataset.pairs.train[index].id).collect();
            let remark = refusal(next.step, norm, &[(LOSS.to_owned(), loss)], &ids);
            return Ok(StepEnd::Done(self.refused(next, Update::Refused, remark)));
        }
        let elapsed = watch.elapsed(context);
        let mut told = went.updates.losses(&self.config);
        let secs = next.wall_ms as f64 / 1000.0 + elapsed.as_secs_f64();
        let so_far = SoFar { answers: next.episodes, tokens: next.sampled_tokens, secs };
        told.extend(metrics(&self.config, &rollout, &went.updates, &so_far));
        let remark = unscored.or_else(|| self.worth_saying(&told, &mut next));
        let sampled = self.in_words(&rollout, &context.project);
        let rate = self.plan::<StepDoc>(&next, &[]).learning_rate;
        told.extend(closing_metrics(&self.trainer, &next, went.updates.tokens, rate, elapsed));
        self.move_on(next, true, elapsed);
        Ok(StepEnd::Done(StepReport { metrics: told, visits: Vec::new(), update: Update::Made, remark, sampled }))
    }

    /// The policy is as it was at step 0.
    fn has_not_moved(&self) -> bool {
        self.trainer.optimizer.step() == 0
    }

    fn go_back(&mut self, before: Before) -> Result<()> {
        before.restore(&mut self.trainer, self.rlhf.as_mut().and_then(|rlhf| rlhf.critic.as_mut()))
    }

    fn refused(&mut self, next: State, update: Update, remark: String) -> StepReport {
        self.move_on(next, false, std::time::Duration::ZERO);
        StepReport { metrics: Vec::new(), visits: Vec::new(), update, remark: Some(remark), sampled: Vec::new() }
    }

    /// Three steps in a row had no score to learn from.
    pub fn nothing_is_scored(&self) -> TrainError {
        let whose = self.rlhf.as_ref().map_or(0, |rlhf| rlhf.teacher.run.0);
        TrainError::Sentence(format!(
            "Three steps in a row had no answer that the reward model of run {whose} gives a score that is a number, so there is nothing to learn from. Fit another one and start a new run with it (reward.run); what was learnt so far is saved"
        ))
    }

    /// A sentence about prompts that teach nothing, because the scores of their answers are no numbers.
    fn unscored(&self, dropped: &[StepDoc], step: u64) -> Result<Option<String>> {
        if dropped.is_empty() {
            return Ok(None);
        }
        let number = self.rlhf.as_ref().ok_or_else(no_teacher)?.teacher.run.0;
        let prompts: Vec<String> = dropped.iter().map(|&of| self.asked_of(of)).collect();
        Ok(Some(format!(
            "Step {step} leaves prompts out, because the reward model of run {number} gives an answer a score that is not a number: {}",
            prompts.join(", ")
        )))
    }

    /// The updates of a pass.
    fn shares(&self, rollout: &Rollout, next: &mut State) -> Result<Vec<Share>> {
        let (knobs, count, aside) = (self.state.knobs, self.config.train.pairs_per_step, &self.state.aside);
        let (references, retention) = (&self.dataset.references.train, &self.dataset.retention.train);
        let references = texts(knobs.reference_weight, references, &mut next.references, count, &aside.references);
        let retention = texts(knobs.retention_weight, retention, &mut next.retention, count, &aside.retention);
        let share = |groups: Vec<usize>| {
            let answers = groups.iter().map(|&place| (StepDoc::Rollout(place), &rollout.groups[place].doc));
            let beside = references.parts(StepDoc::Reference).chain(retention.parts(StepDoc::Retention));
            let docs: Vec<(StepDoc, &Doc)> = answers.chain(beside).collect();
            let rows = pack(docs, self.state.budget).map_err(PolicyError::from)?;
            Ok(Share { groups, rows, texts: TextTerms::of(&references, &retention) })
        };
        rollout.parts(self.config.rlhf.minibatches).into_iter().map(share).collect()
    }

    /// All updates of the step, up to the first that cannot be made.
    fn learn(
        &mut self,
        rollout: &Rollout,
        shares: &[Share],
        next: &State,
        context: &mut Context<'_>,
    ) -> Result<StepEnd<StepDoc, Went>> {
        let (epochs, is_warm, is_first) = (self.config.rlhf_epochs(), self.is_warm(next), self.has_not_moved());
        let scheduled = self.plan::<StepDoc>(next, &[]).learning_rate;
        let mut updates = Updates::default();
        for Share { groups, rows, texts } in (0..epochs).flat_map(|_| shares) {
            if is_warm {
                let plan = self.plan(next, rows);
                let Self { config, trainer, codec, .. } = self;
                let mut loss = PolicyLoss::new(config, rollout, groups, texts.clone());
                let done = match update(trainer, plan, &mut loss, (None, codec), context)?.or_end() {
                    Ok(done) => done,
                    Err(end) => return Ok(end),
                };
                if !done.updated {
                    return Ok(StepEnd::Done(Went { updates, refused: Some((loss.value(), done.gradient_norm)) }));
                }
                if is_first && updates.policy.is_empty() {
                    loss.moved.check_start()?;
                }
                updates.policy_norm = updates.policy_norm.max(done.gradient_norm);
                updates.tokens += done.passes.tokens;
                updates.policy.push(loss.moved);
                updates.texts.push(loss.texts);
            }
            let Self { config, trainer, codec, rlhf, state, .. } = self;
            let Some(critic) = &mut rlhf.as_mut().ok_or_else(no_teacher)?.critic else { continue };
            let rows = rollout.rows(groups, reads(config.ppo.reward_at), state.budget)?;
            let plan = Plan {
                step: next.step,
                rows: &rows,
                learning_rate: scheduled / config.optimizer.learning_rate * config.critic_learning_rate(),
                max_grad_norm: config.optimizer.max_grad_norm,
            };
            let mut loss = ValueLoss::new(config, rollout, groups);
            let done = match update(critic, plan, &mut loss, (Some(&trainer.policy), codec), context)?.or_end() {
                Ok(done) => done,
                Err(end) => return Ok(end),
            };
            if !done.updated {
                return Ok(StepEnd::Done(Went { updates, refused: Some((loss.value(), done.gradient_norm)) }));
            }
            updates.critic_norm = updates.critic_norm.max(done.gradient_norm);
            updates.tokens += done.passes.tokens;
            updates.critic.push(loss.moved);
        }
        Ok(StepEnd::Done(Went { updates, refused: None }))
    }

    /// A sentence about a policy that leaves its reference behind, or a critic that foresees nothing; each once.
    fn worth_saying(&self, told: &[(String, f64)], next: &mut State) -> Option<String> {
        let value = |name: &str| told.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        let step = next.step;
        let a_token = value("objective/kl").zip(value("completions/mean_length")).map(|(kl, length)| kl / length);
        if let Some(kl) = a_token.filter(|kl| kl.abs() > FAR && !next.said_far) {
            next.said_far = true;
            return Some(format!(
                "Step {step}: answers are {kl:.1} nats a token from the reference, where scores mean little. A larger rlhf.kl_coef or a smaller learning rate holds it, from an earlier checkpoint (a fork) or from the start; train.kl_limit stops a run by itself"
            ));
        }
        let is_lost = |share: &f64| *share < LOST && self.is_warm(next) && !next.said_lost;
        let share = value("value/explained_variance").filter(is_lost)?;
        next.said_lost = true;
        Some(format!(
            "Step {step}: the critic does worse than a constant (explained variance {share:.1}), so it adds noise. A smaller ppo.critic_learning_rate or a longer ppo.critic_warmup helps; RLOO needs no critic"
        ))
    }

    /// Whether the policy learns in the step that `next` is the state after, or the critic alone.
    fn is_warm(&self, next: &State) -> bool {
        self.config.objective.kind != Method::Ppo || next.step > next.critic_began + self.config.ppo.critic_warmup
    }
}
