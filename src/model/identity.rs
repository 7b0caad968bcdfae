//! The name of a reference: a hash of everything that decides its numbers.

use std::path::Path;

use rayon::prelude::*;

/// Pieces of a file are hashed on all threads, then their hashes in order.
const PIECE: usize = 4 << 20;

/// Collects the parts that decide what a policy computes at step 0.
#[derive(Default)]
pub(super) struct Identity {
    hasher: blake3::Hasher,
}

impl Identity {
    /// Adds a file under its name (not its path: a moved folder is the same model).
    pub(super) fn add_file(&mut self, path: &Path, bytes: &[u8]) {
        self.add_read(path, |each| each(bytes));
    }

    /// [`Self::add_file`] for a file that `read` hands over in runs of a multiple of [`PIECE`] bytes.
    pub(super) fn add_read(&mut self, path: &Path, read: impl FnOnce(&mut dyn FnMut(&[u8]))) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.add(name.as_bytes());
        let mut len = 0;
        read(&mut |run| {
            let pieces: Vec<blake3::Hash> = run.par_chunks(PIECE).map(blake3::hash).collect();
            for piece in &pieces {
                self.hasher.update(piece.as_bytes());
            }
            len += run.len();
        });
        self.add(&len.to_le_bytes());
    }

    /// Adds a short value, its length first so that two neighbours cannot be read as one.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(&(bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }

    /// 64 hexadecimal digits.
    pub(super) fn finish(self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_runs_is_the_same_file() {
        let bytes: Vec<u8> = (0..PIECE * 2 + 77).map(|i| (i % 251) as u8).collect();
        let path = Path::new("somewhere/model.safetensors");
        let mut whole = Identity::default();
        whole.add_file(path, &bytes);
        let mut in_runs = Identity::default();
        in_runs.add_read(path, |each| bytes.chunks(PIECE).for_each(each));
        assert_eq!(whole.finish(), in_runs.finish());
    }
}
