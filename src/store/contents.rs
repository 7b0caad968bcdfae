//! The texts of pairs: written once, packed together with their neighbours.
//!
//! A content is the JSON of a pair's prompt, answers and source. As many as make some thousand bytes lie in one block,
//! a line each: neighbours are alike, so zstd makes a third of them, and a million pairs are written and read in so
//! many fewer pieces. A text that was edited is a block of its own.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use super::{
    StoreError,
    project::Result,
    rows::rows,
    signature::{self, Signature},
};
use ::data::{Answer, Pair, Prompt, Source};

/// Bytes of texts in a block: enough to be packed well, and quickly unpacked for the sake of one pair.
const BLOCK: usize = 16 << 10;
/// How hard zstd tries: half as much again takes twice the time.
const LEVEL: i32 = 3;
/// SQLite holds no larger piece in one cell, so none was ever packed.
const LONGEST: usize = 1 << 30;

#[derive(Serialize)]
struct ContentRef<'a> {
    prompt: &'a Prompt,
    answers: &'a [Answer],
    #[serde(skip_serializing_if = "Option::is_none")]
    source: &'a Option<Source>,
}

#[derive(Deserialize)]
pub struct Content {
    pub prompt: Prompt,
    pub answers: Vec<Answer>,
    #[serde(default)]
    pub source: Option<Source>,
}

impl Content {
    pub fn of(body: &str) -> Result<Self> {
        Ok(serde_json::from_str(body)?)
    }

    /// Everything that is said in it.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        texts(&self.prompt, &self.answers)
    }
}

/// The prompt, or its turns, then the answers.
fn texts<'a>(prompt: &'a Prompt, answers: &'a [Answer]) -> impl Iterator<Item = &'a str> {
    let (text, turns) = match prompt {
        Prompt::Text(text) => (Some(text.as_str()), &[][..]),
        Prompt::Chat(chat) => (None, &chat.turns[..]),
    };
    let turns = turns.iter().map(|turn| turn.content.as_str());
    text.into_iter().chain(turns).chain(answers.iter().map(|answer| answer.text.as_str()))
}

/// The texts of a pair as they are written.
pub fn body_of(pair: &Pair) -> Result<String> {
    let Pair { prompt, answers, source, .. } = pair;
    Ok(serde_json::to_string(&ContentRef { prompt, answers, source })?)
}

/// A block as it lies in the document.
pub struct Stored {
    first: i64,
    last: i64,
    packed: Vec<u8>,
}

impl Stored {
    /// The block that holds this content, if there is one.
    fn with(connection: &Connection, id: i64) -> Result<Option<Self>> {
        let mut statement = connection
            .prepare_cached("SELECT first, last, bodies FROM packed WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?;
        let stored = statement
            .query_row([id], |row| Ok(Self { first: row.get(0)?, last: row.get(1)?, packed: row.get(2)? }))
            .optional()?;
        Ok(stored.filter(|stored| stored.last >= id))
    }

    /// The block that begins with this content.
    pub fn at(connection: &Connection, first: i64) -> Result<Option<Self>> {
        Ok(Self::with(connection, first)?.filter(|stored| stored.first == first))
    }

    pub fn unpack(&self, unpacker: &mut Decompressor<'_>) -> Result<Block> {
        let Self { first, last, .. } = *self;
        let damaged = |detail: String| damaged(format!("the texts from {first} on: {detail}"));
        let bodies = unpacker.decompress(&self.packed, LONGEST).map_err(|error| damaged(error.to_string()))?;
        let bodies = String::from_utf8(bodies).map_err(|error| damaged(error.to_string()))?;
        Ok(Block { first, last, bodies })
    }
}

/// The same to be read.
pub struct Block {
    pub first: i64,
    last: i64,
    bodies: String,
}

impl Block {
    /// Bodies in the order of their ids; one that was left out is empty.
    pub fn bodies(&self) -> &str {
        &self.bodies
    }
}

/// Reads contents. The block that was read last is kept, since mostly its neighbours are asked for next.
pub struct Contents<'c> {
    connection: &'c Connection,
    unpacker: Decompressor<'static>,
    block: Option<Block>,
}

impl<'c> Contents<'c> {
    pub fn of(connection: &'c Connection) -> Self {
        Self { connection, unpacker: Decompressor::default(), block: None }
    }

    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    pub fn body(&mut self, id: i64) -> Result<&str> {
        let known = self.block.take().filter(|block| (block.first..=block.last).contains(&id));
        let block = match known {
            Some(block) => block,
            None => Stored::with(self.connection, id)?.ok_or_else(|| gone(id))?.unpack(&mut self.unpacker)?,
        };
        let block = self.block.insert(block);
        let place = (id - block.first) as usize;
        block.bodies.split('\n').nth(place).filter(|body| !body.is_empty()).ok_or_else(|| gone(id))
    }

    pub fn read(&mut self, id: i64) -> Result<Content> {
        Content::of(self.body(id)?)
    }
}

fn gone(id: i64) -> StoreError {
    damaged(format!("text {id} is missing"))
}

fn damaged(detail: String) -> StoreError {
    StoreError::Corrupted { path: std::path::PathBuf::new(), detail }
}

/// The first and the last content of every block, in order.
pub fn blocks(connection: &Connection) -> Result<Vec<(i64, i64)>> {
    rows(connection, "SELECT first, last FROM packed INDEXED BY packed_places ORDER BY first", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// A block that is ready to be written.
pub struct Packed {
    count: i64,
    bodies: Vec<u8>,
    signature: Signature,
}

impl Packed {
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Writes it behind all others; gives the id of its first content.
    pub fn insert(&self, tx: &Transaction<'_>) -> Result<i64> {
        let last: Option<i64> = tx
            .prepare_cached("SELECT last FROM packed ORDER BY first DESC LIMIT 1")?
            .query_row([], |row| row.get(0))
            .optional()?;
        let first = last.unwrap_or(0) + 1;
        self.insert_as(tx, first)?;
        Ok(first)
    }

    fn insert_as(&self, tx: &Transaction<'_>, first: i64) -> Result<()> {
        tx.prepare_cached("INSERT OR REPLACE INTO packed (first, last, bodies) VALUES (?1, ?2, ?3)")?
            .execute(params![first, first + self.count - 1, self.bodies])?;
        put_signature(tx, first, &self.signature)
    }
}

fn put_signature(tx: &Transaction<'_>, first: i64, signature: &Signature) -> Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO signatures (first, bits) VALUES (?1, ?2)")?
        .execute(params![first, signature.bytes()])?;
    Ok(())
}

/// Makes the signature of a block anew.
pub fn sign(tx: &Transaction<'_>, first: i64) -> Result<()> {
    let Some(stored) = Stored::at(tx, first)? else {
        return Ok(());
    };
    let (_, signature) = signed(&stored.unpack(&mut Decompressor::default())?.bodies)?;
    put_signature(tx, first, &signature)
}

/// How many contents bodies are, a line each, and their signature.
fn signed(bodies: &str) -> Result<(usize, Signature)> {
    let lines = || bodies.split('\n').filter(|body| !body.is_empty());
    let contents = lines().map(Content::of).collect::<Result<Vec<Content>>>()?;
    Ok((bodies.split('\n').count(), Signature::of(|| contents.iter().flat_map(Content::texts))))
}

/// Gives the signatures their sums that were written before there was one.
pub fn seal_signatures(tx: &Transaction<'_>) -> Result<()> {
    let firsts: Vec<i64> = tx
        .prepare("SELECT first FROM signatures")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut read = tx.prepare("SELECT bits FROM signatures WHERE first = ?1")?;
    for first in firsts {
        let bits: Vec<u8> = read.query_row([first], |row| row.get(0))?;
        if signature::bits_of(&bits).is_none() {
            put_signature(tx, first, &Signature::sealed(bits))?;
        }
    }
    Ok(())
}

/// Makes blocks.
pub struct Packer(Compressor<'static>);

impl Packer {
    pub fn new() -> Result<Self> {
        let mut compressor = Compressor::new(LEVEL).map_err(packing)?;
        compressor.include_checksum(true).map_err(packing)?;
        Ok(Self(compressor))
    }

    /// One block of all of them.
    pub fn pack(&mut self, pairs: &[Pair]) -> Result<Packed> {
        let mut bodies = Vec::with_capacity(BLOCK);
        for (at, Pair { prompt, answers, source, .. }) in pairs.iter().enumerate() {
            if at > 0 {
                bodies.push(b'\n');
            }
            serde_json::to_writer(&mut bodies, &ContentRef { prompt, answers, source })?;
        }
        let texts = || pairs.iter().flat_map(|pair| texts(&pair.prompt, &pair.answers));
        self.seal(pairs.len(), &bodies, Signature::of(texts))
    }

    /// The same of bodies, a line each.
    fn repack(&mut self, bodies: &str) -> Result<Packed> {
        let (count, signature) = signed(bodies)?;
        self.seal(count, bodies.as_bytes(), signature)
    }

    fn seal(&mut self, count: usize, bodies: &[u8], signature: Signature) -> Result<Packed> {
        Ok(Packed { count: count as i64, bodies: self.0.compress(bodies).map_err(packing)?, signature })
    }
}

/// Nothing but an allocation can fail.
fn packing(error: std::io::Error) -> StoreError {
    StoreError::Io { what: "pack the texts of", path: std::path::PathBuf::from("the pairs"), source: error }
}

/// Neighbours that go into one block each.
pub fn in_blocks(pairs: &[Pair]) -> impl Iterator<Item = &[Pair]> {
    let mut rest = pairs;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let mut fits = |pair: &Pair| {
            let before = bytes;
            bytes += pair.len_bytes();
            before == 0 || bytes <= BLOCK
        };
        let count = rest.iter().take_while(|pair| fits(pair)).count();
        let (block, behind) = rest.split_at(count);
        rest = behind;
        (!block.is_empty()).then_some(block)
    })
}

/// Drops the contents that are not to be kept.
pub fn retain(tx: &Transaction<'_>, keep: &dyn Fn(i64) -> bool) -> Result<()> {
    retain_in(tx, blocks(tx)?, keep)
}

/// Drops contents from `first` to `last`. Blocks that hold others as well are packed anew without them.
pub fn drop_between(tx: &Transaction<'_>, first: i64, last: i64) -> Result<()> {
    let blocks = rows(
        tx,
        "SELECT first, last FROM packed INDEXED BY packed_places WHERE last >= ?1
             AND first BETWEEN coalesce((SELECT max(first) FROM packed WHERE first <= ?1), ?1) AND ?2",
        [first, last],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    retain_in(tx, blocks, &|id| !(first..=last).contains(&id))
}

fn retain_in(tx: &Transaction<'_>, blocks: Vec<(i64, i64)>, keep: &dyn Fn(i64) -> bool) -> Result<()> {
    let mut packer = Packer::new()?;
    let mut unpacker = Decompressor::default();
    for (first, last) in blocks {
        let kept = (first..=last).filter(|id| keep(*id)).count() as i64;
        if kept == 0 {
            drop_block(tx, first)?;
        } else if kept <= last - first
            && let Some(stored) = Stored::at(tx, first)?
        {
            let block = stored.unpack(&mut unpacker)?;
            let lines = (first..).zip(block.bodies.split('\n'));
            let lines: Vec<&str> = lines.map(|(id, body)| if keep(id) { body } else { "" }).collect();
            // What was to be kept may have been dropped before.
            if lines.iter().all(|line| line.is_empty()) {
                drop_block(tx, first)?;
            } else {
                packer.repack(&lines.join("\n"))?.insert_as(tx, first)?;
            }
        }
    }
    Ok(())
}

fn drop_block(tx: &Transaction<'_>, first: i64) -> Result<()> {
    for table in ["packed", "signatures"] {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE first = ?1"))?.execute([first])?;
    }
    Ok(())
}

/// Packs what a document of before holds in a row each. Ids stay; where some are missing a block ends.
pub fn pack_rows(tx: &Transaction<'_>) -> Result<()> {
    let mut packer = Packer::new()?;
    let mut statement = tx.prepare("SELECT id, body FROM contents ORDER BY id")?;
    let mut rows = statement.query([])?;
    let (mut first, mut next, mut bodies) = (0, 0, String::new());
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let body = row.get_ref(1)?.as_str().map_err(|error| damaged(error.to_string()))?;
        if !bodies.is_empty() && (id != next || bodies.len() + body.len() > BLOCK) {
            packer.repack(&bodies)?.insert_as(tx, first)?;
            bodies.clear();
        }
        if bodies.is_empty() {
            first = id;
        } else {
            bodies.push('\n');
        }
        bodies.push_str(body);
        next = id + 1;
    }
    if !bodies.is_empty() {
        packer.repack(&bodies)?.insert_as(tx, first)?;
    }
    drop(rows);
    drop(statement);
    tx.execute_batch("DROP TABLE contents")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ::data::{Change, Choice, Edit, PairId, Strength, Verdict};

    use super::*;
    use crate::{PairQuery, PairSource, Project, ProjectSettings, opening::DOCUMENT, schema};

    fn pair(text: &str) -> Pair {
        Pair::new(PairId::NEW, Prompt::Text(text.to_owned()), &["yes", "no"])
    }

    #[test]
    fn neighbours_share_a_block_and_what_is_long_has_its_own() {
        let long = "x".repeat(BLOCK);
        let pairs = ["a", "b", &long, "c", &long, &long].map(pair);
        let sizes: Vec<usize> = in_blocks(&pairs).map(<[Pair]>::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1]);
        assert_eq!(in_blocks(&[]).count(), 0);
    }

    #[test]
    fn a_damaged_block_is_told_and_not_taken_for_texts() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let pairs: Vec<Edit> = ["one", "two"].map(pair).map(Edit::add).into();
        let ids = project.apply(&Change::new("Add", pairs)).unwrap().pairs;
        let change = |sql: &str| project.connection.execute_batch(sql).unwrap();
        change("UPDATE packed SET bodies = zeroblob(40) WHERE first = 1");
        change("DELETE FROM packed WHERE first = 2");
        for id in ids {
            assert!(matches!(project.pair(id), Err(StoreError::Corrupted { .. })), "{id:?}");
        }
    }

    #[test]
    fn a_part_of_a_block_can_be_dropped_and_the_rest_stays_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let texts = ["one", "two", "three", "four", "five", "six"];
        let pairs = texts.map(pair);
        let left = |ranges: &[(i64, i64)]| -> Vec<(i64, String)> {
            let tx = project.connection.unchecked_transaction().unwrap();
            for block in [&pairs[..4], &pairs[4..]] {
                Packer::new().unwrap().pack(block).unwrap().insert(&tx).unwrap();
            }
            for (first, last) in ranges {
                drop_between(&tx, *first, *last).unwrap();
            }
            let mut contents = Contents::of(&tx);
            let read = |id: i64| Some((id, contents.read(id).ok()?.texts().next()?.to_owned()));
            (1..=6).filter_map(read).collect()
        };
        let all: Vec<(i64, String)> = (1..).zip(texts.map(str::to_owned)).collect();
        assert_eq!(left(&[(7, 9)]), all);
        assert_eq!(left(&[(2, 3)]), [&all[..1], &all[3..]].concat());
        assert_eq!(left(&[(4, 5)]), [&all[..3], &all[5..]].concat());
        assert_eq!(left(&[(2, 4), (1, 1)]), all[4..]);
        assert_eq!(left(&[(1, 6)]), []);
        let tx = project.connection.unchecked_transaction().unwrap();
        Packer::new().unwrap().pack(&pairs).unwrap().insert(&tx).unwrap();
        for (first, last) in [(1, 2), (5, 6), (3, 4)] {
            drop_between(&tx, first, last).unwrap();
        }
        assert!(blocks(&tx).unwrap().is_empty(), "nothing is left of a block of which nothing is kept");
    }

    /// A document of the tenth version: a row a content, some of which are missing.
    fn of_before(connection: &Connection) -> Vec<(i64, Pair)> {
        let better = |strength| {
            let choice = Choice::Better { chosen: 0, rejected: 1, strength };
            Verdict { choice, who: "me".to_owned(), at_ms: 1, took_ms: None, shown_left: None, order: Vec::new() }
        };
        let mut pairs = Vec::new();
        connection.execute_batch("INSERT INTO changes VALUES (1, 'Import', 0, 'edit', NULL, 'done')").unwrap();
        for id in (1..20).chain([25]).chain(30..60) {
            let mut pair = Pair { id: PairId(id), ..pair(&format!("Question {id}: {}", "and so on ".repeat(90))) };
            match id % 3 {
                0 => pair.source = Some(Source { file: format!("{}.jsonl", id % 2), line: id as u64, id: None }),
                1 => pair.answers[1].origin = ::data::Origin::Model("run 1".to_owned()),
                _ => pair.verdict = Some(better(Strength::Clearly)),
            }
            let verdict = pair.verdict.as_ref().map(|verdict| serde_json::to_string(verdict).unwrap());
            connection.execute("INSERT INTO contents VALUES (?1, ?2)", params![id, body_of(&pair).unwrap()]).unwrap();
            connection
                .execute(
                    "INSERT INTO versions (pair, revision_from, content, state, verdict, split, tags, note, reward,
                         behaviour, len_bytes, prompt_key) VALUES (?1, 1, ?1, ?2, ?3, 0, '[]', '', 1.0, 1.0, 9, 7)",
                    params![id, i64::from(verdict.is_some()), verdict],
                )
                .unwrap();
            pairs.push((id, pair));
        }
        connection.execute("INSERT INTO contents VALUES (99, '{}')", []).unwrap();
        pairs
    }

    #[test]
    fn a_document_of_before_is_packed_and_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("runs")).unwrap();
        let connection = Connection::open(dir.path().join(DOCUMENT)).unwrap();
        schema::upgrade_to(&connection, 10).unwrap();
        let pairs = of_before(&connection);
        drop(connection);

        let project = Project::open(dir.path()).unwrap();
        for (id, pair) in &pairs {
            assert_eq!(project.pair(PairId(*id)).unwrap().as_ref(), Some(pair));
        }
        let blocks = blocks(&project.connection).unwrap();
        assert!(blocks.len() < 10 && blocks.last() == Some(&(blocks[blocks.len() - 1].0, 59)), "{blocks:?}");
        let found =
            |query: PairQuery| -> Vec<i64> { project.query(&query).unwrap().into_iter().map(|id| id.0).collect() };
        let all = PairQuery::default;
        assert_eq!(found(PairQuery { search: "question 25: and".to_owned(), ..all() }), [25]);
        let clearly = found(PairQuery { strength: Some(Strength::Clearly), ..all() });
        assert!(clearly.iter().all(|id| id % 3 == 2) && clearly.len() == 16, "{clearly:?}");
        let from = found(PairQuery { source: Some(PairSource::File("1.jsonl".to_owned())), ..all() });
        assert!(from.iter().all(|id| id % 6 == 3) && from.len() == 8, "{from:?}");
        let kinds: Vec<PairSource> = project.sources().unwrap().into_iter().map(|(source, _)| source).collect();
        assert_eq!(kinds.len(), 4, "two files, a model, by hand");
        assert!(project.connection.prepare("SELECT * FROM contents").is_err());
        let free: i64 = project.connection.pragma_query_value(None, "freelist_count", |row| row.get(0)).unwrap();
        assert_eq!(free, 0, "what the rows took is given back to the disk");
    }
}
