//! `nudge compare`: one run of each method, and what they reached side by side.

use std::path::Path;

use anyhow::Result;
use data::metrics::{Metric, Told, judged};
use export::{Comparison, ExportError};
use serde_json::{Map, Value as Json, json};
use store::{Project, RunId, RunRecord};

use super::{
    args::Compare,
    drive,
    ending::{Ending, usage},
    output,
    place::{find, project_dir},
    train,
};

pub fn run(args: &Compare, threads: Option<u16>) -> Result<Ending> {
    let dir = project_dir(args.project.as_ref(), args.demo)?;
    let project = Project::open(&dir)?;
    if let Some(file) = &args.report {
        // Before any run: what comes of them takes minutes.
        project.refuse_own(file)?;
        if file.exists() && !args.overwrite {
            return Err(ExportError::Exists { path: file.clone() }.into());
        }
    }
    let mut ending = Ending::Done;
    let mut runs = Vec::new();
    if args.runs.is_empty() {
        for method in &args.methods {
            let mut settings = args.settings.clone();
            // First, so that what was typed may say more of the method.
            settings.set.insert(0, format!("objective.kind={}", method.name()));
            output::note(format!("\n{}", method.name().to_uppercase()));
            let (run, ended) =
                train::record_and_drive(&project, None, &settings, threads, drive::Words::of(args.json))?;
            runs.push(run);
            if ended == Ending::Interrupted {
                ending = ended;
                break;
            }
        }
    } else {
        for word in &args.runs {
            let run = find(&project, word)?.id;
            if runs.contains(&run) {
                return Err(usage(format!("Run {} is named twice.", run.0)));
            }
            runs.push(run);
        }
    }
    tell(&project, &runs, args.json)?;
    if let Some(file) = &args.report {
        report(&project, &runs, file, args)?;
    }
    Ok(ending)
}

fn report(project: &Project, runs: &[RunId], file: &Path, args: &Compare) -> Result<()> {
    let records = runs.iter().map(|run| project.run(*run)).collect::<Result<Vec<_>, _>>()?;
    Comparison::of(project, &records)?.write(file, args.overwrite)?;
    if !args.json {
        output::line(format!("\nThe report is {}.", file.display()))?;
    }
    Ok(())
}

/// A run with the last value of everything that it measured, and the first of what was judged.
struct Column {
    record: RunRecord,
    metrics: Vec<String>,
    after: Vec<Option<f64>>,
    before: Vec<Option<f64>>,
}

impl Column {
    fn of(project: &Project, run: RunId) -> Result<Self> {
        let metrics = project.metrics(run)?;
        let series = metrics.iter().map(|name| project.series(run, name, None)).collect::<Result<Vec<_>, _>>()?;
        let value = |point: Option<&(u64, f64)>| point.map(|(_, value)| *value);
        Ok(Self {
            record: project.run(run)?,
            after: series.iter().map(|series| value(series.last())).collect(),
            before: series.iter().map(|series| value(series.first().filter(|(step, _)| *step == 0))).collect(),
            metrics,
        })
    }

    fn find(&self, values: &[Option<f64>], metric: &str) -> Option<f64> {
        let place = self.metrics.iter().position(|name| name == metric)?;
        values.get(place).copied().flatten()
    }

    fn after(&self, metric: &str) -> Option<f64> {
        self.find(&self.after, metric)
    }

    /// "0.94 (0.88 to 0.97)" where there is an interval.
    fn cell(&self, values: &[Option<f64>], metric: &str) -> String {
        let value = |metric: &str| self.find(values, metric);
        let [low, high] = judged::interval(metric);
        match (value(metric), value(&low), value(&high)) {
            (Some(share), Some(low), Some(high)) => format!("{share:.2} ({low:.2} to {high:.2})"),
            (Some(value), ..) => format!("{value:.3}"),
            (None, ..) => "–".to_owned(),
        }
    }
}

/// The runs side by side.
pub fn tell(project: &Project, runs: &[RunId], is_json: bool) -> Result<()> {
    let columns = runs.iter().map(|run| Column::of(project, *run)).collect::<Result<Vec<_>>>()?;
    if is_json {
        let runs: Vec<Json> = columns.iter().map(as_json).collect();
        return output::json(&json!({ "compared": runs }));
    }
    let Some(first) = columns.first() else {
        return Ok(());
    };
    let judged = rules(&columns);
    let mut headings = vec!["", "before"];
    headings.extend(columns.iter().map(|column| column.record.name.as_str()));
    let mut rows = Vec::new();
    let is_there = |metric: &str| columns.iter().any(|column| column.after(metric).is_some());
    for (stored, metric) in Metric::headlines(Told::AcrossRuns, is_there) {
        // What is measured against step 0 says nothing there.
        let mut row = vec![stored.in_words(), String::new()];
        row.extend(columns.iter().map(|column| column.cell(&column.after, &metric)));
        rows.push(row);
    }
    for metric in &judged {
        let mut row = vec![metric.clone(), first.cell(&first.before, metric)];
        row.extend(columns.iter().map(|column| column.cell(&column.after, metric)));
        rows.push(row);
    }
    let mut right = vec![true; headings.len()];
    right[0] = false;
    output::line("")?;
    for line in output::table(&headings, &right, &rows) {
        output::line(line)?;
    }
    if judged.is_empty() {
        output::line("\nNothing was judged: a judge.toml in the project's folder says what counts as what.")?;
    }
    Ok(())
}

/// The shares that any of the runs has, in the order of its rules.
fn rules(columns: &[Column]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in columns.iter().flat_map(|column| &column.metrics) {
        if judged::rule(name).is_some() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn as_json(column: &Column) -> Json {
    let values = |values: &[Option<f64>]| -> Map<String, Json> {
        let named = column.metrics.iter().zip(values);
        named.filter_map(|(name, value)| Some((name.clone(), output::number((*value)?)))).collect()
    };
    json!({
        "run": column.record.id,
        "name": column.record.name,
        "method": column.record.method,
        "status": column.record.status,
        "step": column.record.step,
        "before": values(&column.before),
        "after": values(&column.after),
    })
}
