//! `train.py` against the trainer here, on the same folder. Tried where `NUDGE_PYTHON` names a Python with torch,
//! transformers, peft and accelerate (the versions of `src/handover/folder/requirements.txt`); elsewhere each test says
//! so and passes. With `UPDATE_SNAPSHOTS` set as well, the fixture of `handover.rs` is written anew.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use nudge::{
    data::{
        Choice, Pair, Strength, Verdict,
        config::{Margin, Method, RunConfig},
    },
    handover::{Follower, WantedBack},
    store::{RunId, RunStatus},
};
use safetensors::SafeTensors;

use crate::{
    handover::{Handed, NONCE, config, fixture},
    toy::{self, Toy, labelled},
};

/// The Python that has what `train.py` needs.
static PYTHON: LazyLock<Option<String>> = LazyLock::new(|| {
    let Ok(python) = std::env::var("NUDGE_PYTHON") else {
        eprintln!("train.py is not tried: NUDGE_PYTHON names no Python with torch, transformers, peft and accelerate");
        return None;
    };
    let status = Command::new(&python).args(["-c", "import torch, transformers, peft, accelerate"]).status();
    assert!(status.is_ok_and(|status| status.success()), "{python} lacks torch, transformers, peft or accelerate");
    Some(python)
});

/// Python in a folder, on one thread: several, each with its own, would wait for each other.
fn python(folder: &Path, args: &[&str]) -> Option<Command> {
    let mut command = Command::new(PYTHON.as_deref()?);
    command.args(args).current_dir(folder).env("OMP_NUM_THREADS", "1").stdout(Stdio::null());
    Some(command)
}

/// Runs it to its end, which has to be a good one.
fn must(mut command: Command) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Trains in folders one after the other, in one process: what it imports takes the longest.
const EACH: &str = "import runpy, sys
model, *folders = sys.argv[1:]
for folder in folders:
    sys.argv = ['train.py', '--model', model]
    runpy.run_path(folder + '/train.py', run_name='__main__')
";

/// The toy with labels that weigh otherwise: less sure, a tie, rewards and a labeller's probability.
fn weighed() -> Toy {
    let toy = Toy::new();
    let mut project = toy.open();
    let with = |n: usize, choice: Choice, reward: f32, behaviour: f32| Pair {
        verdict: Some(Verdict::imported(choice, 0)),
        reward,
        behaviour,
        ..labelled(&format!("Is {n} odd?"), "yes sir it is", "no way")
    };
    let better = |strength| Choice::Better { chosen: 0, rejected: 1, strength };
    let pairs = (0..4).flat_map(|n| {
        [
            with(4 * n, better(Strength::Slightly), 1.0, 1.0),
            with(4 * n + 1, Choice::Tie, 1.0, 1.0),
            with(4 * n + 2, better(Strength::Clearly), 2.0, 1.0),
            with(4 * n + 3, better(Strength::Strongly), 1.0, 0.6),
        ]
    });
    toy::add(&mut project, pairs.collect());
    toy
}

/// Every objective that can be handed over.
fn variants() -> Vec<(&'static str, RunConfig)> {
    let of = |change: fn(&mut RunConfig)| {
        let mut config = config();
        config.train.steps = Some(20);
        config.train.eval_every = 0;
        config.train.checkpoint_every = 0;
        config.optimizer.learning_rate = 2e-3;
        change(&mut config);
        config
    };
    vec![
        ("MPO anchored-sum", of(|_| {})),
        ("MPO anchored-mean", of(|config| config.objective.margin = Some(Margin::AnchoredMean))),
        (
            "MPO sum",
            of(|config| {
                config.objective.margin = Some(Margin::Sum);
                config.objective.beta = 0.05;
                config.objective.reference_weight = Some(0.0);
                config.optimizer.weight_decay = 0.1;
            }),
        ),
        ("MPO mean", of(|config| config.objective.margin = Some(Margin::Mean))),
        (
            "DPO",
            of(|config| {
                config.objective.kind = Method::Dpo;
                config.objective.retention_weight = None;
                config.optimizer.max_grad_norm = 0.0;
            }),
        ),
        ("cDPO", of(|config| (config.objective.kind, config.objective.label_smoothing) = (Method::Dpo, 0.1))),
        (
            "robust DPO",
            of(|config| {
                (config.objective.kind, config.objective.label_smoothing) = (Method::Dpo, 0.1);
                config.objective.robust = true;
                config.objective.reference_weight = Some(0.5);
            }),
        ),
        (
            "IPO sum",
            of(|config| {
                (config.objective.kind, config.objective.margin) = (Method::Ipo, Some(Margin::AnchoredSum));
            }),
        ),
        (
            "IPO mean",
            of(|config| {
                (config.objective.kind, config.objective.tau) = (Method::Ipo, 0.5);
                config.lora.rslora = true;
            }),
        ),
    ]
}

/// Metrics by step, as the attempts tell them.
fn told(handed: &Handed) -> BTreeMap<(u64, String), f64> {
    let run = handed.run;
    let mut follower = Follower::new(&handed.toy.project, run).unwrap();
    follower.look(&handed.folder).unwrap();
    assert_eq!(follower.remark(), None);
    numbers(&handed.toy, run)
}

fn numbers(toy: &Toy, run: RunId) -> BTreeMap<(u64, String), f64> {
    let steps = toy.open().steps(run, None).unwrap().into_iter();
    steps.flat_map(|(step, metrics)| metrics.into_iter().map(move |(name, value)| ((step, name), value))).collect()
}

/// The largest relative difference of a metric in steps up to this one.
fn furthest(one: &BTreeMap<(u64, String), f64>, other: &BTreeMap<(u64, String), f64>, name: &str, upto: u64) -> f64 {
    let of = |all: &BTreeMap<(u64, String), f64>| {
        let steps = all.iter().filter(|((step, own), _)| own == name && *step <= upto);
        steps.map(|((step, _), value)| (*step, *value)).collect::<Vec<_>>()
    };
    let (one, other) = (of(one), of(other));
    let steps = |values: &[(u64, f64)]| values.iter().map(|(step, _)| *step).collect::<Vec<_>>();
    assert!(!one.is_empty() && steps(&one) == steps(&other), "{name}: {one:?} {other:?}");
    one.iter().zip(&other).map(|((_, a), (_, b))| (a - b).abs() / b.abs().max(1e-6)).fold(0.0, f64::max)
}

/// Values of the adapters, the farthest apart.
fn adapters_apart(one: &Path, other: &Path) -> f64 {
    let [one, other] = [one, other].map(|path| fs::read(path).unwrap());
    let [one, other] = [&one, &other].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    assert_eq!(one.len(), other.len());
    let values = |file: &SafeTensors<'_>, name: &str| -> Vec<f32> {
        let view = file.tensor(name).unwrap();
        view.data().as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
    };
    let apart = one.names().into_iter().flat_map(|name| {
        let (one, other) = (values(&one, name), values(&other, name));
        one.into_iter().zip(other).map(|(a, b)| f64::from((a - b).abs())).collect::<Vec<_>>()
    });
    apart.fold(0.0, f64::max)
}

const ADAPTER: &str = "adapter/adapter_model.safetensors";

#[test]
fn every_objective_takes_the_steps_that_the_trainer_takes() {
    if PYTHON.is_none() {
        return;
    }
    let all: Vec<(&str, RunConfig, Handed)> =
        variants().into_iter().map(|(name, config)| (name, config.clone(), Handed::of(weighed(), &config))).collect();
    // The toy's model is the same in each.
    let model = all[0].2.toy.model.to_str().unwrap().to_owned();
    let folders = all.iter().map(|(.., handed)| handed.folder.to_str().unwrap());
    let args: Vec<&str> = ["-c", EACH, &model].into_iter().chain(folders).collect();
    must(python(&all[0].2.folder, &args).unwrap());
    for (name, config, handed) in &all {
        let there = told(handed);
        let (run, _) = handed.toy.train(config);
        let here = numbers(&handed.toy, run);
        let off = |metric: &str, upto| furthest(&there, &here, metric, upto);
        let newest = nudge::engine::newest_checkpoint(&handed.toy.open().run(run).unwrap().checkpoints).unwrap();
        let apart =
            adapters_apart(&handed.folder.join("out/1").join(ADAPTER), &newest.join("adapter_model.safetensors"));
        let (first, last, norm) = (off("loss", 5), off("loss", 20), off("grad_norm", 20));
        eprintln!(
            "{name}: loss {first:.1e} to step 5, {last:.1e} to 20; gradient norm {norm:.1e}; adapter {apart:.1e}"
        );
        assert!(first <= 1e-5 && last <= 1e-4 && norm <= 1e-4 && apart <= 1e-4, "{name}");
        for metric in ["loss/preference", "logps/chosen", "logps/rejected", "push/mean", "eval_loss"] {
            assert!(off(metric, 20) <= 1e-3, "{name}: {metric} is off by {:.1e}", off(metric, 20));
        }
        for (at, metric) in [(0, "kl/ref"), (20, "kl/ref"), (20, "eval_loss/reference"), (20, "eval_rewards/margins")] {
            let key = (at, metric.to_owned());
            assert!((there[&key] - here[&key]).abs() <= 1e-4 * here[&key].abs().max(1.0), "{name}: {metric} at {at}");
        }
        let back = handed.take_back(WantedBack::default()).unwrap();
        assert!(back.doubt.is_none() && handed.record().status == RunStatus::Completed, "{name}: {back:?}");
    }
}

#[test]
fn processes_micro_batches_and_attempts_change_no_number() {
    if PYTHON.is_none() {
        return;
    }
    // Three processes, or two items at once, do not divide five pairs.
    let handed = Handed::new(&config());
    let copy = |name: &str| {
        let folder = handed.folder.with_file_name(name);
        copy_folder(&handed.folder, &folder);
        folder
    };
    let (processes, killed) = (copy("processes"), copy("killed"));
    let model = handed.toy.model.to_str().unwrap();
    must(python(&handed.folder, &["train.py", "--model", model]).unwrap());
    let whole = told(&handed);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        write_fixture(&handed);
    }
    let launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "3", "train.py", "--model", model];
    must(python(&processes, &[&launch[..], &["--micro", "2"]].concat()).unwrap());
    let many = events(&processes.join("out/1/events.jsonl"));
    for (key, value) in whole.iter().filter(|((_, name), _)| !name.contains("token")) {
        let other = many[key];
        assert!((value - other).abs() <= 1e-5 * value.abs().max(1e-2), "{key:?}: {value} and {other}");
    }
    let apart = adapters_apart(&handed.folder.join("out/1").join(ADAPTER), &processes.join("out/1").join(ADAPTER));
    assert!(apart <= 1e-5, "{apart}");

    let mut first = python(&killed, &["train.py", "--model", model]).unwrap().stderr(Stdio::null()).spawn().unwrap();
    let since = Instant::now();
    let events_of = |attempt: u64| killed.join(format!("out/{attempt}/events.jsonl"));
    // After the checkpoint of step 3 another one or more steps are lost.
    while !fs::read_to_string(events_of(1)).is_ok_and(|text| text.contains("\"step\": 4")) {
        assert!(
            since.elapsed() < Duration::from_mins(5) && first.try_wait().unwrap().is_none(),
            "it never came to step 4"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let before = fs::read_to_string(events_of(1)).unwrap();
    assert!(!before.contains("\"ended\""), "killed too late to tell");
    must(python(&killed, &["train.py", "--model", model]).unwrap());
    let mut again = events(&events_of(1));
    let gone_on = events(&events_of(2));
    let from = gone_on.keys().map(|(step, _)| *step).min().unwrap();
    assert!(from > 3 && fs::read_to_string(events_of(2)).unwrap().contains("\"event\": \"started\", \"step\""));
    again.extend(gone_on);
    for (key, value) in whole.iter().filter(|((_, name), _)| !name.contains("per_sec")) {
        assert_eq!(again[key].to_bits(), value.to_bits(), "{key:?}");
    }
    assert_eq!(adapters_apart(&handed.folder.join("out/1").join(ADAPTER), &killed.join("out/2").join(ADAPTER)), 0.0);
}

#[test]
fn what_is_not_as_it_was_handed_over_is_not_trained_on() {
    if PYTHON.is_none() {
        return;
    }
    let handed = Handed::new(&config());
    let model = handed.toy.model.to_str().unwrap().to_owned();
    let refused = |folder: &Path, args: &[&str]| {
        let output = python(folder, args).unwrap().stderr(Stdio::piped()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let other = handed.folder.with_file_name("other");
    toy::write_model_seeded(&other, 8);
    let said = refused(&handed.folder, &["train.py", "--model", other.to_str().unwrap()]);
    assert!(said.contains("model.safetensors is not the file that the run was made with"), "{said}");
    // Its log-probs tell as well.
    let said = refused(&handed.folder, &["train.py", "--model", other.to_str().unwrap(), "--trust-weights"]);
    assert!(said.contains("at home: other weights or dtype"), "{said}");
    let events = fs::read_to_string(handed.folder.join("out/1/events.jsonl")).unwrap();
    assert!(events.contains("\"failed\"") && !events.contains("\"metrics\""), "{events}");
    let steps = handed.read("data/steps.jsonl").replacen("\"lr\":0.00", "\"lr\":0.01", 1);
    fs::write(handed.folder.join("data/steps.jsonl"), steps).unwrap();
    let said = refused(&handed.folder, &["train.py", "--model", &model]);
    assert!(said.contains("data/steps.jsonl is not the file that was handed over"), "{said}");
}

/// What `train.py` tells, read as Nudge reads it.
fn events(path: &Path) -> BTreeMap<(u64, String), f64> {
    let mut ear = nudge::handover::Ear::default();
    let heard = ear.hear(&fs::read(path).unwrap()).into_iter();
    heard
        .filter_map(|event| match event.what {
            nudge::handover::AwayWord::Measured { metrics, .. } => Some((event.step, metrics)),
            _ => None,
        })
        .flat_map(|(step, metrics)| metrics.into_iter().map(move |(name, value)| ((step, name), value)))
        .collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(path, target).unwrap();
        }
    }
}

fn write_fixture(handed: &Handed) {
    fs::create_dir_all(fixture().join("adapter")).unwrap();
    let attempt = handed.folder.join("out/1");
    for name in ["events.jsonl", "proof.json"] {
        let text = fs::read_to_string(attempt.join(name)).unwrap();
        fs::write(fixture().join(name), text.replace(&handed.nonce(), NONCE)).unwrap();
    }
    fs::copy(attempt.join(ADAPTER), fixture().join(ADAPTER)).unwrap();
}
