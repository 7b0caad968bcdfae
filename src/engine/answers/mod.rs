//! Questions to weights: a model's, a checkpoint's, or those of the run that is going.

mod answer;
mod candidates;
mod drawing;
mod reading;
mod scoring;
mod stop;

pub use answer::{Speaker, Speakers, answer, answer_all, sampling_of};
pub use candidates::draw;
pub use drawing::{Drawing, Drawings, Turn};
pub use reading::{doc_of, read};
pub use scoring::{ALONE, Asked, BESIDE_A_RUN, ScoringJob, Scorings, Turned};
