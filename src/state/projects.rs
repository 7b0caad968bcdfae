//! The Projects place: the ones opened lately, and the form for a new one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How many projects are remembered.
const REMEMBERED: usize = 12;

/// A project that was open once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent {
    pub dir: PathBuf,
    pub name: String,
}

/// What is known outside of any project. Written only by `app`.
#[derive(Debug, Default)]
pub struct ProjectsData {
    /// Where a new project goes if nobody says otherwise.
    pub home: PathBuf,
    pub making: Making,
    /// What is known of the form's paths as they were when they were looked at last.
    pub glance: Glance,
    /// Remembered projects whose folders are not there any more.
    pub gone: Vec<PathBuf>,
    /// The folders of the remembered projects were looked at.
    pub looked: bool,
}

/// Where the making of a new project stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Making {
    #[default]
    Idle,
    UnderWay,
    /// A sentence; what was typed stays.
    Failed(String),
    /// It was asked for while a run went.
    WhileARunGoes,
}

/// What a look at the paths of the form found, while they are typed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// The form that was looked at, or is being looked at: the rest is of the one before until that is done.
    pub of: NewProjectForm,
    /// Absent until the look is done, or where no model is named: a word about the model, or why it cannot be tuned.
    pub model: Option<Result<String, String>>,
    /// Why a project cannot be made in that folder.
    pub dir: Option<String>,
}

/// What the place remembers.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectsView {
    /// The newest first.
    pub recent: Vec<Recent>,
    #[serde(skip)]
    pub form: NewProjectForm,
    /// Folder of a project, being typed.
    #[serde(skip)]
    pub path: String,
    /// The form was asked for: its first field takes the caret.
    #[serde(skip)]
    pub form_opens: bool,
}

impl ProjectsView {
    /// A project was opened.
    pub fn opened(&mut self, dir: &Path, name: &str) {
        self.forget(dir);
        self.recent.insert(0, Recent { dir: dir.to_owned(), name: name.to_owned() });
        self.recent.truncate(REMEMBERED);
    }

    /// Whether another of the remembered projects has this name too.
    pub fn has_namesake(&self, recent: &Recent) -> bool {
        self.recent.iter().any(|other| other.name == recent.name && other.dir != recent.dir)
    }

    pub fn forget(&mut self, dir: &Path) {
        self.recent.retain(|recent| recent.dir != dir);
    }
}

/// A new project, as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewProjectForm {
    pub name: String,
    /// Empty: made from the name.
    pub dir: String,
    /// A folder, a GGUF file, or a name in the Hugging Face cache.
    pub model: String,
}

/// What a filled form means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProject {
    pub name: String,
    pub dir: PathBuf,
    pub model: PathBuf,
}

impl NewProjectForm {
    /// Where the project goes when no folder is typed.
    pub fn default_dir(&self, home: &Path) -> PathBuf {
        let name = folder_name(&self.name);
        home.join(if name.is_empty() { "project" } else { &name })
    }

    /// The form as it would be carried out, or what is still missing.
    pub fn read(&self, home: &Path) -> Result<NewProject, &'static str> {
        let name = self.name.trim();
        if name.is_empty() {
            return Err("Give it a name");
        }
        if self.model.trim().is_empty() {
            return Err("Choose a model to tune");
        }
        Ok(NewProject {
            name: name.to_owned(),
            dir: match typed_path(&self.dir) {
                Some(dir) => dir,
                None => self.default_dir(home),
            },
            model: typed_path(&self.model).unwrap_or_default(),
        })
    }
}

/// A path as people type or paste it: around it blanks, quotes, or `file://` before it. Nothing when nothing is left.
pub fn typed_path(text: &str) -> Option<PathBuf> {
    let text = text.trim();
    let text = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(text);
    let text = text.strip_prefix("file://").unwrap_or(text);
    (!text.is_empty()).then(|| match text.strip_prefix("~/") {
        Some(rest) => std::env::home_dir().unwrap_or_default().join(rest),
        None => PathBuf::from(text),
    })
}

/// A name as a folder can bear it on every system.
fn folder_name(name: &str) -> String {
    let plain: String = name
        .trim()
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '-',
            letter if letter.is_control() => '-',
            letter => letter,
        })
        .collect();
    plain.trim_matches(['.', ' ']).to_owned()
}

#[derive(Debug, Clone)]
pub enum ProjectsCommand {
    /// Make this project and open it.
    Make(Box<NewProject>),
    /// Look at the paths of the form.
    Glance(NewProjectForm),
    /// Ask for a folder with a file dialog, for the form.
    PickDir,
    /// Ask for a model folder or a GGUF file, for the form.
    PickModel,
    PickModelFile,
    /// One of these was picked.
    SetDir(PathBuf),
    SetModel(PathBuf),
    /// See which remembered projects are still there.
    Look,
    /// Take a project off the list. Nothing on the disk changes.
    Forget(PathBuf),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_project_stands_first_and_once() {
        let mut view = ProjectsView::default();
        for number in 0..20 {
            view.opened(Path::new(&format!("/p{number}")), "A project");
        }
        assert_eq!(view.recent.len(), REMEMBERED);
        view.opened(Path::new("/p15"), "Renamed");
        assert_eq!(view.recent.len(), REMEMBERED);
        assert_eq!(view.recent[0].name, "Renamed");
        let renamed = view.recent[0].clone();
        assert!(!view.has_namesake(&renamed) && view.has_namesake(&view.recent[1]));
        view.forget(Path::new("/p15"));
        assert_eq!(view.recent[0].dir, Path::new("/p19"));
    }

    #[test]
    fn a_form_says_what_is_missing_and_finds_a_folder_by_itself() {
        let home = Path::new("/home/me/Nudge");
        let mut form = NewProjectForm::default();
        assert_eq!(form.read(home), Err("Give it a name"));
        form.name = " Harbour: tone/2 ".to_owned();
        assert_eq!(form.read(home), Err("Choose a model to tune"));
        form.model = "org/name".to_owned();
        let project = form.read(home).unwrap();
        assert_eq!(project.name, "Harbour: tone/2");
        assert_eq!(project.dir, home.join("Harbour- tone-2"));
        form.dir = "/elsewhere".to_owned();
        assert_eq!(form.read(home).unwrap().dir, Path::new("/elsewhere"));
        let nameless = NewProjectForm { name: "...".to_owned(), ..form };
        assert_eq!(nameless.default_dir(home), home.join("project"));
    }

    #[test]
    fn paths_come_as_people_paste_them() {
        for text in ["/a b/c", " '/a b/c' ", "\"/a b/c\"", "file:///a b/c\n"] {
            assert_eq!(typed_path(text), Some(PathBuf::from("/a b/c")), "{text}");
        }
        assert_eq!(typed_path("  "), None);
        assert!(typed_path("~/models").unwrap().ends_with("models"));
    }
}
