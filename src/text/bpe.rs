//! Trains the small byte-level BPE tokenizer of the demo.

use super::TextError;

/// A `tokenizer.json` with `vocab_size` entries (bytes, `specials`, merges learned from `texts`). Deterministic.
pub fn train_bpe(
    texts: &[String],
    vocab_size: usize,
    specials: &[&str],
) -> Result<String, TextError> {
    let _ = (texts, vocab_size, specials);
    unimplemented!()
}
