//! Imports before they count, while they do, and when they never come to it.

use std::ops::ControlFlow;

use super::*;
use crate::{NewRun, PairQuery, ProjectSettings, Revision, counting::FEW};
use ::data::{Change, Edit, Prompt, Split};

/// More than are given their states in one go.
const MANY: usize = FEW + 700;

fn project() -> (tempfile::TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
    (dir, project)
}

fn pair(n: usize) -> Pair {
    let pair = Pair::new(PairId::NEW, Prompt::Text(format!("question {n}")), &["yes", "no"]);
    Pair { tags: vec!["many".to_owned()], split: Split::Eval, ..pair }
}

fn add(project: &mut Project, n: usize) -> Applied {
    project.apply(&Change::new("Add", vec![Edit::add(pair(n))])).unwrap()
}

/// An import whose states are written, and which does not count yet.
fn prepared(project: &mut Project, pairs: usize, duplicates: Duplicates) -> (Import<'_>, Coming) {
    let mut import = project.begin_import(duplicates).unwrap();
    (0..pairs).for_each(|n| assert_eq!(import.add(pair(n)).unwrap(), Added::New));
    let mut coming = import.coming().unwrap();
    let mut known = import.known.take();
    coming.prepare(import.project, &mut known, &import.prints).unwrap();
    import.known = known;
    (import, coming)
}

fn count(import: &mut Import<'_>, coming: &mut Coming) -> (Applied, Account) {
    let mut account = import.account;
    let mut known = import.known.take();
    let counted = import.project.write(Keep::PowerLoss, |tx| {
        let edits = coming.settle_known(tx, &mut known, &import.prints, false, &mut account)?;
        let applied = coming.count(tx, "Import".to_owned(), &edits)?;
        coming.let_go(tx, true)?;
        Ok(applied)
    });
    import.is_finished = true;
    (counted.unwrap(), account)
}

fn number(project: &Project, sql: &str) -> i64 {
    project.connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What anybody can see of the pairs, each way.
fn seen(project: &Project) -> [usize; 7] {
    let tag = PairQuery { tag: Some("many".to_owned()), ..PairQuery::default() };
    let mut at_revision = 0;
    project.each_prompt_at(Revision(u64::from(u32::MAX)), &mut |_, _| at_revision += 1).unwrap();
    let mut one_by_one = 0;
    let mut each = |_| {
        one_by_one += 1;
        ControlFlow::Continue(())
    };
    project.each_pair_at(Revision(u64::from(u32::MAX)), &mut each).unwrap();
    [
        project.counts().unwrap().total(),
        project.query(&PairQuery::default()).unwrap().len(),
        project.query(&tag).unwrap().len(),
        project.tags().unwrap().iter().map(|(_, count)| count).sum(),
        project.sources().unwrap().iter().map(|(_, count)| count).sum(),
        at_revision,
        one_by_one,
    ]
}

#[test]
fn states_that_are_written_before_they_count_are_seen_by_nobody() {
    let (dir, mut project) = project();
    add(&mut project, 90_000);
    let mut other = Project::open(dir.path()).unwrap();
    let (mut import, mut coming) = prepared(&mut project, MANY, Duplicates::Keep);
    assert_eq!(number(&other, "SELECT count(*) FROM versions") as usize, 1 + MANY, "they are there");
    assert_eq!(seen(&other), [1; 7]);
    let first_kept = number(&other, "SELECT first_pair FROM imports");
    assert_eq!(other.pair(PairId(first_kept)).unwrap(), None);
    assert!(other.pairs_of_prompt(&pair(3).prompt).unwrap().is_empty());
    // Others go on meanwhile, with ids and revisions of their own; a run sees what counts.
    let theirs = add(&mut other, 90_001);
    assert_eq!(theirs.pairs, [PairId(first_kept + MANY as i64)]);
    assert_eq!(theirs.revision.0, 2);
    let run = other.create_run(&NewRun { revision: theirs.revision, ..NewRun::default() }).unwrap();
    let bundle = dir.path().join("run.nudge");
    other.bundle(run, &[], &bundle, false).unwrap();
    let bundle = rusqlite::Connection::open(bundle).unwrap();
    let bundled: i64 = bundle.query_row("SELECT count(*) FROM versions", [], |row| row.get(0)).unwrap();
    assert_eq!(bundled, 2);
    other.undo().unwrap().unwrap();
    other.redo().unwrap().unwrap();

    let (applied, account) = count(&mut import, &mut coming);
    assert_eq!((applied.pairs.len(), account.added), (MANY, MANY));
    assert_eq!(applied.pairs[0], PairId(first_kept));
    drop(import);
    assert_eq!(seen(&other), [2 + MANY; 7]);
    assert_eq!(other.revision().unwrap(), applied.revision);
    assert_eq!(other.pairs_at(theirs.revision).unwrap().len(), 2, "an earlier revision is what it was");
    assert_eq!(number(&other, "SELECT count(*) FROM imports"), 0);
    assert_eq!(other.undo().unwrap().unwrap().label, "Import");
    assert_eq!(seen(&other), [2; 7]);
    other.redo().unwrap().unwrap();
    let dangling = project.connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!dangling, "every state names its revision");
}

#[test]
fn states_of_an_import_that_is_killed_are_cleared_away() {
    let (dir, mut project) = project();
    add(&mut project, 90_000);
    let other = Project::open(dir.path()).unwrap();
    let (import, coming) = prepared(&mut project, MANY, Duplicates::Keep);
    std::mem::forget(import);
    drop(coming);
    other.connection.execute("UPDATE imports SET owner = '1-gone'", []).unwrap();
    // The next large one does that itself.
    let mut next = Project::open(dir.path()).unwrap();
    let mut import = next.begin_import(Duplicates::Skip).unwrap();
    (0..MANY).for_each(|n| assert_eq!(import.add(pair(n)).unwrap(), Added::New));
    import.finish(|_| "Import".to_owned()).unwrap();
    while other.settle().unwrap() {}
    assert_eq!(seen(&other), [1 + MANY; 7]);
    assert_eq!(number(&other, "SELECT count(*) FROM versions") as usize, 1 + MANY);
    assert_eq!(number(&other, "SELECT count(*) FROM brought") + number(&other, "SELECT count(*) FROM imports"), 0);
    let texts = number(&other, "SELECT sum(last - first + 1) FROM packed") as usize;
    assert_eq!(texts, 1 + MANY, "nor do its texts stay");
}

#[test]
fn an_import_that_stands_still_keeps_no_other_from_counting() {
    let (dir, mut project) = project();
    let mut others = Project::open(dir.path()).unwrap();
    let (mut still, mut coming) = prepared(&mut project, MANY, Duplicates::Keep);
    let mut import = others.begin_import(Duplicates::Keep).unwrap();
    (0..MANY).for_each(|n| assert_eq!(import.add(pair(n)).unwrap(), Added::New));
    let theirs = import.finish(|_| "Import".to_owned()).unwrap().applied;
    assert_eq!((theirs.pairs.len(), theirs.revision.0), (MANY, 1));
    assert_eq!(seen(&others), [MANY; 7]);
    // It goes on after all.
    let (applied, _) = count(&mut still, &mut coming);
    assert!(applied.pairs.len() == MANY && applied.pairs.iter().all(|pair| !theirs.pairs.contains(pair)));
    assert_eq!(seen(&others), [2 * MANY; 7]);
}

#[test]
fn a_revision_that_others_have_overtaken_is_given_anew() {
    let (dir, mut project) = project();
    let mut other = Project::open(dir.path()).unwrap();
    let (mut import, mut coming) = prepared(&mut project, MANY, Duplicates::Keep);
    let kept = number(&other, "SELECT revision FROM imports");
    let change = "INSERT INTO changes (revision, label, at_ms, kind, state) VALUES (?1, 'x', 0, 'edit', 'done')";
    other.connection.execute(change, [kept - 1]).unwrap();
    assert_eq!(add(&mut other, 90_000).revision.0 as i64, kept + 1, "the one that is kept is nobody else's");
    assert_eq!(seen(&other), [1; 7]);
    let (applied, _) = count(&mut import, &mut coming);
    assert_eq!(applied.revision.0 as i64, kept + 2);
    assert_eq!(seen(&other), [1 + MANY; 7]);
    assert_eq!(other.pairs_at(Revision(kept as u64 + 1)).unwrap().len(), 1);
}

#[test]
fn what_others_have_brought_meanwhile_does_not_count_twice_and_its_texts_go() {
    let (dir, mut project) = project();
    let mut other = Project::open(dir.path()).unwrap();
    let (mut import, mut coming) = prepared(&mut project, MANY, Duplicates::Skip);
    let known = [3, 4, 5, 9, MANY - 1];
    for n in known {
        add(&mut other, n);
    }
    let (applied, account) = count(&mut import, &mut coming);
    assert_eq!((account.added, account.known, applied.pairs.len()), (MANY - 5, 5, MANY - 5));
    drop(import);
    assert_eq!(seen(&other), [MANY; 7]);
    assert_eq!(number(&other, "SELECT count(*) FROM brought"), 3, "runs of texts that nobody has");
    while other.settle().unwrap() {}
    assert_eq!(number(&other, "SELECT count(*) FROM brought") + number(&other, "SELECT count(*) FROM imports"), 0);
    let mut contents = contents::Contents::of(&other.connection);
    let texts = (1..=(MANY as i64 + 5)).filter(|id| contents.read(*id).is_ok()).count();
    assert_eq!(texts, MANY, "each text is there once");
    for n in [0, 3, 6, MANY - 1] {
        assert_eq!(other.pairs_of_prompt(&pair(n).prompt).unwrap().len(), 1);
    }
}
