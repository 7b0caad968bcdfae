//! gzip and zstd around anything else, one after another too.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use super::container::{Bytes, ContainerKind, Counted, Open, unfit};

pub const GZIP: ContainerKind = ContainerKind {
    title: "packed with gzip",
    is: |start| start.starts_with(b"\x1F\x8B"),
    open: Open::Unpack(|packed| guarded(packed, |packed| Ok(Box::new(flate2::read::MultiGzDecoder::new(packed))))),
};

pub const ZSTD: ContainerKind = ContainerKind {
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

/// Texts shrink to a tenth; where they repeat themselves, to next to nothing. They are read as a stream, so that is no
/// matter of memory; but what unpacks to so many times its size, and is longer than any set of pairs, is there to never
/// end.
const RATIO: u64 = 400;
const MOST: u64 = 64 << 30;
/// What is packed already does not shrink again: of that no more is read.
const MOST_PACKED: u64 = 32 << 20;

/// Refuses what grows out of all proportion.
pub fn in_proportion(unpacked: u64, packed: u64) -> io::Result<()> {
    check(unpacked, packed, MOST)
}

fn check(unpacked: u64, packed: u64, most: u64) -> io::Result<()> {
    if unpacked <= most || unpacked / RATIO <= packed {
        return Ok(());
    }
    let most = if most >> 30 > 0 { format!("{} GiB", most >> 30) } else { format!("{} MiB", most >> 20) };
    Err(unfit(format!(
        "it unpacks to more than {most} and to more than {RATIO} times its size, which no file of pairs does; if it is one \
         all the same, unpack it first"
    )))
}

/// An unpacked stream that ends with an error when it grows out of proportion.
struct Guarded {
    unpacked: Bytes,
    bytes: u64,
    /// Read of the packed stream.
    packed: Rc<Cell<u64>>,
    most: u64,
}

/// An unpacked stream in which something packed lies again. `file`: bytes read of the file itself.
pub fn packed_again(unpacked: Bytes, file: &Rc<Cell<u64>>) -> Bytes {
    Box::new(Guarded { unpacked, bytes: 0, packed: Rc::clone(file), most: MOST_PACKED })
}

fn guarded(packed: Bytes, unpack: impl FnOnce(Counted<Bytes>) -> io::Result<Bytes>) -> io::Result<Bytes> {
    let read = Rc::default();
    let unpacked = unpack(Counted { bytes: packed, read: Rc::clone(&read) })?;
    Ok(Box::new(Guarded { unpacked, bytes: 0, packed: read, most: MOST }))
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
        check(self.bytes, self.packed.get(), self.most).map(|()| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_no_bomb_as_long_as_it_ends() {
        assert!(in_proportion(MOST, 1).is_ok());
        assert!(in_proportion(MOST + 1, MOST / RATIO + 1).is_ok());
        let error = in_proportion(MOST + 1, 1 << 20).unwrap_err().to_string();
        assert!(error.contains("more than 64 GiB and to more than 400 times"), "{error}");
    }

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
