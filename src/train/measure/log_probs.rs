//! log π_θ of documents as the weights are, without a gradient.

use std::ops::ControlFlow;

use model::{Doc, Policy, PolicyError, Row};

use crate::{dataset::packing::pack, error::Result};

/// By document, answer and token, in their order.
pub type LogProbs = Vec<Vec<Vec<f32>>>;

/// Σ by document and answer.
pub type Sums = Vec<Vec<f64>>;

/// log π_θ of each token of each answer, in rows of up to `row_tokens`. `tick` hears before each row how many documents
/// are done; when it breaks, the answer is `None`.
pub fn log_probs(
    policy: &Policy,
    docs: &[&Doc],
    row_tokens: usize,
    tick: &mut dyn FnMut(usize) -> Result<ControlFlow<()>>,
) -> Result<Option<LogProbs>> {
    row_by_row(docs, row_tokens, tick, |row| policy.log_probs(row))
}

/// The same where nobody interrupts.
pub fn all_log_probs(policy: &Policy, docs: &[&Doc], row_tokens: usize) -> Result<LogProbs> {
    let whole = row_by_row(docs, row_tokens, &mut |_| Ok(ControlFlow::Continue(())), |row| policy.log_probs(row))?;
    Ok(whole.unwrap_or_default())
}

/// log π_ref of the same, where an adapter is trained.
pub fn reference_log_probs(policy: &Policy, docs: &[&Doc], row_tokens: usize) -> Result<LogProbs> {
    let of_row = |row: &Row| policy.reference_log_probs(row);
    let whole = row_by_row(docs, row_tokens, &mut |_| Ok(ControlFlow::Continue(())), of_row)?;
    Ok(whole.unwrap_or_default())
}

fn row_by_row(
    docs: &[&Doc],
    row_tokens: usize,
    tick: &mut dyn FnMut(usize) -> Result<ControlFlow<()>>,
    of_row: impl Fn(&Row) -> Result<Vec<Vec<f32>>, PolicyError>,
) -> Result<Option<LogProbs>> {
    let mut by_doc: LogProbs = vec![Vec::new(); docs.len()];
    let mut done = 0;
    for packed in pack(docs.iter().copied().enumerate(), row_tokens).map_err(PolicyError::from)? {
        if tick(done)?.is_break() {
            return Ok(None);
        }
        let log_probs = of_row(&packed.row)?;
        for (index, answers) in packed.by_owner(&log_probs) {
            by_doc[index] = answers.to_vec();
            done += 1;
        }
    }
    Ok(Some(by_doc))
}

/// Σ of each answer.
pub fn sums(log_probs: &LogProbs) -> Sums {
    log_probs.iter().map(|answers| answers.iter().map(|values| sum(values)).collect()).collect()
}

/// Σ in f64.
pub fn sum(log_probs: &[f32]) -> f64 {
    log_probs.iter().map(|&value| f64::from(value)).sum()
}
