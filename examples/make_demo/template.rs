//! Sentences with choices and slots: `"[Gladly!|Of course!] {name} opens at {opens}."`
//!
//! `[a|b|c]` draws one alternative and may be nested; `{slot}` is looked up. The result starts every
//! sentence with a capital, so that a name such as "the Gilded Crumb" may stand anywhere.

use std::collections::BTreeMap;

use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// What the templates of one entity may mention, by slot name.
pub type Slots = BTreeMap<&'static str, String>;

/// Draws one sentence from `template`.
///
/// # Panics
/// On an unknown slot or an unclosed bracket: the templates are part of this program, so that is a mistake in it.
pub fn expand(template: &str, slots: &Slots, rng: &mut ChaCha8Rng) -> String {
    capitalise(&fill(&choose(template, rng), slots))
}

/// Replaces every `[a|b]` by one of its alternatives.
fn choose(template: &str, rng: &mut ChaCha8Rng) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(open) = rest.find('[') {
        out.push_str(&rest[..open]);
        let body = &rest[open + 1..];
        let (alternatives, close) =
            alternatives(body).unwrap_or_else(|| panic!("unclosed bracket in the template {template:?}"));
        let picked = alternatives.choose(rng).expect("a bracket holds at least one alternative");
        out.push_str(&choose(picked, rng));
        rest = &body[close + 1..];
    }
    out + rest
}

/// The alternatives of a bracket whose body starts `body`, and where its closing bracket is.
fn alternatives(body: &str) -> Option<(Vec<&str>, usize)> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, letter) in body.char_indices() {
        match letter {
            '[' => depth += 1,
            ']' if depth > 0 => depth -= 1,
            ']' => {
                found.push(&body[start..at]);
                return Some((found, at));
            }
            '|' if depth == 0 => {
                found.push(&body[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

fn fill(text: &str, slots: &Slots) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let close = open + rest[open..].find('}').unwrap_or_else(|| panic!("unclosed slot in {text:?}"));
        let slot = &rest[open + 1..close];
        let value = slots.get(slot).unwrap_or_else(|| panic!("no slot {slot:?} for {text:?}"));
        out.push_str(&rest[..open]);
        out.push_str(value);
        rest = &rest[close + 1..];
    }
    out + rest
}

/// Upper case for the first letter of the text and of every sentence in it.
pub fn capitalise(text: &str) -> String {
    let mut at_start = true;
    let mut after_mark = false;
    text.chars()
        .map(|letter| {
            if after_mark && letter.is_whitespace() {
                at_start = true;
            }
            after_mark = matches!(letter, '.' | '!' | '?');
            if at_start && letter.is_alphanumeric() {
                at_start = false;
                letter.to_ascii_uppercase()
            } else {
                letter
            }
        })
        .collect()
}
