//! Training: objectives, the data set, measuring, *the step*, the run, and a benchmark of it.
//!
//! - [`objective`]: MPO, DPO, IPO: log-probs in; loss, per-pair push and diagnostics out. Pure.
//! - [`dataset`]: from a project's data to rows of token ids.
//! - [`step`]: one optimizer step, the same for a run, a benchmark and a test; [`loss`]: what it makes smaller.
//! - [`measure`]: log-probs, the reference at step 0, held-out data, fresh answers, given pairs.
//! - [`importance`]: weights of tokens in the margin: TIS-DPO, TI-DPO.
//! - [`reward`]: a reward model.
//! - [`rlhf`]: learning from sampled answers with one: PPO, RLOO, GRPO.
//! - [`memory`]: what there is and what may be taken.
//! - [`run`]: a run from its record in the project to its last checkpoint. What it needs from outside is
//!   [`run::host::Host`].
//! - [`bench`]: some steps, measured.
//!
//! Nothing here knows a thread, a channel or a window.

pub mod bench;
pub mod dataset;
mod error;
mod hash;
pub mod importance;
pub mod loss;
pub mod measure;
pub mod memory;
pub mod objective;
pub mod reward;
pub mod rlhf;
pub mod run;
pub mod step;

pub use error::{Result, TrainError};
