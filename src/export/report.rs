//! The report of a run: one file that stands alone, for a mail or a notebook.
//!
//! HTML with the charts as SVG inside, no script and nothing from elsewhere; or Markdown with the same charts and a
//! table of their numbers, for readers that show no SVG.

use std::{fs, io::Write as _, path::Path};

use data::metrics;
use files::{Output, WriteError};
use minijinja::{Environment, Value, context, syntax::SyntaxConfig};

use crate::{
    ExportError,
    aside::write_error,
    chart::{self, ChartLine},
};

/// Everything that a report tells.
#[derive(Debug, Clone, Default)]
pub struct RunHistory {
    pub run: String,
    /// E.g. "completed, step 40 of 40, 2026-03-01, 3 min".
    pub state: String,
    /// Sentences without full stops.
    pub came_to: Vec<String>,
    /// E.g. "MPO anchored-sum".
    pub method: String,
    pub formula: String,
    /// What it was trained from and on, as label and value.
    pub facts: Vec<(String, String)>,
    /// What could not be trained on, as sentences with counts.
    pub set_aside: Vec<String>,
    pub settings: Vec<SettingValue>,
    pub charts: Vec<ReportChart>,
    /// First and last value of what was measured.
    pub measured: Vec<FirstAndLast>,
    /// Steps at which something was changed by hand.
    pub marks: Vec<(u64, String)>,
    /// Warnings and errors of the run's log.
    pub warnings: Vec<(u64, String)>,
    pub answers: Vec<Answers>,
    /// What to type to run it again.
    pub again: Vec<String>,
}

/// A key of `run.toml`.
#[derive(Debug, Clone)]
pub struct SettingValue {
    pub key: String,
    pub value: String,
    /// The default, where the value is another.
    pub changed_from: Option<String>,
}

/// Lines that share their axes.
#[derive(Debug, Clone)]
pub struct ReportChart {
    pub title: String,
    /// What is drawn, and how it was estimated.
    pub caption: String,
    /// How its values are written: as those of this metric.
    pub metric: String,
    pub lines: Vec<ChartLine>,
}

/// The first and the last value of a metric, each with its step and its 95 % interval where it has one.
#[derive(Debug, Clone)]
pub struct FirstAndLast {
    pub name: String,
    pub words: String,
    pub first: (u64, String),
    pub last: (u64, String),
}

/// One prompt answered at the first and the last step that has answers.
#[derive(Debug, Clone)]
pub struct Answers {
    pub prompt: String,
    pub note: String,
    pub before: (u64, String),
    pub after: (u64, String),
}

/// Rows of a chart's table in Markdown.
const ROWS: usize = 9;

/// Writes the report to `file`; what is there already is only replaced with `overwrite`.
pub fn report(story: &RunHistory, file: &Path, overwrite: bool) -> Result<(), ExportError> {
    let is_markdown =
        file.extension().is_some_and(|end| end.eq_ignore_ascii_case("md") || end.eq_ignore_ascii_case("markdown"));
    let name = if is_markdown { "report.md" } else { "report.html" };
    write(name, values(story), file, overwrite)
}

/// Fills a template and writes it where it is whole or not there.
pub(super) fn write(template: &str, values: Value, file: &Path, overwrite: bool) -> Result<(), ExportError> {
    let text = render(template, values)
        .map_err(|error| ExportError::Write { path: file.to_owned(), source: std::io::Error::other(error) })?;
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(write_error(file))?;
    }
    let mut output = Output::create(file, overwrite)?;
    output.write_all(text.as_bytes()).map_err(write_error(file))?;
    output.finish()?;
    Ok(())
}

impl From<WriteError> for ExportError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Exists { path } => Self::Exists { path },
            WriteError::Write { path, source } => Self::Write { path, source },
            WriteError::Unfit { path, reason } => Self::Write { path, source: std::io::Error::other(reason) },
        }
    }
}

fn render(template: &str, values: Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    // A line that only steers leaves no line behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?;
    environment.set_syntax(syntax);
    // In a table's cell a line break or a bar would end it. What a model says is text, not markup.
    environment.add_filter("cell", |text: String| plain(&text).replace('|', "\\|").replace('\n', " "));
    environment.add_filter("quoted", |text: String| plain(&text).replace('\n', "\n> "));
    environment.add_template("page.css", include_str!("page.css"))?;
    environment.add_template("report.html", include_str!("report.html"))?;
    environment.add_template("report.md", include_str!("report.md"))?;
    environment.add_template("comparison.html", include_str!("comparison.html"))?;
    environment.get_template(template)?.render(values)
}

fn plain(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

fn values(story: &RunHistory) -> Value {
    let pairs = |pairs: &[(u64, String)]| -> Vec<Value> {
        let values = pairs.iter();
        values.map(|(step, text)| context! { step => *step, text => text.as_str() }).collect()
    };
    let RunHistory {
        run,
        state,
        came_to,
        method,
        formula,
        facts,
        set_aside,
        settings,
        charts,
        measured,
        marks,
        warnings,
        answers,
        again,
    } = story;
    let steps: Vec<u64> = marks.iter().map(|(step, _)| *step).collect();
    let facts: Vec<Value> =
        facts.iter().map(|(label, value)| context! { label => label.as_str(), value => value.as_str() }).collect();
    let measured: Vec<Value> = measured
        .iter()
        .map(|row| {
            context! {
                name => row.name.as_str(), words => row.words.as_str(),
                first => row.first.1.as_str(), last => row.last.1.as_str(),
                first_step => row.first.0, last_step => row.last.0,
            }
        })
        .collect();
    let answers: Vec<Value> = answers
        .iter()
        .map(|row| {
            context! {
                prompt => row.prompt.as_str(), note => row.note.as_str(),
                before => row.before.1.as_str(), before_step => row.before.0,
                after => row.after.1.as_str(), after_step => row.after.0,
            }
        })
        .collect();
    context! {
        run => run.as_str(),
        state => state.as_str(),
        came_to => came_to.clone(),
        method => method.as_str(),
        formula => formula.as_str(),
        facts => facts,
        set_aside => set_aside.clone(),
        settings => setting_values(settings),
        charts => charts.iter().filter_map(|chart| chart_values(chart, &steps)).collect::<Vec<_>>(),
        measured => measured,
        marks => pairs(marks),
        warnings => pairs(warnings),
        answers => answers,
        again => again.clone(),
        version => env!("CARGO_PKG_VERSION"),
        is_mpo => method.starts_with("MPO"),
    }
}

pub(super) fn setting_values(settings: &[SettingValue]) -> Vec<Value> {
    let values = settings.iter().map(|SettingValue { key, value, changed_from }| {
        context! { key => key.as_str(), value => value.as_str(), changed_from => changed_from.clone() }
    });
    values.collect()
}

pub(super) fn chart_values(chart: &ReportChart, marks: &[u64]) -> Option<Value> {
    let svg = chart::svg(&chart.title, &chart.metric, &chart.lines, marks)?;
    let names: Vec<String> = chart.lines.iter().map(|line| line.name.clone()).collect();
    Some(context! {
        title => chart.title.as_str(),
        caption => chart.caption.as_str(),
        svg => svg,
        names => names,
        rows => table(&chart.metric, &chart.lines),
    })
}

/// The lines' values at some of their steps, the first and the last among them.
fn table(metric: &str, lines: &[ChartLine]) -> Vec<Value> {
    let mut steps: Vec<f64> = lines.iter().flat_map(|line| line.points.iter().map(|point| point[0])).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let last = steps.len().saturating_sub(1);
    let mut chosen: Vec<usize> = (0..ROWS).map(|row| row * last / (ROWS - 1)).collect();
    chosen.dedup();
    let cell = |line: &ChartLine, step: f64| {
        let found = line.points.iter().find(|point| point[0] == step);
        found.map_or(String::new(), |point| metrics::value(metric, point[1]))
    };
    chosen
        .into_iter()
        .filter_map(|index| steps.get(index))
        .map(|&step| {
            let cells: Vec<String> = lines.iter().map(|line| cell(line, step)).collect();
            context! { step => step as u64, cells => cells }
        })
        .collect()
}
