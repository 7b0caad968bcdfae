//! Settings as people type them, and a sentence where they cannot be used.

use toml::{Table, Value};

use super::{Setting, SettingKind};

/// What is typed into a number field, or a sentence that says what is wrong with it.
pub fn number(label: &str, typed: &str) -> Result<f64, String> {
    const WANTED: &str = "it must be a number such as 0.1 or 3e-4";
    let has_digits = typed.contains(|letter: char| letter.is_ascii_digit());
    let not_zero = typed.split(['e', 'E']).next().is_some_and(|digits| digits.contains(|c| ('1'..='9').contains(&c)));
    match typed.trim().parse::<f64>() {
        Ok(value) if value.is_infinite() && has_digits => {
            Err(format!("{label} is “{typed}”, which is larger than any number here; {WANTED}"))
        }
        Ok(value) if value == 0.0 && not_zero => {
            Err(format!("{label} is “{typed}”, which is so small that it would count as 0; {WANTED}, or 0"))
        }
        Ok(value) if value.is_finite() => Ok(value),
        Ok(_) | Err(_) => Err(format!("{label} is “{typed}”; {WANTED}")),
    }
}

/// The same for a whole number.
pub fn count(label: &str, typed: &str) -> Result<u64, String> {
    const WANTED: &str = "it must be a whole number such as 16";
    let digits = typed.trim().trim_start_matches('+');
    let only_digits = !digits.is_empty() && digits.chars().all(|letter| letter.is_ascii_digit());
    match digits.parse::<u64>() {
        // As far as a TOML file can tell a number.
        Ok(value) if i64::try_from(value).is_ok() => Ok(value),
        _ if only_digits => Err(format!("{label} is “{typed}”, which is larger than any count here; {WANTED}")),
        Ok(_) | Err(_) => Err(format!("{label} is “{typed}”; {WANTED}")),
    }
}

/// Which of these words was most likely meant by what was typed, where it is like any of them.
pub fn likeliest<'w>(typed: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    /// Of two words, the share of their letters that they have in common, in order.
    const LIKE: f32 = 0.6;
    let typed = typed.trim().to_lowercase();
    let likeness = |word: &str| similar::TextDiff::from_chars(typed.as_str(), word.to_lowercase().as_str()).ratio();
    let alike = words.into_iter().map(|word| (likeness(word), word)).filter(|(likeness, _)| *likeness >= LIKE);
    // Of equals the first.
    let best = alike.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, word)| word)
}

impl Setting {
    /// What was typed, as `run.toml` would have it; or a sentence that begins with the setting's key.
    pub(super) fn typed(&self, typed: &str) -> Result<Value, String> {
        let key = self.key;
        let count = || count(key, &without_marks(typed)).map(|value| Value::Integer(value as i64));
        match self.kind {
            SettingKind::Number(_) => number(key, &without_marks(typed)).map(Value::Float),
            SettingKind::Count(_) => count(),
            SettingKind::CountOrAuto(_) if typed == "auto" => Ok(Value::String(typed.to_owned())),
            SettingKind::CountOrAuto(_) => count().map_err(|sentence| format!("{sentence}, or the word auto")),
            SettingKind::Layers => Ok(layers(typed)),
            // Paths and words need no quotes, and one that looks like a number is still a word.
            SettingKind::Text | SettingKind::Path | SettingKind::File => {
                Ok(as_toml(typed).filter(Value::is_str).unwrap_or_else(|| Value::String(typed.to_owned())))
            }
            SettingKind::Numbers(..) | SettingKind::Switch | SettingKind::Choice(_) => {
                Ok(as_toml(typed).unwrap_or_else(|| Value::String(typed.to_owned())))
            }
        }
    }

    /// Why what was typed cannot be its value.
    pub(super) fn refusal(&self, typed: &str) -> String {
        let meant = likeliest(typed, self.words().iter().map(|word| word.word));
        let meant = meant.map_or_else(String::new, |word| format!(". Did you mean \"{word}\"?"));
        format!("{} is “{typed}”; it must be {}{meant}", self.key, self.allowed())
    }
}

fn as_toml(typed: &str) -> Option<Value> {
    format!("value = {typed}").parse::<Table>().ok().and_then(|mut table| table.remove("value"))
}

/// TOML has `1_000` for 1000.
fn without_marks(typed: &str) -> String {
    let is_number = typed.contains('_') && as_toml(typed).is_some_and(|value| value.is_integer() || value.is_float());
    if is_number { typed.replace('_', "") } else { typed.to_owned() }
}

/// Names need neither brackets nor quotes; the word `all-linear` stays a word.
fn layers(typed: &str) -> Value {
    if typed == "all-linear" {
        return Value::String(typed.to_owned());
    }
    if let Some(list @ (Value::Array(_) | Value::String(_))) = as_toml(typed) {
        return list;
    }
    let names = typed.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty());
    Value::Array(names.map(|name| Value::String(name.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ObjectiveConfig;

    #[test]
    fn the_likeliest_word_is_named_and_none_where_none_is_like_it() {
        let words = ["mpo", "dpo", "ipo", "reward", "rloo", "grpo"];
        for (typed, meant) in [
            ("dop", Some("dpo")),
            ("DPO", Some("dpo")),
            ("rewrad", Some("reward")),
            ("gpro", Some("grpo")),
            ("sft", None),
            ("", None),
        ] {
            assert_eq!(likeliest(typed, words), meant, "{typed}");
        }
        let said = ObjectiveConfig::KIND.refusal("dop");
        assert!(said.contains("\"mpo\", \"dpo\"") && said.ends_with("Did you mean \"dpo\"?"), "{said}");
    }

    #[test]
    fn g22_every_wrong_number_gets_a_sentence_with_its_label() {
        for (typed, part) in [
            ("1e400", "β is “1e400”, which is larger than any number here"),
            ("-1e400", "larger than any number here"),
            ("1e-400", "so small that it would count as 0"),
            ("abc", "β is “abc”; it must be a number such as 0.1"),
            ("inf", "must be a number"),
            ("NaN", "must be a number"),
            ("0,3", "must be a number"),
            ("0.1.2", "must be a number"),
        ] {
            let sentence = number("β", typed).unwrap_err();
            assert!(sentence.contains(part), "{sentence}");
        }
        for (typed, value) in [(".5", 0.5), ("5.", 5.0), (" 3e-4 ", 3e-4), ("0", 0.0), ("0e9", 0.0), ("-1", -1.0)] {
            assert_eq!(number("β", typed), Ok(value));
        }
        for typed in ["-1", "2.5", "1e3", "many", "", "١"] {
            let sentence = count("Rank", typed).unwrap_err();
            assert!(sentence.contains("must be a whole number"), "{sentence}");
        }
        for typed in ["99999999999999999999999", "9223372036854775808"] {
            assert!(count("Steps", typed).unwrap_err().contains("larger than any count here"));
        }
        for (typed, value) in [("007", 7), ("+16", 16), (" 9223372036854775807", i64::MAX as u64)] {
            assert_eq!(count("Steps", typed), Ok(value));
        }
    }
}
