//! What a table may ask for, on five pairs.

use super::*;
use crate::{PairSource, ProjectSettings, Sort, VerdictState};
use ::data::{Change, Choice, Edit, Pair, Prompt, Role, SplitRule, Strength, Turn, Verdict};

/// Five pairs, ids 1 to 5, no two alike.
fn project() -> (tempfile::TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
    let pair = |prompt: &str, answers: [&str; 2], choice: Option<Choice>, at_ms, tags: &[&str]| {
        let mut pair = Pair::new(PairId::NEW, Prompt::Text(prompt.to_owned()), &answers);
        pair.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        pair.verdict = choice.map(|choice| Verdict::local(choice, at_ms));
        pair
    };
    let better = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly };
    let mut pairs = [
        pair("Wann öffnet die Mühle?", ["Um neun", "Nie"], Some(better), 30, &["a", "b"]),
        pair("水車はどこですか", ["川のそば", "x"], Some(Choice::Tie), 10, &["ab"]),
        pair("Where is the \"mill\"?", ["here", "there, by the mill-race"], None, 0, &[]),
        pair("The MILL", ["y", "z"], Some(Choice::Skip), 20, &["a"]),
        pair("", ["100%", "a_b"], Some(Choice::BothBad), 40, &["quote\"d"]),
    ];
    pairs[2].split = Split::Eval;
    pairs[4].prompt = Prompt::chat(vec![Turn::new(Role::System, "Be brief"), Turn::new(Role::User, "How\nsure?")]);
    let edits = pairs.into_iter().map(Edit::add).collect();
    project.apply(&Change::new("Import", edits)).unwrap();
    (dir, project)
}

fn ids(project: &Project, query: PairQuery) -> Vec<i64> {
    let ids = project.query(&query).unwrap();
    ids.into_iter().map(|id| id.0).collect()
}

#[test]
fn a_search_finds_words_in_any_script_case_and_place() {
    let (_dir, mut project) = project();
    let search = |project: &Project, search: &str| {
        let search = search.to_owned();
        ids(project, PairQuery { search, ..PairQuery::default() })
    };
    for (text, expected) in [
        ("", &[1, 2, 3, 4, 5][..]),
        ("MÜHLE", &[1]),
        ("mill", &[3, 4]),
        ("mill where", &[3]),
        ("mill-RACE \"mill\"", &[3]),
        ("水車", &[2]),
        ("川", &[2]),
        ("水車は どこ", &[2]),
        ("%", &[5]),
        ("_b", &[5]),
        ("brief sure", &[5]),
        ("mills", &[]),
        ("lli", &[]),
        // Words of the file's own format are not texts.
        ("answers", &[]),
        ("human", &[]),
        ("user", &[]),
        ("AND", &[]),
        ("* NEAR(", &[]),
    ] {
        assert_eq!(search(&project, text), expected, "{text:?}");
    }
    // The newest text counts, not an older one.
    let before = project.pair(PairId(4)).unwrap().unwrap();
    let mut after = before.clone();
    after.prompt = Prompt::Text("The hill".to_owned());
    project.apply(&Change::new("Edit", vec![Edit::replace(before, after)])).unwrap();
    assert_eq!(search(&project, "mill"), [3]);
    assert_eq!(search(&project, "hil"), [4]);
    project.undo().unwrap();
    assert_eq!(search(&project, "the mill"), [3, 4]);
}

#[test]
fn filters_narrow_and_combine() {
    let (_dir, project) = project();
    let all = PairQuery::default;
    let is = |state| Some(VerdictFilter::Is(state));
    for (query, expected) in [
        (PairQuery { verdict: is(VerdictState::Better), ..all() }, &[1][..]),
        (PairQuery { verdict: is(VerdictState::Unlabelled), ..all() }, &[3]),
        (PairQuery { verdict: Some(VerdictFilter::Labelled), ..all() }, &[1, 2, 4, 5]),
        (PairQuery { pinned: Some(Split::Eval), ..all() }, &[3]),
        (PairQuery { pinned: Some(Split::Train), ..all() }, &[]),
        (PairQuery { tag: Some("a".to_owned()), ..all() }, &[1, 4]),
        (PairQuery { tag: Some("quote\"d".to_owned()), ..all() }, &[5]),
        (
            PairQuery {
                tag: Some("a".to_owned()),
                verdict: is(VerdictState::Skip),
                search: "mill".to_owned(),
                ..all()
            },
            &[4],
        ),
    ] {
        assert_eq!(ids(&project, query.clone()), expected, "{query:?}");
    }
    let rule = SplitRule { eval_fraction: 0.5, seed: 3 };
    let side = |held_out| ids(&project, PairQuery { held_out: Some((rule, held_out)), ..all() });
    let mut both = [side(true), side(false)].concat();
    both.sort_unstable();
    assert_eq!(both, [1, 2, 3, 4, 5]);
    for id in side(true) {
        let pair = project.pair(PairId(id)).unwrap().unwrap();
        assert!(pair.split == Split::Eval || rule.holds_out(PromptKey::of(&pair.prompt)));
    }
}

#[test]
fn sorting_puts_what_has_no_value_last() {
    let (_dir, project) = project();
    let sorted = |key, descending| ids(&project, PairQuery { sort: Sort { key, descending }, ..PairQuery::default() });
    assert_eq!(sorted(SortKey::Id, true), [5, 4, 3, 2, 1]);
    assert_eq!(sorted(SortKey::VerdictTime, false), [2, 4, 1, 5, 3]);
    assert_eq!(sorted(SortKey::VerdictTime, true), [5, 1, 4, 2, 3]);
    assert_eq!(sorted(SortKey::Length, false)[0], 4);
}

#[test]
fn pairs_to_learn_from_are_counted_by_the_side_that_was_set_for_them() {
    let (_dir, mut project) = project();
    for (split, sides) in [(Split::Auto, (0, 0)), (Split::Eval, (1, 0)), (Split::Train, (0, 1))] {
        let before = project.pair(PairId(1)).unwrap().unwrap();
        let after = Pair { split, ..before.clone() };
        project.apply(&Change::new("Split", vec![Edit::replace(before, after)])).unwrap();
        let basis = project.counts().unwrap().basis(None);
        assert_eq!((basis.pairs, (basis.held_out, basis.trained_on)), (2, sides), "{split:?}");
    }
}

#[test]
fn of_few_pairs_it_is_known_which_prompts_decide() {
    let (_dir, mut project) = project();
    let learnt = |project: &Project| project.counts().unwrap().basis(None);
    let open = |basis: &Basis| {
        let mut open = basis.open.to_vec();
        open.sort_unstable();
        open
    };
    let pair = |text: &str, split| {
        let labelled = project.pair(PairId(1)).unwrap().unwrap();
        let mut pair = Pair { split, ..Pair::new(PairId::NEW, Prompt::Text(text.to_owned()), &["x", "y"]) };
        pair.verdict = labelled.verdict;
        pair
    };
    let added = [pair("Twice?", Split::Auto), pair("twice", Split::Auto), pair("Once?", Split::Auto)];
    let pinned = Pair { verdict: None, ..pair("TWICE", Split::Eval) };
    let before = learnt(&project);
    project.apply(&Change::new("Add", added.clone().map(Edit::add).to_vec())).unwrap();
    let basis = learnt(&project);
    let mut expected = before.open.to_vec();
    expected.extend([(PromptKey::of(&added[0].prompt), 2), (PromptKey::of(&added[2].prompt), 1)]);
    expected.sort_unstable();
    assert_eq!((basis.pairs, open(&basis)), (before.pairs + 3, expected.clone()));
    assert_eq!((basis.held_out, basis.trained_on), (before.held_out, before.trained_on));
    // A pair that nobody has labelled takes both along.
    project.apply(&Change::new("Pin", vec![Edit::add(pinned)])).unwrap();
    let basis = learnt(&project);
    expected.retain(|(prompt, _)| *prompt != PromptKey::of(&added[0].prompt));
    assert_eq!((basis.held_out, open(&basis)), (before.held_out + 2, expected));
    let many =
        (0..Basis::FEW).map(|number| Edit::add(Pair { prompt: Prompt::Text(format!("{number}")), ..added[2].clone() }));
    project.apply(&Change::new("Many", many.collect())).unwrap();
    assert!(learnt(&project).open.is_empty());
}

#[test]
fn rows_counts_and_tags_show_the_newest_state() {
    let (_dir, project) = project();
    let rows = project.rows(&[PairId(5), PairId(77), PairId(1)]).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].prompt.as_str(), rows[0].state), ("How sure?", VerdictState::BothBad));
    assert_eq!((rows[1].chosen.as_str(), rows[1].rejected.as_str()), ("Nie", "Um neun"));
    assert_eq!(rows[1].strength, Some(Strength::Clearly));
    let counts = project.counts().unwrap();
    assert_eq!((counts.total(), counts.labelled(), counts.better), (5, 4, 1));
    let tags = project.tags().unwrap();
    let names: Vec<_> = tags.iter().map(|(tag, n)| (tag.as_str(), *n)).collect();
    assert_eq!(names, [("a", 2), ("ab", 1), ("b", 1), ("quote\"d", 1)]);
}

#[test]
fn filters_combine() {
    let (_dir, mut project) = project();
    let all = || PairQuery::default();
    let clearly = PairQuery { strength: Some(Strength::Clearly), ..all() };
    assert_eq!(ids(&project, clearly.clone()), [1]);
    assert_eq!(ids(&project, PairQuery { strength: Some(Strength::Slightly), ..all() }), [0; 0]);
    assert_eq!(ids(&project, PairQuery { tag: Some("b".to_owned()), ..clearly.clone() }), [1]);
    assert_eq!(ids(&project, PairQuery { tag: Some("ab".to_owned()), ..clearly }), [0; 0]);
    let imported = project.revision().unwrap();
    let mut pair = project.pair(PairId(4)).unwrap().unwrap();
    let before = pair.clone();
    pair.note = "changed".to_owned();
    pair.answers[0].origin = ::data::Origin::Model("run 1".to_owned());
    project.apply(&Change::new("Note", vec![Edit::replace(before, pair.clone())])).unwrap();
    let changed = PairQuery { changed_since: Some(imported), ..all() };
    assert_eq!(ids(&project, changed.clone()), [4]);
    assert_eq!(ids(&project, PairQuery { verdict: Some(VerdictFilter::Labelled), ..changed.clone() }), [4]);
    assert_eq!(ids(&project, PairQuery { search: "mühle".to_owned(), ..changed }), [0; 0]);
    let exactly = Some((pair.len_bytes(), pair.len_bytes()));
    assert_eq!(ids(&project, PairQuery { length: exactly, ..all() }), [4]);

    let mut imported = Pair::new(PairId::NEW, Prompt::Text("from a file".to_owned()), &["x", "y"]);
    imported.source = Some(::data::Source { file: "a.jsonl".to_owned(), line: 1, id: None });
    project.apply(&Change::new("Import", vec![Edit::add(imported)])).unwrap();
    let file = PairSource::File("a.jsonl".to_owned());
    let counts = [(file.clone(), 1), (PairSource::Model, 1), (PairSource::Hand, 4)];
    assert_eq!(project.sources().unwrap(), counts);
    for (source, expected) in [(file, &[6][..]), (PairSource::Model, &[4]), (PairSource::Hand, &[1, 2, 3, 5])] {
        assert_eq!(ids(&project, PairQuery { source: Some(source), ..all() }), expected);
    }
}

#[test]
fn a_pin_holds_out_all_pairs_of_its_prompt() {
    let (_dir, mut project) = project();
    let none = SplitRule { eval_fraction: 0.0, seed: 0 };
    let mut variant = Pair::new(PairId::NEW, Prompt::Text("where is the MILL".to_owned()), &["x", "y"]);
    variant.split = Split::Train;
    let id = project.apply(&Change::new("Add", vec![Edit::add(variant)])).unwrap().pairs[0];
    let held_out = PairQuery { held_out: Some((none, true)), ..PairQuery::default() };
    assert_eq!(ids(&project, held_out), [3, id.0], "the third pair is pinned to it, which wins");
    let rows = project.rows(&[PairId(1), id]).unwrap();
    assert_eq!(rows.iter().map(|row| row.is_held_out(none)).collect::<Vec<_>>(), [false, true]);
    assert!(rows[0].is_held_out(SplitRule { eval_fraction: 1.0, seed: 0 }));
}

/// What an import brings lies in blocks; what stands before, between and behind them in blocks of its own.
#[test]
fn a_search_finds_every_pair_of_an_import_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
    let pair = |number: usize| {
        Pair::new(PairId::NEW, Prompt::Text(format!("number{number}end")), &["a", &"some words ".repeat(90)])
    };
    let mut ids = Vec::new();
    for (numbers, by_hand) in [(0..3, true), (3..90, false), (90..91, true), (91..120, false)] {
        if by_hand {
            let edits = numbers.map(|number| Edit::add(pair(number))).collect();
            ids.extend(project.apply(&Change::new("Add", edits)).unwrap().pairs);
        } else {
            let mut import = project.begin_import(crate::Duplicates::Keep).unwrap();
            numbers.for_each(|number| {
                import.add(pair(number)).unwrap();
            });
            ids.extend(import.finish(|_| "Import".to_owned()).unwrap().applied.pairs);
        }
    }
    for (number, id) in ids.iter().enumerate() {
        let query = PairQuery { search: format!("NUMBER{number}end"), ..PairQuery::default() };
        assert_eq!(project.query(&query).unwrap(), [*id], "{number}");
    }
    let blocks: i64 = project.connection.query_row("SELECT count(*) FROM packed", [], |row| row.get(0)).unwrap();
    assert!((8..20).contains(&blocks), "{blocks} blocks");
}

/// Neither hides a text, and both are made anew.
#[test]
fn a_signature_that_is_damaged_or_missing_hides_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
    let pair = |word: &str| Edit::add(Pair::new(PairId::NEW, Prompt::Text(word.to_owned()), &["a", "b"]));
    project.apply(&Change::new("Add", ["harbour", "lighthouse", "estuary"].map(pair).into())).unwrap();
    assert_eq!(project.mend_search().unwrap(), None);
    let change = |sql: &str| assert_eq!(project.connection.execute(sql, []).unwrap(), 1);
    change("DELETE FROM signatures WHERE first = 1");
    change("UPDATE signatures SET bits = zeroblob(length(bits)) WHERE first = 2");
    change("UPDATE signatures SET bits = zeroblob(0) WHERE first = 3");
    let found = |search: &str| {
        let query = PairQuery { search: search.to_owned(), ..PairQuery::default() };
        project.query(&query).unwrap().into_iter().map(|id| id.0).collect::<Vec<_>>()
    };
    let all_found = || assert_eq!(["harbour", "lighthouse", "estuary"].map(found), [[1], [2], [3]]);
    all_found();
    let told = project.mend_search().unwrap().unwrap();
    assert!(told.contains("3 pieces of the search index, made anew"), "{told}");
    assert_eq!(project.mend_search().unwrap(), None);
    all_found();
}

/// A document of the eleventh version, whose signatures have no sum.
#[test]
fn signatures_of_before_get_their_sums() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("runs")).unwrap();
    let connection = rusqlite::Connection::open(dir.path().join(crate::opening::DOCUMENT)).unwrap();
    crate::schema::upgrade_to(&connection, 11).unwrap();
    connection.execute("INSERT INTO signatures (first, bits) VALUES (1, zeroblob(64))", []).unwrap();
    connection.execute("INSERT INTO packed (first, last, bodies) VALUES (1, 1, zeroblob(9))", []).unwrap();
    drop(connection);
    let project = Project::open(dir.path()).unwrap();
    assert_eq!(project.mend_search().unwrap(), None);
}

#[test]
fn a_long_search_tells_how_far_it_is_and_can_be_cut_short() {
    let (_dir, project) = project();
    let query = PairQuery { search: "a".to_owned(), ..PairQuery::default() };
    let mut told = Vec::new();
    let found = project.query_watched(&query, &mut |done| {
        told.push(done);
        ControlFlow::Continue(())
    });
    assert_eq!((found.unwrap().len(), &told[..]), (3, &[0.0][..]));
    let cut = project.query_watched(&query, &mut |_| ControlFlow::Break(()));
    assert!(matches!(cut, Err(crate::StoreError::CutShort)));
}
