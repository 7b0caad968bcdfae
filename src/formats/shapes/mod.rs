//! What a record says: a shape is a file here that recognises one and reads it. What it lies in is told by `containers`.

mod alpaca;
mod argilla;
mod axolotl;
pub(super) mod chains;
mod compared;
mod hh;
mod label_studio;
mod nectar;
mod nemo;
mod nudge;
mod openai;
mod orca;
mod prodigy;
mod prompts;
mod sharegpt;
mod torchtune;
pub(super) mod trl;
pub(super) mod unpaired;

use serde_json::{Map, Value as Json};

use super::{
    draft::{Read, Taking},
    fields::Record,
    options::Format,
};
use ::data::{Answer, Chat, Pair, Prompt, Role, Turn};

/// In the order in which they are looked for: the more particular first.
pub const SHAPES: &[Shape] = &[
    nudge::SHAPE,
    label_studio::SHAPE,
    argilla::SHAPE,
    prodigy::SHAPE,
    sharegpt::SHAPE,
    alpaca::SHAPE,
    argilla::LEGACY,
    orca::SHAPE,
    nectar::SHAPE,
    torchtune::SHAPE,
    openai::SHAPE,
    axolotl::SHAPE,
    axolotl::SWIFT,
    chains::SHAPE,
    nemo::SHAPE,
    unpaired::SHAPE,
    trl::ULTRAFEEDBACK,
    hh::SHAPE,
    trl::SHAPE,
    compared::SHAPE,
    prompts::SHAPE,
];

/// One shape of records.
pub struct Shape {
    /// The word of the command line.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// What it is recognised by, in words.
    pub signs: &'static str,
    /// Whether a record is one.
    pub is: fn(&Record<'_>) -> bool,
    /// The pairs of a record, none where it waits for another; or why there are none.
    pub read: fn(&Record<'_>, &Taking<'_>) -> Result<Vec<Read>, String>,
    /// Absent for what is only read.
    pub write: Option<Writing>,
}

/// How pairs are written in a shape, so that they come back the same.
pub struct Writing {
    /// Whether a pair has a place in it.
    pub fits: fn(&Pair) -> bool,
    /// The records of a pair that has, without our own columns.
    pub records: fn(&Pair) -> Vec<Fields>,
    /// Our own columns may come along.
    pub columns: bool,
    /// Texts and conversations may stand in one file.
    pub together: bool,
    /// LLaMA-Factory's `dataset_info.json` describes it.
    pub described: bool,
}

impl Writing {
    const fn new(fits: fn(&Pair) -> bool, records: fn(&Pair) -> Vec<Fields>) -> Self {
        Self { fits, records, columns: true, together: false, described: false }
    }
}

/// A record as it is written.
pub type Fields = Map<String, Json>;

fn fields<const N: usize>(fields: [(&str, Json); N]) -> Fields {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The conversation of a pair that is decided.
fn decided_chat(pair: &Pair) -> Option<&Chat> {
    match &pair.prompt {
        Prompt::Chat(chat) if pair.is_decided() => Some(chat),
        _ => None,
    }
}

/// A record of a pair that is decided, of its better and its worse answer.
fn of_sides(pair: &Pair, record: impl FnOnce(&Answer, &Answer) -> Fields) -> Vec<Fields> {
    pair.sides().map(|(chosen, rejected)| record(chosen, rejected)).into_iter().collect()
}

/// Nothing but texts is said, by those who speak in every shape, and the template is given nothing else.
fn is_plain(pair: &Pair) -> bool {
    let answers = pair.sides().is_some_and(|(a, b)| a.extras.is_empty() && b.extras.is_empty());
    let usual =
        |turn: &Turn| turn.extras.is_empty() && matches!(turn.role, Role::System | Role::User | Role::Assistant);
    answers && decided_chat(pair).is_some_and(|chat| chat.given.is_none() && chat.iter().all(usual))
}

fn message(answer: &Answer) -> Json {
    answer.turn().message().into()
}

fn messages(chat: &[Turn]) -> Vec<Json> {
    chat.iter().map(|turn| turn.message().into()).collect()
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The shape of a record, in a file whose records had another so far (or none). What says where its prompt and answers are is
/// read as TRL's; what is no shape at all too, whose reader says what it lacks.
pub fn recognise(record: &Record<'_>, so_far: Format) -> Format {
    if record.maps(&["prompt", "chosen", "rejected"]) {
        return Format::of(if record.maps(&["completion"]) { &unpaired::SHAPE } else { &trl::SHAPE });
    }
    let found = Format::of(SHAPES.iter().find(|shape| (shape.is)(record)).unwrap_or(&trl::SHAPE));
    // A prompt alone, among pairs, lacks its answers.
    if found.name() == prompts::SHAPE.name && so_far != Format::AUTO { so_far } else { found }
}
