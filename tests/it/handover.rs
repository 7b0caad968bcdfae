//! A run on another machine: the folder that is handed over, what is heard of it, what is taken back. `train.py` itself
//! is tried in `handover_python.rs`; what it once wrote for the toy lies in `tests/fixtures/handover`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use nudge::{
    data::config::{Precision, RunConfig, TokenWeights},
    handover::{Follower, HandoverError, HeardAway, Listener, TakenBack, WantedBack, hand_over, take_back},
    store::{RunId, RunRecord, RunStatus},
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::toy::{self, Toy};

/// In the fixture, where a folder has a number of its own.
pub const NONCE: &str = "c0ffeec0ffeec0ffeec0ffeec0ffee00";

pub fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/handover/out/1")
}

/// Settings that the fixture was made with.
pub fn config() -> RunConfig {
    let mut config = toy::config();
    config.model.dtype = Precision::F32;
    "cpu".clone_into(&mut config.train.device);
    config.train.steps = Some(8);
    config.train.eval_every = 4;
    config.train.checkpoint_every = 3;
    config.lora.rank = 2;
    config
}

/// A run of the toy, its folder beside the project.
pub struct Handed {
    pub toy: Toy,
    pub run: RunId,
    pub folder: PathBuf,
}

impl Handed {
    pub fn new(config: &RunConfig) -> Self {
        Self::of(Toy::new(), config)
    }

    pub fn of(toy: Toy, config: &RunConfig) -> Self {
        let run = toy.record(config);
        let folder = toy.project.with_file_name(format!("handed-{}", run.0));
        listening(|listener| hand_over(listener, &toy.project, run, &folder)).unwrap();
        Self { toy, run, folder }
    }

    pub fn record(&self) -> RunRecord {
        self.toy.open().run(self.run).unwrap()
    }

    pub fn take_back(&self, wanted: WantedBack) -> Result<TakenBack, HandoverError> {
        listening(|listener| take_back(listener, &self.toy.project, self.run, &self.folder, wanted))
    }

    pub fn nonce(&self) -> String {
        let manifest: Value = serde_json::from_str(&self.read("manifest.json")).unwrap();
        manifest["nonce"].as_str().unwrap().to_owned()
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap()
    }

    pub fn lines(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What came back of the toy's run once, as if of this one.
    fn comes_back(&self) -> PathBuf {
        let attempt = self.folder.join("out/1");
        fs::create_dir_all(attempt.join("adapter")).unwrap();
        for name in ["events.jsonl", "proof.json"] {
            let text = fs::read_to_string(fixture().join(name)).unwrap();
            fs::write(attempt.join(name), text.replace(NONCE, &self.nonce())).unwrap();
        }
        fs::copy(fixture().join(ADAPTER), attempt.join(ADAPTER)).unwrap();
        attempt
    }
}

const ADAPTER: &str = "adapter/adapter_model.safetensors";

pub fn listening<T>(work: impl FnOnce(&mut Listener<'_>) -> T) -> T {
    work(&mut Listener::new(&mut |_| {}, &AtomicBool::new(false)))
}

fn sha256(path: &Path) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap();
    Sha256::digest(fs::read(path).unwrap()).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn the_folder_holds_what_its_manifest_says_and_nothing_of_this_machine() {
    let mut config = config();
    let file = tempfile::NamedTempFile::with_suffix(".txt").unwrap();
    fs::write(file.path(), "In the year 7 a boat came home. In the year 8 none did.").unwrap();
    config.data.retention = Some(file.path().to_owned());
    let handed = Handed::new(&config);
    let manifest: Value = serde_json::from_str(&handed.read("manifest.json")).unwrap();
    let mut found = Vec::new();
    files_below(&handed.folder, &mut found);
    let known = manifest["files"].as_object().unwrap();
    assert_eq!(known.len() + 1, found.len(), "{found:?}");
    for (name, known) in known {
        assert_eq!(known["sha256"], sha256(&handed.folder.join(name)), "{name}");
    }
    for (name, known) in manifest["model"]["files"].as_object().unwrap() {
        assert_eq!(known["sha256"], sha256(&handed.toy.model.join(name)), "{name}");
    }
    // Nothing that an environment holds, and no place of this machine; what lies in every folder is as it is here.
    let fixed = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/handover/folder");
    let root = handed.toy.project.parent().unwrap().to_str().unwrap();
    let values: Vec<(String, String)> = std::env::vars().filter(|(_, value)| value.len() > 11).collect();
    for path in found {
        let bytes = fs::read(&path).unwrap();
        if fs::read(fixed.join(path.strip_prefix(&handed.folder).unwrap())).is_ok_and(|ours| ours == bytes) {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(root) && !text.contains(file.path().to_str().unwrap()), "{}", path.display());
        for (name, value) in &values {
            assert!(!text.contains(value), "{} holds what {name} is", path.display());
        }
    }
    let said = listening(|listener| hand_over(listener, &handed.toy.project, handed.run, &handed.folder)).unwrap_err();
    assert!(said.to_string().contains("is there already"), "{said}");
}

/// The trainer's own pairs, in its order, at its rates.
#[test]
fn the_steps_are_those_that_the_trainer_takes_here() {
    let mut config = config();
    // Epochs of 15 pairs end within steps, and the last step is short.
    (config.train.steps, config.train.epochs) = (None, 2.5);
    config.train.pairs_per_step = 4;
    let handed = Handed::new(&config);
    let (run, _) = handed.toy.train(&config);
    let project = handed.toy.open();
    let total = project.run(run).unwrap().total_steps;
    assert_eq!(total, handed.record().total_steps);
    let docs = handed.lines("data/docs.jsonl");
    let steps = handed.lines("data/steps.jsonl");
    assert_eq!(steps.len() as u64, total);
    for step in &steps {
        let at = step["step"].as_u64().unwrap();
        let items = step["items"].as_array().unwrap();
        let mut pairs: Vec<i64> =
            items.iter().filter_map(|item| docs[item["pair"].as_u64()? as usize]["pair"].as_i64()).collect();
        pairs.sort_unstable();
        let visited: Vec<i64> = project.visits(run, at, at).unwrap().iter().map(|(_, visit)| visit.pair.0).collect();
        assert_eq!(pairs, visited, "step {at}");
        assert_eq!(step["pairs"], pairs.len());
        let rate = project.series(run, "learning_rate", Some(at - 1)).unwrap()[0].1;
        assert_eq!(step["lr"].as_f64(), Some(rate), "step {at}");
    }
    assert!(steps.iter().all(|step| step["ref_tokens"].as_u64() > Some(0) && step["pre_tokens"].as_u64() > Some(0)));
}

#[test]
fn a_run_that_is_away_is_said_to_be_and_is_not_trained_here_meanwhile() {
    let handed = Handed::new(&config());
    let record = handed.record();
    assert_eq!((record.status, record.step, record.total_steps), (RunStatus::Away, 0, 8));
    let error = format!("{:?}", handed.toy.go_on(handed.run));
    assert!(error.contains("is away") && error.contains("nudge takeback"), "{error}");
    assert_eq!(handed.record(), record, "it is what it was");
    nudge::handover::give_up(&handed.toy.open(), &record).unwrap();
    assert_eq!(handed.record().status, RunStatus::Stopped);
    let outcome = format!("{:?}", handed.toy.go_on(handed.run));
    assert_eq!((outcome.as_str(), handed.record().away), ("Completed", None));
}

#[test]
fn what_cannot_be_handed_over_leaves_no_folder() {
    let toy = Toy::new();
    let mut config = config();
    config.objective.token_weights = TokenWeights::Tis;
    let run = toy.record(&config);
    let folder = toy.project.with_file_name("refused");
    let error = listening(|listener| hand_over(listener, &toy.project, run, &folder)).unwrap_err().to_string();
    assert!(error.contains("objective.token_weights"), "{error}");
    let stopped = AtomicBool::new(true);
    config.objective.token_weights = TokenWeights::None;
    let run = toy.record(&config);
    let mut hear = |_| {};
    let mut listener = Listener::new(&mut hear, &stopped);
    let error = hand_over(&mut listener, &toy.project, run, &folder).unwrap_err().to_string();
    assert!(error.contains("nothing is left"), "{error}");
    let left: Vec<_> =
        fs::read_dir(toy.project.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left.len(), 2, "project and model: {left:?}");
}

/// Before minutes of work, not behind them.
#[cfg(unix)]
#[test]
fn what_could_not_be_written_at_the_end_is_told_at_the_beginning() {
    let toy = Toy::new();
    let parent = toy.project.parent().unwrap().to_owned();
    let run = toy.record(&config());
    let began = std::cell::Cell::new(false);
    let mut hear = |_| began.set(true);
    let stop = AtomicBool::new(false);
    let mut said = |folder: &Path| {
        let mut listener = Listener::new(&mut hear, &stop);
        hand_over(&mut listener, &toy.project, run, folder).unwrap_err().to_string()
    };
    let error = said(&parent.join("n".repeat(300)));
    assert!(error.contains("name too long") && error.contains("nnn"), "{error}");
    // A link out of the model's folder, in a file that only the manifest reads.
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), toy.model.join("unused.safetensors")).unwrap();
    let error = said(&parent.join("linked"));
    assert!(error.contains("unused.safetensors") && error.contains("outside its folder"), "{error}");
    assert!(!began.get(), "nothing was loaded for it");
}

#[cfg(unix)]
#[test]
fn what_a_killed_hand_over_left_goes_with_the_next_one() {
    let toy = Toy::new();
    let left = toy.project.with_file_name(".nudge-handover-abcdef");
    fs::create_dir_all(left.join("folder/data")).unwrap();
    Handed::of(toy, &config());
    assert!(!left.exists());
}

/// What `train.py` once measured of the toy is what the trainer measures here.
#[test]
fn what_came_back_is_followed_proven_and_a_checkpoint_like_any() {
    let handed = Handed::new(&config());
    handed.comes_back();
    let mut follower = Follower::new(&handed.toy.project, handed.run).unwrap();
    let heard = follower.look(&handed.folder).unwrap();
    assert_eq!(heard.last(), Some(&HeardAway::Ended));
    assert_eq!(follower.remark(), None);

    let (here, _) = handed.toy.train(&config());
    let project = handed.toy.open();
    for (name, allowed) in [("loss", 1e-4), ("loss/reference", 1e-4), ("loss/retention", 1e-4), ("eval_loss", 1e-4)] {
        let [there, here] = [handed.run, here].map(|run| project.series(run, name, None).unwrap());
        assert!(there.len() == here.len() && there.len() > 2, "{name}: {there:?} {here:?}");
        for ((at, there), (step, here)) in there.into_iter().zip(here) {
            assert!(at == step && (there - here).abs() <= allowed * here.abs(), "{name} of step {at}: {there}, {here}");
        }
    }

    // What was not copied to its end hides nothing that was.
    for attempt in ["out/2", "out/3"] {
        let attempt = handed.folder.join(attempt);
        fs::create_dir_all(&attempt).unwrap();
        fs::copy(handed.folder.join("out/1/proof.json"), attempt.join("proof.json")).unwrap();
    }
    fs::write(handed.folder.join("out/3/proof.json"), "{\"nonce\": ").unwrap();
    let back = handed.take_back(WantedBack::default()).unwrap();
    assert!((back.step, back.total) == (8, 8) && back.answers > 8 && back.worst < 1e-3, "{back:?}");
    let record = handed.record();
    assert_eq!(record.status, RunStatus::Completed);
    assert!(back.checkpoint.starts_with(&record.dir) && back.checkpoint.join("adapter_config.json").is_file());
    let log: Vec<String> = project.log(handed.run).unwrap().into_iter().map(|line| line.text).collect();
    assert!(log.last().unwrap().contains("Step 8 was taken back, proven here"), "{log:?}");
    assert_eq!(log.iter().filter(|text| text.contains("to train on")).count(), 1, "{log:?}");
    // It goes on from there like any other.
    let mut longer = config();
    longer.train.steps = Some(9);
    project.set_run_config(handed.run, &longer.to_toml().unwrap()).unwrap();
    assert_eq!(format!("{:?}", handed.toy.go_on(handed.run)), "Completed");
    assert_eq!(handed.record().step, 9);
    let error = handed.take_back(WantedBack::default()).unwrap_err().to_string();
    assert!(error.contains("it has gone on here since"), "{error}");
}

/// The tensors of a file, changed, under the hash that the proof then has to have.
fn change_adapter(attempt: &Path, change: impl Fn(&str, &mut Vec<f32>, &mut Vec<usize>)) {
    let path = attempt.join(ADAPTER);
    let bytes = fs::read(&path).unwrap();
    let before = sha256(&path);
    let tensors: BTreeMap<String, (Vec<u8>, Vec<usize>)> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            let mut values: Vec<f32> = view.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
            let mut shape = view.shape().to_vec();
            change(name, &mut values, &mut shape);
            (name.to_owned(), (values.iter().flat_map(|value| value.to_le_bytes()).collect(), shape))
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, (bytes, shape))| (name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let proof = fs::read_to_string(attempt.join("proof.json")).unwrap();
    fs::write(attempt.join("proof.json"), proof.replace(&before, &sha256(&path))).unwrap();
}

#[test]
fn what_a_stranger_made_of_it_is_refused_and_changes_nothing() {
    type Change<'c> = (&'c str, Box<dyn Fn(&Path)>, &'c str);
    let text = |name: &'static str, from: &'static str, to: &'static str| -> Box<dyn Fn(&Path)> {
        Box::new(move |attempt| {
            let path = attempt.join(name);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        })
    };
    let outside = tempfile::tempdir().unwrap();
    fs::copy(fixture().join(ADAPTER), outside.path().join("private")).unwrap();
    let private = outside.path().join("private");
    let changes: Vec<Change<'_>> = vec![
        (
            "no proof",
            Box::new(|attempt| fs::remove_file(attempt.join("proof.json")).unwrap()),
            "no adapter with its proof",
        ),
        ("no json", text("proof.json", "{", "{{"), "is no proof"),
        ("no adapter", Box::new(|attempt| fs::remove_file(attempt.join(ADAPTER)).unwrap()), "is missing; copy it too"),
        (
            "a nonce for the terminal",
            text("proof.json", "\"nonce\": \"", "\"nonce\": \"\\u001b[31m\\n"),
            "is of another hand-over:  [31m ",
        ),
        ("another step", text("proof.json", "\"step\": 8", "\"step\": 9"), "is of step 9"),
        ("a sum", text("proof.json", "\"sums\"", "\"sums\": {}, \"others\""), "says nothing of document 0"),
        (
            "other bytes",
            Box::new(|attempt| {
                let path = attempt.join(ADAPTER);
                let mut bytes = fs::read(&path).unwrap();
                bytes.truncate(bytes.len() - 4);
                fs::write(path, bytes).unwrap();
            }),
            "not the file that its proof.json is of",
        ),
        (
            "a larger file",
            Box::new(|attempt| {
                let file = fs::File::options().write(true).open(attempt.join(ADAPTER)).unwrap();
                file.set_len(1 << 30).unwrap();
            }),
            "at most",
        ),
        (
            "another adapter",
            Box::new(|attempt| {
                change_adapter(attempt, |name, values, _| {
                    if name.contains("lora_B") {
                        for value in values.iter_mut() {
                            *value *= 1.5;
                        }
                    }
                });
            }),
            "is another one",
        ),
        ("no number", Box::new(|attempt| change_adapter(attempt, |_, values, _| values[0] = f32::NAN)), "not numbers"),
        ("another rank", Box::new(|attempt| change_adapter(attempt, |_, _, shape| shape.reverse())), "has shape"),
        (
            "a link",
            Box::new(move |attempt| {
                fs::remove_file(attempt.join(ADAPTER)).unwrap();
                #[cfg(unix)]
                std::os::unix::fs::symlink(&private, attempt.join(ADAPTER)).unwrap();
            }),
            if cfg!(unix) { "outside its folder" } else { "is missing" },
        ),
        ("another's events", text("events.jsonl", "\"nonce\": \"", "\"nonce\": \"0"), "of another hand-over"),
    ];
    let handed = Handed::new(&config());
    let before = handed.record();
    for (what, change, said) in changes {
        let attempt = handed.comes_back();
        change(&attempt);
        let error = handed.take_back(WantedBack::default()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(said), "{what}: {error}");
        fs::remove_dir_all(&attempt).unwrap();
        let after = handed.record();
        assert_eq!((after.status, after.step, after.away), (before.status, before.step, before.away.clone()), "{what}");
        assert!(!after.dir.join("checkpoints").exists(), "{what}");
    }
    // What is not proven comes home only by hand, and says so.
    change_adapter(&handed.comes_back(), |_, values, _| values.iter_mut().for_each(|value| *value *= 1.5));
    let back = handed.take_back(WantedBack { unproven: true, ..WantedBack::default() }).unwrap();
    assert!(back.doubt.is_some() && back.checkpoint.is_dir());
    let log = handed.toy.open().log(handed.run).unwrap();
    assert!(log.iter().any(|line| line.text.contains("Step 8 was taken back, not proven")), "{log:?}");
    let error = handed.take_back(WantedBack { step: Some(3), ..WantedBack::default() }).unwrap_err().to_string();
    assert!(error.contains("nothing of step 3") && error.contains("there are 8"), "{error}");
}
