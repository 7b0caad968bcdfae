//! `nudge bench` as a script sees it: its losses against `nudge score`, and what its numbers add up to.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

pub fn model() -> PathBuf {
    let fixtures = std::env::var_os("NUDGE_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), PathBuf::from);
    fixtures.join("models/llama_mha")
}

fn json_lines(args: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_nudge")).args(args).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Four pairs of unlike lengths, with reference answers.
pub fn batch_file(folder: &Path) -> String {
    let ids = |first: u32, len: u32| (first..first + len).map(|id| 3 + id % 60).collect::<Vec<_>>();
    let lines: Vec<String> = (0..4)
        .map(|n| {
            json!({
                "prompt": ids(n, 5 + n), "chosen": ids(20 + n, 3 + n), "rejected": ids(40 - n, 7),
                "sft_prompt": ids(9 * n, 4), "sft_completion": ids(30 + n, 2 + n),
            })
            .to_string()
        })
        .collect();
    let file = folder.join("ids.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    file.to_str().unwrap().to_owned()
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|number| number.as_f64().unwrap()).collect()
}

fn assert_close(measured: f64, expected: f64) {
    assert!((measured - expected).abs() < 1e-5, "{measured}, expected {expected}");
}

#[test]
fn the_first_losses_are_those_of_the_scored_log_probs() {
    let dir = tempfile::tempdir().unwrap();
    let batch = batch_file(dir.path());
    let model = model();
    let model = model.to_str().unwrap();
    let scores = json_lines(&["score", "--model", model, "--batch-file", &batch, "--json"]);
    let mean = |side: &str, pair: &Value| {
        let log_probs = numbers(&pair[format!("{side}_logps")]);
        log_probs.iter().sum::<f64>() / log_probs.len() as f64
    };
    let losses: Vec<f64> = scores[..4]
        .iter()
        .map(|pair| {
            let h = 2.0 * (mean("chosen", pair) - mean("rejected", pair));
            -1.0 / (1.0 + (-h).exp())
        })
        .collect();

    let bench = |more: &[&str]| {
        let common = ["bench", "--model", model, "--batch-file", &batch, "--json"];
        json_lines(&[&common[..], more].concat()).remove(0)
    };
    let mpo = bench(&["--pairs-per-step", "2", "--warmup", "0", "--steps", "3"]);
    let told = numbers(&mpo["losses"]);
    assert_eq!(told.len(), 3);
    assert_close(told[0], f64::midpoint(losses[0], losses[1]));
    assert!(told[2] < told[0], "the third step meets the first pairs again, trained on: {told:?}");

    let dpo = ["--objective", "dpo", "--pairs-per-step", "4", "--warmup", "0", "--steps", "1"];
    let dpo = bench(&dpo);
    assert_close(numbers(&dpo["losses"])[0], std::f64::consts::LN_2);
    assert!(dpo["reference_s_per_pair"].as_f64().unwrap() > 0.0);

    let full = ["--full", "--reference-weight", "0.1", "--pairs-per-step", "1", "--steps", "1"];
    let full = bench(&full);
    let scored = json!({"prompt": [3, 4, 5, 6], "chosen": [33, 34], "rejected": [33, 34]});
    let file = dir.path().join("reference.jsonl");
    fs::write(&file, scored.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let reference = json_lines(&["score", "--model", model, "--batch-file", file, "--json"]);
    let expected = losses[0] - 0.1 * mean("chosen", &reference[0]);
    assert_close(numbers(&full["losses"])[0], expected);
}

#[test]
fn the_parts_are_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let batch = batch_file(dir.path());
    let model = model();
    let model = model.to_str().unwrap();
    for recompute in ["never", "always"] {
        let report = json_lines(&[
            "bench",
            "--model",
            model,
            "--batch-file",
            &batch,
            "--recompute",
            recompute,
            "--threads",
            "1",
            "--json",
        ])
        .remove(0);
        let parts = report["parts"].as_array().unwrap();
        let share: f64 = parts.iter().map(|part| part["share"].as_f64().unwrap()).sum();
        assert!((share - 1.0).abs() < 1e-6, "{share}");
        let told = |name: &str| parts.iter().any(|part| part["name"] == name);
        assert!(told("forward/linear") && told("backward/linear") && told("head") && told("optimizer"));
        assert_eq!(told("backward/recompute"), recompute == "always");
        assert_eq!(report["recompute"], recompute == "always");
        assert_eq!(report["threads"], 1);
        // Prompt twice and both answers, over the seconds of a step.
        let tokens = [2 * 5 + 3 + 7, 2 * 6 + 4 + 7, 2 * 7 + 5 + 7, 2 * 8 + 6 + 7];
        let tokens = f64::from(tokens.iter().sum::<i32>());
        let pairs_per_s = report["pairs_per_s"].as_f64().unwrap();
        let ratio = report["tokens_per_s"].as_f64().unwrap() / pairs_per_s;
        assert!((ratio - tokens / 4.0).abs() < 1e-6, "{ratio}");
        // What is counted of products is what the shapes ask for: rates times seconds, so no clock has a say. How near
        // it comes to the machine's own rate, which is measured at another moment, is for a quiet machine to say.
        let products = |name: &str| {
            let part = parts.iter().find(|part| part["name"] == name).unwrap();
            part["gflops"].as_f64().unwrap() * part["s"].as_f64().unwrap() * 1e9
        };
        let computed = f64::from(5 + 3 + 7 + 6 + 4 + 7 + 7 + 5 + 7 + 8 + 6 + 7);
        let size = |key: &str| report["model"][key].as_f64().unwrap();
        let (width, feed, rank) = (size("hidden_size"), size("intermediate_size"), 16.0);
        let (queries, keys) = (size("heads") * size("head_dim"), size("kv_heads") * size("head_dim"));
        let layers = [(width, queries), (width, keys), (width, keys), (queries, width)];
        let layers = layers.into_iter().chain([(width, feed), (width, feed), (feed, width)]);
        let each = layers.map(|(from, to)| from * to + rank * (from + to)).sum::<f64>();
        let once = 2.0 * computed * size("layers") * each;
        let forward = products("forward/linear") / once;
        // Of the last block only the scored tokens are computed to the end.
        assert!((0.75..=1.001).contains(&forward), "{forward}");
        let backward = products("backward/linear") / products("forward/linear");
        // The gradient of the input, and of the adapter; frozen weights have none.
        assert!((0.9..=1.6).contains(&backward), "{backward}");
        let seconds = parts.iter().map(|part| part["s"].as_f64().unwrap()).sum::<f64>();
        let all = report["matmul_share"].as_f64().unwrap() * report["matmul"]["square_gflops"].as_f64().unwrap() * 1e9;
        let told: f64 =
            parts.iter().filter_map(|part| Some(products(part.get("gflops").and(part["name"].as_str())?))).sum();
        assert!((all * seconds / told - 1.0).abs() < 1e-6, "{all} products a second for {seconds} s, {told} told");
        assert!(report["peak_memory_mb"].as_f64().unwrap() > 1.0);
    }
}

#[test]
fn answers_are_measured_too() {
    let model = model();
    let model = model.to_str().unwrap();
    let report = &json_lines(&["bench", "--generate", "--model", model, "--json"])[0];
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases[0]["prompt_tokens"], 64);
    for case in cases {
        for speed in ["prefill_tokens_per_s", "decode_tokens_per_s"] {
            assert!(case[speed].as_f64().unwrap() > 0.0, "{case}");
        }
    }
}
