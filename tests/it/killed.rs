//! What `kill -9` leaves, at whatever moment it comes: everything that was whole before, and nothing else.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nudge::{
    data::{PairId, config::RunConfig},
    engine::pair_scores,
    store::{PairScores, Project, RunStatus},
};
use serde_json::Value;

use crate::{
    terminal::{self, SMALL, json_lines, model, nudge, out, pairs_file, path, project, sentence},
    toy,
};

/// Starts a command `times` times and kills it each time, a little later every time, up to as long as it takes.
fn kill_often(home: &Path, args: &[&str], times: u32, takes: Duration, mut look: impl FnMut()) {
    for time in 1..=times {
        let mut child = nudge(home, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(takes * time / times);
        child.kill().ok();
        child.wait().unwrap();
        look();
    }
}

#[test]
fn an_export_that_is_killed_leaves_the_earlier_one_or_the_new_one() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    out(home, &[&["train", &project, "--steps", "4"], &SMALL[..]].concat());
    let to = home.join("exports/merged");
    let place = path(&to);
    let export = |step| ["export", &project, "1", "--merged", &place, "--step", step, "--overwrite"];
    let begun = Instant::now();
    out(home, &export("2"));
    let takes = begun.elapsed();
    let weights = || fs::read(to.join("model.safetensors")).unwrap();
    let old = weights();
    out(home, &export("4"));
    let new = weights();
    assert_ne!(old, new);
    out(home, &export("2"));

    kill_often(home, &export("4"), 12, takes.mul_f64(1.2), || {
        let report: Value = serde_json::from_slice(&fs::read(to.join("report.json")).unwrap()).unwrap();
        let files = report["files"].as_array().unwrap();
        assert!(files.iter().all(|file| to.join(file.as_str().unwrap()).is_file()), "{report}");
        let of_step = report["step"].as_u64().unwrap();
        assert!(weights() == if of_step == 4 { new.as_slice() } else { old.as_slice() }, "weights of step {of_step}");
    });
    // The next one that comes to its end clears away what the killed ones have left.
    out(home, &export("4"));
    assert!(weights() == new);
    assert_eq!(fs::read_dir(home.join("exports")).unwrap().count(), 1);
}

/// Ctrl-C, at whatever moment, leaves the whole export or no trace of it, and what was there before stays.
#[cfg(unix)]
#[test]
fn an_export_that_is_interrupted_leaves_nothing_half_done() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    out(home, &[&["train", &project, "--steps", "2"], &SMALL[..]].concat());
    let exports = home.join("exports");
    let place = path(&exports.join("merged"));
    let export = ["export", &project, "1", "--merged", &place, "--overwrite", "--json"];
    let begun = Instant::now();
    out(home, &export);
    let takes = begun.elapsed();
    let files = || fs::read_dir(exports.join("merged")).unwrap().count();
    let whole = files();
    let mut interrupted = 0;
    // How long it takes changes on a busy machine: it goes on until it has come between often enough.
    let mut takes = takes;
    for turn in 0..240 {
        if turn >= 24 && interrupted > 2 {
            break;
        }
        let child = nudge(home, &export).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(takes * (turn % 24 + 1) / 20);
        // It may have ended by then.
        Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status().unwrap();
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        match ended.status.code() {
            Some(0) => {
                assert!(!ended.stdout.is_empty());
                takes = takes * 19 / 20;
            }
            Some(130) => {
                interrupted += 1;
                assert!(ended.stdout.is_empty() && told.contains("Stopping: nothing is left of it."), "{told}");
                assert_eq!(fs::read_dir(&exports).unwrap().count(), 1, "nothing lies beside it");
            }
            // Before it listens.
            None => {}
            other => panic!("{other:?}: {told}"),
        }
        assert_eq!(files(), whole);
    }
    assert!(interrupted > 2, "{interrupted}");
}

#[test]
fn an_import_that_is_killed_comes_in_whole_or_not_at_all() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let lines =
        (0..9000).map(|n| format!("{{\"prompt\": \"{n}?\", \"chosen\": \"yes {n}\", \"rejected\": \"no {n}\"}}\n"));
    let file = home.join("many.jsonl");
    fs::write(&file, lines.collect::<String>()).unwrap();
    let file = path(&file);
    let holds = || out(home, &["pairs", &project, "--out", "-"]).lines().count();
    let before = holds();
    let begun = Instant::now();
    // Else what is there already would not come in again.
    let import = ["import", &project, &file, "--duplicates", "keep"];
    out(home, &import);
    let takes = begun.elapsed();
    let mut whole = 1;
    assert_eq!(holds(), before + 9000);
    kill_often(home, &import, 8, takes, || {
        let came = holds() - before;
        assert!(came == 9000 * whole || came == 9000 * (whole + 1), "{came} pairs came in");
        whole = came / 9000;
    });
    out(home, &import);
    assert_eq!(holds(), before + 9000 * (whole + 1));
}

/// The margins that a project knows under its start model.
fn margins(project: &str) -> BTreeMap<PairId, f64> {
    let project = Project::open(Path::new(project)).unwrap();
    let config = RunConfig::from_toml(&project.settings().unwrap().run_toml).unwrap();
    let mut known = BTreeMap::new();
    if let Some(scoring) = project.scoring(&pair_scores::start_name(&project, &config).unwrap()).unwrap() {
        let mut note = |scores: PairScores| {
            known.insert(scores.pair, scores.margin());
        };
        project.each_scores(scoring, &mut note).unwrap();
    }
    known
}

#[test]
fn a_scoring_that_is_killed_keeps_what_it_knew_and_goes_on_with_the_rest() {
    const PAIRS: usize = 3000;
    let home = tempfile::tempdir().unwrap();
    let lines = (0..PAIRS).map(|n| {
        let words = "by the sea ".repeat(n % 7 + 1);
        format!("{{\"prompt\": \"{n}?\", \"chosen\": \"yes {n} {words}\", \"rejected\": \"no {n}\"}}\n")
    });
    let file = home.path().join("many.jsonl");
    fs::write(&file, lines.collect::<String>()).unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| {
        let project = path(&home.path().join(name));
        out(home.path(), &["new", &project, "--model", &model()]);
        out(home.path(), &["import", &project, &path(&file)]);
        project
    });
    let begun = Instant::now();
    out(home.path(), &["score", &whole]);
    let takes = begun.elapsed();
    let expected = margins(&whole);
    assert_eq!(expected.len(), PAIRS);
    let mut known = BTreeMap::new();
    let were_some = Cell::new(false);
    let mut look = || {
        let now = margins(&killed);
        assert!(known.iter().all(|(pair, margin)| now.get(pair) == Some(margin)), "what was known stays");
        were_some.set(were_some.get() || (!now.is_empty() && now.len() < PAIRS));
        known = now;
    };
    kill_often(home.path(), &["score", &killed], 6, takes / 2, &mut look);
    // A machine that has become busy is given longer.
    for longer in 1..=20 {
        if !were_some.get() {
            kill_often(home.path(), &["score", &killed], 1, takes * longer / 2, &mut look);
        }
    }
    assert!(were_some.get(), "it was killed on its way");
    out(home.path(), &["score", &killed]);
    let now = margins(&killed);
    assert_eq!(now.len(), PAIRS);
    assert!(now.iter().all(|(pair, margin)| (margin - expected[pair]).abs() < 1e-3), "as if nothing had been");
}

/// Asked to replace what is there, no file that a person names takes the place of a run's own.
#[test]
fn a_runs_own_files_make_room_for_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    out(home, &[&["train", &project, "--steps", "2"], &SMALL[..]].concat());
    let state = std::path::Path::new(&project).join("runs/1/checkpoints/step-000002/state.json");
    let (file, before) = (path(&state), fs::read(&state).unwrap());
    let pairs = pairs_file(home);
    for args in [
        &["export", &project, "1", "--report", &file, "--overwrite"][..],
        &["pairs", &project, "--out", &file, "--overwrite"],
        &["import", &project, &pairs, "--rejected", &file, "--overwrite"],
    ] {
        let told = sentence(home, args, 1);
        assert!(told.contains("belongs to a run of this project"), "{told}");
        assert_eq!(fs::read(&state).unwrap(), before);
    }
}

/// The day is part of the prompt: a run that is gone on with in another time zone keeps the one it began with.
#[test]
fn dated_prompts_stay_those_of_the_day_a_killed_run_began() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let model_dir = home.join("dated");
    fs::create_dir(&model_dir).unwrap();
    for entry in fs::read_dir(model()).unwrap() {
        let from = entry.unwrap().path();
        fs::copy(&from, model_dir.join(from.file_name().unwrap())).unwrap();
    }
    let template = "{{ bos_token }}{{ strftime_now('%d %b %Y %H') }}{% for m in messages %}\n{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}{% if add_generation_prompt %}\n{% endif %}";
    fs::write(model_dir.join("chat_template.jinja"), template).unwrap();
    let project = path(&home.join("days"));
    out(home, &["new", &project, "--model", &path(&model_dir)]);
    out(home, &["import", &project, &terminal::pairs_file(home)]);

    let every = ["--set", "train.checkpoint_every=3", "--set", "train.keep=100"];
    let args = [&["train", &project, "--steps", "100000", "--json"], &SMALL[..], &every].concat();
    let before = until_killed(nudge(home, &args).env("TZ", "UTC"), "loss", 5);
    let resume = ["resume", &project, "1", "--step", "3", "--steps", "8", "--json"];
    let output = nudge(home, &resume).env("TZ", "XXX-9").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = String::from_utf8(output.stdout).unwrap();
    assert_eq!(same_again(&before, &again, "loss"), 2, "steps 4 and 5 are done twice");
}

/// What is sampled, the critic and the policy go on as they would have.
#[test]
fn a_killed_ppo_samples_and_scores_again_what_it_did() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    out(home, &[&["train", &project, "--steps", "4", "--set", "objective.kind=reward"], &SMALL[..]].concat());
    let ppo = ["--set", "objective.kind=ppo", "--set", "rlhf.max_tokens=6", "--set", "ppo.critic_warmup=1"];
    let every = ["--set", "train.checkpoint_every=2", "--set", "train.keep=100"];
    let args = [&["train", &project, "--steps", "100000", "--json"], &SMALL[..], &ppo, &every].concat();
    let before = until_killed(&mut nudge(home, &args), "objective/scores", 5);
    let again = out(home, &["resume", &project, "2", "--step", "2", "--steps", "6", "--json"]);
    assert_eq!(same_again(&before, &again, "objective/scores"), 3, "steps 3 to 5 are done twice");
}

/// What a run tells of a metric, step by step, until it is killed when it has told it `times` times.
fn until_killed(command: &mut Command, metric: &str, times: usize) -> Vec<(u64, f64)> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.filter_map(|line| told(&serde_json::from_str(&line.unwrap()).unwrap(), metric));
    let told = told.take(times).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    told
}

/// Step and value, where this line of `--json` is of a step and has that metric.
fn told(line: &Value, metric: &str) -> Option<(u64, f64)> {
    line["step"].as_u64().zip(line["metrics"][metric].as_f64())
}

/// How many steps were done twice; each came to the same to the bit, and the second run came to its end.
fn same_again(before: &[(u64, f64)], again: &str, metric: &str) -> usize {
    let again = json_lines(again);
    assert_eq!(again.last().unwrap()["status"], "completed");
    let again: Vec<(u64, f64)> = again.iter().filter_map(|line| told(line, metric)).collect();
    let twice = before.iter().filter_map(|old| again.iter().find(|new| new.0 == old.0).map(|new| (old, new)));
    twice.inspect(|(old, new)| assert_eq!(old.1.to_bits(), new.1.to_bits(), "step {}", old.0)).count()
}

/// In the sampling, between its updates and while a checkpoint is written alike: what is left goes on to the same bits.
#[test]
fn a_policy_that_is_killed_again_and_again_ends_where_one_that_is_let_be_does() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    out(home, &[&["train", &project, "--steps", "2", "--set", "objective.kind=reward"], &SMALL[..]].concat());
    let ppo = [&["train", &project, "--steps", "8", "--threads", "1"], &SMALL[..]].concat();
    let more = ["objective.kind=ppo", "rlhf.max_tokens=8", "rlhf.minibatches=2", "ppo.critic_warmup=1", "train.keep=9"];
    let ppo = [ppo, more.into_iter().flat_map(|set| ["--set", set]).collect()].concat();
    let begun = Instant::now();
    out(home, &ppo);
    let takes = begun.elapsed();

    let (mut killed, mut turn) = (0, 0);
    let mut command = ppo;
    loop {
        let mut child = nudge(home, &command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Later every time, and let be in the end.
        if turn < 12 {
            thread::sleep(takes * (turn % 6 + 2) / 10);
            child.kill().ok();
        }
        let ended = child.wait().unwrap();
        killed += u32::from(ended.code().is_none());
        turn += 1;
        let runs = Project::open(Path::new(&project)).unwrap().runs().unwrap();
        // It may have been killed before it was recorded, or when all was done.
        match runs.get(2).map(|run| run.status) {
            None => continue,
            Some(RunStatus::Completed) => break,
            Some(_) => {}
        }
        assert!(turn < 20, "it does not go on: {runs:?}");
        command = vec!["resume", &project, "3", "--threads", "1"];
    }
    assert!(killed > 0, "it was let be");
    let opened = Project::open(Path::new(&project)).unwrap();
    let records = opened.runs().unwrap();
    let [whole, parts] = [&records[1], &records[2]].map(|record| {
        let folder = record.dir.join("checkpoints/step-000008");
        ["trainable", "optimizer", "critic", "critic_optimizer"]
            .map(|file| format!("{file}.safetensors"))
            .map(|file| fs::read(folder.join(file)).unwrap())
    });
    assert!(whole == parts, "weights and moments of both");
    assert_eq!(toy::numbers(&opened, records[1].id), toy::numbers(&opened, records[2].id));
}
