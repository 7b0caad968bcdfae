//! What is saved stays saved: kills, restarts, undo, older and damaged files.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use nudge::{
    data::{Change, Choice, Edit, Pair, PairId, Prompt, Strength, Verdict},
    store::{Project, ProjectSettings, Revision, RunId, RunStatus, StoreError},
};
use proptest::prelude::*;

/// Set for the process that [`a_kill_loses_nothing_that_was_saved`] and others start: the project to work in.
pub const CHILD: &str = "NUDGE_TEST_CHILD";

pub fn create(dir: &Path) -> Project {
    let settings = ProjectSettings { name: "Test".to_owned(), ..ProjectSettings::default() };
    Project::create(dir, &settings).unwrap()
}

fn new_pair(prompt: &str) -> Pair {
    Pair::new(PairId::NEW, Prompt::Text(prompt.to_owned()), &["a", "b"])
}

fn import(project: &mut Project, count: usize) -> Vec<PairId> {
    let edits = (0..count).map(|n| Edit::add(new_pair(&format!("prompt {n}")))).collect();
    project.apply(&Change::new("Import", edits)).unwrap().pairs
}

fn better(at_ms: i64) -> Verdict {
    Verdict {
        took_ms: Some(1200),
        shown_left: Some(1),
        ..Verdict::local(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly }, at_ms)
    }
}

/// Starts one test of this very program again, as another process working in `dir`.
pub fn child(test: &str, dir: &Path) -> std::process::Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_kill_loses_nothing_that_was_saved() {
    if let Some(dir) = env::var_os(CHILD) {
        return label_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let ids = import(&mut create(dir.path()), 200);
    let mut child = child("project::a_kill_loses_nothing_that_was_saved", dir.path());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut saved = Vec::new();
    while saved.len() < 25 {
        let line = lines.next().expect("the child goes on labelling").unwrap();
        saved.extend(line.strip_prefix("saved ").map(|n| n.parse::<i64>().unwrap()));
    }
    child.kill().unwrap();
    // What it printed before it died counts as well.
    for line in lines.map_while(Result::ok) {
        saved.extend(line.strip_prefix("saved ").and_then(|n| n.parse::<i64>().ok()));
    }
    child.wait().unwrap();

    let mut project = Project::open(dir.path()).unwrap();
    for at_ms in &saved {
        let id = ids[*at_ms as usize % ids.len()];
        let verdict = project.pair(id).unwrap().unwrap().verdict.unwrap();
        assert!(verdict.at_ms >= *at_ms, "label {at_ms} of pair {id:?} is gone");
    }
    // The one in flight may be there or not, but whole; the journal goes on from it.
    let counted = project.revision().unwrap().0 as usize - 1;
    assert!((saved.len()..=saved.len() + 1).contains(&counted));
    assert_eq!(project.undo().unwrap().unwrap().label, "Label");
}

fn label_for_ever(dir: &Path) {
    let mut project = Project::open(dir).unwrap();
    let ids = project.query(&nudge::store::PairQuery::default()).unwrap();
    // Straight to the pipe: the test harness keeps what `println!` writes to itself.
    let mut out = std::io::stdout().lock();
    for at_ms in 0.. {
        let before = project.pair(ids[at_ms as usize % ids.len()]).unwrap().unwrap();
        let after = Pair { verdict: Some(better(at_ms)), ..before.clone() };
        project.apply(&Change::new("Label", vec![Edit::replace(before, after)])).unwrap();
        writeln!(out, "saved {at_ms}").unwrap();
    }
}

#[test]
fn undo_and_redo_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let id = import(&mut create(dir.path()), 3)[1];
    let open = || Project::open(dir.path()).unwrap();
    for note in ["one", "two"] {
        let mut project = open();
        let before = project.pair(id).unwrap().unwrap();
        let after = Pair { note: note.to_owned(), ..before.clone() };
        let change = Change::new(format!("Note {note}"), vec![Edit::replace(before, after)]);
        project.apply(&change).unwrap();
    }
    let note = || open().pair(id).unwrap().map(|pair| pair.note);
    assert_eq!(open().undo().unwrap().unwrap().pairs, [id]);
    assert_eq!(note().as_deref(), Some("one"));
    assert_eq!(open().undo().unwrap().unwrap().label, "Note one");
    assert_eq!(open().undo().unwrap().unwrap().label, "Import");
    assert_eq!(note(), None);
    assert_eq!(open().undo().unwrap(), None);
    for _ in 0..3 {
        assert!(open().redo().unwrap().is_some());
    }
    assert_eq!(open().redo().unwrap(), None);
    assert_eq!(note().as_deref(), Some("two"));
}

/// What a person may do next.
#[derive(Debug, Clone)]
enum Deed {
    Add(u8),
    /// Label, note or rewrite the nth pair there is.
    Label(u8),
    Note(u8, u8),
    Rewrite(u8, u8),
    Delete(u8),
    /// Several at once: one undo takes them back.
    DeleteAll,
    Undo,
    Redo,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (1..4u8).prop_map(Deed::Add),
        3 => any::<u8>().prop_map(Deed::Label),
        2 => (any::<u8>(), 0..3u8).prop_map(|(n, text)| Deed::Note(n, text)),
        2 => (any::<u8>(), 0..3u8).prop_map(|(n, text)| Deed::Rewrite(n, text)),
        1 => any::<u8>().prop_map(Deed::Delete),
        1 => Just(Deed::DeleteAll),
        4 => Just(Deed::Undo),
        2 => Just(Deed::Redo),
    ]
}

fn change_for(deed: &Deed, pairs: &[Pair]) -> Change {
    let nth = |n: &u8| pairs.get(*n as usize % pairs.len().max(1)).cloned();
    let edit = |n: &u8, how: &dyn Fn(&mut Pair)| {
        nth(n).map(|before| {
            let mut after = before.clone();
            how(&mut after);
            Edit::replace(before, after)
        })
    };
    let edits = match deed {
        Deed::Add(count) => (0..*count).map(|n| Edit::add(new_pair(&format!("added {n}")))).collect(),
        Deed::Label(n) => Vec::from_iter(edit(n, &|pair| pair.verdict = Some(better(7)))),
        Deed::Note(n, text) => Vec::from_iter(edit(n, &|pair| pair.note = text.to_string())),
        Deed::Rewrite(n, text) => Vec::from_iter(edit(n, &|pair| pair.answers[0].text = text.to_string())),
        Deed::Delete(n) => nth(n).map(Edit::delete).into_iter().collect(),
        Deed::DeleteAll => pairs.iter().cloned().map(Edit::delete).collect(),
        Deed::Undo | Deed::Redo => Vec::new(),
    };
    Change::new(format!("{deed:?}"), edits)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Against a model that keeps every state whole: all revisions can be read back, undoing everything leads to the
    /// start, redoing everything to the end, whatever was done in between.
    #[test]
    fn the_journal_is_replayable(deeds in prop::collection::vec(deed(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let mut project = create(dir.path());
        // States by revision, and the states that undo and redo lead to.
        let mut states: Vec<Vec<Pair>> = vec![Vec::new()];
        let mut done: Vec<Vec<Pair>> = Vec::new();
        let mut undone: Vec<Vec<Pair>> = Vec::new();
        for deed in &deeds {
            let now = states.last().unwrap().clone();
            match deed {
                Deed::Undo => {
                    prop_assert_eq!(project.undo().unwrap().is_some(), !done.is_empty());
                    if let Some(before) = done.pop() {
                        undone.push(now);
                        states.push(before);
                    }
                }
                Deed::Redo => {
                    prop_assert_eq!(project.redo().unwrap().is_some(), !undone.is_empty());
                    if let Some(after) = undone.pop() {
                        done.push(now);
                        states.push(after);
                    }
                }
                deed => {
                    let change = change_for(deed, &now);
                    let applied = project.apply(&change).unwrap();
                    let mut after = now.clone();
                    let effective: Vec<&Edit> =
                        change.edits.iter().filter(|edit| edit.before != edit.after).collect();
                    prop_assert_eq!(applied.pairs.len(), effective.len());
                    for (edit, id) in effective.iter().zip(&applied.pairs) {
                        after.retain(|pair| pair.id != *id);
                        after.extend(edit.after.clone().map(|pair| Pair { id: *id, ..pair }));
                    }
                    after.sort_by_key(|pair| pair.id);
                    if !effective.is_empty() {
                        undone.clear();
                        done.push(now);
                        states.push(after);
                    }
                }
            }
            prop_assert_eq!(project.revision().unwrap().0 as usize, states.len() - 1);
        }
        drop(project);
        let mut project = Project::open(dir.path()).unwrap();
        for (revision, state) in states.iter().enumerate() {
            prop_assert_eq!(&project.pairs_at(Revision(revision as u64)).unwrap(), state);
        }
        let newest = |project: &Project| project.pairs_at(project.revision().unwrap()).unwrap();
        let mut end = states.last().unwrap();
        while project.redo().unwrap().is_some() {}
        end = undone.first().unwrap_or(end);
        prop_assert_eq!(&newest(&project), end);
        while project.undo().unwrap().is_some() {}
        prop_assert_eq!(newest(&project), Vec::new());
        while project.redo().unwrap().is_some() {}
        prop_assert_eq!(&newest(&project), end);
    }
}

#[test]
fn the_first_document_can_still_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let document = rusqlite::Connection::open(dir.path().join("project.sqlite")).unwrap();
    document.execute_batch(include_str!("../fixtures/project-1.sql")).unwrap();
    drop(document);
    fs::create_dir(dir.path().join("runs")).unwrap();

    let mut project = Project::open(dir.path()).unwrap();
    assert_eq!(project.settings().unwrap().name, "Harbour");
    let newest = project.pairs_at(Revision(2)).unwrap();
    assert_eq!(newest[0].chosen().unwrap().text, "At nine.");
    assert_eq!(newest[0].tags, ["inns"]);
    assert!(!project.pairs_at(Revision(1)).unwrap()[0].is_decided());
    let run = project.run(RunId(1)).unwrap();
    assert_eq!((run.status, run.step), (RunStatus::Completed, 2));
    assert_eq!(run.arithmetic, None, "nobody noted it then");
    assert_eq!(project.series(run.id, "loss", Some(1)).unwrap(), [(2, -0.75)]);
    assert_eq!(project.samples(run.id).unwrap()[0].sample.answer, "Nine!");
    assert_eq!(project.references_of(run.id).unwrap()[0].answer, "Hello.");
    assert_eq!(project.undo().unwrap().unwrap().label, "Label pair 1");
    let found = nudge::store::PairQuery { search: "OPEN".to_owned(), ..Default::default() };
    assert_eq!(project.query(&found).unwrap(), [PairId(1)]);
}

#[test]
fn what_cannot_be_opened_is_told_in_a_sentence_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let error = |dir: &Path| Project::open(dir).map(|_| ()).unwrap_err();

    assert!(matches!(error(dir.path()), StoreError::NotAProject(_)));

    let project = dir.path().join("project");
    create(&project);
    let again = Project::create(&project, &ProjectSettings::default());
    assert!(matches!(again, Err(StoreError::AlreadyAProject(_))));

    let document = project.join("project.sqlite");
    let whole = fs::read(&document).unwrap();
    let set = |statement: &str| {
        let connection = rusqlite::Connection::open(&document).unwrap();
        connection.execute_batch(statement).unwrap();
    };
    set("PRAGMA user_version = 999");
    let newer = error(&project);
    assert!(matches!(newer, StoreError::Newer { found: 999, .. }), "{newer}");
    assert!(newer.to_string().contains("Update Nudge"), "{newer}");

    set("PRAGMA application_id = 7");
    assert!(matches!(error(&project), StoreError::NotAProject(_)));

    fs::write(&document, "This was a project once.").unwrap();
    let damaged = error(&project);
    assert!(matches!(damaged, StoreError::Corrupted { .. }), "{damaged}");
    assert!(damaged.to_string().contains("project.sqlite"), "{damaged}");
    assert_eq!(fs::read(&document).unwrap(), b"This was a project once.");

    // Damage further in shows when it is met.
    fs::write(&document, whole).unwrap();
    import(&mut Project::open(&project).unwrap(), 300);
    let mut file = fs::OpenOptions::new().write(true).open(&document).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0x5a; length as usize - 4096]).unwrap();
    drop(file);
    let met = Project::open(&project).and_then(|project| project.pairs_at(Revision(1))).unwrap_err();
    assert!(matches!(met, StoreError::Corrupted { .. }), "{met}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_to_is_looked_at_and_named() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let project = dir.path().join("project");
    import(&mut create(&project), 1);
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&project.join("project.sqlite"), 0o444);
    mode(&project, 0o555);
    // Whoever may write everywhere (root) is told nothing, and rightly so.
    if fs::write(project.join("probe"), "").is_err() {
        let mut open = Project::open(&project).unwrap();
        assert!(open.is_read_only() && open.counts().unwrap().total() == 1);
        let error = open.apply(&Change::new("Add", vec![Edit::add(new_pair("one more"))])).unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
        let inside = Project::create(&project.join("new"), &ProjectSettings::default());
        assert!(matches!(inside, Err(StoreError::ReadOnly(_))));
    }
    mode(&project, 0o755);
}

#[test]
fn a_reader_never_waits_for_a_writer() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = create(dir.path());
    import(&mut project, 2);
    let writer = rusqlite::Connection::open(dir.path().join("project.sqlite")).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM settings").unwrap();
    let reader = Project::open(dir.path()).unwrap();
    assert_eq!(reader.counts().unwrap().total(), 2);
    assert_eq!(reader.settings().unwrap().name, "Test", "as it was committed");
    writer.execute_batch("ROLLBACK").unwrap();
    import(&mut project, 1);
    assert_eq!(reader.counts().unwrap().total(), 3);
}
