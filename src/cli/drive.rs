//! Hands a recorded run to the engine and follows it to its end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use anyhow::{Context as _, Result};
use data::{
    alarms::{Alarm, Watch},
    metrics::EVAL_RUNTIME,
};
use engine::{
    Engine, EngineOptions, no_waker,
    protocol::{Event, LogLevel, Metrics, Outcome, Request, RunControl},
};
use serde_json::json;
use store::{Project, RunId};

use super::{
    ending::{Ending, is_broken_pipe, on_interrupt},
    live::{Live, find},
    output,
    ran::Ran,
    summary,
    unsaved::Unsaved,
};

/// An engine without a window: all of the machine, unless told otherwise.
pub fn engine(threads: Option<u16>) -> Result<Engine> {
    let options = EngineOptions::with_threads(self::threads(threads)).staying_awake();
    Engine::start(no_waker(), options).context("The system refuses threads")
}

/// Threads that computations may use.
pub fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// How much is said of a run on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// A summary for people.
    All,
    /// Nothing: whoever drives it sums it up.
    None,
    /// One JSON object a line.
    Json,
}

impl Words {
    /// Of one run among several that are summed up together.
    pub fn of(is_json: bool) -> Self {
        if is_json { Self::Json } else { Self::None }
    }
}

/// Trains the run, shows how it goes, and sums it up; `from`: the step whose checkpoint it is to go on from. Ctrl-C
/// stops it with a checkpoint, a second one at once.
pub fn drive(project: &Project, run: RunId, from: Option<u64>, threads: Option<u16>, words: Words) -> Result<Ending> {
    let (is_json, started) = (words == Words::Json, Instant::now());
    let control = Arc::new(RunControl::default());
    let stop = Arc::clone(&control);
    let interrupted =
        on_interrupt("Stopping after this step, with a checkpoint. Ctrl-C again leaves at once.", move || stop.stop())?;
    let engine = engine(threads)?;
    let unsaved = Unsaved::new(Arc::clone(&control), is_json);
    engine
        .requests
        .send(Request::Train { project: project.dir().to_owned(), run, from, control })
        .ok()
        .context("The engine ended before the run began")?;
    let followed = follow(&engine, project, run, is_json, &unsaved);
    // Printing may have failed, e.g. into a closed pipe: the run still ends with a checkpoint.
    engine.shut_down();
    if followed.as_ref().is_err_and(is_broken_pipe) {
        // A script that goes on with the weights has to know that they are not those of the whole run.
        output::note("Nothing reads the output any more: the run was stopped, with a checkpoint.");
        return Ok(Ending::Interrupted);
    }
    let Followed { began, resumed_at, evaluating, outcome } = followed?;
    // What could not go on is what it was: there is nothing to sum up.
    let is_as_it_was = !began && project.run(run)?.step > 0;
    if words != Words::None && !is_as_it_was {
        let ran = Ran { resumed_at, wall: started.elapsed(), evaluating };
        summary::print(project, run, ran, &outcome, is_json)?;
    }
    match outcome {
        Outcome::Failed { error } => Err(anyhow::anyhow!(error)),
        Outcome::Stopped { .. } if interrupted.load(Ordering::Acquire) => Ok(Ending::Interrupted),
        Outcome::Stopped { .. } | Outcome::Completed => Ok(Ending::Done),
    }
}

/// A run to its end.
struct Followed {
    /// It came as far as its first step.
    began: bool,
    /// The step it went on from, 0 for its beginning.
    resumed_at: u64,
    /// What its evaluations took, in seconds.
    evaluating: f64,
    outcome: Outcome,
}

fn follow(engine: &Engine, project: &Project, run: RunId, is_json: bool, unsaved: &Unsaved) -> Result<Followed> {
    let (mut resumed_at, mut evaluating) = (0, 0.0);
    let mut live = Live::new(is_json);
    let mut lines = Lines { project, run, newest: None };
    let mut watch = Watch::default();
    loop {
        let event = engine.events.recv().context("The engine ended without a word")?;
        match event {
            Event::Phase { what, done, .. } => live.phase(&what, done),
            Event::Resting { why: Some(why), .. } => live.phase(&why, None),
            Event::Started { first_step, total_steps, .. } => {
                resumed_at = first_step.saturating_sub(1);
                lines.newest = Some(resumed_at);
                live.started(first_step, total_steps);
                watch = watch_of(project, run, resumed_at)?;
            }
            Event::Step { step, metrics, eta_secs, .. } => {
                live.step(step, &metrics, eta_secs);
                tell_alarms(&mut live, watch.take(step, &metrics));
                if is_json {
                    lines.step(step, metrics)?;
                }
            }
            Event::Evaluated { step, metrics, .. } => {
                evaluating += find(&metrics, EVAL_RUNTIME).unwrap_or(0.0);
                live.evaluated(step, &metrics);
                tell_alarms(&mut live, watch.take(step, &metrics));
                if is_json {
                    lines.print(step, metrics)?;
                }
            }
            Event::Logged { level, text, .. } => live.logged(level, &text),
            Event::Saved { step, .. } => live.saved(step),
            Event::SaveFailed { .. } => {
                live.finish();
                if let Some(answer) = unsaved.ask() {
                    engine.requests.send(Request::Settle { run, answer }).ok();
                }
            }
            Event::Finished { outcome, .. } => {
                live.finish();
                return Ok(Followed { began: lines.newest.is_some(), resumed_at, evaluating, outcome });
            }
            Event::Failed { error, .. } => live.logged(LogLevel::Error, &error),
            Event::Sampled { .. }
            | Event::Paused { .. }
            | Event::Continued { .. }
            | Event::Resting { why: None, .. }
            | Event::Token { .. }
            | Event::Generated { .. }
            | Event::Drawn { .. }
            | Event::AllDrawn { .. }
            | Event::Scored { .. }
            | Event::AllScored { .. }
            | Event::TokensRead { .. }
            | Event::Preflight { .. } => {}
        }
    }
}

/// What looks at the run's numbers, with those up to this step behind it.
fn watch_of(project: &Project, run: RunId, upto: u64) -> Result<Watch> {
    let record = project.run(run)?;
    let mut watch = Watch::new(&record.config()?, record.parent_step);
    if upto > 0 {
        for (step, metrics) in project.steps(run, None)?.into_iter().take_while(|(step, _)| *step <= upto) {
            watch.take(step, &metrics);
        }
    }
    Ok(watch)
}

fn tell_alarms(live: &mut Live, alarms: Vec<Alarm>) {
    for Alarm { kind, to, sentence, .. } in alarms {
        live.logged(LogLevel::Warning, &format!("step {to}: {}. {sentence}", kind.title()));
    }
}

/// Metric lines of `--json`, every step one, in order.
struct Lines<'a> {
    project: &'a Project,
    run: RunId,
    /// The last step that was printed.
    newest: Option<u64>,
}

impl Lines<'_> {
    /// The engine never waits for us: steps that it dropped on the way are in the project.
    fn step(&mut self, step: u64, metrics: Metrics) -> Result<()> {
        if self.newest.is_some_and(|newest| newest + 1 < step) {
            for (missed, metrics) in self.project.steps(self.run, self.newest)? {
                if missed < step {
                    self.print(missed, metrics)?;
                }
            }
        }
        self.newest = Some(step);
        self.print(step, metrics)
    }

    fn print(&self, step: u64, metrics: Metrics) -> Result<()> {
        output::json(&json!({
            "run": self.run,
            "step": step,
            "metrics": as_object(metrics),
        }))
    }
}

/// Names and values as a JSON object, in their order.
pub fn as_object(metrics: Metrics) -> serde_json::Map<String, serde_json::Value> {
    metrics.into_iter().map(|(name, value)| (name, output::number(value))).collect()
}
