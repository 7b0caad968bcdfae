//! What an answer is written in, as far as a text tells.
//!
//! The guess is whatlang's: the script first, then trigrams. A sentence is mostly guessed right, a few words often not.

use whatlang::Lang;

/// A language that rules may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(Lang);

/// Letters that a language can be told from.
const ENOUGH: usize = 40;

/// The English name of the language of a text, where it is long enough and the guess is beyond doubt.
pub fn language_of(text: &str) -> Option<&'static str> {
    text.chars().filter(|letter| letter.is_alphabetic()).nth(ENOUGH - 1)?;
    let guess = whatlang::detect(text)?;
    guess.is_reliable().then(|| guess.lang().eng_name())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_beyond_doubt_is_named() {
        let german =
            "Die Fähre nach der Insel fährt am Donnerstag erst um halb acht, weil das Wasser vorher zu niedrig steht.";
        assert_eq!(language_of(german), Some("German"));
        assert_eq!(language_of("ja"), None);
        assert_eq!(language_of("0123456789 0123456789 0123456789 0123456789 0123456789"), None);
    }
}
