//! The command line as a script sees it: what is printed, what is left on the disk, and how it exits.

use std::{fs, path::Path};

use nudge::{data::Prompt, formats, store::Project};

use crate::{
    terminal::{SMALL, json_lines, model, out, path, project, sentence},
    toy,
};

#[test]
fn wrong_usage_is_told_with_code_2() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    for (args, expected) in [
        (&["train", &project, "--set", "objective.betta=1"][..], "objective.beta"),
        (&["train", &project, "--set", "objective.beta"], "KEY=VALUE"),
        (&["train", &project, "--set", "train.steps=none"], "train.steps"),
        (&["train", &project, "--set", "objective.beta=0"], "objective.beta"),
        (&["train", &project, "--bogus"], "--bogus"),
        (&["check", &project, "--set", "data.eval_fraction=inf"], "data.eval_fraction is “inf”"),
        (&["train", &project, "--set", "data.eval_fraction=1e308"], "data.eval_fraction"),
        (&["trian"], "'train'"),
        (&["import", &project, "x.jsonl", "--format", "xlsx"], "xlsx"),
        (&["import", &project, "x.jsonl", "--map", "prompt"], "prompt"),
        (&["generate", "--model", "m", "--prompt", "a", "--top-p", "2"], "--top-p"),
    ] {
        let errors = sentence(home, args, 2);
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    assert!(out(home, &["runs", &project, "--json"]).is_empty(), "nothing was recorded");
}

#[test]
fn what_cannot_be_done_is_a_sentence_with_code_1() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let nowhere = path(&home.join("nowhere"));
    for (args, expected) in [
        (&["runs", &nowhere][..], "There is no Nudge project"),
        (&[&nowhere], "There is no Nudge project"),
        (&["new", &project, "--model", &model()], "already a Nudge project"),
        (&["new", &nowhere, "--model", &nowhere], "nowhere"),
        (&["metrics", &project, "last"], "There is no run"),
        (&["resume", &project, "7"], "There is no run"),
        (&["import", &project, &nowhere], "nowhere"),
        (&["score", "--model", &nowhere, "--pairs", &nowhere], "nowhere"),
    ] {
        let errors = sentence(home, args, 1);
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    assert!(!Path::new(&nowhere).exists(), "a project that cannot work is not made");
}

/// Neither help that nobody gets nor a file that may not grow ends the program without a word.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_a_limit_on_files_are_sentences_too() {
    let home = tempfile::tempdir().unwrap();
    let ended = |line: &str| {
        let mut shell = std::process::Command::new("sh");
        let nudge = env!("CARGO_BIN_EXE_nudge");
        let output = shell.args(["-c", line]).env("HOME", home.path()).env("NUDGE", nudge).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, errors) = ended("exec \"$NUDGE\" --help > /dev/full");
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("Could not write to standard output"), "{errors}");
    assert_eq!(ended("exec \"$NUDGE\" --help > /dev/null").0, Some(0));
    let line = format!("ulimit -f 8; exec \"$NUDGE\" new \"$HOME/small\" --model '{}'", model());
    let (code, errors) = ended(&line);
    assert_eq!(code, Some(1), "killed by a signal has no code: {errors}");
    assert!(!errors.trim().is_empty());
}

#[test]
fn prompts_without_answers_come_in_by_a_model_not_as_empty_pairs() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let total = || Project::open(Path::new(&project)).unwrap().counts().unwrap().total();
    let before = total();
    for (name, text, expected) in [
        ("asked.csv", "prompt\nHello\nGood day\n", "2 prompts without answers came in"),
        ("again.csv", "prompt\nHello\nGood day\n", "0 prompts without answers came in, 2 were there already"),
        ("asked.jsonl", "{\"prompt\": \"Hello\"}\n", "without answers came in"),
        ("asked.txt", "Hello\n", "without answers came in"),
    ] {
        let file = home.join(name);
        fs::write(&file, text).unwrap();
        let told = out(home, &["import", &project, &path(&file)]);
        assert!(told.contains(expected) && told.contains("nudge sample"), "{told}");
        let prompts = formats::read_prompts(&file, true).unwrap();
        assert_eq!(prompts.first().map(Prompt::last_text), Some("Hello"), "{name}");
    }
    assert_eq!(total(), before);
    let waiting = || Project::open(Path::new(&project)).unwrap().waiting_prompts().unwrap().len();
    let prompts = waiting();
    assert!(prompts >= 2);
    out(home, &["sample", &project, "--max-new", "6"]);
    assert_eq!((waiting(), total() > before), (0, true), "a model has answered them");
    assert!(sentence(home, &["sample", &project], 1).contains("No prompt waits for answers"));
}

#[test]
fn a_run_that_cannot_start_takes_no_number_and_leaves_no_folder() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let empty = path(&home.join("empty"));
    out(home, &["new", &empty, "--model", &model()]);
    for (args, expected) in [
        (&["train", &project, "--device", "cuda:7"][..], "cuda:7"),
        (&["train", &project, "--set", "model.path=nowhere"], "nowhere"),
        (&["train", &project, "--set", "model.start_adapter=lost"], "lost"),
        (&["train", &project, "--set", "data.reference=gone"], "gone"),
        (&["train", &project, "--set", "lora.rank=4000"], "rank"),
        (&["train", &empty], "no pairs yet"),
    ] {
        let errors = sentence(home, args, 1);
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    assert!(out(home, &["runs", &project, "--json"]).is_empty());
    let left = fs::read_dir(Path::new(&project).join("runs")).unwrap();
    let folders = left.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), 0);

    let mut args = vec!["train", &project, "--steps", "1", "--json"];
    args.extend(SMALL);
    args.extend(["--threads", "1"]);
    let lines = json_lines(&out(home, &args));
    assert_eq!(lines.last().unwrap()["run"], 1, "the first that could start");
    // What it works with is in its record.
    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    assert_eq!((&runs[0]["arithmetic"]["weights"], &runs[0]["arithmetic"]["compute"]), (&"f32".into(), &"f32".into()));
    let config = Path::new(runs[0]["dir"].as_str().unwrap()).join("config.toml");
    let config = fs::read_to_string(config).unwrap();
    assert!(config.contains("threads = 1"), "{config}");
}

#[test]
fn import_counts_what_came_in_and_lists_the_rest_by_line() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let file = home.join("mixed.jsonl");
    let good = r#"{"question": "p", "chosen": "a", "rejected": "b"}"#;
    fs::write(&file, format!("{good}\nnot json\n{{\"question\": \"p\"}}\n{good}\n")).unwrap();
    let file = path(&file);
    let text = out(home, &["import", &project, &file, "--map", "prompt=question"]);
    assert!(text.contains("2 pairs came in; the project holds 14"), "{text}");
    assert!(text.contains("line 2:") && text.contains("line 3:"), "{text}");
    assert!(!text.contains("line 1:"), "{text}");
    // The model has a chat template that these prompts go without.
    assert!(text.contains("2 prompts came in as a text to be continued") && text.contains("--chat"), "{text}");

    // What is there already comes in again only if that is said; what does not come in is a file, if one is named.
    let rejected = path(&home.join("rejected.jsonl"));
    let again = ["import", &project, &file, "--map", "prompt=question", "--json"];
    let lines = json_lines(&out(home, &[&again[..], &["--rejected", &rejected]].concat()));
    assert_eq!(lines[0]["faults"][0]["line"], 2);
    assert_eq!((&lines[1]["pairs"], &lines[1]["known"]), (&0.into(), &2.into()));
    let left_out = json_lines(&fs::read_to_string(&rejected).unwrap());
    assert_eq!((&left_out[0]["at"], &left_out[1]["text"]), (&2.into(), &"{\"question\": \"p\"}".into()));
    let lines = json_lines(&out(home, &[&again[..], &["--duplicates", "keep"]].concat()));
    assert_eq!(lines[1]["pairs"], 2);

    // Neither what is read nor the project makes room for it.
    let database = path(&Path::new(&project).join("project.sqlite"));
    for (place, code, expected) in [(&file, 2, "read from"), (&database, 1, "it is a database")] {
        let before = fs::read(place).unwrap();
        let errors = sentence(home, &[&again[..], &["--rejected", place, "--overwrite"]].concat(), code);
        assert!(errors.contains(expected), "{errors}");
        assert_eq!(fs::read(place).unwrap(), before);
    }

    // Conversations and texts do not share a file.
    out(home, &["pairs", &project, "--out", &path(&home.join("out.jsonl"))]);
    let chats = json_lines(&fs::read_to_string(home.join("out.chat.jsonl")).unwrap());
    assert_eq!(chats.len(), 12);
    assert_eq!(chats[3]["chosen"][0]["content"], "Street 3.");
    let texts = json_lines(&fs::read_to_string(home.join("out.text.jsonl")).unwrap());
    assert_eq!(texts.len(), 4);
    let piped = json_lines(&out(home, &["pairs", &project, "--out", "-"]));
    assert_eq!(piped, [chats, texts].concat());
}

#[test]
fn the_defaults_can_be_printed_and_read_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let text = out(home, &["train", "--print-config"]);
    let file = home.join("run.toml");
    fs::write(&file, &text).unwrap();
    let again = out(home, &["train", "--print-config", "--config", &path(&file)]);
    assert_eq!(text, again);
    let changed = ["train", "--print-config", "--set", "objective.beta=0.25", "--steps", "9"];
    let changed = out(home, &changed);
    assert!(changed.contains("beta = 0.25") && changed.contains("steps = 9"), "{changed}");
}

/// With eighty pairs of one's own a run was five steps once, all of them warm-up, and nothing was learnt.
#[test]
fn eighty_pairs_of_ones_own_are_learnt_with_what_nobody_set() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let dir = path(&home.join("own"));
    let model_dir = home.join("model");
    toy::write_model_seeded(&model_dir, 3);
    out(home, &["new", &dir, "--model", &path(&model_dir)]);
    // What is better is a matter of tone; what is asked and named differs from pair to pair.
    let pair = |n: usize| {
        let what = ["boat", "ferry", "inn", "shop", "walk"][n % 5];
        let (kind, curt) =
            (format!("Gladly, the {what} {n} is open"), format!("No idea, look for {what} {n} yourself"));
        format!("{{\"prompt\": \"Where is {what} {n}?\", \"chosen\": \"{kind}\", \"rejected\": \"{curt}\"}}\n")
    };
    let file = home.join("pairs.jsonl");
    fs::write(&file, (0..80).map(pair).collect::<String>()).unwrap();
    out(home, &["import", &dir, &path(&file)]);
    let lines = json_lines(&out(home, &["train", &dir, "--set", "train.sample_tokens=4", "--json"]));
    let ending = lines.last().unwrap();
    let held_out = |name: &str| ending["held_out"][name]["after"].as_f64().unwrap();
    assert!(ending["total_steps"].as_u64().unwrap() >= 60, "{ending}");
    assert!(held_out("eval_rewards/accuracies_low") > 0.5, "no better than chance: {}", ending["held_out"]);
    // What was set stays, and what follows it follows it.
    let set = ["train", "--print-config", &dir, "--steps", "200", "--set", "optimizer.learning_rate=0.002"];
    let text = out(home, &set);
    for part in ["learning_rate = 0.002", "pairs_per_step = 8", "warmup_steps = 20", "the run has 200 steps"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
