//! Preference files in and out, one format a file.
//!
//! [`read`] takes a file apart record by record: every record that cannot be used is listed with its line and the
//! reason, the rest comes in.

mod report;
pub mod trl;

use std::{ops::ControlFlow, path::Path};

pub use report::{Fault, FieldMap, Format, FormatError, ImportReport, Progress};

/// Reads preference pairs from a file. `progress` is called every few hundred records and may stop the import;
/// what came in until then is in the report.
pub fn read(
    path: &Path,
    format: Format,
    fields: &FieldMap,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ImportReport, FormatError> {
    let _ = (path, format, fields, progress);
    unimplemented!()
}

/// Reads reference answers, `{"prompt": .., "completion": ..}` a line.
pub fn read_references(
    path: &Path,
) -> Result<(Vec<crate::data::ReferenceAnswer>, Vec<Fault>), FormatError> {
    let _ = path;
    unimplemented!()
}

/// Reads retention text: JSON lines with `text`, or plain text whose passages are separated by blank lines.
pub fn read_texts(path: &Path) -> Result<(Vec<String>, Vec<Fault>), FormatError> {
    let _ = path;
    unimplemented!()
}
