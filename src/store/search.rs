//! Full-text search over prompts and answers.
//!
//! A search is words; each must occur, as it is, in any case, also inside longer words and in any script. Signatures say
//! which blocks of texts may hold the words ([`super::signature`]); those are read, and the texts decide. Words of one or two
//! letters are in no signature: then all blocks are read.

use std::ops::ControlFlow;

use rayon::prelude::*;
use rusqlite::Connection;
use zstd::bulk::Decompressor;

use super::{
    StoreError,
    contents::{Block, Content, Stored},
    pairs::unreadable,
    project::Result,
    signature::{Wanted, fold},
};

/// Hears how much of the texts was looked at, of 1; `Break` ends the search with [`StoreError::CutShort`].
pub type Watch<'a> = &'a mut dyn FnMut(f32) -> ControlFlow<()>;

/// Blocks that are looked at together, by as many threads as there are.
const AT_ONCE: usize = 128;

/// Contents in which all words occur, in order; absent when the search has no words, which everything matches.
pub fn matching(connection: &Connection, search: &str, watch: Watch<'_>) -> Result<Option<Vec<i64>>> {
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
    let mut statement = connection.prepare_cached("SELECT first, bits FROM signatures ORDER BY first")?;
    let mut rows = statement.query([])?;
    let mut blocks = Vec::new();
    while let Some(row) = rows.next()? {
        if wanted.may_be_in(row.get_ref(1)?.as_blob().map_err(unreadable)?) {
            blocks.push(row.get(0)?);
        }
    }
    Ok(blocks)
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
