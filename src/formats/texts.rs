//! Reference answers and retention text.

use std::{cell::RefCell, path::Path};

use super::{
    FieldMap, FormatError, RecordFault, columns,
    containers::{self, Stretch},
    draft::{only_answer, with_given, with_system},
    fields::{Content, Record},
    object,
};
use ::data::{Prompt, ReferenceAnswer, Role, Turn, kind};

/// A file has no reason to be longer, in bytes: all of it is held in memory.
const LONGEST: u64 = 1 << 30;

/// Reads reference answers: a line `{"prompt": .., "completion": ..}` (texts or messages, TRL's prompt-completion
/// records) or `{"messages": [..]}` that ends with the answer.
pub fn read_references(path: &Path) -> Result<(Vec<ReferenceAnswer>, Vec<RecordFault>), FormatError> {
    let names = FieldMap::default();
    each_record(path, |text| {
        let record = Record::read(text, &names)?;
        let (prompt, answer) = if record.has("messages") {
            let Content::Turns(mut turns) = record.content("messages")? else {
                return Err("\"messages\" must be a list of messages".to_owned());
            };
            match turns.pop() {
                Some(last) if last.role == Role::Assistant && !turns.is_empty() => (Prompt::chat(turns), last),
                _ => return Err("\"messages\" must end with an answer of the assistant".to_owned()),
            }
        } else {
            record.require("prompt")?;
            let answer = match record.content("completion")? {
                Content::Text(text) => Turn::new(Role::Assistant, text),
                Content::Turns(turns) => only_answer("completion", &turns)?,
            };
            (columns::prompt(&record)?, answer)
        };
        if answer.is_empty() {
            return Err("the answer is empty".to_owned());
        }
        let prompt = with_given(with_system(prompt, record.text("system")?), record.given()?);
        Ok(ReferenceAnswer { extras: answer.extras, ..ReferenceAnswer::new(prompt, answer.content) })
    })
}

/// Reads retention text: JSON lines (or an array) of texts or of records with `text`, if the file is named `.jsonl` or
/// `.json`; otherwise plain text whose passages are separated by blank lines.
pub fn read_texts(path: &Path) -> Result<(Vec<String>, Vec<RecordFault>), FormatError> {
    let named_json = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl") || extension.eq_ignore_ascii_case("json"));
    if named_json {
        return each_record(path, |text| {
            let value = object::value(text, &RefCell::default())?;
            let text = value.as_str().or_else(|| value["text"].as_str());
            match text {
                Some(text) if text.trim().is_empty() => Err("the text is empty".to_owned()),
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("expected a record with \"text\", found {}", kind(&value))),
            }
        });
    }
    Ok((passages(&files::read_text(path, LONGEST)?), Vec::new()))
}

/// Paragraphs, with their inner line ends.
fn passages(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut lines: Vec<&str> = Vec::new();
    let text = text.trim_start_matches('\u{FEFF}');
    for line in text.lines().chain([""]) {
        if !line.trim().is_empty() {
            lines.push(line);
        } else if !lines.is_empty() {
            all.push(lines.join("\n"));
            lines.clear();
        }
    }
    all
}

fn each_record<T>(
    path: &Path,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<(Vec<T>, Vec<RecordFault>), FormatError> {
    let mut records = containers::open_file(path, LONGEST)?.records;
    let failed = FormatError::reading(path);
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    while let Some(Stretch { place, text }) = records.next().map_err(&failed)? {
        match text.and_then(&read) {
            Ok(value) => all.push(value),
            Err(reason) => faults.push(RecordFault { line: place, reason }),
        }
    }
    if let Some((line, reason)) = records.breaks_off() {
        faults.push(RecordFault { line, reason: reason.to_owned() });
    }
    Ok((all, faults))
}

#[cfg(test)]
mod tests {
    use super::passages;

    #[test]
    fn blank_lines_separate_passages() {
        let text = "\u{FEFF}one\r\nstill one\r\n\r\n \r\ntwo\n";
        assert_eq!(passages(text), ["one\nstill one", "two"]);
        assert!(passages("\n\n").is_empty());
    }
}
