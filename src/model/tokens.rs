//! Token ids: held in memory, or lying in a file from which the system reads them as they are wanted.
//!
//! A run over a million pairs meets a few of them at a time, and all of their ids are gigabytes.
//! [`TokenFiles::put_away`] writes those of some documents into a file without a name, which goes with the process
//! however that ends, and leaves in each where its own lie. Whoever reads ids does not know the difference.

use std::{
    borrow::Borrow,
    fmt,
    io::{self, BufWriter, Write as _},
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use memmap2::Mmap;

use crate::Doc;

/// So many bytes of the files are read before the system is told that none of them is needed in memory any more.
const READ: usize = 64 << 20;
/// What is read of a file is read in pages of at least so many bytes.
const PAGE: usize = 4096;

/// Token ids, which never change. They read as a slice; their number is known without reading them.
#[derive(Clone)]
pub struct Tokens(Place);

#[derive(Clone)]
enum Place {
    Memory(Box<[u32]>),
    /// From one id of the file on.
    File {
        file: Arc<File>,
        first: u32,
        len: u32,
    },
}

/// A file of ids, in the byte order of the machine.
struct File {
    map: Arc<Mmap>,
    held: Arc<Held>,
}

/// Files in which documents lie that were put away. All ids that are read from it stay within some megabytes of memory.
pub struct TokenFiles {
    folder: PathBuf,
    held: Arc<Held>,
}

/// What of these files may be in memory.
#[derive(Default)]
struct Held {
    read: AtomicUsize,
    maps: Mutex<Vec<Weak<Mmap>>>,
}

impl Tokens {
    pub fn len(&self) -> usize {
        match &self.0 {
            Place::Memory(ids) => ids.len(),
            Place::File { len, .. } => *len as usize,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Deref for Tokens {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        match &self.0 {
            Place::Memory(ids) => ids,
            Place::File { file, first, len } => file.ids(*first as usize, *len as usize),
        }
    }
}

impl File {
    fn ids(&self, first: usize, len: usize) -> &[u32] {
        self.held.is_read(len * size_of::<u32>());
        // A map begins at a page, and its ids one after another behind that.
        let (before, ids, _) = bytemuck::pod_align_to::<u8, u32>(&self.map);
        debug_assert!(before.is_empty());
        &ids[first..first + len]
    }
}

impl Held {
    /// Hears that bytes of the files are about to be in memory, and lets all go that were before, if that is much.
    fn is_read(&self, bytes: usize) {
        if self.read.fetch_add(bytes.max(PAGE), Ordering::Relaxed) < READ {
            return;
        }
        self.read.store(0, Ordering::Relaxed);
        self.maps().retain(|map| {
            let map = map.upgrade();
            map.inspect(|map| give_back(map)).is_some()
        });
    }

    fn maps(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Mmap>>> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenFiles {
    /// Its files lie in this folder, though nobody sees them.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), held: Arc::default() }
    }

    /// Puts the ids of these documents away that are in memory. After an error all are what they were.
    pub fn put_away(&self, docs: &mut [&mut Doc]) -> io::Result<()> {
        let mut out = BufWriter::new(tempfile::tempfile_in(&self.folder)?);
        let (mut places, mut written) = (Vec::new(), 0_u32);
        for tokens in docs.iter().flat_map(|doc| doc.tokens_of()) {
            let len = u32::try_from(tokens.len()).map_err(io::Error::other)?;
            let first = written;
            if let Place::Memory(ids) = &tokens.0 {
                out.write_all(bytemuck::cast_slice(ids))?;
                written = written.checked_add(len).ok_or_else(|| io::Error::other("too many token ids at once"))?;
            }
            places.push((first, len));
        }
        if written == 0 {
            return Ok(());
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        #[expect(
            unsafe_code,
            reason = "ids are read as a slice wherever they lie, and no call but this can map a file"
        )]
        // SAFETY: the file has no name and this handle is dropped here, so nobody can change it or make it shorter.
        let map = Arc::new(unsafe { Mmap::map(&file) }?);
        self.held.maps().push(Arc::downgrade(&map));
        let file = Arc::new(File { map, held: Arc::clone(&self.held) });
        let tokens = docs.iter_mut().flat_map(|doc| doc.tokens_mut());
        for (tokens, (first, len)) in tokens.zip(places) {
            if matches!(tokens.0, Place::Memory(_)) {
                tokens.0 = Place::File { file: Arc::clone(&file), first, len };
            }
        }
        Ok(())
    }
}

/// Tells the system that nothing of the file is needed in memory; all could be read again.
#[cfg(unix)]
fn give_back(map: &Mmap) {
    #[expect(unsafe_code, reason = "the only call that lets pages go that are mapped")]
    // SAFETY: the map is read-only and backed by its file, so a page that is dropped comes back with the same bytes.
    let given_back = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    if let Err(error) = given_back {
        tracing::debug!("token ids that were read stay in memory: {error}");
    }
}

/// Elsewhere the system decides alone.
#[cfg(not(unix))]
fn give_back(_: &Mmap) {}

impl From<Vec<u32>> for Tokens {
    fn from(ids: Vec<u32>) -> Self {
        Self(Place::Memory(ids.into()))
    }
}

impl From<&[u32]> for Tokens {
    fn from(ids: &[u32]) -> Self {
        Self(Place::Memory(ids.into()))
    }
}

impl<'t> IntoIterator for &'t Tokens {
    type Item = &'t u32;
    type IntoIter = std::slice::Iter<'t, u32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Borrow<[u32]> for Tokens {
    fn borrow(&self) -> &[u32] {
        self
    }
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && **self == **other
    }
}

impl Eq for Tokens {}

impl<const N: usize> PartialEq<[u32; N]> for Tokens {
    fn eq(&self, other: &[u32; N]) -> bool {
        **self == other[..]
    }
}

impl PartialEq<Vec<u32>> for Tokens {
    fn eq(&self, other: &Vec<u32>) -> bool {
        **self == other[..]
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs() -> Vec<Doc> {
        (0..200_u32).map(|n| Doc::new(vec![n; 3], [vec![n, n + 1], (0..=n * 50).collect()])).collect()
    }

    #[test]
    fn ids_that_were_put_away_are_what_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let (files, mut put) = (TokenFiles::new(dir.path()), docs());
        let whole = docs();
        let (some, others) = put.split_at_mut(120);
        files.put_away(&mut some.iter_mut().collect::<Vec<_>>()).unwrap();
        // What lies there already stays.
        let mut all: Vec<&mut Doc> = some[100..].iter_mut().chain(others.iter_mut()).collect();
        files.put_away(&mut all).unwrap();
        files.put_away(&mut []).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no file is seen");
        assert!(put.iter().all(|doc| doc.tokens_of().all(|tokens| matches!(tokens.0, Place::File { .. }))));
        assert_eq!(put, whole);
        assert_eq!(files.held.maps().len(), 2);
        // Read over and over, more than is kept in memory.
        for _ in 0..100 {
            assert_eq!(put[199].continuations[1].iter().max(), whole[199].continuations[1].iter().max());
            assert_eq!(put, whole);
        }
        let kept = put[7].clone();
        drop((put, files));
        assert_eq!(kept, whole[7], "a document stays as long as anybody has it");
    }

    #[test]
    fn documents_stay_in_memory_where_there_is_no_place_for_them() {
        let mut docs = docs();
        let files = TokenFiles::new(Path::new("/nowhere/at/all"));
        assert!(files.put_away(&mut docs.iter_mut().collect::<Vec<_>>()).is_err());
        assert_eq!(docs, super::tests::docs());
    }
}
