//! The background thread that hosts what [`train`] runs, and what it is asked and says.
//!
//! `thread` owns the thread, `border` is what panics do not cross; `pool` are the threads that compute for it; `inbox`
//! takes [`protocol::Request`]s, keeps the queue of runs and is the host of the one that is going; `events` sends
//! without ever waiting. Beside runs: `answers` (questions to weights), `preflight` (what can be known before a start),
//! `admit` (whether a run may be recorded), `catalog` (models on disk) and `cards` (graphics cards, each tried once).
//! `awake` keeps the system from falling asleep under a run.
//!
//! The engine never names a window. It writes every metric to the project before it sends it, and it never waits for
//! whoever listens: what is only for display is dropped when the event queue is full, the rest is kept until there is
//! room.

mod admit;
mod answers;
mod awake;
mod border;
pub mod cards;
pub mod catalog;
mod events;
mod inbox;
mod pool;
mod preflight;
pub mod protocol;
mod thread;

pub use export::export;
pub use train::{
    TrainError as EngineError, bench,
    measure::{pair_scores, score},
    run::{
        fork,
        rotation::{asked_for as checkpoints_asked_for, newest as newest_checkpoint, steps as checkpoint_steps},
        start::goes_on_from,
    },
};

pub use self::{
    admit::{admit, fit_to_resume},
    answers::{ScoringJob, Speaker, Speakers, answer, answer_all, doc_of, draw, read, sampling_of},
    events::Waker,
    pool::compute_pool,
    thread::{Engine, EngineOptions, Farewell, no_waker},
};
