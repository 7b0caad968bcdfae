//! One JSON object around one list of records, as in `{"version": 1, "data": [{..}, ..]}`: the records of the list.

use std::io::{self, BufRead, BufReader, Read};

use super::{
    container::{Container, ContainerKind, ENDLESS, Input, Open, Stretch},
    json::Records,
    source::Source,
};
use crate::object::{is_blank, quoted, value_end};

pub const KIND: ContainerKind = ContainerKind {
    title: "JSON with a list of records",
    is: |start| list(start).is_some(),
    open: Open::Records(open),
};

/// What such a list is called.
const LISTS: [&str; 16] = [
    "data",
    "train",
    "test",
    "eval",
    "validation",
    "dev",
    "rows",
    "examples",
    "records",
    "items",
    "pairs",
    "preferences",
    "samples",
    "instances",
    "entries",
    "dataset",
];

/// An object with one of these is a record itself.
const OF_RECORDS: [&str; 6] = ["prompt", "chosen", "rejected", "question", "instruction", "completion"];

/// What the objects of a conversation begin with, which is part of a record.
const OF_MESSAGES: [&str; 4] = ["role", "from", "type", "value"];

/// The name of the list in a file that begins like this, and where its bracket is.
fn list(start: &[u8]) -> Option<(&str, usize)> {
    let blank = |at: usize| at + start[at.min(start.len())..].iter().take_while(|byte| is_blank(**byte)).count();
    let expect = |at: usize, byte: u8| (start.get(at) == Some(&byte)).then(|| blank(at + 1));
    let name = |at: usize| {
        let end = quoted(start, at)?;
        Some((std::str::from_utf8(start.get(at + 1..end - 1)?).ok()?, blank(end)))
    };
    let mut at = blank(if start.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 });
    at = expect(at, b'{')?;
    loop {
        let (key, colon) = name(at)?;
        at = expect(colon, b':')?;
        if OF_RECORDS.contains(&key) {
            return None;
        }
        if LISTS.contains(&key.to_ascii_lowercase().as_str())
            && let Some(item) = expect(at, b'[').and_then(|item| expect(item, b'{'))
            && name(item).is_some_and(|(key, _)| !OF_MESSAGES.contains(&key))
        {
            return Some((key, at));
        }
        at = expect(blank(value_end(start, at)?), b',')?;
    }
}

fn open(input: Input) -> io::Result<Box<dyn Container>> {
    let (name, begins) = list(&input.start).map_or(("", 0), |(name, begins)| (name, begins));
    let name = name.to_owned();
    let reader: Box<dyn Read> = input.rest;
    let mut source = Source::behind(input.start, BufReader::with_capacity(1 << 16, reader), ENDLESS);
    source.consume(begins);
    Ok(Box::new(Wrapped { name, records: Records::of_array(source)?, ended: false, is_open: false }))
}

struct Wrapped<R> {
    name: String,
    records: Records<R>,
    ended: bool,
    /// The object is not closed at the end.
    is_open: bool,
}

impl<R: BufRead> Wrapped<R> {
    /// Reads what stands behind the list. What may be more records is told.
    fn rest(&mut self) -> io::Result<Option<(u64, Option<String>)>> {
        loop {
            let next = self.peek()?;
            let line = self.records.source.line();
            let told = |what: String| Ok(Some((line, Some(what))));
            match next {
                None => {
                    self.is_open = true;
                    return Ok(None);
                }
                Some(b'}') => {
                    self.records.source.consume(1);
                    return match self.peek()? {
                        None => Ok(None),
                        Some(_) => told("what follows the object was not read: a file holds one".to_owned()),
                    };
                }
                Some(b',') => {
                    self.records.source.consume(1);
                    if let Some(name) = self.name()?
                        && self.peek()? == Some(b':')
                    {
                        self.records.source.consume(1);
                        if self.peek()? == Some(b'[') && LISTS.contains(&name.to_ascii_lowercase().as_str()) {
                            return told(format!(
                                "a second list, {name:?}, was not read: write it into a file of its own"
                            ));
                        }
                        self.skip_value()?;
                        continue;
                    }
                }
                Some(_) => {}
            }
            return told(format!("the list {:?} is closed before this, and what follows was not read", self.name));
        }
    }

    /// The next byte that is not blank.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        self.records.source.skip_blanks()?;
        Ok(self.records.source.fill_buf()?.first().copied())
    }

    fn take(&mut self) -> io::Result<Option<u8>> {
        let byte = self.records.source.fill_buf()?.first().copied();
        self.records.source.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// A short text in quotes, without them.
    fn name(&mut self) -> io::Result<Option<String>> {
        const LONGEST: usize = 1 << 10;
        if self.peek()? != Some(b'"') {
            return Ok(None);
        }
        let mut text = vec![b'"'];
        self.take()?;
        while quoted(&text, 0).is_none() {
            match self.take()? {
                Some(byte) if text.len() < LONGEST => text.push(byte),
                _ => return Ok(None),
            }
        }
        Ok(serde_json::from_slice(&text).ok())
    }

    /// Passes over a value: up to the comma or the bracket behind it.
    fn skip_value(&mut self) -> io::Result<()> {
        let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
        loop {
            let Some(byte) = self.records.source.fill_buf()?.first().copied() else { return Ok(()) };
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_text => escaped = true,
                b'"' => in_text = !in_text,
                _ if in_text => {}
                b'{' | b'[' => depth += 1,
                b',' | b'}' | b']' if depth == 0 => return Ok(()),
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.records.source.consume(1);
        }
    }
}

impl<R: BufRead> Container for Wrapped<R> {
    fn title(&self) -> String {
        format!("the list {:?} of a JSON object", self.name)
    }

    fn next(&mut self) -> io::Result<Option<Stretch<'_>>> {
        if self.ended {
            return Ok(None);
        }
        if let Some(found) = self.records.find()? {
            return Ok(Some(self.records.found(found)));
        }
        self.ended = true;
        if self.records.breaks_off().is_some() {
            return Ok(None);
        }
        let told = self.rest()?;
        Ok(told.map(|told| self.records.found(told)))
    }

    fn breaks_off(&self) -> Option<(u64, &'static str)> {
        let open = || self.is_open.then(|| (self.records.source.line(), "the object around the list is not closed"));
        self.records.breaks_off().or_else(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = (u64, Result<String, String>);

    /// Records and what is told, in whatever pieces they come.
    fn read(text: &str) -> (Vec<Found>, bool) {
        let input = Input { start: text.as_bytes().to_vec(), rest: Box::new(io::empty()), file: None };
        assert!((KIND.is)(&input.start), "{text}");
        let mut records = open(input).unwrap();
        let mut all = Vec::new();
        while let Some(Stretch { place, text }) = records.next().unwrap() {
            all.push((place, text.map(str::to_owned)));
        }
        (all, records.breaks_off().is_some())
    }

    fn good(records: &[(u64, &str)]) -> Vec<Found> {
        records.iter().map(|(line, text)| (*line, Ok((*text).to_owned()))).collect()
    }

    #[test]
    fn the_records_of_the_list_are_those_of_the_file() {
        for (text, expected) in [
            ("{\"data\":[{\"a\":1},{\"b\":[2]}]}", &[(1, "{\"a\":1}"), (1, "{\"b\":[2]}")][..]),
            (
                "\u{FEFF}\n{\n \"version\": \"1, [\", \"Train\": [\n  {\"a\": 1},\n  {\"a\": 2}\n ]\n}\n",
                &[(4, "{\"a\": 1}"), (5, "{\"a\": 2}")],
            ),
            ("{\"rows\": [{\"a\": 1}], \"info\": {\"x\": [\"]}\", 1]}, \"n\": 3}", &[(1, "{\"a\": 1}")]),
        ] {
            assert_eq!(read(text), (good(expected), false), "{text}");
        }
    }

    #[test]
    fn what_was_not_read_is_told() {
        for (text, words) in [
            ("{\"train\":[{\"a\":1}],\"test\":[{\"a\":2}]}", "a second list, \"test\""),
            ("{\"data\":[{\"a\":1}]}\n{\"data\":[{\"a\":2}]}", "what follows the object was not read"),
            ("{\"data\":[{\"a\":1}],{\"a\":2}]}", "is closed before this"),
        ] {
            let (all, _) = read(text);
            let reason = all[1].1.as_ref().unwrap_err();
            assert!(all.len() == 2 && all[0].1.is_ok() && reason.contains(words), "{text}: {reason}");
        }
        for cut in ["{\"data\":[{\"a\":1}]", "{\"data\":[{\"a\":1}", "{\"data\":[{\"a\":1},"] {
            let (all, breaks_off) = read(cut);
            assert!(all[0].1.is_ok() && all.len() == 1 && breaks_off, "{cut}: {all:?}");
        }
    }

    #[test]
    fn a_record_is_no_list_of_records() {
        for text in [
            "{\"prompt\":\"p\",\"data\":[{\"a\":1}]}",
            "{\"data\":[{\"role\":\"user\",\"content\":\"x\"}]}",
            "{\"messages\":[{\"role\":\"user\"}],\"chosen\":\"a\"}",
            "{\"data\":[1]}",
            "{\"data\":{\"a\":1}}",
            "{\"data\":[]}",
            "[{\"data\":[{\"a\":1}]}]",
            "",
        ] {
            assert_eq!(list(text.as_bytes()), None, "{text}");
        }
    }
}
