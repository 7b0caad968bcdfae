//! Trains the small byte-level BPE tokenizer of the demo.

use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, TokenizerBuilder,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

use super::TextError;

/// The turn format of ChatML, in Jinja: what a model with `<|im_start|>` and `<|im_end|>` is trained on.
pub const CHATML_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/// A `tokenizer.json` with at most `vocab_size` entries: first `specials` in their order, then the 256 bytes, then
/// merges learned from `texts`. The same input gives the same file, to the byte.
///
/// # Errors
/// If `vocab_size` cannot hold the bytes and the special tokens.
pub fn train_bpe(texts: &[String], vocab_size: usize, specials: &[&str]) -> Result<String, TextError> {
    let smallest = 256 + specials.len();
    if vocab_size < smallest {
        return Err(TextError::Train(format!(
            "a vocabulary of {vocab_size} cannot hold 256 bytes and {} special tokens; it needs {smallest} or more.",
            specials.len()
        )));
    }
    let failed = |error: tokenizers::Error| TextError::Train(error.to_string());
    let byte_level = ByteLevel::new(false, true, true);
    let mut tokenizer: tokenizers::TokenizerImpl<
        BPE,
        NormalizerWrapper,
        PreTokenizerWrapper,
        PostProcessorWrapper,
        DecoderWrapper,
    > = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None)
        .with_pre_tokenizer(Some(byte_level.into()))
        .with_post_processor(Some(byte_level.trim_offsets(false).into()))
        .with_decoder(Some(byte_level.into()))
        .build()
        .map_err(failed)?;
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(vocab_size)
        .min_frequency(2)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(specials.iter().map(|text| AddedToken::from(*text, true)).collect())
        .build();
    tokenizer.train(&mut trainer, texts.iter()).map_err(failed)?;
    tokenizer.to_string(false).map_err(failed)
}
