//! A reward model: scores fitted to pairs, for PPO, RLOO and GRPO to learn from, and to look at pairs with.
//!
//! It is an adapter of its own on the frozen base and a scalar head, read at the last token of an answer (with the
//! token that ends the turn). Row: \[prompt | chosen | rejected\], one forward and one backward a pair; the vocabulary
//! is not looked at. `bradley_terry`: the loss. `loss`: it over a step's pairs. `measure`: held-out pairs, the start,
//! and the scale. `training`: a step of its run.

pub mod bradley_terry;
pub mod loss;
pub mod measure;
mod training;

pub use measure::{ScoreScale, scores};
