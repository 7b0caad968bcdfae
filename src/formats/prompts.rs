//! Prompts alone, to be answered by a model: one a line, as plain text or as JSON.

use std::{collections::HashSet, path::Path};

use ::data::{Answer, Chat, Given, Prompt, Role, Turn, expand, integers};

use crate::{FormatError, Options, Reader};

/// What a model is to answer.
#[derive(Debug, Clone, PartialEq)]
pub enum PromptOrIds {
    Prompt(Prompt),
    Ids(Vec<u32>),
}

/// A plain line is what a user says, or without `chat` a text to go on from; braces in it are choices, see [`expand`].
/// A line of JSON has a `prompt` or `messages`. Each prompt once; blank lines are skipped. The error has its line,
/// counted from 1.
pub fn prompts_of(text: &str, chat: bool) -> Result<Vec<Prompt>, (usize, String)> {
    let mut seen = HashSet::new();
    let mut prompts = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let read = if line.starts_with('{') && serde_json::from_str::<serde_json::Value>(line).is_ok() {
            vec![of_json(line).map_err(|reason| (index + 1, reason))?]
        } else if line.starts_with("{\"") {
            return Err((index + 1, "the line is no JSON".to_owned()));
        } else if line.is_empty() {
            Vec::new()
        } else {
            expand(line).into_iter().map(|line| plain(line, chat)).collect()
        };
        prompts.extend(read.into_iter().filter(|prompt| seen.insert(prompt.clone())));
    }
    Ok(prompts)
}

/// Those of a file: of records of any container, else of lines.
pub fn read_prompts(path: &Path, chat: bool) -> Result<Vec<Prompt>, FormatError> {
    let records = || prompts_alone(path, &Options { chat, ..Options::default() });
    if !is_plain_text(path)
        && let Some(mut prompts) = records()
    {
        let mut seen = HashSet::new();
        prompts.retain(|prompt| seen.insert(prompt.clone()));
        return Ok(prompts);
    }
    let unfit = |reason| FormatError::Unfit { path: path.to_owned(), reason };
    let text = files::read_any_text(path, files::SETTINGS)?;
    let prompts = prompts_of(&text, chat).map_err(|(line, reason)| unfit(format!("line {line}: {reason}")))?;
    if prompts.is_empty() { Err(unfit("it holds no prompts".to_owned())) } else { Ok(prompts) }
}

/// Whether the lines of a file are prompts, as its name says: there is nothing in plain text to be a pair. Tables and
/// records may be called so too.
pub fn is_plain_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt")) && !holds_pairs(path)
}

/// Whether its first record is a pair.
fn holds_pairs(path: &Path) -> bool {
    let first = Reader::open(path, &Options::default()).ok().and_then(|mut records| records.next());
    matches!(first, Some(Ok(pair)) if pair.answers.iter().any(|answer| !answer.is_empty()))
}

/// The prompts of a file of records none of which has an answer: there is nothing to label in them yet. Absent where
/// one has, or cannot be read.
pub fn prompts_alone(path: &Path, options: &Options) -> Option<Vec<Prompt>> {
    let mut prompts = Vec::new();
    for pair in Reader::open(path, options).ok()? {
        let pair = pair.ok().filter(|pair| pair.answers.iter().all(Answer::is_empty))?;
        prompts.push(pair.prompt);
    }
    (!prompts.is_empty()).then_some(prompts)
}

fn plain(line: String, chat: bool) -> Prompt {
    if chat { Prompt::chat(vec![Turn::new(Role::User, line)]) } else { Prompt::Text(line) }
}

/// A line of JSON with a `prompt`, `messages` or `prompt_ids`; the error has no place.
pub fn read_line(line: &str) -> Result<PromptOrIds, String> {
    #[derive(serde::Deserialize)]
    struct Line {
        prompt: Option<Prompt>,
        messages: Option<Vec<Turn>>,
        #[serde(flatten)]
        given: Given,
        prompt_ids: Option<Vec<u32>>,
    }
    let line: Line = integers::read(line).map_err(|error| error.to_string())?;
    match (line.prompt, line.messages, line.prompt_ids) {
        (Some(prompt), None, None) => Ok(PromptOrIds::Prompt(prompt)),
        (None, Some(turns), None) => {
            let given = (!line.given.is_empty()).then(|| Box::new(line.given));
            Ok(PromptOrIds::Prompt(Prompt::Chat(Chat { turns, given })))
        }
        (None, None, Some(ids)) => Ok(PromptOrIds::Ids(ids)),
        _ => Err("it needs one of \"prompt\", \"messages\" and \"prompt_ids\"".to_owned()),
    }
}

fn of_json(line: &str) -> Result<Prompt, String> {
    match read_line(line)? {
        PromptOrIds::Prompt(prompt) => Ok(prompt),
        PromptOrIds::Ids(_) => Err("token ids are no prompt of a project; give the text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_lines_of_text_or_json_each_once() {
        let ask = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
        let text = format!("Hello\n\n{{\"prompt\": \"Once\"}}\n{ask}\n{{short|long}} ones\n");
        let texts: Vec<String> =
            prompts_of(&text, true).unwrap().iter().map(|prompt| prompt.last_text().to_owned()).collect();
        assert_eq!(texts, ["Hello", "Once", "short ones", "long ones"]);
        for (wrong, line, part) in [
            ("\n{\"x\": 1}", 2, "needs one of"),
            (r#"{"prompt_ids": [1]}"#, 1, "give the text"),
            (r#"{"prompt": 1}"#, 1, "a prompt, which is a text, or a list of turns"),
            ("{\"prompt\": ", 1, "no JSON"),
        ] {
            let (at, reason) = prompts_of(wrong, true).unwrap_err();
            assert!(at == line && reason.contains(part), "{at}: {reason}");
        }
    }
}
