//! JSON lines, JSON values one after another, and one JSON array: taken apart into the texts of their records, in
//! bounded memory, whatever is wrong with some.

use std::io::{self, BufRead, BufReader, Read};

use super::{
    container::{Container, ContainerKind, ENDLESS, Growth, Input, LONGEST, Open, Stretch, too_long, utf_8},
    source::Source,
};

/// Whatever nothing else is.
pub const KIND: ContainerKind = ContainerKind { title: "JSON", is: |_| true, open: Open::Records(open) };

fn open(input: Input) -> io::Result<Box<dyn Container>> {
    let reader: Box<dyn Read> = input.rest;
    let source = Source::behind(input.start, BufReader::with_capacity(1 << 16, reader), ENDLESS);
    Ok(Box::new(Records::of(source, LONGEST)?))
}

/// Of a record that is too long, its end is kept, to see where the next begins.
const TAIL: usize = 4096;

/// Of an array that ends between two records.
const BREAKS_OFF: &str = "the array is not closed: the file breaks off here, and records may be missing";

/// The records of a JSON lines file, of JSON values one after another, or of one JSON array.
pub struct Records<R> {
    pub source: Source<R>,
    layout: Layout,
    /// It is the only array: what follows it is for somebody else.
    alone: bool,
    /// Where the array is closed, and nothing has followed yet.
    closed: bool,
    /// The name that the records begin with, in its quotes: how the next one is found behind a broken one.
    key: Vec<u8>,
    record: Vec<u8>,
    /// What a record may say, in bytes.
    longest: usize,
    ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    /// Objects over several lines, one after another.
    Values,
    Array,
}

impl<R: BufRead> Records<R> {
    /// Of the array that begins here, up to its bracket.
    pub fn of_array(source: Source<R>) -> io::Result<Self> {
        Ok(Self { alone: true, ..Self::of(source, LONGEST)? })
    }

    fn of(mut source: Source<R>, longest: usize) -> io::Result<Self> {
        if source.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
            source.consume(3);
        }
        // White space before the first record decides nothing, but its lines count.
        source.skip_blanks()?;
        let layout = match source.fill_buf()? {
            [b'[', ..] => Layout::Array,
            start if spans_lines(start) => Layout::Values,
            _ => Layout::Lines,
        };
        if layout == Layout::Array {
            source.consume(1);
        }
        let closed = layout != Layout::Array;
        Ok(Self { source, layout, alone: false, closed, key: Vec::new(), record: Vec::new(), longest, ended: false })
    }

    /// A line that is not blank, with its number and what is wrong with it already.
    fn next_line(&mut self) -> io::Result<Option<(u64, Option<String>)>> {
        loop {
            let line = self.source.line();
            let mut growth = Growth::up_to(self.longest);
            let mut too_much = false;
            let ended = loop {
                let chunk = self.source.fill_buf()?;
                let (used, ended) = match chunk.iter().position(|byte| *byte == b'\n') {
                    Some(end) => (end + 1, true),
                    None => (chunk.len(), chunk.is_empty()),
                };
                if !too_much {
                    self.record.extend_from_slice(&chunk[..used]);
                    too_much = growth.is_too_much(&self.record);
                }
                self.source.consume(used);
                if ended {
                    break used == 0;
                }
            };
            if too_much {
                return Ok(Some((line, Some(too_long(self.longest)))));
            }
            if !self.record.trim_ascii().is_empty() {
                return Ok(Some((line, None)));
            }
            if ended {
                return Ok(None);
            }
            self.record.clear();
        }
    }

    /// What stands between two commas of the outermost array, or one value after another. Brackets and quotes are
    /// followed, nothing else is understood.
    ///
    /// A record with a quote too few or too many would take all that follow with it. It shows as soon as a text ends
    /// with its line, or is followed by what may not follow a text. From there on the record is broken and ends, at the
    /// latest, where another begins with the name that records of this file begin with.
    fn next_element(&mut self) -> io::Result<Option<(u64, Option<String>)>> {
        let mut scan = Scan::default();
        let mut line = self.source.line();
        if self.alone && self.closed {
            return Ok(None);
        }
        let mut growth = Growth::up_to(self.longest);
        self.open_again()?;
        let end = 'record: loop {
            let mut line_here = self.source.line();
            let chunk = self.source.fill_buf()?;
            if chunk.is_empty() {
                break End::OfFile;
            }
            let mut used = 0;
            for &byte in chunk {
                used += 1;
                let next = scan.take(byte, self.record.is_empty());
                line_here += u64::from(byte == b'\n');
                match next {
                    Next::Skip => {}
                    Next::Keep => {
                        if self.record.is_empty() {
                            line = line_here;
                            self.closed = self.layout != Layout::Array;
                        }
                        self.record.push(byte);
                        if scan.too_long && self.record.len() > self.longest
                            || !scan.too_long && growth.is_too_much(&self.record)
                        {
                            scan.too_long = true;
                            self.record.drain(..self.record.len().saturating_sub(TAIL));
                        }
                        if byte == b'"'
                            && scan.fault.is_some()
                            && let Some(begins) = next_begins(&self.record, &self.key)
                        {
                            let again = self.record.split_off(begins);
                            self.source.consume(used);
                            self.source.push_back(&again);
                            break 'record End::OfRecord;
                        }
                    }
                    Next::Before => {
                        self.source.consume(used - 1);
                        break 'record End::OfRecord;
                    }
                    Next::After => {
                        self.source.consume(used);
                        break 'record End::OfRecord;
                    }
                    Next::Close => {
                        self.source.consume(used);
                        // What follows all the same is looked at: the bracket may be one of a broken record's.
                        self.closed = true;
                        if self.record.is_empty() {
                            if self.alone {
                                return Ok(None);
                            }
                            self.open_again()?;
                            continue 'record;
                        }
                        break 'record End::OfRecord;
                    }
                }
            }
            self.source.consume(used);
        };
        if self.record.trim_ascii().is_empty() {
            return Ok(None);
        }
        if self.key.is_empty() && !scan.too_long && scan.fault.is_none() {
            self.key = first_key(&self.record).to_vec();
        }
        let fault = if scan.too_long {
            Some(too_long(self.longest))
        } else if let Some(fault) = scan.fault {
            Some(fault)
        } else {
            (matches!(end, End::OfFile) && scan.is_open()).then(|| {
                // Told once.
                self.closed = true;
                "the file breaks off inside this record".to_owned()
            })
        };
        Ok(Some((line, fault)))
    }

    /// Finds the next record: its line, and what is wrong with it already.
    pub fn find(&mut self) -> io::Result<Option<(u64, Option<String>)>> {
        self.record.clear();
        let found = match self.layout {
            Layout::Lines => self.next_line()?,
            Layout::Values | Layout::Array => self.next_element()?,
        };
        self.ended = found.is_none();
        if !self.ended {
            self.source.record_ends();
        }
        Ok(found)
    }

    /// The record that was found.
    pub fn found(&self, (line, fault): (u64, Option<String>)) -> Stretch<'_> {
        let text = match fault {
            Some(reason) => Err(reason),
            None => utf_8(self.record.trim_ascii()),
        };
        Stretch { place: line, text }
    }

    /// Where an array is closed and another follows, as when files were put together.
    fn open_again(&mut self) -> io::Result<()> {
        if self.layout == Layout::Array && self.closed {
            self.source.skip_blanks()?;
            if self.source.fill_buf()?.first() == Some(&b'[') {
                self.source.consume(1);
                self.closed = false;
            }
        }
        Ok(())
    }
}

impl<R: BufRead> Container for Records<R> {
    fn title(&self) -> String {
        match self.layout {
            Layout::Lines => "JSON lines".to_owned(),
            Layout::Values => "JSON, one object after another".to_owned(),
            Layout::Array => "a JSON array".to_owned(),
        }
    }

    fn next(&mut self) -> io::Result<Option<Stretch<'_>>> {
        let found = self.find()?;
        Ok(found.map(|found| self.found(found)))
    }

    fn breaks_off(&self) -> Option<(u64, &'static str)> {
        (self.ended && !self.closed).then(|| (self.source.line(), BREAKS_OFF))
    }
}

/// How a record ended.
enum End {
    OfRecord,
    OfFile,
}

/// What becomes of a byte.
enum Next {
    /// It belongs to no record.
    Skip,
    /// It belongs to this one.
    Keep,
    /// The record ended before it.
    Before,
    /// It separates this record from the next.
    After,
    /// It closes the array.
    Close,
}

/// Where in a record its reader stands.
#[derive(Default)]
struct Scan {
    open: Vec<u8>,
    in_text: bool,
    escaped: bool,
    /// A text has just ended, or in an object a comma was read: only some bytes may follow.
    behind_text: bool,
    behind_comma: bool,
    too_long: bool,
    /// What is wrong with its quotes.
    fault: Option<String>,
}

impl Scan {
    fn is_open(&self) -> bool {
        self.in_text || !self.open.is_empty()
    }

    fn take(&mut self, byte: u8, first: bool) -> Next {
        if self.in_text {
            match byte {
                b'\n' => {
                    // No text goes over a line end: its quote is missing.
                    self.break_with("a text has no closing quote on its line");
                    (self.in_text, self.escaped) = (false, false);
                }
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => (self.in_text, self.behind_text) = (false, true),
                _ => {}
            }
            return Next::Keep;
        }
        if byte.is_ascii_whitespace() {
            return if first { Next::Skip } else { Next::Keep };
        }
        if std::mem::take(&mut self.behind_text) && !matches!(byte, b':' | b',' | b'}' | b']') {
            self.break_with("a quote too many or too few");
        }
        if std::mem::take(&mut self.behind_comma) && !matches!(byte, b'"' | b'}') {
            self.break_with("no name after a comma");
        }
        let outside = self.open.is_empty();
        match byte {
            b'"' => self.in_text = true,
            // A comma is missing between two records.
            b'{' if outside && !first => return Next::Before,
            b'{' | b'[' => self.open.push(byte),
            b']' if outside => return Next::Close,
            b',' if outside && first => return Next::Skip,
            b',' if outside => return Next::After,
            b',' => self.behind_comma = self.open.last() == Some(&b'{'),
            b'}' | b']' => self.close(byte),
            _ => {}
        }
        Next::Keep
    }

    fn close(&mut self, byte: u8) {
        let opener = if byte == b'}' { b'{' } else { b'[' };
        match self.open.last() {
            Some(last) if *last == opener => {
                self.open.pop();
            }
            Some(_) => {
                self.break_with("its brackets do not match");
                if let Some(at) = self.open.iter().rposition(|open| *open == opener) {
                    self.open.truncate(at);
                }
            }
            None => {}
        }
    }

    fn break_with(&mut self, reason: &str) {
        self.fault.get_or_insert_with(|| format!("not JSON: {reason}"));
    }
}

/// The name that a record begins with, in its quotes; empty if it does not begin with one.
fn first_key(record: &[u8]) -> &[u8] {
    let Some(inside) = record.trim_ascii_start().strip_prefix(b"{") else {
        return &[];
    };
    let name = inside.trim_ascii_start();
    let Some(end) = name.strip_prefix(b"\"").and_then(|rest| rest.iter().position(|byte| *byte == b'"')) else {
        return &[];
    };
    &name[..end + 2]
}

/// Where in a broken record the next begins, if what was read last is `, {"key"` with the name that records begin with.
/// As long as no record has shown that name, any will do behind a record that is closed.
fn next_begins(record: &[u8], key: &[u8]) -> Option<usize> {
    let name = if key.is_empty() { last_text(record)? } else { key };
    let before = record.strip_suffix(name)?.trim_ascii_end().strip_suffix(b"{")?;
    let closed = before.trim_ascii_end().strip_suffix(b",")?.trim_ascii_end();
    (!key.is_empty() || name == first_key(record) || closed.ends_with(b"}")).then_some(before.len())
}

/// The text that has just ended, in its quotes.
fn last_text(record: &[u8]) -> Option<&[u8]> {
    let inside = record.strip_suffix(b"\"")?;
    let begins = inside.iter().rposition(|byte| *byte == b'"')?;
    Some(&record[begins..])
}

/// Whether the first line begins an object that goes on over the next ones.
fn spans_lines(start: &[u8]) -> bool {
    let mut lines = start.split(|byte| *byte == b'\n');
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
        return false;
    };
    let mut scan = Scan::default();
    for (at, byte) in first.iter().enumerate() {
        scan.take(*byte, at == 0);
    }
    first.first() == Some(&b'{')
        && !scan.in_text
        && scan.fault.is_none()
        && scan.open.first() == Some(&b'{')
        && !second.trim_ascii_start().starts_with(b"{")
}

#[cfg(test)]
mod tests;
