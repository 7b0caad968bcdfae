//! Plain values of a preference project. No I/O, no threads; everything here is `Clone`, `PartialEq` and serde.

pub mod across;
pub mod alarms;
mod amounts;
mod change;
pub mod config;
mod cycles;
pub mod download;
pub mod exact;
mod expand;
mod extent;
mod fingerprint;
pub mod frontier;
pub mod habits;
pub mod health;
mod inspection;
pub mod integers;
mod message;
pub mod metrics;
mod mix;
mod model_card;
mod pair;
pub mod pilaf;
mod split;
pub mod suspects;
mod topics;

pub use across::Across;
pub use amounts::{
    MEGABYTE, between, counted, digits, duration, fixed, grouped, megabytes, number, ordinal, percent, size,
};
pub use change::{Change, Edit};
pub use cycles::Cycle;
pub use expand::expand;
pub use extent::{Extent, Scale, clip};
pub use inspection::{Flaw, FlawNote, Inspection, PairFit, PairInspection, TextPart, TokenView};
pub use message::{Chat, Extras, Given, Role, RoleName, Turn, WrongMessage, kind};
pub use mix::mix;
pub use model_card::{Base, Fit, Machine, ModelCard, ModelKind, Needs};
pub use pair::{
    Answer, Choice, Origin, Pair, PairId, PairSide, Prompt, ReferenceAnswer, Source, Split, Strength, Verdict,
};
pub use split::{HeldOutPrompts, HoldOut, PromptKey, SplitRule};
pub use topics::{Topic, TopicCoverage};
