//! A comparison that is interrupted in the middle goes on with what it lacks.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::terminal::{SMALL, json_lines, nudge, out, project, run};

#[cfg(unix)]
#[test]
fn an_interrupted_comparison_says_what_it_lacks_and_goes_on_with_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["compare", &project, "--methods", "mpo,dpo,ipo", "--steps", "60", "--json"];
    args.extend(SMALL);
    let errors = home.join("errors");
    let mut child = nudge(home, &args).stdout(Stdio::piped()).stderr(File::create(&errors).unwrap()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let second = lines.by_ref().find(|line| {
        let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
        line["run"] == 2 && line["step"].as_u64() >= Some(2)
    });
    assert!(second.is_some());
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let said = fs::read_to_string(errors).unwrap();
    let done = json_lines(&out(home, &["runs", &project, "--json"]))[1]["step"].as_u64().unwrap();
    for part in [&format!("(run 2) has done {done} of 60 steps"), "Not trained: IPO", "The same command with --go-on"] {
        assert!(said.contains(part), "{part}: {said}");
    }

    args.push("--go-on");
    let again = run(home, &args);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success(), "{said}");
    assert!(
        said.contains("run 1 is there already") && said.contains(&format!("run 2 goes on after step {done}")),
        "{said}"
    );
    let lines = json_lines(&String::from_utf8(again.stdout).unwrap());
    let compared = lines.last().unwrap()["compared"].as_array().unwrap();
    let whole: Vec<_> = compared.iter().map(|run| (run["run"].as_u64(), run["step"].as_u64())).collect();
    assert_eq!(whole, [1, 2, 3].map(|run| (Some(run), Some(60))));
    // Another setting is another comparison.
    args.extend(["--steps", "2", "--set", "objective.beta=0.3"]);
    let position = args.iter().position(|arg| *arg == "60").unwrap();
    args.drain(position - 1..=position);
    out(home, &args);
    assert_eq!(json_lines(&out(home, &["runs", &project, "--json"])).len(), 6);
}
