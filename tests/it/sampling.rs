//! Answers of a model as pairs to label and as reference answers, on the command line.

use std::{collections::HashSet, fs, path::Path};

use nudge::{
    data::{Origin, Pair, PromptKey},
    store::Project,
};
use serde_json::Value;

use crate::terminal::{SMALL, json_lines, model, out, path, project, sentence};

/// A project without pairs, and three prompts: one as plain text, one as a conversation, one as a text to go on from.
fn prompts(home: &Path) -> (String, String) {
    let dir = path(&home.join("fresh"));
    out(home, &["new", &dir, "--model", &model()]);
    let file = home.join("prompts.txt");
    let chat = r#"{"messages": [{"role": "user", "content": "Who are you?"}]}"#;
    fs::write(&file, format!("Where is the river?\n\n{chat}\n{{\"prompt\": \"Once\"}}\nWhere is the river?\n"))
        .unwrap();
    (dir, path(&file))
}

fn pairs(dir: &str) -> Vec<Pair> {
    let project = Project::open(Path::new(dir)).unwrap();
    project.pairs_at(project.revision().unwrap()).unwrap()
}

fn texts(pairs: &[Pair]) -> Vec<Vec<&str>> {
    pairs.iter().map(|pair| pair.answers.iter().map(|answer| answer.text.as_str()).collect()).collect()
}

fn origins(pair: &Pair) -> Vec<&str> {
    let origins = pair.answers.iter().map(|answer| match &answer.origin {
        Origin::Model(name) => name.as_str(),
        other => panic!("{other:?}"),
    });
    origins.collect()
}

#[test]
fn prompts_become_pairs_to_label() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (dir, file) = prompts(home);
    let args = ["sample", &dir, "--prompts", &file, "--answers", "3", "--max-new", "8", "--seed", "5", "--json"];
    let lines = json_lines(&out(home, &args));
    let (sums, drawn) = lines.split_last().unwrap();
    assert_eq!((drawn.len(), &sums["pairs"], &sums["without"]), (3, &3.into(), &0.into()), "each prompt once: {sums}");

    let first = pairs(&dir);
    assert_eq!(first.len(), 3);
    for pair in &first {
        assert!(pair.verdict.is_none());
        assert_eq!(pair.answers.len(), 3);
        let different: HashSet<&str> = pair.answers.iter().map(|answer| answer.text.trim()).collect();
        assert_eq!(different.len(), 3, "{pair:?}");
        let origin = "start model, temperature 1, top-p 1, seed 5";
        for answer in &pair.answers {
            let Origin::Model(name) = &answer.origin else { panic!("{:?}", answer.origin) };
            assert_eq!(name.strip_suffix(", cut at the limit").unwrap_or(name), origin);
        }
    }
    let cut = first.iter().flat_map(|pair| &pair.answers).filter(|answer| answer.is_cut()).count();
    assert_eq!((sums["cut"].as_u64(), sums["seed"].as_u64()), (Some(cut as u64), Some(5)));
    let distance = sums["project"]["label/distance"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&distance) && distance > 0.0, "{distance}");

    // The same seed again, the other way round: each prompt's answers are its own.
    let lines = fs::read_to_string(&file).unwrap();
    let reversed: Vec<&str> = lines.lines().rev().collect();
    fs::write(&file, reversed.join("\n")).unwrap();
    out(home, &args);
    let both = pairs(&dir);
    let of = |pairs: &[Pair]| -> HashSet<Vec<String>> {
        texts(pairs).iter().map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()).collect()
    };
    assert_eq!((both.len(), of(&both[..3])), (6, of(&both[3..])));
    out(home, &["sample", &dir, "--of-pairs", "--max-new", "8", "--seed", "6"]);
    let all = pairs(&dir);
    assert_eq!(all.len(), 9, "three prompts, each once");
    assert!(of(&all[6..]).is_disjoint(&of(&both)));
    Project::open(Path::new(&dir)).unwrap().undo().unwrap().unwrap();
    assert_eq!(pairs(&dir).len(), 6, "one call is one step back");
}

#[test]
fn pilaf_asks_a_run_and_its_start() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = project(home);
    let pilaf =
        ["sample", &dir, "--of-pairs", "--max-new", "6", "--pilaf", "--share", "0.5", "--strength", "0.5", "--from"];
    let asking = |from| [&pilaf[..], &[from]].concat();
    assert!(sentence(home, &asking("start"), 2).contains("name a run with --from"));
    assert!(sentence(home, &asking("last"), 1).contains("There is no run"));
    let mut train = vec!["train", &dir, "--steps", "3"];
    train.extend(SMALL);
    train.extend(["--set", "optimizer.learning_rate=3e-2"]);
    out(home, &train);
    let before = pairs(&dir).len();
    let json = [&asking("last@3")[..], &["--json"]].concat();
    let lines = json_lines(&out(home, &json));
    let sums = lines.last().unwrap();
    let share = sums["label/pilaf_share"].as_f64().unwrap();
    assert!(share > 0.0 && share < 1.0, "some of twelve: {sums}");
    let new = &pairs(&dir)[before..];
    let (mut mixed, mut plain) = (0, 0);
    for pair in new {
        match origins(pair)[..] {
            [plus, minus] if plus.starts_with("pilaf:+0.5@run 1 at step 3") => {
                assert!(minus.starts_with("pilaf:-0.5@run 1 at step 3"), "{minus}");
                mixed += 1;
            }
            [a, b] => {
                let origin = |name: &str| name.trim_end_matches(", cut at the limit").to_owned();
                assert!(origin(a) == origin(b) && a.starts_with("run 1 at step 3, "), "{a}, {b}");
                plain += 1;
            }
            ref other => panic!("{other:?}"),
        }
    }
    assert!(mixed > 0 && plain > 0, "{mixed} and {plain}");
    assert!(sentence(home, &asking("1@77"), 1).contains("no checkpoint of step 77; there are those of 2, 3"));
    assert!(sentence(home, &asking("1@x"), 2).contains("RUN@STEP"));
    // All weights trained: the start's are not beside them.
    train.extend(["--set", "lora.full=true"]);
    out(home, &train);
    assert!(sentence(home, &asking("2"), 1).contains("draw without PILAF"));
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (dir, file) = prompts(home);
    let sample =
        |more: &[&str], code| sentence(home, &[&["sample", &dir, "--prompts", &file][..], more].concat(), code);
    assert!(sample(&["--temperature", "0"], 2).contains("the same answer each time"));
    assert!(sample(&["--pilaf", "--strength", "1.5"], 2).contains("above 0 and at most 1"));
    assert!(sample(&["--pilaf", "--answers", "3"], 2).contains("PILAF compares 2"));
    fs::write(&file, "again ".repeat(2_000)).unwrap();
    let told = run_all(home, &dir, &file, &[]);
    assert!(told.contains("no room for an answer") && told.contains("No pair came of it"), "{told}");
    fs::write(&file, "Where?").unwrap();
    // So cold that only the likeliest token is left.
    let told = run_all(home, &dir, &file, &["--temperature", "1e-9", "--max-new", "4"]);
    assert!(told.contains("the same answer each time: “") && told.contains("a higher temperature"), "{told}");
    assert_eq!(pairs(&dir).len(), 0);
}

/// Everything that a call which fails says on standard error.
fn run_all(home: &Path, dir: &str, file: &str, more: &[&str]) -> String {
    let output = crate::terminal::run(home, &[&["sample", dir, "--prompts", file][..], more].concat());
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_model_asked_again_says_something_else() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (dir, file) = prompts(home);
    let args = ["sample", &dir, "--prompts", &file, "--max-new", "8", "--json"];
    let seed = |lines: Vec<Value>| lines.last().unwrap()["seed"].as_u64().unwrap();
    let (first, second) = (seed(json_lines(&out(home, &args))), seed(json_lines(&out(home, &args))));
    assert_ne!(first, second);
    let all = pairs(&dir);
    let different: HashSet<Vec<&str>> = texts(&all).into_iter().collect();
    assert_eq!((all.len(), different.len()), (6, 6));
}

#[test]
fn reference_answers_are_the_start_models_own_where_no_pair_is() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = project(home);
    let about: HashSet<PromptKey> = pairs(&dir).iter().map(|pair| PromptKey::of(&pair.prompt)).collect();
    let references = |dir: &str| Project::open(Path::new(dir)).unwrap().references().unwrap();
    let sums = |lines: Vec<Value>| lines.last().unwrap().clone();
    // Longer than that, an answer has no end that could be learnt.
    let short =
        sums(json_lines(&whatever_came(home, &["references", &dir, "--count", "2", "--max-new", "200", "--json"])));
    assert!(short["answers"].as_u64().unwrap() + short["cut"].as_u64().unwrap() <= 2, "{short}");
    let args = ["references", &dir, "--count", "12", "--max-new", "200", "--json"];
    let first = sums(json_lines(&whatever_came(home, &args)));
    let came = references(&dir);
    assert_eq!((first["total"].as_u64(), &first["against"]), (Some(came.len() as u64), &0.into()), "{first}");
    assert!(came.iter().all(|one| !about.contains(&PromptKey::of(&one.prompt)) && !one.answer.trim().is_empty()));
    assert!(first["topics"].is_u64() && first["covered"].is_u64());
    // The prompts of the pairs only where that is said.
    let against = sums(json_lines(&whatever_came(
        home,
        &["references", &dir, "--of-pairs", "--count", "12", "--max-new", "200", "--json"],
    )));
    let on_pairs = references(&dir).iter().filter(|one| about.contains(&PromptKey::of(&one.prompt))).count();
    assert_eq!(against["against"].as_u64(), Some(on_pairs as u64));
    let told = whatever_came(home, &["references", &dir, "--count", "1", "--max-new", "200"]);
    assert!(told.contains("KL term"), "{told}");
    // A project that has no pair yet.
    let (empty, _) = prompts(home);
    json_lines(&whatever_came(home, &["references", &empty, "--count", "3", "--max-new", "200", "--json"]));
}

/// What a call says, whether or not anything came of it.
fn whatever_came(home: &Path, args: &[&str]) -> String {
    let output = crate::terminal::run(home, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("no pairs yet"), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}
