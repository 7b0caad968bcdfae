//! A project that trains in a second: a tiny random model with a fixture's tokenizer, and a preference it can learn.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use nudge::{
    data::{
        Change, Choice, Edit, Pair, PairId, Prompt, ReferenceAnswer, Role, Strength, Turn, Verdict, config::RunConfig,
    },
    engine::{
        Engine, EngineOptions, no_waker,
        protocol::{Event, Metrics, Outcome, Request, RunControl},
    },
    kernels::Multiplier,
    model::{Spec, init},
    store::{Arithmetic, NewRun, Probe, Project, ProjectSettings, RunId},
};
use tempfile::TempDir;

/// Longer than any test may take on a busy machine; only a hang reaches it.
const PATIENCE: Duration = Duration::from_mins(2);

pub struct Toy {
    _dir: TempDir,
    pub project: PathBuf,
    pub model: PathBuf,
}

/// A conversation of one question.
pub fn ask(question: &str) -> Prompt {
    Prompt::chat(vec![Turn::new(Role::User, question)])
}

/// A labelled pair, `chosen` being the first answer.
pub fn labelled(question: &str, chosen: &str, rejected: &str) -> Pair {
    Pair {
        verdict: Some(Verdict::imported(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Strongly }, 0)),
        ..Pair::new(PairId::NEW, ask(question), &[chosen, rejected])
    }
}

/// What may differ between two runs of the same steps: clocks and memory.
pub const OF_THE_MACHINE: [&str; 7] = [
    "tokens_per_sec",
    "memory_mb",
    "eval_runtime",
    "rollout/seconds",
    "rollout/tokens_per_s",
    "eps",
    "ti/seconds_share",
];

/// Every metric of every step as bits, but for those of the machine.
pub fn numbers(project: &Project, run: RunId) -> BTreeMap<(u64, String), u64> {
    let steps = project.steps(run, None).unwrap().into_iter();
    steps
        .flat_map(|(step, metrics)| metrics.into_iter().map(move |(name, value)| ((step, name), value.to_bits())))
        .filter(|((_, name), _)| !OF_THE_MACHINE.contains(&name.as_str()))
        .collect()
}

impl Toy {
    /// Twenty questions whose polite answer is preferred, reference answers on other questions, text and two probes.
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let model = dir.path().join("model");
        write_model(&model);
        let project_dir = dir.path().join("project");
        let settings = ProjectSettings { name: "toy".to_owned(), model: model.clone(), run_toml: String::new() };
        let mut project = Project::create(&project_dir, &settings).unwrap();
        let pairs = (0..20).map(|n| labelled(&format!("Is {n} even?"), "yes sir", "no way"));
        add(&mut project, pairs.collect());
        let references: Vec<ReferenceAnswer> = (0..10)
            .map(|n| ReferenceAnswer::new(ask(&format!("Name stone {n}")), format!("stone {n} is grey")))
            .collect();
        project.set_references(&references).unwrap();
        let texts: Vec<String> = (0..6).map(|n| format!("In the year {n} a boat came home.")).collect();
        project.set_retention(&texts).unwrap();
        let probes = ["Is 3 even?", "Name stone 2"].map(|question| Probe {
            prompt: ask(question),
            note: String::new(),
            stays: false,
        });
        project.set_probes(&probes).unwrap();
        Self { _dir: dir, project: project_dir, model }
    }

    /// The same with another project, wherever that is.
    pub fn with(self, project: PathBuf) -> Self {
        Self { project, ..self }
    }

    pub fn open(&self) -> Project {
        Project::open(&self.project).unwrap()
    }

    /// Records a run of the data as it is now.
    pub fn record(&self, config: &RunConfig) -> RunId {
        let mut project = self.open();
        let revision = project.revision().unwrap();
        project
            .create_run(&NewRun {
                name: "toy run".to_owned(),
                config_toml: config.to_toml().unwrap(),
                method: "MPO anchored-sum".to_owned(),
                revision,
                parent: None,
            })
            .unwrap()
    }

    /// The same, and its products are taken by this, whatever is the quickest here.
    pub fn record_by(&self, config: &RunConfig, by: Multiplier) -> RunId {
        let run = self.record(config);
        let arithmetic = Arithmetic { multiplier: Some(by.name().to_owned()), ..Arithmetic::default() };
        self.open().set_arithmetic(run, &arithmetic).unwrap();
        run
    }

    /// Asks the engine to train a run and gives its reins.
    pub fn queue(&self, engine: &Engine, run: RunId) -> Arc<RunControl> {
        self.queue_from(engine, run, None)
    }

    /// The same from the checkpoint of a step.
    pub fn queue_from(&self, engine: &Engine, run: RunId, from: Option<u64>) -> Arc<RunControl> {
        let control = Arc::new(RunControl::default());
        engine
            .requests
            .send(Request::Train { project: self.project.clone(), run, from, control: Arc::clone(&control) })
            .unwrap();
        control
    }

    /// A new run from start to end on an engine of its own.
    pub fn train(&self, config: &RunConfig) -> (RunId, Outcome) {
        let run = self.record(config);
        (run, self.go_on(run))
    }

    /// Trains a recorded run and stops it once it has done this step; gives the step that it came to.
    pub fn stop_at(&self, run: RunId, at_least: u64) -> u64 {
        let engine = start();
        let control = self.queue(&engine, run);
        reached(&engine, run, at_least);
        control.stop();
        let Outcome::Stopped { step } = finished(&engine, run) else { panic!("it was asked to stop") };
        engine.shut_down();
        step
    }

    /// Trains a recorded run and ends the engine once it has done this step.
    pub fn leave_at(&self, run: RunId, at_least: u64) {
        let engine = start();
        self.queue(&engine, run);
        reached(&engine, run, at_least);
        engine.shut_down();
    }

    /// Trains a recorded run to its end on an engine of its own.
    pub fn go_on(&self, run: RunId) -> Outcome {
        self.go_on_from(run, None)
    }

    /// The same from the checkpoint of a step.
    pub fn go_on_from(&self, run: RunId, from: Option<u64>) -> Outcome {
        let engine = start();
        self.queue_from(&engine, run, from);
        let outcome = finished(&engine, run);
        engine.shut_down();
        outcome
    }
}

/// Settings that learn the toy in a dozen steps.
pub fn config() -> RunConfig {
    let mut config = RunConfig::default();
    config.data.eval_fraction = 0.25;
    config.lora.rank = 4;
    config.lora.alpha = 8.0;
    config.objective.beta = 0.5;
    config.objective.retention_weight = Some(0.1);
    config.optimizer.learning_rate = 1e-2;
    config.optimizer.warmup_steps = 2;
    config.train.steps = Some(12);
    config.train.pairs_per_step = 5;
    config.train.eval_every = 6;
    config.train.sample_every = 6;
    config.train.checkpoint_every = 5;
    config.train.sample_tokens = 4;
    config.train.eval_answers = 2;
    config
}

pub fn add(project: &mut Project, pairs: Vec<Pair>) {
    let change = Change { label: "Add pairs".to_owned(), edits: pairs.into_iter().map(Edit::add).collect() };
    project.apply(&change).unwrap();
}

pub fn start() -> Engine {
    // Nothing of a test goes into the cache folder of whoever runs it.
    nudge::model::rates::forget_at_exit();
    Engine::start(no_waker(), EngineOptions::with_threads(1)).unwrap()
}

/// The next event that `pick` finds something in; the others are passed over.
pub fn wait_for<T>(engine: &Engine, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    loop {
        let event = engine.events.recv_timeout(PATIENCE).expect("the engine says something in time");
        if let Some(found) = pick(&event) {
            return found;
        }
    }
}

pub fn finished(engine: &Engine, of: RunId) -> Outcome {
    wait_for(engine, |event| match event {
        Event::Finished { run, outcome } if *run == of => Some(outcome.clone()),
        _ => None,
    })
}

/// Waits until a run has done this step.
pub fn reached(engine: &Engine, of: RunId, at_least: u64) -> u64 {
    wait_for(engine, |event| match event {
        Event::Step { run, step, .. } if *run == of && *step >= at_least => Some(*step),
        Event::Finished { outcome, .. } => panic!("ended before step {at_least}: {outcome:?}"),
        _ => None,
    })
}

/// One metric out of a list.
pub fn value(metrics: &Metrics, name: &str) -> f64 {
    let found = metrics.iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no {name} in {metrics:?}")).1
}

/// Two layers, random weights, and the tokenizer of a fixture.
fn write_model(folder: &Path) {
    write_model_seeded(folder, 7);
}

/// The same with other random weights.
pub fn write_model_seeded(folder: &Path, seed: u64) {
    write_any_model(folder, seed, 128);
}

/// The same for rows of so many tokens.
pub fn write_long_model(folder: &Path, positions: usize) {
    write_any_model(folder, 7, positions);
}

fn write_any_model(folder: &Path, seed: u64, positions: usize) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models/llama_mha");
    let spec = format!(
        r#"{{"model_type": "llama", "vocab_size": 512, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": {positions}, "initializer_range": 0.15}}"#
    );
    let spec = Spec::parse(&spec).unwrap();
    init::write_random(folder, &spec, seed).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json"] {
        fs::copy(fixture.join(file), folder.join(file)).unwrap();
    }
}
