//! The answers of a step: sampled, scored, and everything about them that stays as it was while the updates go over
//! them.

use std::time::Duration;

use data::config::{KlEstimator, Method, RewardAt, RunConfig};
use model::{Doc, GenerateOptions, Policy, PolicyError, Reads, Sampling};

use crate::{
    dataset::packing::{Packed, pack_for},
    error::{Result, TrainError},
    loss::StepDoc,
    measure::{golden::TOLERANCE_PER_TOKEN, log_probs::sum},
    rlhf::{
        advantages::{Gae, Penalty, in_group, kl_of, leave_one_out, token_rewards, whiten},
        prompts::RolloutPrompt,
    },
    run::{context::Context, host::RolloutStage, training::Training},
    step::StepEnd,
};

/// A prompt and the answers sampled to it.
pub struct RolloutGroup {
    /// What its prompt is of.
    pub of: StepDoc,
    /// The prompt and its answers, each with the token that ended it.
    pub doc: Doc,
    pub answers: Vec<RolloutAnswer>,
}

/// What is frozen about an answer.
#[derive(Debug, Clone, Default)]
pub struct RolloutAnswer {
    /// It ended by itself.
    pub ended: bool,
    /// In standard deviations of the reward model, clipped, less the penalty where it did not end.
    pub score: f64,
    /// log π_old of each token.
    pub old: Vec<f32>,
    /// log π_ref of each token.
    pub reference: Vec<f32>,
    /// Over the whole vocabulary, as it sampled; absent where the model's head gives no such numbers.
    pub whole: Option<Whole>,
    /// What the critic expected before each token, and behind the last where that has a slot.
    pub values: Vec<f64>,
    /// One for each token; of RLOO and GRPO the same for all.
    pub advantages: Vec<f64>,
    /// What the critic is taught, for each of `values`.
    pub returns: Vec<f64>,
}

/// Summed over an answer's tokens, nats.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whole {
    /// Σ H(π).
    pub entropy: f64,
    /// Σ KL(π ‖ π_ref).
    pub kl: f64,
}

impl RolloutAnswer {
    /// Σ log π_old − log π_ref.
    pub fn kl(&self) -> f64 {
        sum(&self.old) - sum(&self.reference)
    }

    /// The same as the rewards have it.
    pub fn kl_by(&self, estimator: KlEstimator) -> f64 {
        match estimator {
            KlEstimator::K1 => self.kl(),
            KlEstimator::K3 => {
                let tokens = self.old.iter().zip(&self.reference);
                tokens.map(|(&old, &reference)| kl_of(estimator, f64::from(old), f64::from(reference))).sum()
            }
        }
    }

    /// What it is compared by with the others to its prompt: of GRPO its score, of RLOO less what its KL costs.
    pub fn reward(&self, config: &RunConfig) -> f64 {
        if config.objective.kind == Method::Grpo {
            return self.score;
        }
        self.score - config.kl_coef() * self.kl_by(config.rlhf.kl_estimator)
    }
}

/// The answers of a step, in as many parts as a pass over them makes updates.
pub struct Rollout {
    pub groups: Vec<RolloutGroup>,
    /// Time spent sampling, and with scoring, pauses left out.
    pub sampling: Duration,
    pub whole: Duration,
}

impl Rollout {
    pub fn answers(&self) -> impl Iterator<Item = &RolloutAnswer> {
        self.groups.iter().flat_map(|group| &group.answers)
    }

    /// Drops the groups with an answer whose score is no number; gives what their prompts are of.
    pub fn drop_unscored(&mut self) -> Vec<StepDoc> {
        let is_scored = |group: &RolloutGroup| group.answers.iter().all(|answer| answer.score.is_finite());
        let dropped = self.groups.iter().filter(|group| !is_scored(group)).map(|group| group.of).collect();
        self.groups.retain(is_scored);
        dropped
    }

    /// At the first update the policy is its own reference: |Σ (log π_old − log π_ref)| of each answer is 0.
    pub fn check_start(&self) -> Result<()> {
        for (group, answer) in
            self.groups.iter().flat_map(|group| group.answers.iter().map(move |answer| (group, answer)))
        {
            let (kl, allowed) = (answer.kl(), TOLERANCE_PER_TOKEN * answer.old.len() as f64);
            let is_its_reference = kl.abs() <= allowed;
            if !is_its_reference {
                return Err(TrainError::Golden(format!(
                    "before the first update an answer of {} tokens to a prompt of {} has {kl:.4} nats more under the policy than under its reference, and it must be 0. The reference disagrees with the policy",
                    answer.old.len(),
                    group.doc.prefix.len()
                )));
            }
        }
        Ok(())
    }

    /// The same end, an answer's row that found no memory named by what its prompt is of.
    pub fn named<T>(&self, end: StepEnd<StepDoc, T>) -> StepEnd<StepDoc, T> {
        match end {
            StepEnd::OutOfMemory { error, alone: Some(StepDoc::Rollout(place)) } => {
                StepEnd::OutOfMemory { error, alone: Some(self.groups[place].of) }
            }
            end => end,
        }
    }

    /// The sampled tokens.
    pub fn tokens(&self) -> usize {
        self.groups.iter().map(|group| group.doc.answer_tokens()).sum()
    }

    /// The same with their prompts, a prompt once with each answer.
    pub fn read_tokens(&self) -> usize {
        let of_prompts = self.groups.iter().map(|group| group.doc.prefix.len() * group.answers.len());
        self.tokens() + of_prompts.sum::<usize>()
    }

    /// Places of the groups that each update of a pass goes over.
    pub fn parts(&self, minibatches: usize) -> Vec<Vec<usize>> {
        let size = self.groups.len().div_ceil(minibatches.max(1)).max(1);
        let places: Vec<usize> = (0..self.groups.len()).collect();
        places.chunks(size).map(<[usize]>::to_vec).collect()
    }

    /// These groups' answers for whoever reads scores or values of them.
    pub fn rows(&self, part: &[usize], reads: Reads, row_tokens: usize) -> Result<Vec<Packed<StepDoc>>> {
        let docs = part.iter().map(|&place| (StepDoc::Rollout(place), &self.groups[place].doc));
        Ok(pack_for(docs, row_tokens, reads).map_err(PolicyError::from)?)
    }

    /// Fills in advantages, and with a critic returns, from all that was frozen before.
    pub fn judge(&mut self, config: &RunConfig) {
        match config.objective.kind {
            Method::Ppo => self.estimate(config),
            Method::Grpo => self.compare(config, in_group),
            _ => self.compare(config, leave_one_out),
        }
    }

    fn compare(&mut self, config: &RunConfig, advantages: impl Fn(&[f64]) -> Vec<f64>) {
        for group in &mut self.groups {
            let rewards: Vec<f64> = group.answers.iter().map(|answer| answer.reward(config)).collect();
            for (answer, advantage) in group.answers.iter_mut().zip(advantages(&rewards)) {
                answer.advantages = vec![advantage; answer.old.len()];
            }
        }
    }

    fn estimate(&mut self, config: &RunConfig) {
        let (gae, at) = (Gae { gamma: config.ppo.gamma, lambda: config.ppo.lambda }, config.ppo.reward_at);
        let penalty = Penalty { estimator: config.rlhf.kl_estimator, coef: config.kl_coef() };
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let mut white = Vec::new();
        for answer in self.groups.iter_mut().flat_map(|group| &mut group.answers) {
            let (old, reference) = (wide(&answer.old), wide(&answer.reference));
            let rewards = token_rewards(&old, &reference, penalty, answer.score, at);
            let advantages = gae.advantages(&rewards, &answer.values);
            answer.returns =
                advantages.iter().zip(&answer.values).map(|(advantage, value)| advantage + value).collect();
            // A slot behind the last token has no token whose probability it could move.
            white.push(advantages[..old.len()].to_vec());
        }
        whiten(&mut white);
        let answers = self.groups.iter_mut().flat_map(|group| &mut group.answers);
        for (answer, advantages) in answers.zip(white) {
            answer.advantages = advantages;
        }
    }
}

/// What a critic reads of an answer.
pub fn reads(at: RewardAt) -> Reads {
    match at {
        RewardAt::LastToken => Reads::States,
        RewardAt::AfterEnd => Reads::StatesAndEnds,
    }
}

/// How a run of these settings draws answers, all of a step's at once.
pub fn options(config: &RunConfig, step: u64, stop: &[u32]) -> GenerateOptions {
    GenerateOptions {
        sampling: Sampling::at(1.0),
        max_new: config.rlhf.max_tokens,
        // Of the run and the step alone, so that a resumed run draws the same; each answer has a stream of its own.
        seed: config.train.shuffle_seed ^ step.rotate_left(32) ^ ROLLOUT,
        stop: stop.to_vec(),
        ..GenerateOptions::default()
    }
}

impl Training {
    /// Samples answers to some prompts with the weights as they are, and has them scored.
    pub fn sample(
        &self,
        asked: Vec<RolloutPrompt>,
        step: u64,
        context: &mut Context<'_>,
    ) -> Result<StepEnd<StepDoc, Rollout>> {
        let (config, watch) = (&self.config, context.watch());
        let each = config.answers_per_prompt();
        let prompts: Vec<Vec<u32>> =
            asked.iter().flat_map(|asked| std::iter::repeat_n(asked.prompt.clone(), each)).collect();
        let room = self.trainer.memory.map(|memory| memory.for_caches(&self.trainer.policy));
        let options = options(config, step, self.codec.stop_ids()).within(room);
        let longest = asked.iter().max_by_key(|asked| asked.prompt.len()).map(|asked| asked.of);
        let sampled = context.generate("Sampling answers", self.weights(), &prompts, &options);
        let generations = match StepEnd::of_row(sampled, longest)?.or_end() {
            Ok(Some(generations)) => generations,
            Ok(None) => return Ok(StepEnd::Stopped),
            Err(end) => return Ok(end),
        };
        let sampling = watch.elapsed(context);
        let mut generations = generations.into_iter();
        let groups = asked.into_iter().map(|RolloutPrompt { of, prompt }| {
            let (mut continuations, mut answers) = (Vec::new(), Vec::new());
            for generation in generations.by_ref().take(each) {
                answers.push(RolloutAnswer { ended: generation.stopped_by_eos, ..RolloutAnswer::default() });
                continuations.push(generation.ids);
            }
            RolloutGroup { of, doc: Doc::new(prompt, continuations), answers }
        });
        let mut rollout = Rollout { groups: groups.collect(), sampling, whole: sampling };
        if let Err(end) = self.score_rollout(&mut rollout, context)?.or_end() {
            return Ok(rollout.named(end));
        }
        rollout.whole = watch.elapsed(context);
        Ok(StepEnd::Done(rollout))
    }

    /// The reward model's word on each answer, and the critic's on each token.
    fn score_rollout(&self, rollout: &mut Rollout, context: &mut Context<'_>) -> Result<StepEnd<StepDoc, ()>> {
        let rlhf = self.rlhf.as_ref().ok_or_else(no_teacher)?;
        let settings = &self.config.rlhf;
        let judge = &mut |answer: &mut RolloutAnswer, raw: &[f32]| {
            let score = rlhf.scale.apply(raw.first().map_or(f64::NAN, |&raw| f64::from(raw)));
            let clip = settings.reward_clip;
            // What is no number is not clipped to one.
            let clipped = if clip > 0.0 && score.is_finite() { score.clamp(-clip, clip) } else { score };
            answer.score = if answer.ended { clipped } else { clipped - settings.missing_eos_penalty };
        };
        if let Err(end) = self.read(rollout, (&rlhf.reward, Reads::Ends), judge, context)?.or_end() {
            return Ok(end);
        }
        let Some(critic) = &rlhf.critic else { return Ok(StepEnd::Done(())) };
        let value = &mut |answer: &mut RolloutAnswer, values: &[f32]| {
            answer.values = values.iter().map(|&value| f64::from(value)).collect();
        };
        self.read(rollout, (&critic.policy, reads(self.config.ppo.reward_at)), value, context)
    }

    /// What a scalar head says of each answer, in rows of their own.
    fn read(
        &self,
        rollout: &mut Rollout,
        (policy, reads): (&Policy, Reads),
        take: &mut dyn FnMut(&mut RolloutAnswer, &[f32]),
        context: &mut Context<'_>,
    ) -> Result<StepEnd<StepDoc, ()>> {
        let all: Vec<usize> = (0..rollout.groups.len()).collect();
        for packed in rollout.rows(&all, reads, self.state.budget)? {
            if context.attend(Some(self.weights()))?.is_break() {
                return Ok(StepEnd::Stopped);
            }
            let read = context.host.before_reading(RolloutStage::Scoring);
            let read = read.and_then(|()| Ok(policy.log_probs(&packed.row)?));
            let read = match StepEnd::of_row(read, packed.alone())?.or_end() {
                Ok(read) => read,
                Err(end) => return Ok(end),
            };
            for (part, said) in packed.by_owner(&read) {
                let StepDoc::Rollout(place) = part else { continue };
                let answers = rollout.groups[place].answers.iter_mut().zip(said);
                answers.for_each(|(answer, said)| take(answer, said));
            }
        }
        Ok(StepEnd::Done(()))
    }

    /// log π_old and log π_ref of these rows' answers. By the very rows that the updates go over: packed otherwise,
    /// sums would round otherwise, and the first ratio would not be 1.
    pub fn freeze_log_probs(
        &self,
        rollout: &mut Rollout,
        rows: &[Packed<StepDoc>],
        context: &mut Context<'_>,
    ) -> Result<StepEnd<StepDoc, ()>> {
        let policy = &self.trainer.policy;
        for packed in rows.iter().filter(|packed| packed.owners().any(|part| matches!(part, StepDoc::Rollout(_)))) {
            if context.attend(Some(self.weights()))?.is_break() {
                return Ok(StepEnd::Stopped);
            }
            let beside = context.host.before_reading(RolloutStage::Freezing);
            let beside = beside.and_then(|()| Ok(policy.beside_reference(&packed.row)?));
            let beside = match StepEnd::of_row(beside, packed.alone())?.or_end() {
                Ok(beside) => beside,
                Err(end) => return Ok(rollout.named(end)),
            };
            let whole = beside.whole_by_answer();
            let both = packed.by_owner(&beside.log_probs).zip(packed.by_owner(&beside.reference));
            for (((part, old), (_, reference)), (_, whole)) in both.zip(packed.by_owner(&whole)) {
                let StepDoc::Rollout(place) = part else { continue };
                let answers = rollout.groups[place].answers.iter_mut().zip(old).zip(reference).zip(whole);
                for (((answer, old), reference), whole) in answers {
                    (answer.old, answer.reference) = (old.clone(), reference.clone());
                    answer.whole = whole.map(|(entropy, kl)| Whole { entropy, kl });
                }
            }
        }
        Ok(StepEnd::Done(()))
    }
}

/// Tells the answers that teach from those of an evaluation.
const ROLLOUT: u64 = 0x524F_4C4C_4F55_5421;

pub(super) fn no_teacher() -> TrainError {
    TrainError::Sentence("There is no reward model to learn from".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(of: usize, scores: &[f64]) -> RolloutGroup {
        let answer = |&score: &f64| RolloutAnswer {
            score,
            old: vec![-1.0; 2],
            reference: vec![-1.0; 2],
            ..RolloutAnswer::default()
        };
        let doc = Doc::new(vec![1], vec![vec![2, 3]; scores.len()]);
        RolloutGroup { of: StepDoc::Pair(of), doc, answers: scores.iter().map(answer).collect() }
    }

    fn rollout(groups: Vec<RolloutGroup>) -> Rollout {
        Rollout { groups, sampling: Duration::ZERO, whole: Duration::ZERO }
    }

    #[test]
    fn a_group_with_a_score_that_is_no_number_is_dropped_and_named() {
        let mut some =
            rollout(vec![group(7, &[1.0, f64::NAN]), group(8, &[0.5, 2.0]), group(9, &[f64::INFINITY, 0.0])]);
        assert_eq!(some.drop_unscored(), [StepDoc::Pair(7), StepDoc::Pair(9)]);
        assert_eq!(some.groups.iter().map(|group| group.of).collect::<Vec<_>>(), [StepDoc::Pair(8)]);
        assert!(some.drop_unscored().is_empty());
    }

    #[test]
    fn a_policy_that_is_not_its_reference_at_the_start_is_refused() {
        let mut some = rollout(vec![group(1, &[0.0, 1.0])]);
        some.check_start().unwrap();
        for off in [-1.1, f32::NAN] {
            some.groups[0].answers[1].reference[0] = off;
            let error = some.check_start().unwrap_err().to_string();
            assert!(error.contains("The reference disagrees with the policy"), "{error}");
        }
    }
}
