//! The names the hub gives to contents, which are their checksums: SHA-256 for large files, git's own for small ones.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// What a file's content must hash to; the name of its blob in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Checksum {
    /// 64 hex digits.
    Sha256(String),
    /// Git's name of a blob, 40 hex digits: SHA-1 over `blob LENGTH\0` and the content.
    Git(String),
}

impl Checksum {
    /// Reads an entity tag: `"…"`, perhaps weak, with 40 or 64 hex digits. It becomes a file name, so nothing else will
    /// do.
    pub(super) fn read(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        let digits = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
        if !digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        match digits.len() {
            64 => Some(Self::Sha256(digits.to_owned())),
            40 => Some(Self::Git(digits.to_owned())),
            _ => None,
        }
    }

    /// Its hex digits.
    pub(super) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::Git(digits) => digits,
        }
    }

    /// Starts to hash a content of `bytes` bytes.
    pub(super) fn hasher(&self, bytes: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::Git(_) => Hasher::Git(Sha1::new().chain_update(format!("blob {bytes}\0"))),
        }
    }
}

/// A content on its way.
#[derive(Clone)]
pub(super) enum Hasher {
    Sha256(Sha256),
    Git(Sha1),
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn digits(self) -> String {
        use std::fmt::Write as _;

        let digest: Vec<u8> = match self {
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Git(hasher) => hasher.finalize().to_vec(),
        };
        digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").ok();
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(checksum: &Checksum, content: &[u8]) -> String {
        let mut hasher = checksum.hasher(content.len() as u64);
        let (start, end) = content.split_at(content.len() / 2);
        hasher.update(start);
        hasher.update(end);
        hasher.digits()
    }

    #[test]
    fn both_kinds_agree_with_git_and_sha256sum() {
        // `printf 'hello\n' | git hash-object --stdin`, `printf 'hello\n' | sha256sum`
        for tag in [
            "\"ce013625030ba8dba906f756967f9e9ca394464a\"",
            "W/\"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03\"",
        ] {
            let checksum = Checksum::read(tag).unwrap();
            assert_eq!(of(&checksum, b"hello\n"), checksum.digits());
            assert_ne!(of(&checksum, b"hallo\n"), checksum.digits());
        }
    }

    #[test]
    fn what_is_no_checksum_becomes_no_file_name() {
        for tag in ["", "../../etc/passwd", &"/".repeat(40), &"g".repeat(64), "abc"] {
            assert_eq!(Checksum::read(tag), None, "{tag}");
        }
    }
}
