//! Where what comes back lies: the handed-over folder, its `out`, or one attempt. A stranger may have filled it, so no
//! link is followed out of it and no name counts but those that `train.py` gives.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// More attempts, or checkpoints of one, nobody makes.
const MOST: usize = 10_000;

/// The attempts below a folder, oldest first, each with its number; `dir` itself where it is one.
pub fn attempts(dir: &Path) -> Vec<(u64, PathBuf)> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().parse();
    let is_one = is_file(dir, "events.jsonl") || is_file(dir, "proof.json");
    if is_one {
        return vec![(name.unwrap_or(u64::MAX), dir.to_owned())];
    }
    let mut found = numbered(dir, "");
    if found.is_empty() && is_folder(&dir.join("out")) {
        found = numbered(&dir.join("out"), "");
    }
    found
}

/// Where an attempt left an adapter with its proof: its checkpoints, then its end.
pub fn handed_in(attempt: &Path) -> Vec<PathBuf> {
    let checkpoints = numbered(attempt, "checkpoint-").into_iter();
    let whole = checkpoints.filter(|(_, path)| is_file(path, "whole.json")).map(|(_, path)| path.join("nudge"));
    whole.chain([attempt.to_owned()]).filter(|path| is_folder(path) && is_file(path, "proof.json")).collect()
}

/// Folders called by a number behind `prefix`, by that number.
fn numbered(dir: &Path, prefix: &str) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().take(MOST);
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let digits = name.to_str()?.strip_prefix(prefix)?;
            let number = digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            is_folder(&entry.path()).then(|| (number, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Itself, not what a link leads to.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

pub fn is_file(dir: &Path, name: &str) -> bool {
    fs::symlink_metadata(dir.join(name)).is_ok_and(|about| about.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_and_what_they_handed_in_are_found_from_wherever_one_points() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        for name in [
            "out/2/events.jsonl",
            "out/10/events.jsonl",
            "out/10/proof.json",
            "out/10/checkpoint-5/whole.json",
            "out/10/checkpoint-5/nudge/proof.json",
            "out/10/checkpoint-9/nudge/proof.json",
            "out/10/checkpoint-x/whole.json",
            "out/+7/events.jsonl",
            "out/anchors.json",
        ] {
            put(name);
        }
        let out = dir.path().join("out");
        let all = vec![(2, out.join("2")), (10, out.join("10"))];
        assert_eq!(attempts(dir.path()), all);
        assert_eq!(attempts(&out), all);
        assert_eq!(attempts(&out.join("10")), all[1..]);
        assert_eq!(handed_in(&out.join("10")), [out.join("10/checkpoint-5/nudge"), out.join("10")]);
        assert!(handed_in(&out.join("2")).is_empty());
        assert!(attempts(&out.join("nothing")).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_an_attempt() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("proof.json"), "{}").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("1")).unwrap();
        fs::create_dir(dir.path().join("2")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("proof.json"), dir.path().join("2/proof.json")).unwrap();
        assert_eq!(attempts(dir.path()).len(), 1);
        assert!(handed_in(&dir.path().join("2")).is_empty());
    }
}
