//! `nudge compare`: one run of each method, and what they reached side by side.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ::train::measure::judging;
use anyhow::Result;
use data::{
    across::Point,
    config::typed::likeliest,
    frontier,
    metrics::{self, HELD_OUT_ACCURACY, KL_REF, Metric, ShareOfRuns, Told, judged, told_apart},
};
use export::{Comparison, CurveFile, CurveOrder, Curves, ExportError};
use judge::RuleHead;
use serde_json::{Map, Value as Json, json};
use store::{Project, RunId, RunRecord, Seeded, groups};

use super::{
    args::Compare,
    contenders::train_all,
    ending::{Ending, usage},
    output,
    place::find,
};

pub fn run(args: &Compare, threads: Option<u16>) -> Result<Ending> {
    let dir = args.place.dir()?;
    let project = Project::open(&dir)?;
    let is_of_no_kind = |file: &&PathBuf| CurveFile::of(file).is_none();
    if let Some(file) = args.export.iter().find(is_of_no_kind) {
        return Err(usage(format!("{} ends in none of .png, .svg, .csv, .json.", file.display())));
    }
    for file in args.report.iter().chain(&args.export) {
        can_be_written(&project, file, args.overwrite)?;
    }
    if let Some(folder) = &args.tensorboard {
        fs::create_dir_all(folder).map_err(|source| ExportError::Write { path: folder.clone(), source })?;
    }
    let (runs, ended) = if args.runs.is_empty() {
        train_all(args, &project, threads)?
    } else {
        (named(&project, &args.runs)?, Ok(Ending::Done))
    };
    if ended.is_err() && runs.is_empty() {
        return ended;
    }
    tell(&project, &runs, args.json)?;
    if let Some(file) = &args.report {
        report(&project, &runs, file, args)?;
    }
    curves(&project, &runs, args)?;
    ended
}

/// Before any run, as what comes of them takes minutes: whether a file may be put there, in a folder that is made for
/// it.
fn can_be_written(project: &Project, file: &Path, overwrite: bool) -> Result<()> {
    project.refuse_own(file)?;
    anyhow::ensure!(!file.is_dir(), usage(format!("{} is a folder; name a file.", file.display())));
    if file.exists() && !overwrite {
        return Err(ExportError::Exists { path: file.to_owned() }.into());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write_error = |source| ExportError::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(write_error)?;
    tempfile::tempfile_in(folder).map(drop).map_err(write_error)?;
    Ok(())
}

fn named(project: &Project, words: &[String]) -> Result<Vec<RunId>> {
    let mut runs = Vec::new();
    for word in words {
        let run = find(project, word)?.id;
        if runs.contains(&run) {
            return Err(usage(format!("Run {} is named twice.", run.0)));
        }
        runs.push(run);
    }
    Ok(runs)
}

fn report(project: &Project, runs: &[RunId], file: &Path, args: &Compare) -> Result<()> {
    let records = runs.iter().map(|run| project.run(*run)).collect::<Result<Vec<_>, _>>()?;
    Comparison::of(project, &records)?.write(file, args.overwrite)?;
    if !args.json {
        output::line(format!("\nThe report is {}.", file.display()))?;
    }
    Ok(())
}

/// The charts as files.
fn curves(project: &Project, runs: &[RunId], args: &Compare) -> Result<()> {
    if args.export.is_empty() && args.tensorboard.is_none() {
        return Ok(());
    }
    let records = runs.iter().map(|run| project.run(*run)).collect::<Result<Vec<_>, _>>()?;
    let mut metrics = args.metrics.clone();
    let there = runs.iter().map(|run| project.metrics(*run)).collect::<Result<Vec<_>, _>>()?.concat();
    if let Some(unknown) = metrics.iter().find(|metric| !there.contains(metric)) {
        let meant = likeliest(unknown, there.iter().map(String::as_str));
        let meant = meant.map_or_else(String::new, |metric| format!(" Did you mean {metric}?"));
        return Err(usage(format!("None of the runs has measured \"{unknown}\".{meant}")));
    }
    if metrics.is_empty() {
        metrics.extend(Metric::headlines(Told::AcrossRuns, |name| there.iter().any(|it| it == name)).map(|(_, it)| it));
    }
    let order = CurveOrder {
        runs: records.iter().map(|record| (record.id, record.look())).collect(),
        metrics,
        across: args.across,
        scale: args.scale,
        clip: args.clip,
        smoothing: args.smoothing,
        columns: 2,
    };
    let curves = Curves::of(project, order)?;
    let files = args.export.iter().filter_map(|file| Some((CurveFile::of(file)?, file)));
    let events = args.tensorboard.iter().map(|folder| (CurveFile::TensorBoard, folder));
    for (kind, place) in files.chain(events) {
        curves.write(kind, project, place, args.overwrite)?;
        if !args.json {
            output::line(format!("\nThe charts are in {}.", place.display()))?;
        }
    }
    Ok(())
}

/// A run with the last value of everything that it measured, and the first of what was judged.
struct Column {
    record: RunRecord,
    metrics: Vec<String>,
    after: Vec<Option<f64>>,
    before: Vec<Option<f64>>,
    /// Up to then: held-out accuracy, and the drift, by step.
    learnt: Vec<Point>,
    drift: Vec<Point>,
}

/// The last step that all of the runs have done, where they have not done as many.
fn common_step(records: &[RunRecord]) -> Option<u64> {
    let steps = || records.iter().map(|record| record.step);
    let (least, most) = (steps().min()?, steps().max()?);
    (least < most).then_some(least)
}

/// What a run measured after its first step, up to this one.
fn upto_step(project: &Project, run: RunId, metric: &str, at: u64) -> Result<Vec<Point>> {
    let series = project.series(run, metric, None)?.into_iter().filter(|(step, _)| *step > 0 && *step <= at);
    Ok(series.map(|(step, value)| [step as f64, value]).collect())
}

/// Runs that differ in their seed only, as one column.
struct Group<'c> {
    name: String,
    columns: Vec<&'c Column>,
}

impl Group<'_> {
    /// Of several their mean and how far they are apart.
    fn cell(&self, metric: &str) -> String {
        let told = if let [only] = self.columns[..] {
            metrics::told(metric, |name| only.after(name))
        } else {
            let values: Vec<f64> = self.columns.iter().filter_map(|column| column.after(metric)).collect();
            metrics::told_together(metric, &values)
        };
        told.unwrap_or_else(|| "–".to_owned())
    }
}

/// Groups in the order of their first runs.
fn grouped(columns: &[Column]) -> Result<Vec<Group<'_>>> {
    let seeded = columns.iter().map(|column| {
        let config = column.record.config()?;
        Ok((column.record.id, Seeded::of(&config)?))
    });
    let seeded = seeded.collect::<Result<BTreeMap<RunId, Seeded>>>()?;
    let records: Vec<&RunRecord> = columns.iter().map(|column| &column.record).collect();
    let named = groups(&records, |record| seeded.get(&record.id)).into_iter().map(|group| Group {
        name: group.name,
        columns: group.members.into_iter().map(|place| &columns[place]).collect(),
    });
    Ok(named.collect())
}

impl Column {
    /// `at`: the step that runs are compared at.
    fn of(project: &Project, run: RunId, at: u64) -> Result<Self> {
        let metrics = project.metrics(run)?;
        let series = metrics.iter().map(|name| project.series(run, name, None)).collect::<Result<Vec<_>, _>>()?;
        let value = |point: Option<&(u64, f64)>| point.map(|(_, value)| *value);
        let upto = |series: &Vec<(u64, f64)>| series.iter().rposition(|(step, _)| *step <= at);
        Ok(Self {
            record: project.run(run)?,
            after: series.iter().map(|series| upto(series).map(|place| series[place].1)).collect(),
            learnt: upto_step(project, run, HELD_OUT_ACCURACY, at)?,
            drift: upto_step(project, run, KL_REF, at)?,
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

    fn before(&self, metric: &str) -> Option<f64> {
        self.find(&self.before, metric)
    }
}

/// The runs side by side.
pub fn tell(project: &Project, runs: &[RunId], is_json: bool) -> Result<()> {
    let records = runs.iter().map(|run| project.run(*run)).collect::<Result<Vec<_>, _>>()?;
    let common = common_step(&records);
    // Whoever reads the numbers by program has every run's own end.
    let at = common.filter(|_| !is_json).unwrap_or(u64::MAX);
    let mut columns = runs.iter().map(|run| Column::of(project, *run, at)).collect::<Result<Vec<_>>>()?;
    if is_json {
        let runs: Vec<Json> = columns.iter().map(as_json).collect();
        return output::json(&json!({ "compared": runs }));
    }
    number_namesakes(&mut columns);
    let Some(first) = columns.first() else {
        return Ok(());
    };
    let judged = shares(&columns, &judging::heads(project, &records));
    let groups = grouped(&columns)?;
    let mut headings = vec!["", "before"];
    headings.extend(groups.iter().map(|group| group.name.as_str()));
    let mut rows = Vec::new();
    let is_there = |metric: &str| columns.iter().any(|column| column.after(metric).is_some());
    for (stored, metric) in Metric::headlines(Told::AcrossRuns, is_there) {
        // What is measured against step 0 says nothing there.
        let mut row = vec![stored.in_words(), String::new()];
        row.extend(groups.iter().map(|group| group.cell(&metric)));
        rows.push(row);
    }
    for metric in &judged {
        let mut row =
            vec![metric.clone(), metrics::told(metric, |name| first.before(name)).unwrap_or_else(|| "–".to_owned())];
        row.extend(groups.iter().map(|group| group.cell(metric)));
        rows.push(row);
    }
    let mut right = vec![true; headings.len()];
    right[0] = false;
    output::line("")?;
    output::table(&headings, &right, &rows)?;
    if let Some(step) = common {
        output::line(format!(
            "\nThe runs did not go equally far: all numbers are those of step {step} or the last before it."
        ))?;
    }
    let shares = [HELD_OUT_ACCURACY.to_owned()].into_iter().chain(judged.iter().cloned()).map(|metric| {
        let stand = |group: &Group<'_>| {
            let last = group.columns.iter().copied().map(|column| move |name: &str| column.after(name));
            ShareOfRuns::of(&group.name, &metric, &last.collect::<Vec<_>>())
        };
        let standings = groups.iter().filter_map(stand).collect();
        (metric, standings)
    });
    if let Some(sentence) = told_apart(&shares.collect::<Vec<_>>()) {
        output::line(format!("\n{sentence}."))?;
    }
    let ways = groups.iter().map(|group| {
        let members: Vec<_> = group.columns.iter().map(|column| (&column.learnt[..], &column.drift[..])).collect();
        (group.name.clone(), frontier::path(&members))
    });
    for sentence in frontier::every_two(&ways.collect::<Vec<_>>()) {
        output::line(format!("\n{sentence}."))?;
    }
    if judged.is_empty() {
        output::line("\nNothing was judged: a judge.toml in the project's folder says what counts as what.")?;
    }
    Ok(())
}

/// Runs of one name are told by their numbers.
fn number_namesakes(columns: &mut [Column]) {
    let names: Vec<String> = columns.iter().map(|column| column.record.name.clone()).collect();
    for (column, name) in columns.iter_mut().zip(&names) {
        if names.iter().filter(|other| *other == name).count() > 1 {
            column.record.name = format!("{name} (run {})", column.record.id.0);
        }
    }
}

/// The shares that any of the runs has, in the order of the rules.
fn shares(columns: &[Column], rules: &[RuleHead]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in columns.iter().flat_map(|column| &column.metrics) {
        if judged::rule(name).is_some() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    judged::in_order(&mut names, rules);
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
