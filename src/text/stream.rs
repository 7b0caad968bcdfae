//! Text of an answer while its tokens arrive.

use super::Codec;

/// Turns tokens into text as they come, never showing half a character.
#[derive(Debug, Clone, Default)]
pub struct StreamDecoder {
    ids: Vec<u32>,
}

impl StreamDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// The text that this token completes; empty while a character is still missing bytes.
    pub fn push(&mut self, codec: &Codec, id: u32) -> String {
        let _ = codec;
        self.ids.push(id);
        unimplemented!()
    }

    /// What is left when no more tokens come.
    pub fn finish(&mut self, codec: &Codec) -> String {
        let _ = codec;
        unimplemented!()
    }
}
