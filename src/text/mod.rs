//! Tokenizer, chat template, and the one function that makes token ids.
