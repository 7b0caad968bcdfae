//! The answers of a step: sampled, scored, and everything about them that stays as it was while the updates go over them.

use std::{ops::ControlFlow, time::Duration};

use data::config::{Method, RewardAt, RunConfig};
use model::{Doc, GenerateOptions, PolicyError, Reads};

use crate::{
    dataset::packing::{Packed, pack_for},
    error::{Result, TrainError},
    loss::Part,
    measure::{golden::TOLERANCE_PER_TOKEN, log_probs::sum},
    reward,
    rlhf::{
        advantages::{Gae, in_group, leave_one_out, token_rewards, whiten},
        prompts::Asked,
    },
    run::{context::Context, training::Training},
    step::StepEnd,
};

/// A prompt and the answers sampled to it.
pub struct Group {
    /// What its prompt is of.
    pub of: Part,
    /// The prompt and its answers, each with the token that ended it.
    pub doc: Doc,
    pub answers: Vec<Answer>,
}

/// What is frozen about an answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
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

impl Answer {
    /// Σ log π_old − log π_ref.
    pub fn kl(&self) -> f64 {
        sum(&self.old) - sum(&self.reference)
    }
}

/// The answers of a step, in as many parts as a pass over them makes updates.
pub struct Rollout {
    pub groups: Vec<Group>,
    /// Time spent sampling, and with scoring, pauses left out.
    pub sampling: Duration,
    pub whole: Duration,
}

impl Rollout {
    pub fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.groups.iter().flat_map(|group| &group.answers)
    }

    /// Drops the groups with an answer whose score is no number; gives what their prompts are of.
    pub fn drop_unscored(&mut self) -> Vec<Part> {
        let is_scored = |group: &Group| group.answers.iter().all(|answer| answer.score.is_finite());
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
    pub fn named<T>(&self, end: StepEnd<Part, T>) -> StepEnd<Part, T> {
        match end {
            StepEnd::OutOfMemory { error, alone: Some(Part::Rollout(place)) } => {
                StepEnd::OutOfMemory { error, alone: Some(self.groups[place].of) }
            }
            end => end,
        }
    }

    /// The sampled tokens.
    pub fn tokens(&self) -> usize {
        self.groups.iter().map(|group| group.doc.answer_tokens()).sum()
    }

    /// Places of the groups that each update of a pass goes over.
    pub fn parts(&self, minibatches: usize) -> Vec<Vec<usize>> {
        let size = self.groups.len().div_ceil(minibatches.max(1)).max(1);
        let places: Vec<usize> = (0..self.groups.len()).collect();
        places.chunks(size).map(<[usize]>::to_vec).collect()
    }

    /// What the critic reads of these groups.
    pub fn value_rows(&self, part: &[usize], at: RewardAt, row_tokens: usize) -> Result<Vec<Packed<Part>>> {
        let docs = part.iter().map(|&place| (Part::Rollout(place), &self.groups[place].doc));
        Ok(pack_for(docs, row_tokens, reads(at)).map_err(PolicyError::from)?)
    }

    /// Fills in advantages, and with a critic returns, from all that was frozen before.
    pub fn judge(&mut self, config: &RunConfig) {
        match config.objective.kind {
            Method::Ppo => self.estimate(config),
            Method::Grpo => self.compare(|answer| answer.score, in_group),
            _ => {
                let kl_coef = config.kl_coef();
                self.compare(|answer| answer.score - kl_coef * answer.kl(), leave_one_out);
            }
        }
    }

    fn compare(&mut self, reward: impl Fn(&Answer) -> f64, advantages: impl Fn(&[f64]) -> Vec<f64>) {
        for group in &mut self.groups {
            let rewards: Vec<f64> = group.answers.iter().map(&reward).collect();
            for (answer, advantage) in group.answers.iter_mut().zip(advantages(&rewards)) {
                answer.advantages = vec![advantage; answer.old.len()];
            }
        }
    }

    fn estimate(&mut self, config: &RunConfig) {
        let (gae, at) = (Gae { gamma: config.ppo.gamma, lambda: config.ppo.lambda }, config.ppo.reward_at);
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        let mut white = Vec::new();
        for answer in self.groups.iter_mut().flat_map(|group| &mut group.answers) {
            let (old, reference) = (wide(&answer.old), wide(&answer.reference));
            let rewards = token_rewards(&old, &reference, config.kl_coef(), answer.score, at);
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

impl Training {
    /// Samples answers to some prompts with the weights as they are, and has them scored. `None` = the run is to stop.
    pub fn sample(&self, asked: Vec<Asked>, step: u64, context: &mut Context<'_>) -> Result<Option<Rollout>> {
        let (config, watch) = (&self.config, context.watch());
        let each = config.answers_per_prompt();
        let prompts: Vec<Vec<u32>> =
            asked.iter().flat_map(|asked| std::iter::repeat_n(asked.prompt.clone(), each)).collect();
        let options = GenerateOptions {
            temperature: 1.0,
            max_new: config.rlhf.max_tokens,
            // Of the run and the step alone, so that a resumed run draws the same; each answer has a stream of its own.
            seed: config.train.shuffle_seed ^ step.rotate_left(32) ^ ROLLOUT,
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let Some(generations) = context.generate(self.weights(), &prompts, &options)? else {
            return Ok(None);
        };
        let sampling = watch.elapsed(context);
        let mut generations = generations.into_iter();
        let groups = asked.into_iter().map(|Asked { of, prompt }| {
            let (mut continuations, mut answers) = (Vec::new(), Vec::new());
            for generation in generations.by_ref().take(each) {
                answers.push(Answer { ended: generation.stopped_by_eos, ..Answer::default() });
                continuations.push(generation.ids);
            }
            Group { of, doc: Doc { prefix: prompt, continuations }, answers }
        });
        let mut rollout = Rollout { groups: groups.collect(), sampling, whole: sampling };
        if self.score_rollout(&mut rollout, context)?.is_break() {
            return Ok(None);
        }
        rollout.whole = watch.elapsed(context);
        Ok(Some(rollout))
    }

    /// The reward model's word on each answer, and the critic's on each token.
    fn score_rollout(&self, rollout: &mut Rollout, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        let rlhf = self.rlhf.as_ref().ok_or_else(no_teacher)?;
        let budget = self.state.budget;
        let docs: Vec<&Doc> = rollout.groups.iter().map(|group| &group.doc).collect();
        let mut tick = || context.attend(Some(self.weights()));
        let Some(scores) = reward::scores(&rlhf.reward, &docs, budget, &mut tick)? else {
            return Ok(ControlFlow::Break(()));
        };
        let settings = &self.config.rlhf;
        for (group, scores) in rollout.groups.iter_mut().zip(scores) {
            for (answer, raw) in group.answers.iter_mut().zip(scores) {
                let score = rlhf.scale.apply(raw);
                let clip = settings.reward_clip;
                // What is no number is not clipped to one.
                let clipped = if clip > 0.0 && score.is_finite() { score.clamp(-clip, clip) } else { score };
                answer.score = if answer.ended { clipped } else { clipped - settings.missing_eos_penalty };
            }
        }
        let Some(critic) = &rlhf.critic else { return Ok(ControlFlow::Continue(())) };
        let all: Vec<usize> = (0..rollout.groups.len()).collect();
        for packed in rollout.value_rows(&all, self.config.ppo.reward_at, budget)? {
            if context.attend(Some(self.weights()))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let values = critic.policy.log_probs(&packed.row)?;
            for (part, values) in packed.by_owner(&values) {
                let Part::Rollout(place) = part else { continue };
                for (answer, values) in rollout.groups[place].answers.iter_mut().zip(values) {
                    answer.values = values.iter().map(|&value| f64::from(value)).collect();
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// log π_old and log π_ref of these rows' answers. By the very rows that the updates go over: packed otherwise, sums
    /// would round otherwise, and the first ratio would not be 1.
    pub fn freeze_log_probs(
        &self,
        rollout: &mut Rollout,
        rows: &[Packed<Part>],
        context: &mut Context<'_>,
    ) -> Result<ControlFlow<()>> {
        let policy = &self.trainer.policy;
        for packed in rows.iter().filter(|packed| packed.owners().any(|part| matches!(part, Part::Rollout(_)))) {
            if context.attend(Some(self.weights()))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let beside = policy.beside_reference(&packed.row)?;
            let whole = beside.whole_by_answer();
            let both = packed.by_owner(&beside.log_probs).zip(packed.by_owner(&beside.reference));
            for (((part, old), (_, reference)), (_, whole)) in both.zip(packed.by_owner(&whole)) {
                let Part::Rollout(place) = part else { continue };
                let answers = rollout.groups[place].answers.iter_mut().zip(old).zip(reference).zip(whole);
                for (((answer, old), reference), whole) in answers {
                    (answer.old, answer.reference) = (old.clone(), reference.clone());
                    answer.whole = whole.map(|(entropy, kl)| Whole { entropy, kl });
                }
            }
        }
        Ok(ControlFlow::Continue(()))
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

    fn group(of: usize, scores: &[f64]) -> Group {
        let answer = |&score: &f64| Answer { score, old: vec![-1.0; 2], reference: vec![-1.0; 2], ..Answer::default() };
        let doc = Doc { prefix: vec![1], continuations: vec![vec![2, 3]; scores.len()] };
        Group { of: Part::Pair(of), doc, answers: scores.iter().map(answer).collect() }
    }

    fn rollout(groups: Vec<Group>) -> Rollout {
        Rollout { groups, sampling: Duration::ZERO, whole: Duration::ZERO }
    }

    #[test]
    fn a_group_with_a_score_that_is_no_number_is_dropped_and_named() {
        let mut some =
            rollout(vec![group(7, &[1.0, f64::NAN]), group(8, &[0.5, 2.0]), group(9, &[f64::INFINITY, 0.0])]);
        assert_eq!(some.drop_unscored(), [Part::Pair(7), Part::Pair(9)]);
        assert_eq!(some.groups.iter().map(|group| group.of).collect::<Vec<_>>(), [Part::Pair(8)]);
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
