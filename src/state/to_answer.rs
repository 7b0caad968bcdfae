//! The prompts that a model is asked to answer: typed, of a file, or those that wait.

use std::{collections::HashSet, sync::Arc};

use data::{Prompt, Role, Turn, expand};

/// One a line, each once; a template is all that it stands for.
pub fn typed_prompts(text: &str, chat: bool) -> Vec<Prompt> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut seen = HashSet::new();
    let each = lines.flat_map(expand).filter(|line| seen.insert(line.clone()));
    each.map(|line| said(&line, chat)).collect()
}

/// What a user says to a model; of one without a chat template (not `chat`) a text to go on from.
pub fn said(line: &str, chat: bool) -> Prompt {
    if chat { Prompt::chat(vec![Turn::new(Role::User, line)]) } else { Prompt::Text(line.to_owned()) }
}

/// What a form asks a model: the prompts `beside` what was typed, of a file or that wait, then those that were typed,
/// each once. Worked out again only when one of them has changed, however often a frame asks.
#[derive(Debug, Default)]
pub struct PromptsToAnswer {
    typed: String,
    beside: Arc<Vec<Prompt>>,
    chat: bool,
    all: Arc<[Prompt]>,
}

impl PromptsToAnswer {
    pub fn of(&mut self, typed: &str, beside: &Arc<Vec<Prompt>>, chat: bool) -> Arc<[Prompt]> {
        let is_fresh = self.typed == typed && Arc::ptr_eq(&self.beside, beside) && self.chat == chat;
        if !is_fresh {
            let mut seen = HashSet::new();
            let all = beside.iter().cloned().chain(typed_prompts(typed, chat));
            let all = all.filter(|prompt| seen.insert(prompt.clone())).collect();
            *self = Self { typed: typed.to_owned(), beside: Arc::clone(beside), chat, all };
        }
        Arc::clone(&self.all)
    }
}
