//! What people say about a run, as it is being typed.

use serde::{Deserialize, Serialize};
use store::{RunAbout, RunId, RunRecord};

/// What is being typed about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDraft {
    pub run: RunId,
    pub about: RunAbout,
    /// Between commas.
    pub tags: String,
    /// The name has not had the caret yet.
    #[serde(skip)]
    pub fresh: bool,
}

impl RunDraft {
    pub fn of(record: &RunRecord) -> Self {
        Self { run: record.id, about: RunAbout::of(record), tags: record.marks.tags.join(", "), fresh: true }
    }

    /// What is to be kept of it, where it says something else than the run does.
    pub fn changed(&self, record: &RunRecord) -> Option<RunAbout> {
        let about = self.finished(&record.name);
        (record.id == self.run && about != RunAbout::of(record)).then_some(about)
    }

    /// What it comes to; an empty name leaves the one before.
    pub fn finished(&self, before: &str) -> RunAbout {
        let mut about = self.about.clone();
        about.marks.set_tags(&self.tags);
        about.marks.note = about.marks.note.trim().to_owned();
        let name = about.name.trim();
        about.name = if name.is_empty() { before } else { name }.to_owned();
        about
    }
}

#[cfg(test)]
mod tests {
    use store::RunMarks;

    use super::*;

    #[test]
    fn a_draft_is_tidied_and_never_leaves_a_run_without_a_name() {
        let mut marks = RunMarks { note: " so ".to_owned(), ..RunMarks::default() };
        marks.archived = true;
        let draft = RunDraft {
            run: RunId(1),
            about: RunAbout { name: "  ".to_owned(), marks },
            tags: "a,, b".to_owned(),
            fresh: false,
        };
        let finished = draft.finished("before");
        assert_eq!((finished.name.as_str(), finished.marks.note.as_str()), ("before", "so"));
        assert!(finished.marks.archived && finished.marks.tags == ["a", "b"]);
    }
}
