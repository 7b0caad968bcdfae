//! A step of a run that learns from what it samples: rollout, then the updates that go over it.

use std::time::Instant;

use data::config::{Method, RunConfig};
use kernels::Tensor;
use model::{AdamWState, Doc, Policy, PolicyError};

use crate::{
    dataset::packing::{Packed, pack},
    error::{Result, TrainError},
    loss::{Part, TextTerms},
    rlhf::{
        loss::{PolicyLoss, ValueLoss},
        rollout::{Rollout, no_teacher},
        told::{Updates, metrics},
    },
    run::{
        checkpoint::State,
        context::Context,
        host::CurrentWeights,
        training::{StepReport, Training, Update, closing_metrics, texts},
    },
    step::{Passes, Plan, StepDone, StepEnd, Trainer},
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
    rows: Vec<Packed<Part>>,
    /// What the texts among them count.
    texts: TextTerms,
}

/// What the updates of a step came to.
struct Went {
    updates: Updates,
    done: StepDone,
    texts: TextTerms,
}

impl Training {
    /// The step after `state.step`, as [`Training::step`] does it for pairs.
    pub fn step_of_samples(&mut self, context: &mut Context<'_>) -> Result<StepEnd<Part, StepReport>> {
        let mut next = self.state.clone();
        let drawn = self.draw_pairs(&mut next);
        let prompts = self.prompts(&drawn, &mut next);
        if prompts.is_empty() {
            return Ok(StepEnd::Done(self.pass_over(next)));
        }
        let (started, rested) = (Instant::now(), context.rested);
        context.phase("Sampling answers", None);
        let Some(mut rollout) = self.sample(&prompts, next.step, context)? else {
            return Ok(StepEnd::Stopped);
        };
        if let Some(bad) = rollout.answers().find(|answer| !answer.score.is_finite()) {
            let remark = format!("Step {} was not applied: an answer has the score {}", next.step, bad.score);
            return Ok(StepEnd::Done(self.refused(next, remark)));
        }
        context.phase("Learning from the answers", None);
        let shares = self.shares(&rollout, &mut next)?;
        for share in &shares {
            if self.freeze_log_probs(&mut rollout, &share.rows, context)?.is_break() {
                return Ok(StepEnd::Stopped);
            }
        }
        rollout.judge(&self.config);
        next.episodes += rollout.answers().count() as u64;
        let before = Before::of(&self.trainer, self.rlhf.as_ref().and_then(|rlhf| rlhf.critic.as_ref()))?;
        let went = match self.learn(&rollout, &shares, &next, context)? {
            StepEnd::Done(went) => went,
            StepEnd::Stopped => {
                self.go_back(before)?;
                return Ok(StepEnd::Stopped);
            }
            StepEnd::OutOfMemory { error, alone } => {
                self.go_back(before)?;
                return Ok(StepEnd::OutOfMemory { error, alone });
            }
        };
        if !went.done.updated {
            self.go_back(before)?;
            let remark = format!("Step {} was not applied: its loss or its gradient is not a number", next.step);
            return Ok(StepEnd::Done(self.refused(next, remark)));
        }
        let elapsed = started.elapsed().saturating_sub(context.rested.saturating_sub(rested));
        let policy_loss = went.updates.policy.iter().map(crate::rlhf::loss::Moved::loss).sum::<f64>()
            / went.updates.policy.len().max(1) as f64;
        let mut told = vec![("loss".to_owned(), policy_loss + went.texts.value())];
        told.extend(went.texts.parts().into_iter().map(|(name, _, loss)| (name, loss)));
        told.extend(metrics(&self.config, &rollout, &went.updates, next.episodes));
        let remark = self.worth_saying(&told, &mut next);
        let rate = self.plan::<Part>(&next, &[]).learning_rate;
        told.extend(closing_metrics(&self.trainer, &next, went.done, rate, elapsed));
        self.move_on(next, true, elapsed);
        Ok(StepEnd::Done(StepReport { metrics: told, visits: Vec::new(), update: Update::Made, remark }))
    }

    fn go_back(&mut self, before: Before) -> Result<()> {
        before.restore(&mut self.trainer, self.rlhf.as_mut().and_then(|rlhf| rlhf.critic.as_mut()))
    }

    fn refused(&mut self, next: State, remark: String) -> StepReport {
        self.move_on(next, false, std::time::Duration::ZERO);
        StepReport { metrics: Vec::new(), visits: Vec::new(), update: Update::Refused, remark: Some(remark) }
    }

    /// The updates of a pass.
    fn shares(&self, rollout: &Rollout, next: &mut State) -> Result<Vec<Share>> {
        let (knobs, count, aside) = (self.state.knobs, self.config.train.pairs_per_step, &self.state.aside);
        let (references, retention) = (&self.dataset.references.train, &self.dataset.retention.train);
        let references = texts(knobs.reference_weight, references, &mut next.references, count, &aside.references);
        let retention = texts(knobs.retention_weight, retention, &mut next.retention, count, &aside.retention);
        let share = |groups: Vec<usize>| {
            let answers = groups.iter().map(|&place| (Part::Rollout(place), &rollout.groups[place].doc));
            let beside = references.parts(Part::Reference).chain(retention.parts(Part::Retention));
            let docs: Vec<(Part, &Doc)> = answers.chain(beside).collect();
            let rows = pack(docs, self.state.budget).map_err(PolicyError::from)?;
            Ok(Share { groups, rows, texts: TextTerms::of(&references, &retention) })
        };
        rollout.parts(self.config.rlhf.minibatches).into_iter().map(share).collect()
    }

    /// All updates of the step.
    fn learn(
        &mut self,
        rollout: &Rollout,
        shares: &[Share],
        next: &State,
        context: &mut Context<'_>,
    ) -> Result<StepEnd<Part, Went>> {
        let epochs = self.config.rlhf_epochs();
        let is_warm = self.is_warm(next);
        let scheduled = self.plan::<Part>(next, &[]).learning_rate;
        let mut went = Went {
            updates: Updates::default(),
            done: StepDone { gradient_norm: 0.0, updated: true, passes: Passes::default() },
            texts: TextTerms::default(),
        };
        for _ in 0..epochs {
            for Share { groups, rows, texts } in shares {
                if is_warm {
                    let plan = self.plan(next, rows);
                    let Self { config, trainer, codec, .. } = self;
                    let mut loss = PolicyLoss::new(config, rollout, groups, texts.clone());
                    let mut tick = |policy: &mut Policy| {
                        context.host.before_micro_batch(plan.step, policy)?;
                        context.attend(Some(CurrentWeights { policy, codec }))
                    };
                    match trainer.step(plan, &mut loss, &mut tick)? {
                        StepEnd::Done(done) => went.add(done),
                        StepEnd::Stopped => return Ok(StepEnd::Stopped),
                        StepEnd::OutOfMemory { error, alone } => return out_of_memory(config, error, alone),
                    }
                    went.updates.policy.push(loss.moved);
                    went.texts = loss.texts;
                }
                let Self { config, trainer, codec, rlhf, state, .. } = self;
                let rlhf = rlhf.as_mut().ok_or_else(no_teacher)?;
                if let Some(critic) = &mut rlhf.critic {
                    let rows = rollout.value_rows(groups, config.ppo.reward_at, state.budget)?;
                    let scale = scheduled / config.optimizer.learning_rate;
                    let plan = Plan {
                        step: next.step,
                        rows: &rows,
                        learning_rate: scale * config.critic_learning_rate(),
                        max_grad_norm: config.optimizer.max_grad_norm,
                    };
                    let mut loss = ValueLoss::new(config, rollout, groups);
                    let policy = &trainer.policy;
                    // Whoever asks meanwhile is answered by the policy.
                    let mut tick = |_: &mut Policy| context.attend(Some(CurrentWeights { policy, codec }));
                    match critic.step(plan, &mut loss, &mut tick)? {
                        StepEnd::Done(done) => went.done.updated &= done.updated,
                        StepEnd::Stopped => return Ok(StepEnd::Stopped),
                        StepEnd::OutOfMemory { error, alone } => return out_of_memory(config, error, alone),
                    }
                    went.updates.critic.push(loss.moved);
                }
                if !went.done.updated {
                    return Ok(StepEnd::Done(went));
                }
            }
        }
        Ok(StepEnd::Done(went))
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

impl Went {
    fn add(&mut self, done: StepDone) {
        self.done.gradient_norm = self.done.gradient_norm.max(done.gradient_norm);
        self.done.updated &= done.updated;
        self.done.passes.tokens += done.passes.tokens;
        self.done.passes.recomputed_blocks = self.done.passes.recomputed_blocks.max(done.passes.recomputed_blocks);
    }
}

/// A row of one prompt's answers cannot be made smaller.
fn out_of_memory(config: &RunConfig, error: TrainError, alone: Option<Part>) -> Result<StepEnd<Part, Went>> {
    if let Some(Part::Rollout(_)) = alone {
        return Err(TrainError::Sentence(format!(
            "The {} answers to one prompt do not fit the memory together: {error}. Fewer of them (rlhf.answers_per_prompt) or shorter ones (rlhf.max_tokens) fit",
            config.answers_per_prompt()
        )));
    }
    Ok(StepEnd::OutOfMemory { error, alone })
}
