//! The rules of the house that no compiler keeps: who may know whom, and how long a file may be.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Which rooms each room of the program's own crate may name. The others are crates: cargo keeps their walls.
const ARROWS: &[(&str, &[&str])] = &[
    ("hub", &["model"]),
    ("state", &["data", "store", "engine", "objective", "formats", "judge"]),
    ("ui", &["state", "data", "store", "engine", "objective"]),
    (
        "app",
        &[
            "ui",
            "state",
            "store",
            "data",
            "engine",
            "objective",
            "formats",
            "export",
            "text",
            "train",
            "hub",
            "files",
            "judge",
        ],
    ),
    ("cli", ALL),
];

/// The rooms that are crates; nobody names one but through `crate::`, so that the walls above see it.
const CRATES: &[&str] = &[
    "data",
    "engine",
    "export",
    "files",
    "formats",
    "gguf",
    "judge",
    "kernels",
    "model",
    "objective",
    "store",
    "text",
    "train",
];

/// What the command line may name: all rooms but those that draw.
const ALL: &[&str] = &[
    "app",
    "data",
    "engine",
    "export",
    "files",
    "formats",
    "hub",
    "judge",
    "kernels",
    "model",
    "objective",
    "store",
    "text",
    "train",
];

/// What the screen's rooms may name of the engine: the messages, never the thread.
const ENGINE_FACE: &[&str] = &["protocol"];

const CANDLE_ROOMS: &[&str] = &["kernels", "model", "train"];
const EGUI_ROOMS: &[&str] = &["ui", "app"];

/// Only this room names the network.
const NETWORK_ROOM: &str = "hub";

const LONG: usize = 500;
const TOO_LONG: usize = 800;
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

/// Names that follow `crate::` in `code`, with what follows each: `("engine", "protocol")`.
fn rooms_named(code: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            // `use crate::{data::Pair, store::{..}}`: the names at depth one.
            let mut depth = 1;
            let mut item = String::new();
            for letter in group.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && letter == ',') {
                    found.push(first_two(item.trim()));
                    item.clear();
                } else {
                    item.push(letter);
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.push(first_two(rest));
        }
    }
    found.retain(|(room, _)| !room.is_empty());
    found
}

fn first_two(path: &str) -> (String, String) {
    let name =
        |text: &str| text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>();
    let room = name(path);
    let inner = path.get(room.len()..).and_then(|rest| rest.strip_prefix("::")).map(name).unwrap_or_default();
    (room, inner)
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn rooms_know_only_whom_they_may() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut faults = Vec::new();
    for file in sources() {
        let Some(allowed) = arrows.get(file.room.as_str()) else {
            continue;
        };
        for (room, inner) in rooms_named(&file.code) {
            let is_room = arrows.contains_key(room.as_str()) || CRATES.contains(&room.as_str());
            if room == file.room || !is_room {
                continue;
            }
            if !allowed.contains(&room.as_str()) {
                faults.push(format!("{}: {} may not know {room}", file.path.display(), file.room));
            } else if room == "engine" && matches!(file.room.as_str(), "state" | "ui") {
                let group_is_fine = inner.is_empty() || ENGINE_FACE.contains(&inner.as_str());
                if !group_is_fine {
                    faults.push(format!(
                        "{}: {} may know engine::protocol only, not engine::{inner}",
                        file.path.display(),
                        file.room
                    ));
                }
            }
        }
    }
    assert_none(&faults);
}

/// `use model::..` would pass a wall that only `crate::model` is held to.
#[test]
fn crates_are_named_through_the_house() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| !CRATES.contains(&file.room.as_str()) && file.room != "lib") {
        for room in CRATES {
            let outright = file.code.lines().map(str::trim_start).any(|line| {
                let line = line.strip_prefix("pub ").unwrap_or(line);
                line.strip_prefix("use ").is_some_and(|path| {
                    let path = path.strip_prefix("::").unwrap_or(path);
                    path.strip_prefix(room).is_some_and(|rest| rest.starts_with("::") || rest.starts_with(';'))
                })
            });
            if outright || file.code.contains(&format!(" ::{room}::")) {
                faults.push(format!("{}: write crate::{room}", file.path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn candle_and_egui_stay_in_their_rooms() {
    let mut faults = Vec::new();
    for file in sources() {
        let names = |what: &str| file.code.contains(what);
        if (names("candle_core") || names("candle_nn") || names("candle_transformers"))
            && !CANDLE_ROOMS.contains(&file.room.as_str())
        {
            faults.push(format!("{}: only {CANDLE_ROOMS:?} name candle", file.path.display()));
        }
        if (names("egui::") || names("eframe::") || names("egui_plot") || names("rfd::"))
            && !EGUI_ROOMS.contains(&file.room.as_str())
        {
            faults.push(format!("{}: only {EGUI_ROOMS:?} name egui", file.path.display()));
        }
    }
    assert_none(&faults);
}

#[test]
fn the_network_stays_in_its_room() {
    let mut faults = Vec::new();
    for file in sources().iter().filter(|file| file.room != NETWORK_ROOM) {
        for word in ["ureq", "std::net"] {
            if file.code.contains(word) {
                faults.push(format!("{}: only `{NETWORK_ROOM}` may name {word}", file.path.display()));
            }
        }
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
fn the_walker_reads_use_groups() {
    let code = "use crate::{data::Pair, engine::{protocol::Event, config}, store::RunId};\nlet x = crate::text::Codec::load();";
    let rooms: Vec<String> = rooms_named(code).into_iter().map(|(room, _)| room).collect();
    assert_eq!(rooms, ["data", "engine", "store", "text"]);
    assert_eq!(first_two("engine::protocol::Event"), ("engine".to_owned(), "protocol".to_owned()));
}
