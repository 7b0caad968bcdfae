//! Argilla's records: fields and questions under the names of each project, flattened or not; and the set of columns
//! that its first versions wrote.
//!
//! Source: <https://github.com/argilla-io/argilla>, `argilla/records/_io/_generic.py`. Only what was submitted counts.

use serde_json::Value as Json;

use super::{alpaca, compared, shape::Shape};
use crate::{
    agreement::Vote,
    draft::{Draft, Read, Taking, asked, said},
    fields::Record,
    options::Format,
};

pub const SHAPE: Shape = Shape {
    format: Format { name: "argilla", title: "Argilla", signs: "a question's responses" },
    is: |record| {
        record.names().any(|name| name.ends_with(RESPONSES))
            || (record.first_byte("fields") == Some(b'{') && record.first_byte("responses") == Some(b'{'))
    },
    read,
    write: None,
};

/// Axolotl's `chatml.argilla`.
pub const LEGACY: Shape = Shape {
    format: Format {
        name: "argilla-legacy",
        title: "Argilla (older)",
        signs: "an instruction, chosen_response and rejected_response",
    },
    is: |record| {
        record.shows("instruction")
            && record.shows("chosen_response")
            && record.shows("rejected_response")
            && !record.shows("prompt")
            && !record.names().any(|name| name == "parent_id")
    },
    read: |record, taking| {
        let prompt = asked(alpaca::question(record)?);
        let chosen = alpaca::answer(record, "chosen_response")?;
        let rejected = alpaca::answer(record, "rejected_response")?;
        Ok(vec![Draft::decided(prompt, chosen, rejected).read(record, taking)?])
    },
    write: None,
};

const RESPONSES: &str = ".responses";

/// What labellers responded to one question, and what was suggested to them.
struct Question {
    /// Each a label, or a list of ranks.
    responses: Vec<Json>,
    users: Vec<String>,
    suggestion: Option<Json>,
}

fn read(record: &Record<'_>, taking: &Taking<'_>) -> Result<Vec<Read>, String> {
    let nested = record.first_byte("fields") == Some(b'{') && record.first_byte("responses") == Some(b'{');
    let inner = if nested { Some(record.inner("fields")?) } else { None };
    let fields = inner.as_ref().unwrap_or(record);
    let question = if nested { nested_question(record)? } else { flat_question(record)? };
    let names = answers(fields, &question)?;
    let mut answers = Vec::new();
    for name in &names {
        answers.push(said(fields.text(name)?.unwrap_or_default()));
    }
    let prompt = compared::prompt(fields)?;
    if let [Json::Array(ranking)] = question.responses.as_slice()
        && names.len() > 2
    {
        let ranks: Option<Vec<f64>> = names.iter().map(|name| rank(ranking, name)).collect();
        let ranks = ranks.ok_or_else(|| "a ranking does not name every answer".to_owned())?;
        let drafts = Draft::ranked(&prompt, answers, &ranks, taking.options.several);
        return drafts.into_iter().map(|draft| draft.read(record, taking)).collect();
    }
    let votes: Option<Vec<Vote>> = question.responses.iter().map(|response| vote(response, &names)).collect();
    let votes = votes.ok_or_else(|| {
        format!("a response names none of the answers {}; name them with --map a=FIELD --map b=FIELD", names.join(", "))
    })?;
    let mut draft = Draft::voted(prompt, answers, &votes, taking);
    if votes.is_empty() {
        let suggested = question.suggestion.map_or_else(String::new, |value| format!(" (suggested: {value})"));
        draft.notes.push(format!("nobody has submitted a response: it comes in without a verdict{suggested}"));
    }
    if let [user] = question.users.as_slice() {
        draft.who = Some(user.clone());
    }
    Ok(vec![draft.read(record, taking)?])
}

/// The columns of the answers: those that the responses name, or two of the usual names.
fn answers(fields: &Record<'_>, question: &Question) -> Result<Vec<String>, String> {
    if fields.maps(&["a"]) && fields.maps(&["b"]) {
        return Ok(vec!["a".to_owned(), "b".to_owned()]);
    }
    if let Some(Json::Array(ranking)) = question.responses.first().or(question.suggestion.as_ref()) {
        let mut named: Vec<String> =
            ranking.iter().filter_map(|one| one["value"].as_str().map(str::to_owned)).collect();
        named.sort();
        if named.len() >= 2 && named.iter().all(|name| fields.shows(name)) {
            return Ok(named);
        }
    }
    compared::answers(fields).map(Vec::from).ok_or_else(|| {
        let has = fields.names().filter(|name| !name.contains('.')).take(12).collect::<Vec<_>>().join(", ");
        format!(
            "which fields are the answers is not known; name them with --map a=FIELD --map b=FIELD; there are {has}"
        )
    })
}

fn vote(response: &Json, names: &[String]) -> Option<Vote> {
    match response {
        Json::String(word) => match names.iter().position(|name| name == word) {
            Some(at) => Some(Vote::For(at)),
            None => compared::vote(word, &[names.first()?.clone(), names.get(1)?.clone()]),
        },
        Json::Array(ranking) => {
            let best = names.iter().filter_map(|name| rank(ranking, name)).min_by(f64::total_cmp)?;
            let first: Vec<usize> = (0..names.len()).filter(|at| rank(ranking, &names[*at]) == Some(best)).collect();
            match first.as_slice() {
                [one] => Some(Vote::For(*one)),
                _ => Some(Vote::Tie),
            }
        }
        _ => None,
    }
}

fn rank(ranking: &[Json], name: &str) -> Option<f64> {
    ranking.iter().find(|one| one["value"] == name)?["rank"].as_f64()
}

/// The question that decides: the one that was named, or the first.
fn flat_question(record: &Record<'_>) -> Result<Question, String> {
    let named = record.theirs("verdict").to_owned();
    let all = || record.names().filter_map(|name| name.strip_suffix(RESPONSES));
    let name = all().find(|name| *name == named).or_else(|| all().next()).unwrap_or_default().to_owned();
    let list = |end: &str| {
        Ok::<_, String>(match record.raw(&format!("{name}{end}"))? {
            Some(Json::Array(list)) => list,
            Some(one @ Json::String(_)) => vec![one],
            _ => Vec::new(),
        })
    };
    let (responses, states, users) = (list(RESPONSES)?, list(".responses.status")?, list(".responses.users")?);
    let submitted = |at: usize| states.get(at).is_none_or(|state| state == "submitted");
    Ok(Question {
        users: users
            .iter()
            .enumerate()
            .filter(|(at, _)| submitted(*at))
            .filter_map(|(_, user)| user.as_str().map(str::to_owned))
            .collect(),
        responses: responses.into_iter().enumerate().filter(|(at, _)| submitted(*at)).map(|(_, one)| one).collect(),
        suggestion: record.raw(&format!("{name}.suggestion"))?,
    })
}

fn nested_question(record: &Record<'_>) -> Result<Question, String> {
    let (responses, suggestions) = (record.raw("responses")?.unwrap_or_default(), record.raw("suggestions")?);
    let named = record.theirs("verdict");
    let questions = responses.as_object();
    let name = questions.and_then(|all| all.keys().find(|name| *name == named).or_else(|| all.keys().next()));
    let name = name.cloned().unwrap_or_default();
    let submitted: Vec<&Json> = responses[&name]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["status"].as_str().is_none_or(|state| state == "submitted"))
        .collect();
    Ok(Question {
        responses: submitted.iter().map(|one| one["value"].clone()).collect(),
        users: submitted.iter().filter_map(|one| one["user_id"].as_str().map(str::to_owned)).collect(),
        suggestion: suggestions.map(|mut all| all[&name]["value"].take()).filter(|value| !value.is_null()),
    })
}
