//! Imports beside others: seen all at once or not at all, and no pair twice.

use std::time::Duration;

use nudge::{
    data::Pair,
    store::{Account, Added, Duplicates, Imported, PairQuery, Project, ProjectSettings},
};

use super::store::{count, document, pair};
use crate::toy::add;

fn project() -> (tempfile::TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p"), &ProjectSettings::default()).unwrap();
    (dir, project)
}

fn settle(project: &mut Project) {
    while project.settle().unwrap() {}
}

fn found(project: &Project, search: &str) -> usize {
    project.query(&PairQuery { search: search.to_owned(), ..PairQuery::default() }).unwrap().len()
}

#[test]
fn dh3_others_write_while_an_import_is_under_way_and_it_counts_all_at_once() {
    let (_dir, mut project) = project();
    let mut other = Project::open(project.dir()).unwrap();
    other.set_patience(Duration::from_millis(50)).unwrap();
    add(&mut other, vec![pair(90_000)]);
    let mut import = project.begin_import(Duplicates::Keep).unwrap();
    for n in 0..2500 {
        import.add(pair(n)).unwrap();
        if n % 500 == 0 {
            add(&mut other, vec![pair(91_000 + n)]);
        }
    }
    assert_eq!(other.counts().unwrap().total(), 6, "nothing of it counts yet");
    assert_eq!(found(&other, "right7"), 0);
    let applied = import.finish(|account| format!("Import {} pairs", account.added)).unwrap().applied;
    assert_eq!(applied.pairs.len(), 2500);
    assert_eq!(other.counts().unwrap().total(), 2506);
    assert_eq!(other.pair(applied.pairs[2499]).unwrap().unwrap().answers[0].text, "right2499");
    assert_eq!((found(&other, "right2499"), found(&other, "QUESTION 2499?")), (1, 1));
    assert_eq!(count(project.dir(), "brought") + count(project.dir(), "imports"), 0, "nothing is left to do");
    // One change, as any other.
    assert_eq!(other.undo().unwrap().unwrap().label, "Import 2500 pairs");
    assert_eq!(other.counts().unwrap().total(), 6);
    other.redo().unwrap().unwrap();
    assert_eq!(other.counts().unwrap().total(), 2506);
}

#[test]
fn dh3_an_import_that_is_given_up_or_killed_leaves_nothing() {
    let (_dir, mut project) = project();
    add(&mut project, vec![pair(0)]);
    let revision = project.revision().unwrap();
    let mut import = project.begin_import(Duplicates::Keep).unwrap();
    (0..3500).for_each(|n| assert_eq!(import.add(pair(n)).unwrap(), Added::New));
    drop(import);
    let mut killed = project.begin_import(Duplicates::Keep).unwrap();
    (0..3500).for_each(|n| assert_eq!(killed.add(pair(n)).unwrap(), Added::New));
    // What a killed process does not do: tell that it gives up.
    std::mem::forget(killed);
    document(project.dir()).execute("UPDATE imports SET owner = '1-gone' WHERE state = 'coming'", []).unwrap();
    assert!(count(project.dir(), "packed") > 2);
    settle(&mut project);
    assert_eq!((project.revision().unwrap(), project.counts().unwrap().total()), (revision, 1));
    for (table, rows) in [("packed", 1), ("signatures", 1), ("brought", 0), ("imports", 0)] {
        assert_eq!(count(project.dir(), table), rows, "{table}");
    }
    assert_eq!(found(&project, "right0"), 1);
    // An import without pairs is no change.
    let applied = project.begin_import(Duplicates::Keep).unwrap().finish(|_| "Import".to_owned()).unwrap().applied;
    assert_eq!((applied.revision, applied.pairs.len()), (revision, 0));
}

#[test]
fn two_imports_at_once_take_no_pair_twice() {
    let (_dir, mut project) = project();
    let mut others = Project::open(project.dir()).unwrap();
    let mut first = project.begin_import(Duplicates::Skip).unwrap();
    let mut second = others.begin_import(Duplicates::Merge).unwrap();
    for n in 0..2600 {
        if n < 2500 {
            first.add(pair(n)).unwrap();
        }
        let tags = if n < 7 { vec!["mine".to_owned()] } else { Vec::new() };
        second.add(Pair { tags, ..pair(n) }).unwrap();
    }
    let label = |account: Account| format!("Import {} pairs", account.added);
    assert_eq!(first.finish(label).unwrap().account, Account { added: 2500, known: 0, merged: 0 });
    let Imported { applied, account } = second.finish(label).unwrap();
    assert_eq!(account, Account { added: 100, known: 2500, merged: 7 });
    assert_eq!((applied.label.as_str(), applied.pairs.len()), ("Import 100 pairs", 107));
    assert_eq!(project.counts().unwrap().total(), 2600);
    assert_eq!(project.tags().unwrap(), [("mine".to_owned(), 7)]);
    // The texts that are there twice are cleared away, also those that lie between others.
    settle(&mut project);
    assert_eq!(count(project.dir(), "brought") + count(project.dir(), "imports"), 0);
    let twice: i64 =
        document(project.dir()).query_row("SELECT sum(last - first + 1) FROM packed", [], |row| row.get(0)).unwrap();
    assert!(twice <= 2600 + 500, "{twice}");
    assert_eq!((found(&project, "right7"), found(&project, "right2599")), (111, 1));
    project.undo().unwrap().unwrap();
    assert_eq!((project.counts().unwrap().total(), project.tags().unwrap().len()), (2500, 0));

    // All of it there meanwhile: no change at all. What was added by hand counts too.
    let mut late = project.begin_import(Duplicates::Skip).unwrap();
    late.add(pair(7000)).unwrap();
    add(&mut others, vec![pair(7000)]);
    let revision = others.revision().unwrap();
    let Imported { applied, account } = late.finish(label).unwrap();
    assert_eq!((account.added, account.known, applied.revision), (0, 1, revision));
    settle(&mut project);
    assert_eq!((project.counts().unwrap().total(), found(&project, "right7000")), (2501, 1));
}
