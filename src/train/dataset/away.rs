//! The token ids of many pairs, put away in a file until they are wanted.

use std::path::Path;

use model::{Doc, TokenFiles};

use super::documents::{PairDoc, Parts};

/// So many ids wait in memory before they are put away: 32 MiB. A smaller data set stays there.
const WAITING: usize = 8 << 20;

/// What puts the ids of pairs away while these are made.
pub struct Away {
    /// Nothing where there is no place for a file: then all stays in memory.
    files: Option<TokenFiles>,
    most: usize,
    /// How many pairs of each part were looked at, and how many were put away.
    seen: [usize; 2],
    put: [usize; 2],
    waiting: usize,
}

impl Away {
    /// `folder`: the project's; nothing for pairs that are in memory themselves.
    pub fn new(folder: Option<&Path>) -> Self {
        Self { files: folder.map(TokenFiles::new), most: WAITING, seen: [0; 2], put: [0; 2], waiting: 0 }
    }

    /// Looks at the pairs that have come, and puts their ids away once these are many.
    pub fn take(&mut self, pairs: &mut Parts<PairDoc>) {
        let Some(files) = &self.files else { return };
        let ids = |doc: &Doc| doc.prefix.len() + doc.answer_tokens();
        let new = pairs.train[self.seen[0]..].iter().chain(&pairs.eval[self.seen[1]..]);
        self.waiting += new.map(|pair| ids(&pair.doc)).sum::<usize>();
        self.seen = [pairs.train.len(), pairs.eval.len()];
        if self.waiting < self.most {
            return;
        }
        let waiting = pairs.train[self.put[0]..].iter_mut().chain(&mut pairs.eval[self.put[1]..]);
        if let Err(error) = files.put_away(&mut waiting.map(|pair| &mut pair.doc).collect::<Vec<_>>()) {
            tracing::warn!("the token ids of all pairs stay in memory: they could not be put into a file: {error}");
            self.files = None;
        }
        (self.put, self.waiting) = (self.seen, 0);
    }
}

#[cfg(test)]
mod tests {
    use data::PairId;

    use super::*;

    /// More ids than wait at a time, as they come chunk by chunk.
    fn taken(folder: Option<&Path>) -> (Away, Parts<PairDoc>) {
        let mut pairs = Parts { train: Vec::new(), eval: Vec::new() };
        let mut away = Away { most: 100, ..Away::new(folder) };
        for n in 0..60_u32 {
            let part = if n % 7 == 3 { &mut pairs.eval } else { &mut pairs.train };
            part.push(PairDoc::certain(PairId(n.into()), Doc::new(vec![n; 4], [vec![n, 1], vec![n, 2, 3]])));
            if n % 5 == 4 {
                away.take(&mut pairs);
            }
        }
        (away, pairs)
    }

    #[test]
    fn ids_are_the_same_wherever_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let (away, pairs) = taken(Some(dir.path()));
        assert!(away.files.is_some() && away.waiting < 100);
        assert_eq!(away.put.iter().sum::<usize>(), 60, "three chunks at a time: {:?}", away.put);
        let (held, in_memory) = taken(None);
        assert_eq!((held.put, &pairs), ([0; 2], &in_memory));
        // Where no file can be, they stay.
        let (nowhere, kept) = taken(Some(Path::new("/nowhere/at/all")));
        assert!(nowhere.files.is_none());
        assert_eq!(kept, in_memory);
    }
}
