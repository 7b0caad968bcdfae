//! gzip and zstd around anything else, one after another too.

use std::{
    cell::Cell,
    io::{self, BufRead as _, BufReader, Read},
    rc::Rc,
};

use ruzstd::decoding::{
    BlockDecodingStrategy, FrameDecoder,
    errors::{FrameDecoderError, FrameHeaderError, ReadFrameHeaderError},
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
    open: Open::Unpack(|packed| guarded(packed, |packed| Ok(Box::new(Frames::new(packed))))),
};

/// Frames of zstd, one after another.
pub struct Frames<R> {
    packed: BufReader<R>,
    /// It holds no more of a frame than a hundred megabytes.
    decoder: FrameDecoder,
    is_open: bool,
}

impl<R: Read> Frames<R> {
    pub fn new(packed: R) -> Self {
        Self { packed: BufReader::new(packed), decoder: FrameDecoder::new(), is_open: false }
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.is_open {
                let count = self.decoder.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                if !self.decoder.is_finished() {
                    let blocks = self.decoder.decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1));
                    blocks.map_err(io::Error::other)?;
                    continue;
                }
            }
            if self.packed.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.reset(&mut self.packed) {
                Ok(()) => self.is_open = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    self.is_open = false;
                    io::copy(&mut self.packed.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => return Err(too_wide(requested)),
                Err(FrameDecoderError::FrameHeaderError(FrameHeaderError::WindowTooBig { got })) => {
                    return Err(too_wide(got));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}

/// What is whole, but was packed so that unpacking it takes more memory than a file of texts has reason to.
fn too_wide(window: u64) -> io::Error {
    let asked = window.div_ceil(1 << 20);
    let reason = format!(
        "it was packed with a window of {asked} MiB (zstd --long or --ultra), more than is held in memory here; unpack it first \
         with zstd -d --long=31, or pack it again without"
    );
    io::Error::new(io::ErrorKind::OutOfMemory, reason)
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
