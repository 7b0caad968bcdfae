//! The pairs of one file, one by one.

use std::{
    collections::VecDeque,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Format, FormatError, ImportProgress, ImportReport, Options, RecordFault, columns,
    containers::{self, Opened, Stretch},
    dataset_info,
    draft::{Read, Taking},
    fields::Record,
    kept::Kept,
    shapes,
};
use ::data::Pair;

/// The first records are looked through before any of them is read: so many, and of so many bytes in all.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 1 << 20;

/// Reads a file as far as it is asked to; holds one record at a time behind its beginning, unless one waits for
/// another. What does not come in is in its report.
pub struct Reader {
    path: PathBuf,
    /// The path as pairs remember it.
    file: String,
    options: Options,
    now_ms: i64,
    opened: Opened,
    /// The file's first records, each with its place; absent until they were looked through.
    ahead: Option<VecDeque<(u64, Result<String, String>)>>,
    /// They were all that the file holds.
    none_behind: bool,
    /// Of a record that gave several.
    next: VecDeque<Pair>,
    kept: Kept,
    pairs: usize,
    report: ImportReport,
    rejected: Option<Box<dyn Write>>,
    ended: bool,
}

impl Reader {
    /// Refuses, with one sentence, what holds no records of any kind.
    pub fn open(path: &Path, options: &Options) -> Result<Self, FormatError> {
        let opened = containers::open(path)?;
        let report =
            ImportReport { container: opened.title.clone(), unit: opened.records.unit(), ..ImportReport::default() };
        Ok(Self {
            path: path.to_owned(),
            file: path.display().to_string(),
            options: dataset_info::for_file(path, options),
            now_ms: jiff::Timestamp::now().as_millisecond(),
            opened,
            ahead: None,
            none_behind: false,
            next: VecDeque::new(),
            kept: Kept::default(),
            pairs: 0,
            report,
            rejected: None,
            ended: false,
        })
    }

    /// Writes every record that does not come in, with its place and the reason, as a line of JSON each.
    pub fn reject_to(&mut self, out: impl Write + 'static) {
        self.rejected = Some(Box::new(out));
    }

    pub fn progress(&self) -> ImportProgress {
        let bytes = self.opened.bytes();
        ImportProgress { bytes, total_bytes: self.opened.size.max(bytes), pairs: self.pairs }
    }

    /// What was found so far.
    pub fn into_report(self) -> ImportReport {
        let agreement = self.kept.votes.borrow().agreement();
        ImportReport { agreement, ..self.report }
    }

    /// Reads the first records for what they have in common.
    fn look_ahead(&mut self) -> io::Result<VecDeque<(u64, Result<String, String>)>> {
        let (mut ahead, mut bytes) = (VecDeque::new(), 0);
        while ahead.len() < AHEAD && bytes < AHEAD_BYTES {
            let Some(Stretch { place, text }) = self.opened.records.next()? else {
                self.none_behind = true;
                break;
            };
            if let Ok(text) = text {
                self.kept.labels.see(text);
                bytes += text.len();
            }
            ahead.push_back((place, text.map(str::to_owned)));
        }
        Ok(ahead)
    }

    /// The next pair; what cannot be one is noted on the way.
    fn next_pair(&mut self) -> Result<Option<Pair>, FormatError> {
        let failed = FormatError::reading(&self.path);
        let mut ahead = match self.ahead.take() {
            Some(ahead) => ahead,
            None => self.look_ahead().map_err(&failed)?,
        };
        let next = self.next_of(&mut ahead);
        self.ahead = Some(ahead);
        next
    }

    fn next_of(&mut self, ahead: &mut VecDeque<(u64, Result<String, String>)>) -> Result<Option<Pair>, FormatError> {
        let failed = FormatError::reading(&self.path);
        loop {
            if let Some(pair) = self.next.pop_front() {
                self.pairs += 1;
                self.report.came(&pair);
                return Ok(Some(pair));
            }
            let first = ahead.pop_front();
            let (place, text) = match &first {
                Some((place, text)) => (*place, text.as_deref().map_err(Clone::clone)),
                None if self.none_behind => break,
                None => match self.opened.records.next().map_err(&failed)? {
                    Some(Stretch { place, text }) => (place, text),
                    None => break,
                },
            };
            self.report.records += 1;
            let kept = &self.kept;
            let taking = Taking { file: &self.file, place, now_ms: self.now_ms, options: &self.options, kept };
            let read = text.clone().and_then(|text| {
                let record = Record::read(text, &self.options.names)?;
                if self.report.columns.is_empty() {
                    self.report.columns = record.names().map(str::to_owned).collect();
                }
                let named = shapes::named(self.options.format);
                let shape = named.unwrap_or_else(|| shapes::recognise(&record, self.report.format));
                let read = (shape.read)(&record, &taking)?;
                let unused = record.unused().filter(|(_, text)| columns::may_hold_text(text));
                unused.for_each(|(name, _)| self.report.unused(name));
                Ok((shape.format, read))
            });
            match read {
                Ok((format, read)) => {
                    if self.report.format == Format::AUTO {
                        self.report.format = format;
                    }
                    for Read { pair, notes } in read {
                        for reason in notes {
                            self.report.note(RecordFault { line: place, reason });
                        }
                        self.next.push_back(pair);
                    }
                }
                Err(reason) => {
                    if let Some(out) = &mut self.rejected {
                        let text = text.unwrap_or_default();
                        let rejected =
                            Rejected { file: &self.file, place, unit: self.report.unit.word(), reason: &reason, text };
                        rejected.write(out).map_err(FormatError::reading(&self.path))?;
                    }
                    self.report.fault(RecordFault { line: place, reason });
                }
            }
            if self.pairs == 0 && self.next.is_empty() && self.report.faults.len() >= ImportReport::LISTED {
                return Err(self.hopeless());
            }
        }
        self.end()?;
        Ok(None)
    }

    /// What is known only when all records were read.
    fn end(&mut self) -> Result<(), FormatError> {
        for (line, reason) in self.kept.waiting.borrow_mut().alone() {
            if let Some(out) = &mut self.rejected {
                let unit = self.report.unit.word();
                let rejected = Rejected { file: &self.file, place: line, unit, reason: &reason, text: "" };
                rejected.write(out).map_err(FormatError::reading(&self.path))?;
            }
            self.report.fault(RecordFault { line, reason });
        }
        self.report.faults.sort_by_key(|fault| fault.line);
        if let Some((line, reason)) = self.opened.records.breaks_off() {
            self.report.note(RecordFault { line, reason: reason.to_owned() });
        }
        if let Some(out) = &mut self.rejected {
            out.flush().map_err(FormatError::reading(&self.path))?;
        }
        Ok(())
    }

    fn hopeless(&self) -> FormatError {
        let first = self.report.faults.first();
        let unit = self.report.unit.word();
        let first = first.map_or_else(String::new, |fault| format!("; {unit} {}: {}", fault.line, fault.reason));
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

/// A record that did not come in, as it is listed in a file: mended there, it can be imported.
#[derive(Serialize)]
struct Rejected<'a> {
    file: &'a str,
    #[serde(rename = "at")]
    place: u64,
    unit: &'a str,
    reason: &'a str,
    /// The record as it stands in its file, if it is text.
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

impl Rejected<'_> {
    fn write(&self, out: &mut Box<dyn Write>) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}
