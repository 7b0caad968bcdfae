//! RLHF: a policy that learns from answers it samples between its updates, scored by a reward model.
//!
//! `advantages` and `clipped` are the formulas, pure; `prompts`: what is answered; `rollout`: answers
//! sampled and everything frozen about them; `seen`: the same as people read it; `loss`: what
//! an update makes smaller; `teacher`: the reward model and the critic; `told`: what is told of a step; `training`: a
//! step; `trial`: how long its sampling takes, before a run.
//!
//! Source: PPO arXiv 1707.06347 as TRL and arXiv 2403.17031 have it, RLOO arXiv 2402.14740, GRPO arXiv 2402.03300.

pub mod advantages;
pub mod clipped;
pub mod loss;
pub mod prompts;
pub mod rollout;
mod seen;
pub mod teacher;
mod told;
mod training;
pub mod trial;
#[cfg(test)]
mod world;

pub use teacher::Rlhf;
