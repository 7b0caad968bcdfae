//! What a record says: a shape is a file here that recognises one and reads it. What it lies in is told by
//! `containers`.

mod alpaca;
mod argilla;
mod axolotl;
mod chains;
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
mod shape;
mod sharegpt;
mod torchtune;
pub(super) mod trl;
mod unpaired;

use std::str::FromStr;

pub use self::shape::{Shape, Writing};
use super::{fields::Record, options::Format};

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

impl Format {
    /// All words of the command line.
    pub fn names() -> impl Iterator<Item = &'static str> {
        [Self::AUTO].into_iter().chain(SHAPES.iter().map(|shape| shape.format)).map(|format| format.name)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        if word == Self::AUTO.name {
            return Ok(Self::AUTO);
        }
        let found = SHAPES.iter().map(|shape| shape.format).find(|format| format.name == word);
        found.ok_or_else(|| {
            format!("unknown format {word:?}; there are {}", Self::names().collect::<Vec<_>>().join(", "))
        })
    }
}

/// The shape that a format names; absent where it is to be recognised.
pub fn named(format: Format) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.format == format)
}

/// The shape of a record, in a file whose records had another so far (or none). What says where its prompt and answers
/// are is read as TRL's; what is no shape at all too, whose reader says what it lacks.
pub fn recognise(record: &Record<'_>, so_far: Format) -> &'static Shape {
    if record.maps(&["prompt", "chosen", "rejected"]) {
        return if record.maps(&["completion"]) { &unpaired::SHAPE } else { &trl::SHAPE };
    }
    let found = SHAPES.iter().find(|shape| (shape.is)(record)).unwrap_or(&trl::SHAPE);
    // A prompt alone, among pairs, lacks its answers.
    let alone = found.format == prompts::SHAPE.format;
    named(so_far).filter(|_| alone).unwrap_or(found)
}
