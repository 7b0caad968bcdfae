//! `nudge bench`: how fast and how lean training is on this machine, part by part; or how fast answers are.

use anyhow::{Context as _, Result};
use data::{
    config::{Margin, Method, ObjectiveConfig, Recompute, Targets, TokenBudget},
    counted,
};
use engine::{
    bench::{self, BenchModel, BenchOptions, BenchReport, GenerationReport, Shape},
    compute_pool,
};
use indicatif::ProgressBar;
use model::{AdapterShape, LoadOptions};
use serde::Serialize;

use super::{
    args::{Bench, ShapeName},
    drive,
    ending::Ending,
    output,
};

pub fn run(args: &Bench, threads: Option<u16>) -> Result<Ending> {
    let options = options(args);
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let bar = ProgressBar::new_spinner();
    let mut on_phase = |phase: &str| {
        bar.set_message(phase.to_owned());
        bar.tick();
    };
    if args.generate {
        let load = LoadOptions { adapter: None, ..options.load };
        let report = pool.install(|| bench::generation(&options.model, &load, &mut on_phase));
        bar.finish_and_clear();
        show(args, &report?, print_generation)?;
    } else {
        let report = pool.install(|| bench::run(&options, &mut on_phase));
        bar.finish_and_clear();
        show(args, &report?, print)?;
    }
    Ok(Ending::Done)
}

/// As JSON or for people.
fn show<R: Serialize>(args: &Bench, report: &R, print: fn(&R) -> Result<()>) -> Result<()> {
    if args.json { output::json(report) } else { print(report) }
}

fn print_generation(report: &GenerationReport) -> Result<()> {
    output::line(format!("{:<13}{}, kept as {}", "model", report.model, report.dtype))?;
    output::line(format!("{:<13}{}", "device", report.device.in_words()))?;
    output::line(format!("{:<13}{}", "threads", report.threads))?;
    output::line(format!("{:<13}{:.0} MB", "peak memory", report.peak_memory_mb))?;
    output::line("")?;
    let rows: Vec<Vec<String>> = report
        .cases
        .iter()
        .map(|case| {
            vec![
                case.prompt_tokens.to_string(),
                case.at_once.to_string(),
                format!("{:.0}", case.prefill_tokens_per_s),
                format!("{:.1}", case.decode_tokens_per_s),
            ]
        })
        .collect();
    output::table(&["prompt", "at once", "prefill tokens/s", "decode tokens/s"], &[true; 4], &rows)
}

fn options(args: &Bench) -> BenchOptions {
    let model = match &args.model {
        Some(folder) => BenchModel::Folder(folder.clone()),
        None => BenchModel::Shape(match args.shape {
            ShapeName::Tiny => Shape::Tiny,
            ShapeName::Smol135 => Shape::Smol135,
            ShapeName::Qwen05b => Shape::Qwen05b,
        }),
    };
    let (margin, beta) = match args.objective {
        // On sums, random answers of unlike length would put every pair to sleep.
        Method::Mpo => (Margin::Mean, 2.0),
        kind => (ObjectiveConfig { kind, ..ObjectiveConfig::default() }.margin(), 0.1),
    };
    let recompute = match args.recompute.as_str() {
        "never" => Recompute::Never,
        "always" => Recompute::Always,
        _ => Recompute::Auto,
    };
    BenchOptions {
        model,
        batch_file: args.batch_file.clone(),
        pairs_per_step: args.pairs_per_step,
        micro_batch_tokens: args.micro_batch_tokens.map_or(TokenBudget::Auto, TokenBudget::Tokens),
        objective: ObjectiveConfig {
            kind: args.objective,
            margin: Some(margin),
            beta,
            reference_weight: Some(args.reference_weight),
            ..ObjectiveConfig::default()
        },
        load: LoadOptions {
            precision: args.dtype,
            recompute,
            device: args.device,
            full: args.full,
            adapter: (!args.full).then_some(AdapterShape {
                rank: args.lora_rank,
                alpha: 2.0 * args.lora_rank as f64,
                rslora: false,
                dropout: 0.0,
                targets: Targets::AllLinear,
                seed: 0,
            }),
            ..LoadOptions::default()
        },
        warmup: args.warmup,
        steps: args.steps,
    }
}

fn print(report: &BenchReport) -> Result<()> {
    let model = &report.model;
    let mb = |mb: f64| format!("{mb:.0} MB");
    let rows = [
        (
            "model",
            format!(
                "{}: {} parameters, {} trained, kept as {}, multiplied in {}",
                model.name, model.parameters, model.trained_parameters, report.dtype, report.products
            ),
        ),
        ("device", report.device.in_words()),
        (
            "step",
            format!(
                "{:.3} s ({:.3} s of processor time on {}), {}, rows of {} tokens",
                report.step_s,
                report.cpu_s_per_step,
                counted(report.threads, "thread", "threads"),
                counted(report.pairs_per_step, "pair", "pairs"),
                report.row_tokens
            ),
        ),
        (
            "speed",
            format!(
                "{:.2} pairs/s, {:.0} tokens/s ({:.0} computed)",
                report.pairs_per_s, report.tokens_per_s, report.computed_tokens_per_s
            ),
        ),
        (
            "peak memory",
            format!(
                "{}; {} before the steps, {} on top in a step (foretold {} in all), {}{}",
                mb(report.peak_memory_mb),
                mb(report.memory_before_steps_mb),
                mb(report.memory_above_mb),
                mb(report.estimated_memory_mb),
                match report.recomputed_blocks {
                    0 => "nothing recomputed".to_owned(),
                    blocks => format!("{blocks} of {} blocks recomputed", model.layers),
                },
                report.host_peak_memory_mb.map_or(String::new(), |host| format!("; {} of the machine's", mb(host)))
            ),
        ),
        (
            "matmul",
            format!(
                "{} of {:.0} GFLOP/s; the model's own shapes alone reach {:.0}",
                percent(report.matmul_share),
                report.matmul.square_gflops,
                report.matmul.own_shapes_gflops
            ),
        ),
        (
            "loss",
            format!(
                "{:.6} at first, {:.6} at last; {}",
                report.losses.first().copied().unwrap_or(f64::NAN),
                report.losses.last().copied().unwrap_or(f64::NAN),
                report.objective
            ),
        ),
    ];
    for (name, value) in rows {
        output::line(format!("{name:<13}{value}"))?;
    }
    if let Some(secs) = report.reference_s_per_pair {
        output::line(format!("{:<13}{secs:.3} s a pair, once", "step-0"))?;
    }
    let rows: Vec<Vec<String>> = report
        .parts
        .iter()
        .map(|part| {
            vec![
                part.name.to_owned(),
                format!("{:.1}", 1e3 * part.s),
                percent(part.share),
                part.gflops.map_or(String::new(), |g| format!("{g:.0}")),
                part.matmul_share.map_or(String::new(), percent),
            ]
        })
        .collect();
    output::line("")?;
    output::table(
        &["part", "ms a step", "of the step", "GFLOP/s", "of the peak"],
        &[false, true, true, true, true],
        &rows,
    )?;
    print_kernels(report)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// What a graphics card says of its own time.
fn print_kernels(report: &BenchReport) -> Result<()> {
    if let Some(why) = &report.no_kernels {
        output::line("")?;
        output::line(format!("What each shader takes is not told: {why}"))?;
    }
    if report.kernels.is_empty() {
        return Ok(());
    }
    let rows: Vec<Vec<String>> = report
        .kernels
        .iter()
        .map(|kernel| {
            vec![
                kernel.name.to_owned(),
                kernel.runs.to_string(),
                format!("{:.2}", 1e3 * kernel.s),
                percent(kernel.share),
                kernel.gflops.map_or(String::new(), |g| format!("{g:.0}")),
                kernel.matmul_share.map_or(String::new(), percent),
            ]
        })
        .collect();
    output::line("")?;
    output::table(
        &["shader", "runs", "ms a step", "of all", "GFLOP/s", "of the peak"],
        &[false, true, true, true, true, true],
        &rows,
    )
}
