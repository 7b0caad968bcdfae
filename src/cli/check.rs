//! `nudge check`: everything that can be known before a start.

use anyhow::{Context as _, Result};
use data::counted;
use engine::protocol::{Event, Lengths, PreflightReport, Request, RequestId};

use super::{args::Check, drive, ending::Ending, output};

/// More pairs than this are counted, not listed; `--json` lists all.
const LISTED: usize = 10;

pub fn run(args: &Check, threads: Option<u16>) -> Result<Ending> {
    let project = args.place.open()?;
    if let Some(mended) = project.mend_search()? {
        output::note(format!("{mended}."));
    }
    let settings = args.method.on(&args.settings).with_threads(threads);
    let config = settings.resolve(Some(&project))?.config;
    let engine = drive::engine(threads)?;
    engine
        .requests
        .send(Request::Preflight {
            request: RequestId(1),
            project: project.dir().to_owned(),
            config: Box::new(config.clone()),
            yields: false,
        })
        .ok()
        .context("The engine ended before the check began")?;
    let report = loop {
        match engine.events.recv().context("The engine ended without a word")? {
            Event::Preflight { report, .. } => break report,
            Event::Failed { error, .. } => anyhow::bail!(error),
            _ => {}
        }
    };
    engine.shut_down();
    if args.json {
        output::json(&report)?;
    } else {
        output::line(train::objective::formula(&config.objective))?;
        print(&report)?;
    }
    Ok(Ending::Done)
}

fn print(report: &PreflightReport) -> Result<()> {
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let rows = [
        ("model", report.model.clone()),
        ("reference", report.reference.clone()),
        ("trained", format!("{} of {} parameters", report.trainable_parameters, report.total_parameters)),
        (
            "pairs",
            format!(
                "{} to train on, {} held out, {} set aside",
                report.train_pairs,
                report.eval_pairs,
                report.set_aside.len()
            ),
        ),
        ("rejected answers", report.rejected_answers.clone().unwrap_or_default()),
        ("reference answers", report.reference_answers.to_string()),
        (
            "tokens",
            format!(
                "{}; longest pair {}, {} cut",
                report.tokens,
                report.longest_pair_tokens,
                counted(report.cut_answers, "answer", "answers")
            ),
        ),
        ("precision", report.arithmetic.to_string()),
        ("device", report.device.clone()),
        ("devices", report.devices.join(", ")),
        (
            "lengths",
            format!(
                "{}, {} with a cut answer, {} with too long a prompt, {} unusable",
                counted(report.fates.fit, "pair fits", "pairs fit"),
                report.fates.answer_cut,
                report.fates.prompt_too_long,
                report.fates.unusable
            ),
        ),
        ("answers", histogram(&report.lengths)),
        ("asleep at step 0", percent(report.asleep)),
        ("steps", report.total_steps.to_string()),
        ("memory", format!("{}; {} were free", report.memory, data::size(report.free_memory_bytes))),
        ("time", format!("{}{}", report.time(), report.parts())),
    ];
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        output::line(format!("{name:<18}{value}"))?;
    }
    for (name, measured, expected) in &report.golden {
        output::line(format!("{name:<18}{measured:.6}, expected {expected:.6}"))?;
    }
    for finding in &report.findings {
        let mark = if finding.flaw.is_grave() { "WRONG" } else { "note" };
        let examples: Vec<String> = finding.pairs.iter().take(LISTED).map(|pair| pair.0.to_string()).collect();
        let more = if finding.pairs.len() > LISTED { ", …" } else { "" };
        output::line(format!(
            "{mark}: {} of the pairs ({}{more}): {}",
            finding.pairs.len(),
            examples.join(", "),
            finding.text
        ))?;
    }
    for (pair, reason) in report.set_aside.iter().take(LISTED) {
        output::line(format!("pair {} is set aside: {reason}", pair.0))?;
    }
    if report.set_aside.len() > LISTED {
        output::line(format!("{} more are set aside; --json lists them all", report.set_aside.len() - LISTED))?;
    }
    for warning in &report.warnings {
        output::line(format!("Look at this: {warning}"))?;
    }
    Ok(())
}

/// Answers by length in one line of bars, a stroke where they are cut.
fn histogram(lengths: &Lengths) -> String {
    const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = lengths.answers.iter().copied().max().unwrap_or(0).max(1);
    let mut line = String::from("0 ");
    for (index, count) in lengths.answers.iter().enumerate() {
        let (start, end) = (index * lengths.bin, (index + 1) * lengths.bin);
        if (start..end).contains(&lengths.cut_at) && lengths.cut_at <= lengths.longest {
            line.push('│');
        }
        line.push(BARS[(count * (BARS.len() - 1)).div_ceil(most)]);
    }
    let cut = if lengths.cut_at <= lengths.longest { format!(", cut at {}", lengths.cut_at) } else { String::new() };
    format!("{line} {} tokens{cut}", lengths.longest)
}
