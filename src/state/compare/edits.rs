//! What people say about a run: its name and marks, and the way back.

use store::{RunId, RunMarks, RunRecord};

/// Name and marks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAbout {
    pub name: String,
    pub marks: RunMarks,
}

impl RunAbout {
    pub fn of(record: &RunRecord) -> Self {
        Self { name: record.name.clone(), marks: record.marks.clone() }
    }
}

/// What is being typed about a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDraft {
    pub run: RunId,
    pub about: RunAbout,
    /// Between commas.
    pub tags: String,
    /// The name has not had the caret yet.
    pub fresh: bool,
}

impl RunDraft {
    pub fn of(record: &RunRecord) -> Self {
        Self { run: record.id, about: RunAbout::of(record), tags: record.marks.tags.join(", "), fresh: true }
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

/// Changes of names and marks since the window opened, to be taken back.
#[derive(Debug, Default)]
pub struct RunEdits {
    done: Vec<(RunId, RunAbout, RunAbout)>,
    undone: Vec<(RunId, RunAbout, RunAbout)>,
}

impl RunEdits {
    /// Notes a change; what was undone before cannot be done again.
    pub fn note(&mut self, run: RunId, before: RunAbout, after: RunAbout) {
        self.done.push((run, before, after));
        self.undone.clear();
    }

    pub fn can(&self, back: bool) -> bool {
        !if back { &self.done } else { &self.undone }.is_empty()
    }

    /// One change back or forth: which run is what from now on. A run that is gone meanwhile is passed over.
    pub fn turn(&mut self, back: bool, is_there: impl Fn(RunId) -> bool) -> Option<(RunId, RunAbout)> {
        let (from, to) = if back { (&mut self.done, &mut self.undone) } else { (&mut self.undone, &mut self.done) };
        loop {
            let change = from.pop()?;
            if is_there(change.0) {
                let (run, before, after) = change.clone();
                to.push(change);
                return Some((run, if back { before } else { after }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(name: &str) -> RunAbout {
        RunAbout { name: name.to_owned(), marks: RunMarks::default() }
    }

    #[test]
    fn changes_are_taken_back_and_done_again() {
        let mut edits = RunEdits::default();
        assert!(!edits.can(true) && edits.turn(true, |_| true).is_none());
        edits.note(RunId(1), about("a"), about("b"));
        edits.note(RunId(2), about("x"), about("y"));
        assert_eq!(edits.turn(true, |_| true), Some((RunId(2), about("x"))));
        assert_eq!(edits.turn(false, |_| true), Some((RunId(2), about("y"))));
        // Run 2 was deleted.
        assert_eq!(edits.turn(true, |run| run == RunId(1)), Some((RunId(1), about("a"))));
        edits.note(RunId(1), about("a"), about("c"));
        assert!(!edits.can(false));
    }

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
