//! Text of an answer while its tokens arrive.

use super::Codec;

/// Tokens held back at most: a character has four bytes or fewer, so a longer wait is not for one character.
const LONGEST_WAIT: usize = 16;

/// Turns tokens into text as they come, never showing half a character. Special tokens make no text.
///
/// Byte-level tokens may end in the middle of a character, and some decoders drop a space only at the very start. So
/// the tokens shown last are decoded again together with the new ones, and what that adds is the new text.
#[derive(Debug, Clone, Default)]
pub struct StreamDecoder {
    /// Tokens shown last, kept as context, then those still waiting.
    window: Vec<u32>,
    context: usize,
    with_specials: bool,
}

impl StreamDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes special tokens out: for the inspector.
    pub(super) fn with_specials() -> Self {
        Self { with_specials: true, ..Self::default() }
    }

    /// The text that this token completes; empty while a character is still missing bytes.
    pub fn push(&mut self, codec: &Codec, id: u32) -> String {
        self.window.push(id);
        self.take(codec, self.window.len() - self.context > LONGEST_WAIT)
    }

    /// What is left when no more tokens come; a character that never got its last byte shows as U+FFFD.
    pub fn finish(&mut self, codec: &Codec) -> String {
        let text = self.take(codec, true);
        self.window.clear();
        self.context = 0;
        text
    }

    fn take(&mut self, codec: &Codec, at_once: bool) -> String {
        let shown = self.decode(codec, &self.window[..self.context]);
        let all = self.decode(codec, &self.window);
        if all.ends_with(char::REPLACEMENT_CHARACTER) && !at_once {
            return String::new();
        }
        let Some(new) = all.strip_prefix(&shown) else {
            // Bytes that looked complete belong to what came after them: wait for clean text.
            if !at_once {
                return String::new();
            }
            let waiting = self.decode(codec, &self.window[self.context..]);
            self.keep_last();
            return waiting;
        };
        let new = new.to_owned();
        if !new.is_empty() || at_once {
            self.keep_last();
        }
        new
    }

    fn decode(&self, codec: &Codec, ids: &[u32]) -> String {
        if self.with_specials { codec.decode_all(ids) } else { codec.decode(ids) }
    }

    /// The tokens just shown become the context of the next.
    fn keep_last(&mut self) {
        self.window.drain(..self.context);
        self.context = self.window.len();
    }
}
