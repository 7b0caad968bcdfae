//! UTF-16, with a byte order mark or without, made UTF-8 on the way.

use std::io::{self, Read};

use super::container::{ContainerKind, Open};

pub const KIND: ContainerKind = ContainerKind {
    title: "in UTF-16",
    is: |start| order(start).is_some(),
    open: Open::Unpack(|bytes| Ok(Box::new(Decoder::new(bytes)))),
};

/// Which byte of a unit comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// The byte order, if a file begins like one in UTF-16.
fn order(start: &[u8]) -> Option<Order> {
    match start {
        [0xFF, 0xFE, 0, 0, ..] => return None,
        [0xFF, 0xFE, ..] => return Some(Order::Little),
        [0xFE, 0xFF, ..] => return Some(Order::Big),
        _ => {}
    }
    // Texts of JSON and tables are ASCII every other letter at least: its units have a zero.
    let head = &start[..start.len().min(4096)];
    let zeros = |from: usize| head.iter().skip(from).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd, half) = (zeros(0), zeros(1), head.len() / 2);
    if odd * 10 > half * 4 && even * 20 <= half {
        Some(Order::Little)
    } else if even * 10 > half * 4 && odd * 20 <= half {
        Some(Order::Big)
    } else {
        None
    }
}

struct Decoder {
    bytes: Box<dyn Read>,
    order: Option<Order>,
    /// Bytes that make no whole letter yet.
    rest: Vec<u8>,
    /// UTF-8 that nobody has asked for yet, and how much of it was given.
    text: Vec<u8>,
    given: usize,
    /// The byte order mark is no letter.
    begun: bool,
}

impl Decoder {
    fn new(bytes: Box<dyn Read>) -> Self {
        Self { bytes, order: None, rest: Vec::new(), text: Vec::new(), given: 0, begun: false }
    }

    /// Decodes what there is of whole letters; at the end also what is left.
    fn decode(&mut self, at_end: bool) {
        let order = *self.order.get_or_insert_with(|| order(&self.rest).unwrap_or(Order::Little));
        let units: Vec<u16> = self
            .rest
            .chunks_exact(2)
            .map(|pair| match order {
                Order::Little => u16::from_le_bytes([pair[0], pair[1]]),
                Order::Big => u16::from_be_bytes([pair[0], pair[1]]),
            })
            .collect();
        // The second half of the last letter may come with the next bytes.
        let torn = !at_end && units.last().is_some_and(|unit| (0xD800..0xDC00).contains(unit));
        let whole = units.len() - usize::from(torn);
        let mut skip_mark = !self.begun;
        self.begun |= whole > 0;
        for letter in char::decode_utf16(units[..whole].iter().copied()) {
            match letter {
                Ok('\u{FEFF}') if skip_mark => {}
                Ok(letter) => self.text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                // No letter in UTF-8 either: the record that it is in is told.
                Err(_) => self.text.push(0xFF),
            }
            skip_mark = false;
        }
        let used = if at_end { self.rest.len() } else { 2 * whole };
        if at_end && self.rest.len() % 2 == 1 {
            self.text.push(0xFF);
        }
        self.rest.drain(..used);
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() {
            self.text.clear();
            self.given = 0;
            let before = self.rest.len();
            self.bytes.by_ref().take(1 << 16).read_to_end(&mut self.rest)?;
            let at_end = self.rest.len() == before;
            self.decode(at_end);
            if at_end && self.text.is_empty() {
                return Ok(0);
            }
        }
        let count = buffer.len().min(self.text.len() - self.given);
        buffer[..count].copy_from_slice(&self.text[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: Vec<u8>) -> Vec<u8> {
        let mut text = Vec::new();
        Decoder::new(Box::new(io::Cursor::new(bytes))).read_to_end(&mut text).unwrap();
        text
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn both_orders_are_found_with_and_without_a_mark() {
        let text = format!("[{{\"prompt\": \"Was? 🦀\"}}]{}", " é".repeat(100_000));
        for mark in ["", "\u{FEFF}"] {
            let marked = format!("{mark}{text}");
            for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                assert_eq!(decoded(utf_16(&marked, bytes)), text.as_bytes());
            }
        }
        assert_eq!(order(b"{\"prompt\": \"p\"}"), None);
        assert_eq!(order(b"\xFF\xFE\0\0{\0\0\0"), None, "UTF-32 is another matter");
    }

    #[test]
    fn what_is_no_letter_is_none_in_utf_8_either() {
        let mut bytes = utf_16("\u{FEFF}a", u16::to_le_bytes);
        bytes.extend([0x00, 0xD8, b'b', 0, b'c']);
        assert_eq!(decoded(bytes), b"a\xFFb\xFF");
    }
}
