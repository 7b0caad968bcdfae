//! What an import holds back until it counts: in a file without a name, which goes with the process however that ends.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};
use zstd::stream::{read::Decoder, write::Encoder};

use super::{StoreError, project::Result};

/// Values, one after another; memory does not grow with them.
pub struct Spill {
    folder: PathBuf,
    out: Encoder<'static, File>,
}

impl Spill {
    pub fn new(folder: &Path) -> Result<Self> {
        let out = tempfile::tempfile_in(folder).and_then(|file| Encoder::new(file, 1));
        Ok(Self { folder: folder.to_owned(), out: out.map_err(StoreError::io("write in", folder))? })
    }

    pub fn push(&mut self, value: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.out.write_all(&line).map_err(StoreError::io("write in", &self.folder))
    }

    /// All of them, to be read.
    pub fn read(self) -> Result<Spilled> {
        let file = self.out.finish().map_err(StoreError::io("write in", &self.folder))?;
        Ok(Spilled { folder: self.folder, file })
    }
}

/// The values of a [`Spill`] that is complete.
pub struct Spilled {
    folder: PathBuf,
    file: File,
}

impl Spilled {
    /// All of them in their order, with their places from 0.
    pub fn each<T: DeserializeOwned>(&mut self, mut each: impl FnMut(usize, T) -> Result<()>) -> Result<()> {
        let failed = StoreError::io("read in", &self.folder);
        self.file.rewind().map_err(&failed)?;
        let mut lines = BufReader::new(Decoder::new(&self.file).map_err(&failed)?);
        let mut line = Vec::new();
        for place in 0.. {
            if lines.read_until(b'\n', &mut line).map_err(&failed)? == 0 {
                break;
            }
            each(place, serde_json::from_slice(&line)?)?;
            line.clear();
        }
        Ok(())
    }
}
