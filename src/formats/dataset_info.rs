//! LLaMA-Factory's `dataset_info.json`, which says beside a file what its columns are called.
//!
//! Source: <https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md>.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value as Json, json};

use super::{
    FieldMap, FormatError,
    options::{Format, Options},
};
use ::files::{Output, WriteError};

pub const NAME: &str = "dataset_info.json";

/// It describes some hundred sets at most.
const LONGEST: u64 = 4 << 20;

/// Its names for columns and tags, and ours in the two shapes.
const ALPACA: [(&str, &str); 6] = [
    ("prompt", "instruction"),
    ("query", "input"),
    ("history", "history"),
    ("system", "system"),
    ("chosen", "chosen"),
    ("rejected", "rejected"),
];
const SHAREGPT: [(&str, &str); 11] = [
    ("messages", "conversations"),
    ("system", "system"),
    ("tools", "tools"),
    ("chosen", "chosen"),
    ("rejected", "rejected"),
    ("role_tag", "from"),
    ("content_tag", "value"),
    ("user_tag", "human"),
    ("assistant_tag", "gpt"),
    ("observation_tag", "observation"),
    ("function_tag", "function_call"),
];

/// How a file is to be read: as `options` say, and where they say nothing as the `dataset_info.json` in its folder
/// does.
pub fn for_file(path: &Path, options: &Options) -> Options {
    let mut options = options.clone();
    if options.format == Format::AUTO
        && options.names == FieldMap::default()
        && let Some((format, names)) = described(path)
    {
        options.format = format;
        options.names = names;
    }
    options
}

/// What is said about the file, if it is one of ranked answers or of such as were said to be good or bad. A description
/// that cannot be read says nothing.
fn described(path: &Path) -> Option<(Format, FieldMap)> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let text = files::read_text(&folder.join(NAME), LONGEST).ok()?;
    let all: Map<String, Json> = serde_json::from_str(&text).ok()?;
    let set = all.values().find(|set| {
        let theirs = set["file_name"].as_str().unwrap_or_default();
        let is_it = Path::new(theirs).file_name().and_then(|theirs| theirs.to_str()) == Some(name);
        is_it && (set["ranking"] == true || set["columns"]["kto_tag"].is_string())
    })?;
    if set["ranking"] != true {
        return said_one_by_one(set);
    }
    let (format, known) = match set["formatting"].as_str() {
        None | Some("alpaca") => ("alpaca", &ALPACA[..]),
        Some("sharegpt" | "openai") => ("sharegpt", &SHAREGPT[..]),
        Some(_) => return None,
    };
    let mut names = FieldMap::default();
    for (theirs, ours) in known {
        let named = [&set["columns"], &set["tags"]].into_iter().find_map(|part| part[theirs].as_str());
        if let Some(name) = named.filter(|name| name != ours) {
            names.0.insert((*ours).to_owned(), name.to_owned());
        }
    }
    Some((format.parse().ok()?, names))
}

/// The columns of answers that were said to be good or bad, in Alpaca's shape.
fn said_one_by_one(set: &Json) -> Option<(Format, FieldMap)> {
    if !matches!(set["formatting"].as_str(), None | Some("alpaca")) {
        return None;
    }
    let column = |theirs: &str, usual: &str| set["columns"][theirs].as_str().unwrap_or(usual).to_owned();
    let names = [
        ("prompt", format!("{}+{}", column("prompt", "instruction"), column("query", "input"))),
        ("completion", column("response", "output")),
        ("system", column("system", "system")),
        ("label", column("kto_tag", "label")),
    ];
    let names = FieldMap(names.into_iter().map(|(ours, theirs)| (ours.to_owned(), theirs)).collect());
    Some(("unpaired".parse().ok()?, names))
}

/// Writes into the folder of files what their columns are called; what is said there of other files stays.
pub fn describe(format: Format, files: &[(PathBuf, [usize; 2])]) -> Result<Option<PathBuf>, FormatError> {
    let Some((first, _)) = files.first() else {
        return Ok(None);
    };
    let path = first.with_file_name(NAME);
    let mut all: Map<String, Json> = match files::read_text(&path, LONGEST) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| FormatError::Unfit {
            path: path.clone(),
            reason: format!("the files beside it were written, but not what describes them: it is not JSON ({error})"),
        })?,
        Err(error) if error.is_missing() => Map::new(),
        Err(error) => return Err(error.into()),
    };
    for (file, _) in files {
        let name = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let mut set = json!({"file_name": name(file.file_name()), "ranking": true});
        if format.name == "sharegpt" {
            set["formatting"] = "sharegpt".into();
            set["columns"] = json!({"messages": "conversations", "chosen": "chosen", "rejected": "rejected"});
        } else {
            let columns: Map<String, Json> =
                ALPACA.iter().map(|(theirs, ours)| ((*theirs).to_owned(), (*ours).into())).collect();
            set["columns"] = columns.into();
        }
        all.insert(name(file.file_stem()), set);
    }
    let mut out = Output::create(&path, true)?;
    let written =
        serde_json::to_writer_pretty(&mut out, &all).map_err(std::io::Error::from).and_then(|()| out.write_all(b"\n"));
    written.map_err(|source| WriteError::Write { path: path.clone(), source })?;
    out.finish()?;
    Ok(Some(path))
}
