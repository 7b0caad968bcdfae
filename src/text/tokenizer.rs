//! A tokenizer as Transformers sets it up: `tokenizer.json` or what its class makes of it, and the tokens that the
//! files beside it name.

use std::collections::HashSet;

use tokenizers::{AddedToken, Encoding, ModelWrapper, Token, Tokenizer};

use super::{
    class, contained,
    folder::Folder,
    specials::{Specials, TokenSettings},
};

/// A tokenizer, and what is said about its tokens.
pub struct Built {
    pub tokenizer: Tokenizer,
    /// The named ones, for templates.
    pub specials: Specials,
    /// Every id that is special by its flag or by its name.
    pub special_ids: HashSet<u32>,
    /// Ids that are cut out of a text whole; all special ones are among them.
    pub added_ids: HashSet<u32>,
    /// Tokens before every text that is a text of its own.
    pub leading: Vec<u32>,
    /// What the class or a flag changed about the file, as text; empty where nothing was.
    pub changes: String,
}

/// Sets up the tokenizer of a folder; may panic on settings that nobody expects, so call it contained.
pub fn build(folder: &Folder) -> Result<Built, String> {
    let filed = contained::read(&folder.tokenizer)?;
    let mut tokens = folder.tokens.clone();
    tokens.default_names(folder.class.default_names());
    let unknown = tokens.texts().texts().find(|(name, _)| *name == "unk_token").map(|(_, text)| text.to_owned());
    let listed = filed.get_added_tokens_decoder();
    let rebuilt = folder.class.rebuild(&filed, folder.class_settings, unknown.as_deref())?;
    tokens.take_listed(listed);
    let is_rebuilt = rebuilt.is_some() || folder.mends_mistral;
    let mut tokenizer = rebuilt.unwrap_or_else(|| filed.clone());
    add(&mut tokenizer, &tokens, folder)?;
    if folder.mends_mistral {
        class::mend_mistral(&mut tokenizer)?;
    }
    let changes = if is_rebuilt { changes(&filed, &tokenizer)? } else { String::new() };
    tokenizer.set_encode_special_tokens(folder.split_specials);

    let known = tokenizer.get_added_tokens_decoder();
    let by_flag = known.iter().filter_map(|(id, token)| token.special.then_some(*id));
    let names = tokens.described().map(|(_, token)| token).chain(tokens.extra.iter().cloned());
    let by_name = names.filter_map(|token| tokenizer.token_to_id(&token.content));
    let special_ids: HashSet<u32> = by_flag.chain(by_name).collect();
    let added_ids = known.keys().copied().chain(special_ids.iter().copied()).collect();
    let mut leading = leading(&tokenizer)?;
    let specials = tokens.texts();
    if folder.class.always_writes_bos() {
        leading = specials.bos().and_then(|bos| tokenizer.token_to_id(bos)).into_iter().collect();
    }
    Ok(Built { tokenizer, specials, special_ids, added_ids, leading, changes })
}

/// First the listed tokens by their ids, then the named ones, then the extra ones, each if it was not there before.
fn add(tokenizer: &mut Tokenizer, tokens: &TokenSettings, folder: &Folder) -> Result<(), String> {
    let known = tokenizer.get_added_tokens_decoder();
    let mut new: Vec<AddedToken> = tokens.added.values().cloned().collect();
    let named = tokens.described().map(|(_, mut token)| {
        token.special = true;
        token
    });
    for token in named.chain(tokens.extra.iter().cloned()) {
        if !known.values().chain(&new).any(|there| there.content == token.content) {
            new.push(token);
        }
    }
    let failed = |error: tokenizers::Error| error.to_string();
    tokenizer.add_tokens(new).map_err(failed)?;
    if folder.class.adds_specials_again() {
        let again = tokens.described().map(|(_, token)| token).chain(tokens.extra.iter().cloned());
        let again: Vec<AddedToken> = again.map(|token| AddedToken::from(token.content, true)).collect();
        tokenizer.add_tokens(again).map_err(failed)?;
    }
    Ok(())
}

/// What the post-processor writes before a text. One that writes behind it, too, is no different: whether an answer
/// ends is not its to say.
fn leading(tokenizer: &Tokenizer) -> Result<Vec<u32>, String> {
    // A token that no vocabulary has stands for the text.
    let text = Encoding::from_tokens(vec![Token::new(u32::MAX, String::new(), (0, 0))], 0);
    let whole = tokenizer.post_process(text, None, true).map_err(|error| error.to_string())?;
    Ok(whole.get_ids().iter().copied().take_while(|id| *id != u32::MAX).collect())
}

/// The parts that a class made otherwise than the file has them, as far as they decide about ids.
fn changes(filed: &Tokenizer, rebuilt: &Tokenizer) -> Result<String, String> {
    let parts = |tokenizer: &Tokenizer| {
        let model = match tokenizer.get_model() {
            ModelWrapper::BPE(model) => Some((model.ignore_merges, model.byte_fallback, &model.unk_token)),
            _ => None,
        };
        let parts = (tokenizer.get_normalizer(), tokenizer.get_pre_tokenizer(), model);
        // Where a token stands in its text is no part of its id.
        let offsets = |text: String| text.replace(r#""trim_offsets":true"#, r#""trim_offsets":false"#);
        serde_json::to_string(&parts).map(offsets).map_err(|error| error.to_string())
    };
    let (before, after) = (parts(filed)?, parts(rebuilt)?);
    Ok(if before == after { String::new() } else { after })
}
