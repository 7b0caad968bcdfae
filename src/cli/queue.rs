//! `nudge queue`: the runs that wait for their turn, and what trains them without a window.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Result;
use app::desktop;
use serde_json::json;
use store::{Project, RunId, RunRecord, RunStatus, StoreError};

use super::{
    args::Queue,
    drive::{self, Words},
    ending::{Ending, usage},
    output,
    place::find,
};

/// How long the desktop may take to be told.
const PATIENCE: Duration = Duration::from_secs(2);

pub fn run(args: &Queue, threads: Option<u16>) -> Result<Ending> {
    let project = args.place.open()?;
    project.mark_interrupted()?;
    put_in_order(&project, &args.order)?;
    if args.go {
        let first = args.first.as_ref().map(|word| find(&project, word)).transpose()?;
        let words = if args.json { Words::Json } else { Words::All };
        return go(&project, first, threads, words, args.tell);
    }
    list(&project, args.json)?;
    Ok(Ending::Done)
}

/// The named ones first.
fn put_in_order(project: &Project, words: &[String]) -> Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    let queue = project.queue()?;
    let mut order: Vec<RunId> = Vec::new();
    for word in words {
        let run = find(project, word)?;
        if !queue.iter().any(|waiting| waiting.id == run.id) {
            return Err(usage(format!(
                "Run {} does not wait: it is {}. `nudge queue` lists those that do.",
                run.id.0, run.status
            )));
        }
        if order.contains(&run.id) {
            return Err(usage(format!("Run {} is named twice.", run.id.0)));
        }
        order.push(run.id);
    }
    let behind = queue.iter().map(|waiting| waiting.id).filter(|run| !order.contains(run));
    let order: Vec<RunId> = order.iter().copied().chain(behind).collect();
    project.set_queue_order(&order)?;
    Ok(())
}

fn list(project: &Project, is_json: bool) -> Result<()> {
    let queue = project.queue()?;
    if is_json {
        for (place, run) in queue.iter().enumerate() {
            let RunRecord { id, name, status, step, .. } = run;
            output::json(&json!({"place": place + 1, "run": id, "name": name, "status": status, "step": step}))?;
        }
        return Ok(());
    }
    if queue.is_empty() {
        output::line(format!("No run waits in {}.", project.dir().display()))?;
        return Ok(());
    }
    let row = |(place, run): (usize, &RunRecord)| {
        let who = if run.waited() { "nobody trains it: --go does" } else { "queued" };
        vec![
            (place + 1).to_string(),
            run.id.0.to_string(),
            output::one_line(&run.name, 32),
            run.method.clone(),
            who.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = queue.iter().enumerate().map(row).collect();
    output::table(&["place", "run", "name", "method", "status"], &[true, true, false, false, false], &rows)
}

/// Trains the queue to its end. A run that fails does not keep the others from going.
fn go(project: &Project, first: Option<RunRecord>, threads: Option<u16>, words: Words, tells: bool) -> Result<Ending> {
    // In this process's hands, and not yet trained.
    let mut mine = BTreeSet::new();
    let (mut tried, mut failed) = (BTreeSet::new(), Vec::new());
    let mut next = first;
    loop {
        claim(project, &tried, &mut mine)?;
        let run = match next.take() {
            Some(run) => run,
            // Read again, as somebody may have set another order meanwhile.
            None => match project.queue()?.into_iter().find(|run| mine.contains(&run.id)) {
                Some(run) => run,
                None => break,
            },
        };
        tried.insert(run.id);
        mine.remove(&run.id);
        if project.is_asked_to_leave_queue(run.id)? {
            // The whole queue was asked to end: it waits for whoever takes it up again.
            project.set_waited(run.id)?;
            continue;
        }
        if words == Words::All {
            output::note(format!("\n{} (run {})", run.name, run.id.0));
        }
        let ending = drive::drive(project, run.id, None, threads, words);
        // Who interrupts it knows.
        if tells && !matches!(ending, Ok(Ending::Interrupted)) {
            let what = if ending.is_ok() { "is done" } else { "failed" };
            desktop::tell(&format!("{} {what}", run.name), &project.dir().display().to_string(), PATIENCE);
        }
        match ending {
            Ok(Ending::Interrupted) => {
                for run in mine {
                    project.set_waited(run)?;
                }
                return Ok(Ending::Interrupted);
            }
            Ok(_) => {}
            Err(error) => {
                output::note(format!("{}: {error:#}", run.name));
                failed.push(run.name);
            }
        }
    }
    if tried.is_empty() {
        output::note(format!("No run waits in {}.", project.dir().display()));
    }
    anyhow::ensure!(failed.is_empty(), "Not all of the queue could be trained: {} failed", failed.join(", "));
    Ok(Ending::Done)
}

/// Takes those that wait into this process's hands, so that a window shows them as waiting here. What another living
/// process has stays with it.
fn claim(project: &Project, tried: &BTreeSet<RunId>, mine: &mut BTreeSet<RunId>) -> Result<()> {
    for run in project.queue()?.iter().filter(|run| run.waited() && !tried.contains(&run.id)) {
        match project.set_run_status(run.id, RunStatus::Queued, None) {
            Ok(()) => {
                mine.insert(run.id);
            }
            Err(StoreError::RunIsLive(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
