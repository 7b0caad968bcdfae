//! Golden numbers, finite differences, and what one rejected answer must give.

use std::f64::consts::LN_2;

use data::config::Margin;

use super::{
    super::evaluate::tests::{assert_close, every_objective},
    *,
};
use crate::objective::{Dpo, Mpo, Smoothing};

const CERTAIN: Label = Label { certainty: 1.0, reward: 1.0, behaviour: 1.0 };

fn at(change: f64) -> AnswerLogProbs {
    AnswerLogProbs { policy: -20.0 + change, reference: -20.0, tokens: 4.0, stands_for: 1.0 }
}

fn mpo(beta: f64) -> Objective {
    Objective::Mpo(Mpo { beta, margin: Margin::AnchoredSum })
}

fn dpo(beta: f64) -> Objective {
    Objective::Dpo(Dpo { beta, margin: Margin::AnchoredSum, smoothing: Smoothing::None })
}

/// Rejected answers whose log-ratio is so much above that of the chosen one.
fn three() -> [AnswerLogProbs; 3] {
    [-2.0, -1.0, 0.5].map(at)
}

#[test]
fn golden_numbers_of_three_rejected_answers() {
    let term = dpo(0.5).evaluate_against(CERTAIN, at(0.0), &three());
    assert_close(term.pair.loss, 1.181_247, 1e-6);
    let p = [0.112_901, 0.186_142, 0.394_062];
    for (slope, p) in term.slopes[1..].iter().zip(p) {
        assert_close(*slope, 0.5 * p, 1e-6);
    }
    assert_close(term.slopes[0], -0.5 * (1.0 - 0.306_896), 1e-6);
    let term = mpo(0.5).evaluate_against(CERTAIN, at(0.0), &three());
    assert_close(term.pair.loss, -0.306_896, 1e-6);
    assert_close(term.pair.importance_weight, 0.306_896, 1e-6);
    for (slope, by_a) in term.slopes[1..].iter().zip([0.034_649, 0.057_126, 0.120_936]) {
        assert_close(*slope, 0.5 * by_a, 1e-6);
    }
    assert_eq!((term.pair.margin, term.pair.against.best_reward), (-0.5, 0.25));
    assert_close(term.pair.rejected_reward, 0.5 * (-2.5 / 3.0), 1e-12);
    let one = dpo(0.5).evaluate_against(CERTAIN, at(0.0), &[at(0.5)]);
    assert_close(one.pair.loss, 0.825_939, 1e-6);
    assert_close(one.pair.importance_weight, 0.437_823, 1e-6);
}

#[test]
fn before_anything_moved_the_loss_is_known_and_all_answers_are_alike() {
    for several in 2..9 {
        let rejected = vec![at(0.0); several];
        let k = several as f64;
        let term = dpo(0.3).evaluate_against(CERTAIN, at(0.0), &rejected);
        assert_close(term.pair.loss, (1.0 + k).ln(), 1e-12);
        assert_eq!(dpo(0.3).golden_against(several), Some(k.ln_1p()));
        assert_close(mpo(0.3).evaluate_against(CERTAIN, at(0.0), &rejected).pair.loss, -1.0 / (1.0 + k), 1e-12);
        assert_close(mpo(0.3).golden_against(several).unwrap(), -1.0 / (1.0 + k), 1e-12);
        assert_close(term.pair.against.effective, k, 1e-12);
        assert_close(term.pair.against.entropy, k.ln(), 1e-12);
        assert!(!term.pair.asleep);
    }
    assert_eq!((dpo(0.3).golden_against(1), mpo(0.3).golden_against(1)), (Some(LN_2), Some(-0.5)));
}

/// The pair's own arithmetic, to the bit; and the softmax of one answer is that pair but for rounding.
#[test]
fn one_rejected_answer_is_the_pair() {
    for objective in every_objective() {
        for certainty in [0.7, 1.0] {
            for change in [-30.0, -1.5, 0.0, 0.3, 30.0] {
                let label = Label { certainty, reward: 0.5, behaviour: 0.8 };
                let rejected = AnswerLogProbs { tokens: 9.0, ..at(change) };
                let pair = objective.evaluate(&pair_of(label, at(0.2), rejected));
                let one = objective.evaluate_against(label, at(0.2), &[rejected]);
                assert_eq!((one.pair, &one.slopes[..]), (pair, &[pair.grad_chosen, pair.grad_rejected][..]));
                let Some(form) = objective.method().several() else {
                    continue;
                };
                let softmax = objective.softmax(form, label, at(0.2), &[rejected]);
                for (got, want) in [
                    (softmax.pair.loss, pair.loss),
                    (softmax.slopes[0], pair.grad_chosen),
                    (softmax.slopes[1], pair.grad_rejected),
                    (softmax.pair.push, pair.push),
                    (softmax.pair.margin, pair.margin),
                    (softmax.pair.importance_weight, pair.importance_weight),
                ] {
                    assert_close(got, want, 1e-12);
                }
                assert_eq!(softmax.pair.asleep, pair.asleep, "{objective:?} {change}");
            }
        }
    }
}

#[test]
fn slopes_are_finite_differences_and_what_one_wins_the_others_lose() {
    const STEP: f64 = 1e-5;
    for objective in every_objective() {
        if matches!(objective, Objective::Ipo(_)) {
            continue;
        }
        for certainty in [0.7, 0.9, 1.0] {
            let label = Label { certainty, reward: 0.5, behaviour: 0.8 };
            let drawn = |change, tokens, stands_for| AnswerLogProbs { tokens, stands_for, ..at(change) };
            let answers = [at(0.7), drawn(-1.0, 4.0, 1.0), drawn(2.0, 4.0, 2.5), drawn(0.1, 4.0, 1.5)];
            let term = objective.evaluate_against(label, answers[0], &answers[1..]);
            for index in 0..answers.len() {
                let moved = |by: f64| {
                    let mut answers = answers;
                    answers[index].policy += by;
                    objective.evaluate_against(label, answers[0], &answers[1..]).pair.loss
                };
                let measured = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                assert!((measured - term.slopes[index]).abs() < 1e-8, "{objective:?} {index}: {measured}");
            }
            assert!(term.slopes.iter().sum::<f64>().abs() < 1e-12, "a shift of all answers changes nothing");
        }
    }
}

#[test]
fn far_answers_neither_overflow_nor_become_no_number() {
    for objective in [mpo(1.0), dpo(1.0)] {
        for change in [-4000.0, 4000.0] {
            let term = objective.evaluate_against(CERTAIN, at(0.0), &[at(change), at(0.0), at(-change)]);
            assert!(term.pair.loss.is_finite() && term.slopes.iter().all(|slope| slope.is_finite()), "{term:?}");
            assert!(term.pair.against.entropy.is_finite() && term.pair.against.effective >= 1.0);
        }
    }
}

/// A draw of one of three with probability q: the mean of Ŝ is S, the loss comes out low.
#[test]
fn drawn_answers_keep_the_sum_in_the_mean_and_lower_the_loss() {
    let q = [0.2, 0.3, 0.5];
    let all = three();
    let loss = |picked: &[usize]| {
        let draws = picked.len() as f64;
        let drawn: Vec<AnswerLogProbs> =
            picked.iter().map(|&at| AnswerLogProbs { stands_for: 1.0 / (draws * q[at]), ..all[at] }).collect();
        dpo(0.5).evaluate_against(CERTAIN, at(0.0), &drawn).pair.loss
    };
    let sums: Vec<f64> = (0..3).map(|at| loss(&[at]).exp_m1()).collect();
    for (sum, golden) in sums.iter().zip([1.839_397, 2.021_769, 2.568_051]) {
        assert_close(*sum, golden, 1e-6);
    }
    let mean: f64 = sums.iter().zip(q).map(|(sum, q)| sum * q).sum();
    assert_close(mean, 2.258_436, 1e-6);
    assert_close((0..3).map(|at| q[at] * loss(&[at])).sum::<f64>(), 1.176_481, 1e-6);
    let pairs = (0..3).flat_map(|a| (0..3).map(move |b| (a, b)));
    assert_close(pairs.map(|(a, b)| q[a] * q[b] * loss(&[a, b])).sum::<f64>(), 1.178_875, 1e-6);
}

/// Evenly drawn without putting back, each stands for n/K: at step 0 that is the whole pool's loss.
#[test]
fn even_draws_have_the_golden_loss_of_the_pool() {
    let drawn = [AnswerLogProbs { stands_for: 2.5, ..at(0.0) }; 2];
    let loss = |objective: Objective| objective.evaluate_against(CERTAIN, at(0.0), &drawn).pair.loss;
    assert_close(loss(dpo(0.3)), dpo(0.3).golden_against(5).unwrap(), 1e-12);
    assert_close(loss(mpo(0.3)), mpo(0.3).golden_against(5).unwrap(), 1e-12);
}
