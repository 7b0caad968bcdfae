//! TRL preference records as they are written: one JSON object a line with an explicit prompt, conversational for chat
//! prompts, standard for text prompts.
//!
//! `datasets` takes the columns of a file, and what they hold, from its first records. So texts and conversations go into a
//! file each, and a column of ours is in every line of a file or in none. Pairs are looked at once to know which, and written
//! in a second pass: none is held.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::FormatError;
use ::{
    data::{Answer, Choice, Given, Pair, Prompt, Split, Strength, Turn},
    files::{Output, Place, WriteError},
};

/// What a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Chat,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Text, Self::Chat];

    fn of(pair: &Pair) -> Self {
        match pair.prompt {
            Prompt::Text(_) => Self::Text,
            Prompt::Chat(_) => Self::Chat,
        }
    }

    /// The part of a file's name, where the other kind goes into another file.
    fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Chat => "chat",
        }
    }

    /// "12 pairs with a text prompt", "1 conversation".
    fn counted(self, count: usize) -> String {
        match (self, count) {
            (Self::Text, 1) => "1 pair with a text prompt".to_owned(),
            (Self::Text, _) => format!("{count} pairs with text prompts"),
            (Self::Chat, 1) => "1 conversation".to_owned(),
            (Self::Chat, _) => format!("{count} conversations"),
        }
    }
}

/// What was written, where, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// With the number of pairs of each kind, text and chat. More than one file where there are both kinds.
    pub files: Vec<(PathBuf, [usize; 2])>,
    /// Without a chosen and a rejected answer.
    pub undecided: usize,
}

impl Written {
    pub fn pairs(&self) -> usize {
        self.files.iter().flat_map(|(_, counts)| counts).sum()
    }

    /// What happened, as a sentence without its full stop.
    pub fn sentence(&self) -> String {
        let counted = |counts: &[usize; 2]| match counts {
            [0, count] | [count, 0] if self.files.len() < 2 => {
                format!("{count} pair{}", if *count == 1 { "" } else { "s" })
            }
            counts => {
                let kinds = Kind::ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0);
                kinds.map(|(kind, count)| kind.counted(*count)).collect::<Vec<_>>().join(" and ")
            }
        };
        let name = |path: &Path| {
            if path == Path::new("-") { "standard output".to_owned() } else { path.display().to_string() }
        };
        let written = match self.files.as_slice() {
            [] => "Nothing was written, because no pair has a better and a worse answer".to_owned(),
            files => {
                let parts = files.iter().map(|(path, counts)| format!("{} to {}", counted(counts), name(path)));
                format!("Wrote {}", parts.collect::<Vec<_>>().join(" and "))
            }
        };
        let why = match self.files.as_slice() {
            [_, _] => ", because most tools load only one kind from one file",
            [(_, [texts, chats])] if *texts > 0 && *chats > 0 => {
                ", mixed: most tools load only one kind from one file; give a file's name to get two"
            }
            _ => "",
        };
        let undecided = match self.undecided {
            0 => String::new(),
            _ if self.files.is_empty() => String::new(),
            count => format!("; left out {count} without a better and a worse answer"),
        };
        format!("{written}{why}{undecided}")
    }
}

/// Gives every pair, in order, to what it is called with. It is called twice and should give the same pairs both times.
pub type EachPair<'a, E> = &'a mut dyn FnMut(&mut dyn FnMut(&Pair) -> Result<(), E>) -> Result<(), E>;

/// Writes the decided pairs to `path`; where there are texts and conversations, to two files, `NAME.text.jsonl` and
/// `NAME.chat.jsonl` for `NAME.jsonl`. A pipe or a terminal gets both. Without a decided pair nothing is touched.
///
/// All files are whole when this returns. One that is there already is [`WriteError::Exists`], unless it may be replaced.
pub fn to_path<E: From<FormatError>>(path: &Path, replace: bool, pairs: EachPair<'_, E>) -> Result<Written, E> {
    let failed = |error: WriteError| E::from(FormatError::Output(error));
    let place = Place::of(path).map_err(failed)?;
    let survey = Survey::of(pairs)?;
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| survey.part(*kind).pairs > 0).collect();
    let files: Vec<(PathBuf, Vec<Kind>)> = match kinds.as_slice() {
        [] => Vec::new(),
        [_, _] if place != Place::Stream => kinds.iter().map(|kind| (named(path, *kind), vec![*kind])).collect(),
        _ => vec![(path.to_owned(), kinds)],
    };
    let mut targets = Vec::new();
    for (path, kinds) in files {
        targets.push(Target { out: Output::create(&path, replace).map_err(failed)?, path, kinds, counts: [0; 2] });
    }
    survey.write(pairs, &mut targets)?;
    let mut written = Written { files: Vec::new(), undecided: survey.undecided };
    for Target { out, path, counts, .. } in targets {
        out.finish().map_err(failed)?;
        written.files.push((path, counts));
    }
    Ok(written)
}

/// Writes the decided pairs to `out`, of whatever kind, under the name "-".
pub fn to_stream<E: From<FormatError>>(out: &mut impl Write, pairs: EachPair<'_, E>) -> Result<Written, E> {
    let survey = Survey::of(pairs)?;
    let mut target = [Target { out, path: PathBuf::from("-"), kinds: Kind::ALL.to_vec(), counts: [0; 2] }];
    survey.write(pairs, &mut target)?;
    let [Target { out, path, counts, .. }] = target;
    out.flush().map_err(|source| FormatError::Output(WriteError::Write { path: path.clone(), source }))?;
    let files = if counts == [0; 2] { Vec::new() } else { vec![(path, counts)] };
    Ok(Written { files, undecided: survey.undecided })
}

/// A file, the kinds of pairs that go into it, and how many did.
struct Target<W> {
    out: W,
    path: PathBuf,
    kinds: Vec<Kind>,
    counts: [usize; 2],
}

/// The files that [`to_path`] may write for this path.
pub fn targets(path: &Path) -> [PathBuf; 3] {
    [path.to_owned(), named(path, Kind::Text), named(path, Kind::Chat)]
}

/// `NAME.text.jsonl` for `NAME.jsonl`.
fn named(path: &Path, kind: Kind) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
    path.with_file_name(format!("{stem}.{}{end}", kind.word()))
}

/// What there is to write.
#[derive(Default)]
struct Survey {
    parts: [Part; 2],
    undecided: usize,
}

/// The pairs of one kind.
#[derive(Default, Clone, Copy)]
struct Part {
    pairs: usize,
    columns: Columns,
}

/// Columns of ours that a pair, or any pair, has something in.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
struct Columns {
    strength: bool,
    reward: bool,
    behaviour: bool,
    split: bool,
    tags: bool,
    note: bool,
    id: bool,
    tools: bool,
    variables: bool,
}

impl Columns {
    fn of(pair: &Pair, sides: &Sides<'_>) -> Self {
        Self {
            strength: sides.strength != Strength::default(),
            reward: pair.reward != 1.0,
            behaviour: pair.behaviour != 1.0,
            split: pair.split != Split::Auto,
            tags: !pair.tags.is_empty(),
            note: !pair.note.is_empty(),
            id: record_id(pair).is_some(),
            tools: given(pair).is_some_and(|given| given.tools.is_some()),
            variables: given(pair).is_some_and(|given| !given.variables.is_empty()),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            strength: self.strength || other.strength,
            reward: self.reward || other.reward,
            behaviour: self.behaviour || other.behaviour,
            split: self.split || other.split,
            tags: self.tags || other.tags,
            note: self.note || other.note,
            id: self.id || other.id,
            tools: self.tools || other.tools,
            variables: self.variables || other.variables,
        }
    }
}

impl Survey {
    fn of<E>(pairs: EachPair<'_, E>) -> Result<Self, E> {
        let mut survey = Self::default();
        pairs(&mut |pair| {
            match decided(pair) {
                Some(sides) => {
                    let part = &mut survey.parts[Kind::of(pair) as usize];
                    part.pairs += 1;
                    part.columns = part.columns.or(Columns::of(pair, &sides));
                }
                None => survey.undecided += 1,
            }
            Ok(())
        })?;
        Ok(survey)
    }

    fn part(&self, kind: Kind) -> Part {
        self.parts[kind as usize]
    }

    /// Writes each decided pair to the target of its kind.
    fn write<W: Write, E: From<FormatError>>(
        &self,
        pairs: EachPair<'_, E>,
        targets: &mut [Target<W>],
    ) -> Result<(), E> {
        pairs(&mut |pair| {
            let Some(sides) = decided(pair) else {
                return Ok(());
            };
            let kind = Kind::of(pair);
            let columns = self.part(kind).columns;
            let target = targets.iter_mut().find(|target| target.kinds.contains(&kind));
            // Somebody may label while this goes on.
            let Some(target) = target.filter(|_| columns.or(Columns::of(pair, &sides)) == columns) else {
                return Err(FormatError::Changed.into());
            };
            let written = write_line(&mut target.out, pair, &sides, columns);
            written.map_err(|source| FormatError::Output(WriteError::Write { path: target.path.clone(), source }))?;
            target.counts[kind as usize] += 1;
            Ok(())
        })
    }
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    prompt: Column<'a>,
    chosen: Column<'a>,
    rejected: Column<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_template_kwargs: Option<Map<String, Json>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    strength: Option<Strength>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    behaviour: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    /// Null for a pair that has none.
    #[expect(clippy::option_option, reason = "no such column, or nothing in it")]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Option<&'a str>>,
}

/// A list, or null where other records have one.
#[derive(Serialize)]
struct Tools<'a>(Option<&'a [Json]>);

/// A text, or messages.
#[derive(Serialize)]
#[serde(untagged)]
enum Column<'a> {
    Text(&'a str),
    Turns(&'a [Turn]),
    Turn([Turn; 1]),
}

fn write_line(out: &mut impl Write, pair: &Pair, sides: &Sides<'_>, columns: Columns) -> io::Result<()> {
    let line = Line {
        prompt: match &pair.prompt {
            Prompt::Text(text) => Column::Text(text),
            Prompt::Chat(chat) => Column::Turns(chat),
        },
        chosen: answer(sides.chosen, Kind::of(pair)),
        rejected: answer(sides.rejected, Kind::of(pair)),
        tools: columns.tools.then(|| Tools(given(pair).and_then(|given| given.tools.as_deref()))),
        chat_template_kwargs: columns
            .variables
            .then(|| given(pair).map_or_else(Map::new, |given| given.variables.clone())),
        strength: columns.strength.then_some(sides.strength),
        reward: columns.reward.then_some(pair.reward),
        behaviour: columns.behaviour.then_some(pair.behaviour),
        split: columns.split.then_some(pair.split),
        tags: columns.tags.then_some(&pair.tags),
        note: columns.note.then_some(&pair.note),
        id: columns.id.then(|| record_id(pair)),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// Both sides of a decided pair.
struct Sides<'a> {
    chosen: &'a Answer,
    rejected: &'a Answer,
    strength: Strength,
}

fn decided(pair: &Pair) -> Option<Sides<'_>> {
    let Choice::Better { chosen, rejected, strength } = pair.verdict.as_ref()?.choice else {
        return None;
    };
    Some(Sides { chosen: pair.answers.get(chosen)?, rejected: pair.answers.get(rejected)?, strength })
}

fn record_id(pair: &Pair) -> Option<&str> {
    pair.source.as_ref()?.id.as_deref()
}

/// A completion column: the text, or one message of the assistant.
fn answer(answer: &Answer, kind: Kind) -> Column<'_> {
    match kind {
        Kind::Chat => Column::Turn([answer.turn()]),
        Kind::Text => Column::Text(&answer.text),
    }
}

fn given(pair: &Pair) -> Option<&Given> {
    match &pair.prompt {
        Prompt::Text(_) => None,
        Prompt::Chat(chat) => chat.given.as_deref(),
    }
}
