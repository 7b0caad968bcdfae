//! Bytes in the order of the file, some of them again; counts lines.

use std::io::{self, BufRead};

use super::container::unfit;

/// A reader that takes bytes back, and gives up where no record ends.
pub struct Source<R> {
    reader: R,
    /// Given back, to be read again first.
    again: Vec<u8>,
    /// Of those, the ones that were read again.
    at: usize,
    /// Line ends passed.
    ends: u64,
    /// Bytes in which a record has to end, those since the last one did, and the line after it.
    endless: u64,
    since: u64,
    since_line: u64,
}

impl<R: BufRead> Source<R> {
    /// What `reader` gives, behind a `start` that was taken from it already.
    pub fn behind(start: Vec<u8>, reader: R, endless: u64) -> Self {
        Self { reader, again: start, at: 0, ends: 0, endless, since: 0, since_line: 1 }
    }

    /// A record has ended here.
    pub fn record_ends(&mut self) {
        (self.since, self.since_line) = (0, self.line());
    }

    /// The line of the next byte, from 1.
    pub fn line(&self) -> u64 {
        self.ends + 1
    }

    /// What comes next; empty at the end.
    pub fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.since > self.endless {
            let (line, most) = (self.since_line, self.endless >> 20);
            return Err(unfit(format!("from line {line} on no record ends within {most} MiB")));
        }
        if self.at < self.again.len() {
            return Ok(&self.again[self.at..]);
        }
        loop {
            match self.reader.fill_buf() {
                // A signal is no fault of the file.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.reader.fill_buf()
    }

    /// The first `count` bytes of [`Self::fill_buf`] were read.
    pub fn consume(&mut self, count: usize) {
        self.since += count as u64;
        if self.at < self.again.len() {
            self.ends += line_ends(&self.again[self.at..self.at + count]);
            self.at += count;
            return;
        }
        if let Ok(buffer) = self.reader.fill_buf() {
            self.ends += line_ends(&buffer[..count]);
        }
        self.reader.consume(count);
    }

    /// The last bytes that were read come again.
    pub fn push_back(&mut self, bytes: &[u8]) {
        self.again.drain(..self.at);
        self.at = 0;
        self.again.splice(..0, bytes.iter().copied());
        self.since = self.since.saturating_sub(bytes.len() as u64);
        self.ends -= line_ends(bytes);
    }

    pub fn skip_blanks(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.fill_buf()?;
            let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let done = blank < buffer.len() || buffer.is_empty();
            self.consume(blank);
            if done {
                return Ok(());
            }
        }
    }
}

fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}
