//! Two answers side by side, and a column that says which is better, as tables of labellers have them.
//!
//! `--map a=.. b=.. verdict=..` names the columns where they are called otherwise.

use serde_json::Value as Json;

use super::{label_studio, shape::Shape, trl::split_turns};
use crate::{
    agreement::Vote,
    columns,
    draft::{Draft, Read, Taking, asked, imported, only_answer, said},
    fields::{Content, Record},
    options::Format,
};
use ::data::{Answer, Choice, Prompt};

pub const SHAPE: Shape = Shape {
    format: Format { name: "compared", title: "two answers and a verdict", signs: "two answers side by side" },
    is: |record| {
        answers(record).is_some()
            && (question(record).is_some() || answers(record).is_some_and(|[a, _]| record.first_byte(&a) == Some(b'[')))
    },
    read,
    write: None,
};

/// What the columns of two answers are called.
const ANSWERS: [[&str; 2]; 19] = [
    ["response_1", "response_2"],
    ["response_a", "response_b"],
    ["response1", "response2"],
    ["answer_1", "answer_2"],
    ["answer1", "answer2"],
    ["answer_a", "answer_b"],
    ["output_1", "output_2"],
    ["output1", "output2"],
    ["text1", "text2"],
    ["output_a", "output_b"],
    ["completion_1", "completion_2"],
    ["completion_a", "completion_b"],
    ["generation_a", "generation_b"],
    ["conversation_a", "conversation_b"],
    ["option_a", "option_b"],
    ["response_0", "response_1"],
    ["left", "right"],
    ["A", "B"],
    ["a", "b"],
];

/// What the column with the verdict is called.
const VERDICTS: [&str; 12] = [
    "verdict",
    "preference",
    "preferred",
    "winner",
    "choice",
    "better",
    "chosen",
    "selected",
    "vote",
    "judgement",
    "human_preference",
    "label",
];

/// What the prompt is called.
const PROMPTS: [&str; 11] = [
    "prompt",
    "instruction",
    "question",
    "query",
    "input",
    "context",
    "user_prompt",
    "text",
    "chat",
    "messages",
    "conversation",
];

/// The columns of both answers.
pub fn answers(record: &Record<'_>) -> Option<[String; 2]> {
    let shown = |names: [&str; 2]| {
        names.iter().all(|name| record.first_byte(name).is_some_and(|byte| matches!(byte, b'"' | b'[' | b'{')))
    };
    if record.maps(&["a"]) && record.maps(&["b"]) {
        return Some(["a", "b"].map(str::to_owned));
    }
    ANSWERS.into_iter().find(|names| shown(*names)).map(|names| names.map(str::to_owned))
}

/// The column of the prompt.
pub fn question(record: &Record<'_>) -> Option<&'static str> {
    PROMPTS.into_iter().find(|name| record.shows(name))
}

/// A labelling tool's prompt is what a user says.
pub fn prompt(record: &Record<'_>) -> Result<Prompt, String> {
    match question(record) {
        Some("prompt") | None => match columns::prompt(record)? {
            Prompt::Text(text) => Ok(asked(text)),
            chat @ Prompt::Chat(_) => Ok(chat),
        },
        Some(name) => match record.content(name)? {
            Content::Text(text) => Ok(asked(text)),
            Content::Turns(turns) => Ok(Prompt::chat(turns)),
        },
    }
}

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let names = answers(record).ok_or_else(|| {
        "there are no two answers; name them with --map a=COLUMN --map b=COLUMN --map verdict=COLUMN".to_owned()
    })?;
    let (prompt, answers) = match (record.content(&names[0])?, record.content(&names[1])?) {
        (Content::Turns(one), Content::Turns(other)) if question(record).is_none() => {
            let (turns, one, other) = split_turns(record, one, other, &taking.kept.labels)?;
            (Prompt::chat(turns), [imported(one), imported(other)])
        }
        (one, other) => (prompt(record)?, [answer(&names[0], one)?, answer(&names[1], other)?]),
    };
    let column = VERDICTS.into_iter().find(|name| record.first_byte(name).is_some());
    let said = match column {
        Some(column) => record.get(column)?,
        None => label_studio::selected(record, &names),
    };
    let choice = match &said {
        Some(said) => choice(said, &names.map(|name| record.theirs(&name).to_owned()))?,
        None => None,
    };
    Ok(vec![Draft { choice, ..Draft::open(prompt, answers.into()) }.read(record, taking)?])
}

fn answer(name: &str, content: Content) -> Result<Answer, String> {
    match content {
        Content::Text(text) => Ok(said(text)),
        Content::Turns(turns) => Ok(imported(only_answer(name, &turns)?)),
    }
}

fn choice(said: &Json, names: &[String; 2]) -> Result<Option<Choice>, String> {
    let word = match said {
        Json::String(word) => word.trim().to_owned(),
        Json::Number(number) => number.to_string(),
        other => return Err(format!("a verdict must be a text or a number, found {other}")),
    };
    if word.is_empty() {
        return Ok(None);
    }
    if word.eq_ignore_ascii_case("skip") {
        return Ok(Some(Choice::Skip));
    }
    let vote = vote(&word, names).ok_or_else(|| {
        format!(
            "the verdict {word:?} is none of {:?}, {:?}, a, b, 1, 2, left, right, tie, both bad",
            names[0], names[1]
        )
    })?;
    Ok(crate::agreement::decide(&[vote], 2).0)
}

/// Which of two answers a word says is better; their columns may name them.
pub fn vote(word: &str, names: &[String; 2]) -> Option<Vote> {
    const FIRST: [&str; 7] = ["a", "1", "left", "first", "model_a", "response_a", "response_1"];
    const SECOND: [&str; 7] = ["b", "2", "right", "second", "model_b", "response_b", "response_2"];
    const TIES: [&str; 7] = ["tie", "equal", "same", "draw", "both", "both good", "tie (both good)"];
    const BAD: [&str; 6] = ["both bad", "both_bad", "bothbad", "tie (bothbad)", "neither", "none"];
    let word = word.to_ascii_lowercase();
    let is = |name: &String| name.to_ascii_lowercase() == word;
    let counts_from_0 = names[0].ends_with('0');
    if let Some(at) = names.iter().position(is) {
        return Some(Vote::For(at));
    }
    match word.as_str() {
        "0" => return counts_from_0.then_some(Vote::For(0)),
        "1" if counts_from_0 => return Some(Vote::For(1)),
        _ => {}
    }
    let word = word.as_str();
    [(&FIRST[..], Vote::For(0)), (&SECOND, Vote::For(1)), (&TIES, Vote::Tie), (&BAD, Vote::BothBad)]
        .into_iter()
        .find(|(words, _)| words.contains(&word))
        .map(|(_, vote)| vote)
}
