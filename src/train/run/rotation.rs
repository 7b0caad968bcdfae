//! A run's checkpoints as folders: which there are, which make room for later ones, which are in doubt.
//!
//! `step-000120/` is a checkpoint to go on from; with `asked-for.txt` in it, it stays for good. `doubtful-000120/` is
//! one after which no step gave a number any more: only whoever names its step goes on from there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::error::{Result, TrainError};

const STEP: &str = "step-";
const DOUBTFUL: &str = "doubtful-";
const ASKED_FOR: &str = "asked-for.txt";

/// The folder of a step's checkpoint.
pub fn name_of(step: u64) -> String {
    format!("{STEP}{step:06}")
}

fn doubtful_name_of(step: u64) -> String {
    format!("{DOUBTFUL}{step:06}")
}

/// Steps with a checkpoint to go on from in any of a run's folders, ascending.
pub fn steps(folders: &[PathBuf]) -> Vec<u64> {
    named(folders, STEP)
}

/// Steps whose checkpoint is in doubt, ascending.
pub fn doubtful_steps(folders: &[PathBuf]) -> Vec<u64> {
    named(folders, DOUBTFUL)
}

fn named(folders: &[PathBuf], kind: &str) -> Vec<u64> {
    let entries = folders.iter().flat_map(fs::read_dir).flatten();
    let mut steps: Vec<u64> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_prefix(kind)?.parse().ok()
        })
        .collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Which there are, those in doubt too, for a sentence.
pub fn there(folders: &[PathBuf]) -> String {
    let steps = [steps(folders), doubtful_steps(folders)].concat();
    if steps.is_empty() {
        return "there is none".to_owned();
    }
    let steps: Vec<String> = steps.iter().map(u64::to_string).collect();
    format!("there are those of {}", steps.join(", "))
}

/// Where the checkpoint of a step is, in the last of a run's folders that has one; else the one in doubt.
pub fn find(folders: &[PathBuf], step: u64) -> Option<PathBuf> {
    place_of(folders, &name_of(step)).or_else(|| place_of(folders, &doubtful_name_of(step)))
}

fn place_of(folders: &[PathBuf], name: &str) -> Option<PathBuf> {
    folders.iter().rev().map(|folder| folder.join(name)).find(|path| path.is_dir())
}

/// The newest step with a checkpoint, or a sentence.
pub fn newest_step(folders: &[PathBuf]) -> Result<u64> {
    steps(folders).last().copied().ok_or_else(|| {
        let first = folders.first().map(|folder| folder.display().to_string());
        TrainError::Sentence(format!(
            "There is no checkpoint in {}; a run writes one when it is due, when it is asked to, and when it is stopped",
            first.unwrap_or_default()
        ))
    })
}

/// Where the newest checkpoint is.
pub fn newest(folders: &[PathBuf]) -> Option<PathBuf> {
    find(folders, steps(folders).pop()?)
}

/// Somebody asked for this checkpoint, or learns from it: it stays when older ones make room.
pub fn keep_for_good(folders: &[PathBuf], step: u64) -> Result<()> {
    let Some(checkpoint) = find(folders, step) else {
        return Ok(());
    };
    let note = checkpoint.join(ASKED_FOR);
    if note.is_file() {
        return Ok(());
    }
    let text = "This checkpoint was asked for, so it stays when older ones make room. Without this file it may go.\n";
    fs::write(&note, text).map_err(TrainError::io("write", note))
}

/// Those of the steps with a checkpoint that somebody asked for, ascending.
pub fn asked_for(folders: &[PathBuf]) -> Vec<u64> {
    let is_asked_for = |step: &u64| find(folders, *step).is_some_and(|path| stays(&path));
    steps(folders).into_iter().filter(is_asked_for).collect()
}

fn stays(checkpoint: &Path) -> bool {
    // What cannot be looked at is not removed.
    checkpoint.join(ASKED_FOR).try_exists().unwrap_or(true)
}

/// What does not make room for later checkpoints.
#[derive(Debug, Clone, Copy)]
pub struct Spared {
    /// So many of the newest, besides the last one.
    pub newest: usize,
    pub best: Option<u64>,
    /// The weights up to this step are known to give numbers: the newest such checkpoint is what a run falls back to.
    pub proven: u64,
}

/// Removes what need not be kept: all but the last, those asked for, and what is spared.
pub fn prune(folders: &[PathBuf], spared: Spared) -> Result<()> {
    let steps = steps(folders);
    let sound = steps.iter().rev().find(|step| **step <= spared.proven);
    let Some((_, earlier)) = steps.split_last() else {
        return Ok(());
    };
    let is_free = |step: &u64| Some(*step) != spared.best && !find(folders, *step).is_some_and(|path| stays(&path));
    let free: Vec<u64> = earlier.iter().copied().filter(is_free).collect();
    let old = &free[..free.len().saturating_sub(spared.newest)];
    old.iter().filter(|step| Some(*step) != sound).try_for_each(|step| remove(folders, *step))
}

/// Removes checkpoints later than `step`, when a run goes on from there.
pub fn truncate_after(folders: &[PathBuf], step: u64) -> Result<()> {
    let later = |steps: Vec<u64>| steps.into_iter().filter(move |later| *later > step);
    later(steps(folders)).chain(later(doubtful_steps(folders))).try_for_each(|later| remove(folders, later))
}

fn remove(folders: &[PathBuf], step: u64) -> Result<()> {
    while let Some(path) = find(folders, step) {
        fs::remove_dir_all(&path).map_err(TrainError::io("remove", &path))?;
    }
    Ok(())
}

/// Checkpoints later than `step` are in doubt from now on.
pub fn doubt_after(folders: &[PathBuf], step: u64) -> Result<()> {
    for later in steps(folders).into_iter().filter(|later| *later > step) {
        while let Some(path) = place_of(folders, &name_of(later)) {
            let aside = path.with_file_name(doubtful_name_of(later));
            if aside.exists() {
                fs::remove_dir_all(&aside).map_err(TrainError::io("replace", &aside))?;
            }
            fs::rename(&path, &aside).map_err(TrainError::io("rename", &path))?;
        }
    }
    Ok(())
}

/// Somebody goes on from the checkpoint of this step, which was in doubt.
pub fn trust(folders: &[PathBuf], step: u64) -> Result<()> {
    if place_of(folders, &name_of(step)).is_some() {
        return Ok(());
    }
    match place_of(folders, &doubtful_name_of(step)) {
        Some(path) => {
            fs::rename(&path, path.with_file_name(name_of(step))).map_err(TrainError::io("rename", path.clone()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(steps: &[u64]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        for step in steps {
            fs::create_dir(dir.path().join(name_of(*step))).unwrap();
        }
        let folders = vec![dir.path().to_owned()];
        (dir, folders)
    }

    #[test]
    fn g4_a_checkpoint_that_was_asked_for_never_makes_room() {
        let (_dir, folders) = with(&[100, 200, 320, 400]);
        keep_for_good(&folders, 320).unwrap();
        for step in [500, 600, 667] {
            fs::create_dir(folders[0].join(name_of(step))).unwrap();
            prune(&folders, Spared { newest: 1, best: Some(200), proven: step }).unwrap();
        }
        assert_eq!(steps(&folders), [200, 320, 600, 667]);
        assert_eq!(asked_for(&folders), [320]);
    }

    #[test]
    fn dm3_the_newest_proven_checkpoint_stays_until_a_newer_one_is_proven() {
        let (_dir, folders) = with(&[1, 2, 3, 4, 5]);
        let spared = Spared { newest: 0, best: None, proven: 2 };
        prune(&folders, spared).unwrap();
        assert_eq!(steps(&folders), [2, 5]);
        prune(&folders, Spared { proven: 5, ..spared }).unwrap();
        assert_eq!(steps(&folders), [5]);
    }

    #[test]
    fn dm3_a_checkpoint_in_doubt_is_found_only_by_its_step() {
        let (_dir, folders) = with(&[2, 4, 6]);
        doubt_after(&folders, 3).unwrap();
        assert_eq!(newest_step(&folders).unwrap(), 2);
        assert_eq!(doubtful_steps(&folders), [4, 6]);
        assert!(find(&folders, 4).unwrap().ends_with("doubtful-000004"));
        trust(&folders, 4).unwrap();
        assert_eq!(newest_step(&folders).unwrap(), 4);
        truncate_after(&folders, 4).unwrap();
        assert!(doubtful_steps(&folders).is_empty());
    }
}
