//! The command line as a script sees it: what is printed, what is left on the disk, and how it exits.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const MODEL: &str = "llama_mha";

fn fixtures() -> PathBuf {
    std::env::var_os("NUDGE_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        PathBuf::from,
    )
}

fn model() -> String {
    path(&fixtures().join("models").join(MODEL))
}

fn expected() -> Value {
    let file = fixtures()
        .join("expected")
        .join(MODEL)
        .join("expected.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The program, with a home and a data folder of its own and no display.
fn nudge(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nudge"));
    command
        .args(args)
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("data"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("WAYLAND_SOCKET")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null());
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    nudge(home, args).output().unwrap()
}

/// Standard output of a command that must do well.
fn out(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// Standard error of a command that must end with `code`.
fn sentence(home: &Path, args: &[&str], code: i32) -> String {
    let output = run(home, args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(output.stdout.is_empty(), "{args:?} printed results");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// Twelve questions, each with a short and a long answer; the short one is preferred.
fn pairs_file(dir: &Path) -> String {
    let lines: Vec<String> = (0..12)
        .map(|n| {
            serde_json::json!({
                "prompt": [{"role": "user", "content": format!("Where is house {n}?")}],
                "chosen": [{"role": "assistant", "content": format!("Street {n}.")}],
                "rejected": [{"role": "assistant", "content": format!("It is said to be in street {n}, I think.")}],
            })
            .to_string()
        })
        .collect();
    let file = dir.join("pairs.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    path(&file)
}

/// A project with those pairs and a tiny model.
fn project(home: &Path) -> String {
    let dir = path(&home.join("project"));
    out(
        home,
        &["new", &dir, "--model", &model(), "--name", "Streets"],
    );
    out(home, &["import", &dir, &pairs_file(home)]);
    dir
}

/// Small enough for a test, with a held-out part and a checkpoint on the way.
const SMALL: [&str; 16] = [
    "--set",
    "train.pairs_per_step=4",
    "--set",
    "train.eval_every=2",
    "--set",
    "train.checkpoint_every=2",
    "--set",
    "data.eval_fraction=0.3",
    "--set",
    "lora.rank=2",
    "--set",
    "optimizer.learning_rate=1e-3",
    "--set",
    "train.sample_tokens=4",
    "--set",
    "train.eval_answers=1",
];

#[test]
fn wrong_usage_is_told_with_code_2() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    for (args, expected) in [
        (
            &["train", &project, "--set", "objective.betta=1"][..],
            "objective.beta",
        ),
        (&["train", &project, "--set", "objective.beta"], "KEY=VALUE"),
        (
            &["train", &project, "--set", "train.steps=none"],
            "train.steps",
        ),
        (
            &["train", &project, "--set", "objective.beta=0"],
            "objective.beta",
        ),
        (&["train", &project, "--bogus"], "--bogus"),
        (&["trian"], "Did you mean \"train\"?"),
        (&["import", &project, "x.jsonl", "--format", "xlsx"], "xlsx"),
        (
            &["import", &project, "x.jsonl", "--map", "prompt"],
            "prompt",
        ),
        (
            &["generate", "--model", "m", "--prompt", "a", "--top-p", "2"],
            "--top-p",
        ),
    ] {
        let errors = sentence(home, args, 2);
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    assert!(
        out(home, &["runs", &project, "--json"]).is_empty(),
        "nothing was recorded"
    );
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
        (
            &["new", &project, "--model", &model()],
            "already a Nudge project",
        ),
        (&["new", &nowhere, "--model", &nowhere], "nowhere"),
        (&["metrics", &project, "last"], "There is no run"),
        (&["resume", &project, "7"], "There is no run"),
        (&["import", &project, &nowhere], "nowhere"),
        (
            &["score", "--model", &nowhere, "--pairs", &nowhere],
            "nowhere",
        ),
        (&["train", &project, "--device", "cuda:7"], "cuda:7"),
    ] {
        let errors = sentence(home, args, 1);
        assert!(errors.contains(expected), "{args:?}: {errors}");
    }
    assert!(
        !Path::new(&nowhere).exists(),
        "a project that cannot work is not made"
    );
}

#[test]
fn import_counts_what_came_in_and_lists_the_rest_by_line() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let file = home.join("mixed.jsonl");
    let good = r#"{"question": "p", "chosen": "a", "rejected": "b"}"#;
    fs::write(
        &file,
        format!("{good}\nnot json\n{{\"question\": \"p\"}}\n{good}\n"),
    )
    .unwrap();
    let file = path(&file);
    let text = out(
        home,
        &["import", &project, &file, "--map", "prompt=question"],
    );
    assert!(
        text.contains("2 pairs came in; the project holds 14"),
        "{text}"
    );
    assert!(
        text.contains("line 2:") && text.contains("line 3:"),
        "{text}"
    );
    assert!(!text.contains("line 1:"), "{text}");

    let lines = out(
        home,
        &[
            "import",
            &project,
            &file,
            "--map",
            "prompt=question",
            "--json",
        ],
    );
    let lines = json_lines(&lines);
    assert_eq!(lines[0]["faults"][0]["line"], 2);
    assert_eq!(lines[1]["pairs"], 2);

    let exported = home.join("out.jsonl");
    out(home, &["pairs", &project, "--out", &path(&exported)]);
    let written = json_lines(&fs::read_to_string(&exported).unwrap());
    // Conversations and texts do not share a file; here conversations are more.
    assert_eq!(written.len(), 12);
    assert_eq!(written[3]["chosen"][0]["content"], "Street 3.");
    let piped = out(home, &["pairs", &project, "--out", "-"]);
    assert_eq!(piped, fs::read_to_string(&exported).unwrap());
}

#[test]
fn a_run_is_trained_listed_read_and_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec![
        "train", &project, "--steps", "4", "--name", "First", "--json",
    ];
    args.extend(SMALL);
    let lines = json_lines(&out(home, &args));
    let (ending, steps) = lines.split_last().unwrap();
    assert_eq!(ending["status"], "completed");
    assert_eq!((&ending["step"], &ending["run"]), (&4.into(), &1.into()));
    let losses: Vec<f64> = steps
        .iter()
        .filter_map(|line| line["metrics"]["loss"].as_f64())
        .collect();
    assert_eq!(losses.len(), 4);
    let preference = steps
        .iter()
        .find_map(|line| line["metrics"]["loss/preference"].as_f64());
    assert!(
        (preference.unwrap() + 0.5).abs() < 1e-6,
        "MPO begins at −0.5: {preference:?}"
    );
    assert!(
        steps
            .iter()
            .any(|line| line["step"] == 4 && !line["metrics"]["eval_loss"].is_null()),
        "the end is evaluated"
    );

    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    assert_eq!(
        (&runs[0]["name"], &runs[0]["status"]),
        (&"First".into(), &"completed".into())
    );
    let shown = out(home, &["runs", &project]);
    assert!(shown.contains("First") && shown.contains("4/4"), "{shown}");

    // Every number of the stream is in the project, and the other way round.
    let stored = json_lines(&out(home, &["metrics", &project, "last", "--json"]));
    for line in steps {
        let same_step = stored
            .iter()
            .find(|stored| stored["step"] == line["step"])
            .unwrap();
        for (name, value) in line["metrics"].as_object().unwrap() {
            assert_eq!(&same_step["metrics"][name], value, "{name}");
        }
    }
    let csv = out(home, &["metrics", &project, "First"]);
    let columns: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(columns[0], "step");
    assert_eq!(csv.lines().count(), stored.len() + 1);
    assert!(
        csv.lines()
            .all(|line| line.split(',').count() == columns.len())
    );

    let done = sentence(home, &["resume", &project, "1"], 1);
    assert!(done.contains("--steps 8"), "{done}");
    let more = json_lines(&out(
        home,
        &["resume", &project, "1", "--steps", "6", "--json"],
    ));
    let first = more
        .iter()
        .find(|line| !line["metrics"]["loss"].is_null())
        .unwrap();
    assert_eq!(first["step"], 5);
    assert_eq!(more.last().unwrap()["total_steps"], 6);

    let model = model();
    let checkpoint = more.last().unwrap()["checkpoint"]
        .as_str()
        .unwrap()
        .to_owned();
    let pairs = pairs_file(home);
    let score = ["score", "--model", &model, "--pairs", &pairs, "--json"];
    let before = json_lines(&out(home, &score));
    let after = json_lines(&out(
        home,
        &[&score[..], &["--adapter", &checkpoint]].concat(),
    ));
    assert_eq!(before.len(), 13);
    assert_ne!(
        before[0]["chosen_logp"], after[0]["chosen_logp"],
        "the adapter does something"
    );
}

#[test]
fn an_interrupted_run_saves_and_can_be_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = project(home);
    let mut args = vec!["train", &project, "--steps", "100000", "--json"];
    args.extend(SMALL);
    let mut child = nudge(home, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let trained = lines.by_ref().find(|line| {
        let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
        line["step"].as_u64() >= Some(3)
    });
    assert!(trained.is_some());
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let last = lines.map_while(Result::ok).last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let ending: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(ending["status"], "stopped");
    let step = ending["step"].as_u64().unwrap();
    assert!(
        ending["checkpoint"]
            .as_str()
            .unwrap()
            .ends_with(&format!("step-{step:06}"))
    );

    let steps = (step + 2).to_string();
    let more = json_lines(&out(
        home,
        &["resume", &project, "last", "--steps", &steps, "--json"],
    ));
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
    assert!(count("peak_memory_bytes") > 0 && count("tokens") > 0);
    assert_eq!(report["asleep"], 0.0);
    let shown = out(home, &["check", &project]);
    assert!(shown.contains("asleep at step 0"), "{shown}");
    assert!(
        out(home, &["runs", &project, "--json"]).is_empty(),
        "a check is no run"
    );
}

#[test]
fn greedy_answers_and_tokens_are_those_of_transformers() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let expected = expected();
    let model = model();
    let greedy = &expected["greedy"][0];
    let ids: Vec<String> = greedy["prompt"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    let ids = ids.join(",");
    let args = [
        "generate",
        "--model",
        &model,
        "--prompt-ids",
        &ids,
        "--greedy",
        "--max-new",
        "32",
        "--ignore-eos",
        "--json",
    ];
    let answer = &json_lines(&out(home, &args))[0];
    assert_eq!(answer["ids"], greedy["tokens"]);
    assert_eq!(answer["prompt_ids"], greedy["prompt"]);
    assert_eq!(answer["stopped_by"], "limit");

    let chat = expected["chats"]
        .as_array()
        .unwrap()
        .iter()
        .find(|chat| chat["add_generation_prompt"] == true && chat["error"].is_null())
        .unwrap();
    let messages = home.join("chat.json");
    fs::write(&messages, chat["messages"].to_string()).unwrap();
    let messages = path(&messages);
    let tokens = [
        "tokens",
        "--model",
        &model,
        "--messages",
        &messages,
        "--generation-prompt",
        "--json",
    ];
    let seen = &json_lines(&out(home, &tokens))[0];
    assert_eq!((&seen["text"], &seen["ids"]), (&chat["text"], &chat["ids"]));

    let text = expected["texts"][0]["text"].as_str().unwrap();
    let seen = &json_lines(&out(
        home,
        &["tokens", "--model", &model, "--text", text, "--json"],
    ))[0];
    assert_eq!(seen["ids"], expected["texts"][0]["ids"]);
}

#[test]
fn sampling_repeats_with_its_seed() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let model = model();
    let say = |seed: &str| {
        let args = [
            "generate",
            "--model",
            &model,
            "--prompt",
            "Hello",
            "--temperature",
            "1",
            "--seed",
            seed,
            "--max-new",
            "12",
            "--ignore-eos",
            "--json",
        ];
        json_lines(&out(home, &args))[0]["ids"].clone()
    };
    assert_eq!(say("1"), say("1"));
    assert_ne!(say("1"), say("2"));
}

#[test]
fn an_answer_is_masked_by_position() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let messages = home.join("chat.json");
    let chat =
        r#"[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, world!"}]"#;
    fs::write(&messages, chat).unwrap();
    let args = [
        "tokens",
        "--model",
        &model(),
        "--messages",
        &path(&messages),
        "--json",
    ];
    let seen = &json_lines(&out(home, &args))[0];
    let mask: Vec<u64> = seen["mask"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_u64().unwrap())
        .collect();
    assert_eq!(mask.len(), seen["ids"].as_array().unwrap().len());
    let first = mask
        .iter()
        .position(|m| *m == 1)
        .expect("there is an answer");
    assert!(first > 0 && mask[first..].iter().all(|m| *m == 1));
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
    fs::write(
        demo.join("probes.jsonl"),
        r#"{"prompt": [{"role": "user", "content": "Well?"}]}"#,
    )
    .unwrap();
    let settings = "[train]\nsteps = 3\npairs_per_step = 2\nsample_tokens = 4\neval_answers = 1\n[lora]\nrank = 2\n";
    fs::write(demo.join("run.toml"), settings).unwrap();
    home.join("assets")
}

#[test]
fn without_a_display_the_demo_is_trained_in_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let assets = demo_assets(home);
    let output = nudge(home, &[])
        .env("NUDGE_ASSETS", &assets)
        .output()
        .unwrap();
    let (shown, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("no display"), "{errors}");
    assert!(
        shown.contains("step 3 of 3") && shown.contains("Well?"),
        "{shown}"
    );

    let demo = |args: &[&str]| {
        let output = nudge(home, args)
            .env("NUDGE_ASSETS", &assets)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
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

    // A project that was named is not exchanged for the demo.
    let dir = path(&home.join("data/nudge/demo"));
    let refused = sentence(home, &[&dir], 1);
    assert!(refused.contains("nudge train"), "{refused}");
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
    let changed = [
        "train",
        "--print-config",
        "--set",
        "objective.beta=0.25",
        "--steps",
        "9",
    ];
    let changed = out(home, &changed);
    assert!(
        changed.contains("beta = 0.25") && changed.contains("steps = 9"),
        "{changed}"
    );
}
