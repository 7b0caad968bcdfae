//! Numbers as people type them, and a sentence where they cannot be used.

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

#[cfg(test)]
mod tests {
    use super::*;

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
