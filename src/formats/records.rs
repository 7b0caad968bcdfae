//! Takes a file apart into JSON records, one at a time, whatever is wrong with some of them.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use serde_json::Value as Json;

use super::{Fault, FormatError};

/// A stretch of the file that should be one JSON value.
struct Stretch {
    line: u64,
    bytes: Vec<u8>,
}

/// The records of a JSON lines file or of one JSON array.
pub struct Records<R> {
    reader: R,
    layout: Layout,
    /// Lines begun so far.
    line: u64,
    pub bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Lines,
    Array,
}

impl Records<BufReader<File>> {
    /// The file's records and its size in bytes.
    pub fn open(path: &Path) -> Result<(Self, u64), FormatError> {
        let failed = |source| FormatError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let start = reader.fill_buf().map_err(failed)?;
        if let Some(what) = foreign(start) {
            return Err(FormatError::NotText { path: path.to_owned(), what });
        }
        Ok((Self::new(reader).map_err(failed)?, size))
    }
}

impl<R: BufRead> Records<R> {
    pub fn new(mut reader: R) -> io::Result<Self> {
        let mut bytes = 0;
        if reader.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
            reader.consume(3);
            bytes += 3;
        }
        let mut line = 0;
        // White space before the first record decides nothing, but its lines count.
        loop {
            let buffer = reader.fill_buf()?;
            let blank = buffer.iter().take_while(|b| b.is_ascii_whitespace()).count();
            line += newlines(&buffer[..blank]);
            let done = blank < buffer.len() || buffer.is_empty();
            reader.consume(blank);
            bytes += blank as u64;
            if done {
                break;
            }
        }
        let layout = if reader.fill_buf()?.first() == Some(&b'[') {
            reader.consume(1);
            bytes += 1;
            line += 1;
            Layout::Array
        } else {
            Layout::Lines
        };
        Ok(Self { reader, layout, line, bytes })
    }

    /// The next record with its line, or what is wrong with it. `None` at the end.
    pub fn next(&mut self) -> io::Result<Option<(u64, Result<Json, Fault>)>> {
        let stretch = match self.layout {
            Layout::Lines => self.next_line()?,
            Layout::Array => self.next_element()?,
        };
        Ok(stretch.map(|Stretch { line, bytes }| {
            let parsed = self.parse(&bytes);
            (line, parsed.map_err(|reason| Fault { line, reason }))
        }))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Json, String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("not UTF-8: byte {} of the record", error.valid_up_to() + 1))?;
        serde_json::from_str(text).map_err(|error| {
            if error.is_eof() && self.layout == Layout::Lines {
                "the JSON record does not end on its line; JSON lines hold one record a line".to_owned()
            } else {
                // serde_json counts lines within the record; the file's line is known already.
                let said = error.to_string();
                let said = said.split(" at line ").next().unwrap_or_default();
                format!("not JSON: {said} (character {})", error.column())
            }
        })
    }

    fn next_line(&mut self) -> io::Result<Option<Stretch>> {
        loop {
            let mut bytes = Vec::new();
            let read = self.reader.read_until(b'\n', &mut bytes)?;
            if read == 0 {
                return Ok(None);
            }
            self.bytes += read as u64;
            self.line += 1;
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(Stretch { line: self.line, bytes: bytes.trim_ascii().to_vec() }));
            }
        }
    }

    /// What stands between two commas of the outermost array. Brackets and quotes are followed, nothing else is understood,
    /// so that a broken element does not take its neighbours with it.
    fn next_element(&mut self) -> io::Result<Option<Stretch>> {
        let mut element = Vec::new();
        let mut line = self.line;
        let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
        for byte in self.reader.by_ref().bytes() {
            let byte = byte?;
            self.bytes += 1;
            if in_string {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => in_string = true,
                    b'{' | b'[' => depth += 1,
                    b']' if depth == 0 => break,
                    b'}' | b']' => depth = depth.saturating_sub(1),
                    b',' if depth == 0 && !element.is_empty() => break,
                    b',' if depth == 0 => continue,
                    _ => {}
                }
            }
            if element.is_empty() {
                line = self.line;
            }
            if byte == b'\n' {
                self.line += 1;
            }
            if !element.is_empty() || !byte.is_ascii_whitespace() {
                element.push(byte);
            }
        }
        let bytes = element.trim_ascii_end().to_vec();
        Ok((!bytes.is_empty()).then_some(Stretch { line, bytes }))
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// What a file that is no UTF-8 text begins with.
fn foreign(start: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 6] = [
        (b"PAR1", "a Parquet file"),
        (b"ARROW1", "an Arrow file"),
        (b"\x1F\x8B", "compressed with gzip"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\xFF\xFE", "text in UTF-16"),
        (b"\xFE\xFF", "text in UTF-16"),
    ];
    known.into_iter().find_map(|(magic, what)| start.starts_with(magic).then_some(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<(u64, Result<Json, String>)> {
        let mut records = Records::new(text.as_bytes()).unwrap();
        let mut all = Vec::new();
        while let Some((line, record)) = records.next().unwrap() {
            all.push((line, record.map_err(|fault| fault.reason)));
        }
        assert_eq!(records.bytes, text.len() as u64);
        all
    }

    #[test]
    fn lines_count_from_one_through_blanks_and_windows_line_ends() {
        let all = records("\u{FEFF}\r\n{\"a\": 1}\r\n\r\n  \n{\"b\": 2}");
        assert_eq!(all, [(2, Ok(serde_json::json!({"a": 1}))), (5, Ok(serde_json::json!({"b": 2}))),]);
    }

    #[test]
    fn array_elements_know_their_lines_and_break_alone() {
        let text = "\n[\n  {\"a\": \"x]},\\\"[\"},\n  {\"b\": nonsense},\n  {\n    \"c\": [1, 2]\n  }\n]\n";
        let mut all = records(text.trim_end());
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], (3, Ok(serde_json::json!({"a": "x]},\"["}))));
        let (line, broken) = all.remove(1);
        assert_eq!(line, 4);
        assert!(broken.unwrap_err().starts_with("not JSON"));
        assert_eq!(all[1], (5, Ok(serde_json::json!({"c": [1, 2]}))));
    }

    #[test]
    fn nothing_at_all_is_no_record() {
        for text in ["", "\n \n", "[]", "[ \n ]"] {
            assert_eq!(records(text), []);
        }
    }
}
