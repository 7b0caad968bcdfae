//! The reference: log-probs of policies at step 0, cached by everything they depend on.
//!
//! A run started again, or another run on the same model and data, finds its reference here and computes only what is
//! new.

use rusqlite::{OptionalExtension as _, params};

use super::{
    Project,
    project::{Keep, Result},
};

/// Names cached log-probs by everything they depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogProbKey(pub [u8; 32]);

impl LogProbKey {
    /// `reference`: `model`'s identity of the policy at step 0; `codec`: the tokenizer's and template's. The ids are
    /// those that were fed in, so nothing has to be forgotten when a text or a limit changes.
    pub fn new(reference: &str, codec: &str, prefix: &[u32], answer: &[u32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in [reference, codec] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        for ids in [prefix, answer] {
            hasher.update(&(ids.len() as u64).to_le_bytes());
            for id in ids {
                hasher.update(&id.to_le_bytes());
            }
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// What the cache had of what was asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CachedLogProbs {
    /// Per token, in the order asked for; absent where they have not been computed, or can no longer be relied on.
    pub log_probs: Vec<Option<Vec<f32>>>,
    /// Entries that are not what was once written.
    pub damaged: usize,
}

impl Project {
    pub fn cached_log_probs(&self, keys: &[LogProbKey]) -> Result<CachedLogProbs> {
        self.snapshot(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT log_probs, checksum FROM reference_log_probs WHERE key = ?1")?;
            let mut cached = CachedLogProbs::default();
            for key in keys {
                let entry: Option<(Vec<u8>, Vec<u8>)> =
                    statement.query_row([&key.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                let found = entry.and_then(|(bytes, sum)| {
                    let is_whole = sum == checksum(key, &bytes) && bytes.len().is_multiple_of(4);
                    cached.damaged += usize::from(!is_whole);
                    is_whole.then_some(bytes)
                });
                cached.log_probs.push(found.map(|bytes| {
                    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }));
            }
            Ok(cached)
        })
    }

    /// Nothing is kept where nothing can be written: it is a cache.
    pub fn cache_log_probs(&mut self, entries: &[(LogProbKey, Vec<f32>)]) -> Result<()> {
        if self.is_read_only() {
            return Ok(());
        }
        self.write(Keep::Kill, |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO reference_log_probs (key, log_probs, checksum) VALUES (?1, ?2, ?3)",
            )?;
            for (key, log_probs) in entries {
                let bytes: Vec<u8> = log_probs.iter().flat_map(|x| x.to_le_bytes()).collect();
                insert.execute(params![key.0, bytes, checksum(key, &bytes)])?;
            }
            Ok(())
        })
    }

    /// Forgets entries that turned out not to be what their names say.
    pub fn forget_log_probs(&mut self, keys: &[LogProbKey]) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            let mut delete = tx.prepare_cached("DELETE FROM reference_log_probs WHERE key = ?1")?;
            for key in keys {
                delete.execute([&key.0])?;
            }
            Ok(())
        })
    }
}

fn checksum(key: &LogProbKey, bytes: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.0).update(bytes);
    let mut sum = [0; 8];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectSettings;

    #[test]
    fn values_come_back_to_the_bit_and_only_for_the_same_ids() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let key = LogProbKey::new("model", "codec", &[1, 2], &[3]);
        // Moving a token across the border, or a letter, is another key.
        let others = [
            LogProbKey::new("model", "codec", &[1], &[2, 3]),
            LogProbKey::new("modelc", "odec", &[1, 2], &[3]),
            LogProbKey::new("other", "codec", &[1, 2], &[3]),
        ];
        let values = vec![-0.1, f32::NEG_INFINITY, -1e-40];
        project.cache_log_probs(&[(key, values.clone())]).unwrap();
        let mut keys = others.to_vec();
        keys.push(key);
        let found = project.cached_log_probs(&keys).unwrap();
        assert_eq!(found.log_probs, [None, None, None, Some(values)]);
        assert_eq!(found.damaged, 0);
    }

    #[test]
    fn dl10_a_damaged_entry_is_missing_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let keys = [1, 2, 3, 4].map(|id| LogProbKey::new("model", "codec", &[id], &[7]));
        let entries: Vec<_> = keys.iter().map(|key| (*key, vec![-0.5, -1.5])).collect();
        project.cache_log_probs(&entries).unwrap();
        let change = |sql: &str, key: &LogProbKey| project.connection.execute(sql, [&key.0]).unwrap();
        // A bit, the entry of another key, half of it.
        change("UPDATE reference_log_probs SET log_probs = zeroblob(8) WHERE key = ?1", &keys[0]);
        change("UPDATE reference_log_probs SET key = zeroblob(32) WHERE key = ?1", &keys[1]);
        change("UPDATE reference_log_probs SET log_probs = substr(log_probs, 1, 6) WHERE key = ?1", &keys[2]);
        let moved = LogProbKey([0; 32]);
        let found = project.cached_log_probs(&[keys[0], keys[1], moved, keys[2], keys[3]]).unwrap();
        assert_eq!(found.log_probs, [None, None, None, None, Some(vec![-0.5, -1.5])]);
        assert_eq!(found.damaged, 3);
        project.cache_log_probs(&entries).unwrap();
        assert_eq!(project.cached_log_probs(&keys).unwrap().damaged, 0);
    }
}
