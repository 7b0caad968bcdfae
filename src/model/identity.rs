//! The name of a reference: a hash of everything that decides its numbers, and beside it one of its files alone.

use std::path::Path;

use rayon::prelude::*;

/// Pieces of a file are hashed on all threads, then their hashes in order.
pub(super) const PIECE: usize = 4 << 20;

/// Collects the parts that decide what a policy computes at step 0.
#[derive(Default)]
pub(super) struct Identity {
    hasher: blake3::Hasher,
    /// Of what is in files, however it is kept in memory and computed with.
    files: blake3::Hasher,
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
                self.files.update(piece.as_bytes());
            }
            len += run.len();
        });
        self.add(&len.to_le_bytes());
    }

    /// Adds a short value of a file.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        add(&mut self.hasher, bytes);
        add(&mut self.files, bytes);
    }

    /// Adds how the files are kept in memory or computed with.
    pub(super) fn add_way(&mut self, bytes: &[u8]) {
        add(&mut self.hasher, bytes);
    }

    /// Of everything, and of the files alone: 64 hexadecimal digits each.
    pub(super) fn finish(self) -> [String; 2] {
        [self.hasher, self.files].map(|hasher| hasher.finalize().to_hex().to_string())
    }
}

/// Its length first, so that two neighbours cannot be read as one.
fn add(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
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

    #[test]
    fn another_way_to_compute_is_another_reference_of_the_same_files() {
        let of = |way: &[u8]| {
            let mut identity = Identity::default();
            identity.add_file(Path::new("model.safetensors"), &[1, 2, 3]);
            identity.add_way(way);
            identity.finish()
        };
        let ([one, files], [other, same]) = (of(b"f32"), of(b"bf16"));
        assert!(one != other && files == same);
    }
}
