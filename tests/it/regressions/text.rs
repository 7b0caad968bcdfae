//! Tokenizers, chat templates, messages.
