//! The reference: log-probs of policies at step 0, cached by everything they depend on.
//!
//! A run started again, or another run on the same model and data, finds its reference here and computes only what is new.

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

impl Project {
    /// Per-token log-probs, in the order asked for; absent where they have not been computed.
    pub fn cached_log_probs(&self, keys: &[LogProbKey]) -> Result<Vec<Option<Vec<f32>>>> {
        self.snapshot(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT log_probs FROM reference_log_probs WHERE key = ?1")?;
            keys.iter()
                .map(|key| {
                    let bytes: Option<Vec<u8>> = statement.query_row([&key.0], |row| row.get(0)).optional()?;
                    Ok(bytes.map(|bytes| {
                        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                    }))
                })
                .collect()
        })
    }

    pub fn cache_log_probs(&mut self, entries: &[(LogProbKey, Vec<f32>)]) -> Result<()> {
        self.write(Keep::Kill, |tx| {
            let mut insert =
                tx.prepare_cached("INSERT OR REPLACE INTO reference_log_probs (key, log_probs) VALUES (?1, ?2)")?;
            for (key, log_probs) in entries {
                let bytes: Vec<u8> = log_probs.iter().flat_map(|x| x.to_le_bytes()).collect();
                insert.execute(params![key.0, bytes])?;
            }
            Ok(())
        })
    }
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
        assert_eq!(found, [None, None, None, Some(values)]);
    }
}
