//! gzip and zstd around anything else, one after another too.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use super::container::{Counted, Kind, Open, unfit};

pub const GZIP: Kind = Kind {
    title: "packed with gzip",
    is: |start| start.starts_with(b"\x1F\x8B"),
    open: Open::Unpack(|packed| guarded(packed, |packed| Ok(Box::new(flate2::read::MultiGzDecoder::new(packed))))),
};

pub const ZSTD: Kind = Kind {
    title: "packed with zstd",
    is: |start| start.starts_with(b"\x28\xB5\x2F\xFD"),
    open: Open::Unpack(|packed| guarded(packed, |packed| Ok(Box::new(unzstd(packed)?)))),
};

/// What of a frame is held at most: 2 to this power, what zstd itself asks for where nobody says otherwise.
const WINDOW_LOG: u32 = 27;

/// Unpacks frames of zstd, one after another.
pub fn unzstd(packed: impl Read) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::new(packed)?;
    decoder.window_log_max(WINDOW_LOG)?;
    Ok(TellsWindow(decoder))
}

/// Says what to do about a frame that is whole, but takes more memory to unpack than a file of texts has reason to.
struct TellsWindow<R>(R);

impl<R: Read> Read for TellsWindow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            if !error.to_string().contains("too much memory") {
                return error;
            }
            let reason = format!(
                "it was packed with a window of more than {} MiB (zstd --long or --ultra), which is not held in memory here; \
                 unpack it first with zstd -d --long=31, or pack it again without",
                (1u64 << WINDOW_LOG) >> 20
            );
            io::Error::new(io::ErrorKind::OutOfMemory, reason)
        })
    }
}

/// Texts shrink to a tenth; what unpacks to this many times its size, and is long, holds nothing to learn from.
const RATIO: u64 = 400;
const LONG: u64 = 32 << 20;

/// Refuses what grows out of proportion.
pub fn in_proportion(unpacked: u64, packed: u64) -> io::Result<()> {
    if unpacked > LONG && unpacked / RATIO > packed {
        return Err(unfit(format!("it unpacks to more than {RATIO} times its size, which no file of texts does")));
    }
    Ok(())
}

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
            io::ErrorKind::OutOfMemory => unfit(error.to_string()),
            io::ErrorKind::UnexpectedEof => unfit("what is packed in it breaks off; fetch the file again"),
            _ => unfit(format!("what is packed in it is damaged ({error}); fetch the file again")),
        })?;
        self.bytes += count as u64;
        in_proportion(self.bytes, self.packed.get()).map(|()| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_window_is_no_damage() {
        // A frame of one empty block whose window is 256 MiB, then 2 TiB.
        for window in [0x90, 0xF8] {
            let frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, window, 0x01, 0x00, 0x00];
            let Open::Unpack(unpack) = ZSTD.open else { panic!("it unpacks") };
            let mut unpacked = unpack(Box::new(io::Cursor::new(frame))).unwrap();
            let error = unpacked.read_to_end(&mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains("window of") && error.contains("--long"), "{error}");
        }
    }
}
