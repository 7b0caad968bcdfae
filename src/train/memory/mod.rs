//! What there is and what may be taken: the process, the limit of a run, and one row tried before the first step.

pub mod budget;
pub mod outlook;
pub mod process;
pub mod trial;
