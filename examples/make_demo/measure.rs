//! Trains every method over several seeds on the demo's pairs and prints what the runs' own evaluations say.
//!
//! Each run goes through the engine, in an ordinary project made from the demo's files, as
//! `nudge train --demo --set ..` would. What a run came to is a line of a file, and a run that has its line is not
//! trained again: the whole can be measured in pieces.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use nudge::{
    data::{
        Choice, Pair, Strength, Verdict,
        config::{Method as Kind, RunConfig},
    },
    engine::{
        Engine, EngineOptions, no_waker,
        protocol::{Event, Outcome, Request, RunControl},
    },
    store::{NewRun, Project, RunId, demo::open_demo_of},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::{
    Stream,
    methods::{self, Labels, Method},
    project, stream,
    world::World,
};

/// What a run is judged by: title, metric, and decimals.
const COLUMNS: &[(&str, &str, usize)] = &[
    ("accuracy", ACCURACY, 3),
    ("at its best", BEST, 3),
    ("held-out loss", "eval_loss/preference", 3),
    ("manner", "judged/manner", 2),
    ("spill", "judged/spill", 2),
    ("facts", "judged/facts", 2),
    ("facts elsewhere", "judged/facts elsewhere", 2),
    ("kl/ref per answer", "kl/ref_per_answer", 2),
    ("core-seconds", CORE_SECONDS, 0),
    ("peak MB", MEMORY, 0),
];
pub const ACCURACY: &str = "eval_rewards/accuracies";
/// The highest held-out accuracy of all evaluations.
const BEST: &str = "best accuracy";
/// Of processor time, sampling and judging included: what else the machine does changes it little.
pub const CORE_SECONDS: &str = "core-seconds";
const MEMORY: &str = "peak memory";

pub struct Options<'a> {
    pub seeds: std::ops::Range<u64>,
    /// Only methods whose name begins so.
    pub only: &'a str,
    pub labels: Option<Labels>,
    /// `section.key` and value, on top of the demo's settings and under the method's own.
    pub settings: Vec<(String, String)>,
    /// What runs came to, a line each.
    pub results: &'a Path,
    /// No run is begun later than this.
    pub patience: Option<Duration>,
    pub threads: usize,
}

/// What a run came to.
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    method: String,
    labels: Labels,
    seed: u64,
    /// The whole settings: a line of other settings says nothing of these.
    config: String,
    /// Before the first step.
    before: Values,
    after: Values,
}

/// Trains what has no line yet and prints the tables as Markdown.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn measure(
    world: &World,
    seed: u64,
    assets: &Path,
    tables: &[(Labels, &[Method])],
    options: &Options<'_>,
) -> Result<()> {
    let began = Instant::now();
    let mut lines = read(options.results)?;
    let engine = Engine::start(no_waker(), EngineOptions::with_threads(options.threads))?;
    let is_asked = |labels: &Labels| options.labels.is_none_or(|asked| asked == *labels);
    for (labels, methods) in tables.iter().filter(|(labels, _)| is_asked(labels)) {
        let place = tempfile::tempdir().context("no room for a temporary project")?;
        let dir = islands(world, seed, assets, *labels, place.path())?;
        let mut project = Project::open(&dir)?;
        let base = RunConfig::from_toml(&project.settings()?.run_toml)?.with_overrides(&options.settings)?;
        let mut rows: Vec<(&str, Vec<Line>)> = Vec::new();
        let mut rewards = BTreeMap::new();
        for method in methods.iter().filter(|method| method.name.starts_with(options.only)) {
            let mut of_method = Vec::new();
            for seed in options.seeds.clone() {
                let config = configure(&base, method, seed)?;
                let text = config.to_toml()?;
                let is_it = |line: &&Line| line.labels == *labels && line.seed == seed && line.config == text;
                let known = lines.iter().find(is_it).cloned();
                let is_late = options.patience.is_some_and(|patience| began.elapsed() > patience);
                let line = match known {
                    Some(line) => line,
                    None if is_late => continue,
                    None => {
                        let before = (&base, &mut rewards);
                        let line = one(&engine, &mut project, (method.name, *labels, seed), &config, before)?;
                        write(options.results, &line)?;
                        lines.push(line.clone());
                        line
                    }
                };
                of_method.push(line);
            }
            rows.push((method.name, of_method));
        }
        println!("\n{}:\n", labels.words());
        table(&rows);
    }
    Ok(())
}

fn configure(base: &RunConfig, method: &Method, seed: u64) -> Result<RunConfig> {
    let mut changes: Vec<(String, String)> =
        method.changes().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    changes.push(("train.shuffle_seed".to_owned(), seed.to_string()));
    Ok(base.with_overrides(&changes)?)
}

/// The demo with these labels, as a project in `place`.
fn islands(world: &World, seed: u64, assets: &Path, labels: Labels, place: &Path) -> Result<PathBuf> {
    let mut of_pairs = stream(seed, Stream::Pairs);
    let pairs = match labels {
        Labels::Several | Labels::Split => {
            let mut more = stream(seed, Stream::Negatives);
            let pairs = project::pairs_with_more(world, labels.flipped(), &mut of_pairs, Some(&mut more));
            if labels == Labels::Split { pairs.into_iter().flat_map(split).collect() } else { pairs }
        }
        Labels::AsMade | Labels::MoreFlipped | Labels::Certain => {
            let mut pairs = project::pairs(world, labels.flipped(), &mut of_pairs);
            if labels == Labels::Certain {
                pairs.iter_mut().for_each(make_certain);
            }
            pairs
        }
    };
    with_pairs(assets, &pairs, place)
}

/// The demo with these pairs, as a project in `place`.
pub fn with_pairs(assets: &Path, pairs: &[Pair], place: &Path) -> Result<PathBuf> {
    let own = place.join("assets");
    copy(assets, &own)?;
    project::write_lines(&own.join("pairs.jsonl"), pairs)?;
    Ok(open_demo_of(&own, Some(&place.join("demo")))?)
}

/// A label to train on as a file of pairs has it: one is better, and nobody says how sure that is.
fn make_certain(pair: &mut Pair) {
    if let Some(verdict) = &mut pair.verdict
        && let Choice::Better { strength, .. } = &mut verdict.choice
    {
        *strength = Strength::Strongly;
    }
}

/// A pair for each answer that is worse than the chosen one.
fn split(pair: Pair) -> Vec<Pair> {
    let worse = pair.worse();
    let (Some(verdict), true) = (&pair.verdict, worse.len() > 1) else { return vec![pair] };
    let Choice::Better { chosen, strength, .. } = verdict.choice else { return vec![pair] };
    let one = |rejected: &usize| Pair {
        answers: vec![pair.answers[chosen].clone(), pair.answers[*rejected].clone()],
        verdict: Some(Verdict {
            choice: Choice::Better { chosen: 0, rejected: 1, strength },
            order: Vec::new(),
            ..verdict.clone()
        }),
        ..pair.clone()
    };
    worse.iter().map(one).collect()
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Trains one run to its end and reads what it measured. `rewards`: reward models of this project by seed; one that
/// samples learns from that of its seed, whose time is not counted.
fn one(
    engine: &Engine,
    project: &mut Project,
    (name, labels, seed): (&str, Labels, u64),
    config: &RunConfig,
    (base, rewards): (&RunConfig, &mut BTreeMap<u64, RunId>),
) -> Result<Line> {
    let mut learning = config.clone();
    if config.objective.kind.samples() {
        let known = rewards.get(&seed).copied();
        let fit = || train(engine, project, methods::REWARD.name, &configure(base, &methods::REWARD, seed)?);
        let reward = known.map_or_else(fit, Ok)?;
        rewards.insert(seed, reward);
        learning.reward.run = Some(reward.0.unsigned_abs());
    }
    let (run, [before, after]) = came_to(engine, project, name, &learning)?;
    if name == methods::REWARD.name {
        rewards.insert(seed, run);
    }
    let line = Line { method: name.to_owned(), labels, seed, config: config.to_toml()?, before, after };
    let shown: Vec<String> = COLUMNS
        .iter()
        .filter_map(|(title, metric, decimals)| Some(format!("{title} {:.decimals$}", line.after.get(*metric)?)))
        .collect();
    eprintln!("{name}, {}, seed {seed}: {}", labels.words(), shown.join(", "));
    Ok(line)
}

/// Values by metric.
pub type Values = BTreeMap<String, f64>;

/// Trains a run to its end: what was measured before its first step, and what it came to.
pub fn came_to(engine: &Engine, project: &mut Project, name: &str, config: &RunConfig) -> Result<(RunId, [Values; 2])> {
    let begun = core_seconds()?;
    let run = train(engine, project, name, config)?;
    let spent = core_seconds()? - begun;
    let steps = project.steps(run, None)?;
    let before = steps.first().map(|(_, metrics)| metrics.iter().cloned().collect()).unwrap_or_default();
    let mut after: Values = steps.into_iter().flat_map(|(_, metrics)| metrics).collect();
    // At step 0 all rewards are 0, and nothing is right or wrong.
    let of_scores = config.objective.kind == Kind::Reward;
    let accuracy = if of_scores { "eval_accuracy" } else { ACCURACY };
    let series = project.series(run, accuracy, Some(0))?;
    if let Some((_, last)) = series.last() {
        after.insert(ACCURACY.to_owned(), *last);
    }
    let best = series.into_iter().map(|(_, value)| value).fold(0.0, f64::max);
    after.insert(BEST.to_owned(), best);
    let peak = project.series(run, "memory_mb", None)?.into_iter().map(|(_, value)| value).fold(0.0, f64::max);
    after.insert(MEMORY.to_owned(), peak);
    after.insert(CORE_SECONDS.to_owned(), spent);
    Ok((run, [before, after]))
}

/// What this program has used of all processors, in seconds.
fn core_seconds() -> Result<f64> {
    let own = sysinfo::get_current_pid().map_err(|error| anyhow!("cannot tell this process: {error}"))?;
    let mut system = System::new().context("the system does not tell of processes")?;
    let what = ProcessRefreshKind::nothing().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, what);
    let process = system.process(own).context("this process is not in the system's list")?;
    Ok(process.accumulated_cpu_time() as f64 / 1e3)
}

fn train(engine: &Engine, project: &mut Project, name: &str, config: &RunConfig) -> Result<RunId> {
    let new = NewRun {
        name: name.to_owned(),
        config_toml: config.to_toml()?,
        method: name.to_owned(),
        revision: project.revision()?,
        parent: None,
    };
    let run = project.create_run(&new)?;
    let control = Arc::new(RunControl::default());
    engine.requests.send(Request::Train { project: project.dir().to_owned(), run, from: None, control })?;
    loop {
        match engine.events.recv()? {
            Event::Finished { run: ended, outcome } if ended == run => match outcome {
                Outcome::Completed => return Ok(run),
                Outcome::Stopped { step } => bail!("{name} stopped at step {step}"),
                Outcome::Failed { error } => bail!("{name} failed: {error}"),
            },
            _ => {}
        }
    }
}

/// A value of each line; none where there is no such file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let parse = |(number, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}, line {}", path.display(), number + 1))
    };
    text.lines().enumerate().map(parse).collect()
}

/// Adds a line.
pub fn write<T: Serialize>(path: &Path, line: &T) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(writeln!(file, "{}", serde_json::to_string(line)?)?)
}

/// Mean over the seeds, ± half the distance of the extremes.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn table(rows: &[(&str, Vec<Line>)]) {
    let titles: Vec<&str> = COLUMNS.iter().map(|(title, ..)| *title).collect();
    println!("| | {} | runs |", titles.join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len() + 1));
    if let Some(line) = rows.iter().flat_map(|(_, lines)| lines).next() {
        let known = |metric: &str| metric.starts_with("judged/");
        let cells = COLUMNS.iter().map(|(_, metric, decimals)| match line.before.get(*metric) {
            Some(value) if known(metric) => format!("{value:.decimals$}"),
            _ => String::new(),
        });
        println!("| before | {} | |", cells.collect::<Vec<_>>().join(" | "));
    }
    for (name, lines) in rows.iter().filter(|(_, lines)| !lines.is_empty()) {
        let cells = COLUMNS.iter().map(|(_, metric, decimals)| {
            let values: Vec<f64> = lines.iter().filter_map(|line| line.after.get(*metric).copied()).collect();
            mean_and_spread(&values, *decimals)
        });
        println!("| {name} | {} | {} |", cells.collect::<Vec<_>>().join(" | "), lines.len());
    }
}

/// Mean, ± half the distance of the extremes where there are several.
pub fn mean_and_spread(values: &[f64], decimals: usize) -> String {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        0 => String::new(),
        1 => format!("{mean:.decimals$}"),
        _ => format!("{mean:.decimals$} ± {:.decimals$}", (most - least) / 2.0),
    }
}

/// The tables of the README.
pub fn tables() -> Vec<(Labels, &'static [Method])> {
    vec![
        (Labels::AsMade, methods::METHODS),
        (Labels::AsMade, methods::EXCHANGED),
        (Labels::AsMade, methods::OTHERS),
        (Labels::Several, methods::SEVERAL),
        (Labels::Split, methods::SPLIT),
        (Labels::MoreFlipped, methods::METHODS),
        (Labels::Certain, methods::METHODS),
        (Labels::AsMade, methods::BEST),
    ]
}
