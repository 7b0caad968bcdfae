//! Plain values of a preference project. No I/O, no threads; everything here is `Clone`, `PartialEq` and serde.

mod pair;

pub use pair::{
    Answer, Choice, Origin, Pair, PairId, Prompt, ReferenceAnswer, Role, Source, Split, Strength,
    Turn, Verdict,
};
