//! Tokens that the files beside `tokenizer.json` name.
//!
//! Source: `PreTrainedTokenizerBase._from_pretrained` of Transformers 5. A folder may name a token in
//! `added_tokens_decoder`, as one of the seven known names, under a name of its own, in a list of extra ones, or in the
//! older `special_tokens_map.json` and `added_tokens.json`. All of them are cut out of a text whole.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use tokenizers::AddedToken;

/// Names under which every template and setting knows special tokens, in Transformers' order.
pub const NAMED: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Texts of the special tokens that templates know by name. One that the model does not have is absent, and a template
/// finds it undefined, as in Transformers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Specials(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Specials {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(named: I) -> Self {
        Self(named.into_iter().collect())
    }
}

impl Specials {
    pub fn bos(&self) -> Option<&str> {
        self.0.get("bos_token").map(String::as_str)
    }

    pub fn eos(&self) -> Option<&str> {
        self.0.get("eos_token").map(String::as_str)
    }

    /// Name and text of each.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

/// What the settings name.
#[derive(Debug, Clone, Default)]
pub struct TokenSettings {
    /// By name, in the order in which they are added; nothing where the settings say that there is none, which is more
    /// than saying nothing.
    pub named: Vec<(String, Option<AddedToken>)>,
    /// Special ones without a name.
    pub extra: Vec<AddedToken>,
    /// By id. Ids of their own are not given: a token that is not in the vocabulary gets the next one that is free.
    pub added: BTreeMap<u32, AddedToken>,
    /// The settings have the list of added tokens; where they do not, that of `tokenizer.json` counts as theirs.
    pub lists_added: bool,
}

impl TokenSettings {
    /// `tokenizer_config.json`; where it is from before the list of added tokens was part of it, the older
    /// `special_tokens_map.json` has the last word, and `added_tokens.json` has the list.
    pub fn read(settings: &Json, older_specials: &Json, older_added: &Json) -> Self {
        let mut settings = settings.as_object().cloned().unwrap_or_default();
        let lists_added = settings.get("added_tokens_decoder").is_some_and(|list| !list.is_null());
        if !settings.get("extra_special_tokens").is_some_and(is_filled)
            && let Some(list) = settings.remove("additional_special_tokens")
        {
            settings.insert("extra_special_tokens".to_owned(), list);
        }
        if !lists_added && let Some(older) = older_specials.as_object() {
            take_over(&mut settings, older);
        }
        let mut read = Self { lists_added, ..Self::default() };
        read.read_extra(&settings);
        read.read_named(&settings);
        if lists_added {
            read.added = decoder(settings.get("added_tokens_decoder"));
        } else if let Some(list) = older_added.as_object() {
            read.added = read.older_list(list);
        }
        read
    }

    /// Adds what `tokenizer.json` lists, where the settings do not have the list.
    pub fn take_listed(&mut self, listed: impl IntoIterator<Item = (u32, AddedToken)>) {
        if !self.lists_added {
            self.added.extend(listed);
        }
    }

    /// Names that a class gives where the settings are silent.
    pub fn default_names(&mut self, defaults: &[(&str, Option<&str>)]) {
        for (name, text) in defaults {
            if !self.named.iter().any(|(known, _)| known == name) {
                self.named.push(((*name).to_owned(), text.map(|text| AddedToken::from(text, true))));
            }
        }
        self.sort_named();
    }

    /// The named tokens, each as the list of added tokens describes it.
    pub fn described(&self) -> impl Iterator<Item = (&str, AddedToken)> {
        self.named.iter().filter_map(|(name, token)| {
            let token = token.as_ref()?;
            let listed = self.added.values().find(|listed| listed.content == token.content);
            Some((name.as_str(), listed.unwrap_or(token).clone()))
        })
    }

    pub fn texts(&self) -> Specials {
        let token =
            |(name, token): &(String, Option<AddedToken>)| Some((name.clone(), token.as_ref()?.content.clone()));
        self.named.iter().filter_map(token).collect()
    }

    fn read_extra(&mut self, settings: &Map<String, Json>) {
        match settings.get("extra_special_tokens") {
            Some(Json::Array(list)) => self.extra.extend(list.iter().filter_map(token)),
            Some(Json::Object(named)) => {
                self.named.extend(named.iter().map(|(name, value)| (name.clone(), token(value))));
            }
            _ => {}
        }
    }

    fn read_named(&mut self, settings: &Map<String, Json>) {
        let own = settings.get("model_specific_special_tokens").and_then(Json::as_object);
        let own = own.into_iter().flatten().filter(|(_, value)| token(value).is_some());
        // `add_bos_token` and the like are no tokens.
        let spelled = settings.iter().filter(|(name, value)| {
            name.ends_with("_token") && (NAMED.contains(&name.as_str()) || token(value).is_some())
        });
        for (name, value) in own.chain(spelled) {
            if !self.named.iter().any(|(known, _)| known == name) {
                self.named.push((name.clone(), token(value)));
            }
        }
        self.sort_named();
    }

    /// The seven that everyone knows first.
    fn sort_named(&mut self) {
        let place = |name: &str| NAMED.iter().position(|known| *known == name).unwrap_or(NAMED.len());
        self.named.sort_by_key(|(name, _)| place(name));
    }

    /// `added_tokens.json`: {"<text>": id, ..}; special are those that are named elsewhere.
    fn older_list(&self, list: &Map<String, Json>) -> BTreeMap<u32, AddedToken> {
        let named = self.named.iter().filter_map(|(_, token)| token.as_ref());
        let known: Vec<&str> = named.chain(&self.extra).map(|token| token.content.as_str()).collect();
        let one = |(text, id): (&String, &Json)| {
            let special = known.contains(&text.as_str());
            Some((u32::try_from(id.as_u64()?).ok()?, AddedToken::from(text.as_str(), special)))
        };
        list.iter().filter_map(one).collect()
    }
}

/// `special_tokens_map.json` over the settings; its list of extra ones goes behind theirs.
fn take_over(settings: &mut Map<String, Json>, older: &Map<String, Json>) {
    for (name, value) in older {
        let name = match name.as_str() {
            // Only where no newer list was given.
            "additional_special_tokens" if settings.contains_key("extra_special_tokens") => continue,
            "additional_special_tokens" => "extra_special_tokens",
            name => name,
        };
        match (settings.get_mut(name), value) {
            (Some(Json::Array(known)), Json::Array(more)) if name == "extra_special_tokens" => {
                let new: Vec<Json> = more.iter().filter(|token| !known.contains(token)).cloned().collect();
                known.extend(new);
            }
            _ => {
                settings.insert(name.to_owned(), value.clone());
            }
        }
    }
}

/// What Python takes for true.
fn is_filled(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => false,
        Json::Array(list) => !list.is_empty(),
        Json::Object(map) => !map.is_empty(),
        Json::String(text) => !text.is_empty(),
        Json::Bool(true) | Json::Number(_) => true,
    }
}

/// `added_tokens_decoder`: {"32000": {"content": .., "special": ..}, ..}.
fn decoder(list: Option<&Json>) -> BTreeMap<u32, AddedToken> {
    let list = list.and_then(Json::as_object).into_iter().flatten();
    list.filter_map(|(id, value)| Some((id.parse().ok()?, described(value, false)?))).collect()
}

/// A special token: its text, or an object that describes it.
fn token(value: &Json) -> Option<AddedToken> {
    match value {
        Json::String(text) => (!text.is_empty()).then(|| AddedToken::from(text.as_str(), true)),
        value => described(value, true),
    }
}

fn described(value: &Json, special: bool) -> Option<AddedToken> {
    let flag = |name: &str| value.get(name).and_then(Json::as_bool);
    let text = value.get("content").and_then(Json::as_str).filter(|text| !text.is_empty())?;
    let special = flag("special").unwrap_or(special);
    Some(
        AddedToken::from(text, special)
            .lstrip(flag("lstrip").unwrap_or(false))
            .rstrip(flag("rstrip").unwrap_or(false))
            .single_word(flag("single_word").unwrap_or(false))
            .normalized(flag("normalized").unwrap_or(!special)),
    )
}
