//! What a person is told who mistypes: what there is, and what is likeliest meant.

use std::fs;

use crate::terminal::{model, path, project, run, sentence};

#[test]
fn an_unknown_method_is_told_the_likeliest_and_all_that_there_are() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    for args in [
        &["train", &project, "--method", "dop"][..],
        &["train", &project, "--set", "objective.kind=dop"],
        &["train", &project, "--method", "DPO"],
        &["check", &project, "--method", "dop"],
        &["compare", &project, "--methods", "mpo,dop"],
        &["compare", &project, "--method", "dop"],
        &["bench", "--objective", "dop"],
    ] {
        let said = sentence(home, args, 2);
        assert!(said.contains("mpo") && said.contains("ipo"), "{args:?}: {said}");
        let meant = said.lines().find(|line| line.contains("imilar") || line.contains("Did you mean"));
        assert!(meant.is_some_and(|line| line.contains("dpo")), "{args:?}: {said}");
    }
    let said = sentence(home, &["train", &project, "--method", "sft"], 2);
    assert!(said.contains("grpo") && !said.contains("similar"), "{said}");
    let taken = run(home, &["train", &project, "--method", "ipo", "--print-config"]);
    assert!(String::from_utf8(taken.stdout).unwrap().contains("kind = \"ipo\""));
}

#[test]
fn an_empty_input_is_told_what_it_is_to_hold() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (model, project) = (model(), project(home));
    for (args, example) in [
        (&["generate", "--model", &model, "--messages", "-"][..], "[{\"role\": \"user\", \"content\": \"Hello\"}]"),
        (&["tokens", "--model", &model, "--messages", "-"], "[{\"role\": \"user\", \"content\": \"Hello\"}]"),
        (&["generate", "--model", &model, "--prompts", "-"], "{\"prompt\": \"Hello\"}"),
        (&["sample", &project, "--prompts", "-"], "such as"),
    ] {
        let said = sentence(home, args, 1);
        assert!(said.contains("Standard input is empty") && said.contains(example), "{args:?}: {said}");
    }
    // A file is called by its name.
    let empty = home.join("empty.json");
    fs::write(&empty, "\n").unwrap();
    let said = sentence(home, &["generate", "--model", &model, "--messages", &path(&empty)], 1);
    assert!(said.contains("empty.json") && !said.contains("Standard input"), "{said}");
}
