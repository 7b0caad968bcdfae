//! The background thread that trains, and what it is asked and says.
//!
//! [`thread`] owns the thread: it takes [`protocol::Request`]s, keeps the queue of runs and catches panics at the request boundary.
//! [`run`] is one run from its record in the project to its last checkpoint. Everything else is one concern each.
//!
//! The engine never names a window. It writes every metric to the project before it sends it, and it never waits for
//! whoever listens: what is only for display is dropped when the event queue is full, the rest is kept until there is room.

pub mod config;
mod desk;
mod events;
#[cfg(test)]
mod fault;
mod method;
mod overrides;
pub mod protocol;
mod run;
mod thread;
mod validate;

pub use events::Waker;
pub use overrides::ConfigError;
pub use thread::{Engine, EngineOptions, compute_pool, no_waker};
pub use validate::validate;
