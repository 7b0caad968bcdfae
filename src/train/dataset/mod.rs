//! What a run is trained and measured on: from the project's data to rows of token ids.
//!
//! `material`: the raw data and the model that a config names. `batches`: the same as token ids, split, with what was set
//! aside. `order`: the shuffle. `rows`: documents packed into micro-batches. `coverage`: where the reference answers speak.

pub mod batches;
pub mod coverage;
pub mod material;
pub mod order;
pub mod rows;
