//! Whatever is damaged in a document is told in a sentence of ours.

use std::ops::ControlFlow;

use rusqlite::Connection;

use super::*;
use ::data::{Change, Choice, Edit, Pair, PairId, Prompt, Source, Strength, Verdict};

fn project(dir: &std::path::Path) -> Project {
    let mut project = Project::create(dir, &ProjectSettings::default()).unwrap();
    let pair = |text: &str| {
        let better = Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly };
        let mut pair = Pair::new(PairId::NEW, Prompt::Text(text.to_owned()), &["yes", "no"]);
        pair.verdict = Some(Verdict::local(better, 7));
        pair.tags = vec!["tag".to_owned()];
        pair.source = Some(Source { file: "pairs.jsonl".to_owned(), line: 3, id: None });
        Edit::add(pair)
    };
    project.apply(&Change::new("Add", ["one", "two"].map(pair).into())).unwrap();
    let run = NewRun {
        name: "First".to_owned(),
        config_toml: String::new(),
        method: "MPO".to_owned(),
        revision: project.revision().unwrap(),
        parent: None,
    };
    let run = project.create_run(&run).unwrap();
    project.append_step(run, 1, 300, &[("loss".to_owned(), 0.5)]).unwrap();
    project
}

/// Everything that the screens read.
fn read_all(project: &mut Project) -> Vec<StoreError> {
    let ids = [PairId(1), PairId(2)];
    let search = PairQuery { search: "one".to_owned(), ..PairQuery::default() };
    let tagged = PairQuery { tag: Some("tag".to_owned()), ..PairQuery::default() };
    let delete = |project: &mut Project| {
        let pair = project.pair(PairId(1))?;
        project.apply(&Change::new("Delete", pair.map(Edit::delete).into_iter().collect()))
    };
    [
        project.settings().err(),
        project.revision().err(),
        project.pairs(&ids).err(),
        project.rows(&ids).err(),
        project.pairs_at(Revision(1)).err(),
        project.query(&search).err(),
        project.query(&tagged).err(),
        project.counts().err(),
        project.tags().err(),
        project.sources().err(),
        project.examine(|_| None, &mut |_| ControlFlow::Continue(())).err(),
        project.runs().err(),
        project.steps(RunId(1), None).err(),
        project.can_undo().err(),
        project.can_redo().err(),
        project.undo_touches(9).err(),
        delete(project).err(),
        project.undo().err(),
        project.begin_import(Duplicates::Skip).err(),
        project.settle().err(),
        project.mend_search().err(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn any_damaged_value_is_told_by_what_where_and_what_to_do() {
    let whole = tempfile::tempdir().unwrap();
    drop(project(whole.path()));
    let document = |dir: &std::path::Path| Connection::open(dir.join(opening::DOCUMENT)).unwrap();
    // What only damage does to a document: its rules are gone, and then a value is another.
    let relaxed = document(whole.path());
    relaxed.execute_batch("PRAGMA writable_schema = ON").unwrap();
    for rule in
        [") STRICT", " NOT NULL,", " NOT NULL\n", " NOT NULL CHECK", " NOT NULL REFERENCES", " NOT NULL DEFAULT"]
    {
        let less = rule.replace(" STRICT", "").replace(" NOT NULL", "");
        let relax = "UPDATE sqlite_schema SET sql = replace(sql, ?1, ?2) WHERE type = 'table' AND sql NOT LIKE '%WITHOUT ROWID'";
        relaxed.execute(relax, [rule, &less]).unwrap();
    }
    let columns: Vec<(String, String)> = relaxed
        .prepare(
            "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns
             WHERE tables.type = 'table' AND tables.name NOT LIKE 'sqlite_%'",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    relaxed.close().unwrap();
    let (mut told, mut tried) = (0, 0);
    for (table, column) in columns {
        for value in ["NULL", "'x'", "x'ff00'", "-9"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::copy(whole.path().join(opening::DOCUMENT), dir.path().join(opening::DOCUMENT)).unwrap();
            let damage = document(dir.path());
            damage.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
            // What the document itself still refuses is no damage.
            if damage.execute(&format!("UPDATE OR REPLACE {table} SET {column} = {value}"), []).is_err() {
                continue;
            }
            damage.close().unwrap();
            tried += 1;
            let errors = match Project::open(dir.path()) {
                Ok(mut project) => read_all(&mut project),
                Err(error) => vec![error],
            };
            for error in errors {
                told += 1;
                let sentence = error.to_string();
                assert!(
                    matches!(error, StoreError::Corrupted { .. } | StoreError::Stale(_)),
                    "{table}.{column} = {value}: {sentence}"
                );
                for raw in ["Invalid", "at index", "returned no rows"] {
                    assert!(!sentence.contains(raw), "{table}.{column} = {value}: {sentence}");
                }
            }
        }
    }
    assert!(tried > 100 && told > 50, "{told} of {tried}");
}
