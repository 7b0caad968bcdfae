//! The program in a terminal for tests: a home of its own, a small project, what it printed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const MODEL: &str = "llama_mha";

pub fn fixtures() -> PathBuf {
    std::env::var_os("NUDGE_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from)
}

pub fn model() -> String {
    path(&fixtures().join("models").join(MODEL))
}

pub fn expected() -> Value {
    let file = fixtures().join("expected").join(MODEL).join("expected.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

pub fn path(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The program, with a home and a data folder of its own and no display.
pub fn nudge(home: &Path, args: &[&str]) -> Command {
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

pub fn run(home: &Path, args: &[&str]) -> Output {
    nudge(home, args).output().unwrap()
}

/// Standard output of a command that must do well.
pub fn out(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Standard error of a command that must end with `code`.
pub fn sentence(home: &Path, args: &[&str], code: i32) -> String {
    let output = run(home, args);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    assert!(output.stdout.is_empty(), "{args:?} printed results");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// Twelve questions, each with a short and a long answer; the short one is preferred.
pub fn pairs_file(dir: &Path) -> String {
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
pub fn project(home: &Path) -> String {
    let dir = path(&home.join("project"));
    out(home, &["new", &dir, "--model", &model(), "--name", "Streets"]);
    out(home, &["import", &dir, &pairs_file(home)]);
    dir
}

/// The same with a run of this name that has done two steps.
pub fn trained(home: &Path, name: &str) -> String {
    let dir = project(home);
    out(home, &[&["train", &dir, "--steps", "2", "--name", name], &SMALL[..]].concat());
    dir
}

/// Small enough for a test, with a held-out part and a checkpoint on the way.
pub const SMALL: [&str; 16] = [
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
