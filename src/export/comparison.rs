//! Runs of one project told side by side: what differs between them, what they reached, how they went, what they
//! answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use data::{
    Prompt,
    config::{RunConfig, Setting},
    metrics::{self, Metric, judged},
};
use judge::RuleHead;
use minijinja::{Value, context};
use store::{LeftOut, Probe, Project, RunRecord, SeedGroup, by_prompt};
use train::{Result, measure::judging, objective};

use crate::{
    ExportError, Point, ReportChart,
    history::{again, course, settings, spoken, state},
    report::{chart_values, setting_values, write},
    together::{line, together},
};

/// Everything that the report of a comparison tells; lists of cells have one a run, in the order of the runs.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    pub project: String,
    pub runs: Vec<Compared>,
    /// Settings whose value is not the same in all runs: key, words, values.
    pub differences: Vec<(&'static Setting, Vec<String>)>,
    /// What else is not the same in all runs: words, values.
    pub otherwise: Vec<(&'static str, Vec<String>)>,
    /// What the runs are called where those that differ in their seed only are told as one.
    pub together: Vec<String>,
    pub measured: Vec<Reached>,
    pub charts: Vec<ReportChart>,
    pub answers: Vec<Answered>,
    /// What to type to run them again.
    pub again: Vec<String>,
}

/// One of the runs.
#[derive(Debug, Clone)]
pub struct Compared {
    pub name: String,
    /// E.g. "Run 3, completed: step 40 of 40, ..".
    pub state: String,
    pub method: String,
    pub formula: String,
    /// The revision of the data that it saw.
    pub revision: u64,
    pub settings: Vec<crate::SettingValue>,
}

/// What the runs reached of one metric, those of several seeds together.
#[derive(Debug, Clone)]
pub struct Reached {
    pub name: String,
    pub words: String,
    /// Of a share that rules count: what it was before the first step. What is measured against step 0 says nothing
    /// there.
    pub before: Option<String>,
    /// Empty where a run has not measured it.
    pub cells: Vec<String>,
}

/// A prompt that some of the runs have answered.
#[derive(Debug, Clone)]
pub struct Answered {
    pub prompt: String,
    pub note: String,
    /// What was said before any step.
    pub before: Option<String>,
    /// The newest answer and its step.
    pub after: Vec<Option<(u64, String)>>,
}

type Series = BTreeMap<String, Vec<Point>>;

impl Comparison {
    /// Reads no weights.
    pub fn of(project: &Project, records: &[RunRecord]) -> Result<Self> {
        let all = records.iter().map(|record| Ok(metrics::curves(&project.steps(record.id, None)?)));
        let all = all.collect::<Result<Vec<Series>>>()?;
        let configs = records.iter().map(|record| Ok(record.config()?));
        let configs = configs.collect::<Result<Vec<RunConfig>>>()?;
        let runs = records.iter().zip(&configs).map(|(record, config)| {
            Ok(Compared {
                name: record.name.clone(),
                state: state(project, record)?,
                method: record.method.clone(),
                formula: objective::formula(&config.objective),
                revision: project.newest_revision_of(record.id)?.0,
                settings: settings(config)?,
            })
        });
        let shown: Vec<&RunRecord> = records.iter().collect();
        let together = together(&shown);
        let mut lines = Vec::new();
        for record in records {
            lines.extend(again(project, record)?);
        }
        lines.dedup();
        let told = told(&all, &judging::heads(project, records));
        Ok(Self {
            project: project.settings()?.name,
            runs: runs.collect::<Result<_>>()?,
            differences: differences(&configs),
            otherwise: otherwise(project, records)?,
            together: together.iter().map(|group| group.name.clone()).collect(),
            measured: measured(&told, &together, &all),
            charts: charts(&told, &shown, &together, &all),
            answers: answers(project, records)?,
            again: lines,
        })
    }

    /// Writes it to `file`, HTML that stands alone; what is there already is only replaced with `overwrite`.
    pub fn write(&self, file: &Path, overwrite: bool) -> std::result::Result<(), ExportError> {
        write("comparison.html", self.values(), file, overwrite)
    }

    fn values(&self) -> Value {
        let Self { project, runs, differences, otherwise, together, measured, charts, answers, again } = self;
        let runs = runs.iter().map(|run| {
            let Compared { name, state, method, formula, revision, settings } = run;
            context! { name, state, method, formula, revision, settings => setting_values(settings) }
        });
        let differences = differences.iter().map(|(setting, values)| {
            let values: Vec<String> = values.iter().map(|value| setting.shown(value).to_owned()).collect();
            context! { key => setting.key, label => setting.label, values }
        });
        let otherwise = otherwise.iter().map(|(label, values)| context! { label => *label, values });
        let rows =
            measured.iter().map(|Reached { name, words, before, cells }| context! { name, words, before, cells });
        let answers = answers.iter().map(|Answered { prompt, note, before, after }| {
            let after: Vec<Value> = after
                .iter()
                .map(|newest| newest.as_ref().map_or(Value::from(()), |(step, text)| context! { step, text }))
                .collect();
            context! { prompt, note, before, after }
        });
        context! {
            project,
            runs => runs.collect::<Vec<_>>(),
            same_data => self.runs.windows(2).all(|two| two[0].revision == two[1].revision),
            differences => differences.collect::<Vec<_>>(),
            otherwise => otherwise.collect::<Vec<_>>(),
            together,
            seeds => together.len() < self.runs.len(),
            has_before => measured.iter().any(|row| row.before.is_some()),
            measured => rows.collect::<Vec<_>>(),
            charts => charts.iter().filter_map(|chart| chart_values(chart, &[])).collect::<Vec<_>>(),
            answers => answers.collect::<Vec<_>>(),
            again,
            version => env!("CARGO_PKG_VERSION"),
        }
    }
}

fn differences(configs: &[RunConfig]) -> Vec<(&'static Setting, Vec<String>)> {
    let tables: Vec<_> = configs.iter().map(RunConfig::texts_in_full).collect();
    let rows = RunConfig::settings().map(|setting| {
        let value =
            |table: &BTreeMap<String, String>| table.get(setting.key).cloned().unwrap_or_else(|| "not set".to_owned());
        (setting, tables.iter().map(value).collect::<Vec<_>>())
    });
    rows.filter(|(_, values)| values.windows(2).any(|two| two[0] != two[1])).collect()
}

/// The data and what was changed on the way, where that is not the same in all runs.
fn otherwise(project: &Project, records: &[RunRecord]) -> Result<Vec<(&'static str, Vec<String>)>> {
    let none = || "–".to_owned();
    let (mut revisions, mut without, mut courses) = (Vec::new(), Vec::new(), Vec::new());
    for record in records {
        revisions.push(project.newest_revision_of(record.id)?.0.to_string());
        without.push(record.left_out.as_ref().map_or_else(none, LeftOut::to_string));
        let marks: Vec<String> =
            course(project, record)?.into_iter().map(|(step, text)| format!("step {step}: {text}")).collect();
        courses.push(if marks.is_empty() { none() } else { marks.join("; ") });
    }
    let rows = [("Data revision", revisions), ("Pairs left out", without), ("Changed on the way", courses)];
    let differs = |values: &[String]| values.windows(2).any(|two| two[0] != two[1]);
    Ok(rows.into_iter().filter(|(_, values)| differs(values)).collect())
}

/// A metric's name, and what it is called in a text.
type Told = (String, String);

/// What is told across runs, and what rules counted, in the order of the rules.
fn told(all: &[Series], rules: &[RuleHead]) -> Vec<Told> {
    let is_there = |name: &str| all.iter().any(|series| series.contains_key(name));
    let headlines = Metric::headlines(metrics::Told::AcrossRuns, is_there);
    let headlines = headlines.map(|(stored, name)| (name, stored.in_words()));
    let judged: BTreeSet<&String> =
        all.iter().flat_map(BTreeMap::keys).filter(|name| judged::rule(name).is_some()).collect();
    let mut judged: Vec<String> = judged.into_iter().cloned().collect();
    judged::in_order(&mut judged, rules);
    headlines.chain(judged.into_iter().map(|name| (name.clone(), metrics::caption(&name)))).collect()
}

fn measured(told: &[Told], together: &[SeedGroup], all: &[Series]) -> Vec<Reached> {
    let rows = told.iter().map(|(name, words)| {
        let cells = together.iter().map(|group| {
            let members: Vec<&Series> = group.members.iter().map(|member| &all[*member]).collect();
            cell(&members, name).unwrap_or_default()
        });
        let before = all.iter().find_map(|series| before(series, name));
        Reached { before, cells: cells.collect(), name: name.clone(), words: words.clone() }
    });
    rows.collect()
}

/// "32 % (24 to 42 %)", before any step.
fn before(series: &Series, share: &str) -> Option<String> {
    let at_start = |name: &str| Some(series.get(name)?.first().filter(|point| point[0] == 0.0)?[1]);
    judged::rule(share).and_then(|_| metrics::told(share, at_start))
}

/// Of a run "94 % (88 to 97 %) at step 40", of several their mean and how far they lie apart.
fn cell(members: &[&Series], name: &str) -> Option<String> {
    let last = |series: &Series, name: &str| series.get(name)?.last().copied();
    let text = match members {
        [alone] => metrics::told(name, |name| Some(last(alone, name)?[1]))?,
        several => {
            let values: Vec<f64> = several.iter().filter_map(|series| Some(last(series, name)?[1])).collect();
            metrics::told_together(name, &values)?
        }
    };
    let mut steps: Vec<u64> = members.iter().filter_map(|series| Some(last(series, name)?[0] as u64)).collect();
    steps.sort_unstable();
    let (first, newest) = (steps.first()?, steps.last()?);
    Some(if first == newest {
        format!("{text} at step {first}")
    } else {
        format!("{text} at steps {first} to {newest}")
    })
}

/// One chart a metric, one line a run, or one for several seeds.
fn charts(told: &[Told], records: &[&RunRecord], together: &[SeedGroup], all: &[Series]) -> Vec<ReportChart> {
    let charts = told.iter().map(|(name, words)| {
        let measured = |run: usize| all[run].get(name).cloned();
        let lines = together.iter().filter_map(|group| Some(line(group, records, measured)?.1)).collect();
        ReportChart { title: words.clone(), caption: name.clone(), metric: name.clone(), lines }
    });
    charts.collect()
}

/// The newest answers of each run to each prompt that any of them has answered, under what was said first.
fn answers(project: &Project, records: &[RunRecord]) -> Result<Vec<Answered>> {
    let probes = project.probes()?;
    let mut rows: Vec<(Prompt, Answered)> = Vec::new();
    for (place, record) in records.iter().enumerate() {
        for samples in by_prompt(project.samples(record.id)?) {
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else { continue };
            let prompt = &last.sample.prompt;
            let known = rows.iter().position(|(known, _)| known == prompt);
            let row = known.unwrap_or_else(|| {
                let (asked, note) = (spoken(prompt), Probe::note_of(&probes, prompt).to_owned());
                let row = Answered { prompt: asked, note, before: None, after: vec![None; records.len()] };
                rows.push((prompt.clone(), row));
                rows.len() - 1
            });
            let (_, row) = &mut rows[row];
            if first.step == 0 {
                row.before.get_or_insert_with(|| first.sample.answer.clone());
            }
            row.after[place] = Some((last.step, last.sample.answer.clone()));
        }
    }
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}
