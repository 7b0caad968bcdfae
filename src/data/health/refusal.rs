//! Answers that decline to answer, by how they begin.

/// How refusals of assistants begin, in small letters.
const BEGINNINGS: [&str; 12] = [
    "i'm sorry, but i ",
    "i am sorry, but i ",
    "i'm sorry, i can",
    "sorry, but i can",
    "i can't help with",
    "i cannot help with",
    "i can't assist with",
    "i cannot assist with",
    "i'm unable to",
    "i am unable to",
    "i'm not able to",
    "as an ai ",
];
/// Characters that are looked at.
const START: usize = 160;

/// Whether a text begins by declining. English only.
pub(super) fn declines(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(START).collect();
    let start = start.to_lowercase().replace('’', "'");
    BEGINNINGS.iter().any(|beginning| start.starts_with(beginning)) || start.contains(" as an ai language model")
}
