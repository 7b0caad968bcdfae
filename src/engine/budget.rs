//! How many tokens a packed row may hold.

use super::{config::TokenBudget, memory};
use crate::model::Policy;

/// More makes no product of matrices any faster.
const MOST: usize = 4096;
/// Fewer waste the weights that each row streams from memory.
const FEWEST: usize = 512;
/// Work of one row that a pause should have to wait for: some seconds on a few cores.
const FLOPS_A_ROW: usize = 2_000_000_000_000;
/// Share of the free memory that a step may take.
const SHARE: f64 = 0.6;

/// The number asked for, or the largest that fits memory and leaves a pause prompt.
///
/// Part of the checkpoint: a resumed run must pack the same rows, whatever is free then.
pub fn row_tokens(asked: TokenBudget, policy: &Policy) -> usize {
    if let TokenBudget::Tokens(tokens) = asked {
        return tokens;
    }
    let prompt = FLOPS_A_ROW / (6 * policy.total_parameters().max(1));
    let mut tokens = prompt.clamp(FEWEST, MOST);
    let room = (memory::free_on(policy.device()) as f64 * SHARE) as u64;
    while tokens > FEWEST && policy.estimate_bytes(tokens, tokens / 2) > room {
        tokens /= 2;
    }
    tokens.max(FEWEST) / 64 * 64
}
