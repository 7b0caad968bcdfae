//! What a run came to: held-out numbers and answers, before and after.

use std::collections::BTreeMap;

use anyhow::Result;
use data::{
    across::Point,
    alarms::{Alarm, Watch},
    config::Method,
    metrics::{self, Better, CameTo, Metric, Told},
};
use engine::{newest_checkpoint, protocol::Outcome};
use serde_json::json;
use store::{Project, RunId, RunRecord, RunStatus, SampleRecord, by_prompt};
use train::measure::judging;

use super::{output, ran::Ran};

const PROBES: usize = 4;
const WIDTH: usize = 100;

/// A metric at its first and at its last evaluation.
struct Change {
    metric: String,
    words: String,
    before: Option<f64>,
    after: f64,
    /// The ends of its 95 % interval, likewise, where it has one.
    ends: Vec<Self>,
}

impl Change {
    /// For a reader: "32.3 % (23 to 43 %)".
    fn told(&self, value: impl Fn(&Self) -> Option<f64>) -> String {
        let own = std::iter::once(self).chain(&self.ends);
        let of = |name: &str| own.clone().find(|change| change.metric == name).and_then(&value);
        metrics::told(&self.metric, of).unwrap_or_else(|| "–".to_owned())
    }
}

/// Prints the summary; with `--json` as the last object.
pub fn print(project: &Project, run: RunId, ran: Ran, outcome: &Outcome, is_json: bool) -> Result<()> {
    let record = project.run(run)?;
    let checkpoint = newest_checkpoint(&record.checkpoints);
    // Settings that cannot be read raise no alarm of their own.
    let config = record.config().unwrap_or_default();
    let steps = project.steps(run, None)?;
    let alarms = Watch::all(&config, record.parent_step, &steps);
    let curves = metrics::curves(&steps);
    let shares = judge::shares(curves.keys(), &judging::heads(project, std::slice::from_ref(&record)));
    let changes = changes(steps.first().map(|(step, _)| *step), &curves, &shares);
    let points = |name: &str| curves.get(name).map(Vec::as_slice);
    let came_to = CameTo::of(config.objective.kind, record.step, shares, points);
    let came_to = came_to.map_or_else(Vec::new, |came_to| came_to.in_full());
    if is_json {
        let both: serde_json::Map<_, _> = changes
            .iter()
            .flat_map(|change| std::iter::once(change).chain(&change.ends))
            .map(|change| {
                let both = json!({"before": change.before.map(output::number), "after": output::number(change.after)});
                (change.metric.clone(), both)
            })
            .collect();
        return output::json(&json!({
            "run": run,
            "status": status(&record, outcome),
            "step": record.step,
            "total_steps": record.total_steps,
            "held_out": both,
            "came_to": came_to,
            "dir": record.dir,
            "checkpoint": checkpoint,
            "message": message(&record, outcome),
            "alarms": alarms.iter().map(alarm_as_json).collect::<Vec<_>>(),
        }));
    }
    if matches!(outcome, Outcome::Failed { .. }) && changes.is_empty() {
        // It failed before there was anything to sum up; the error says it all.
        return Ok(());
    }
    let since = if ran.resumed_at > 0 { format!(", from step {}", ran.resumed_at) } else { String::new() };
    output::line(format!(
        "Run {} \"{}\" {}: step {} of {}{since}, {}",
        run.0,
        record.name,
        status(&record, outcome),
        record.step,
        record.total_steps,
        ran.in_words(&project.step_times(run)?)
    ))?;
    for sentence in came_to {
        output::line(format!("{sentence}."))?;
    }
    if !changes.is_empty() {
        let row =
            |change: &Change| vec![change.words.clone(), change.told(|it| it.before), change.told(|it| Some(it.after))];
        let rows: Vec<Vec<String>> = changes.iter().map(row).collect();
        output::line("")?;
        output::table(&["", "before", "after"], &[false, true, true], &rows)?;
    }
    tell_alarms(&alarms, config.objective.kind)?;
    answers(project.samples(run)?)?;
    output::line(format!("\nIts folder: {}", record.dir.display()))?;
    next(project, run, outcome, checkpoint.as_deref())
}

/// What the numbers say is wrong, and what a fork may try.
fn tell_alarms(alarms: &[Alarm], method: Method) -> Result<()> {
    for Alarm { kind, from, to, sentence } in alarms {
        output::line(format!("\n{}, steps {from} to {to}", kind.title()))?;
        output::line(format!("  {sentence}"))?;
        let cures: Vec<&str> = kind.cures(method).iter().map(|cure| cure.words()).collect();
        if !cures.is_empty() {
            output::line(format!("  What a fork from before may try: {}", cures.join(", or ")))?;
        }
    }
    Ok(())
}

fn alarm_as_json(alarm: &Alarm) -> serde_json::Value {
    let Alarm { kind, from, to, sentence } = alarm;
    json!({"kind": kind, "from": from, "to": to, "sentence": sentence})
}

/// How the run ended. Where the project could not be told (it is locked, its disk is full) its record still says that
/// the run is going.
fn status(record: &RunRecord, outcome: &Outcome) -> RunStatus {
    match outcome {
        _ if !record.status.is_live() => record.status,
        Outcome::Completed => RunStatus::Completed,
        Outcome::Stopped { .. } => RunStatus::Stopped,
        Outcome::Failed { .. } => RunStatus::Failed,
    }
}

/// Why it ended as it did, from the project or, where that could not be told, from the engine.
fn message<'a>(record: &'a RunRecord, outcome: &'a Outcome) -> Option<&'a str> {
    match outcome {
        Outcome::Failed { error } if record.status.is_live() => Some(error),
        Outcome::Completed | Outcome::Stopped { .. } | Outcome::Failed { .. } => record.message.as_deref(),
    }
}

/// What is told of a run, by its curves.
fn changes(first_step: Option<u64>, curves: &BTreeMap<String, Vec<Point>>, shares: &[(String, Better)]) -> Vec<Change> {
    let change = |words: String, metric: String| {
        let points = curves.get(&metric)?;
        let (first, last) = (points.first()?, points.last()?);
        let is_first = first_step.is_some_and(|step| first[0] == step as f64) && first[0] < last[0];
        Some(Change { words, metric, before: is_first.then_some(first[1]), after: last[1], ends: Vec::new() })
    };
    let headlines = Metric::headlines(Told::OfARun, |name| curves.contains_key(name));
    let told = headlines.map(|(stored, name)| (stored.in_words(), name));
    let told = told.chain(shares.iter().map(|(share, _)| (metrics::caption(share), share.clone())));
    let with_ends = told.filter_map(|(words, name)| {
        let ends = metrics::interval(&name).into_iter().filter_map(|end| change(String::new(), end)).collect();
        Some(Change { ends, ..change(words, name)? })
    });
    with_ends.collect()
}

/// The first prompts' first and last answers.
fn answers(samples: Vec<SampleRecord>) -> Result<()> {
    for samples in by_prompt(samples).into_iter().take(PROBES) {
        let prompt = samples[0].sample.prompt.last_text();
        output::line(format!("\n{}", output::one_line(prompt, WIDTH)))?;
        let last = (samples.len() > 1).then(|| &samples[samples.len() - 1]);
        for record in std::iter::once(&samples[0]).chain(last) {
            output::line(format!("  step {:>4}  {}", record.step, output::one_line(&record.sample.answer, WIDTH)))?;
        }
    }
    Ok(())
}

/// What can be done now, as commands that can be pasted.
fn next(project: &Project, run: RunId, outcome: &Outcome, checkpoint: Option<&std::path::Path>) -> Result<()> {
    let dir = quoted(project.dir());
    let mut lines = Vec::new();
    match outcome {
        Outcome::Completed => {}
        Outcome::Stopped { .. } | Outcome::Failed { .. } => {
            lines.push(("go on with it", format!("nudge resume {dir} {}", run.0)));
        }
    }
    let config = project.run(run)?.config().ok();
    let scores = config.as_ref().is_some_and(|config| config.objective.kind == Method::Reward);
    if scores {
        lines.push(("score the pairs", format!("nudge score {dir} --reward {}", run.0)));
        lines.push(("train a policy", format!("nudge train {dir} --set objective.kind=ppo")));
    } else {
        lines.push(("compare methods", format!("nudge compare {dir}")));
        lines.push(("read its answers", format!("nudge answers {dir} {}", run.0)));
    }
    lines.push(("see its charts", format!("nudge {dir}")));
    let own = config.and_then(|config| config.model.path);
    let model = own.map_or_else(|| project.settings().map(|settings| settings.model), Ok)?;
    let speaks = checkpoint.filter(|dir| !scores && dir.join("adapter_config.json").is_file());
    if let Some(checkpoint) = speaks {
        lines.push((
            "talk to it",
            format!("nudge generate --model {} --adapter {} --messages -", quoted(&model), quoted(checkpoint)),
        ));
    }
    output::line("")?;
    for (what, command) in lines {
        output::line(format!("{what:<18}{command}"))?;
    }
    Ok(())
}

/// A path as a shell takes it.
fn quoted(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@".contains(c);
    if text.chars().all(is_plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::{NewRun, ProjectSettings};

    #[test]
    fn dl15_a_run_whose_end_could_not_be_recorded_has_ended_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let run = project.create_run(&NewRun::default()).unwrap();
        let failed = Outcome::Failed { error: "The disk is full".to_owned() };
        let said = |outcome| {
            let record = project.run(run).unwrap();
            (status(&record, outcome), message(&record, outcome).map(str::to_owned))
        };
        project.set_run_status(run, RunStatus::Running, None).unwrap();
        assert_eq!(said(&failed), (RunStatus::Failed, Some("The disk is full".to_owned())));
        assert_eq!(said(&Outcome::Completed), (RunStatus::Completed, None));
        project.set_run_status(run, RunStatus::Interrupted, Some("why")).unwrap();
        assert_eq!(said(&failed), (RunStatus::Interrupted, Some("why".to_owned())), "what is recorded counts");
    }

    #[test]
    fn a_path_with_blanks_is_quoted() {
        assert_eq!(quoted(std::path::Path::new("/a/b-1.x")), "/a/b-1.x");
        assert_eq!(quoted(std::path::Path::new("/my dir's")), "'/my dir'\\''s'");
    }
}
