//! The command line on files that changed, settings that contradict what is asked, and readers that go away.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

use nudge::store::{PairQuery, Project, RunId, RunStatus};

use crate::terminal::{SMALL, fixtures, json_lines, nudge, out, path, project, run, sentence};

/// A project on a model of its own that may be changed, with a run of four steps.
fn trained(home: &Path) -> (String, std::path::PathBuf) {
    let model = home.join("model");
    fs::create_dir(&model).unwrap();
    for entry in fs::read_dir(fixtures().join("models/llama_mha")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), model.join(entry.file_name())).unwrap();
    }
    let project = project(home);
    let of_model = format!("model.path={}", path(&model));
    train(home, &project, &["--steps", "4", "--set", &of_model]);
    (project, model)
}

fn train(home: &Path, project: &str, more: &[&str]) {
    out(home, &[&["train", project], &SMALL[..], more].concat());
}

fn status(project: &str, run: i64) -> RunStatus {
    Project::open(Path::new(project)).unwrap().run(RunId(run)).unwrap().status
}

#[test]
fn a_checkpoint_is_not_put_on_a_model_that_was_changed_since() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (project, model) = trained(home);
    let weights = model.join("model.safetensors");
    let whole = fs::read(&weights).unwrap();
    let mut changed = whole.clone();
    let last = changed.len() - 1;
    changed[last] ^= 0x80;
    fs::write(&weights, &changed).unwrap();
    let (merged, adapter) = (path(&home.join("merged")), path(&home.join("adapter")));
    for args in [
        &["score", &project, "1"][..],
        &["export", &project, "1", "--merged", &merged],
        &["export", &project, "1", "--adapter", &adapter],
        &["sample", &project, "--of-pairs", "--from", "1"],
    ] {
        let said = sentence(home, args, 1);
        assert!(said.contains("other files") && said.contains("Put the old files back"), "{args:?}: {said}");
    }
    fs::write(&weights, &whole).unwrap();
    out(home, &["export", &project, "1", "--merged", &merged]);
}

#[test]
fn a_resume_that_cannot_begin_leaves_the_run_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (project, model) = trained(home);
    let aside = home.join("aside");
    fs::rename(&model, &aside).unwrap();
    sentence(home, &["resume", &project, "1", "--steps", "6"], 1);
    assert_eq!(status(&project, 1), RunStatus::Completed);
    fs::rename(&aside, &model).unwrap();
    out(home, &["resume", &project, "1", "--steps", "6"]);
}

#[test]
fn a_damaged_optimizer_keeps_nobody_from_the_weights() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (project, _) = trained(home);
    let optimizer = format!("{project}/runs/1/checkpoints/step-000004/optimizer.safetensors");
    fs::write(&optimizer, b"").unwrap();
    let said = out(home, &["export", &project, "1", "--adapter", &path(&home.join("adapter"))]);
    assert!(said.contains("Wrote step 4"), "{said}");
    let said = sentence(home, &["fork", &project, "1", "--at", "4", "--steps", "6"], 1);
    assert!(said.contains("optimizer.safetensors is not the file"), "{said}");
}

#[test]
fn what_would_make_a_comparison_or_a_limit_empty_is_said() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let said = sentence(home, &["compare", &project, "--set", "objective.kind=dpo", "--steps", "2"], 2);
    assert!(said.contains("--methods names them"), "{said}");
    let check = ["check", &project, "--set", "train.kl_limit=0.001", "--set", "train.eval_every=0"];
    let said = out(home, &check);
    assert!(said.contains("the limit of 0.001 (train.kl_limit) holds nothing back"), "{said}");
}

#[test]
fn a_fork_without_any_pair_is_no_run() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (project, _) = trained(home);
    let opened = Project::open(Path::new(&project)).unwrap();
    let ids: Vec<String> = opened.query(&PairQuery::default()).unwrap().iter().map(|id| id.0.to_string()).collect();
    let mut args = vec!["fork", &project, "1", "--at", "2"];
    args.extend(ids.iter().flat_map(|id| ["--without", id.as_str()]));
    let said = sentence(home, &args, 1);
    assert!(said.contains("leaves out all"), "{said}");
    let said = sentence(home, &["fork", &project, "1", "--at", "4", "--steps", "3"], 1);
    assert!(said.contains("goes on from step 4 and is to have 3 steps in all"), "{said}");
    assert_eq!(json_lines(&out(home, &["runs", &project, "--json"])).len(), 1);
}

#[test]
fn a_reader_that_goes_away_stops_the_run_and_the_exit_code_says_so() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let args = [&["train", &project, "--json", "--steps", "400"][..], &SMALL].concat();
    let mut child = nudge(home, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(130) && said.contains("Nothing reads the output any more"), "{said}");
    assert_eq!(status(&project, 1), RunStatus::Stopped);
}

#[test]
fn a_verdict_of_the_wrong_type_is_no_missing_verdict() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let record = |verdict: &str| {
        format!(
            r#"{{"v":1,"prompt":"p","answers":[{{"key":"a","text":"x"}},{{"key":"b","text":"y"}}],"verdict":{verdict},"tags":[]}}"#
        )
    };
    for (verdict, reason) in [
        (r#"{"better":1,"worse":0}"#, r#""verdict.better" is 1, which is not a text"#),
        (r#""a""#, r#""verdict" must be an object"#),
        (r#"{"better":"a","worse":"c"}"#, r#""verdict.worse" is "c", which is not the key of an answer"#),
        (r#"{"better":"a","strength":2.7}"#, r#""verdict.strength" is 2.7, which is not 1, 2 or 3"#),
        (r#"{"better":"a","at":"garbage"}"#, "which is not a time"),
        (r#"{"better":"a","order":["a","zz"]}"#, "which is not a list of answers' keys, each once"),
        (r#"{"better":"a","order":["a","b","a"]}"#, "each once"),
        (r#"{"better":"a","worse":"a"}"#, "better than itself"),
    ] {
        let file = home.join("record.jsonl");
        fs::write(&file, record(verdict)).unwrap();
        let output = run(home, &["import", &project, &path(&file)]);
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.code() == Some(1) && said.contains(reason), "{said}");
    }
    let scores = home.join("scores.jsonl");
    fs::write(&scores, r#"{"prompt":"q","chosen":"x","rejected":"y","score_chosen":1e39,"score_rejected":1}"#).unwrap();
    let output = run(home, &["import", &project, &path(&scores), "--scores", "reward"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("which is no reward"), "{said}");
}
