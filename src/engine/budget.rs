//! How many tokens a packed row may hold, and how much memory.

use super::{config::TokenBudget, memory};
use crate::model::Policy;

/// More makes no product of matrices any faster.
const MOST: usize = 4096;
/// Fewer waste the weights that each row streams from memory.
const FEWEST: usize = 512;
/// Work of one row that a pause should have to wait for: some seconds on a few cores.
const FLOPS_A_ROW: usize = 2_000_000_000_000;
/// Share of the free memory that a run may take.
const SHARE: f64 = 0.8;

/// What a run may hold. Running out of memory ends a program on a processor, so it is looked at before each row.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Bytes of everything together.
    limit: u64,
}

impl Room {
    /// The limit asked for in MB, or a share of what is free now.
    pub fn new(asked: Option<u64>, policy: &Policy) -> Self {
        let device = policy.device();
        let free = memory::free_on(device) as f64 * SHARE;
        Self {
            limit: asked.map_or(memory::used_on(device) + free as u64, |mb| mb << 20),
        }
    }

    /// Bytes that the activations of one row may take now: up to the limit, and not what others have taken since.
    pub fn now(self, policy: &Policy) -> u64 {
        let (fixed, device) = (policy.fixed_bytes(), policy.device());
        let reusable = memory::used_on(device).saturating_sub(fixed);
        let free = memory::free_on(device) + reusable;
        self.limit.saturating_sub(fixed).min(free)
    }
}

/// The number asked for, or the largest that fits memory and leaves a pause prompt.
///
/// Part of the checkpoint: a resumed run must pack the same rows, whatever is free then.
pub fn row_tokens(asked: TokenBudget, room: Room, policy: &Policy) -> usize {
    if let TokenBudget::Tokens(tokens) = asked {
        return tokens;
    }
    let prompt = FLOPS_A_ROW / (6 * policy.total_parameters().max(1));
    let mut tokens = prompt.clamp(FEWEST, MOST);
    let room = room.now(policy);
    while tokens > FEWEST && policy.least_row_bytes(tokens, tokens / 2) > room {
        tokens /= 2;
    }
    tokens.max(FEWEST) / 64 * 64
}
