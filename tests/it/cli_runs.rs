//! Runs on the command line: checked, trained, listed, interrupted, gone on with.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nudge::store::{Project, RunId};
use serde_json::Value;

use crate::terminal::{self, SMALL, json_lines, model, nudge, out, pairs_file, path, project, sentence};

#[test]
fn a_run_is_trained_listed_read_and_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["train", &project, "--steps", "4", "--name", "First", "--json"];
    args.extend(SMALL);
    let lines = json_lines(&out(home, &args));
    let (ending, steps) = lines.split_last().unwrap();
    assert_eq!(ending["status"], "completed");
    assert_eq!((&ending["step"], &ending["run"]), (&4.into(), &1.into()));
    let losses: Vec<f64> = steps.iter().filter_map(|line| line["metrics"]["loss"].as_f64()).collect();
    assert_eq!(losses.len(), 4);
    let preference = steps.iter().find_map(|line| line["metrics"]["loss/preference"].as_f64());
    assert!((preference.unwrap() + 0.5).abs() < 1e-6, "MPO begins at −0.5: {preference:?}");
    assert!(
        steps.iter().any(|line| line["step"] == 4 && !line["metrics"]["eval_loss"].is_null()),
        "the end is evaluated"
    );

    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    assert_eq!((&runs[0]["name"], &runs[0]["status"]), (&"First".into(), &"completed".into()));
    let shown = out(home, &["runs", &project]);
    assert!(shown.contains("First") && shown.contains("4/4"), "{shown}");

    // Every number of the stream is in the project, and the other way round.
    let stored = json_lines(&out(home, &["metrics", &project, "last", "--json"]));
    for line in steps {
        let same_step = stored.iter().find(|stored| stored["step"] == line["step"]).unwrap();
        for (name, value) in line["metrics"].as_object().unwrap() {
            assert_eq!(&same_step["metrics"][name], value, "{name}");
        }
    }
    // What a checkpoint has seen, and what was labelled since.
    out(home, &["change", &project, "--flip", "--id", "1"]);
    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    let checkpoint = runs[0]["checkpoints"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&checkpoint["step"], &checkpoint["labels"]), (&4.into(), &12.into()), "{checkpoint}");
    assert_eq!(checkpoint["later"], serde_json::json!({"added": 0, "changed": 1, "removed": 0}));
    assert_eq!(checkpoint["seen"], serde_json::json!([{"step": 0, "revision": runs[0]["revision"]}]));
    let listed = out(home, &["runs", &project, "--checkpoints"]);
    assert!(listed.lines().last().unwrap().ends_with("1 changed label"), "{listed}");
    out(home, &["change", &project, "--flip", "--id", "1"]);

    let csv = out(home, &["metrics", &project, "First"]);
    let columns: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(columns[0], "step");
    assert_eq!(csv.lines().count(), stored.len() + 1);
    assert!(csv.lines().all(|line| line.split(',').count() == columns.len()));

    let done = sentence(home, &["resume", &project, "1"], 1);
    assert!(done.contains("--steps 8"), "{done}");
    let more = json_lines(&out(home, &["resume", &project, "1", "--steps", "6", "--json"]));
    let first = more.iter().find(|line| !line["metrics"]["loss"].is_null()).unwrap();
    assert_eq!(first["step"], 5);
    assert_eq!(more.last().unwrap()["total_steps"], 6);

    let model = model();
    let checkpoint = more.last().unwrap()["checkpoint"].as_str().unwrap().to_owned();
    let pairs = pairs_file(home);
    let score = ["score", "--model", &model, "--pairs", &pairs, "--json"];
    let before = json_lines(&out(home, &score));
    let after = json_lines(&out(home, &[&score[..], &["--adapter", &checkpoint]].concat()));
    assert_eq!(before.len(), 13);
    assert_ne!(before[0]["chosen_logp"], after[0]["chosen_logp"], "the adapter does something");
}

/// With `--json` into a pipe the numbers have standard output, and what went wrong still has standard error.
#[test]
fn a_script_is_told_that_a_damaged_checkpoint_was_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["train", &project, "--steps", "4", "--set", "train.checkpoint_every=2", "--json"];
    args.extend(SMALL);
    let said = String::from_utf8_lossy(&terminal::run(home, &args).stderr).into_owned();
    assert!(said.lines().all(|line| line.starts_with("warning: ")), "no numbers, no progress: {said}");
    fs::write(Path::new(&project).join("runs/1/checkpoints/step-000004/state.json"), "{").unwrap();

    let output = terminal::run(home, &["resume", &project, "1", "--steps", "6", "--json"]);
    let (said, lines) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(said.contains("warning: ") && said.contains("step-000004"), "{said}");
    let first = json_lines(&lines).into_iter().find(|line| !line["metrics"]["loss"].is_null()).unwrap();
    assert_eq!(first["step"], 3, "from the newest that is whole");
}

#[test]
fn a_run_is_forked_and_listed_under_its_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args =
        vec!["train", &project, "--steps", "4", "--name", "First", "--json", "--set", "train.checkpoint_every=2"];
    args.extend(SMALL);
    out(home, &args);
    let same = json_lines(&out(home, &["fork", &project, "First", "--at", "2", "--json"]));
    assert_eq!((&same[0]["step"], &same.last().unwrap()["run"]), (&3.into(), &2.into()));
    let numbers = |run: &str| {
        let mut lines = json_lines(&out(home, &["metrics", &project, run, "--json"]));
        for line in &mut lines {
            line["run"].take();
            for clock in ["tokens_per_sec", "memory_mb", "eval_runtime"] {
                line["metrics"][clock].take();
            }
        }
        lines
    };
    assert_eq!(numbers("1"), numbers("2"));
    out(
        home,
        &[
            "fork",
            &project,
            "2",
            "--at",
            "2",
            "--set",
            "objective.beta=0.3",
            "--without",
            "1,2",
            "--name",
            "Other",
            "--json",
        ],
    );
    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    assert_eq!((&runs[2]["parent"], &runs[2]["parent_step"]), (&2.into(), &2.into()));
    assert_eq!(runs[2]["left_out"], serde_json::json!([1, 2]));
    let shown = out(home, &["runs", &project]);
    assert!(shown.contains("└ 2 First from 2") && shown.contains("  └ 2 Other"), "{shown}");
    let fixed = sentence(home, &["fork", &project, "1", "--at", "2", "--set", "lora.rank=4"], 1);
    assert!(fixed.contains("lora.rank stays 2, because"), "{fixed}");
    assert!(
        sentence(home, &["fork", &project, "1", "--at", "2", "--without-tag", "blunt"], 1)
            .contains("no pair has a tag")
    );
    assert_eq!(json_lines(&out(home, &["runs", &project, "--json"])).len(), 3, "what is refused leaves nothing");
}

#[test]
fn methods_are_compared_over_seeds_from_the_same_first_gradient() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["compare", &project, "--methods", "mpo,dpo", "--seeds", "2", "--match", "--steps", "2"];
    args.extend(SMALL);
    args.extend(["--set", "objective.reference_weight=0"]);
    let output = terminal::run(home, &args);
    let (shown, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(
        shown.contains("MPO, mean of 2 seeds") && shown.contains("DPO, mean of 2 seeds") && shown.contains(" to "),
        "{shown}"
    );
    assert!(said.contains("its first gradient is as long as that of MPO"), "{said}");
    let first = |run: &str| {
        let lines = json_lines(&out(home, &["metrics", &project, run, "--json"]));
        lines.iter().find_map(|line| line["metrics"]["grad_norm"].as_f64()).unwrap()
    };
    for (mpo, dpo) in [("1", "2"), ("3", "4")] {
        assert!((first(mpo) / first(dpo) - 1.0).abs() < 1e-4, "{} {}", first(mpo), first(dpo));
    }
    let events = home.join("events");
    let said = out(home, &["metrics", &project, "1", "--tensorboard", &path(&events)]);
    assert!(said.contains("3 steps of run 1"), "{said}");
    let file = fs::read_dir(&events).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&file).unwrap();
    let holds = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    assert!(holds("brain.Event:2") && holds("rewards/margins") && holds("eval_loss"));

    // The charts in files, as numbers and as pictures.
    let [csv, svg, png] = ["charts.csv", "charts.svg", "charts.png"].map(|name| path(&home.join(name)));
    let tensorboard = path(&home.join("all events"));
    let mut args =
        vec!["compare", &project, "--runs", "1,2", "--tensorboard", &tensorboard, "--metrics", "loss,eval_loss"];
    args.extend(["--across", "tokens", "--smoothing", "0.5", "--scale", "symlog"]);
    args.extend([&csv, &svg, &png].iter().flat_map(|file| ["--export", file]));
    out(home, &args);
    let refused = sentence(home, &["compare", &project, "--runs", "1", "--export", &csv], 1);
    assert!(refused.contains("exists"), "{refused}");
    let refused = sentence(home, &["compare", &project, "--runs", "1", "--export", "charts.gif"], 2);
    assert!(refused.contains(".png, .svg, .csv, .json"), "{refused}");
    let numbers = fs::read_to_string(&csv).unwrap();
    let mut lines = numbers.lines();
    assert_eq!(lines.next(), Some("run,name,metric,step,value,tokens,smoothed"));
    let stored = json_lines(&out(home, &["metrics", &project, "2", "--json"]));
    for line in lines.filter(|line| line.starts_with("2,") && line.contains(",loss,")) {
        let fields: Vec<&str> = line.split(',').collect();
        let at: u64 = fields[3].parse().unwrap();
        let step = stored.iter().find(|stored| stored["step"] == at).unwrap();
        assert_eq!(step["metrics"]["loss"].as_f64(), fields[4].parse().ok(), "{line}");
    }
    assert!(fs::read_to_string(&svg).unwrap().contains("Loss, held out, by tokens"));
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(fs::read_dir(&tensorboard).unwrap().count(), 2, "a folder a run");
}

#[test]
fn runs_are_marked_filtered_and_sorted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    for (name, beta) in [("First", "objective.beta=0.1"), ("Second", "objective.beta=0.4")] {
        let mut args = vec!["train", &project, "--steps", "2", "--name", name, "--set", beta];
        args.extend(SMALL);
        out(home, &args);
    }
    let said = out(
        home,
        &["mark", &project, "First", "--tag", "keep", "--tag", "short", "--note", "try again", "--colour", "3"],
    );
    assert!(said.contains("colour 3, tagged keep, short, note: try again"), "{said}");
    out(home, &["mark", &project, "Second", "--archive", "--name", "Other"]);
    let listed = |args: &[&str]| out(home, &[&["runs", &project], args].concat());
    let shown = listed(&[]);
    assert!(shown.contains("keep, short") && !shown.contains("Other"), "{shown}");
    let shown =
        listed(&["--archived", "--sort", "setting objective.beta", "--column", "last loss", "--column", "lowest loss"]);
    let [first, second] = ["Other", "First"].map(|name| shown.find(name).unwrap());
    assert!(first < second && shown.contains("lowest loss"), "{shown}");
    assert!(!listed(&["--archived", "--filter", "objective.beta<0.2"]).contains("Other"));
    assert!(listed(&["--filter", "keep loss>-9"]).contains("First"));
    let runs = json_lines(&listed(&["--json", "--column", "setting objective.beta"]));
    assert_eq!((runs.len(), &runs[0]["columns"]["setting objective.beta"]), (1, &0.1.into()));
    assert_eq!(runs[0]["marks"]["colour"], 2);
    let said =
        out(home, &["mark", &project, "First", "--untag", "keep", "--untag", "short", "--note", "", "--colour", "0"]);
    assert!(said.contains("nothing is said about it"), "{said}");
    // Taken back over all runs, in the order in which it was said; and said again.
    let turned = |word: &str| out(home, &["mark", &project, word]);
    assert!(turned("--undo").contains("First (run 1): colour 3, tagged keep, short, note: try again"));
    assert!(turned("--undo").contains("Second (run 2): nothing is said about it"));
    assert!(turned("--redo").contains("Other (run 2): archived"));
    assert!(listed(&["--archived"]).contains("Other"));
    turned("--undo");
    assert!(turned("--undo").contains("First (run 1): nothing is said about it"));
    let refused = sentence(home, &["mark", &project, "--undo"], 1);
    assert!(refused.contains("Nothing was said about a run of"), "{refused}");
    assert!(sentence(home, &["mark", &project, "First", "--undo"], 2).contains("name no run"));
    assert!(sentence(home, &["mark", &project, "--undo", "--pin"], 2).contains("--pin"));
    let refused = sentence(home, &["runs", &project, "--column", "loss"], 2);
    assert!(refused.contains("is no column"), "{refused}");
}

#[test]
fn an_interrupted_run_saves_and_can_be_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["train", &project, "--steps", "100000", "--json"];
    args.extend(SMALL);
    let mut child = nudge(home, &args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let trained = lines.by_ref().find(|line| {
        let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
        line["step"].as_u64() >= Some(3)
    });
    assert!(trained.is_some());
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let last = lines.map_while(Result::ok).last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let ending: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(ending["status"], "stopped");
    let step = ending["step"].as_u64().unwrap();
    assert!(ending["checkpoint"].as_str().unwrap().ends_with(&format!("step-{step:06}")));

    let steps = (step + 2).to_string();
    let more = json_lines(&out(home, &["resume", &project, "last", "--steps", &steps, "--json"]));
    assert_eq!(more.last().unwrap()["step"], step + 2);
}

#[test]
fn the_check_tells_what_can_be_known_before_a_start() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["check", &project, "--json"];
    args.extend(SMALL);
    let report = &json_lines(&out(home, &args))[0];
    let count = |key: &str| report[key].as_u64().unwrap();
    assert_eq!(count("train_pairs") + count("eval_pairs"), 12);
    assert!(count("tokens") > 0);
    assert_eq!(report["peak_memory_is"], "measured");
    assert!(count("peak_memory_bytes") > count("estimated_memory_bytes"));
    assert!(count("memory_limit_bytes") > count("peak_memory_bytes"));
    assert_eq!(report["asleep"], 0.0);
    let shown = out(home, &["check", &project]);
    assert!(shown.contains("asleep at step 0"), "{shown}");
    assert!(out(home, &["runs", &project, "--json"]).is_empty(), "a check is no run");
}

/// The limit counts everything that the program holds, as it is measured: too low a one is met with recomputation, then
/// with smaller rows, then by setting pairs aside, and all of that is said before the start.
#[test]
fn a_memory_limit_is_kept_to_from_the_start() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = path(&home.join("project"));
    out(home, &["new", &project, "--model", &model()]);
    let words = |count: usize| "low tide ".repeat(count);
    // So many that a step takes much more than what the program itself holds varies by.
    let lines: Vec<String> = (0..36)
        .map(|n| {
            // One of them is much larger than the others.
            let long = if n == 3 { 16 } else { 4 };
            serde_json::json!({
                "prompt": [{"role": "user", "content": format!("Pier {n}?")}],
                "chosen": [{"role": "assistant", "content": words(long)}],
                "rejected": [{"role": "assistant", "content": words(long + 1)}],
            })
            .to_string()
        })
        .collect();
    let file = home.join("long.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    out(home, &["import", &project, &path(&file)]);
    // What the allocator keeps of freed memory differs by 27 MB from one start to the next, and by 4 if it keeps none.
    let done = |args: &[&str]| {
        let output = nudge(home, args).env("MIMALLOC_PURGE_DELAY", "0").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        (String::from_utf8(output.stdout).unwrap(), said)
    };
    let check = |set: &[&str]| {
        let all = ["data.eval_fraction=0", "train.pairs_per_step=36"];
        let mut args = vec!["check", &project, "--json"];
        args.extend(all.iter().chain(set).flat_map(|set| ["--set", *set]));
        json_lines(&done(&args).0).remove(0)
    };
    let mb = |report: &Value, key: &str| report[key].as_u64().unwrap().div_ceil(1_000_000);
    let free = check(&[]);
    assert_eq!(free["peak_memory_is"], "measured");
    assert_eq!(free["recomputed_blocks"], 0);
    assert!(!free["warnings"].to_string().contains("may be taken"));

    let limit = format!("train.memory_mb={}", mb(&free, "peak_memory_bytes") - 30);
    let tight = check(&[&limit]);
    let less = |key: &str| tight[key].as_u64() < free[key].as_u64();
    assert!(tight["recomputed_blocks"] != 0 || less("row_tokens"), "{tight}");
    assert!(less("peak_memory_bytes"), "{tight}");
    let mut args = vec!["train", &project, "--steps", "2", "--set", &limit];
    args.extend(SMALL);
    let (_, said) = done(&args);
    assert!(said.contains("Memory: ") && said.contains("may be taken"), "{said}");

    // Less than the program itself holds.
    let none = check(&["train.memory_mb=1"]);
    let finding = &none["findings"][0];
    assert_eq!(finding["flaw"], "too_large", "{none}");
    let pairs = finding["pairs"].as_array().unwrap();
    assert_eq!(Some(pairs.len() as u64), none["train_pairs"].as_u64());
    let refused = sentence(home, &["train", &project, "--set", "train.memory_mb=1"], 1);
    assert!(refused.contains("train.memory_mb"), "{refused}");
}

/// A newer program may know methods and settings that this one does not: the run says so by its name, and what it
/// measured, and every other run, is there as before.
#[test]
fn a_run_with_settings_of_a_later_version_is_told_by_name_and_keeps_no_other_from_work() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = terminal::project(home);
    for _ in 0..2 {
        out(home, &[&["train", &project, "--steps", "2"], &SMALL[..]].concat());
    }
    let whole = Project::open(Path::new(&project)).unwrap().run(RunId(2)).unwrap().config_toml;
    for (from, to) in
        [("kind = \"mpo\"", "kind = \"of-later\""), ("[train]", "[train]\nof_later = 1"), ("[data]", "[data")]
    {
        let later = whole.replace(from, to);
        assert_ne!(later, whole);
        Project::open(Path::new(&project)).unwrap().set_run_config(RunId(2), &later).unwrap();
        for args in [
            &["resume", &project, "2", "--steps", "3"][..],
            &["fork", &project, "2", "--at", "2"],
            &["compare", &project, "--runs", "1,2"],
            &["export", &project, "2", "--merged", &path(&home.join("merged"))],
            &["export", &project, "2", "--report", &path(&home.join("report.md"))],
        ] {
            let told = sentence(home, args, 1);
            assert!(told.contains("Run 2, “") && told.contains("leave this run out"), "{args:?}: {told}");
        }
        let listed = json_lines(&out(home, &["runs", &project, "--column", "setting objective.beta", "--json"]));
        assert_eq!(listed.len(), 2);
        let table = out(home, &["runs", &project, "--filter", "objective.beta>0"]);
        assert_eq!(table.lines().count(), 2, "a setting that cannot be read is none, not the default: {table}");
        assert!(out(home, &["metrics", &project, "2"]).lines().count() > 2);
        out(home, &["compare", &project, "--runs", "1", "--json"]);
    }
    out(home, &["resume", &project, "1", "--steps", "3"]);
}

/// Nothing about the demo is special: any folder of such files makes one.
fn demo_assets(home: &Path) -> PathBuf {
    let demo = home.join("assets/demo");
    fs::create_dir_all(demo.join("model")).unwrap();
    for entry in fs::read_dir(model()).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, demo.join("model").join(from.file_name().unwrap())).unwrap();
    }
    let pairs: Vec<String> = (0..8)
        .map(|n| {
            serde_json::json!({
                "id": 0,
                "prompt": [{"role": "user", "content": format!("Question {n}")}],
                "answers": [{"text": "Yes.", "origin": "human"}, {"text": "Certainly not.", "origin": "human"}],
                "verdict": {"choice": {"better": {"chosen": 0, "rejected": 1, "strength": "strongly"}}, "who": "local", "at_ms": 0},
            })
            .to_string()
        })
        .collect();
    fs::write(demo.join("pairs.jsonl"), pairs.join("\n")).unwrap();
    fs::write(demo.join("probes.jsonl"), r#"{"prompt": [{"role": "user", "content": "Well?"}]}"#).unwrap();
    let settings = "[train]\nsteps = 3\npairs_per_step = 2\nsample_tokens = 4\neval_answers = 1\n[lora]\nrank = 2\n";
    fs::write(demo.join("run.toml"), settings).unwrap();
    home.join("assets")
}

#[test]
fn without_a_display_the_demo_is_trained_in_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let assets = demo_assets(home);
    let output = nudge(home, &[]).env("NUDGE_ASSETS", &assets).output().unwrap();
    let (shown, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("no display"), "{errors}");
    assert!(shown.contains("step 3 of 3") && shown.contains("Well?"), "{shown}");

    let demo = |args: &[&str]| {
        let output = nudge(home, args).env("NUDGE_ASSETS", &assets).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // The same project again, with the run in it, and another run of other settings.
    assert_eq!(json_lines(&demo(&["runs", "--demo", "--json"])).len(), 1);
    demo(&["train", "--demo", "--steps", "2", "--json"]);
    let runs = json_lines(&demo(&["runs", "--demo", "--json"]));
    assert_eq!((runs.len(), &runs[1]["total_steps"]), (2, &2.into()));
    let answers = json_lines(&demo(&["answers", "--demo", "last", "--json"]));
    assert_eq!(answers[0]["step"], 0);
    assert_eq!(answers.last().unwrap()["step"], 2);
    assert_eq!(answers[0]["drawn"].as_array().unwrap().len(), 2);
    assert!(demo(&["answers", "--demo", "last"]).contains("  seed     2  "));
    assert!(!demo(&["answers", "--demo", "last", "--greedy"]).contains("seed"));

    // A project that was named is not exchanged for the demo.
    let dir = path(&home.join("data/nudge/demo"));
    let refused = sentence(home, &[&dir], 1);
    assert!(refused.contains("nudge train"), "{refused}");
}
