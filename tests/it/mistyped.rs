//! What a person is told who mistypes: what there is, and what is likeliest meant.

use std::{fs, path::Path};

use crate::terminal::{model, nudge, out, path, project, run, sentence, trained};

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

/// What no settings file can hold would leave a run that nothing could read any more.
#[test]
fn more_steps_than_can_be_kept_are_refused_and_the_run_stays_whole() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = trained(home, "First");
    for args in [
        &["resume", &dir, "last", "--steps", "18446744073709551615"][..],
        &["train", &dir, "--steps", "9223372036854775808"],
        &["fork", &dir, "last", "--at", "2", "--steps", "9223372036854775808"],
        &["resume", &dir, "last", "--steps", "-1"],
    ] {
        let said = sentence(home, args, 2);
        assert!(
            said.contains("invalid value") && (said.contains("1..=") || said.contains("below 0")),
            "{args:?}: {said}"
        );
    }
    assert!(!out(home, &["metrics", &dir, "last", "--csv"]).is_empty());
    out(home, &["resume", &dir, "last", "--steps", "3", "--json"]);
}

#[test]
fn what_is_no_model_is_told_as_what_it_is() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (notes, folder, gone) = (home.join("notes.txt"), home.join("photos"), home.join("gone"));
    fs::write(&notes, "").unwrap();
    fs::create_dir(&folder).unwrap();
    for (model, said) in
        [(notes, "neither a GGUF file"), (folder, "no config.json lies in it"), (gone, "there is no such folder")]
    {
        let model = path(&model);
        for args in [
            &["new", &path(&home.join("made")), "--model", &model][..],
            &["generate", "--model", &model, "--prompt", "a"],
        ] {
            let errors = sentence(home, args, 1);
            assert!(errors.contains(said) && errors.contains(&model), "{args:?}: {errors}");
        }
    }
}

/// Where charts and report go is known before the runs, which may take hours.
#[test]
fn a_comparison_is_told_at_once_where_nothing_can_be_written() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let file = home.join("file");
    fs::write(&file, "").unwrap();
    let below = path(&file.join("charts.csv"));
    let folder = path(home);
    for (more, code) in [
        (["--export", &below], 1),
        (["--report", &below], 1),
        (["--report", &folder], 2),
        (["--tensorboard", &path(&file)], 1),
    ] {
        let said = sentence(home, &[&["compare", &project], &more[..]].concat(), code);
        assert!(said.contains("file") || said.contains("folder"), "{said}");
    }
    assert!(out(home, &["runs", &project, "--json"]).is_empty(), "nothing was trained for it");
    let other = home.join("other");
    fs::create_dir(&other).unwrap();
    let dir = trained(&other, "First");
    let csv = path(&home.join("charts.csv"));
    let said =
        sentence_behind_results(home, &["compare", &dir, "--runs", "last", "--metrics", "eval_los", "--export", &csv]);
    assert!(said.contains("has measured \"eval_los\"") && said.contains("Did you mean eval_loss?"), "{said}");
}

#[cfg(unix)]
#[test]
fn a_project_whose_name_is_no_text_can_be_worked_with() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let made = trained(home, "First");
    let odd = home.join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    if fs::rename(made, &odd).is_err() {
        return; // Not on this file system.
    }
    for word in ["metrics", "answers"] {
        let ended = nudge(home, &[word]).arg(&odd).arg("last").output().unwrap();
        assert!(ended.status.success(), "{word}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

/// Standard error of a command that fails once it has printed results.
fn sentence_behind_results(home: &Path, args: &[&str]) -> String {
    let ended = run(home, args);
    assert_eq!(ended.status.code(), Some(2), "{args:?}");
    String::from_utf8(ended.stderr).unwrap()
}
