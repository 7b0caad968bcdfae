//! Full-text search over prompts and answers.
//!
//! A search is words; each must occur, as it is, in any case, also inside longer words and in any script. Signatures
//! say which blocks of texts may hold the words ([`super::signature`]); those are read, and the texts decide. Words of
//! one or two letters are in no signature: then all blocks are read. So is a block whose signature is missing or
//! damaged.

use std::ops::ControlFlow;

use ::data::counted;
use rayon::prelude::*;
use rusqlite::Connection;
use zstd::bulk::Decompressor;

use super::{
    Project, StoreError,
    contents::{self, Block, Content, Stored},
    error::unreadable,
    project::{Keep, Result},
    signature::{self, Wanted, fold},
};

/// Hears how much of the texts was looked at, of 1; `Break` ends the search with [`StoreError::CutShort`].
pub type OnSearched<'a> = &'a mut dyn FnMut(f32) -> ControlFlow<()>;

/// Blocks that are looked at together, by as many threads as there are.
const AT_ONCE: usize = 128;

/// Contents in which all words occur, in order; absent when the search has no words, which everything matches.
pub fn matching(connection: &Connection, search: &str, watch: OnSearched<'_>) -> Result<Option<Vec<i64>>> {
    let words = Words::of(search);
    if words.folded.is_empty() {
        return Ok(None);
    }
    let blocks = may_hold(connection, &words)?;
    let mut found = Vec::new();
    for (at, firsts) in blocks.chunks(AT_ONCE).enumerate() {
        if watch((at * AT_ONCE) as f32 / blocks.len() as f32).is_break() {
            return Err(StoreError::CutShort);
        }
        let stored = firsts.iter().map(|first| Stored::at(connection, *first)).collect::<Result<Vec<_>>>()?;
        let find = |unpacker: &mut Decompressor<'_>, stored: Option<Stored>| match stored {
            Some(stored) => words.find(&stored.unpack(unpacker)?),
            None => Ok(Vec::new()),
        };
        let of_each: Vec<Vec<i64>> =
            stored.into_par_iter().map_init(Decompressor::default, find).collect::<Result<_>>()?;
        found.extend(of_each.into_iter().flatten());
    }
    Ok(Some(found))
}

/// The first contents of the blocks that may hold the words.
fn may_hold(connection: &Connection, words: &Words) -> Result<Vec<i64>> {
    let wanted = Wanted::of(words.folded.iter().map(String::as_str));
    let mut blocks = Vec::new();
    each_signature(connection, |first, bits| {
        if bits.is_none_or(|bits| wanted.may_be_in(bits)) {
            blocks.push(first);
        }
    })?;
    Ok(blocks)
}

/// The first content of every block, with the bits of its signature; without, where that is missing or damaged.
fn each_signature(connection: &Connection, mut each: impl FnMut(i64, Option<&[u8]>)) -> Result<()> {
    let mut statement = connection.prepare_cached(
        "SELECT packed.first, bits FROM packed INDEXED BY packed_places
         LEFT JOIN signatures ON signatures.first = packed.first ORDER BY packed.first",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let bits = row.get_ref(1)?.as_blob_or_null().map_err(unreadable("a signature"))?;
        each(row.get(0)?, bits.and_then(signature::bits_of));
    }
    Ok(())
}

impl Project {
    /// Makes the signatures of texts anew that are missing or damaged; a sentence about it, if there were any. A search
    /// finds those texts all the same, but has to read them.
    pub fn mend_search(&self) -> Result<Option<String>> {
        let mut broken = Vec::new();
        self.snapshot(|connection| {
            each_signature(connection, |first, bits| broken.extend(bits.is_none().then_some(first)))
        })?;
        if broken.is_empty() {
            return Ok(None);
        }
        if !self.read_only {
            for firsts in broken.chunks(AT_ONCE) {
                self.write(Keep::Kill, |tx| firsts.iter().try_for_each(|first| contents::sign(tx, *first)))?;
            }
        }
        let pieces = counted(broken.len(), "piece of the search index", "pieces of the search index");
        let what = if self.read_only { "left as they are, since nothing can be written here" } else { "made anew" };
        Ok(Some(format!("Damaged or missing: {pieces}, {what}. No pair is lost, and every search finds all of them")))
    }
}

/// What is searched for.
struct Words {
    folded: Vec<String>,
    /// The same as they stand in JSON, where a text that holds them holds these.
    written: Vec<String>,
}

impl Words {
    fn of(search: &str) -> Self {
        let folded: Vec<String> = search.split_whitespace().map(fold).collect();
        let written = folded.iter().map(|word| {
            let quoted = serde_json::Value::from(word.as_str()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        });
        Self { written: written.collect(), folded }
    }

    /// The contents of a block in which all words occur. Most have not even their letters.
    fn find(&self, block: &Block) -> Result<Vec<i64>> {
        let folded = fold(block.bodies());
        let may_be_in = |text: &str| self.written.iter().all(|word| text.contains(word));
        let mut found = Vec::new();
        if !may_be_in(&folded) {
            return Ok(found);
        }
        for (id, (line, body)) in (block.first..).zip(folded.split('\n').zip(block.bodies().split('\n'))) {
            if may_be_in(line) && self.occur_in(&Content::of(body)?) {
                found.push(id);
            }
        }
        Ok(found)
    }

    fn occur_in(&self, content: &Content) -> bool {
        let texts: Vec<String> = content.texts().map(fold).collect();
        self.folded.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }
}
