//! Trains every method over several seeds, lets each result sit the exam, and prints the table.
//!
//! Each run goes through the engine, in an ordinary project made from the demo's files, as `nudge train --demo --set ..` would.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, bail};
use nudge::{
    data::{Prompt, config::RunConfig},
    engine::{
        Engine, EngineOptions, no_waker,
        protocol::{Event, Outcome, Request, RequestId, RunControl, Sampling, StoppedBy, Weights},
    },
    store::{NewRun, Project, RunId, demo::open_demo_of},
};

use crate::{
    Stream,
    exam::{Exam, LONGEST_ANSWER, Report, Said},
    stream,
    world::World,
};

/// A row of the table: its name, and what it changes of the demo's own settings.
struct Method {
    name: &'static str,
    changes: &'static [(&'static str, &'static str)],
}

const METHODS: &[Method] = &[
    Method { name: "MPO, λ_ref 1 (the demo's settings)", changes: &[] },
    Method { name: "MPO reference-free (sum), λ_ref 1", changes: &[("objective.margin", "sum")] },
    Method { name: "MPO, λ_ref 0", changes: &[("objective.reference_weight", "0.0")] },
    Method {
        name: "DPO β 0.1",
        changes: &[("objective.kind", "dpo"), ("objective.beta", "0.1"), ("objective.reference_weight", "0.0")],
    },
    Method {
        name: "DPO β 0.5",
        changes: &[("objective.kind", "dpo"), ("objective.beta", "0.5"), ("objective.reference_weight", "0.0")],
    },
    Method {
        name: "DPO β 1",
        changes: &[("objective.kind", "dpo"), ("objective.beta", "1.0"), ("objective.reference_weight", "0.0")],
    },
    Method {
        name: "IPO sum τ 0.1",
        changes: &[
            ("objective.kind", "ipo"),
            ("objective.margin", "anchored-sum"),
            ("objective.reference_weight", "0.0"),
        ],
    },
    Method {
        name: "IPO mean τ 1",
        changes: &[
            ("objective.kind", "ipo"),
            ("objective.margin", "anchored-mean"),
            ("objective.tau", "1.0"),
            ("objective.reference_weight", "0.0"),
        ],
    },
    Method { name: "DPO β 1 with MPO's λ_ref 1", changes: &[("objective.kind", "dpo"), ("objective.beta", "1.0")] },
];

/// Questions of the exam on each side of the preference.
const QUESTIONS: usize = 80;

/// What a trained model is judged by.
#[derive(Debug, Clone, Copy)]
struct Judged {
    accuracy: f64,
    report: Report,
    /// Nats an answer, on held-out reference answers.
    kl: f64,
    seconds: f64,
}

struct Column {
    title: &'static str,
    decimals: usize,
    value: fn(&Judged) -> f64,
}

const COLUMNS: &[Column] = &[
    Column { title: "held-out accuracy", decimals: 2, value: |judged| judged.accuracy },
    Column { title: "manner", decimals: 2, value: |judged| judged.report.asked_for.host },
    Column { title: "facts", decimals: 2, value: |judged| judged.report.asked_for.facts },
    Column { title: "spill", decimals: 2, value: |judged| judged.report.elsewhere.host },
    Column { title: "facts elsewhere", decimals: 2, value: |judged| judged.report.elsewhere.facts },
    Column { title: "kl/ref per answer", decimals: 2, value: |judged| judged.kl },
    Column { title: "seconds a run", decimals: 0, value: |judged| judged.seconds },
];

pub struct Options<'a> {
    pub seeds: u64,
    /// Only methods whose name begins with this.
    pub only: &'a str,
    /// `section.key` and value, on top of the demo's settings and under the method's own.
    pub settings: Vec<(String, String)>,
    pub verbose: bool,
}

/// Prints the table as Markdown.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn measure(world: &World, seed: u64, assets: &Path, options: &Options<'_>) -> Result<()> {
    let folder = tempfile::tempdir().context("no room for a temporary project")?;
    let dir = open_demo_of(assets, Some(&folder.path().join("demo")))?;
    let mut project = Project::open(&dir)?;
    let settings = project.settings()?;
    let base = RunConfig::from_toml(&settings.run_toml)?.with_overrides(&options.settings)?;
    let engine = Engine::start(no_waker(), EngineOptions::with_threads(2))?;
    let exam = Exam::new(world, QUESTIONS, &mut stream(seed, Stream::Exam));

    let before = Weights::Model { folder: settings.model, adapter: None };
    let untrained = (0..options.seeds)
        .map(|seed| {
            let (report, _) = exam.sit(world, &mut |prompts| ask(&engine, &before, prompts, seed))?;
            Ok(Judged { accuracy: f64::NAN, report, kl: 0.0, seconds: f64::NAN })
        })
        .collect::<Result<Vec<_>>>()?;
    let titles: Vec<&str> = COLUMNS.iter().map(|column| column.title).collect();
    println!("| | {} |", titles.join(" | "));
    println!("|---|{}", "---|".repeat(COLUMNS.len()));
    println!("{}", line("before", &untrained));
    for method in METHODS {
        if !method.name.starts_with(options.only) {
            continue;
        }
        let mut runs = Vec::new();
        for seed in 0..options.seeds {
            let mut changes: Vec<(String, String)> =
                method.changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            changes.push(("train.shuffle_seed".to_owned(), seed.to_string()));
            let config = base.with_overrides(&changes)?;
            let started = Instant::now();
            let run = train(&engine, &mut project, method.name, &config)?;
            let seconds = started.elapsed().as_secs_f64();
            let after = Weights::Run { project: dir.clone(), run, step: None };
            let (report, items) = exam.sit(world, &mut |prompts| ask(&engine, &after, prompts, seed))?;
            let judged = Judged {
                accuracy: last(&project, run, "eval_rewards/accuracies")?,
                report,
                kl: last(&project, run, "kl/ref_per_answer")?,
                seconds,
            };
            eprintln!("{} seed {seed}: {judged:?}", method.name);
            if options.verbose {
                for item in &items {
                    eprintln!("{item}");
                }
            }
            runs.push(judged);
        }
        println!("{}", line(method.name, &runs));
    }
    Ok(())
}

/// Trains one run to its end.
fn train(engine: &Engine, project: &mut Project, name: &str, config: &RunConfig) -> Result<RunId> {
    let new = NewRun {
        name: name.to_owned(),
        config_toml: config.to_toml()?,
        method: name.to_owned(),
        revision: project.revision()?,
        parent: None,
    };
    let run = project.create_run(&new)?;
    engine.requests.send(Request::Train {
        project: project.dir().to_owned(),
        run,
        from: None,
        control: Arc::new(RunControl::default()),
    })?;
    loop {
        match engine.events.recv()? {
            Event::Finished { run: ended, outcome } if ended == run => match outcome {
                Outcome::Completed => return Ok(run),
                Outcome::Stopped { step } => bail!("{name} stopped at step {step}"),
                Outcome::Failed { error } => bail!("{name} failed: {error}"),
            },
            Event::Logged { text, .. } => eprintln!("{name}: {text}"),
            _ => {}
        }
    }
}

/// One sampled answer a prompt.
fn ask(engine: &Engine, source: &Weights, prompts: &[Prompt], seed: u64) -> Result<Vec<Said>> {
    prompts
        .iter()
        .zip(0..)
        .map(|(prompt, index)| {
            engine.requests.send(Request::Generate {
                request: RequestId(index),
                source: source.clone(),
                prompt: prompt.clone(),
                sampling: Sampling {
                    temperature: 1.0,
                    max_new_tokens: LONGEST_ANSWER,
                    seed: seed * 1000 + index,
                    ..Sampling::default()
                },
                control: Arc::new(RunControl::default()),
            })?;
            loop {
                match engine.events.recv()? {
                    Event::Generated { request, answer } if request == RequestId(index) => {
                        return Ok(Said { text: answer.text, ended: answer.stopped_by == StoppedBy::Eos });
                    }
                    Event::Failed { error, .. } => bail!("no answer: {error}"),
                    _ => {}
                }
            }
        })
        .collect()
}

fn last(project: &Project, run: RunId, metric: &str) -> Result<f64> {
    let series = project.series(run, metric, None)?;
    let (_, value) = series.last().with_context(|| format!("the run has not measured {metric}"))?;
    Ok(*value)
}

/// One row: mean over the seeds, ± half the distance of the extremes.
fn line(name: &str, runs: &[Judged]) -> String {
    let cell = |column: &Column| {
        let values: Vec<f64> = runs.iter().map(column.value).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (spread, decimals) = ((most - least) / 2.0, column.decimals);
        if mean.is_nan() { String::new() } else { format!("{mean:.decimals$} ± {spread:.decimals$}") }
    };
    let cells: Vec<String> = COLUMNS.iter().map(cell).collect();
    format!("| {name} | {} |", cells.join(" | "))
}
