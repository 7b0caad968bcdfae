//! What prompts and answers are told apart by: hashes of what they say, blanks at their ends left out.

use super::{Answer, Pair, Prompt};

/// 64 bits of the answer's text, blanks at its ends left out.
pub fn fingerprint(answer: &Answer) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(answer.text.trim().as_bytes());
    for (name, value) in answer.extras.iter() {
        hasher.update(format!("{name}{value}").as_bytes());
    }
    first_bytes(hasher.finalize())
}

/// The exact prompt but for blanks: unlike the split's key, another system turn is another prompt here, because the
/// same two answers may well be judged differently under it.
pub fn prompt_fingerprint(pair: &Pair) -> u64 {
    let mut hasher = blake3::Hasher::new();
    match &pair.prompt {
        Prompt::Text(text) => {
            hasher.update(text.trim().as_bytes());
        }
        Prompt::Chat(turns) => {
            for turn in turns {
                hasher.update(turn.role.name().as_bytes());
                hasher.update(turn.content.trim().as_bytes());
                for (name, value) in turn.extras.iter() {
                    hasher.update(format!("{name}{value}").as_bytes());
                }
                hasher.update(&[0]);
            }
        }
    }
    first_bytes(hasher.finalize())
}

fn first_bytes(hash: blake3::Hash) -> u64 {
    let bytes = hash.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}
