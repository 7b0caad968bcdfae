//! The rules of the house that no compiler keeps: who may know whom, and how long a file may be.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms from the bottom up: what a room knows stands before it. Cargo keeps that nobody names more than its
/// `Cargo.toml` does; this keeps what may stand there.
const ROOMS: [&str; 18] = [
    "data", "files", "gguf", "formats", "store", "text", "kernels", "model", "hub", "judge", "train", "export",
    "handover", "engine", "state", "ui", "app", "cli",
];

/// Crates that only some rooms may know.
const KEPT: [(&str, &[&str]); 4] = [
    ("candle-core", &["kernels"]),
    ("egui", &["ui", "app"]),
    ("rusqlite", &["store"]),
    // The network.
    ("ureq", &["hub"]),
];

const LONG: usize = 500;
const TOO_LONG: usize = 800;
/// Of a comment, in characters; of code the formatter keeps it.
const WIDTH: usize = 120;
const NAMES_THAT_SAY_NOTHING: &[&str] =
    &["utils", "util", "helpers", "common", "base", "types", "manager", "handler", "misc"];

struct File {
    path: PathBuf,
    room: String,
    /// The text without comments.
    code: String,
    text: String,
}

fn sources() -> Vec<File> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap();
            let room =
                relative.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
            File { path: relative.to_owned(), room, code, text }
        })
        .collect()
}

/// Names of the dependencies of a room, those of its tests left out.
fn dependencies(room: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(room).join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_know_only_those_below() {
    let mut faults = Vec::new();
    for (floor, room) in ROOMS.iter().enumerate() {
        for other in dependencies(room) {
            let above = ROOMS.iter().position(|known| **known == other).is_some_and(|other| other >= floor);
            let kept = KEPT.iter().any(|(name, rooms)| *name == other && !rooms.contains(room));
            if above || kept {
                faults.push(format!("{room} may not know {other}"));
            }
        }
    }
    let folders = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let folders = folders.filter_map(|entry| entry.ok().filter(|entry| entry.path().is_dir()));
    for folder in folders.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if !ROOMS.contains(&folder.as_str()) {
            faults.push(format!("{folder} has no place among the rooms"));
        }
    }
    assert_none(&faults);
}

/// The screen hears from the engine and speaks to it; it never holds its thread.
#[test]
fn the_screen_knows_the_engines_messages_only() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| ["state", "ui"].contains(&file.room.as_str())) {
        for (start, _) in file.code.match_indices("engine::") {
            if !file.code[start..].starts_with("engine::protocol") {
                faults.push(format!("{}: names more of the engine than engine::protocol", file.path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn the_network_stays_in_its_room() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| file.room != "hub" && file.code.contains("std::net")) {
        faults.push(format!("{}: only `hub` may name std::net", file.path.display()));
    }
    assert_none(&faults);
}

#[test]
fn the_screen_touches_no_disk_thread_or_channel() {
    let forbidden = [
        "std::fs",
        "fs::",
        "std::thread",
        "thread::",
        "crossbeam",
        "Mutex",
        "RwLock",
        "rusqlite",
        ".recv()",
        "Project::open",
    ];
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| file.room == "ui") {
        for word in forbidden {
            if file.code.contains(word) {
                faults.push(format!("{}: `ui` may not name {word}", file.path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn files_can_be_read_at_one_sitting() {
    let mut faults = Vec::new();
    for file in sources() {
        let lines = file.text.lines().count();
        let reason_given =
            file.text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("Long because"));
        if lines > TOO_LONG {
            faults.push(format!("{}: {lines} lines; split it (at most {TOO_LONG})", file.path.display()));
        } else if lines > LONG && !reason_given {
            faults.push(format!(
                "{}: {lines} lines; over {LONG} the header says \"Long because …\"",
                file.path.display()
            ));
        }
    }
    assert_none(&faults);
}

#[test]
fn file_names_say_something_and_files_say_what_they_are() {
    let mut faults = Vec::new();
    for file in sources() {
        let stem = file.path.file_stem().unwrap().to_string_lossy().into_owned();
        if NAMES_THAT_SAY_NOTHING.contains(&stem.as_str()) {
            faults.push(format!("{}: name it after what it holds", file.path.display()));
        }
        if !file.text.starts_with("//!") {
            faults.push(format!("{}: begins without a `//!` that says what it is", file.path.display()));
        }
    }
    assert_none(&faults);
}

#[test]
fn comments_are_no_wider_than_code() {
    let mut faults = Vec::new();
    for file in sources() {
        for (at, line) in file.text.lines().enumerate() {
            // A setting's line of documentation is its sentence on the screen: one literal.
            let is_setting = file.path.starts_with("data/config") || file.path.ends_with("data/config.rs");
            let is_comment = line.trim_start().starts_with("//") && !(is_setting && line.contains("/// "));
            if is_comment && line.chars().count() > WIDTH {
                faults.push(format!("{}:{}: over {WIDTH} characters", file.path.display(), at + 1));
            }
        }
    }
    assert_none(&faults);
}
