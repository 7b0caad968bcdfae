//! TRL preference records (JSON lines or one JSON array), as `datasets` loads them.
//!
//! Source: <https://huggingface.co/docs/trl/dataset_formats>. Prompt explicit or implicit, standard (texts) or
//! conversational (lists of messages). Columns of ours that may come along: `system`, `tags`, `split`, `strength`,
//! `reward` (or `weight`), `behaviour`, `note`, `id`.

use serde_json::Value as Json;

use super::{
    Format, columns,
    fields::{Content, Record},
    hh,
};
use ::data::{Answer, Choice, Given, Origin, Pair, PairId, Prompt, Role, Source, Turn, Verdict};

/// A record that came in, what it was recognised as, and what deserves a look.
pub(super) struct Read {
    pub pair: Pair,
    pub format: Format,
    pub notes: Vec<String>,
}

/// Where a record stands, for its [`Source`] and verdict.
pub(super) struct Place<'a> {
    pub file: &'a str,
    pub line: u64,
    pub now_ms: i64,
}

/// One record to a pair; the chosen answer comes first.
pub(super) fn read_record(record: &Record<'_>, format: Format, place: &Place<'_>) -> Result<Read, String> {
    refuse_other_kinds(record)?;
    // Asked for first: what is used is no question.
    let given = record.given()?;
    let (chosen, rejected) = (columns::answer(record, "chosen")?, columns::answer(record, "rejected")?);
    let explicit = record.has("prompt");
    let (prompt, chosen, rejected, recognised) = match (chosen, rejected) {
        (Content::Text(chosen), Content::Text(rejected)) if explicit => {
            (columns::prompt(record)?, said(chosen), said(rejected), Format::Trl)
        }
        (Content::Text(chosen), Content::Text(rejected)) => {
            let dialogue = hh::is_dialogue(&chosen) && format != Format::Trl;
            let (prompt, chosen, rejected) = if dialogue || format == Format::Hh {
                hh::split(&chosen, &rejected)?
            } else {
                columns::refuse_to_guess(record)?;
                split_texts(&chosen, &rejected)?
            };
            let kind = if dialogue { Format::Hh } else { Format::Trl };
            (Prompt::Text(prompt), said(chosen), said(rejected), kind)
        }
        (Content::Turns(chosen), Content::Turns(rejected)) => {
            let (turns, chosen, rejected) = split_turns(record, chosen, rejected)?;
            (Prompt::chat(turns), chosen, rejected, Format::Trl)
        }
        _ => return Err("one answer is a text and the other a list of messages".to_owned()),
    };
    let prompt = with_given(with_system(prompt, record.text("system")?), given);

    let mut notes = notes(record, &prompt, &chosen, &rejected);
    let choice = if equal_scores(record) {
        notes.push("score_chosen and score_rejected are equal: taken as a tie".to_owned());
        Choice::Tie
    } else {
        Choice::Better { chosen: 0, rejected: 1, strength: record.strength()? }
    };
    let imported = |turn: Turn| Answer { text: turn.content, origin: Origin::Imported, extras: turn.extras };
    let pair = Pair {
        id: PairId(0),
        prompt,
        answers: vec![imported(chosen), imported(rejected)],
        verdict: Some(Verdict {
            choice,
            who: "import".to_owned(),
            at_ms: place.now_ms,
            took_ms: None,
            shown_left: None,
        }),
        tags: record.tags()?,
        split: record.split()?,
        note: record.text("note")?.unwrap_or_default(),
        reward: record.reward()?,
        behaviour: record.behaviour()?,
        source: Some(Source { file: place.file.to_owned(), line: place.line, id: record.id()? }),
    };
    let doubled = record.doubled();
    notes.extend(doubled.iter().map(|name| format!("{name:?} stands there more than once; the last one counts")));
    Ok(Read { pair, format: recognised, notes })
}

/// A `system` column opens the conversation; a text prompt is then what the user says.
pub(super) fn with_system(prompt: Prompt, system: Option<String>) -> Prompt {
    let Some(content) = system.filter(|text| !text.is_empty()) else {
        return prompt;
    };
    let mut chat = match prompt {
        Prompt::Text(text) => vec![Turn::new(Role::User, text)].into(),
        Prompt::Chat(chat) => chat,
    };
    if chat.first().is_none_or(|turn| turn.role != Role::System) {
        chat.insert(0, Turn::new(Role::System, content));
    }
    Prompt::Chat(chat)
}

/// Tools and variables go to the template of a conversation; a text has none.
pub(super) fn with_given(mut prompt: Prompt, given: Given) -> Prompt {
    if let Prompt::Chat(chat) = &mut prompt
        && !given.is_empty()
    {
        chat.given = Some(Box::new(given));
    }
    prompt
}

fn said(text: String) -> Turn {
    Turn::new(Role::Assistant, text)
}

/// The one assistant message that an answer must be.
pub(super) fn only_answer(field: &str, turns: &[Turn]) -> Result<Turn, String> {
    match turns {
        [turn] if turn.role == Role::Assistant => Ok(turn.clone()),
        [turn] => Err(format!("{field:?} ends with a message of the {}, not of the assistant", turn.role.name())),
        [] => Err(format!("{field:?} has no message beyond the prompt")),
        more => Err(format!(
            "{field:?} has {} messages beyond the prompt; an answer is one message of the assistant",
            more.len()
        )),
    }
}

/// Columns that hold no text, and what is in them.
const MEDIA: [(&str, &str); 6] = [
    ("images", "images"),
    ("image", "images"),
    ("videos", "videos"),
    ("video", "videos"),
    ("audios", "audio"),
    ("audio", "audio"),
];

fn refuse_other_kinds(record: &Record<'_>) -> Result<(), String> {
    if !record.has("chosen") && record.has("completion") && record.raw("label")?.is_some() {
        return Err("an unpaired record (completion and label); a pair needs chosen and rejected".to_owned());
    }
    for (name, word) in MEDIA {
        match record.raw(name)? {
            Some(Json::Array(list)) if list.is_empty() => {}
            Some(_) => return Err(format!("the record has {word}; only text can be trained on")),
            None => {}
        }
    }
    Ok(())
}

fn equal_scores(record: &Record<'_>) -> bool {
    matches!(
        (record.score("score_chosen"), record.score("score_rejected")),
        (Some(chosen), Some(rejected)) if chosen == rejected
    )
}

fn notes(record: &Record<'_>, prompt: &Prompt, chosen: &Turn, rejected: &Turn) -> Vec<String> {
    let mut notes = Vec::new();
    let no_prompt = match prompt {
        Prompt::Text(text) => text.trim().is_empty(),
        Prompt::Chat(turns) => turns.is_empty(),
    };
    if no_prompt {
        notes.push("the prompt is empty".to_owned());
    }
    for (side, turn) in [("chosen", chosen), ("rejected", rejected)] {
        if turn.is_empty() {
            notes.push(format!("the {side} answer is empty: the pair will not be trained on"));
        }
    }
    if chosen == rejected {
        notes.push("both answers are the same: the pair will not be trained on".to_owned());
    }
    match prompt {
        Prompt::Text(_) => {
            let given = ["tools", "chat_template_kwargs"]
                .into_iter()
                .filter(|name| matches!(record.raw(name), Ok(Some(value)) if value != Json::Array(Vec::new())));
            notes.extend(
                given.map(|name| format!("{name:?} is not used: the prompt is a text, which no chat template writes")),
            );
        }
        Prompt::Chat(chat) => {
            // What every template knows is not worth a note.
            let rare = |turn: &&Turn| matches!(turn.role, Role::Other(_)) && turn.role.name() != "developer";
            notes.extend(
                chat.iter()
                    .find(rare)
                    .map(|turn| format!("the role {:?} is left to the chat template", turn.role.name())),
            );
        }
    }
    notes
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
fn split_turns(record: &Record<'_>, chosen: Vec<Turn>, rejected: Vec<Turn>) -> Result<(Vec<Turn>, Turn, Turn), String> {
    let shared = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b).count();
    // Identical conversations share their answer too.
    let shared = shared.min(chosen.len().saturating_sub(1)).min(rejected.len().saturating_sub(1));
    let answers = |from: usize| {
        Ok::<_, String>((only_answer("chosen", &chosen[from..])?, only_answer("rejected", &rejected[from..])?))
    };
    if !record.has("prompt") {
        // What they share may be the system's turn only.
        if !chosen[..shared].iter().any(|turn| turn.role == Role::User) {
            columns::refuse_to_guess(record)?;
        }
        if shared == 0 {
            return Err("there is no prompt, and chosen and rejected share no first turn".to_owned());
        }
        let (one, other) = answers(shared)?;
        return Ok((chosen[..shared].to_vec(), one, other));
    }
    match columns::prompt(record)? {
        Prompt::Chat(chat) => {
            let turns = chat.turns;
            let repeated = !turns.is_empty() && chosen.starts_with(&turns) && rejected.starts_with(&turns);
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
