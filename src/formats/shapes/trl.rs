//! TRL preference records, as `datasets` loads them.
//!
//! Source: <https://huggingface.co/docs/trl/dataset_formats>. Prompt explicit or implicit, standard (texts) or
//! conversational (lists of messages). Columns of ours that may come along: `system`, `tags`, `split`, `strength`,
//! `reward` (or `weight`), `behaviour`, `note`, `id`.

use serde_json::Value as Json;

use super::shape::{Fields, Shape, Writing, fields, message, messages, of_sides};
use crate::{
    columns,
    draft::{Draft, Read, Taking, imported, only_answer, said},
    fields::{Content, Record},
    labels::Labels,
    options::Format,
};
use ::data::{Answer, Pair, Prompt, Role, Turn};

pub const SHAPE: Shape = Shape {
    format: Format { name: "trl", title: "TRL", signs: "chosen and rejected" },
    is: |record| record.shows("chosen") && record.shows("rejected"),
    read,
    write: Some(Writing::new(Pair::is_decided, write)),
};

/// The same, told by its name: the prompt is a text and also the first turn of both conversations.
///
/// Source: <https://huggingface.co/datasets/HuggingFaceH4/ultrafeedback_binarized>.
pub const ULTRAFEEDBACK: Shape = Shape {
    format: Format {
        name: "ultrafeedback",
        title: "UltraFeedback",
        signs: "a prompt that is a text, conversations, and a score for each",
    },
    is: |record| {
        record.first_byte("prompt") == Some(b'"')
            && record.first_byte("chosen") == Some(b'[')
            && record.shows("rejected")
            && record.shows("score_chosen")
    },
    read,
    write: None,
};

/// One record to a pair; the chosen answer comes first.
fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    // Asked for first: what is used is no question.
    let given = record.given()?;
    let (chosen, rejected) = (columns::answer(record, "chosen")?, columns::answer(record, "rejected")?);
    let (prompt, chosen, rejected) = match (chosen, rejected) {
        (Content::Text(chosen), Content::Text(rejected)) if record.has("prompt") => {
            (columns::prompt(record)?, said(chosen), said(rejected))
        }
        (Content::Text(chosen), Content::Text(rejected)) => {
            columns::refuse_to_guess(record, &taking.kept.labels)?;
            let (prompt, chosen, rejected) = split_texts(&chosen, &rejected)?;
            (Prompt::Text(prompt), said(chosen), said(rejected))
        }
        (Content::Turns(chosen), Content::Turns(rejected)) => {
            let (turns, chosen, rejected) = split_turns(record, chosen, rejected, &taking.kept.labels)?;
            (Prompt::chat(turns), imported(chosen), imported(rejected))
        }
        _ => return Err("one answer is a text and the other a list of messages".to_owned()),
    };
    Ok(vec![Draft { given, ..Draft::decided(prompt, chosen, rejected) }.read(record, taking)?])
}

/// With an explicit prompt: conversational for a conversation, standard for a text.
fn write(pair: &Pair) -> Vec<Fields> {
    of_sides(pair, |chosen, rejected| {
        fields([
            ("prompt", prompt(&pair.prompt)),
            ("chosen", answer(chosen, &pair.prompt)),
            ("rejected", answer(rejected, &pair.prompt)),
        ])
    })
}

pub(super) fn prompt(prompt: &Prompt) -> Json {
    match prompt {
        Prompt::Text(text) => text.clone().into(),
        Prompt::Chat(chat) => messages(chat).into(),
    }
}

/// A completion: the text, or one message of the assistant.
pub(super) fn answer(answer: &Answer, prompt: &Prompt) -> Json {
    match prompt {
        Prompt::Text(_) => answer.text.clone().into(),
        Prompt::Chat(_) => vec![message(answer)].into(),
    }
}

/// Prompt and answers of two texts that begin alike: the border is the last white space they share, so that no word is
/// torn. A space goes to the answers, a line end stays with the prompt.
fn split_texts(chosen: &str, rejected: &str) -> Result<(String, String, String), String> {
    let shared = chosen
        .char_indices()
        .zip(rejected.chars())
        .find(|((_, a), b)| a != b)
        .map_or(chosen.len().min(rejected.len()), |((at, _), _)| at);
    // Both answers keep at least one character.
    let inside = chosen[..shared]
        .char_indices()
        .map(|(at, c)| if c == '\n' { at + 1 } else { at })
        .zip(chosen.chars())
        .filter(|(at, c)| c.is_whitespace() && *at < chosen.len().min(rejected.len()))
        .map(|(at, _)| at)
        .last();
    let border = inside
        .filter(|at| !chosen[..*at].trim().is_empty())
        .ok_or_else(|| "there is no prompt, and chosen and rejected share no beginning that could be one".to_owned())?;
    Ok((chosen[..border].to_owned(), chosen[border..].to_owned(), rejected[border..].to_owned()))
}

/// Prompt turns and answers of two message lists: with an explicit prompt the lists hold the answer only, or (as in
/// UltraFeedback) the prompt again; without one, the prompt is all the turns they share before the last.
pub(super) fn split_turns(
    record: &Record<'_>,
    chosen: Vec<Turn>,
    rejected: Vec<Turn>,
    labels: &Labels,
) -> Result<(Vec<Turn>, Turn, Turn), String> {
    let shared = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
    // Identical conversations share their answer too.
    let shared = shared.min(chosen.len().saturating_sub(1)).min(rejected.len().saturating_sub(1));
    let answers = |from: usize| {
        Ok::<_, String>((only_answer("chosen", &chosen[from..])?, only_answer("rejected", &rejected[from..])?))
    };
    let asked = chosen[..shared].iter().any(|turn| turn.role == Role::User);
    let prompt = if record.has("prompt") { Some(columns::prompt(record)?) } else { None };
    let Some(prompt) = prompt.filter(|prompt| !(asked && columns::is_blank(prompt))) else {
        // What they share may be the system's turn only.
        if !asked {
            columns::refuse_to_guess(record, labels)?;
        }
        if shared == 0 {
            return Err("there is no prompt, and chosen and rejected share no first turn".to_owned());
        }
        let (one, other) = answers(shared)?;
        return Ok((chosen[..shared].to_vec(), one, other));
    };
    match prompt {
        Prompt::Chat(chat) => {
            let turns = chat.turns;
            // An answer that happens to say the whole prompt again repeats nothing: it would be no answer.
            let goes_on = |answer: &[Turn]| answer.len() > turns.len() && answer.starts_with(&turns);
            let repeated = !turns.is_empty() && goes_on(&chosen) && goes_on(&rejected);
            let (one, other) = answers(if repeated { turns.len() } else { 0 })?;
            Ok((turns, one, other))
        }
        Prompt::Text(text) => {
            let (one, other) = answers(shared)?;
            if shared == 0 {
                return Ok((vec![Turn::new(Role::User, text)], one, other));
            }
            let mut turns = chosen[..shared].to_vec();
            if turns.iter().all(|turn| turn.role == Role::System) {
                turns.push(Turn::new(Role::User, text));
                return Ok((turns, one, other));
            }
            if turns.iter().any(|turn| turn.role == Role::User && turn.content.trim() == text.trim()) {
                Ok((turns, one, other))
            } else {
                Err("the prompt is not among the turns that chosen and rejected begin with".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chosen: &str, rejected: &str) -> (String, String, String) {
        split_texts(chosen, rejected).unwrap()
    }

    #[test]
    fn no_word_is_torn_between_prompt_and_answer() {
        // They share "The moon is a".
        let (prompt, chosen, rejected) = split("The moon is a rock.", "The moon is all cheese.");
        assert_eq!((&*prompt, &*chosen, &*rejected), ("The moon is", " a rock.", " all cheese."));
    }

    #[test]
    fn a_line_end_stays_with_the_prompt() {
        let (prompt, chosen, rejected) = split("Q: 1+1?\nTwo", "Q: 1+1?\nTen");
        assert_eq!((&*prompt, &*chosen, &*rejected), ("Q: 1+1?\n", "Two", "Ten"));
    }

    #[test]
    fn both_answers_keep_something() {
        let (prompt, chosen, rejected) = split("The moon is", "The moon is a rock");
        assert_eq!((&*prompt, &*chosen, &*rejected), ("The moon", " is", " is a rock"));
        let (prompt, chosen, rejected) = split("One line\n", "One line\nand more");
        assert_eq!((&*prompt, &*chosen, &*rejected), ("One", " line\n", " line\nand more"));
    }

    #[test]
    fn texts_with_nothing_in_common_have_no_prompt() {
        assert!(split_texts("Yes.", "No.").is_err());
        assert!(split_texts(" yes", " no").is_err());
        assert!(split_texts("", "").is_err());
    }
}
