//! What is measured beside the steps: log-probs, the reference at step 0, held-out data, fresh answers and judged ones,
//! given pairs; and how long all that takes.

mod anchoring;
pub mod anchors;
pub mod embedding;
pub mod evaluate;
pub mod golden;
pub mod judging;
pub mod log_probs;
pub mod outlay;
mod own_marks;
pub mod pair_scores;
pub mod probes;
pub mod reference;
pub mod score;
