//! The tokenizer of the project's model, as the worker of tokens keeps it.

use std::path::PathBuf;

use data::{PairFit, PairInspection};
use state::tokens::TokensOf;
use text::{Codec, Limits};

/// A tokenizer and the folder it came from.
pub struct Tokenizer {
    folder: PathBuf,
    codec: Codec,
}

/// What the tokens of `subject` are by the tokenizer in `folder`, which is loaded where another one was.
pub fn look(loaded: &mut Option<Tokenizer>, folder: PathBuf, subject: &TokensOf) -> Result<PairInspection, String> {
    if loaded.as_ref().is_none_or(|loaded| loaded.folder != folder) {
        let codec = Codec::load(&folder).map_err(|error| error.to_string())?;
        *loaded = Some(Tokenizer { folder, codec });
    }
    let Some(Tokenizer { codec, .. }) = loaded else {
        return Err("The tokenizer is not there".to_owned());
    };
    Ok(match subject {
        TokensOf::Pair { prompt, answers, max_prompt, max_answer } => {
            let limits = Limits { max_prompt: *max_prompt, max_answer: *max_answer };
            codec.inspect(prompt, answers, limits)
        }
        TokensOf::Generated { prompt, ids } => {
            PairInspection { fate: PairFit::Fits, reason: None, answers: vec![codec.inspect_generated(prompt, ids)] }
        }
    })
}
