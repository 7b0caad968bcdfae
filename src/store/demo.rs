//! The demo: an ordinary project made from an ordinary folder of files.
//!
//! `model/` (a Hugging Face folder), `pairs.jsonl` (a [`Pair`] a line), `reference.jsonl` (a [`ReferenceAnswer`] a
//! line), `retention.txt` (passages between blank lines), `probes.jsonl` (a [`Probe`] a line), `about.toml` (what the
//! window tells of it, by place), `judge.toml` (rules for answers) and `run.toml`. Any of the files but the pairs may
//! be missing.

use std::{
    env, fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

use super::{Probe, Project, ProjectSettings, StoreError, project::Result};
use ::data::{Change, Edit, Pair, PairId, ReferenceAnswer};

/// What the name of a demo that is being made begins with.
const ASIDE: &str = ".demo-";
/// Letters that follow.
const RANDOM: usize = 6;

/// The setting that holds what a project tells about itself.
pub const ABOUT: &str = "about";

/// Rules for answers, which stay a file that a person edits.
const RULES: &str = "judge.toml";

/// The setting that remembers which files a demo project was made from.
const MADE_FROM: &str = "demo_made_from";

/// Opens the demo project, making it first where it does not exist or the files it is made from have changed; what was
/// done in the old one is then kept beside it. `dir` absent: in the user's data directory. Gives the project's folder.
pub fn open_demo(dir: Option<&Path>) -> Result<PathBuf> {
    open_demo_of(&assets()?, dir)
}

/// The same from any folder of such files.
pub fn open_demo_of(assets: &Path, dir: Option<&Path>) -> Result<PathBuf> {
    let dir = match dir {
        Some(dir) => dir.to_owned(),
        None => data_dir()?.join("demo"),
    };
    let identity = identity(assets)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(StoreError::io("make the folder", parent))?;
    let _turn = take_turn(parent);
    if Project::is_project(&dir) {
        let project = Project::open(&dir)?;
        if project.setting(MADE_FROM)? == Some(identity.clone()) {
            return Ok(dir);
        }
        let used = project.revision()?.0 > 1 || !project.runs()?.is_empty();
        drop(project);
        put_away(&dir, used)?;
    }
    // Made aside and renamed: a demo that is there is a whole one.
    let aside = tempfile::Builder::new()
        .prefix(ASIDE)
        .rand_bytes(RANDOM)
        .tempdir_in(parent)
        .map_err(StoreError::io("make a folder in", parent))?;
    make(assets, &aside.path().join("project"), &identity)?;
    if dir.is_dir() {
        // Only an empty folder, e.g. one that was made to hold the demo, may be in the way.
        fs::remove_dir(&dir).map_err(StoreError::io("replace the folder", &dir))?;
    }
    fs::rename(aside.path().join("project"), &dir).map_err(StoreError::io("make the folder", &dir))?;
    Ok(dir)
}

/// Where the program keeps what belongs to no project.
pub fn data_dir() -> Result<PathBuf> {
    directories::ProjectDirs::from("", "", "nudge").map(|dirs| dirs.data_dir().to_owned()).ok_or_else(|| {
        StoreError::Io {
            what: "find a home folder for",
            path: PathBuf::from("nudge"),
            source: io::ErrorKind::NotFound.into(),
        }
    })
}

/// `assets/demo`: where `NUDGE_ASSETS` says, beside the program, or in the source tree it was built from.
fn assets() -> Result<PathBuf> {
    let beside = env::current_exe().ok().and_then(|exe| exe.parent().map(Path::to_owned));
    let places = [
        env::var_os("NUDGE_ASSETS").map(PathBuf::from),
        beside.as_ref().map(|dir| dir.join("assets")),
        beside.as_ref().map(|dir| dir.join("../share/nudge")),
        Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets")),
    ];
    let demos = places.into_iter().flatten().map(|dir| dir.join("demo"));
    demos.into_iter().find(|dir| dir.join("pairs.jsonl").is_file()).ok_or_else(|| StoreError::Io {
        what: "find the demo's files; set NUDGE_ASSETS to the folder that holds",
        path: PathBuf::from("demo/pairs.jsonl"),
        source: io::ErrorKind::NotFound.into(),
    })
}

/// Waits until no other process makes a demo in this folder, and clears away what one that was killed has left. The
/// turn lasts as long as what is returned; nothing where the folder cannot be locked, and then nothing is cleared away.
fn take_turn(parent: &Path) -> Option<fs::File> {
    let turn = fs::File::open(parent).ok()?;
    turn.lock().ok()?;
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(ASIDE));
        if is_folder && random.is_some_and(|letters| letters.len() == RANDOM) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    Some(turn)
}

fn make(assets: &Path, dir: &Path, identity: &str) -> Result<()> {
    copy(&assets.join("model"), &dir.join("model"))?;
    let run_toml = read(&assets.join("run.toml"))?.unwrap_or_default();
    let mut project =
        Project::create(dir, &ProjectSettings { name: "Demo".to_owned(), model: dir.join("model"), run_toml })?;
    let pairs: Vec<Pair> = lines(&assets.join("pairs.jsonl"))?;
    let label = format!("Import {} pairs", pairs.len());
    let edits = pairs.into_iter().map(|pair| Edit::add(Pair { id: PairId::NEW, ..pair })).collect();
    project.apply(&Change::new(label, edits))?;
    project.begin_here()?;
    project.set_references(&lines::<ReferenceAnswer>(&assets.join("reference.jsonl"))?)?;
    project.set_probes(&lines::<Probe>(&assets.join("probes.jsonl"))?)?;
    let retention = read(&assets.join("retention.txt"))?.unwrap_or_default();
    let passages: Vec<String> = retention
        .split("\n\n")
        .map(|passage| passage.trim().to_owned())
        .filter(|passage| !passage.is_empty())
        .collect();
    project.set_retention(&passages)?;
    if let Some(about) = read(&assets.join("about.toml"))? {
        project.set_setting(ABOUT, &about)?;
    }
    let rules = assets.join(RULES);
    if rules.is_file() {
        copy_file(&rules, &dir.join(RULES))?;
    }
    project.set_setting(MADE_FROM, identity)
}

/// An old demo that was worked in gets the first free name beside it; one that was not is deleted.
fn put_away(dir: &Path, used: bool) -> Result<()> {
    if !used {
        return fs::remove_dir_all(dir).map_err(StoreError::io("delete", dir));
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    for number in 1.. {
        let place = dir.with_file_name(format!("{name}-before-{number}"));
        if !place.exists() {
            return fs::rename(dir, place).map_err(StoreError::io("rename", dir));
        }
    }
    Ok(())
}

/// A hash of all files with their names.
fn identity(assets: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    for path in files(assets)? {
        let name = path.strip_prefix(assets).unwrap_or(&path);
        hasher.update(name.to_string_lossy().as_bytes());
        let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// All files below a folder, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(StoreError::io("read the folder", dir))? {
        let path = entry.map_err(StoreError::io("read the folder", dir))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for path in files(from)? {
        let target = to.join(path.strip_prefix(from).unwrap_or(&path));
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent).map_err(StoreError::io("make the folder", parent))?;
        }
        copy_file(&path, &target)?;
    }
    Ok(())
}

/// Reads and writes apart, so that an error names the side that it happened on.
fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let mut source = fs::File::open(from).map_err(StoreError::io("read", from))?;
    let mut target = fs::File::create(to).map_err(StoreError::io("write", to))?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = source.read(&mut buffer).map_err(StoreError::io("read", from))?;
        if read == 0 {
            return Ok(());
        }
        target.write_all(&buffer[..read]).map_err(StoreError::io("write", to))?;
    }
}

/// Absent when the file is.
fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// JSON values, one a line; none when the file is missing.
fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read(path)?.unwrap_or_default();
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|error| StoreError::Line {
                path: path.to_owned(),
                line: index + 1,
                reason: error.to_string(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::data::Prompt;

    fn assets(dir: &Path) {
        fs::create_dir_all(dir.join("model")).unwrap();
        fs::write(dir.join("model/config.json"), "{}").unwrap();
        let pair = Pair::new(PairId::NEW, Prompt::Text("p".to_owned()), &["a", "b"]);
        let line = serde_json::to_string(&pair).unwrap();
        fs::write(dir.join("pairs.jsonl"), format!("{line}\n{line}\n")).unwrap();
        fs::write(dir.join("reference.jsonl"), "{\"prompt\":\"p\",\"answer\":\"a\"}\n").unwrap();
        fs::write(dir.join("probes.jsonl"), "{\"prompt\":\"p\"}\n").unwrap();
        fs::write(dir.join("retention.txt"), "one\nstill one\n\n\ntwo\n").unwrap();
        fs::write(dir.join("run.toml"), "[train]\nsteps = 3\n").unwrap();
        fs::write(dir.join("judge.toml"), "# rules").unwrap();
    }

    #[test]
    fn the_demo_is_an_ordinary_project() {
        let tmp = tempfile::tempdir().unwrap();
        let (from, to) = (tmp.path().join("assets"), tmp.path().join("data/demo"));
        assets(&from);
        let dir = open_demo_of(&from, Some(&to)).unwrap();
        let project = Project::open(&dir).unwrap();
        let settings = project.settings().unwrap();
        assert_eq!(settings.model, to.join("model"));
        assert!(settings.model.join("config.json").is_file());
        assert_eq!(settings.run_toml, "[train]\nsteps = 3\n");
        assert_eq!(project.counts().unwrap().unlabelled, 2);
        assert_eq!(fs::read_to_string(to.join("judge.toml")).unwrap(), "# rules");
        assert_eq!(project.references().unwrap()[0].answer, "a");
        assert_eq!(project.probes().unwrap().len(), 1);
        assert_eq!(project.retention().unwrap(), ["one\nstill one", "two"]);
        assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn dl12_what_a_killed_process_left_is_cleared_away_and_nothing_else() {
        let tmp = tempfile::tempdir().unwrap();
        let (from, to) = (tmp.path().join("assets"), tmp.path().join("data/demo"));
        assets(&from);
        let left = tmp.path().join("data/.demo-a1B2c3");
        fs::create_dir_all(left.join("project/model")).unwrap();
        let others = [tmp.path().join("data/.demo-mine"), tmp.path().join("data/mine")];
        for folder in &others {
            fs::create_dir(folder).unwrap();
        }
        fs::write(tmp.path().join("data/.demo-file"), "").unwrap();
        open_demo_of(&from, Some(&to)).unwrap();
        assert!(!left.exists());
        assert!(others.iter().all(|folder| folder.is_dir()) && tmp.path().join("data/.demo-file").is_file());
        // Also when the demo is there already.
        fs::create_dir(&left).unwrap();
        open_demo_of(&from, Some(&to)).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn dl12_two_that_begin_at_once_get_one_demo() {
        let tmp = tempfile::tempdir().unwrap();
        let (from, to) = (tmp.path().join("assets"), tmp.path().join("data/demo"));
        assets(&from);
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..4).map(|_| scope.spawn(|| open_demo_of(&from, Some(&to)))).collect();
            assert!(all.into_iter().all(|one| one.join().unwrap().is_ok()));
        });
        assert_eq!(Project::open(&to).unwrap().counts().unwrap().total(), 2);
        assert_eq!(fs::read_dir(to.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn it_stays_until_its_files_change_and_work_done_in_it_is_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let (from, to) = (tmp.path().join("assets"), tmp.path().join("demo"));
        assets(&from);
        open_demo_of(&from, Some(&to)).unwrap();
        fs::write(to.join("mine"), "").unwrap();
        open_demo_of(&from, Some(&to)).unwrap();
        assert!(to.join("mine").exists(), "nothing changed");

        fs::write(from.join("run.toml"), "").unwrap();
        open_demo_of(&from, Some(&to)).unwrap();
        assert!(!to.join("mine").exists(), "made again");
        assert!(!tmp.path().join("demo-before-1").exists(), "nothing was done in it");

        let mut project = Project::open(&to).unwrap();
        let first = project.pairs_at(project.revision().unwrap()).unwrap().remove(0);
        project.apply(&Change::new("Delete", vec![Edit::delete(first)])).unwrap();
        drop(project);
        fs::write(from.join("model/config.json"), "{ }").unwrap();
        open_demo_of(&from, Some(&to)).unwrap();
        let kept = Project::open(&tmp.path().join("demo-before-1")).unwrap();
        assert_eq!(kept.counts().unwrap().total(), 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        let tmp = tempfile::tempdir().unwrap();
        let from = tmp.path().join("assets");
        assets(&from);
        fs::write(from.join("probes.jsonl"), "{\"prompt\":\"p\"}\n\n{\n").unwrap();
        let to = tmp.path().join("demo");
        let error = open_demo_of(&from, Some(&to)).unwrap_err().to_string();
        assert!(error.contains("probes.jsonl, line 3:"), "{error}");
        assert!(!to.exists());
    }
}
