//! Tokenizer, chat template, and the one function that makes token ids.
//!
//! A [`Codec`] reads a Hugging Face folder or a GGUF file. [`Codec::encode_answers`] is the only way from a prompt and
//! its answers to token ids, for training, scoring, chat and export alike.
//!
//! - `reading`: the tokenizer's side of a model, from a `folder` or out of `gguf`; `file` is one file of a folder.
//!   `tokenizer`, `class`, `specials`: as Transformers sets it up. `contained`: what its library must not do to us.
//! - `sources`, `template`: which chat template counts, and how it is rendered; `conversation` is what it is given, and
//!   `own_marks` whether it writes the marks that the tokenizer has.
//! - `codec`: both together. `answers`: the function that makes ids. `stream`: the way back, token by token. `inspect`:
//!   what the model really sees of a pair.
//! - `bpe`: trains the demo's tokenizer.

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
