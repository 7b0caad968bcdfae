//! Whole words and phrases in a text, whatever their case and the signs around them.

/// A text as phrases are looked up in it: lower-case words, a blank on each side of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Letters, digits, hyphens and apostrophes make words; everything else parts them.
    pub fn of(text: &str) -> Self {
        let mut words = String::with_capacity(text.len() + 2);
        words.push(' ');
        for letter in text.chars().flat_map(char::to_lowercase) {
            match letter {
                '’' => words.push('\''),
                '\'' | '-' => words.push(letter),
                _ if letter.is_alphanumeric() || is_mark(letter) => words.push(letter),
                _ if words.ends_with(' ') => {}
                _ => words.push(' '),
            }
        }
        if !words.ends_with(' ') {
            words.push(' ');
        }
        Self(words)
    }

    /// How many words there are. Where a script writes no blanks between them each of its letters counts as one, vowel
    /// signs and accents not.
    pub fn count(&self) -> usize {
        let of = |word: &str| {
            let alone = word.chars().filter(|letter| writes_no_blanks(*letter) && !is_mark(*letter)).count();
            // What stands in the other letters between them is a word, too: "我用Linux" has three.
            let others = word.split(writes_no_blanks).filter(|rest| rest.chars().any(char::is_alphanumeric)).count();
            alone + others
        };
        self.0.split_ascii_whitespace().map(of).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// Whether `phrase` stands in the text at word borders. Where a script writes no blanks between words, borders are
    /// not asked for.
    pub fn contain(&self, phrase: &Self) -> bool {
        !phrase.is_empty() && self.0.contains(phrase.needle())
    }

    /// The phrases that stand in the text and are not part of a longer one that does: "six pence" in "three shillings
    /// and six pence" does not count where both are asked for.
    pub fn mentioned<'a>(&self, phrases: impl IntoIterator<Item = &'a Self>) -> Vec<&'a Self> {
        let mut longest_first: Vec<&Self> = phrases.into_iter().filter(|phrase| !phrase.is_empty()).collect();
        longest_first.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.0.cmp(&b.0)));
        longest_first.dedup();
        let mut rest = self.0.clone();
        longest_first.retain(|phrase| {
            let found = rest.contains(phrase.needle());
            if found {
                // Not a blank: the words around would become neighbours and make phrases that nobody said.
                rest = rest.replace(phrase.needle(), " \n ");
            }
            found
        });
        longest_first
    }

    fn needle(&self) -> &str {
        let bare = self.0.trim();
        if bare.chars().any(writes_no_blanks) { bare } else { &self.0 }
    }
}

/// Vowel signs and accents that are characters of their own.
fn is_mark(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{e31}'..='\u{e4e}' | '\u{e80}'..='\u{109f}' | '\u{1780}'..='\u{17d3}')
}

/// Chinese, Japanese, Thai, Lao, Burmese, Khmer.
fn writes_no_blanks(letter: char) -> bool {
    matches!(letter, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}
