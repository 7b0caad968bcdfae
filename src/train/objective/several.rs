//! One chosen answer against several rejected ones: a softmax over all answers of the prompt.
//!
//! Source: arXiv 2406.09215 (softmax DPO), text part of 2509.25717 (MISP-DPO). With a_i = −β·m_i against rejected
//! answer i and S = Σ e^(a_i): p_w = 1/(1+S), p_i = e^(a_i)/(1+S). DPO is −log p_w; MPO, whose preference policy then
//! has one action an answer, −p_w. One rejected answer gives σ(β·m) and with it the loss of a pair.
//!
//! Of a pool of n answers K may have been drawn, each standing for `1/(K·q)` of them, q its probability a draw: the
//! mean of Ŝ = Σ e^(a_i)/(K·q_i) is S, but log(1 + Ŝ) and 1/(1 + Ŝ) come out a little low and high (Jensen).
//!
//! A label of certainty c knows that one of the others is best with 1 − c, all of them alike: the loss is
//! `c·f(p_w) + (1−c)·mean f(p_i)`, f the method's −p or −log p; smoothing likewise.

use super::{ASLEEP, Against, Objective, PairLogProbs, PairTerm, pair_loss::Softmax};

/// One answer as its margin needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnswerLogProbs {
    /// Σ log π_θ over its tokens, and at step 0.
    pub policy: f64,
    pub reference: f64,
    /// Its length, or the sum of its tokens' weights (0 is taken as 1).
    pub tokens: f64,
    /// How many answers of the pool it stands for; 1 where none was drawn.
    pub stands_for: f64,
}

/// What is known of a label: c, r and μ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    pub certainty: f64,
    pub reward: f64,
    pub behaviour: f64,
}

/// What a pair contributes to a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    pub pair: PairTerm,
    /// ∂loss/∂(Σ log-probs) of the chosen answer, then of each rejected one.
    pub slopes: Vec<f64>,
}

impl Term {
    /// ∂(mean loss of a step of `pairs`)/∂(each token's log-prob), answer by answer.
    ///
    /// Every token of an answer has the same coefficient, because the margin knows only the sum. `pairs` counts
    /// the whole step, so micro-batches add up to the step's mean.
    pub fn coefficients(&self, pairs: usize) -> impl Iterator<Item = f32> {
        let pairs = pairs.max(1) as f64;
        self.slopes.iter().map(move |slope| (slope / pairs) as f32)
    }
}

impl Objective {
    /// Loss, gradient and measurements of a chosen answer against one or more. A method without a form for several
    /// knows one: the first.
    pub fn evaluate_against(&self, label: Label, chosen: AnswerLogProbs, rejected: &[AnswerLogProbs]) -> Term {
        let is_pair = matches!(rejected, [] | [AnswerLogProbs { stands_for: 1.0, .. }]);
        if let Some(form) = self.method().several().filter(|_| !is_pair) {
            return self.softmax(form, label, chosen, rejected);
        }
        let first = rejected.first().copied().unwrap_or(chosen);
        let pair = self.evaluate(&pair_of(label, chosen, first));
        let mut slopes = vec![pair.grad_chosen, pair.grad_rejected];
        slopes.resize(1 + rejected.len().max(1), 0.0);
        Term { pair, slopes }
    }

    /// The loss that a certain, unweighted pair with `rejected` answers in its pool has at step 0; absent for a
    /// reference-free margin.
    pub fn golden_against(&self, rejected: usize) -> Option<f64> {
        let form = self.method().several().filter(|_| rejected > 1);
        self.golden().map(|one| match form {
            Some(Softmax::Probability) => -1.0 / (1.0 + rejected as f64),
            Some(Softmax::LogProbability) => (rejected as f64).ln_1p(),
            None => one,
        })
    }

    fn softmax(&self, form: Softmax, label: Label, chosen: AnswerLogProbs, rejected: &[AnswerLogProbs]) -> Term {
        let (kind, beta) = (self.margin(), self.beta());
        let pairs: Vec<PairLogProbs> = rejected.iter().map(|one| pair_of(label, chosen, *one)).collect();
        let margins: Vec<f64> = pairs.iter().map(|pair| pair.margin(kind)).collect();
        let logits: Vec<f64> =
            margins.iter().zip(rejected).map(|(margin, one)| one.stands_for.ln() - beta * margin).collect();
        let top = logits.iter().copied().fold(0.0, f64::max);
        let log_sum = top + logits.iter().fold((-top).exp(), |sum, logit| sum + (logit - top).exp()).ln();
        let p_chosen = (-log_sum).exp();
        let p: Vec<f64> = logits.iter().map(|logit| (logit - log_sum).exp()).collect();
        let all: f64 = p.iter().sum();

        let pool: f64 = rejected.iter().map(|one| one.stands_for).sum();
        let share = |one: &AnswerLogProbs| one.stands_for / pool;
        let (agree, differ) = self.method().odds();
        let c = label.certainty;
        let (agrees, differs) = (c * agree + (1.0 - c) * differ, c * differ + (1.0 - c) * agree);
        let weight = self.method().weight(label.reward, label.behaviour);
        // By ∂/∂a_i, for the weights of "the chosen one is best" and "one of the others is".
        let slope_of = |at: usize, agrees: f64, differs: f64| match form {
            Softmax::Probability => p_chosen * p[at] * (agrees - differs / pool),
            Softmax::LogProbability => agrees * p[at] + differs * (p[at] - share(&rejected[at])),
        };
        let loss = weight
            * match form {
                Softmax::Probability => -agrees * p_chosen - differs * all / pool,
                Softmax::LogProbability => {
                    let others =
                        margins.iter().zip(rejected).map(|(margin, one)| share(one) * (log_sum + beta * margin));
                    agrees * log_sum + differs * others.sum::<f64>()
                }
            };
        // ∂loss/∂m_i.
        let by_margin: Vec<f64> = (0..p.len()).map(|at| -beta * weight * slope_of(at, agrees, differs)).collect();
        let of_all: f64 = by_margin.iter().sum();
        let (per_chosen, _) = pairs[0].slopes(kind);
        let mut slopes = vec![of_all * per_chosen];
        slopes.extend(pairs.iter().zip(&by_margin).map(|(pair, slope)| -slope * pair.slopes(kind).1));
        let certain = beta * (0..p.len()).map(|at| slope_of(at, agree, differ)).sum::<f64>();

        let count = rejected.len() as f64;
        let reward = |answer: &AnswerLogProbs| beta * (answer.policy - answer.reference);
        let mean = |value: &dyn Fn(&AnswerLogProbs) -> f64| rejected.iter().map(value).sum::<f64>() / count;
        let pair = PairTerm {
            loss,
            grad_chosen: slopes[0],
            grad_rejected: slopes[1..].iter().sum(),
            margin: margins.iter().copied().fold(f64::INFINITY, f64::min),
            chosen_reward: reward(&chosen),
            rejected_reward: mean(&reward),
            importance_weight: p_chosen / label.behaviour,
            push: of_all.abs(),
            asleep: certain.abs() < ASLEEP * self.largest_push(),
            certainty: c,
            policy_chosen: chosen.policy,
            policy_rejected: mean(&|answer| answer.policy),
            reference_chosen: chosen.reference,
            reference_rejected: mean(&|answer| answer.reference),
            against: Against {
                count,
                effective: all * all / p.iter().map(|p| p * p).sum::<f64>(),
                entropy: -p.iter().map(|p| p / all).filter(|p| *p > 0.0).map(|p| p * p.ln()).sum::<f64>(),
                best_reward: rejected.iter().map(reward).fold(f64::NEG_INFINITY, f64::max),
            },
            weighed: None,
        };
        Term { pair, slopes }
    }
}

fn pair_of(label: Label, chosen: AnswerLogProbs, rejected: AnswerLogProbs) -> PairLogProbs {
    PairLogProbs {
        policy_chosen: chosen.policy,
        policy_rejected: rejected.policy,
        reference_chosen: chosen.reference,
        reference_rejected: rejected.reference,
        chosen_tokens: chosen.tokens,
        rejected_tokens: rejected.tokens,
        certainty: label.certainty,
        reward: label.reward,
        behaviour: label.behaviour,
    }
}

#[cfg(test)]
#[path = "several_tests.rs"]
mod tests;
