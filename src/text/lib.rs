//! Tokenizer, chat template, and the one function that makes token ids.
//!
//! A [`Codec`] reads a Hugging Face folder or a GGUF file. [`Codec::encode_answers`] is the only way from a prompt and
//! its answers to token ids, for training, scoring, chat and export alike.

mod answers;
mod bpe;
mod class;
mod codec;
mod contained;
mod conversation;
mod error;
mod file;
mod folder;
mod gguf;
mod inspect;
mod own_marks;
mod reading;
mod sources;
mod specials;
mod stream;
mod template;
mod tokenizer;

pub use answers::{AnswerStart, EncodedAnswer, EncodedAnswers, Limits, Reply};
pub use bpe::{CHATML_TEMPLATE, train_bpe};
pub use codec::{Codec, SystemTurns};
pub use conversation::Conversation;
pub use error::{TextError, Unusable};
pub use gguf::write::WORDS as VARIED_WORDS;
pub use reading::has_template;
pub use stream::StreamDecoder;
pub use template::Clock;
