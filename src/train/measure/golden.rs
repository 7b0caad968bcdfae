//! What must hold at step 0: the policy is its own reference, so every reward is 0 and an anchored loss has a known
//! value.

use model::{Doc, Policy};

use crate::{
    dataset::documents::PairDoc,
    error::{Result, TrainError},
    loss::{WeighedTokens, judge},
    measure::log_probs::{all_log_probs, sum},
    objective::{Objective, PairTerm},
};

/// Pairs looked at: enough to meet every kind of answer, few enough to cost less than one step.
pub const PAIRS: usize = 16;
/// Packed otherwise, sums round otherwise; more than this a token is another model.
pub const TOLERANCE_PER_TOKEN: f64 = 1e-3;

/// Measured at step 0 beside what theory says: (name, measured, expected).
pub type Golden = Vec<(String, f64, f64)>;

/// Runs the first pairs through the policy at step 0. A miss is an error that says which part disagrees. `weighed`: by
/// place among `pairs`, where their tokens have weights.
pub fn check(
    policy: &Policy,
    objective: &Objective,
    pairs: &[PairDoc],
    anchors: &[Vec<f64>],
    weighed: &dyn Fn(usize) -> Option<WeighedTokens>,
    budget: usize,
) -> Result<Golden> {
    let count = pairs.len().min(PAIRS).min(anchors.len());
    let docs: Vec<&Doc> = pairs[..count].iter().map(|pair| &pair.doc).collect();
    let log_probs = all_log_probs(policy, &docs, budget)?;
    let mut terms: Vec<PairTerm> = Vec::with_capacity(count);
    for (place, ((pair, answers), anchors)) in pairs.iter().zip(&log_probs).zip(anchors).enumerate() {
        for (side, (values, anchor)) in answers.iter().zip(anchors).enumerate() {
            let now = sum(values);
            let allowed = TOLERANCE_PER_TOKEN * values.len() as f64;
            let which = format!("the {} answer of pair {}", ["chosen", "rejected"][side.min(1)], pair.id.0);
            if !now.is_finite() {
                return Err(no_number(&which, now, *anchor));
            }
            if (now - anchor).abs() > allowed || !anchor.is_finite() {
                return Err(TrainError::Golden(format!(
                    "the policy at step 0 gives {which} the log-prob {now:.4}, but its reference log-prob is {anchor:.4}. The reference disagrees with the policy"
                )));
            }
        }
        // As data without weights: theory knows no r, μ or c.
        let certain = PairDoc { certainty: 1.0, reward: 1.0, behaviour: 1.0, ..pair.clone() };
        terms.push(judge(objective, &certain, answers, anchors, weighed(place).as_ref()));
    }
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let mean = |value: fn(&PairTerm) -> f64| terms.iter().map(value).sum::<f64>() / count as f64;
    let mut golden = vec![("rewards/margins".to_owned(), mean(|term| term.chosen_reward - term.rejected_reward), 0.0)];
    let expected: Option<Vec<f64>> =
        pairs[..count].iter().map(|pair| objective.golden_against(pair.rejected())).collect();
    if let Some(expected) = expected.map(|expected| expected.iter().sum::<f64>() / count as f64) {
        let measured = mean(|term| term.loss);
        golden.push(("loss/preference".to_owned(), measured, expected));
        // The slope at the start times the margin that rounding may leave.
        let rounding = terms.iter().map(|term| term.push * term.margin.abs() * 2.0).fold(1e-9, f64::max);
        if (measured - expected).abs() > rounding || !measured.is_finite() {
            return Err(TrainError::Golden(format!(
                "the preference loss at step 0 is {measured:.6}, but with an anchored margin it must be {expected:.6}. The objective disagrees with its definition"
            )));
        }
    }
    Ok(golden)
}

/// Why the policy has no number to begin with.
fn no_number(which: &str, now: f64, anchor: f64) -> TrainError {
    let why = if anchor.is_finite() {
        format!(
            "The model without the adapter gives {anchor:.4}, so the adapter is at fault: its scale, lora.alpha divided by lora.rank, is too large for 32-bit numbers. Make lora.alpha smaller"
        )
    } else {
        "The weights hold values that are no numbers, or that are too large for the precision they are computed in. Get the model's files again, or try model.dtype = \"f32\"".to_owned()
    };
    TrainError::NoNumber(format!("the model at step 0 gives {which} the log-prob {now}. {why}"))
}
