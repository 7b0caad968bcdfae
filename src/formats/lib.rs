//! Preference files in and out, one format a file.
//!
//! [`read`] takes a file apart record by record: every record that cannot be used is listed with its line and the
//! reason, the rest comes in. `records` splits, `fields` types, `trl` and `hh` understand.

mod fields;
mod hh;
mod records;
mod report;
mod texts;
pub mod trl;

use std::{ops::ControlFlow, path::Path};

use records::Records;
pub use report::{Fault, FieldMap, Format, FormatError, ImportReport, Progress};
pub use texts::{read_references, read_texts};

/// Records between two calls of the progress callback.
const REPORT_EVERY: u64 = 256;

/// Reads preference pairs from a file. `progress` is called every few hundred records and at the end, and may stop the
/// import; what came in until then is in the report.
pub fn read(
    path: &Path,
    format: Format,
    fields: &FieldMap,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ImportReport, FormatError> {
    let (mut records, total_bytes) = Records::open(path)?;
    let file = path.display().to_string();
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let mut report = ImportReport::default();
    let mut seen = 0_u64;
    while let Some((line, record)) =
        records.next().map_err(|source| FormatError::Read { path: path.to_owned(), source })?
    {
        let place = trl::Place { file: &file, line, now_ms };
        let read = record.and_then(|value| {
            trl::read_record(&value, fields, format, &place).map_err(|reason| Fault { line, reason })
        });
        match read {
            Ok(read) => {
                if report.format == Format::Auto {
                    report.format = read.format;
                }
                let notes = read.notes.into_iter();
                report.notes.extend(notes.map(|reason| Fault { line, reason }));
                report.pairs.push(read.pair);
            }
            Err(fault) => report.faults.push(fault),
        }
        seen += 1;
        if seen.is_multiple_of(REPORT_EVERY) {
            let at = Progress { bytes: records.bytes, total_bytes, pairs: report.pairs.len() };
            if progress(at).is_break() {
                report.cancelled = true;
                return Ok(report);
            }
        }
    }
    let at = Progress { bytes: total_bytes, total_bytes, pairs: report.pairs.len() };
    report.cancelled = progress(at).is_break();
    Ok(report)
}
