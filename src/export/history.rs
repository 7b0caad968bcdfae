//! A run told from what the project keeps of it: what its report says.

use std::{collections::BTreeMap, fmt::Write as _};

use data::{
    Prompt,
    config::RunConfig,
    counted, duration,
    metrics::{self, Better, CHARTS, CameTo, Metric, Told, judged},
};
use model::Spec;
use store::{LeftOut, LogLevel, Probe, Project, RunRecord, TakeIn, by_prompt};
use text::{Clock, Codec};
use train::{
    Result,
    dataset::{
        documents::{self, Bounds, PairDoc},
        inputs::{self, Inputs},
    },
    measure::judging,
    objective,
    run::checkpoint,
};

use crate::{Answers, ChartLine, FirstAndLast, ReportChart, RunHistory, SettingValue};

/// Warnings of the log that are told; the log itself has all.
const WARNINGS: usize = 30;

impl RunHistory {
    /// Reads no weights. Where the model's folder is gone, what could not be trained on is not counted, and that is
    /// said.
    pub fn of(project: &Project, record: &RunRecord) -> Result<Self> {
        let config = record.config()?;
        let series = metrics::curves(&project.steps(record.id, None)?);
        let log = project.log(record.id)?;
        let marks = log.iter().filter(|line| line.mark);
        let grave = |level: LogLevel| matches!(level, LogLevel::Warning | LogLevel::Error);
        let warnings = log.iter().filter(|line| !line.mark && grave(line.level));
        let (facts, set_aside) = facts(project, record, &config)?;
        let shares = judge::shares(series.keys(), &judging::heads(project, std::slice::from_ref(record)));
        let points = |name: &str| series.get(name).map(Vec::as_slice);
        let came_to = CameTo::of(config.objective.kind, record.step, shares.iter().cloned(), points);
        Ok(Self {
            run: record.name.clone(),
            state: state(project, record)?,
            came_to: came_to.map_or_else(Vec::new, |came_to| came_to.in_full()),
            method: record.method.clone(),
            formula: objective::formula(&config.objective),
            facts,
            set_aside,
            settings: settings(&config)?,
            charts: CHARTS.iter().map(|of| chart(of, &series)).chain(judged_chart(&series, &shares)).collect(),
            measured: measured(&series, &shares),
            marks: marks.map(|line| (line.step, line.text.clone())).collect(),
            warnings: warnings.map(|line| (line.step, line.text.clone())).take(WARNINGS).collect(),
            answers: answers(project, record)?,
            again: again(project, record)?,
        })
    }
}

/// "Run 3, completed: step 40 of 40, begun 2026-03-01 12:00 UTC, 2 min 10 s of training".
pub(super) fn state(project: &Project, record: &RunRecord) -> Result<String> {
    let times = project.step_times(record.id)?;
    let secs = times.last().map_or(0.0, |(_, ms)| *ms as f64 / 1000.0);
    let begun = jiff::Timestamp::from_millisecond(record.created_ms)
        .map_or_else(|_| "at an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let far = match record.total_steps {
        0 => "before its first step".to_owned(),
        total => format!("step {} of {total}", record.step),
    };
    let mut text =
        format!("Run {}, {}: {far}, begun {begun}, {} of training", record.id.0, record.status, duration(secs));
    if let Some(message) = &record.message {
        write!(text, ". {message}").ok();
    }
    Ok(text)
}

type Facts = Vec<(String, String)>;

fn facts(project: &Project, record: &RunRecord, config: &RunConfig) -> Result<(Facts, Vec<String>)> {
    let mut facts = Facts::new();
    let mut fact = |label: &str, value: String| facts.push((label.to_owned(), value));
    let folder = inputs::model_folder(project, config)?;
    fact("Model", folder.display().to_string());
    let newest = checkpoint::newest_state(&record.checkpoints);
    match &newest {
        None => fact("Reference", "not known: there is no checkpoint".to_owned()),
        Some(state) => {
            fact("Reference", state.reference.describe(&config.model));
            fact("Reference, blake3", state.reference.policy.clone());
            if let Some(card) = &state.reference.card {
                fact("Graphics card", card.clone());
            }
            fact("Tokenizer and template, blake3", state.reference.codec.clone());
        }
    }
    let (now, seen) = (project.revision()?, project.newest_revision_of(record.id)?);
    let later = if now == seen { String::new() } else { format!(" (the project is at {} now)", now.0) };
    fact("Data revision", format!("{}{later}", seen.0));
    for TakeIn { step, revision, labels } in project.take_ins(record.id)? {
        fact("Joined", format!("{labels} after step {step}, data revision {}", revision.0));
    }
    let inputs = inputs::of_run(project, record.id, seen, config)?;
    // Where pairs that joined would have moved a prompt, the run knows better.
    let kept = newest.as_ref().map_or_else(Vec::new, |state| state.kept_sides.clone());
    let inputs = Inputs { pairs: inputs.pairs.keeping(kept), ..inputs };
    fact("Pairs", format!("{} in the project at that revision", inputs.pairs.count()?));
    let bounds = Spec::read(&folder).map(|spec| Bounds::of(&spec));
    let prepared = bounds.map_err(|error| error.to_string()).and_then(|bounds| {
        let codec = Codec::load(&folder).map_err(|error| error.to_string())?.at(Clock::of_ms(record.day_ms));
        documents::prepare(&inputs, &codec, config, bounds, &mut |_| {}).map_err(|error| error.to_string())
    });
    let dataset = match prepared {
        Ok(dataset) => dataset,
        Err(error) => {
            let sentence = format!("What could not be trained on is not counted: {error}");
            return Ok((facts, vec![sentence]));
        }
    };
    let held_out =
        |kind: &str, train: usize, eval: usize| (kind.to_owned(), format!("{train} to train on, {eval} held out"));
    let (pairs, references, retention) = (&dataset.pairs, &dataset.references, &dataset.retention);
    let left_out = record.left_out.as_ref();
    let is_left_out = |pair: &&PairDoc| left_out.is_some_and(|left_out| left_out.holds(pair.id));
    let without = pairs.train.iter().filter(is_left_out).count();
    facts.push(held_out("Labelled pairs", pairs.train.len() - without, pairs.eval.len()));
    facts.push(held_out("Reference answers", references.train.len(), references.eval.len()));
    facts.push(held_out("Pieces of retention text", retention.train.len(), retention.eval.len()));
    let mut aside: Vec<String> = Vec::new();
    if let Some(left_out) = left_out.filter(|_| without > 0) {
        aside.push(format!("{} {} left out", counted(without, "pair", "pairs"), left_out.which));
    }
    let unlabelled = dataset.unlabelled;
    if unlabelled > 0 {
        aside.push(format!("{} without a label to train on", counted(unlabelled, "pair", "pairs")));
    }
    for (count, reason) in dataset.reasons() {
        aside.push(format!("{}: {reason}", counted(count, "labelled pair", "labelled pairs")));
    }
    let no_memory = newest.map_or(0, |state| state.aside.pairs.len());
    if no_memory > 0 {
        aside.push(format!("{} too long for the memory there was", counted(no_memory, "pair", "pairs")));
    }
    if let Some(first) = dataset.references_set_aside.first() {
        let answers = counted(dataset.references_set_aside.len(), "reference answer", "reference answers");
        aside.push(format!("{answers}; the first because {first}"));
    }
    if let Some(first) = dataset.retention_set_aside.first() {
        let texts = counted(dataset.retention_set_aside.len(), "retention text", "retention texts");
        aside.push(format!("{texts}; the first because {first}"));
    }
    Ok((facts, aside))
}

pub(super) fn settings(config: &RunConfig) -> Result<Vec<SettingValue>> {
    let (own, default) = (config.every_value()?, RunConfig::default().every_value()?);
    let keys: std::collections::BTreeSet<&String> = own.keys().chain(default.keys()).collect();
    let unset = || "not set".to_owned();
    let settings = keys.into_iter().map(|key| {
        let value = own.get(key).cloned().unwrap_or_else(unset);
        let default = default.get(key).cloned().unwrap_or_else(unset);
        SettingValue { key: key.clone(), changed_from: (value != default).then_some(default), value }
    });
    Ok(settings.collect())
}

fn chart(chart: &metrics::MetricChart, series: &BTreeMap<String, Vec<[f64; 2]>>) -> ReportChart {
    let line =
        |(name, _, line): (String, _, metrics::MetricLine)| Some(ChartLine::new(line.name, series.get(&name)?.clone()));
    ReportChart {
        metric: chart.metric.to_owned(),
        title: chart.title.to_owned(),
        caption: chart.caption(),
        lines: chart.lines().into_iter().filter_map(line).collect(),
    }
}

/// The shares that the run's rules counted.
fn judged_chart(series: &BTreeMap<String, Vec<[f64; 2]>>, shares: &[(String, Better)]) -> Option<ReportChart> {
    let line = |(share, _): &(String, Better)| Some(ChartLine::new(judged::rule(share)?, series.get(share)?.clone()));
    let lines: Vec<ChartLine> = shares.iter().filter_map(line).collect();
    Some(ReportChart {
        metric: shares.first()?.0.clone(),
        title: "Judged answers".to_owned(),
        caption: "Share of the answers to the rule set's prompts that each rule counts.".to_owned(),
        lines,
    })
}

fn measured(series: &BTreeMap<String, Vec<[f64; 2]>>, shares: &[(String, Better)]) -> Vec<FirstAndLast> {
    let headlines = Metric::headlines(Told::OfARun, |name| series.contains_key(name));
    let headlines = headlines.map(|(stored, name)| (name, stored.caption()));
    let judged = shares.iter().map(|(share, _)| (share.clone(), metrics::caption(share)));
    let told = |name: &str, at: f64| {
        let value = |name: &str| Some(series.get(name)?.iter().find(|point| point[0] == at)?[1]);
        Some((at as u64, metrics::told(name, value)?))
    };
    let rows = headlines.chain(judged).filter_map(|(name, words)| {
        let points = series.get(&name)?;
        let (first, last) = (told(&name, points.first()?[0])?, told(&name, points.last()?[0])?);
        Some(FirstAndLast { name, words, first, last })
    });
    rows.collect()
}

/// The first and the last answer to each prompt that was answered twice.
fn answers(project: &Project, record: &RunRecord) -> Result<Vec<Answers>> {
    let probes = project.probes()?;
    let pairs = by_prompt(project.samples(record.id)?).into_iter().filter_map(|samples| {
        let (first, last) = (samples.first()?, samples.last()?);
        (first.step < last.step).then(|| Answers {
            prompt: spoken(&last.sample.prompt),
            note: Probe::note_of(&probes, &last.sample.prompt).to_owned(),
            before: (first.step, first.sample.answer.clone()),
            after: (last.step, last.sample.answer.clone()),
        })
    });
    Ok(pairs.collect())
}

/// What was asked: the last turn, with the earlier ones counted.
pub(super) fn spoken(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Chat(turns) if turns.len() > 1 => {
            format!("{} (turn {})", prompt.last_text(), turns.len())
        }
        Prompt::Text(_) | Prompt::Chat(_) => prompt.last_text().to_owned(),
    }
}

/// What to type to have it once more, with what happened on the way.
pub(super) fn again(project: &Project, record: &RunRecord) -> Result<Vec<String>> {
    let mut lines = match (record.parent, record.parent_step) {
        (Some(parent), Some(at)) => vec![fork_again(project, record, &project.run(parent)?, at)?],
        (_, forked) => {
            let gone = forked
                .map(|at| format!("# a fork at step {at} of a run that was deleted; all that is left is its settings"));
            let config = quoted(&record.dir.join("config.toml").display().to_string());
            let dir = quoted(&project.dir().display().to_string());
            gone.into_iter().chain([format!("nudge train {dir} --config {config}")]).collect()
        }
    };
    lines.extend(course(project, record)?.into_iter().map(|(step, text)| format!("# step {step}: {text}")));
    let seen = project.newest_revision_of(record.id)?;
    if project.revision()? != seen {
        lines.push(format!("# trains on the pairs as they are now; this run saw revision {}", seen.0));
    }
    Ok(lines)
}

fn fork_again(project: &Project, record: &RunRecord, parent: &RunRecord, at: u64) -> Result<String> {
    let [before, after] = [parent, record].map(RunRecord::config);
    let (before, after) = (before?, after?);
    let dir = quoted(&project.dir().display().to_string());
    let mut line = format!("nudge fork {dir} {} --at {at} --name {}", parent.id.0, quoted(&record.name));
    let values = after.every_value()?;
    for changed in before.changes_in(&after)? {
        let key = changed.setting.key;
        // An empty value takes a setting back to its default.
        let value = values.get(key).map_or("", |value| value.trim_matches('"'));
        write!(line, " --set {}", quoted(&format!("{key}={value}"))).ok();
    }
    let theirs = parent.left_out.as_ref();
    let own = record.left_out.iter().flat_map(LeftOut::pairs).filter(|pair| !theirs.is_some_and(|it| it.holds(**pair)));
    let own: Vec<String> = own.map(|pair| pair.0.to_string()).collect();
    if !own.is_empty() {
        write!(line, " --without {}", own.join(",")).ok();
    }
    Ok(line)
}

/// What was changed while it went, by hand or by a controller: knobs, new labels. Of a fork since it was made.
pub(super) fn course(project: &Project, record: &RunRecord) -> Result<Vec<(u64, String)>> {
    let own = |step: u64| record.parent_step.is_none_or(|at| step > at);
    let marks = project.log(record.id)?.into_iter().filter(|line| line.mark && line.level == LogLevel::Info);
    Ok(marks.filter(|line| own(line.step)).map(|line| (line.step, line.text)).collect())
}

/// For a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=,:+@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
