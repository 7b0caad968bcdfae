//! Questions to weights: a model's, a checkpoint's, or those of the run that is going.

mod answer;
mod stop;

pub use answer::{Speaker, Speakers, answer, answer_all};
