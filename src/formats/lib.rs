//! Preference files in and out, one format a file.
//!
//! A [`Reader`] gives the pairs of a file one by one, in bounded memory; every record that cannot be used is listed with its
//! line and the reason, the rest comes in. `records` finds the texts of the records (`foreign` says what a file is that has
//! none), `object` takes one apart, `fields` types, `columns` knows names, `trl` and `hh` understand. [`write`] writes.

mod columns;
mod fields;
mod foreign;
mod hh;
mod object;
mod reader;
mod records;
mod report;
mod source;
mod texts;
mod trl;
pub mod write;

pub use reader::{Reader, read};
pub use report::{Fault, FieldMap, Format, FormatError, ImportReport, Progress};
pub use texts::{read_references, read_texts};
