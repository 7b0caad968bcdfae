//! What a run is said to hold before it begins.

use std::fmt;

use data::size;
use serde::{Deserialize, Serialize};

/// What a run holds at its peak, and what it may hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryOutlook {
    /// Bytes of everything that the program holds while the largest row is worked on.
    pub peak_memory_bytes: u64,
    pub peak_memory_is: EstimateBasis,
    /// Weights, optimizer, gradients and activations of that row alone, counted from their shapes.
    pub estimated_memory_bytes: u64,
    /// What keys and values of the answers that a step samples at once take, while no row is worked on; 0 where none
    /// samples.
    pub cache_bytes: u64,
    /// `train.memory_mb`, or a share of what is free.
    pub memory_limit_bytes: u64,
    /// Tokens that a row may hold.
    pub row_tokens: usize,
    /// Tokens of the largest row there is.
    pub largest_row_tokens: usize,
    /// Blocks whose forward runs again in the backward of that row, of all there are.
    pub recomputed_blocks: usize,
    pub blocks: usize,
}

/// Where a number comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EstimateBasis {
    /// From shapes.
    #[default]
    Estimated,
    /// From shapes, corrected by what a larger row or less recomputation was seen to take.
    FromMeasured,
    /// Exactly this was done and watched.
    Measured,
}

impl MemoryOutlook {
    pub fn fits(&self) -> bool {
        self.peak_memory_bytes <= self.memory_limit_bytes
    }
}

impl fmt::Display for MemoryOutlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let basis = match self.peak_memory_is {
            EstimateBasis::Estimated => "estimated",
            EstimateBasis::FromMeasured => "estimated from a measured row",
            EstimateBasis::Measured => "measured",
        };
        write!(
            f,
            "{} at the peak, {basis} ({} by shapes alone), of {} that may be taken; the largest row has {} tokens",
            size(self.peak_memory_bytes),
            size(self.estimated_memory_bytes),
            size(self.memory_limit_bytes),
            self.largest_row_tokens
        )?;
        if self.recomputed_blocks > 0 {
            write!(f, ", and {} of {} blocks run their forward again", self.recomputed_blocks, self.blocks)?;
        }
        if self.cache_bytes > 0 {
            write!(f, "; keys and values of the sampled answers take {}", size(self.cache_bytes))?;
        }
        Ok(())
    }
}
