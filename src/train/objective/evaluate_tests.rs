//! Closed forms, finite differences, and the numbers PyTorch and TRL compute.

use std::f64::consts::LN_2;

use super::{
    super::{Dpo, Ipo, Mpo, Smoothing, Term},
    *,
};

pub fn assert_close(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance * want.abs().max(1.0), "got {got}, want {want}");
}

/// A certain, unweighted pair whose answers are 5 and 8 tokens long and have not moved.
pub fn pair() -> PairLogProbs {
    PairLogProbs {
        policy_chosen: -20.0,
        policy_rejected: -24.0,
        reference_chosen: -20.0,
        reference_rejected: -24.0,
        chosen_tokens: 5.0,
        rejected_tokens: 8.0,
        certainty: 1.0,
        reward: 1.0,
        behaviour: 1.0,
    }
}

/// Every method with every margin and smoothing it accepts.
pub fn every_objective() -> Vec<Objective> {
    let mut all = Vec::new();
    for margin in Margin::ALL {
        all.push(Objective::Mpo(Mpo { beta: 0.3, margin }));
        if margin.is_anchored() {
            for smoothing in [Smoothing::None, Smoothing::Conservative(0.1), Smoothing::Robust(0.1)] {
                all.push(Objective::Dpo(Dpo { beta: 0.3, margin, smoothing }));
            }
            all.push(Objective::Ipo(Ipo { tau: 0.2, margin, beta: 0.3 }));
        }
    }
    all
}

/// Pairs over a grid of margins up to |m| = 400, lengths, certainties and weights.
fn grid() -> Vec<PairLogProbs> {
    let mut all = Vec::new();
    for shift in [-400.0, -50.0, -7.0, -0.5, 0.0, 0.5, 7.0, 50.0, 400.0] {
        for (chosen_tokens, rejected_tokens) in [(1.0, 1.0), (3.0, 40.0), (17.0, 2.0)] {
            for certainty in [0.5, 0.7, 0.9, 1.0] {
                for (reward, behaviour) in [(1.0, 1.0), (0.5, 0.8), (-0.25, 0.65)] {
                    all.push(PairLogProbs {
                        policy_chosen: -60.0 + shift / 2.0,
                        policy_rejected: -55.0 - shift / 2.0,
                        reference_chosen: -61.5,
                        reference_rejected: -55.25,
                        chosen_tokens,
                        rejected_tokens,
                        certainty,
                        reward,
                        behaviour,
                    });
                }
            }
        }
    }
    all
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    // Central difference of fourth order.
    let slope = |loss: &dyn Fn(f64) -> f64, eps: f64| {
        (8.0 * (loss(eps) - loss(-eps)) - (loss(2.0 * eps) - loss(-2.0 * eps))) / (12.0 * eps)
    };
    for objective in every_objective() {
        for pair in grid() {
            let term = objective.evaluate(&pair);
            assert!(term.loss.is_finite() && term.push.is_finite(), "{objective:?} {pair:?}");
            let loss_at = |chosen: f64, rejected: f64| {
                let moved = PairLogProbs {
                    policy_chosen: pair.policy_chosen + chosen,
                    policy_rejected: pair.policy_rejected + rejected,
                    ..pair
                };
                objective.evaluate(&moved).loss
            };
            let scale = term.loss.abs().max(1.0);
            let chosen = slope(&|eps| loss_at(eps, 0.0), 1e-2);
            let rejected = slope(&|eps| loss_at(0.0, eps), 1e-2);
            assert!(
                (term.grad_chosen - chosen).abs() < 1e-9 * scale,
                "{objective:?} {pair:?}: {} is not {chosen}",
                term.grad_chosen
            );
            assert!(
                (term.grad_rejected - rejected).abs() < 1e-9 * scale,
                "{objective:?} {pair:?}: {} is not {rejected}",
                term.grad_rejected
            );
        }
    }
}

/// The form that the MPO paper derives: E[ρ·r·∇ log π^p], ρ detached.
#[test]
fn both_forms_of_mpo_have_one_gradient() {
    const BETA: f64 = 0.3;
    // Of one logged action: π^p = σ(h), and its score ∂log σ(h)/∂m = β·σ(−h).
    let slope = |margin: f64| -sigmoid(BETA * margin) * BETA * sigmoid(-BETA * margin);
    for margin in Margin::ALL {
        let objective = Objective::Mpo(Mpo { beta: BETA, margin });
        for pair in grid() {
            let value = objective.evaluate(&pair);
            // The two actions, "chosen is better" and "rejected is better", each with its own ρ and score.
            let c = pair.certainty;
            let both = c * slope(value.margin) - (1.0 - c) * slope(-value.margin);
            let both = both * pair.reward / pair.behaviour;
            let (per_chosen, per_rejected) = pair.slopes(margin);
            // Rounding, on the scale of one action's push: a tie's two actions cancel.
            let rounding = 1e-15 * objective.push_at(value.margin).max(f64::MIN_POSITIVE) * 2.0;
            for (one, other) in [(value.grad_chosen, both * per_chosen), (value.grad_rejected, -both * per_rejected)] {
                assert!((one - other).abs() <= rounding, "{pair:?}: {one} is not {other}");
            }
        }
    }
}

#[test]
fn the_push_of_mpo_is_the_papers() {
    let objective = Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum });
    // m = 2, h = 1, σ(1) = 0.731058578630005
    let moved = PairLogProbs { policy_chosen: -18.0, certainty: 0.9, ..pair() };
    let sigma = 0.731_058_578_630_004_9;
    let term = objective.evaluate(&moved);
    assert_close(term.push, 0.5 * sigma * (1.0 - sigma) * 0.8, 1e-14);
    assert_close(term.loss, -(0.9 * sigma + 0.1 * (1.0 - sigma)), 1e-14);
    assert_close(term.importance_weight, sigma, 1e-14);
    assert_close(term.chosen_reward, 1.0, 1e-14);
    assert_eq!(term.rejected_reward, 0.0);
    // Descent raises the chosen answer and lowers the rejected one.
    assert!(term.grad_chosen < 0.0 && term.grad_rejected > 0.0);

    let tie = PairLogProbs { certainty: 0.5, ..moved };
    assert_eq!(objective.evaluate(&tie).push, 0.0);
}

#[test]
fn mpo_lets_go_at_both_ends_and_dpo_only_at_one() {
    let margin = Margin::AnchoredSum;
    let mpo = Objective::Mpo(Mpo { beta: 1.0, margin });
    let dpo = Objective::Dpo(Dpo { beta: 1.0, margin, smoothing: Smoothing::None });
    assert!(mpo.push_at(50.0) > 0.0 && mpo.push_at(50.0) < 1e-20);
    assert!(mpo.push_at(-50.0) > 0.0 && mpo.push_at(-50.0) < 1e-20);
    assert!(dpo.push_at(50.0) > 0.0 && dpo.push_at(50.0) < 1e-20);
    assert_close(dpo.push_at(-50.0), 1.0, 1e-12);
    assert_close(dpo.loss_at(-50.0), 50.0, 1e-12);
    assert_eq!(mpo.loss_at(-1e6), 0.0);
    assert_eq!(mpo.loss_at(1e6), -1.0);
}

#[test]
fn asleep_is_five_percent_of_the_largest_push() {
    let margin = Margin::AnchoredSum;
    let beta = 0.1;
    let mpo = Objective::Mpo(Mpo { beta, margin });
    // 4·σ(h)·σ(−h) = 0.05 at h = ±4.3567088266895917
    for sign in [-1.0, 1.0] {
        assert!(!mpo.asleep_at(sign * 43.56));
        assert!(mpo.asleep_at(sign * 43.58));
    }
    let dpo = Objective::Dpo(Dpo { beta, margin, smoothing: Smoothing::None });
    // σ(−h) = 0.05 at h = ln 19 = 2.94443897916644
    assert!(!dpo.asleep_at(29.44) && dpo.asleep_at(29.45) && !dpo.asleep_at(-1000.0));
    let ipo = Objective::Ipo(Ipo { tau: 0.1, margin, beta });
    assert!(!ipo.asleep_at(4.74) && ipo.asleep_at(4.76) && ipo.asleep_at(5.24));
    assert!(!ipo.asleep_at(5.26));
}

#[test]
fn golden_values_at_step_zero() {
    let tilted = PairLogProbs { certainty: 0.7, reward: 0.5, behaviour: 0.8, ..pair() };
    for objective in every_objective() {
        let golden = objective.golden();
        let expected = match objective {
            _ if !objective.margin().is_anchored() => None,
            Objective::Mpo(_) => Some(-0.5),
            // Both smoothings keep ln 2: (1−ε) ± ε, over (1−2ε) for the robust form.
            Objective::Dpo(_) => Some(LN_2),
            Objective::Ipo(Ipo { tau, .. }) => Some(1.0 / (4.0 * tau * tau)),
        };
        match (golden, expected) {
            (Some(golden), Some(expected)) => {
                assert_close(golden, expected, 1e-14);
                assert_close(objective.evaluate(&pair()).loss, golden, 1e-14);
                assert_close(objective.evaluate(&tilted).loss, golden * objective.weight(&tilted), 1e-14);
                assert_eq!(objective.evaluate(&pair()).margin, 0.0);
            }
            (golden, expected) => assert_eq!(golden, expected),
        }
    }
}

#[test]
fn coefficients_of_micro_batches_add_up_to_the_steps_mean() {
    let objective = Objective::Mpo(Mpo { beta: 0.3, margin: Margin::Mean });
    let term = objective.evaluate(&pair());
    let whole = Term { pair: term, slopes: vec![term.grad_chosen, term.grad_rejected] };
    for (coefficient, slope) in whole.coefficients(16).zip(&whole.slopes) {
        assert_close(f64::from(coefficient), slope / 16.0, 1e-7);
    }
    // Mean margins divide by the answer's own length.
    assert_close(term.grad_chosen * 5.0, -term.grad_rejected * 8.0, 1e-14);
}

#[test]
fn an_answer_without_tokens_does_not_divide_by_zero() {
    for objective in every_objective() {
        let empty = PairLogProbs { policy_chosen: 0.0, reference_chosen: 0.0, chosen_tokens: 0.0, ..pair() };
        let term = objective.evaluate(&empty);
        assert!(term.loss.is_finite() && term.grad_chosen.is_finite());
    }
}

#[test]
fn constants_without_meaning_are_refused_in_words() {
    let refused = |objective: Objective, word: &str| {
        let sentence = objective.validate().unwrap_err();
        assert!(sentence.contains(word), "{sentence}");
    };
    let margin = Margin::AnchoredSum;
    for beta in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        refused(Objective::Mpo(Mpo { beta, margin }), "beta");
        refused(Objective::Ipo(Ipo { tau: 0.1, margin, beta }), "beta");
    }
    for tau in [0.0, -1.0, f64::NAN] {
        refused(Objective::Ipo(Ipo { tau, margin, beta: 0.1 }), "tau");
    }
    for e in [-0.1, 0.5, 0.9, f64::NAN] {
        for smoothing in [Smoothing::Conservative(e), Smoothing::Robust(e)] {
            refused(Objective::Dpo(Dpo { beta: 0.1, margin, smoothing }), "label_smoothing");
        }
    }
    for margin in [Margin::Sum, Margin::Mean] {
        refused(Objective::Dpo(Dpo { beta: 0.1, margin, smoothing: Smoothing::None }), "DPO");
        refused(Objective::Ipo(Ipo { tau: 0.1, margin, beta: 0.1 }), "IPO");
    }
    for objective in every_objective() {
        objective.validate().unwrap();
    }
}

/// Every objective on three pairs, as computed in f64 by PyTorch and confirmed by TRL 1.16 for DPO and IPO.
///
/// `tests/fixtures/objective_golden.json` holds, per model, the `lora.objectives` and `lora.ref_logps` parts of a
/// PyTorch script's record for tiny random models: log-probs of an adapted policy, of its base as reference, and
/// losses.
#[test]
fn losses_are_those_of_pytorch_and_trl() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/fixtures/objective_golden.json")).unwrap();
    let mut compared = 0;
    for (model, record) in golden["models"].as_object().unwrap() {
        for (name, expected) in record["objectives"].as_object().unwrap() {
            let spec = &expected["spec"];
            let (objective, mean) = objective_of(spec);
            let numbers = |value: &serde_json::Value| -> Vec<f64> {
                let values = value.as_array().unwrap();
                values.iter().map(|x| x.as_f64().unwrap()).collect()
            };
            let kind = if mean { "mean" } else { "sum" };
            let (lw, ll) = (numbers(&expected["lw"]), numbers(&expected["ll"]));
            let reference = [0, 1].map(|side| numbers(&record["ref_logps"][kind][side]));
            let weighted = spec["weighted"] == true;
            let pairs = lw.len();
            let mut loss = 0.0;
            for i in 0..pairs {
                // The record holds per-token means already: a length of 1 leaves them as they are.
                let term = objective.evaluate(&PairLogProbs {
                    policy_chosen: lw[i],
                    policy_rejected: ll[i],
                    reference_chosen: reference[0][i],
                    reference_rejected: reference[1][i],
                    chosen_tokens: 1.0,
                    rejected_tokens: 1.0,
                    certainty: 1.0,
                    reward: if weighted { weight_of(&record["reward"][i]) } else { 1.0 },
                    behaviour: if weighted { weight_of(&record["behaviour"][i]) } else { 1.0 },
                });
                loss += term.loss / pairs as f64;
            }
            let preference = expected.get("loss_pref").unwrap_or(&expected["loss"]);
            assert_close(loss, preference.as_f64().unwrap(), 1e-12);
            if let Some(kl_weight) = spec.get("kl_weight") {
                let total = loss
                    + kl_weight.as_f64().unwrap() * expected["loss_ref"].as_f64().unwrap()
                    + spec["pretrain_weight"].as_f64().unwrap() * expected["loss_pre"].as_f64().unwrap();
                assert_close(total, expected["loss"].as_f64().unwrap(), 1e-12);
            }
            compared += 1;
            assert!(!name.is_empty() && !model.is_empty());
        }
    }
    assert_eq!(compared, 12 * 12, "twelve models, twelve objectives");
}

/// Weights went through f32 there, as they do in a [`::data::Pair`].
fn weight_of(value: &serde_json::Value) -> f64 {
    f64::from(value.as_f64().unwrap() as f32)
}

fn objective_of(spec: &serde_json::Value) -> (Objective, bool) {
    let number = |key: &str| spec[key].as_f64();
    let mean = spec["mean"] == true;
    let anchored = spec["anchored"] == true;
    let beta = number("beta").unwrap_or(1.0);
    let against_reference = if mean { Margin::AnchoredMean } else { Margin::AnchoredSum };
    let objective = match spec["kind"].as_str().unwrap() {
        "mpo" => Objective::Mpo(Mpo {
            beta,
            margin: match (anchored, mean) {
                (false, false) => Margin::Sum,
                (false, true) => Margin::Mean,
                (true, _) => against_reference,
            },
        }),
        "dpo" => Objective::Dpo(Dpo {
            beta,
            margin: against_reference,
            smoothing: match (number("smoothing"), spec["robust"] == true) {
                (None, _) => Smoothing::None,
                (Some(e), false) => Smoothing::Conservative(e),
                (Some(e), true) => Smoothing::Robust(e),
            },
        }),
        "ipo" => Objective::Ipo(Ipo { tau: number("tau").unwrap(), margin: against_reference, beta }),
        other => panic!("unknown objective {other}"),
    };
    (objective, mean)
}
