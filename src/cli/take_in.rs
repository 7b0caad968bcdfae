//! `nudge take-in`: labels made meanwhile join a run at its next end of an epoch.

use anyhow::Result;

use super::{args::TakeIn, ending::Ending, output};

/// More edits than these are not counted.
const MOST_COUNTED: usize = 1_000_000;

pub fn run(args: &TakeIn) -> Result<Ending> {
    let (project, record) = args.of.open()?;
    project.ask_to_take_in(record.id, !args.not_yet)?;
    let labels = project.run_labels(record.id, MOST_COUNTED)?;
    if args.json {
        output::json(&serde_json::json!({ "run": record.id, "labels": labels }))?;
        return Ok(Ending::Done);
    }
    for taken in &labels.joined {
        output::line(format!("Step {}: {}, data revision {}", taken.step, taken.labels, taken.revision.0))?;
    }
    let (name, waiting) = (&record.name, labels.waiting);
    let always = record.config().is_ok_and(|config| config.data.live_labels);
    let text = match (args.not_yet, waiting.is_none(), record.status.is_live()) {
        (true, ..) if always => {
            format!("{name} takes new labels in at each end of an epoch by itself: data.live_labels is set")
        }
        (true, ..) => format!("{name} goes on with the labels it has. Not in it: {waiting}"),
        (false, true, true) => {
            format!("No label was made since; what is made from now on joins {name} where its epoch ends")
        }
        (false, true, false) => {
            format!("No label was made since; what is made from now on joins {name} when it goes on")
        }
        (false, false, true) => format!(
            "Taken in where the epoch of {name} ends: {waiting}. If that is the end of the run, the next run has them, or this one if it is made longer"
        ),
        (false, false, false) => format!("Taken in at an end of an epoch when {name} goes on: {waiting}"),
    };
    output::line(text)?;
    Ok(Ending::Done)
}
