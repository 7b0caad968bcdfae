//! `nudge runs`: lists the runs of a project.

use std::collections::HashMap;

use anyhow::Result;
use data::{
    config::{RunConfig, Setting},
    fixed,
    metrics::{Better, Metric, StoredMetric, Told},
};
use serde_json::{Map, Value as Json, json};
use store::{LeftOut, Pick, Project, RunColumn, RunFilter, RunRecord, RunStatus, RunValue, family};

use super::{args::Runs, checkpoints, ending::Ending, output};

pub fn run(args: &Runs) -> Result<Ending> {
    let project = args.place.open()?;
    let all = project.runs()?;
    let runs = listed(&project, &all, args)?;
    if args.json {
        let mut known = checkpoints::Known::default();
        for run in &runs {
            let columns = args.column.iter().map(|column| {
                let value = cell(&project, run, column)?;
                Ok((
                    column.to_string(),
                    value.map_or(Json::Null, |value| match value {
                        RunValue::Number(number) => output::number(number),
                        RunValue::Text(text) => text.into(),
                    }),
                ))
            });
            let columns = columns.collect::<Result<Map<String, Json>>>()?;
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
                "checkpoints": checkpoints::as_json(&project, run, &mut known)?,
                "parent": run.parent,
                "parent_step": run.parent_step,
                "left_out": run.left_out.as_ref().map(LeftOut::pairs),
                "message": run.message,
                "away": run.away.as_ref().filter(|_| run.status == RunStatus::Away),
                "marks": run.marks,
                "columns": columns,
                "arithmetic": run.arithmetic,
                "dir": run.dir,
            }))?;
        }
        return Ok(Ending::Done);
    }
    if all.is_empty() {
        output::line(format!("No runs in {} yet. Start one with nudge train.", project.dir().display()))?;
        return Ok(Ending::Done);
    }
    if args.checkpoints {
        checkpoints::list(&project, &runs)?;
        return Ok(Ending::Done);
    }
    if runs.is_empty() {
        output::note(if args.filter.is_empty() {
            "All runs were put away; --archived lists them."
        } else {
            "No run fits the filter."
        });
        return Ok(Ending::Done);
    }
    // In the order that was asked for forks stand by themselves.
    let flat = args.sort.is_some();
    let tree = if flat { runs.iter().map(|run| (0, run)).collect() } else { family(&runs, runs.iter()) };
    let compared = compared(&project, &runs)?;
    let rows = tree.into_iter().map(|(depth, run)| row(&project, depth, run, (&compared, &args.column)));
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let compared: Vec<&str> = compared.iter().map(|stored| stored.metric.short).collect();
    let own: Vec<String> = args.column.iter().map(ToString::to_string).collect();
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let headings = [&["run", "name", "method", "status", "step"][..], &compared, &own, &["made", "tags"]].concat();
    let right =
        [&[true, false, false, false, true][..], &vec![true; compared.len() + own.len()], &[false, false]].concat();
    output::table(&headings, &right, &rows)?;
    for run in runs.iter().filter(|run| run.status == RunStatus::Failed) {
        if let Some(message) = &run.message {
            output::line(format!("Run {} failed {}: {message}", run.id.0, where_it_failed(run)))?;
        }
    }
    for run in runs.iter().filter(|run| run.status == RunStatus::Away) {
        if let Some(away) = &run.away {
            let heard =
                away.heard_ms.map_or_else(|| "nothing heard yet".to_owned(), |ms| format!("last heard {}", when(ms)));
            output::line(format!("Run {} is away since {}, {heard}", run.id.0, when(away.since_ms)))?;
        }
    }
    Ok(Ending::Done)
}

/// Those that fit, pinned ones first; where a column is named the best in it first, and those without it last.
fn listed(project: &Project, all: &[RunRecord], args: &Runs) -> Result<Vec<RunRecord>> {
    let filter = RunFilter::of(&args.filter);
    let mut runs = Vec::new();
    for run in all.iter().filter(|run| args.archived || !run.marks.archived) {
        let mut values = HashMap::new();
        for name in filter.names() {
            let column = if Setting::of(name).is_some() {
                RunColumn::Setting(name.to_owned())
            } else {
                RunColumn::Metric(Pick::Last, name.to_owned())
            };
            values.insert(name, cell(project, run, &column)?);
        }
        if filter.holds(run, |name| values.get(name).cloned().flatten()) {
            let key = args.sort.as_ref().map(|column| cell(project, run, column)).transpose()?.flatten();
            runs.push((key, run.clone()));
        }
    }
    if let Some(column) = &args.sort {
        runs.sort_by(|(one, _), (other, _)| match (one, other) {
            (Some(one), Some(other)) => RunColumn::order(column.better(), one, other),
            _ => other.is_some().cmp(&one.is_some()),
        });
    }
    runs.sort_by_key(|(_, run)| !run.marks.pinned);
    Ok(runs.into_iter().map(|(_, run)| run).collect())
}

/// What a run has in a column.
fn cell(project: &Project, run: &RunRecord, column: &RunColumn) -> Result<Option<RunValue>> {
    Ok(match column {
        RunColumn::Metric(pick, name) => project.picked(run.id, name, *pick)?.map(RunValue::Number),
        RunColumn::Setting(key) => {
            // Settings of a later version that cannot be read are none.
            let settings = run.config().as_ref().map(RunConfig::texts_in_full).unwrap_or_default();
            settings.get(key).map(|text| RunValue::of_setting(text))
        }
    })
}

/// A fork stands under its run, with the step that it goes on from.
fn row(
    project: &Project,
    depth: usize,
    run: &RunRecord,
    (compared, columns): (&[StoredMetric], &[RunColumn]),
) -> Result<Vec<String>> {
    let mut cells = vec![
        run.id.0.to_string(),
        format!("{}{}", branch(depth, run), output::one_line(&run.name, 32)),
        run.method.clone(),
        run.status.to_string(),
        progress(run),
    ];
    for stored in compared {
        let series = project.series(run.id, &stored.name(), None)?;
        cells.push(series.last().map_or(String::new(), |(_, value)| fixed(*value, 3)));
    }
    for column in columns {
        cells.push(match cell(project, run, column)? {
            None => String::new(),
            Some(RunValue::Number(number)) => data::digits(number),
            Some(RunValue::Text(text)) => text,
        });
    }
    cells.push(when(run.created_ms));
    cells.push(run.marks.tags.join(", "));
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

/// By what these runs may be told apart, as far as one of them has measured it: a reward model and a policy are not by
/// the same.
fn compared(project: &Project, runs: &[RunRecord]) -> Result<Vec<StoredMetric>> {
    let measured = runs.iter().map(|run| project.metrics(run.id)).collect::<Result<Vec<_>, _>>()?.concat();
    let told = Metric::headlines(Told::AcrossRuns, |_| true).filter(|(_, name)| measured.contains(name));
    Ok(told.map(|(stored, _)| stored).filter(|stored| stored.metric.better != Better::Neither).collect())
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
