//! What there is and what may be taken: the process, the limit of a run, and one row tried before the first step.

pub mod budget;
pub mod largest_row;
pub mod outlook;
pub mod process;
