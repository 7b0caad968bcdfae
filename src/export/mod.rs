//! What leaves the project: the PEFT adapter and the merged model, each proven by reading it back.

mod weights;

pub use weights::{ExportError, Proof, adapter, merged};
