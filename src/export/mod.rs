//! What leaves the project: the PEFT adapter and the merged model, each proven by reading it back.

mod aside;
mod card;
mod weights;

pub use card::About;
pub use weights::{ExportError, Proof, Subject, adapter, merged};
