//! The background thread that trains, and what it is asked and says.
//!
//! `thread` owns the thread and the border that panics do not cross; `hands` are the threads that compute for it; `desk`
//! takes [`protocol::Request`]s and keeps the queue of runs; `run` is one run from its record in the project to its last checkpoint. Then, a concern each:
//!
//! - before the first step: `prepare`, `material` and `batches` (data to documents), `golden` (what must hold at step 0),
//!   `budget` (tokens a row), `trial` (one row tried, for its memory), `start` and `checkpoint` (where to go on);
//! - a step: `order`, `anchors` and `reference` (step-0 log-probs), `rows`, `step`, `schedule`;
//! - between steps: `evaluate`, `probes`, `keep` (checkpoints, also when one fails), `rotation` (which of them stay), `helm`
//!   (log, pause, stop), `answer` (questions to the weights);
//! - without a run: `catalog` (models on disk), `admit` (whether one may be recorded), `preflight`, `score`, `bench`, `export` with `trained`
//!   (weights) and `story` (the report).
//!
//! The engine never names a window. It writes every metric to the project before it sends it, and it never waits for
//! whoever listens: what is only for display is dropped when the event queue is full, the rest is kept until there is room.

mod admit;
mod anchors;
mod answer;
mod batches;
pub mod bench;
mod budget;
pub mod catalog;
mod checkpoint;
mod desk;
mod error;
mod evaluate;
mod events;
mod export;
#[cfg(test)]
mod fault;
mod findings;
mod golden;
mod hands;
mod helm;
mod keep;
mod material;
mod memory;
mod order;
mod preflight;
mod prepare;
mod probes;
pub mod protocol;
mod reference;
mod rotation;
mod rows;
mod run;
mod schedule;
pub mod score;
mod start;
mod step;
mod stop;
mod story;
#[cfg(test)]
mod tests;
mod thread;
#[cfg(test)]
#[expect(dead_code, reason = "shared with tests/it, which use the rest of it")]
#[path = "../../tests/it/toy.rs"]
mod toy;
mod trained;
mod trial;

pub use admit::{admit, fit_to_resume};
pub use answer::{Speaker, answer, answer_all};
pub use error::EngineError;
pub use events::Waker;
pub use export::export;
pub use hands::compute_pool;
pub use rotation::{asked_for as checkpoints_asked_for, newest as newest_checkpoint, steps as checkpoint_steps};
pub use start::goes_on_from;
pub use thread::{Engine, EngineOptions, Farewell, no_waker};
