//! Which column is what: the prompt and the answers under the names that people give them, and never a guess where
//! another column may be the question.

use serde_json::Value as Json;

use super::{
    fields::{Content, Record},
    labels::{self, Labels},
};
use ::data::{Prompt, Turn};

/// What columns with the prompt are called in sets that people share, the likeliest first.
const QUESTIONS: [&str; 24] = [
    "question",
    "instruction",
    "query",
    "user_prompt",
    "user_input",
    "input",
    "problem",
    "request",
    "conversations",
    "conversation",
    "messages",
    "dialogue",
    "dialog",
    "history",
    "context",
    "human",
    "user",
    "post",
    "title",
    "task",
    "topic",
    "message",
    "source_text",
    "text",
];

/// Columns that may say where a record is from or what it is about, not what was asked: see [`labels`].
const ABOUT: [&str; 20] = [
    "source",
    "dataset",
    "subset",
    "origin",
    "category",
    "domain",
    "subject",
    "language",
    "lang",
    "license",
    "author",
    "annotator",
    "model",
    "generator",
    "date",
    "url",
    "hash",
    "uuid",
    "id",
    "type",
];

/// Columns of ours are no prompt either.
const OURS: [&str; 11] =
    ["system", "tags", "split", "strength", "reward", "weight", "behaviour", "behavior", "note", "label", "completion"];

/// What columns with answers are called elsewhere.
const ANSWERS: [(&str, [&str; 7]); 2] = [
    (
        "chosen",
        [
            "chosen_response",
            "preferred_output",
            "chosen_answer",
            "answer_chosen",
            "response_chosen",
            "chosen_conversations",
            "preferred",
        ],
    ),
    (
        "rejected",
        [
            "rejected_response",
            "non_preferred_output",
            "rejected_answer",
            "answer_rejected",
            "response_rejected",
            "rejected_conversations",
            "dispreferred",
        ],
    ),
];

/// An answer's column. Where it is missing and another is called like it, the reason names that one.
pub fn answer(record: &Record<'_>, ours: &str) -> Result<Content, String> {
    record.content(ours).map_err(|reason| {
        if record.promises(ours) {
            return reason;
        }
        let called = ANSWERS.iter().find(|(name, _)| *name == ours);
        let other = called.and_then(|(_, names)| {
            record.unused().find(|(name, text)| names.contains(name) && may_hold_text(text)).map(|(name, _)| name)
        });
        match other {
            Some(other) => format!("{reason}; {}", propose(ours, other)),
            None if is_ranked_list(record) => {
                format!("{reason}; \"output\" holds a list of answers: write the better one as chosen, the other as rejected")
            }
            None => reason,
        }
    })
}

/// LLaMA-Factory's older shape.
fn is_ranked_list(record: &Record<'_>) -> bool {
    record.unused().any(|(name, text)| name == "output" && text.starts_with('['))
}

/// The explicit prompt of a record: a text, or messages. A blank one beside a column with a question is refused.
pub fn prompt(record: &Record<'_>) -> Result<Prompt, String> {
    let prompt = match record.content("prompt")? {
        Content::Text(text) => Prompt::Text(text),
        Content::Turns(turns) => Prompt::chat(turns),
    };
    let questions = || record.unused().any(|(name, text)| QUESTIONS.contains(&name) && may_hold_text(text));
    if is_blank(&prompt) && questions() {
        refuse_to_guess(record, &Labels::default())?;
    }
    Ok(prompt)
}

/// Nothing is asked in it.
pub fn is_blank(prompt: &Prompt) -> bool {
    match prompt {
        Prompt::Text(text) => text.trim().is_empty(),
        Prompt::Chat(chat) => chat.iter().all(Turn::is_empty),
    }
}

/// Refuses to take what the answers share for the prompt where the prompt is said to be missing, or where another
/// column may be the question.
pub fn refuse_to_guess(record: &Record<'_>, labels: &Labels) -> Result<(), String> {
    let found: Vec<(&str, &str)> = record.unused().filter(|(name, text)| may_be_question(name, text, labels)).collect();
    let rank = |(name, _): &(&str, &str)| QUESTIONS.iter().position(|known| known == name).unwrap_or(QUESTIONS.len());
    let Some((likeliest, text)) = found.iter().copied().min_by_key(rank) else {
        return if record.promises("prompt") { record.require("prompt").map(drop) } else { Ok(()) };
    };
    let names: Vec<String> = found.iter().map(|(name, _)| format!("{name:?}")).collect();
    let may = if names.len() == 1 { "may be it" } else { "may be or hold it" };
    let remedy = if !text.starts_with('"') && !text.contains("\"role\"") {
        "write it as \"prompt\", a text or messages with role and content".to_owned()
    } else if likeliest == "instruction" && found.iter().any(|(name, _)| *name == "input") {
        // Alpaca's two halves of one question.
        propose("prompt", "instruction+input")
    } else {
        propose("prompt", likeliest)
    };
    Err(format!("there is no prompt, and {} {may}; {remedy}", names.join(", ")))
}

fn propose(ours: &str, theirs: &str) -> String {
    format!("name it with `nudge import PROJECT FILE --map {ours}={theirs}`")
}

fn may_be_question(name: &str, text: &str, labels: &Labels) -> bool {
    let answers = ANSWERS.iter().any(|(_, names)| names.contains(&name));
    let label = || is_about(name) && (labels::is_code(text) || labels.holds(name, text));
    !answers && !OURS.contains(&name) && may_hold_text(text) && !label()
}

/// Whether a column of this name may say where a record is from or what it is about.
pub fn is_about(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ABOUT.iter().any(|word| lower == *word || lower.strip_suffix(word).is_some_and(|front| front.ends_with('_')))
        || ["score", "rating", "model"].iter().any(|word| lower.contains(word))
        || lower.starts_with("meta")
}

/// A number in no more digits than tell it from others of 32 bits.
pub fn shortest(number: f32) -> Json {
    number.to_string().parse::<f64>().map_or(Json::Null, Json::from)
}

/// A text that is not blank, or a list or an object that holds one.
pub fn may_hold_text(text: &str) -> bool {
    fn holds(value: &Json) -> bool {
        match value {
            Json::String(text) => !text.trim().is_empty(),
            Json::Array(list) => list.iter().any(holds),
            Json::Object(object) => object.values().any(holds),
            Json::Null | Json::Bool(_) | Json::Number(_) => false,
        }
    }
    match text.as_bytes() {
        // Quick for the usual case: a letter behind the quote.
        [b'"', first, ..] if !first.is_ascii_whitespace() && !matches!(first, b'"' | b'\\') => true,
        [b'"' | b'[' | b'{', ..] => super::object::value(text, &std::cell::RefCell::default()).is_ok_and(|v| holds(&v)),
        _ => false,
    }
}
