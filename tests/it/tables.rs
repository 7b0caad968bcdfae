//! One fact, one table: what a run writes, what sentences advise and what other rooms name is held against the tables
//! of metrics and settings.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use nudge::{
    data::{
        config::{Method, RunConfig, Setting, TokenWeights},
        metrics::{METRICS, Measured, OWN_MARKS_GAIN, histogram},
    },
    engine::protocol::Outcome,
};

use super::toy::{self, Toy};

#[test]
fn a_run_writes_every_metric_of_the_table_and_no_other() {
    let toy = Toy::new();
    let mut written = BTreeSet::new();
    for (kind, weights) in [
        (Method::Mpo, TokenWeights::None),
        (Method::Mpo, TokenWeights::Ti),
        (Method::Reward, TokenWeights::None),
        (Method::Ppo, TokenWeights::None),
        (Method::Rloo, TokenWeights::None),
    ] {
        let mut config = RunConfig { train: short(), ..toy::config() };
        config.objective.kind = kind;
        config.objective.token_weights = weights;
        config.ti.triplet_weight = 0.1;
        config.ppo.critic_warmup = 0;
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        written.extend(toy.open().metrics(run).unwrap());
    }
    let asked = METRICS.iter().filter(|metric| metric.measured == Measured::BothIfAsked);
    for metric in asked {
        written.remove(metric.key);
        metric.evaluated().map(|key| written.remove(&key));
    }
    let unasked = || METRICS.iter().filter(|metric| metric.measured != Measured::BothIfAsked);
    let of_steps = unasked().filter(|metric| !matches!(metric.measured, Measured::Evaluations | Measured::HeldOut));
    let of_evaluations = unasked().filter_map(nudge::data::metrics::Metric::evaluated);
    let mut known: BTreeSet<String> = of_steps.map(|metric| metric.key.to_owned()).chain(of_evaluations).collect();
    // Only where a chat template never writes the turn marks that its tokenizer has.
    known.remove(OWN_MARKS_GAIN);
    // The bins of a histogram are one thing to the eye, and described there.
    written.retain(|key| !histogram::is_bin(key));
    assert_eq!(written, known);
}

fn short() -> nudge::data::config::TrainConfig {
    nudge::data::config::TrainConfig { steps: Some(3), eval_every: 2, ..toy::config().train }
}

/// A caption in a screen, a second list in the command line: that is how they came to differ.
#[test]
fn a_metric_is_named_where_it_is_computed_and_in_its_table_only() {
    const MAY: [&str; 4] = ["data", "objective", "train", "engine"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for path in sources(&root) {
        let room = path.strip_prefix(&root).unwrap().components().next().unwrap();
        if MAY.iter().any(|may| room.as_os_str() == *may) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_test = path.file_stem().unwrap().to_string_lossy().ends_with("tests");
        for metric in METRICS.iter().filter(|metric| metric.key.contains('/') && !is_test) {
            if code.contains(&format!("{}\"", metric.key)) {
                faults.push(format!("{}: {}", path.display(), metric.key));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_setting_that_a_sentence_advises_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let texts = sources(&root).into_iter().map(|path| fs::read_to_string(path).unwrap());
    let advised: BTreeSet<String> = texts.flat_map(|text| keys_in_strings(&text)).collect();
    assert!(advised.contains("train.memory_mb"), "{advised:?}");
    // What trains a run that was handed over is a file of that name.
    let is_known = |key: &String| key == "train.py" || Setting::of(key).is_some();
    let unknown: Vec<&String> = advised.iter().filter(|key| !is_known(key)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Words such as `train.steps` inside the string literals of a source text. A misspelling in a test has no place there.
fn keys_in_strings(source: &str) -> Vec<String> {
    const FILES: [&str; 2] = ["safetensors", "rs"];
    let code = source.split("mod tests {").next().unwrap_or_default();
    let sections = ["data", "objective", "lora", "optimizer", "train"];
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .flat_map(|text| text.split(|c| !is_word(c)))
        .map(|word| word.trim_matches('.').to_owned())
        .filter(|word| {
            let parts: Vec<&str> = word.split('.').collect();
            matches!(parts.as_slice(), [section, key] if sections.contains(section) && !FILES.contains(key) && !key.ends_with('_'))
        })
        .collect()
}
