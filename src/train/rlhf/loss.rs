//! What an update makes smaller: the clipped policy loss with the terms on texts beside it, and the critic's squared
//! error.

use data::config::{LossType, Method, RunConfig};

use crate::{
    error::{Result, TrainError},
    loss::{StepDoc, TextTerms},
    measure::{golden::TOLERANCE_PER_TOKEN, log_probs::sum},
    rlhf::{
        clipped::{self, ClippedTerm},
        rollout::Rollout,
    },
    step::{Loss, Slopes},
};

/// How far an update went, over its tokens, or over its answers where those have one ratio each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moved {
    count: usize,
    /// Σ of what each gives to the loss.
    loss: f64,
    /// Below and above the clip range.
    clipped: [usize; 2],
    ratios: f64,
    /// Σ (log π_θ − log π_old)².
    squares: f64,
    /// The largest |log π_θ − log π_old|, in nats a token.
    farthest: f64,
}

impl Moved {
    /// `divisor`: of the term in the loss. `log_ratio`: of so many tokens together.
    fn add(&mut self, term: ClippedTerm, divisor: f64, (log_ratio, tokens): (f64, usize)) {
        self.farthest = self.farthest.max(log_ratio.abs() / tokens.max(1) as f64);
        self.count += 1;
        self.loss += term.loss / divisor;
        self.clipped[usize::from(log_ratio > 0.0)] += usize::from(term.clipped);
        self.ratios += clipped::ratio(log_ratio);
        self.squares += log_ratio * log_ratio;
    }

    fn mean(&self, sum: f64) -> f64 {
        sum / self.count.max(1) as f64
    }

    pub fn loss(&self) -> f64 {
        self.loss
    }

    pub fn clipped(&self) -> f64 {
        self.clipped_below() + self.clipped_above()
    }

    pub fn clipped_below(&self) -> f64 {
        self.mean(self.clipped[0] as f64)
    }

    pub fn clipped_above(&self) -> f64 {
        self.mean(self.clipped[1] as f64)
    }

    pub fn ratio(&self) -> f64 {
        self.mean(self.ratios)
    }

    /// At the first update the policy is what sampled: every ratio is 1.
    pub fn check_start(&self) -> Result<()> {
        if self.farthest <= TOLERANCE_PER_TOKEN {
            return Ok(());
        }
        Err(TrainError::Golden(format!(
            "at the first update a token of a sampled answer is {:.4} nats from what it had when it was sampled, and it must be 0. The updates disagree with the sampling",
            self.farthest
        )))
    }

    /// ½·mean (log π_θ − log π_old)².
    pub fn approx_kl(&self) -> f64 {
        0.5 * self.mean(self.squares)
    }
}

/// The policy's loss over a part of a rollout.
pub struct PolicyLoss<'a> {
    config: &'a RunConfig,
    rollout: &'a Rollout,
    /// Answers of the part and their tokens: counted before the first row, so that it makes no difference how it is
    /// cut.
    answers: usize,
    tokens: usize,
    pub moved: Moved,
    pub texts: TextTerms,
}

impl<'a> PolicyLoss<'a> {
    pub fn new(config: &'a RunConfig, rollout: &'a Rollout, part: &[usize], texts: TextTerms) -> Self {
        let groups = || part.iter().map(|&place| &rollout.groups[place]);
        let answers = groups().map(|group| group.answers.len()).sum();
        let tokens = groups().map(|group| group.doc.answer_tokens()).sum();
        Self { config, rollout, answers, tokens, moved: Moved::default(), texts }
    }

    /// What the terms of an answer of so many tokens are divided by.
    fn divisor(&self, length: usize) -> f64 {
        let (answers, tokens) = (self.answers as f64, self.tokens as f64);
        match (self.config.objective.kind, self.config.rlhf.loss_type) {
            (Method::Rloo, _) => answers,
            (Method::Grpo, LossType::Grpo) => answers * length as f64,
            (Method::Grpo, LossType::DrGrpo) => answers * self.config.rlhf.max_tokens as f64,
            _ => tokens,
        }
    }

    /// RLOO: one ratio an answer.
    fn answer(&mut self, advantage: f64, old: &[f32], now: &[f32], slopes: &mut Slopes) {
        let (moved, divisor) = (sum(now) - sum(old), self.divisor(now.len()));
        let term = clipped::policy(advantage, moved, self.config.rlhf.clip);
        self.moved.add(term, divisor, (moved, now.len()));
        slopes.answer((term.slope / divisor) as f32, now.len());
    }
}

impl Loss<StepDoc> for PolicyLoss<'_> {
    fn add(&mut self, part: StepDoc, log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        let StepDoc::Rollout(place) = part else {
            return self.texts.add(part, log_probs, slopes);
        };
        let rollout = self.rollout;
        let clip = self.config.rlhf.clip;
        let k3_weight = if self.config.objective.kind == Method::Grpo { self.config.kl_coef() } else { 0.0 };
        for (answer, now) in rollout.groups[place].answers.iter().zip(log_probs) {
            if self.config.objective.kind == Method::Rloo {
                let advantage = answer.advantages.first().copied().unwrap_or(0.0);
                self.answer(advantage, &answer.old, now, slopes);
                continue;
            }
            let divisor = self.divisor(now.len());
            let frozen = answer.old.iter().zip(&answer.reference).zip(&answer.advantages);
            slopes.tokens(now.iter().zip(frozen).map(|(&now, ((&old, &reference), &advantage))| {
                let [now, old, reference] = [now, old, reference].map(f64::from);
                let mut term = clipped::policy(advantage, now - old, clip);
                if k3_weight > 0.0 {
                    let k3 = clipped::k3(now, reference);
                    term.loss += k3_weight * k3.loss;
                    term.slope += k3_weight * k3.slope;
                }
                self.moved.add(term, divisor, (now - old, 1));
                (term.slope / divisor) as f32
            }));
        }
    }

    fn value(&self) -> f64 {
        self.moved.loss() + self.texts.value()
    }
}

/// The critic's loss over a part of a rollout; what is read are its values.
pub struct ValueLoss<'a> {
    config: &'a RunConfig,
    rollout: &'a Rollout,
    /// Values of the part.
    count: usize,
    pub moved: Moved,
}

impl<'a> ValueLoss<'a> {
    pub fn new(config: &'a RunConfig, rollout: &'a Rollout, part: &[usize]) -> Self {
        let answers = part.iter().flat_map(|&place| &rollout.groups[place].answers);
        Self { config, rollout, count: answers.map(|answer| answer.values.len()).sum(), moved: Moved::default() }
    }
}

impl Loss<StepDoc> for ValueLoss<'_> {
    fn add(&mut self, part: StepDoc, values: &[Vec<f32>], slopes: &mut Slopes) {
        let StepDoc::Rollout(place) = part else { return };
        let (clip, count) = (self.config.ppo.value_clip, self.count as f64);
        let weight = self.config.ppo.value_coef / count;
        for (answer, now) in self.rollout.groups[place].answers.iter().zip(values) {
            let frozen = answer.values.iter().zip(&answer.returns);
            slopes.tokens(now.iter().zip(frozen).map(|(&now, (&old, &target))| {
                let term = clipped::value(f64::from(now), old, target, clip);
                self.moved.add(term, count, (0.0, 1));
                (weight * term.slope) as f32
            }));
        }
    }

    fn value(&self) -> f64 {
        self.config.ppo.value_coef * self.moved.loss()
    }
}
