//! How many tokens a packed row may hold, and how much memory.

use data::{MEGABYTE, config::TokenBudget};
use model::Policy;

use crate::memory::process;

/// More makes no product of matrices any faster.
const MOST: usize = 4096;
/// Fewer waste the weights that each row streams from memory.
const FEWEST: usize = 512;
/// Work of one row that a pause should have to wait for: some seconds on a few cores.
const FLOPS_A_ROW: usize = 2_000_000_000_000;
/// Share of the free memory that a run may take.
const SHARE: f64 = 0.8;
/// Bytes of a trained number's two moments, and of these and its gradient.
const MOMENTS: u64 = 8;
const LATER: u64 = 12;

/// What a run may hold. Running out of memory ends a program on a processor, so it is looked at before each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes of everything together.
    limit: u64,
    /// Bytes that the policy's own estimate does not know of: the program, the data, what the allocator keeps. At first
    /// what is held besides the weights, then what a tried row took more than foretold.
    beside: u64,
    /// Bytes that the run will hold beside the policy and does not yet.
    later: u64,
    /// Bytes of this process that are none of the run's: another run, or weights loaded to answer with.
    others: u64,
}

impl MemoryLimit {
    /// The limit asked for in MB, or a share of what is free now. The policy was loaded and has done nothing yet.
    /// `others`: bytes of this process that are none of the run's and will be free when it goes.
    pub fn new(asked: Option<u64>, policy: &Policy, others: u64) -> Self {
        let place = policy.place();
        let used = process::used_on(place).saturating_sub(others);
        let free = (process::free_on(place) + others) as f64 * SHARE;
        // The pages of gradients and moments are not there before something is written to them.
        let later = LATER * policy.trainable_parameters() as u64;
        let loaded = policy.fixed_bytes().saturating_sub(later);
        Self {
            limit: asked.map_or(used + free as u64, |mb| mb * MEGABYTE),
            beside: used.saturating_sub(loaded),
            later: 0,
            others,
        }
    }

    /// So many bytes will be held besides, which no tried row shows.
    pub fn expect(&mut self, bytes: u64) {
        self.later = bytes;
    }

    /// The same limit for rows of `other`, which is trained beside `policy` on one base.
    pub fn seen_from(self, policy: &Policy, other: &Policy) -> Self {
        // What either holds is counted by itself, and the rest stands beside.
        Self { beside: (self.beside + policy.fixed_bytes()).saturating_sub(other.fixed_bytes()), ..self }
    }

    /// Other weights were loaded or dropped since.
    pub fn set_others(&mut self, bytes: u64) {
        self.others = bytes;
    }

    /// Bytes that this process holds for the run.
    pub fn used(self, policy: &Policy) -> u64 {
        process::used_on(policy.place()).saturating_sub(self.others)
    }

    pub fn limit(self) -> u64 {
        self.limit
    }

    /// Bytes at the peak of a row that is estimated to take `row_bytes`, or of a checkpoint, which takes its turn with
    /// rows.
    pub fn peak(self, policy: &Policy, row_bytes: u64) -> u64 {
        self.standing(policy) + row_bytes.max(policy.saving_bytes())
    }

    /// Bytes that the activations of one row may take: up to the limit.
    pub fn whole(self, policy: &Policy) -> u64 {
        self.limit.saturating_sub(self.standing(policy))
    }

    /// The same now, when others may have taken of it.
    pub fn now(self, policy: &Policy) -> u64 {
        let reusable = self.used(policy).saturating_sub(self.standing(policy));
        let free = process::free_on(policy.place()) + reusable;
        self.whole(policy).min(free)
    }

    /// Bytes that keys and values of sampled answers may take, which take their turn with rows: half of what there is,
    /// the rest being for what prompts are computed in.
    pub fn for_caches(self, policy: &Policy) -> u64 {
        self.now(policy) / 2
    }

    /// Takes in what was measured: `peak` bytes in all while a row ran that was estimated to take `row_bytes`. Gives
    /// the peak of a step, with the optimizer's moments, which were not there yet.
    pub fn learn(&mut self, policy: &Policy, peak: u64, row_bytes: u64) -> u64 {
        let peak = peak.saturating_sub(self.others) + MOMENTS * policy.trainable_parameters() as u64;
        self.beside = peak.saturating_sub(policy.fixed_bytes() + row_bytes);
        peak + self.later
    }

    /// Held whatever the row.
    fn standing(self, policy: &Policy) -> u64 {
        policy.fixed_bytes() + self.beside + self.later
    }
}

/// Tokens of a row that leaves a pause prompt, where memory is no question.
pub fn prompt_row(parameters: usize) -> usize {
    (FLOPS_A_ROW / (6 * parameters.max(1))).clamp(FEWEST, MOST)
}

/// The number asked for, or the largest that fits memory and leaves a pause prompt.
///
/// Part of the checkpoint: a resumed run must pack the same rows, whatever is free then.
pub fn row_tokens(asked: TokenBudget, memory: MemoryLimit, policy: &Policy) -> usize {
    if let TokenBudget::Tokens(tokens) = asked {
        return tokens;
    }
    let mut tokens = prompt_row(policy.total_parameters());
    let memory = memory.now(policy);
    while tokens > FEWEST && policy.least_row_bytes(tokens, tokens / 2) > memory {
        tokens /= 2;
    }
    tokens.max(FEWEST) / 64 * 64
}
