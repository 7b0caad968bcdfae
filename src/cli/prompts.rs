//! Prompts to be answered: from a file, from standard input, or those of a project's pairs.

use std::{
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use data::{Chat, Prompt, Role, Turn, integers};
use formats::PromptOrIds;
use store::Project;

use super::output;

/// What standard input is to hold, and an example of it.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    what: &'static str,
    pub such_as: &'static str,
}

pub const CONVERSATION: Expected =
    Expected { what: "a conversation as JSON", such_as: r#"[{"role": "user", "content": "Hello"}]"# };
const SAID: Expected = Expected { what: "what the user says, or a conversation as JSON", ..CONVERSATION };
const PROMPTS: Expected = Expected { what: "prompts, a line of JSON each", such_as: r#"{"prompt": "Hello"}"# };
const PLAIN_PROMPTS: Expected = Expected { what: "prompts, a line each", such_as: "Where is the harbour?" };

/// What ends the input at a terminal.
const END_OF_INPUT: &str = if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" };

/// A prompt a line, as JSON; blank lines are skipped.
pub fn read(path: &Path) -> Result<Vec<PromptOrIds>> {
    let text = read_input(path, PROMPTS)?;
    let mut asked = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            let at = |reason| anyhow::anyhow!("{}, line {}: {reason}", place(path), index + 1);
            asked.push(formats::read_line(line.trim()).map_err(at)?);
        }
    }
    if asked.is_empty() {
        anyhow::bail!("{} holds no prompts.", place(path));
    }
    Ok(asked)
}

/// Those of a file that can be put into a project, each once; `{a|b}` in a plain line stands for each of its choices.
pub fn for_project(path: &Path, chat: bool) -> Result<Vec<Prompt>> {
    let prompts = formats::prompts_of(&read_input(path, PLAIN_PROMPTS)?, chat)
        .map_err(|(line, reason)| anyhow::anyhow!("{}, line {line}: {reason}", place(path)))?;
    anyhow::ensure!(!prompts.is_empty(), "{} holds no prompts.", place(path));
    Ok(prompts)
}

/// The prompts of a project's pairs, each once, in the order of the pairs.
pub fn of_pairs(project: &Project) -> Result<Vec<Prompt>> {
    let prompts = project.prompts(usize::MAX)?;
    anyhow::ensure!(
        !prompts.is_empty(),
        "The project has no pairs yet, so there are no prompts; name a file with --prompts."
    );
    Ok(prompts)
}

/// Those that were imported without answers and that no pair is about yet.
pub fn waiting(project: &Project) -> Result<Vec<Prompt>> {
    let prompts = project.waiting_prompts()?;
    anyhow::ensure!(
        !prompts.is_empty(),
        "No prompt waits for answers; name a file with --prompts, say --of-pairs, or import a list of prompts."
    );
    Ok(prompts)
}

/// A conversation from a JSON file, or from standard input for "-". Also takes an object with `messages` and what a
/// template is given besides, and plain text on standard input as one user turn.
pub fn read_messages(path: &Path) -> Result<Chat> {
    let is_stdin = path == Path::new("-");
    let text = read_input(path, SAID)?;
    let turns = parse_messages(&text, is_stdin)
        .with_context(|| format!("{} is not a conversation such as {}", place(path), CONVERSATION.such_as))?;
    if turns.is_empty() {
        anyhow::bail!("{} holds no messages.", place(path));
    }
    Ok(turns)
}

/// What a file is called in a sentence, standard input by its name.
pub fn place(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// A file's text, or that of standard input for "-", which somebody may have to type.
pub fn read_input(path: &Path, Expected { what, such_as }: Expected) -> Result<String> {
    if path != Path::new("-") {
        return Ok(files::read_any_text(path, files::SETTINGS)?);
    }
    if io::stdin().is_terminal() {
        output::note(format!("Type {what}, such as {such_as}; then Enter and {END_OF_INPUT}."));
    }
    let mut text = String::new();
    io::stdin().take(files::SETTINGS + 1).read_to_string(&mut text).context("Could not read standard input")?;
    let megabytes = files::SETTINGS >> 20;
    anyhow::ensure!(text.len() as u64 <= files::SETTINGS, "Standard input gives more than {megabytes} MiB.");
    anyhow::ensure!(!text.trim().is_empty(), "Standard input is empty. It is to hold {what}, such as {such_as}");
    Ok(text)
}

fn parse_messages(text: &str, may_be_plain: bool) -> Result<Chat> {
    let trimmed = text.trim();
    if may_be_plain && !trimmed.is_empty() && !trimmed.starts_with(['[', '{']) {
        return Ok(vec![Turn::new(Role::User, trimmed)].into());
    }
    Ok(integers::read(trimmed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_as_a_list_an_object_or_plain_text() {
        let list = r#"[{"role": "user", "content": "Hi"}]"#;
        let turns = parse_messages(list, false).unwrap();
        assert_eq!((turns[0].role, turns[0].content.as_str()), (Role::User, "Hi"));
        let object = format!(r#"{{"messages": {list}}}"#);
        assert_eq!(parse_messages(&object, false).unwrap(), turns);
        assert_eq!(parse_messages(" Hi\n", true).unwrap(), turns);
        assert!(parse_messages("Hi", false).is_err());
        assert!(parse_messages(r#"[{"role": "", "content": ""}]"#, false).is_err());
    }

    #[test]
    fn prompts_come_as_lines_of_text_or_json_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("prompts.txt");
        let ask = r#"{"messages": [{"role": "user", "content": "Hello"}]}"#;
        std::fs::write(&file, format!("Hello\n\n{{\"prompt\": \"Once\"}}\n{ask}\n")).unwrap();
        let hello = Prompt::chat(vec![Turn::new(Role::User, "Hello")]);
        assert_eq!(for_project(&file, true).unwrap(), [hello.clone(), Prompt::Text("Once".to_owned())]);
        assert_eq!(
            for_project(&file, false).unwrap(),
            [Prompt::Text("Hello".to_owned()), Prompt::Text("Once".to_owned()), hello]
        );
        assert!(read(&file).is_err());
        for (wrong, part) in [
            ("", "holds no prompts"),
            ("\n{\"x\": 1}", "line 2"),
            (r#"{"prompt_ids": [1]}"#, "give the text"),
            (r#"{"prompt": 1}"#, "a prompt, which is a text, or a list of turns"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = format!("{:#}", for_project(&file, true).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
