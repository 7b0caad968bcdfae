//! What people keep about a run beside its name: whether it stands first or is put away, its colour, its tags, a note.

use serde::{Deserialize, Serialize};

use super::{Project, RunId, project::Result};

/// Nothing of it changes what the run is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunMarks {
    /// Before all others in a list.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Out of the lists, until somebody asks for those too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
    /// Place in the table of line colours, from 0; absent: by its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl RunMarks {
    /// Once, without blanks around it; where it is there already nothing happens.
    pub fn tag(&mut self, tag: &str) {
        let tag = tag.trim();
        if !tag.is_empty() && !self.tags.iter().any(|known| known == tag) {
            self.tags.push(tag.to_owned());
        }
    }

    /// Tags as they are typed, between commas.
    pub fn set_tags(&mut self, typed: &str) {
        self.tags.clear();
        typed.split(',').for_each(|tag| self.tag(tag));
    }
}

impl Project {
    /// A run that goes on is marked like any other.
    ///
    /// # Errors
    /// [`super::StoreError::NoSuchRun`], or one of the document.
    pub fn mark_run(&self, run: RunId, marks: &RunMarks) -> Result<()> {
        let json = (*marks != RunMarks::default()).then(|| serde_json::to_string(marks)).transpose()?;
        self.update_run(run, "marks", json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NewRun, ProjectSettings, Revision};

    #[test]
    fn marks_are_kept_with_the_run_and_go_when_they_say_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let new = NewRun {
            name: "a".to_owned(),
            config_toml: String::new(),
            method: String::new(),
            revision: Revision(0),
            parent: None,
        };
        let run = project.create_run(&new).unwrap();
        let mut marks =
            RunMarks { pinned: true, colour: Some(3), note: "try β 0.2".to_owned(), ..RunMarks::default() };
        marks.set_tags(" short, , sure,short ");
        assert_eq!(marks.tags, ["short", "sure"]);
        project.mark_run(run, &marks).unwrap();
        assert_eq!(Project::open(dir.path()).unwrap().run(run).unwrap().marks, marks);
        project.mark_run(run, &RunMarks::default()).unwrap();
        assert_eq!(project.run(run).unwrap().marks, RunMarks::default());
        assert!(project.mark_run(RunId(99), &marks).is_err());
    }
}
