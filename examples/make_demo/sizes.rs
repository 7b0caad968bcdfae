//! Few pairs and many, short runs and long, small steps and large: what the rule for defaults stands on.
//!
//! Each run has the program's defaults, not the demo's, but for what its row says. All of a kind are judged by the same
//! held-out pairs, whose questions no run was trained on and whose labels are as they were given.
//!
//! The model is the one in the folder of `--out`, so that others that know the same world can be asked the same:
//!
//! ```text
//! cargo run --example make_demo -- --out /tmp/larger text
//! cargo run --example make_demo -- --out /tmp/larger model --hidden 256 --layers 5 --steps 600 --learning-rate 2e-3
//! cargo run --example make_demo -- --out /tmp/larger references
//! cargo run --example make_demo -- --out /tmp/larger sizes --part rate --seeds 3
//! ```

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use nudge::{
    data::{
        Pair, PromptKey, Split,
        config::{Basis, RunConfig},
    },
    engine::{Engine, EngineOptions, no_waker},
    model::Spec,
    store::Project,
};
use serde::{Deserialize, Serialize};

use crate::{
    Stream,
    measure::{self, ACCURACY, CORE_SECONDS, Values},
    project, stream,
    world::World,
};

/// Which runs, and where their results are.
#[derive(Args)]
pub struct Sizes {
    /// Only this question.
    #[arg(long)]
    part: Option<Part>,
    /// Only runs on so many pairs.
    #[arg(long, value_delimiter = ',')]
    pairs: Vec<usize>,
    /// Only runs of so many steps.
    #[arg(long, value_delimiter = ',')]
    steps: Vec<u64>,
    /// Only runs at this learning rate; `rule` for those that have the rule's.
    #[arg(long, value_delimiter = ',')]
    rates: Vec<String>,
    /// Only runs of this method.
    #[arg(long, value_delimiter = ',')]
    methods: Vec<String>,
    /// A setting of all runs, as `nudge train --set`.
    #[arg(long, value_parser = crate::setting)]
    set: Vec<(String, String)>,
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Judge no answers, which takes most of the time of a short run; measure held-out pairs ten times on the way
    /// instead.
    #[arg(long)]
    bare: bool,
    /// What each run came to; runs that are in it are not trained again.
    #[arg(long, default_value = "target/size-runs.jsonl")]
    results: PathBuf,
    /// Begin no run later than this.
    #[arg(long)]
    minutes: Option<u64>,
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// How many steps are enough?
    Steps,
    /// How many pairs in each?
    Batch,
    /// How large a learning rate?
    Rate,
    /// How large a β, which ends a pair's push sooner?
    Strength,
    /// Rates and strengths for pairs four times as long.
    Long,
    /// Is it so with DPO and IPO?
    Methods,
}

/// One run: its data, and what it changes of the defaults.
#[derive(Clone, Copy)]
struct Point {
    part: Part,
    /// To train on.
    pairs: usize,
    /// Questions in a prompt.
    at_once: usize,
    method: &'static str,
    batch: usize,
    steps: u64,
    /// Rate and β are as the rule has them, where none is said.
    rate: Option<&'static str>,
    beta: Option<&'static str>,
}

/// The word for a rate that no point says.
const RULE: &str = "rule";

/// Pairs that judge.
const HELD_OUT: usize = 400;

/// Pairs, pairs a step, steps.
const STEPS: &[(usize, usize, &[u64])] = &[
    (30, 8, &[30, 60, 120]),
    (80, 8, &[30, 60, 120, 240]),
    (300, 16, &[30, 60, 120, 300]),
    (1000, 16, &[60, 120, 300, 600]),
    (3000, 16, &[60, 120, 300, 600, 1200]),
    (10_000, 16, &[60, 120, 300, 600]),
    (30_000, 16, &[60, 120, 300, 600, 1200]),
];
const BATCHES: &[(usize, usize, &[u64])] =
    &[(3000, 8, &[60, 300, 600]), (3000, 32, &[60, 150, 300]), (30_000, 8, &[600]), (30_000, 32, &[60, 150, 300])];
const RATES: &[&str] = &["1e-4", "3e-4", "6e-4", "1e-3", "2e-3", "3e-3"];
/// Of MPO.
const STRENGTHS: &[&str] = &["0.1", "0.3", "1", "3"];
/// Steps that each rate and each β is tried with.
const STEPS_AT_EACH: &[u64] = &[60, 120, 300];

fn points() -> Vec<Point> {
    let usual =
        Point { part: Part::Steps, pairs: 0, at_once: 1, method: "mpo", batch: 0, steps: 0, rate: None, beta: None };
    let point = |part, pairs, batch, steps| Point { part, pairs, batch, steps, ..usual };
    let grid = |part, rows: &[(usize, usize, &'static [u64])]| {
        let rows =
            rows.iter().flat_map(|(pairs, batch, steps)| steps.iter().map(move |steps| (*pairs, *batch, *steps)));
        rows.map(|(pairs, batch, steps)| point(part, pairs, batch, steps)).collect::<Vec<_>>()
    };
    let rates = |point: Point| RATES.iter().map(move |rate| Point { rate: Some(*rate), ..point });
    let strengths = |point: Point| STRENGTHS.iter().map(move |beta| Point { beta: Some(*beta), ..point });
    let mut points = grid(Part::Steps, STEPS);
    points.extend(grid(Part::Batch, BATCHES));
    for steps in STEPS_AT_EACH {
        points.extend([300, 3000].into_iter().flat_map(|pairs| rates(point(Part::Rate, pairs, 16, *steps))));
        for (pairs, batch) in [(80, 8), (300, 16), (3000, 16), (30_000, 16)] {
            points.extend(strengths(point(Part::Strength, pairs, batch, *steps)));
        }
        let long = Point { at_once: 4, ..point(Part::Long, 3000, 16, *steps) };
        points.extend(rates(long).chain(strengths(long)));
    }
    for method in ["dpo", "ipo"] {
        for (pairs, steps) in [(300, &[60, 120, 300][..]), (3000, &[60, 120]), (30_000, &[60, 120, 300, 1200])] {
            points.extend(steps.iter().map(|steps| Point { method, ..point(Part::Methods, pairs, 16, *steps) }));
        }
    }
    points
}

/// What a run came to.
#[derive(Clone, Serialize, Deserialize)]
struct Line {
    parameters: u64,
    pairs: usize,
    at_once: usize,
    seed: u64,
    /// The whole settings: a line of other settings says nothing of these.
    config: String,
    before: Values,
    after: Values,
    /// Step and held-out accuracy, after each evaluation.
    curve: Vec<(u64, f64)>,
}

/// Title, metric and decimals.
const COLUMNS: &[(&str, &str, usize)] = &[
    ("accuracy", ACCURACY, 3),
    ("margin", "eval_rewards/margins", 3),
    ("held-out loss", "eval_loss/preference", 4),
    ("manner", "judged/manner", 2),
    ("spill", "judged/spill", 2),
    ("facts", "judged/facts", 2),
    ("facts elsewhere", "judged/facts elsewhere", 2),
    ("kl/ref per answer", "kl/ref_per_answer", 2),
    ("core-seconds", CORE_SECONDS, 0),
];

/// Trains what has no line yet and prints all as one Markdown table.
#[expect(clippy::print_stdout, reason = "this is what the command is for")]
pub fn sizes(world: &World, seed: u64, assets: &Path, what: &Sizes) -> Result<()> {
    let began = Instant::now();
    let patience = what.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let mut lines: Vec<Line> = measure::read(&what.results)?;
    let spec = Spec::read(&assets.join("model")).context("the model cannot be read")?;
    let parameters = spec.parameters() as u64;
    let engine = Engine::start(no_waker(), EngineOptions::with_threads(what.threads))?;
    let is_asked = |point: &Point| {
        what.part.is_none_or(|part| part == point.part)
            && (what.pairs.is_empty() || what.pairs.contains(&point.pairs))
            && (what.steps.is_empty() || what.steps.contains(&point.steps))
            && (what.rates.is_empty() || what.rates.iter().any(|rate| rate == point.rate.unwrap_or(RULE)))
            && (what.methods.is_empty() || what.methods.iter().any(|method| method == point.method))
    };
    let points: Vec<Point> = points().into_iter().filter(is_asked).collect();
    let data: BTreeSet<(usize, usize)> = points.iter().map(|point| (point.at_once, point.pairs)).collect();
    let titles: Vec<&str> = COLUMNS.iter().map(|(title, ..)| *title).collect();
    println!("{parameters} parameters\n");
    println!(
        "| method | pairs | questions in each | pairs a step | steps | passes | rate | β | {} | runs | accuracy on the way |",
        titles.join(" | ")
    );
    println!("|{}", "---|".repeat(10 + COLUMNS.len()));
    for (at_once, pairs) in data {
        let place = tempfile::tempdir().context("no room for a temporary project")?;
        let mut of_pairs = stream(seed, Stream::Sizes);
        let drawn = project::drawn(world, at_once, [HELD_OUT, pairs], &mut of_pairs);
        let trained_on = drawn.pairs.iter().filter(|pair| pair.split == Split::Train);
        let prompts: BTreeSet<PromptKey> = trained_on.map(|pair| PromptKey::of(&pair.prompt)).collect();
        eprintln!(
            "{pairs} pairs on {} prompts; {:.3} of the held-out labels are the likelier ones",
            prompts.len(),
            drawn.foretold
        );
        let dir = measure::with_pairs(assets, &drawn.pairs, place.path())?;
        if what.bare {
            fs::remove_file(dir.join(nudge::judge::FILE)).context("the rule set cannot be put aside")?;
        }
        let mut project = Project::open(&dir)?;
        let all = drawn.pairs.len();
        let bytes = drawn.pairs.iter().map(Pair::len_bytes).sum::<usize>() / all;
        let basis = Basis { held_out: HELD_OUT, trained_on: pairs, bytes, ..Basis::of(all, Some(parameters)) };
        for point in points.iter().filter(|point| (point.at_once, point.pairs) == (at_once, pairs)) {
            let mut of_point = Vec::new();
            for seed in 0..what.seeds {
                let config = configure(point, &basis, seed, what)?;
                let text = config.to_toml()?;
                let is_it = |line: &&Line| {
                    (line.parameters, line.pairs, line.at_once, line.seed) == (parameters, pairs, at_once, seed)
                        && line.config == text
                };
                let line = match lines.iter().find(is_it).cloned() {
                    Some(line) => line,
                    None if patience.is_some_and(|patience| began.elapsed() > patience) => continue,
                    None => {
                        let (run, [before, after]) = measure::came_to(&engine, &mut project, point.method, &config)?;
                        // At step 0 nothing is right or wrong.
                        let curve = project.series(run, ACCURACY, Some(0))?;
                        let line = Line { parameters, pairs, at_once, seed, config: text, before, after, curve };
                        measure::write(&what.results, &line)?;
                        lines.push(line.clone());
                        line
                    }
                };
                of_point.push((config, line));
            }
            if let Some(row) = row(point, &of_point) {
                println!("{row}");
            }
        }
    }
    Ok(())
}

/// The defaults, what the rule makes of the data, and what the point says. Where answers are judged, at the start and
/// at the end alone.
fn configure(point: &Point, basis: &Basis, seed: u64, what: &Sizes) -> Result<RunConfig> {
    let every = if what.bare { point.steps.div_ceil(10) } else { 0 };
    let mut changes = vec![
        ("objective.kind", point.method.to_owned()),
        ("train.pairs_per_step", point.batch.to_string()),
        ("train.steps", point.steps.to_string()),
        ("train.eval_every", every.to_string()),
        ("train.sample_every", "0".to_owned()),
        ("train.checkpoint_every", "0".to_owned()),
        ("train.shuffle_seed", seed.to_string()),
    ];
    changes.extend(point.rate.map(|rate| ("optimizer.learning_rate", rate.to_owned())));
    changes.extend(point.beta.map(|beta| ("objective.beta", beta.to_owned())));
    let changes = changes.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(what.set.iter().cloned());
    let changes: Vec<(String, String)> = changes.collect();
    let mut config = RunConfig::default().with_overrides(&changes)?;
    config.follow(basis, |setting| changes.iter().any(|(key, _)| key == setting.key));
    Ok(config)
}

/// The mean of a point's runs, ± half of what lies between the lowest and the highest; nothing where there is no run.
fn row(point: &Point, runs: &[(RunConfig, Line)]) -> Option<String> {
    let (config, first) = runs.first()?;
    let (rate, beta) = (config.optimizer.learning_rate, config.objective.beta);
    let passes = point.steps as f64 * point.batch.min(point.pairs) as f64 / point.pairs as f64;
    let Point { method, pairs, at_once, batch, steps, .. } = point;
    let cells = COLUMNS.iter().map(|(_, metric, decimals)| {
        let values = runs.iter().filter_map(|(_, line)| line.after.get(*metric).copied());
        measure::mean_and_spread(&values.collect::<Vec<_>>(), *decimals)
    });
    let cells: Vec<String> = cells.collect();
    let (cells, curve) = (cells.join(" | "), first.curve.iter().map(|(step, value)| format!("{step}: {value:.3}")));
    let (curve, count) = (curve.collect::<Vec<_>>().join(", "), runs.len());
    Some(format!(
        "| {method} | {pairs} | {at_once} | {batch} | {steps} | {passes:.2} | {rate:e} | {beta} | {cells} | {count} | {curve} |"
    ))
}
