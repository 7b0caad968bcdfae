//! `nudge stop` and `nudge pause`: what is asked of a run that another process trains.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Result;
use store::{Project, RunId, RunRecord, RunStatus};

use super::{
    args::{Pause, Stop},
    ending::{Ending, usage},
    output,
    place::{find, project_dir},
};

/// The project, and the run if one is named.
fn place(words: &[OsString], demo: bool) -> Result<(Project, Option<&OsString>)> {
    let (dir, run) = match (words, demo) {
        ([], true) => (None, None),
        ([run], true) => (None, Some(run)),
        ([dir], false) => (Some(PathBuf::from(dir)), None),
        ([dir, run], false) => (Some(PathBuf::from(dir)), Some(run)),
        _ => return Err(usage("With --demo name just a run, e.g. `--demo last`.")),
    };
    let project = Project::open(&project_dir(dir.as_ref(), demo)?)?;
    project.mark_interrupted()?;
    Ok((project, run))
}

/// The named run, else the one that is going.
fn named(project: &Project, run: Option<&OsString>) -> Result<RunRecord> {
    run.map_or_else(|| going(project), |word| find(project, &word.to_string_lossy()))
}

fn not_going(RunRecord { id, name, status, .. }: &RunRecord) -> anyhow::Error {
    anyhow::anyhow!("Run {} ({name}) is not going: it is {status}. `nudge runs` lists what is.", id.0)
}

pub fn run(args: &Stop) -> Result<Ending> {
    let (project, run) = place(&args.place, args.demo)?;
    if args.queue {
        if run.is_some() {
            return Err(usage("With --queue no run is named: all of them end."));
        }
        return stop_all(&project);
    }
    let record = named(&project, run)?;
    let RunRecord { id, name, status, .. } = &record;
    anyhow::ensure!(project.ask_to_stop(*id)?, not_going(&record));
    if *status == RunStatus::Queued {
        output::line(format!("{name} (run {}) ends when its turn comes, before its first step.", id.0))?;
        return Ok(Ending::Done);
    }
    output::line(format!(
        "{name} (run {}) ends, with a checkpoint of the steps it has done; then `nudge resume` goes on with it.",
        id.0
    ))?;
    let waiting = project.queue()?.iter().filter(|run| run.status == RunStatus::Queued).count();
    if waiting > 0 {
        output::line(format!(
            "Behind it {waiting} of the queue get their turn; `nudge queue` lists them, `nudge stop --queue` ends them too."
        ))?;
    }
    Ok(Ending::Done)
}

/// Those that wait before the one that is going, so that none of them begins meanwhile.
fn stop_all(project: &Project) -> Result<Ending> {
    let mut live = project.runs()?;
    live.retain(|run| run.status.is_live());
    live.sort_by_key(|run| run.status != RunStatus::Queued);
    let mut asked: Vec<RunId> = Vec::new();
    for run in &live {
        if project.ask_to_leave_queue(run.id)? {
            asked.push(run.id);
        }
    }
    let going = live.iter().filter(|run| run.status != RunStatus::Queued && asked.contains(&run.id)).count();
    let said = match (going, asked.len() - going) {
        (0, 0) => format!("No run is going in {}.", project.dir().display()),
        (going, waiting) => {
            let going = match going {
                0 => "No run is going".to_owned(),
                1 => "The run that is going ends with a checkpoint".to_owned(),
                n => format!("{n} runs that are going end with a checkpoint each"),
            };
            let waiting = match waiting {
                0 => "none waits behind it".to_owned(),
                1 => "the one that waits stays in the queue untrained".to_owned(),
                n => format!("the {n} that wait stay in the queue untrained"),
            };
            format!("{going}; {waiting}. `nudge queue --go` takes the queue up again.")
        }
    };
    output::line(said)?;
    Ok(Ending::Done)
}

pub fn pause(args: &Pause) -> Result<Ending> {
    let (project, run) = place(&args.place, args.demo)?;
    let record = named(&project, run)?;
    let RunRecord { id, name, status, .. } = &record;
    let is_there = *status != RunStatus::Queued && project.ask_to_pause(*id, !args.off)?;
    anyhow::ensure!(is_there, not_going(&record));
    output::line(if args.off {
        format!("{name} (run {}) goes on.", id.0)
    } else {
        format!(
            "{name} (run {}) rests within a moment, its weights still in memory; `nudge pause --off` goes on with it.",
            id.0
        )
    })?;
    Ok(Ending::Done)
}

/// The run that is being trained.
fn going(project: &Project) -> Result<RunRecord> {
    let mut runs = project.runs()?;
    runs.retain(|run| matches!(run.status, RunStatus::Running | RunStatus::Paused));
    match runs.as_slice() {
        [_] => Ok(runs.swap_remove(0)),
        [] => anyhow::bail!("No run is going in {}.", project.dir().display()),
        several => {
            let ids: Vec<String> = several.iter().map(|run| run.id.0.to_string()).collect();
            anyhow::bail!("Several runs are going: {}. Name one of them.", ids.join(", "))
        }
    }
}
