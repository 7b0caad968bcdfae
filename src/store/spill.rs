//! What an import holds back until it counts: in a file without a name, which goes with the process however that ends.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Seek as _, Write as _},
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

    /// All of them in their order.
    pub fn each<T: DeserializeOwned>(self, mut each: impl FnMut(T) -> Result<()>) -> Result<()> {
        let failed = StoreError::io("read in", &self.folder);
        let rewound = || -> io::Result<File> {
            let mut file = self.out.finish()?;
            file.rewind()?;
            Ok(file)
        };
        let mut lines = BufReader::new(Decoder::new(rewound().map_err(&failed)?).map_err(&failed)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(&failed)? > 0 {
            each(serde_json::from_slice(&line)?)?;
            line.clear();
        }
        Ok(())
    }
}
