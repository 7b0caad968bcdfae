//! What a run is trained and measured on: from the project's data to rows of token ids.
//!
//! `inputs`: the raw data and the model that a config names. `pairs`: its pairs, however many. `documents`: the same as
//! token ids, split, with what was set aside. `away`: many of these in a file. `negatives`: rejected answers beyond the
//! first, `diverse`: a few of many. `sampler`: the shuffle. `packing`: documents as rows, the micro-batches.
//! `coverage`: where the reference answers speak.

mod away;
pub mod coverage;
pub mod diverse;
pub mod documents;
pub mod inputs;
pub mod negatives;
pub mod packing;
pub mod pairs;
pub mod sampler;
