//! Tables of text: CSV and TSV, their delimiter found, with quotes as RFC 4180 has them and line ends inside.
//!
//! Every cell is a text. A cell that holds a list of messages, as JSON or as Python prints it, is one.

use std::io::{self, BufReader, Read};

use csv_core::ReadRecordResult;
use serde_json::{Map, Value as Json};

use super::{
    container::{
        COLUMNS, Container, ContainerKind, ENDLESS, Input, LONGEST, Open, START, Stretch, too_long, unfit, utf_8,
    },
    foreign, json_text, python,
    source::Source,
};

pub const KIND: ContainerKind =
    ContainerKind { title: "CSV", is: |start| delimiter(start).is_some(), open: Open::Records(open) };

const DELIMITERS: [u8; 4] = *b",;\t|";

/// The marks that Excel writes before the header, or wants there.
const MARK: &[u8] = b"\xEF\xBB\xBF";
const SEPARATOR: &[u8] = b"sep=";

/// What separates the cells of a file that begins like this; absent for what is no table.
fn delimiter(start: &[u8]) -> Option<u8> {
    if foreign::no_text(start).is_some() {
        return None;
    }
    let text = start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start();
    if let Some([named, ..]) = text.strip_prefix(SEPARATOR) {
        return Some(*named);
    }
    let mut lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let header = String::from_utf8_lossy(lines.next()?).into_owned();
    let second = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    if foreign::may_be_json(&header) || serde_json::from_str::<Map<String, Json>>(&second).is_ok() {
        return None;
    }
    let columns = |delimiter: u8| {
        let cells: Vec<&str> = header.split(char::from(delimiter)).map(|cell| cell.trim().trim_matches('"')).collect();
        let named = |cell: &&str| !cell.is_empty() && cell.chars().count() <= 60 && !cell.contains([':', '{', '<']);
        // pandas leaves the name of its index empty.
        (cells.iter().skip(1).all(named) && (cells[0].is_empty() || named(&cells[0]))).then_some(cells.len())
    };
    let (count, best) =
        DELIMITERS.into_iter().filter_map(|one| Some((columns(one)?, one))).max_by_key(|(count, _)| *count)?;
    let mut rows = text.splitn(2, |byte| *byte == b'\n').skip(1);
    let rows = rows.next().unwrap_or_default().trim_ascii_start();
    // A first cell that is longer than what is looked at.
    let goes_on = start.len() >= START && (rows.starts_with(b"\"") || !rows.contains(&b'\n'));
    if count > 1 {
        return (rows.is_empty() || rows.contains(&best) || goes_on).then_some(best);
    }
    (header.trim_matches('"') == "prompt").then_some(b',')
}

fn open(input: Input) -> io::Result<Box<dyn Container>> {
    let delimiter = delimiter(&input.start).unwrap_or(b',');
    let reader: Box<dyn Read> = input.rest;
    let mut source = Source::behind(input.start, BufReader::with_capacity(1 << 16, reader), ENDLESS);
    if source.fill_buf()?.starts_with(MARK) {
        source.consume(MARK.len());
    }
    source.skip_blanks()?;
    if source.fill_buf()?.starts_with(SEPARATOR) {
        let line = source.fill_buf()?.iter().position(|byte| *byte == b'\n').map_or(SEPARATOR.len() + 1, |end| end + 1);
        source.consume(line);
    }
    let mut table = Table {
        source,
        delimiter,
        parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
        cells: vec![0; 1 << 16],
        ends: vec![0; 64],
        header: Vec::new(),
        record: Vec::new(),
    };
    let row = table.next_row()?;
    let Some((_, Ok(columns))) = row else {
        return Err(unfit("its first line should name its columns"));
    };
    let names = (0..columns).map(|at| utf_8(table.cell(at)).map(|name| name.trim().to_owned()));
    table.header = names.collect::<Result<_, _>>().map_err(|reason| unfit(format!("its first line is {reason}")))?;
    Ok(Box::new(table))
}

struct Table<R> {
    source: Source<R>,
    delimiter: u8,
    parser: csv_core::Reader,
    /// The bytes of a row's cells, and where each ends.
    cells: Vec<u8>,
    ends: Vec<usize>,
    header: Vec<String>,
    /// A row as a JSON object.
    record: Vec<u8>,
}

impl<R: io::BufRead> Table<R> {
    fn cell(&self, at: usize) -> &[u8] {
        let begins = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.cells[begins..self.ends[at]]
    }

    /// The next row's line and number of cells; or what is wrong with it.
    fn next_row(&mut self) -> io::Result<Option<(u64, Result<usize, String>)>> {
        self.skip_line_ends()?;
        let line = self.source.line();
        let (mut bytes, mut cells) = (0, 0);
        let mut fault = None;
        loop {
            let chunk = self.source.fill_buf()?;
            let (result, read, written, ended) =
                self.parser.read_record(chunk, &mut self.cells[bytes..], &mut self.ends[cells..]);
            self.source.consume(read);
            bytes += written;
            cells += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.cells.len() < LONGEST => {
                    self.cells.resize(2 * self.cells.len(), 0);
                }
                ReadRecordResult::OutputFull => {
                    // Passed over: what follows is written where it disturbs nothing.
                    fault = Some(format!("{}; a quote may be missing", too_long(LONGEST)));
                    (bytes, cells) = (0, 0);
                }
                ReadRecordResult::OutputEndsFull if self.ends.len() < COLUMNS => {
                    self.ends.resize(2 * self.ends.len(), 0);
                }
                ReadRecordResult::OutputEndsFull => {
                    fault.get_or_insert_with(|| format!("the row has more than {COLUMNS} cells"));
                    (bytes, cells) = (0, 0);
                }
                ReadRecordResult::Record => {
                    self.source.record_ends();
                    return Ok(Some((line, fault.map_or(Ok(cells), Err))));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            let chunk = self.source.fill_buf()?;
            let blank = chunk.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            let done = blank < chunk.len() || chunk.is_empty();
            self.source.consume(blank);
            if done {
                return Ok(());
            }
        }
    }

    /// The row as a JSON object.
    fn write(&mut self, cells: usize) -> Result<(), String> {
        let mut record = std::mem::take(&mut self.record);
        record.clear();
        let written = self.write_to(&mut record, cells);
        self.record = record;
        written
    }

    fn write_to(&self, record: &mut Vec<u8>, cells: usize) -> Result<(), String> {
        let columns = self.header.len();
        if cells != columns {
            let plural = if cells == 1 { "" } else { "s" };
            return Err(format!("the row has {cells} cell{plural}, the header {columns}; a quote may be missing"));
        }
        let text = utf_8(&self.cells[..self.ends[cells - 1]])?;
        if text.trim().is_empty() {
            // Spreadsheets leave such rows behind the last one.
            return Err("all cells of the row are empty".to_owned());
        }
        record.push(b'{');
        for (at, name) in self.header.iter().enumerate() {
            let cell = utf_8(self.cell(at))?;
            json_text::name(record, name, at == 0);
            match python::messages(cell) {
                Some(messages) => record.extend_from_slice(messages.to_string().as_bytes()),
                None => json_text::string(record, cell),
            }
        }
        record.push(b'}');
        Ok(())
    }
}

impl<R: io::BufRead> Container for Table<R> {
    fn title(&self) -> String {
        match self.delimiter {
            b',' => "CSV".to_owned(),
            b'\t' => "TSV".to_owned(),
            b';' => "CSV with semicolons".to_owned(),
            other => format!("CSV with {:?}", char::from(other)),
        }
    }

    fn next(&mut self) -> io::Result<Option<Stretch<'_>>> {
        let Some((place, row)) = self.next_row()? else {
            return Ok(None);
        };
        let written = row.and_then(|cells| self.write(cells));
        Ok(Some(Stretch { place, text: written.and_then(|()| utf_8(&self.record)) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows as JSON, or what is wrong with them, in whatever pieces they come.
    fn rows(text: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let input = Input { start: text.to_vec(), rest: Box::new(io::empty()), file: None };
        let mut table = open(input).unwrap();
        let mut all = Vec::new();
        while let Some(Stretch { place, text }) = table.next().unwrap() {
            all.push((place, text.map(str::to_owned)));
        }
        all
    }

    #[test]
    fn quotes_line_ends_and_delimiters_are_understood() {
        for (text, expected) in [
            (
                "prompt,chosen\n\"a, \"\"b\"\"\nc\",d\n\ne,f",
                vec![(2, r#"{"prompt":"a, \"b\"\nc","chosen":"d"}"#), (5, r#"{"prompt":"e","chosen":"f"}"#)],
            ),
            ("\u{FEFF}prompt;chosen\r\na,b;c\r\n", vec![(2, r#"{"prompt":"a,b","chosen":"c"}"#)]),
            ("prompt\tchosen\na\tb, c", vec![(2, r#"{"prompt":"a","chosen":"b, c"}"#)]),
            ("sep=|\nprompt|chosen\na|", vec![(3, r#"{"prompt":"a","chosen":""}"#)]),
            ("prompt\nHow deep?\n", vec![(2, r#"{"prompt":"How deep?"}"#)]),
            (",prompt,chosen\n0,a,b\n", vec![(2, r#"{"":"0","prompt":"a","chosen":"b"}"#)]),
        ] {
            assert!(delimiter(text.as_bytes()).is_some(), "{text}");
            let expected: Vec<_> = expected.into_iter().map(|(line, row)| (line, Ok(row.to_owned()))).collect();
            assert_eq!(rows(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_header_that_is_no_utf_8_says_what_to_do() {
        let input = Input { start: b"prompt;R\xE9ponse\na;b\n".to_vec(), rest: Box::new(io::empty()), file: None };
        let error = open(input).err().unwrap().to_string();
        assert!(error.contains("its first line is not UTF-8: byte 2") && error.contains("CSV UTF-8"), "{error}");
    }

    #[test]
    fn a_first_cell_may_be_longer_than_what_is_looked_at() {
        let long = "word ".repeat(START / 4);
        for cell in [long.clone(), format!("\"{long}, and\nmore\"")] {
            let text = format!("prompt,chosen\n{cell},b\n");
            assert_eq!(delimiter(&text.as_bytes()[..START]), Some(b','));
        }
        let prose = format!("Once upon a time, there was\na queen\n{long}");
        assert_eq!(delimiter(&prose.as_bytes()[..START]), None);
    }

    #[test]
    fn what_is_no_table_is_none() {
        for text in [
            "{\"prompt\": \"a, b\"}\n",
            "# a remark, or two\n{\"prompt\": \"p\"}\n",
            "Once upon a time, there was\na queen\n",
            "- prompt: a\n  chosen: b\n",
            "%PDF-1.4, a\nb, c\n",
            "<html><a, b>\n",
            "",
        ] {
            assert_eq!(delimiter(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_broken_row_is_told_and_the_next_is_read() {
        let mut text = b"prompt,chosen\na,b,c\n\xFFa,b\nc\nd,e\n".to_vec();
        text.extend(format!("{}\nf,g\n", "x,".repeat(5000)).as_bytes());
        text.extend(b"h,\"i\nj,k\n");
        let all = rows(&text);
        let first = |reason: &String| reason.split("; save").next().unwrap_or_default().to_owned();
        let faults: Vec<(u64, String)> =
            all.iter().filter_map(|(line, row)| Some((*line, first(row.as_ref().err()?)))).collect();
        assert_eq!(
            faults,
            [
                (2, "the row has 3 cells, the header 2; a quote may be missing"),
                (3, "not UTF-8: byte 1 of the record"),
                (4, "the row has 1 cell, the header 2; a quote may be missing"),
                (6, "the row has more than 4096 cells"),
            ]
            .map(|(line, reason)| (line, reason.to_owned()))
        );
        let way_on = all[1].1.as_ref().unwrap_err();
        assert!(
            way_on.contains("CSV UTF-8") && way_on.contains("iconv -f ENCODING") && way_on.contains("SHIFT_JIS"),
            "{way_on}"
        );
        assert_eq!(all.iter().filter(|(_, row)| row.is_ok()).count(), 3);
    }
}
