//! Our own record, which carries everything of a pair but the ids that its project gave it.

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::{
    shape::{Fields, Shape, Writing, fields},
    trl,
};
use crate::{
    columns::{self, shortest},
    draft::{Read, Taking, with_given},
    fields::{Record, turn},
    options::Format,
};
use ::data::{Answer, Choice, Extras, Given, Origin, Pair, PairId, Prompt, Source, Strength, Verdict};

pub const SHAPE: Shape = Shape {
    format: Format { name: "nudge", title: "Nudge", signs: "answers with keys, and a version" },
    is: |record| record.shows("v") && record.first_byte("answers") == Some(b'[') && record.shows("prompt"),
    read: |record, taking| Ok(vec![Read { pair: pair(record, taking)?, notes: Vec::new() }]),
    write: Some(Writing { columns: false, together: true, ..Writing::new(|_| true, write) }),
};

/// The version that is read and written.
const VERSION: u64 = 1;

/// The keys of the first answers; others are numbers.
fn key(at: usize) -> String {
    u8::try_from(at).ok().filter(|at| *at < 26).map_or_else(|| at.to_string(), |at| char::from(b'a' + at).to_string())
}

/// Strengths as numbers.
const STRENGTHS: [Strength; 3] = [Strength::Slightly, Strength::Clearly, Strength::Strongly];

fn pair(record: &Record<'_>, taking: &Taking<'_>) -> Result<Pair, String> {
    if record.raw("v")?.and_then(|version| version.as_u64()).is_none_or(|version| version > VERSION) {
        return Err("it was written by a newer Nudge".to_owned());
    }
    let Some(Json::Array(list)) = record.raw("answers")? else {
        return Err("\"answers\" must be a list".to_owned());
    };
    let answers: Vec<Answer> = list.iter().map(answer).collect::<Result<_, _>>()?;
    let keys: Vec<&str> = list.iter().map(|answer| answer["key"].as_str().unwrap_or_default()).collect();
    if answers.len() < 2 {
        return Err("a pair has two answers at least".to_owned());
    }
    if let Some(key) = keys.iter().enumerate().find(|(at, key)| keys[..*at].contains(key)).map(|(_, key)| key) {
        return Err(format!("two answers have the key {key:?}"));
    }
    let documents = match record.raw("documents")? {
        Some(Json::Array(documents)) => Some(documents),
        _ => None,
    };
    let given = Given { documents, ..record.given()? };
    let verdict = record.raw("verdict")?.map(|verdict| self::verdict(&verdict, &keys, taking)).transpose()?;
    // Its number in the project that wrote it; where the record says where it came from before, that says more.
    let own_id = record.id()?;
    let source = match record.raw("source")? {
        Some(source) => Source {
            file: member(&source, "source", "file", "a text", text)?.unwrap_or_default(),
            line: member(&source, "source", "line", "a line's number", Json::as_u64)?.unwrap_or_default(),
            id: member(&source, "source", "id", "a text", text)?,
        },
        None => Source { file: taking.file.to_owned(), line: taking.place, id: own_id },
    };
    Ok(Pair {
        id: PairId::NEW,
        prompt: with_given(columns::prompt(record)?, given),
        answers,
        verdict: verdict.flatten(),
        tags: record.tags()?,
        split: record.split()?,
        note: record.text("note")?.unwrap_or_default(),
        reward: record.reward()?,
        behaviour: record.behaviour()?,
        source: Some(source),
    })
}

fn answer(answer: &Json) -> Result<Answer, String> {
    let from = |by: &str| match by {
        "human" => Origin::Human,
        by => by.strip_prefix("model:").map_or(Origin::Imported, |model| Origin::Model(model.to_owned())),
    };
    let by = answer["by"].as_str().unwrap_or_default();
    let origin = match (by.strip_prefix("edited:"), answer["was"].as_str()) {
        (Some(by), Some(was)) => Origin::Edited { from: Box::new(from(by)), text: was.to_owned() },
        _ => from(by),
    };
    if let Some(message) = answer.get("message") {
        let turn = turn("answers", message)?;
        return Ok(Answer { text: turn.content, origin, extras: turn.extras });
    }
    let text = answer["text"].as_str().ok_or_else(|| "an answer has no text".to_owned())?;
    Ok(Answer { text: text.to_owned(), origin, extras: Extras::default() })
}

/// A value of an object inside the record, absent where it is not there or null. What is there and not `what` is no
/// reason to go on without it.
fn member<T>(
    object: &Json,
    of: &str,
    name: &str,
    what: &str,
    read: impl Fn(&Json) -> Option<T>,
) -> Result<Option<T>, String> {
    if !object.is_object() {
        return Err(format!("{of:?} must be an object"));
    }
    match object.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => read(value).map(Some).ok_or_else(|| format!("\"{of}.{name}\" is {value}, which is not {what}")),
    }
}

fn text(value: &Json) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn verdict(verdict: &Json, keys: &[&str], taking: &Taking<'_>) -> Result<Option<Verdict>, String> {
    let place = |value: &Json| keys.iter().position(|key| Some(*key) == value.as_str());
    let at = |name: &str| member(verdict, "verdict", name, "the key of an answer", place);
    let choice = match member(verdict, "verdict", "better", "a text", text)?.as_deref() {
        None => return Ok(None),
        Some("tie") => Choice::Tie,
        Some("both_bad") => Choice::BothBad,
        Some("skip") => Choice::Skip,
        Some(_) => {
            let chosen = at("better")?.ok_or_else(|| "there is no better answer".to_owned())?;
            let other = (0..keys.len()).find(|other| *other != chosen);
            let rejected = at("worse")?.or(other).ok_or_else(|| "there is no worse answer".to_owned())?;
            if chosen == rejected {
                return Err("\"verdict\" says that an answer is better than itself".to_owned());
            }
            let strength = |value: &Json| STRENGTHS.get((value.as_u64()? as usize).checked_sub(1)?).copied();
            let strength = member(verdict, "verdict", "strength", "1, 2 or 3", strength)?.unwrap_or_default();
            Choice::Better { chosen, rejected, strength }
        }
    };
    let time = |value: &Json| value.as_str()?.parse::<Timestamp>().ok();
    let short = |value: &Json| u32::try_from(value.as_u64()?).ok();
    Ok(Some(Verdict {
        choice,
        who: member(verdict, "verdict", "who", "a text", text)?.unwrap_or_else(|| "import".to_owned()),
        at_ms: member(verdict, "verdict", "at", "a time", time)?.map_or(taking.now_ms, Timestamp::as_millisecond),
        took_ms: member(verdict, "verdict", "ms", "a number of milliseconds", short)?,
        shown_left: at("shown_left")?,
        order: order(verdict, keys)?,
    }))
}

/// The places of the keys that a verdict puts in order.
fn order(verdict: &Json, keys: &[&str]) -> Result<Vec<usize>, String> {
    let place = |name: &Json| keys.iter().position(|key| Some(*key) == name.as_str());
    let places = |order: &Json| {
        let places: Vec<usize> = order.as_array()?.iter().map(place).collect::<Option<_>>()?;
        let is_each_once = places.iter().enumerate().all(|(at, one)| !places[..at].contains(one));
        is_each_once.then_some(places)
    };
    let order = member(verdict, "verdict", "order", "a list of answers' keys, each once", places)?;
    Ok(order.unwrap_or_default())
}

fn by(origin: &Origin) -> String {
    match origin {
        Origin::Human => "human".to_owned(),
        Origin::Imported => "import".to_owned(),
        Origin::Model(name) => format!("model:{name}"),
        Origin::Edited { from, .. } => format!("edited:{}", by(from)),
    }
}

fn write(pair: &Pair) -> Vec<Fields> {
    let answer = |(at, answer): (usize, &Answer)| {
        let mut written = if answer.extras.is_empty() {
            json!({"key": key(at), "text": answer.text, "by": by(&answer.origin)})
        } else {
            json!({"key": key(at), "message": answer.turn().message(), "by": by(&answer.origin)})
        };
        if let Origin::Edited { text, .. } = &answer.origin {
            written["was"] = text.as_str().into();
        }
        written
    };
    let answers: Vec<Json> = pair.answers.iter().enumerate().map(answer).collect();
    let mut record = fields([
        ("v", VERSION.into()),
        ("id", pair.id.0.to_string().into()),
        ("prompt", trl::prompt(&pair.prompt)),
        ("answers", answers.into()),
        ("verdict", pair.verdict.as_ref().map(write_verdict).into()),
        ("weight", shortest(pair.reward)),
        ("behaviour", shortest(pair.behaviour)),
        ("tags", json!(pair.tags)),
        ("split", json!(pair.split)),
        ("note", pair.note.clone().into()),
        ("source", json!(pair.source)),
    ]);
    if let Prompt::Chat(chat) = &pair.prompt
        && let Some(Json::Object(given)) = chat.given.as_ref().map(|given| json!(given))
    {
        record.extend(given);
    }
    vec![record]
}

fn write_verdict(verdict: &Verdict) -> Json {
    let (better, worse, strength) = match verdict.choice {
        Choice::Better { chosen, rejected, strength } => {
            let number = STRENGTHS.iter().position(|one| *one == strength).map(|at| at + 1);
            (key(chosen), Some(key(rejected)), number)
        }
        Choice::Tie => ("tie".to_owned(), None, None),
        Choice::BothBad => ("both_bad".to_owned(), None, None),
        Choice::Skip => ("skip".to_owned(), None, None),
    };
    let mut written = json!({
        "better": better,
        "worse": worse,
        "strength": strength,
        "shown_left": verdict.shown_left.map(key),
        "ms": verdict.took_ms,
        "who": verdict.who,
        "at": Timestamp::from_millisecond(verdict.at_ms).ok().map(|at| at.to_string()),
    });
    if !verdict.order.is_empty() {
        written["order"] = verdict.order.iter().map(|at| key(*at)).collect();
    }
    written
}
