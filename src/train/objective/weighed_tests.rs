//! Golden numbers, finite differences, and what weights of 1 must give.

use std::f64::consts::LN_2;

use super::{
    super::evaluate::tests::{assert_close, every_objective},
    *,
};
use crate::objective::{Dpo, Mpo, Smoothing};
use data::config::Margin;

const CERTAIN: Label = Label { certainty: 1.0, reward: 1.0, behaviour: 1.0 };
const REFERENCE: [&[f32]; 2] = [&[-1.0, -2.0, -3.0], &[-1.5, -0.5]];
/// Of finite differences.
const STEP: f32 = 0.0625;
/// Log-prob changes of the chosen and the rejected answer.
const CHANGES: [&[f32]; 2] = [&[0.2, -0.1, 0.4], &[-0.3, 0.1]];

/// The term of a pair with these log-probs and weights.
fn term(objective: &Objective, label: Label, policy: &[Vec<f32>], weights: &[Vec<f32>]) -> Term {
    let answer = |at: usize| WeighedAnswer {
        policy: &policy[at],
        reference: REFERENCE[at.min(1)],
        weights: &weights[at],
        stands_for: 1.0,
    };
    let rejected: Vec<_> = (1..policy.len()).map(answer).collect();
    objective.evaluate_weighed(label, answer(0), &rejected)
}

fn moved() -> Vec<Vec<f32>> {
    REFERENCE.iter().zip(CHANGES).map(|(at, by)| at.iter().zip(by).map(|(at, by)| at + by).collect()).collect()
}

fn dpo() -> Objective {
    Objective::Dpo(Dpo { beta: 0.1, margin: Margin::AnchoredSum, smoothing: Smoothing::None })
}

/// Weights of both answers, margin, loss, and the slope of each token.
type Golden<'a> = ([&'a [f32]; 2], f64, f64, [&'a [f64]; 2]);

#[test]
fn golden_numbers_of_dpo_and_mpo() {
    // Contrasts 1, −0.8 and 0.05 of the chosen, −2 and 0.6 of the rejected answer, kept within −0.5 to 1.5.
    let of = |contrasts: &[f32]| contrasts.iter().map(|contrast| contrast.exp()).collect::<Vec<f32>>();
    let exp = [of(&[1.0, -0.5, 0.05]), of(&[0.5, -0.6])];
    let rows: [Golden<'_>; 3] = [
        ([&[1.0; 3], &[1.0; 2]], 0.7, 0.658_760, [&[-0.048_251; 3], &[0.048_251; 2]]),
        ([&exp[0], &exp[1]], 1.343_247, 0.628_239, [&[-0.126_799, -0.028_293, -0.049_039], &[0.076_908, 0.025_600]]),
        (
            [&[1.3, 0.7, 1.0], &[1.3, 0.7]],
            0.91,
            0.648_682,
            [&[-0.062_045, -0.033_409, -0.047_727], &[0.062_045, 0.033_409]],
        ),
    ];
    for (weights, margin, loss, slopes) in rows {
        let weights = weights.map(<[f32]>::to_vec);
        let got = term(&dpo(), CERTAIN, &moved(), &weights);
        assert_close(got.pair.margin, margin, 1e-6);
        assert_close(got.pair.loss, loss, 1e-6);
        for ((slope, weights), expected) in got.slopes.iter().zip(&weights).zip(slopes) {
            for (weight, expected) in weights.iter().zip(expected) {
                assert_close(slope * f64::from(*weight), *expected, 1e-6);
            }
        }
        // What is told is not weighted, what the loss sees is.
        assert_close(got.pair.chosen_reward, 0.05, 1e-7);
        assert_close(got.pair.rejected_reward, -0.02, 1e-7);
        assert_close(got.pair.weighed.unwrap().reward_margin, 0.1 * margin, 1e-6);
    }
    let mpo = Objective::Mpo(Mpo { beta: 0.1, margin: Margin::AnchoredSum });
    let got = term(&mpo, CERTAIN, &moved(), &exp);
    assert_close(got.pair.loss, -0.533_531, 1e-6);
    assert_close(got.pair.push, 0.024_888, 1e-6);
}

#[test]
fn before_anything_moved_weights_change_no_loss() {
    let start: Vec<Vec<f32>> = REFERENCE.iter().map(|values| values.to_vec()).collect();
    let weights = [vec![3.0, 0.1, 0.0], vec![0.7, 2.0]];
    for objective in every_objective().into_iter().filter(|objective| objective.margin().is_anchored()) {
        let got = term(&objective, CERTAIN, &start, &weights);
        assert_eq!(Some(got.pair.loss), objective.golden(), "{objective:?}");
        assert_eq!(got.pair.margin, 0.0);
    }
    assert_close(term(&dpo(), CERTAIN, &start, &weights).pair.loss, LN_2, 1e-15);
}

/// To the bit: the same numbers as without weights, of every method, of one rejected answer and of several.
#[test]
fn weights_of_one_are_no_weights() {
    let several = || moved().into_iter().chain([vec![-1.25, -0.75]]).collect::<Vec<_>>();
    for objective in every_objective() {
        for (certainty, policy) in [(1.0, moved()), (0.75, moved()), (0.5, moved()), (1.0, several())] {
            let label = Label { certainty, reward: 0.5, behaviour: 0.8 };
            let ones: Vec<Vec<f32>> = policy.iter().map(|values| vec![1.0; values.len()]).collect();
            let mut got = term(&objective, label, &policy, &ones);
            let plain = |at: usize| AnswerLogProbs {
                policy: policy[at].iter().map(|&value| f64::from(value)).sum(),
                reference: REFERENCE[at.min(1)].iter().map(|&value| f64::from(value)).sum(),
                tokens: policy[at].len() as f64,
                stands_for: 1.0,
            };
            let others: Vec<AnswerLogProbs> = (1..policy.len()).map(plain).collect();
            let want = objective.evaluate_against(label, plain(0), &others);
            assert_eq!(got.pair.weighed.take().map(|weighed| (weighed.sum, weighed.squares)), {
                let tokens = ones.iter().flatten().count() as f64;
                Some((tokens, tokens))
            });
            if matches!(objective, Objective::Ipo(_)) {
                // It tells of the one rejected answer that it knows.
                got.pair.against = want.pair.against;
                (got.pair.rejected_reward, got.pair.policy_rejected) =
                    (want.pair.rejected_reward, want.pair.policy_rejected);
                got.pair.reference_rejected = want.pair.reference_rejected;
            }
            assert_eq!(got, want, "{objective:?}");
        }
    }
}

#[test]
fn slopes_times_weights_are_the_slopes_of_the_loss() {
    let weights = [vec![1.7, 0.2, 0.9], vec![0.4, 1.1], vec![2.0, 0.0]];
    let policy: Vec<Vec<f32>> = moved().into_iter().chain([vec![-1.25, -0.75]]).collect();
    for objective in every_objective() {
        for (certainty, answers) in [(1.0, 2), (0.75, 2), (1.0, 3), (0.8, 3)] {
            if answers == 3 && matches!(objective, Objective::Ipo(_)) {
                continue;
            }
            let label = Label { certainty, reward: 0.5, behaviour: 0.8 };
            let loss = |policy: &[Vec<f32>]| term(&objective, label, &policy[..answers], &weights).pair.loss;
            let slopes = term(&objective, label, &policy[..answers], &weights).slopes;
            for (answer, values) in policy[..answers].iter().enumerate() {
                for token in 0..values.len() {
                    let at = |by: f32| {
                        let mut policy = policy.clone();
                        policy[answer][token] += by;
                        loss(&policy)
                    };
                    // Central difference of fourth order.
                    let slope =
                        (8.0 * (at(STEP) - at(-STEP)) - (at(2.0 * STEP) - at(-2.0 * STEP))) / (12.0 * f64::from(STEP));
                    let expected = slopes[answer] * f64::from(weights[answer][token]);
                    assert_close(slope, expected, 2e-5 * (1.0 + expected.abs()));
                }
            }
        }
    }
}

#[test]
fn mean_margins_divide_by_the_sum_of_weights() {
    let mean = Objective::Dpo(Dpo { beta: 0.1, margin: Margin::AnchoredMean, smoothing: Smoothing::None });
    let weights = [vec![2.0, 1.0, 1.0], vec![0.25, 0.75]];
    let got = term(&mean, CERTAIN, &moved(), &weights);
    assert_close(got.pair.margin, (2.0 * 0.2 - 0.1 + 0.4) / 4.0 - (0.25 * -0.3 + 0.75 * 0.1) / 1.0, 1e-6);
    // Weights of nothing are no division by 0.
    let none = [vec![0.0; 3], vec![0.0; 2]];
    let got = term(&mean, CERTAIN, &moved(), &none);
    assert_eq!((got.pair.margin, got.pair.weighed.unwrap().chosen_top), (0.0, 0.0));
}

#[test]
fn the_heaviest_tenth_is_at_least_one_token() {
    assert_eq!(heaviest_tenth(&[]), 0.0);
    assert_eq!(heaviest_tenth(&[1.0; 10]), 0.1);
    assert_close(heaviest_tenth(&[1.0, 3.0, 1.0, 1.0]), 0.5, 1e-12);
    assert_close(heaviest_tenth(&[1.0; 20]), 0.1, 1e-12);
}
