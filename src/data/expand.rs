//! Prompts from a template: `{a|b}` stands for each of its choices.

/// Lines that a template gives at most.
const MOST: usize = 10_000;

/// Each line that the template stands for, in the order of its choices; the last choice changes first. Braces without a
/// bar between them are letters like others.
pub fn expand(template: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = template;
    while let Some((before, choices, after)) = next(rest) {
        let choices: Vec<&str> = choices.split('|').map(str::trim).collect();
        lines = lines
            .iter()
            .flat_map(|line| choices.iter().map(move |choice| format!("{line}{before}{choice}")))
            .take(MOST)
            .collect();
        rest = after;
    }
    for line in &mut lines {
        line.push_str(rest);
    }
    lines
}

/// The first braces with a bar, as what stands before, between and after them.
fn next(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text[from..].find('{')?;
        let close = open + text[open..].find('}')?;
        // The innermost braces are meant.
        let open = open + text[open..close].rfind('{')?;
        let between = &text[open + 1..close];
        if between.contains('|') {
            return Some((&text[..open], between, &text[close + 1..]));
        }
        from = close + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_every_place_is_a_line() {
        let lines = expand("Write a {short| formal} note to {Ada|Ben|me}.");
        assert_eq!(lines.len(), 6);
        assert_eq!(
            (lines[0].as_str(), lines[1].as_str()),
            ("Write a short note to Ada.", "Write a short note to Ben.")
        );
        assert_eq!(lines[5], "Write a formal note to me.");
    }

    #[test]
    fn other_braces_are_letters() {
        for text in ["", "no braces", "fn main() {}", "{a} or {b}", "{ open", "} {", "a | b", "{\"k\": 1}"] {
            assert_eq!(expand(text), [text]);
        }
        assert_eq!(expand("{x} {a|b} {y}"), ["{x} a {y}", "{x} b {y}"]);
        assert_eq!(expand("{{a|b}}"), ["{a}", "{b}"]);
        assert_eq!(expand("Ä{ö|ü}"), ["Äö", "Äü"]);
        assert_eq!(
            expand("{a|b|c|d|e|f|g|h|i|j}{a|b|c|d|e|f|g|h|i|j}{a|b|c|d|e|f|g|h|i|j}{a|b|c|d|e|f|g|h|i|j}{a|b}").len(),
            10_000
        );
    }
}
