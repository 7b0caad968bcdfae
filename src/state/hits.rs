//! Where the words of a search stand in a text.

use std::ops::Range;

/// Bytes of the text that hold a word of the search, in any case, also inside longer words; sorted, none overlapping.
pub fn hits(text: &str, search: &str) -> Vec<Range<usize>> {
    let words: Vec<Vec<char>> = search.split_whitespace().map(|word| word.chars().flat_map(fold).collect()).collect();
    if words.is_empty() {
        return Vec::new();
    }
    // Each letter of the folded text with the bytes of the letter that it came from.
    let letters: Vec<(char, Range<usize>)> = text
        .char_indices()
        .flat_map(|(at, letter)| fold(letter).map(move |folded| (folded, at..at + letter.len_utf8())))
        .collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for word in &words {
        let starts = letters.windows(word.len());
        for stretch in starts.filter(|stretch| stretch.iter().map(|(letter, _)| letter).eq(word)) {
            if let (Some((_, first)), Some((_, last))) = (stretch.first(), stretch.last()) {
                found.push(first.start..last.end);
            }
        }
    }
    found.sort_unstable_by_key(|hit| (hit.start, hit.end));
    let mut hits: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for hit in found {
        match hits.last_mut() {
            Some(last) if last.end >= hit.start => last.end = last.end.max(hit.end),
            _ => hits.push(hit),
        }
    }
    hits
}

/// As the search of the project folds letters.
fn fold(letter: char) -> impl Iterator<Item = char> {
    let letter = if letter == 'ς' { 'σ' } else { letter };
    letter.to_lowercase()
}

/// The text from a little before its first hit on, where that lies far in; nothing where there is none.
pub fn around<'a>(text: &'a str, search: &str) -> Option<&'a str> {
    const BEFORE: usize = 12;
    let first = hits(text, search).into_iter().next()?;
    let letters = text[..first.start].char_indices().rev().map(|(at, _)| at);
    Some(&text[letters.take(BEFORE).last().unwrap_or(0)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn marks(text: &str, search: &str, expected: &[&str]) {
        let found: Vec<&str> = hits(text, search).into_iter().map(|hit| &text[hit]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn words_are_found_in_any_case_and_script() {
        marks("The Mill by the mill-race", "MILL", &["Mill", "mill"]);
        marks("Wann öffnet die Mühle", "mühle ÖFF", &["öff", "Mühle"]);
        marks("水車はどこ", "水車", &["水車"]);
        marks("ΟΔΟΣ", "οδος", &["ΟΔΟΣ"]);
        marks("aaa", "aa", &["aaa"]);
        marks("abc", "ab bc", &["abc"]);
        marks("İstanbul", "istanbul", &[]);
        marks("İstanbul", "stan", &["stan"]);
        marks("nothing", "", &[]);
        marks("", "a", &[]);
    }

    #[test]
    fn what_lies_far_in_is_led_up_to() {
        let text = "ä".repeat(40) + "mill and more";
        assert_eq!(around(&text, "mill"), Some(format!("{}mill and more", "ä".repeat(12)).as_str()));
        assert_eq!(around("mill", "mill"), Some("mill"));
        assert_eq!(around("none", "mill"), None);
    }
}
