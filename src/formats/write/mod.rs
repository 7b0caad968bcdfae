//! Preference files as they are written: one of the shapes that are read, in the container that the file's name asks
//! for.
//!
//! `datasets` takes the columns of a file, and what they hold, from its first records. So texts and conversations go
//! into a file each, and a column of ours is in every record of a file or in none. Pairs are looked at once to know
//! which, once more where columns have types, and then written: none is held.

mod columns;
mod files;
mod kinds;
mod parquet;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value as Json};

use self::{columns::Columns, files::FileKind, kinds::Kinds};
use super::{
    Format, FormatError, dataset_info,
    shapes::{self, SHAPES, Writing, trl},
};
use ::{
    data::{HoldOut, Pair, Prompt, PromptKey, SplitRule, integers},
    files::{Output, OutputPlace, WriteError},
};

/// What is written, and where.
#[derive(Debug, Clone)]
pub struct WritePlan {
    pub path: PathBuf,
    /// One of [`formats`]; what is recognised when reading is TRL here.
    pub format: Format,
    /// Files that are there already may be replaced.
    pub replace: bool,
    /// The two sides of the hold-out into a file each.
    pub splits: Option<SplitRule>,
}

impl WritePlan {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), format: Format::AUTO, replace: false, splits: None }
    }

    /// How often all pairs are asked for; the last time they are written.
    pub fn passes(&self) -> usize {
        let has_types = FileKind::of(&self.path).is_ok_and(|kind| kind == FileKind::Parquet);
        2 + usize::from(self.splits.is_some()) + usize::from(has_types)
    }
}

/// The formats that can be written.
pub fn formats() -> impl Iterator<Item = Format> {
    SHAPES.iter().filter(|shape| shape.write.is_some()).map(|shape| shape.format)
}

/// What a prompt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PromptKind {
    Text,
    Chat,
}

impl PromptKind {
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

/// A side of the hold-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Train,
    Eval,
}

impl Side {
    const ALL: [Self; 2] = [Self::Train, Self::Eval];

    fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Eval => "eval",
        }
    }
}

/// What was written, where, and what was not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// With the number of pairs of each kind, text and chat. More than one file where there are both kinds, or both
    /// sides.
    pub files: Vec<(PathBuf, [usize; 2])>,
    /// Without a chosen and a rejected answer.
    pub undecided: usize,
    /// That the format has no place for, e.g. a text prompt where all are conversations.
    pub unfit: usize,
    /// LLaMA-Factory's description beside them.
    pub described: Option<PathBuf>,
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
                let kinds = PromptKind::ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0);
                kinds.map(|(kind, count)| kind.counted(*count)).collect::<Vec<_>>().join(" and ")
            }
        };
        let name = |path: &Path| {
            if path == Path::new("-") { "standard output".to_owned() } else { path.display().to_string() }
        };
        let nothing = || {
            let why = match (self.unfit, self.undecided) {
                (0, 0) => "there is no such pair",
                (0, _) => "no pair has a better and a worse answer",
                _ => "no pair has a place in this format",
            };
            format!("Nothing was written, because {why}")
        };
        let written = match self.files.as_slice() {
            [] => return nothing(),
            files => {
                let parts = files.iter().map(|(path, counts)| format!("{} to {}", counted(counts), name(path)));
                format!("Wrote {}", parts.collect::<Vec<_>>().join(" and "))
            }
        };
        let kinds = |at: usize| self.files.iter().any(|(_, counts)| counts[at] > 0);
        let why = match self.files.as_slice() {
            [(_, [texts, chats])] if *texts > 0 && *chats > 0 && self.files[0].0 == Path::new("-") => {
                ", mixed: most tools load only one kind from one file; give a file's name to get two"
            }
            [_, _, ..] if kinds(0) && kinds(1) => ", because most tools load only one kind from one file",
            _ => "",
        };
        let described =
            self.described.as_ref().map_or_else(String::new, |path| format!("; described in {}", name(path)));
        let left_out = [
            (self.undecided, "without a better and a worse answer"),
            (self.unfit, "that this format has no place for"),
        ];
        let left_out = left_out.into_iter().filter(|(count, _)| *count > 0);
        let left_out: Vec<String> = left_out.map(|(count, which)| format!("; left out {count} {which}")).collect();
        let left_out = left_out.concat();
        format!("{written}{why}{described}{left_out}")
    }
}

/// Gives every pair, in order, to what it is called with. It is called [`WritePlan::passes`] times and should give the
/// same pairs each time.
pub type EachPair<'a, E> = &'a mut dyn FnMut(&mut dyn FnMut(&Pair) -> Result<(), E>) -> Result<(), E>;

/// Writes the pairs that the format has a place for; where there are texts and conversations, to two files,
/// `NAME.text.jsonl` and `NAME.chat.jsonl` for `NAME.jsonl`, and with splits `NAME.train.jsonl` and `NAME.eval.jsonl`.
/// A pipe or a terminal gets all. Without such a pair nothing is touched.
///
/// All files are whole when this returns. One that is there already is [`WriteError::Exists`], unless it may be
/// replaced.
pub fn to_path<E: From<FormatError>>(plan: &WritePlan, pairs: EachPair<'_, E>) -> Result<Written, E> {
    let refused = |error: WriteError| E::from(FormatError::Output(error));
    let place = OutputPlace::of(&plan.path).map_err(refused)?;
    let file_kind = FileKind::of(&plan.path)?;
    let survey = Survey::of(plan, pairs)?;
    let apart = place != OutputPlace::Stream && !survey.writing.together;
    let mut targets: Vec<Target> = Vec::new();
    let mut outs: Vec<(Output, Kinds)> = Vec::new();
    for (part, _) in &survey.parts {
        let others = |this: fn(&PartKey) -> u8| survey.parts.iter().any(|(other, _)| this(other) != this(part));
        let mut path = plan.path.clone();
        if apart && others(|key| key.kind as u8) {
            path = named(&path, part.kind.word());
        }
        if let Some(side) = part.side.filter(|_| place != OutputPlace::Stream) {
            path = named(&path, side.word());
        }
        if let Some(target) = targets.iter_mut().find(|target| target.path == path) {
            target.parts.push(*part);
            continue;
        }
        let out = Output::create(&path, plan.replace).map_err(refused)?;
        targets.push(Target { path, parts: vec![*part], counts: [0; 2] });
        outs.push((out, Kinds::default()));
    }
    if file_kind == FileKind::Parquet {
        survey.each(pairs, &mut |part, record| {
            if let (Some(at), Some(record)) = (Target::of(&targets, part), record) {
                outs[at].1.add(&record);
            }
            Ok(())
        })?;
    }
    let mut files = Vec::new();
    for (target, (out, kinds)) in targets.iter().zip(outs) {
        files.push(files::open(file_kind, out, kinds).map_err(failed(&target.path))?);
    }
    survey.each(pairs, &mut |part, record| {
        let Some(at) = Target::of(&targets, part) else {
            return Ok(());
        };
        let target = &mut targets[at];
        if let Some(record) = record {
            return files[at].write(&record).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => FormatError::Changed,
                _ => failed(&target.path)(error),
            });
        }
        target.counts[part.kind as usize] += 1;
        Ok(())
    })?;
    let mut written = Written { undecided: survey.undecided, unfit: survey.unfit, ..Written::default() };
    for (Target { path, counts, .. }, rows) in targets.into_iter().zip(files) {
        rows.finish().map_err(failed(&path))?.finish().map_err(refused)?;
        written.files.push((path, counts));
    }
    if place != OutputPlace::Stream && survey.writing.described {
        written.described = dataset_info::describe(survey.format, &written.files)?;
    }
    Ok(written)
}

/// Writes the pairs that the format has a place for to `out` as JSON lines, of whatever kind, under the name "-".
pub fn to_stream<E: From<FormatError>>(
    format: Format,
    out: &mut impl Write,
    pairs: EachPair<'_, E>,
) -> Result<Written, E> {
    let plan = WritePlan { format, ..WritePlan::new(Path::new("-")) };
    let survey = Survey::of(&plan, pairs)?;
    let mut counts = [0; 2];
    survey.each(pairs, &mut |part, record| {
        let Some(record) = record else {
            counts[part.kind as usize] += 1;
            return Ok(());
        };
        integers::write(&record)
            .map_err(io::Error::from)
            .and_then(|text| writeln!(out, "{text}"))
            .map_err(failed(&plan.path))
    })?;
    out.flush().map_err(failed(&plan.path))?;
    let files = if counts == [0; 2] { Vec::new() } else { vec![(plan.path, counts)] };
    Ok(Written { files, undecided: survey.undecided, unfit: survey.unfit, described: None })
}

/// A file, the pairs that go into it, and how many did.
struct Target {
    path: PathBuf,
    parts: Vec<PartKey>,
    counts: [usize; 2],
}

impl Target {
    fn of(all: &[Self], part: PartKey) -> Option<usize> {
        all.iter().position(|target| target.parts.contains(&part))
    }
}

/// The files that [`to_path`] may write for this path.
pub fn targets(path: &Path) -> Vec<PathBuf> {
    let kinds = [path.to_owned()].into_iter().chain(PromptKind::ALL.map(|kind| named(path, kind.word())));
    kinds.flat_map(|path| [path.clone()].into_iter().chain(Side::ALL.map(|side| named(&path, side.word())))).collect()
}

/// `NAME.text.jsonl` for `NAME.jsonl`, `NAME.text.jsonl.gz` for `NAME.jsonl.gz`.
fn named(path: &Path, word: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let endings = name.rfind('.').filter(|at| *at > 0);
    let at = match endings {
        Some(at) if &name[at..] == ".gz" => name[..at].rfind('.').filter(|at| *at > 0).unwrap_or(at),
        Some(at) => at,
        None => name.len(),
    };
    path.with_file_name(format!("{}.{word}{}", &name[..at], &name[at..]))
}

/// Pairs that are written the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PartKey {
    kind: PromptKind,
    side: Option<Side>,
}

/// What there is to write.
struct Survey {
    format: Format,
    writing: &'static Writing,
    /// Where both sides go to a file each.
    hold_out: Option<HoldOut>,
    /// With the columns of ours that each has.
    parts: Vec<(PartKey, Columns)>,
    undecided: usize,
    unfit: usize,
}

impl Survey {
    fn of<E: From<FormatError>>(plan: &WritePlan, pairs: EachPair<'_, E>) -> Result<Self, E> {
        let shape = shapes::named(plan.format).unwrap_or(&trl::SHAPE);
        let writing = shape.write.as_ref().ok_or(FormatError::ReadOnly { format: shape.format.title })?;
        if writing.together && !FileKind::of(&plan.path)?.is_json() {
            return Err(FormatError::JsonOnly { format: shape.format.title }.into());
        }
        let mut survey = Self {
            format: shape.format,
            writing,
            hold_out: plan.splits.map(HoldOut::new),
            parts: Vec::new(),
            undecided: 0,
            unfit: 0,
        };
        if let Some(hold_out) = &mut survey.hold_out {
            pairs(&mut |pair| {
                hold_out.tell(PromptKey::of(&pair.prompt), pair.split);
                Ok(())
            })?;
        }
        pairs(&mut |pair| {
            if !(writing.fits)(pair) {
                let count = if pair.is_decided() { &mut survey.unfit } else { &mut survey.undecided };
                *count += 1;
                return Ok(());
            }
            let key = survey.key(pair);
            let at = survey.parts.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                survey.parts.push((key, Columns::default()));
                survey.parts.len() - 1
            });
            if writing.columns {
                let columns = &mut survey.parts[at].1;
                *columns = columns.or(Columns::of(pair));
            }
            Ok(())
        })?;
        survey.parts.sort_by_key(|(key, _)| (key.kind as u8, key.side.map(|side| side as u8)));
        Ok(survey)
    }

    fn key(&self, pair: &Pair) -> PartKey {
        let side = self
            .hold_out
            .as_ref()
            .map(|hold_out| if hold_out.holds_out(PromptKey::of(&pair.prompt)) { Side::Eval } else { Side::Train });
        PartKey { kind: PromptKind::of(pair), side }
    }

    /// Gives the records of each pair that has any, and after them `None`.
    fn each<E: From<FormatError>>(
        &self,
        pairs: EachPair<'_, E>,
        see: &mut dyn FnMut(PartKey, Option<Map<String, Json>>) -> Result<(), FormatError>,
    ) -> Result<(), E> {
        pairs(&mut |pair| {
            if !(self.writing.fits)(pair) {
                return Ok(());
            }
            let key = self.key(pair);
            let known = self.parts.iter().find(|(known, _)| *known == key).map(|(_, columns)| *columns);
            // Somebody may label while this goes on.
            let Some(columns) = known.filter(|known| !self.writing.columns || known.or(Columns::of(pair)) == *known)
            else {
                return Err(FormatError::Changed.into());
            };
            for record in records(self.writing, pair, columns) {
                see(key, Some(record))?;
            }
            Ok(see(key, None)?)
        })
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> FormatError {
    move |source| FormatError::Output(WriteError::Write { path: path.to_owned(), source })
}

/// The records of a pair, with the columns of ours that others of its file have.
fn records(writing: &Writing, pair: &Pair, columns: Columns) -> Vec<Map<String, Json>> {
    let mut all = (writing.records)(pair);
    if writing.columns {
        for record in &mut all {
            columns.add(pair, record);
        }
    }
    all
}
