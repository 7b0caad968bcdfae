//! Worlds small enough to enumerate: what the updates come to against what they must come to.

use std::time::Duration;

use data::config::{LossType, Method, RunConfig};
use model::Doc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{
    loss::PolicyLoss,
    rollout::{Rollout, RolloutAnswer, RolloutGroup},
};
use crate::{
    loss::{StepDoc, TextTerms},
    step::{Loss as _, Slopes},
};

fn softmax(logits: &[f64]) -> Vec<f64> {
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn draw(shares: &[f64], stream: &mut ChaCha8Rng) -> usize {
    let mut left = stream.random_range(0.0..1.0);
    shares
        .iter()
        .position(|share| {
            left -= share;
            left < 0.0
        })
        .unwrap_or(shares.len() - 1)
}

/// Four words; the last ends an answer, and two words end it as well. The policy's logits depend on the word before.
const WORDS: usize = 4;
const END: usize = WORDS - 1;

struct World {
    /// At the beginning, and after each of the words that do not end.
    logits: [[f64; WORDS]; WORDS],
    reference: [[f64; WORDS]; WORDS],
}

impl World {
    fn new() -> Self {
        let wave = |factor: f64| {
            let mut logits = [[0.0; WORDS]; WORDS];
            for (state, row) in logits.iter_mut().enumerate() {
                for (word, logit) in row.iter_mut().enumerate() {
                    *logit = (factor * (state * WORDS + word) as f64).sin();
                }
            }
            logits
        };
        Self { logits: wave(1.3), reference: wave(0.7) }
    }

    /// States of an answer with the words drawn in them.
    fn path(answer: &[usize]) -> impl Iterator<Item = (usize, usize)> + '_ {
        answer.iter().enumerate().map(|(place, &word)| (if place == 0 { 0 } else { answer[place - 1] + 1 }, word))
    }

    fn log_probs(table: &[[f64; WORDS]; WORDS], answer: &[usize]) -> Vec<f32> {
        Self::path(answer).map(|(state, word)| softmax(&table[state])[word].ln() as f32).collect()
    }

    fn score(answer: &[usize]) -> f64 {
        answer.iter().map(|&word| word as f64).sum::<f64>() - answer.len() as f64 * 0.5
    }

    fn all() -> Vec<Vec<usize>> {
        let first = (0..WORDS).filter(|&word| word != END);
        let two = first.flat_map(|first| (0..WORDS).map(move |second| vec![first, second]));
        std::iter::once(vec![END]).chain(two).collect()
    }

    fn sample(&self, stream: &mut ChaCha8Rng) -> Vec<usize> {
        let first = draw(&softmax(&self.logits[0]), stream);
        if first == END { vec![END] } else { vec![first, draw(&softmax(&self.logits[first + 1]), stream)] }
    }

    /// Adds ∂(Σ slope·log π)/∂logits.
    fn add(&self, gradient: &mut [[f64; WORDS]; WORDS], answer: &[usize], slopes: &[f64]) {
        for ((state, word), slope) in Self::path(answer).zip(slopes) {
            for (other, share) in softmax(&self.logits[state]).into_iter().enumerate() {
                gradient[state][other] += slope * (f64::from(u8::from(other == word)) - share);
            }
        }
    }

    /// ∇ E[score − kl_coef·KL] over all answers.
    fn exact(&self, kl_coef: f64) -> [[f64; WORDS]; WORDS] {
        let mut gradient = [[0.0; WORDS]; WORDS];
        for answer in Self::all() {
            let sum = |table| Self::log_probs(table, &answer).iter().map(|&value| f64::from(value)).sum::<f64>();
            let (now, reference) = (sum(&self.logits), sum(&self.reference));
            let reward = Self::score(&answer) - kl_coef * (now - reference);
            self.add(&mut gradient, &answer, &vec![now.exp() * reward; answer.len()]);
        }
        gradient
    }
}

fn config(kind: Method, kl_coef: f64) -> RunConfig {
    let mut config = RunConfig::default();
    config.objective.kind = kind;
    config.rlhf.kl_coef = Some(kl_coef);
    config
}

/// ∂loss/∂(log-prob) of each answer's tokens, by the run's own code.
fn slopes(config: &RunConfig, rollout: &Rollout, now: &[Vec<Vec<f32>>]) -> Vec<Vec<f64>> {
    let part: Vec<usize> = (0..rollout.groups.len()).collect();
    let mut loss = PolicyLoss::new(config, rollout, &part, TextTerms::default());
    let mut slopes = Slopes::default();
    for (place, now) in now.iter().enumerate() {
        loss.add(StepDoc::Rollout(place), now, &mut slopes);
    }
    let mut flat = slopes.into_values().into_iter().map(f64::from);
    now.iter().flatten().map(|answer| flat.by_ref().take(answer.len()).collect()).collect()
}

fn group(ids: Vec<Vec<u32>>, answers: Vec<RolloutAnswer>) -> RolloutGroup {
    RolloutGroup { of: StepDoc::Pair(0), doc: Doc::new(vec![0], ids), answers }
}

#[test]
fn the_gradient_of_many_draws_is_that_of_all_answers() {
    let (world, kl_coef) = (World::new(), 0.3);
    let config = config(Method::Rloo, kl_coef);
    let mut stream = ChaCha8Rng::seed_from_u64(3);
    let drawn: Vec<Vec<Vec<usize>>> = (0..5000).map(|_| (0..4).map(|_| world.sample(&mut stream)).collect()).collect();
    let groups = drawn.iter().map(|answers| {
        let frozen = answers.iter().map(|answer| RolloutAnswer {
            score: World::score(answer),
            old: World::log_probs(&world.logits, answer),
            reference: World::log_probs(&world.reference, answer),
            ..RolloutAnswer::default()
        });
        let ids = answers.iter().map(|answer| answer.iter().map(|&word| word as u32).collect()).collect();
        group(ids, frozen.collect())
    });
    let mut rollout = Rollout { groups: groups.collect(), sampling: Duration::ZERO, whole: Duration::ZERO };
    rollout.judge(&config);
    let now: Vec<Vec<Vec<f32>>> =
        rollout.groups.iter().map(|group| group.answers.iter().map(|answer| answer.old.clone()).collect()).collect();
    let mut gradient = [[0.0; WORDS]; WORDS];
    for (answer, slopes) in drawn.iter().flatten().zip(slopes(&config, &rollout, &now)) {
        // A loss falls where the objective rises.
        let slopes: Vec<f64> = slopes.iter().map(|slope| -slope).collect();
        world.add(&mut gradient, answer, &slopes);
    }
    for (got, want) in gradient.iter().flatten().zip(world.exact(kl_coef).iter().flatten()) {
        assert!((got - want).abs() < 0.015, "{gradient:?}");
    }
}

/// One word an answer: π_ref (.5, .3, .2), scores (1, 0, −1), kl_coef ½. The best policy is π_ref·e^{s/kl_coef},
/// normalised.
#[test]
fn a_world_of_one_word_ends_at_its_best_policy() {
    let (reference, scores, kl_coef) = ([0.5f64, 0.3, 0.2], [1.0, 0.0, -1.0], 0.5);
    let best = [0.918672, 0.074597, 0.006730];
    for kind in [Method::Rloo, Method::Ppo] {
        let mut config = config(kind, kl_coef);
        config.rlhf.epochs = Some(1);
        let mut logits = reference.map(f64::ln);
        let mut stream = ChaCha8Rng::seed_from_u64(11);
        let mut tail = [0.0; 3];
        let (steps, last) = (3000, 1000);
        for step in 0..steps {
            let shares = softmax(&logits);
            let words: Vec<usize> = (0..64).map(|_| draw(&shares, &mut stream)).collect();
            // A critic that is right: the mean of the rewards.
            let reward = |word: usize| scores[word] - kl_coef * (shares[word].ln() - reference[word].ln());
            let value = (0..3).map(|word| shares[word] * reward(word)).sum::<f64>();
            let frozen = words.iter().map(|&word| RolloutAnswer {
                ended: true,
                score: scores[word],
                old: vec![shares[word].ln() as f32],
                reference: vec![reference[word].ln() as f32],
                values: vec![value],
                ..RolloutAnswer::default()
            });
            let groups = frozen.collect::<Vec<_>>();
            let groups = groups
                .chunks(4)
                .zip(words.chunks(4))
                .map(|(answers, words)| group(words.iter().map(|&word| vec![word as u32]).collect(), answers.to_vec()));
            let mut rollout = Rollout { groups: groups.collect(), sampling: Duration::ZERO, whole: Duration::ZERO };
            rollout.judge(&config);
            let now: Vec<Vec<Vec<f32>>> = rollout
                .groups
                .iter()
                .map(|group| group.answers.iter().map(|answer| answer.old.clone()).collect())
                .collect();
            let mut gradient = [0.0; 3];
            for (&word, slope) in words.iter().zip(slopes(&config, &rollout, &now)) {
                for (other, share) in shares.iter().enumerate() {
                    gradient[other] += slope[0] * (f64::from(u8::from(other == word)) - share);
                }
            }
            let rate = 0.3 * (1.0 - f64::from(step) / f64::from(steps)) + 0.01;
            for (logit, slope) in logits.iter_mut().zip(gradient) {
                *logit -= rate * slope;
            }
            if step >= steps - last {
                for (sum, share) in tail.iter_mut().zip(softmax(&logits)) {
                    *sum += share / f64::from(last);
                }
            }
        }
        for (share, best) in tail.iter().zip(best) {
            assert!((share - best).abs() < 0.02, "{kind:?}: {tail:?}");
        }
    }
}

/// GRPO's mean is over tokens, so its first loss is that of the longer answers, not 0.
#[test]
fn the_first_loss_of_grpo_weighs_advantages_by_length() {
    let config = config(Method::Grpo, 0.0);
    let lengths = [1usize, 3, 2, 5];
    let scores = [1.0, 0.0, 0.5, -0.5];
    let advantages = [1.161715, -0.387238, 0.387238, -1.161715];
    let frozen = lengths.iter().zip(scores).map(|(&length, score)| RolloutAnswer {
        score,
        old: vec![-0.5; length],
        reference: vec![-0.5; length],
        ..RolloutAnswer::default()
    });
    let ids = lengths.iter().map(|&length| vec![1; length]).collect();
    let groups = vec![group(ids, frozen.collect())];
    let mut rollout = Rollout { groups, sampling: Duration::ZERO, whole: Duration::ZERO };
    rollout.judge(&config);
    let mut loss = PolicyLoss::new(&config, &rollout, &[0], TextTerms::default());
    let now: Vec<Vec<f32>> = lengths.iter().map(|&length| vec![-0.5; length]).collect();
    loss.add(StepDoc::Rollout(0), &now, &mut Slopes::default());
    let want = -advantages.iter().zip(lengths).map(|(a, length)| a * length as f64).sum::<f64>() / 11.0;
    assert!((loss.value() - want).abs() < 1e-6, "{} for {want}", loss.value());
}

/// π, π_ref and scores of three answers of one word each.
const ONE_WORD: ([f64; 3], [f64; 3], [f64; 3]) = ([0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [1.0, 0.0, -1.0]);

/// Expected ∂loss/∂logits over all groups of `size` answers, each as likely as π makes it, by the run's own code.
fn over_all_groups(config: &RunConfig, size: usize) -> [f64; 3] {
    let (policy, reference, scores) = ONE_WORD;
    let mut gradient = [0.0; 3];
    for number in 0..3usize.pow(size as u32) {
        let words: Vec<usize> = (0..size).map(|place| number / 3usize.pow(place as u32) % 3).collect();
        let share: f64 = words.iter().map(|&word| policy[word]).product();
        let answers = words.iter().map(|&word| RolloutAnswer {
            ended: true,
            score: scores[word],
            old: vec![policy[word].ln() as f32],
            reference: vec![reference[word].ln() as f32],
            ..RolloutAnswer::default()
        });
        let groups = vec![group(words.iter().map(|&word| vec![word as u32]).collect(), answers.collect())];
        let mut rollout = Rollout { groups, sampling: Duration::ZERO, whole: Duration::ZERO };
        rollout.judge(config);
        let now = vec![rollout.groups[0].answers.iter().map(|answer| answer.old.clone()).collect()];
        for (&word, slope) in words.iter().zip(slopes(config, &rollout, &now)) {
            for (other, of_other) in policy.iter().enumerate() {
                gradient[other] += share * slope[0] * (f64::from(u8::from(other == word)) - of_other);
            }
        }
    }
    gradient
}

/// Whole groups of RLOO have the gradient of E[score − kl_coef·KL], without a draw.
#[test]
fn all_groups_of_rloo_together_have_the_exact_gradient() {
    let gradient = over_all_groups(&config(Method::Rloo, 0.5), 3);
    for (got, want) in gradient.iter().zip([0.257327, -0.143988, -0.113339]) {
        assert!((got + want).abs() < 1e-5, "{gradient:?}");
    }
}

/// What GRPO's groups come to together: of two answers that differ each is 1/√2 of its spread from the mean, whatever
/// the scores are; and k3, sampled from the policy, slopes as KL(π_ref ‖ π) does: by π − π_ref.
#[test]
fn all_groups_of_grpo_together_have_the_gradient_of_what_it_makes_smaller() {
    let (policy, reference, _) = ONE_WORD;
    let kl_coef = 0.5;
    let config = config(Method::Grpo, kl_coef);
    let gradient = over_all_groups(&config, 2);
    // Of two unlike answers, a with the higher score and b: ±d/2 over d/√2 + 1e-4 with d the difference of the scores.
    let mut want = [0.0; 3];
    for (a, b, difference) in [(0, 1, 1.0), (0, 2, 2.0), (1, 2, 1.0)] {
        let advantage = difference / 2.0 / (difference / std::f64::consts::SQRT_2 + 1e-4);
        // Both orders of the two; the mean over two answers; the softmax's own terms are alike and cancel.
        let pull = 2.0 * policy[a] * policy[b] * advantage / 2.0;
        want[a] -= pull;
        want[b] += pull;
    }
    for ((want, now), before) in want.iter_mut().zip(policy).zip(reference) {
        *want += kl_coef * (now - before);
    }
    for (got, want) in gradient.iter().zip(want) {
        assert!((got - want).abs() < 1e-6, "{gradient:?} for {want}");
    }
}

/// `loss_type`: what the sum over the tokens of an update is divided by.
#[test]
fn each_mean_of_grpo_is_its_formula() {
    let (lengths, advantages) = ([1usize, 3, 2, 5], [1.161715, -0.387238, 0.387238, -1.161715]);
    let longest = 8;
    for kind in [LossType::Grpo, LossType::DrGrpo, LossType::Dapo] {
        let mut config = config(Method::Grpo, 0.0);
        (config.rlhf.loss_type, config.rlhf.max_tokens) = (kind, longest);
        let answers = lengths.iter().zip([1.0, 0.0, 0.5, -0.5]).map(|(&length, score)| RolloutAnswer {
            score,
            old: vec![-0.5; length],
            reference: vec![-0.5; length],
            ..RolloutAnswer::default()
        });
        // Two prompts, so that a mean over one of them would be another.
        let answers: Vec<RolloutAnswer> = answers.collect();
        let ids = || lengths.iter().map(|&length| vec![1; length]).collect();
        let groups = vec![group(ids(), answers.clone()), group(ids(), answers)];
        let mut rollout = Rollout { groups, sampling: Duration::ZERO, whole: Duration::ZERO };
        rollout.judge(&config);
        let now = vec![lengths.iter().map(|&length| vec![-0.5; length]).collect(); 2];
        let slopes = slopes(&config, &rollout, &now);
        for (answer, slopes) in slopes.iter().enumerate() {
            let (length, advantage) = (lengths[answer % 4], advantages[answer % 4]);
            assert_eq!(slopes.len(), length);
            let divisor = match kind {
                LossType::Grpo => 8 * length,
                LossType::DrGrpo => 8 * longest,
                LossType::Dapo => 2 * 11,
            };
            let want = -advantage / divisor as f64;
            assert!(slopes.iter().all(|slope| (slope - want).abs() < 1e-6), "{kind:?}: {slopes:?} for {want}");
        }
    }
}
