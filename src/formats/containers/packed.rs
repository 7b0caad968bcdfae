//! gzip around anything else, one after another too.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use super::{Counted, Kind, Open, unfit};

pub const GZIP: Kind = Kind {
    title: "packed with gzip",
    is: |start| start.starts_with(b"\x1F\x8B"),
    open: Open::Unpack(|packed| guarded(packed, |packed| Ok(Box::new(flate2::read::MultiGzDecoder::new(packed))))),
};

/// Texts shrink to a tenth; what unpacks to this many times its size, and is long, holds nothing to learn from.
const RATIO: u64 = 400;
const LONG: u64 = 256 << 20;

/// An unpacked stream that ends with an error when it grows out of proportion.
struct Guarded {
    unpacked: Box<dyn Read>,
    bytes: u64,
    /// Read of the packed stream.
    packed: Rc<Cell<u64>>,
}

fn guarded(
    packed: Box<dyn Read>,
    unpack: impl FnOnce(Counted<Box<dyn Read>>) -> io::Result<Box<dyn Read>>,
) -> io::Result<Box<dyn Read>> {
    let read = Rc::default();
    let unpacked = unpack(Counted { bytes: packed, read: Rc::clone(&read) })?;
    Ok(Box::new(Guarded { unpacked, bytes: 0, packed: read }))
}

impl Read for Guarded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.unpacked.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            io::ErrorKind::UnexpectedEof => unfit("what is packed in it breaks off; fetch the file again"),
            _ => unfit(format!("what is packed in it is damaged ({error}); fetch the file again")),
        })?;
        self.bytes += count as u64;
        if self.bytes > LONG && self.bytes / RATIO > self.packed.get() {
            return Err(unfit(format!("it unpacks to more than {RATIO} times its size, which no file of texts does")));
        }
        Ok(count)
    }
}
