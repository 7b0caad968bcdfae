//! Full-text search over prompts and answers.
//!
//! A search is words; each must occur, as it is, in any case, also inside longer words and in any script. The trigram index
//! says which texts may hold a word (it keeps no positions, which makes it a third of the size and quick to build); the
//! text itself decides. Words of one or two characters are in no index: then all newest texts are read.
//!
//! What an import brings is indexed in blocks of neighbours, which have most of their trigrams in common: the index is half
//! the size and takes half the time, and a search reads some texts more.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::{
    pairs::{texts_of, unreadable},
    project::Result,
};
use ::data::{Answer, Prompt};

/// Contents of a block, whose first has an id that is a multiple of it.
pub(super) const BLOCK: i64 = 16;
/// Rows of the index from this one on are blocks; below, they are contents by their ids.
const BLOCKS: i64 = 1 << 48;

/// Words of some texts, each once, since a search asks only for letters within words.
#[derive(Default)]
pub(super) struct Words {
    known: HashSet<String>,
    text: String,
}

impl Words {
    pub(super) fn add(&mut self, prompt: &Prompt, answers: &[Answer]) {
        for word in texts(prompt, answers).flat_map(str::split_whitespace) {
            if !self.known.contains(word) {
                self.known.insert(word.to_owned());
                self.text.push_str(word);
                self.text.push('\n');
            }
        }
    }

    fn insert(self, connection: &Connection, row: i64) -> Result<()> {
        connection
            .prepare_cached("INSERT INTO content_search (rowid, text) VALUES (?1, ?2)")?
            .execute(params![row, self.text])?;
        Ok(())
    }

    /// Indexes them as those of the block that begins with this content.
    pub(super) fn insert_block(self, connection: &Connection, first: i64) -> Result<()> {
        self.insert(connection, BLOCKS + first / BLOCK)
    }
}

/// Adds the texts of a pair under their content's id.
pub(super) fn index(connection: &Connection, content: i64, prompt: &Prompt, answers: &[Answer]) -> Result<()> {
    let mut words = Words::default();
    words.add(prompt, answers);
    words.insert(connection, content)
}

/// Contents in which all words occur; absent when the search has no words, which everything matches.
pub(super) fn matching(connection: &Connection, search: &str) -> Result<Option<HashSet<i64>>> {
    let words: Vec<String> = search.split_whitespace().map(fold).collect();
    if words.is_empty() {
        return Ok(None);
    }
    let trigrams = match_expression(search);
    let sql = if trigrams.is_some() {
        format!(
            "WITH found (place) AS MATERIALIZED
                 (SELECT rowid FROM content_search WHERE content_search MATCH ?1)
             SELECT id, body FROM found JOIN contents ON id = place WHERE place < {BLOCKS}
             UNION ALL SELECT id, body FROM found JOIN contents
                 ON id BETWEEN (place - {BLOCKS}) * {BLOCK} AND (place - {BLOCKS}) * {BLOCK} + {BLOCK} - 1
                 WHERE place >= {BLOCKS}
             UNION ALL SELECT id, body FROM unindexed JOIN contents ON id BETWEEN first AND last"
        )
    } else {
        "SELECT id, body FROM contents WHERE id IN (SELECT content FROM versions WHERE revision_to IS NULL) AND ?1 IS NULL"
            .to_owned()
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([trigrams])?;
    let mut found = HashSet::new();
    while let Some(row) = rows.next()? {
        let (prompt, answers) = texts_of(row.get_ref(1)?.as_str().map_err(unreadable)?)?;
        let texts: Vec<String> = texts(&prompt, &answers).map(fold).collect();
        if words.iter().all(|word| texts.iter().any(|text| text.contains(word))) {
            found.insert(row.get(0)?);
        }
    }
    Ok(Some(found))
}

/// All trigrams of all words long enough to have one, each quoted; the index folds case by itself.
fn match_expression(search: &str) -> Option<String> {
    let mut trigrams: Vec<String> = Vec::new();
    for word in search.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for three in letters.windows(3) {
            let quoted = three.iter().collect::<String>().replace('"', "\"\"");
            trigrams.push(format!("\"{quoted}\""));
        }
    }
    trigrams.sort_unstable();
    trigrams.dedup();
    (!trigrams.is_empty()).then(|| trigrams.join(" AND "))
}

/// Lower case letter by letter, so that a letter folds the same wherever it stands.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            'ς' => folded.push('σ'),
            letter if letter.is_ascii() => folded.push(letter.to_ascii_lowercase()),
            letter => folded.extend(letter.to_lowercase()),
        }
    }
    folded
}

fn texts<'a>(prompt: &'a Prompt, answers: &'a [Answer]) -> impl Iterator<Item = &'a str> {
    let turns = match prompt {
        Prompt::Text(_) => &[][..],
        Prompt::Chat(turns) => turns,
    };
    let text = match prompt {
        Prompt::Text(text) => Some(text.as_str()),
        Prompt::Chat(_) => None,
    };
    text.into_iter()
        .chain(turns.iter().map(|turn| turn.content.as_str()))
        .chain(answers.iter().map(|answer| answer.text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigram_is_asked_for_once_and_quoted() {
        assert_eq!(match_expression("ab c"), None);
        assert_eq!(match_expression("abab x\"y").as_deref(), Some(r#""aba" AND "bab" AND "x""y""#));
    }

    #[test]
    fn folding_knows_more_than_ascii() {
        assert_eq!(fold("ÄÖÜ"), fold("äöü"));
        assert_eq!(fold("ΟΔΟΣ"), fold("οδος"));
    }
}
