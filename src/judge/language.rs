//! What an answer is written in, as far as a text tells.
//!
//! The guess is whatlang's: the script first, then trigrams. A sentence is mostly guessed right, a few words often not.

use whatlang::Lang;

/// A language that rules may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(Lang);

impl Language {
    /// By its English name, "German", or its ISO 639-3 code, "deu".
    pub fn named(name: &str) -> Option<Self> {
        let name = name.trim();
        Lang::from_code(name.to_lowercase())
            .or_else(|| Lang::all().iter().copied().find(|language| language.eng_name().eq_ignore_ascii_case(name)))
            .map(Self)
    }

    /// Whether this language is the best guess for `text`.
    pub fn is_of(self, text: &str) -> bool {
        whatlang::detect_lang(text) == Some(self.0)
    }
}
