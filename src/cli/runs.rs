//! `nudge runs`: lists the runs of a project.

use anyhow::Result;
use data::{
    fixed,
    metrics::{Better, Metric, Stored, Told},
};
use serde_json::json;
use store::{LeftOut, Project, RunRecord, RunStatus, family};

use super::{args::Runs, ending::Ending, output};

pub fn run(args: &Runs) -> Result<Ending> {
    let project = args.place.open()?;
    let runs = project.runs()?;
    if args.json {
        for run in &runs {
            output::json(&json!({
                "run": run.id,
                "name": run.name,
                "method": run.method,
                "status": run.status,
                "step": run.step,
                "total_steps": run.total_steps,
                "created_ms": run.created_ms,
                "revision": run.revision,
                "take_ins": project.take_ins(run.id)?,
                "parent": run.parent,
                "parent_step": run.parent_step,
                "left_out": run.left_out.as_ref().map(LeftOut::pairs),
                "message": run.message,
                "arithmetic": run.arithmetic,
                "dir": run.dir,
            }))?;
        }
        return Ok(Ending::Done);
    }
    if runs.is_empty() {
        output::line(format!("No runs in {} yet. Start one with nudge train.", project.dir().display()))?;
        return Ok(Ending::Done);
    }
    let tree = family(&runs, runs.iter());
    let rows = tree.into_iter().map(|(depth, run)| row(&project, depth, run)).collect::<Result<Vec<_>>>()?;
    let compared: Vec<&str> = compared().map(|stored| stored.metric.short).collect();
    let headings = [&["run", "name", "method", "status", "step"][..], &compared, &["made"]].concat();
    let right = [&[true, false, false, false, true][..], &vec![true; compared.len()], &[false]].concat();
    for line in output::table(&headings, &right, &rows) {
        output::line(line)?;
    }
    for run in runs.iter().filter(|run| run.status == RunStatus::Failed) {
        if let Some(message) = &run.message {
            output::line(format!("Run {} failed {}: {message}", run.id.0, where_it_failed(run)))?;
        }
    }
    Ok(Ending::Done)
}

/// A fork stands under its run, with the step that it goes on from.
fn row(project: &Project, depth: usize, run: &RunRecord) -> Result<Vec<String>> {
    let mut cells = vec![
        run.id.0.to_string(),
        format!("{}{}", branch(depth, run), output::one_line(&run.name, 32)),
        run.method.clone(),
        run.status.to_string(),
        progress(run),
    ];
    for stored in compared() {
        let series = project.series(run.id, &stored.name(), None)?;
        cells.push(series.last().map_or(String::new(), |(_, value)| fixed(*value, 3)));
    }
    cells.push(when(run.created_ms));
    Ok(cells)
}

fn where_it_failed(run: &RunRecord) -> String {
    if run.step == 0 { "before its first step".to_owned() } else { format!("after step {}", run.step) }
}

/// How far it is; of a run that never counted its steps there is nothing to say.
fn progress(run: &RunRecord) -> String {
    if run.total_steps == 0 { "–".to_owned() } else { format!("{}/{}", run.step, run.total_steps) }
}

/// "└ 40 ": where a fork leaves the run above it.
fn branch(depth: usize, run: &RunRecord) -> String {
    let step = run.parent_step.map_or_else(String::new, |step| format!("{step} "));
    if depth == 0 { String::new() } else { format!("{}└ {step}", "  ".repeat(depth - 1)) }
}

/// By what runs of any method may be told apart.
fn compared() -> impl Iterator<Item = Stored> {
    let told = Metric::headlines(Told::AcrossRuns, |_| true).map(|(stored, _)| stored);
    told.filter(|stored| stored.metric.better != Better::Neither)
}

/// Local time, to the minute.
fn when(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).map_or_else(
        |_| String::new(),
        |time| {
            let local = time.to_zoned_datetime(jiff::tz::TimeZone::system());
            local.strftime("%Y-%m-%d %H:%M").to_string()
        },
    )
}
