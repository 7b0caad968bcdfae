//! The pairs of one file, one by one.

use std::{
    fs::File,
    io::BufReader,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use super::{
    Fault, FieldMap, Format, FormatError, ImportReport, Progress, columns,
    fields::Record,
    records::{BREAKS_OFF, Records, Stretch},
    trl,
};
use ::data::Pair;

/// Records between two calls of a progress callback.
const REPORT_EVERY: u64 = 256;

/// Reads a file as far as it is asked to; holds one record at a time. What does not come in is in its report.
pub struct Reader {
    path: PathBuf,
    /// The path as pairs remember it.
    file: String,
    format: Format,
    names: FieldMap,
    now_ms: i64,
    records: Records<BufReader<File>>,
    size: u64,
    pairs: usize,
    report: ImportReport,
    ended: bool,
}

impl Reader {
    /// Refuses, with one sentence, what holds no records of any kind.
    pub fn open(path: &Path, format: Format, names: &FieldMap) -> Result<Self, FormatError> {
        let (records, size) = Records::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file: path.display().to_string(),
            format,
            names: names.clone(),
            now_ms: jiff::Timestamp::now().as_millisecond(),
            records,
            size,
            pairs: 0,
            report: ImportReport::default(),
            ended: false,
        })
    }

    pub fn progress(&self) -> Progress {
        let bytes = self.records.bytes();
        Progress { bytes, total_bytes: self.size.max(bytes), pairs: self.pairs }
    }

    /// Records looked at so far.
    pub fn records(&self) -> u64 {
        self.report.records
    }

    /// What was found so far, without the pairs.
    pub fn into_report(self) -> ImportReport {
        self.report
    }

    /// The next pair; what cannot be one is noted on the way.
    fn next_pair(&mut self) -> Result<Option<Pair>, FormatError> {
        let failed = |source| FormatError::reading(&self.path)(source);
        while let Some(Stretch { line, text }) = self.records.next().map_err(failed)? {
            self.report.records += 1;
            let place = trl::Place { file: &self.file, line, now_ms: self.now_ms };
            let read = text.and_then(|text| {
                let record = Record::read(text, &self.names)?;
                let read = trl::read_record(&record, self.format, &place)?;
                let unused = record.unused().filter(|(_, text)| columns::may_hold_text(text));
                unused.for_each(|(name, _)| self.report.unused(name));
                Ok(read)
            });
            match read {
                Ok(read) => {
                    if self.report.format == Format::Auto {
                        self.report.format = read.format;
                    }
                    for reason in read.notes {
                        self.report.note(Fault { line, reason });
                    }
                    self.pairs += 1;
                    return Ok(Some(read.pair));
                }
                Err(reason) => self.report.fault(Fault { line, reason }),
            }
            if self.pairs == 0 && self.report.records >= ImportReport::LISTED as u64 {
                return Err(self.hopeless());
            }
        }
        if self.records.breaks_off() {
            self.report.note(Fault { line: self.records.line(), reason: BREAKS_OFF.to_owned() });
        }
        Ok(None)
    }

    fn hopeless(&self) -> FormatError {
        let first = self.report.faults.first();
        let first = first.map_or_else(String::new, |fault| format!("; line {}: {}", fault.line, fault.reason));
        let reason = format!("none of its first {} records can be used{first}", self.report.records);
        FormatError::Unfit { path: self.path.clone(), reason }
    }
}

impl Iterator for Reader {
    type Item = Result<Pair, FormatError>;

    /// Ends after the first error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_pair().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads all pairs of a file into memory. `progress` is called every few hundred records and at the end, and may stop it;
/// what came in until then is in the report.
pub fn read(
    path: &Path,
    format: Format,
    names: &FieldMap,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<ImportReport, FormatError> {
    let mut reader = Reader::open(path, format, names)?;
    let mut pairs = Vec::new();
    let mut told = 0;
    let mut cancelled = false;
    while let Some(pair) = reader.next() {
        pairs.push(pair?);
        if reader.records() >= told + REPORT_EVERY {
            told = reader.records();
            cancelled = progress(reader.progress()).is_break();
            if cancelled {
                break;
            }
        }
    }
    if !cancelled {
        cancelled = progress(reader.progress()).is_break();
    }
    Ok(ImportReport { pairs, cancelled, ..reader.into_report() })
}
