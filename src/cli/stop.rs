//! `nudge stop`: has a run that another process trains end with a checkpoint.

use std::path::PathBuf;

use anyhow::Result;
use store::{Project, RunRecord, RunStatus};

use super::{
    args::Stop,
    ending::{Ending, usage},
    output,
    place::{find, project_dir},
};

pub fn run(args: &Stop) -> Result<Ending> {
    let (dir, run) = match (args.place.as_slice(), args.demo) {
        ([], true) => (None, None),
        ([run], true) => (None, Some(run)),
        ([dir], false) => (Some(PathBuf::from(dir)), None),
        ([dir, run], false) => (Some(PathBuf::from(dir)), Some(run)),
        _ => return Err(usage("With --demo name just a run, e.g. `--demo last`.")),
    };
    let project = Project::open(&project_dir(dir.as_ref(), args.demo)?)?;
    project.mark_interrupted()?;
    let RunRecord { id, name, status, .. } = match run {
        Some(word) => find(&project, word)?,
        None => going(&project)?,
    };
    anyhow::ensure!(
        project.ask_to_stop(id)?,
        "Run {} ({name}) is not going: it is {status}. `nudge runs` lists what is.",
        id.0
    );
    if status == RunStatus::Queued {
        output::line(format!("{name} (run {}) ends when its turn comes, before its first step.", id.0))?;
        return Ok(Ending::Done);
    }
    output::line(format!(
        "{name} (run {}) ends, with a checkpoint of the steps it has done; then `nudge resume` goes on with it.",
        id.0
    ))?;
    let waiting = project.queue()?.iter().filter(|run| run.status == RunStatus::Queued).count();
    if waiting > 0 {
        output::line(format!("Behind it {waiting} of the queue get their turn; `nudge queue` lists them."))?;
    }
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
