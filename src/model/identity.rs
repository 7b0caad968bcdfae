//! The name of a reference: a hash of everything that decides its numbers.

use std::path::Path;

use rayon::prelude::*;

/// Collects the parts that decide what a policy computes at step 0.
#[derive(Default)]
pub(super) struct Identity {
    hasher: blake3::Hasher,
}

impl Identity {
    /// Adds a file under its name (not its path: a moved folder is the same model).
    pub(super) fn add_file(&mut self, path: &Path, bytes: &[u8]) {
        /// Pieces are hashed on all threads, then their hashes in order.
        const PIECE: usize = 4 << 20;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.add(name.as_bytes());
        let pieces: Vec<blake3::Hash> = bytes.par_chunks(PIECE).map(blake3::hash).collect();
        for piece in &pieces {
            self.hasher.update(piece.as_bytes());
        }
        self.add(&bytes.len().to_le_bytes());
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
