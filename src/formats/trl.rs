//! TRL preference records (JSON lines), as `datasets` loads them.
//!
//! Source: <https://huggingface.co/docs/trl/dataset_formats>

use std::io::Write;

use super::FormatError;
use crate::data::Pair;

/// How many pairs were written, and how many have no chosen and rejected answer to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    pub written: usize,
    pub undecided: usize,
}

/// Writes the decided pairs with an explicit prompt: conversational for chat prompts, standard for text prompts.
pub fn write(out: &mut dyn Write, pairs: &[Pair]) -> Result<Written, FormatError> {
    let _ = (out, pairs);
    unimplemented!()
}
