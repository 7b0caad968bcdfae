//! Files that were named, and those in folders that were.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{FormatError, dataset_info};

/// What preference files are called; more endings may follow from packing.
const ENDINGS: [&str; 11] =
    ["jsonl", "json", "ndjson", "csv", "tsv", "parquet", "arrow", "arrows", "feather", "gz", "zst"];

/// Files beside data that say something about it.
const ABOUT: [&str; 3] = [dataset_info::NAME, "dataset_dict.json", "state.json"];

/// Folders in folders in folders: data sets go no deeper.
const DEEPEST: usize = 4;

/// The files that are meant: a file itself, and of a folder all that are called like data, by their names. A folder
/// without any is refused.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FormatError> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let before = all.len();
        walk(path, 0, &mut all)?;
        if all.len() == before {
            let remedy = format!("Name a file; those in folders are found by their endings: {}.", ENDINGS.join(", "));
            return Err(FormatError::foreign(path, "a folder without data", &remedy));
        }
    }
    Ok(all)
}

fn walk(folder: &Path, depth: usize, all: &mut Vec<PathBuf>) -> Result<(), FormatError> {
    let failed = FormatError::reading(folder);
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(&failed)? {
        entries.push(entry.map_err(&failed)?.path());
    }
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < DEEPEST {
                walk(&path, depth + 1, all)?;
            }
        } else if is_data(&name) {
            all.push(path);
        }
    }
    Ok(())
}

fn is_data(name: &str) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    ENDINGS.contains(&ending.as_str()) && !ABOUT.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_the_data_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.jsonl", "a.parquet", "README.md", "dataset_info.json", "data/c.jsonl.gz", ".cache/d.json"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let one = dir.path().join("README.md");
        let found = files(&[dir.path().to_owned(), one.clone()]).unwrap();
        let names = ["a.parquet", "b.jsonl", "data/c.jsonl.gz"].map(|name| dir.path().join(name));
        assert_eq!(found, [names.to_vec(), vec![one]].concat());
        fs::create_dir(dir.path().join("empty")).unwrap();
        assert!(files(&[dir.path().join("empty")]).unwrap_err().to_string().contains("a folder without data"));
    }
}
