//! A public type name means one thing in the house: whoever reads it need not look up whose it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Nobody imports from these.
const LEAVES: [&str; 2] = ["app", "cli"];

/// Names that every crate may have for its own, and why.
const OF_EVERY_CRATE: [(&str, &str); 1] = [("Result", "as in the standard library: with the crate's own error")];

const KINDS: [&str; 5] = ["struct ", "enum ", "trait ", "type ", "union "];

/// Where a type is defined: the file, and its name there.
type Home = (PathBuf, String);

/// A file of a crate, read as the module that it is.
struct Module {
    path: PathBuf,
    /// Without comments.
    code: String,
}

impl Module {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
        Self { path: path.to_owned(), code }
    }

    /// Whether it has its folder's name.
    fn names_its_folder(&self) -> bool {
        ["lib.rs", "mod.rs"].iter().any(|name| self.path.ends_with(name))
    }

    /// The module of this name under it.
    fn child(&self, name: &str) -> Option<Self> {
        let folder =
            if self.names_its_folder() { self.path.parent().unwrap().to_owned() } else { self.path.with_extension("") };
        let files = [folder.join(name).with_extension("rs"), folder.join(name).join("mod.rs")];
        files.iter().find(|file| file.is_file()).map(|file| Self::read(file))
    }

    fn parent(&self) -> Option<Self> {
        let folder = self.path.parent()?;
        let above = if self.path.ends_with("mod.rs") { folder.parent()? } else { folder };
        let files = [above.join("lib.rs"), above.join("mod.rs"), above.with_extension("rs")];
        files.iter().find(|file| file.is_file()).map(|file| Self::read(file))
    }

    fn of_crate(&self) -> Self {
        let root = self.path.ancestors().find(|folder| folder.join("lib.rs").is_file()).unwrap();
        Self::read(&root.join("lib.rs"))
    }

    /// Types defined at its top with this before them: `pub `, or nothing.
    fn types(&self, visibility: &str) -> impl Iterator<Item = &str> {
        self.code.lines().filter_map(move |line| {
            let line = line.strip_prefix(visibility)?;
            let line = line.strip_prefix("unsafe ").unwrap_or(line);
            let name = KINDS.iter().find_map(|kind| line.strip_prefix(kind))?;
            name.split(|letter: char| !letter.is_alphanumeric()).next()
        })
    }

    fn public_modules(&self) -> impl Iterator<Item = Self> {
        let names = self.code.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        names.filter_map(|name| self.child(name))
    }

    /// The paths that statements which begin like this bring in.
    fn brought_in(&self, begin: &str) -> Vec<Vec<String>> {
        let mut paths = Vec::new();
        for (at, _) in self.code.match_indices(begin) {
            if at == 0 || self.code[..at].ends_with('\n') {
                let tree = self.code[at + begin.len()..].split(';').next().unwrap();
                add_paths(&[], tree, &mut paths);
            }
        }
        paths
    }

    /// Where the type that a path leads to is defined; nothing for what another crate has.
    fn home(&self, path: &[String]) -> Option<Home> {
        let (name, before) = path.split_last()?;
        let mut module = Self::read(&self.path);
        for step in before {
            module = match step.as_str() {
                "self" => module,
                "super" => module.parent()?,
                "crate" => module.of_crate(),
                name => module.child(name)?,
            };
        }
        let is_here =
            ["pub ", "pub(super) ", "pub(crate) ", ""].iter().any(|how| module.types(how).any(|own| own == name));
        if is_here {
            return Some((module.path, name.clone()));
        }
        let uses = ["pub use ", "pub(super) use ", "pub(crate) use ", "use "];
        let from = uses.iter().flat_map(|begin| module.brought_in(begin)).find(|path| named(path) == name)?;
        // A path of one step would lead here again.
        (from.len() > 1).then(|| module.home(&without_alias(from))).flatten()
    }
}

/// The paths of a tree of `use`.
fn add_paths(before: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let mut depth = 0;
    let branches = tree.split(|letter| {
        depth += i32::from(letter == '{') - i32::from(letter == '}');
        letter == ',' && depth == 0
    });
    for branch in branches.map(str::trim).filter(|branch| !branch.is_empty()) {
        let (steps, below) = branch.split_once('{').map_or((branch, None), |(steps, below)| (steps, Some(below)));
        let steps = steps.split("::").map(str::trim).filter(|step| !step.is_empty()).map(str::to_owned);
        let path: Vec<String> = before.iter().cloned().chain(steps).collect();
        match below {
            Some(below) => add_paths(&path, below.trim_end().trim_end_matches('}'), paths),
            None => paths.push(path),
        }
    }
}

/// The name that a path of `use` brings in.
fn named(path: &[String]) -> &str {
    path.last().map_or("", |last| last.rsplit(' ').next().unwrap())
}

fn without_alias(mut path: Vec<String>) -> Vec<String> {
    if let Some(last) = path.last_mut() {
        last.truncate(last.find(' ').unwrap_or(last.len()));
    }
    path
}

/// A type's name begins with a capital and is no constant.
fn is_type(name: &str) -> bool {
    name.starts_with(char::is_uppercase) && (name.len() == 1 || name.contains(char::is_lowercase))
}

/// Puts what other crates can name of a module under its name.
fn add_exported(module: &Module, names: &mut BTreeMap<String, BTreeSet<Home>>) {
    for name in module.types("pub ") {
        names.entry(name.to_owned()).or_default().insert((module.path.clone(), name.to_owned()));
    }
    for path in module.brought_in("pub use ") {
        let name = named(&path).to_owned();
        assert_ne!(name, "*", "{}: names what it brings in", module.path.display());
        if let Some(home) = is_type(&name).then(|| module.home(&without_alias(path))).flatten() {
            names.entry(name).or_default().insert(home);
        }
    }
    for below in module.public_modules() {
        add_exported(&below, names);
    }
}

fn exported() -> BTreeMap<String, BTreeSet<Home>> {
    let rooms = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let rooms = rooms.map(|entry| entry.unwrap().path());
    let mut names = BTreeMap::new();
    for room in rooms.filter(|room| room.is_dir() && !LEAVES.iter().any(|leaf| room.ends_with(leaf))) {
        add_exported(&Module::read(&room.join("lib.rs")), &mut names);
    }
    names
}

#[test]
fn a_public_type_name_means_one_thing_in_the_house() {
    let names = exported();
    let home = |name: &str| names[name].iter().map(|(file, _)| file.to_string_lossy().into_owned()).collect::<Vec<_>>();
    // In a public module, behind a private one, and brought in from another crate and sent on.
    for (name, file) in [("Plan", "train/step.rs"), ("Pair", "data/pair.rs"), ("GgufType", "model/gguf/write.rs")] {
        assert!(matches!(&home(name)[..], [one] if one.ends_with(file)), "{name}: {:?}", home(name));
    }
    let faults: Vec<String> = names
        .iter()
        .filter(|(name, homes)| homes.len() > 1 && !OF_EVERY_CRATE.iter().any(|(known, _)| known == name))
        .map(|(name, _)| format!("{name} is a type of {}: say what each is", home(name).join(" and of ")))
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
    for (name, reason) in OF_EVERY_CRATE {
        assert!(names[name].len() > 1, "{name} stands once: it needs no exception ({reason})");
    }
}

#[test]
fn paths_of_a_use_tree_are_told_apart() {
    let mut paths = Vec::new();
    add_paths(&[], "a::{B, c::{D as E, self}, f::G}, ::h::I", &mut paths);
    let told: Vec<String> = paths.iter().map(|path| path.join("/")).collect();
    assert_eq!(told, ["a/B", "a/c/D as E", "a/c/self", "a/f/G", "h/I"]);
    assert_eq!((named(&paths[1]), without_alias(paths[1].clone()).join("/")), ("E", "a/c/D".to_owned()));
}
