//! Columns that label records: the same few short texts again and again, or codes. They are no questions; a column that
//! only has the name of one may well hold them, as in `{"source": "What is the capital of France?"}`.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::{FieldMap, columns, fields::Record};

/// Of a longer text nobody would make a label, in letters and in words.
const LONGEST: usize = 40;
const WORDS: usize = 4;

/// What the first records of a file have in their columns.
#[derive(Default)]
pub struct Labels {
    columns: HashMap<String, Column>,
}

#[derive(Default)]
struct Column {
    /// Records that have it.
    records: usize,
    /// Their texts, as they stand in the file.
    texts: HashSet<String>,
    /// One of them is none that a label could be.
    other: bool,
}

impl Labels {
    /// Takes a record's columns into account.
    pub fn see(&mut self, record: &str) {
        let names = FieldMap::default();
        let Ok(record) = Record::read(record, &names) else { return };
        for (name, text) in record.unused().filter(|(name, _)| columns::is_about(name)) {
            let column = self.columns.entry(name.to_owned()).or_default();
            column.records += 1;
            if may_be_label(text) {
                column.texts.insert(text.to_owned());
            } else {
                column.other = true;
            }
        }
    }

    /// Whether a text is a label of its column: short, in a column of short texts that come again, on average each of
    /// them.
    pub fn holds(&self, name: &str, text: &str) -> bool {
        let comes_again =
            |column: &Column| !column.other && column.records > 1 && 2 * column.texts.len() <= column.records;
        may_be_label(text) && self.columns.get(name).is_some_and(comes_again)
    }
}

/// A short text that asks nothing, as it stands in a file. A list or an object is none.
fn may_be_label(text: &str) -> bool {
    let Some(text) = text.strip_prefix('"') else {
        return !text.starts_with(['[', '{']);
    };
    text.chars().count() <= LONGEST
        && text.split_whitespace().count() <= WORDS
        && !text.contains(['?', '？', '؟', '\n'])
        && !text.contains("\\n")
}

/// A number, a date, an address, a name for machines such as `flan_v2`: nothing that people say. A word is none without
/// a digit or a mark inside; in an object or a list every text must be one.
pub fn is_code(text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|value| holds_codes(&value))
}

fn holds_codes(value: &Json) -> bool {
    match value {
        Json::String(text) => text.is_empty() || is_code_word(text),
        Json::Array(list) => list.iter().all(holds_codes),
        Json::Object(object) => object.values().all(holds_codes),
        Json::Null | Json::Bool(_) | Json::Number(_) => true,
    }
}

fn is_code_word(text: &str) -> bool {
    let inner = text.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:+@#%=&~?".contains(c))
        && inner.contains(|c: char| c.is_ascii_digit() || "_/:@#".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_no_word() {
        for code in
            ["\"flan_v2\"", "\"gpt-4\"", "\"2024-01-02\"", "\"https://a.b/c?d=e\"", "\"7.5\"", "7", "{\"a\":[\"x_1\"]}"]
        {
            assert!(is_code(code), "{code}");
        }
        for text in [
            "\"atlas\"",
            "\"What?\"",
            "\"Name 3 capitals\"",
            "\"法国的首都是什么\"",
            "\"well-known\"",
            "[\"Haus\", \"x_1\"]",
        ] {
            assert!(!is_code(text), "{text}");
        }
    }

    #[test]
    fn labels_are_short_and_come_again() {
        let of = |texts: &[&str]| {
            let mut labels = Labels::default();
            for text in texts {
                labels.see(&serde_json::json!({"source": text, "else": "x"}).to_string());
            }
            labels
        };
        let labels = of(&["an atlas", "flan", "flan", "an atlas"]);
        assert!(labels.holds("source", "\"flan\"") && labels.holds("source", "\"another\""));
        for question in
            ["\"What is the capital of France, and of Spain?\"", "\"Capital?\"", "\"One\\nmore\"", "[\"flan\"]"]
        {
            assert!(!labels.holds("source", question), "{question}");
        }
        assert!(!labels.holds("else", "\"x\""), "it has no name of a label");
        for none in [&["flan"][..], &["flan", "atlas"], &["Capital?", "flan", "flan", "flan"]] {
            assert!(!of(none).holds("source", "\"flan\""), "{none:?}");
        }
    }
}
