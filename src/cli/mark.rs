//! `nudge mark`: what people say about a run.

use std::path::PathBuf;

use anyhow::{Result, bail};
use store::{Project, RunAbout, RunId, RunMarks, demo};

use super::{
    args::Mark,
    ending::{Ending, usage},
    output,
    place::project_and_run,
};

pub fn run(args: &Mark) -> Result<Ending> {
    if args.undo || args.redo {
        turn(args)?;
        return Ok(Ending::Done);
    }
    let (project, record) = project_and_run(&args.place, args.demo)?;
    let name = args.name.as_deref().map(str::trim);
    if name == Some("") {
        return Err(usage("A run needs a name."));
    }
    let mut marks = record.marks.clone();
    marks.tags.retain(|tag| !args.untag.contains(tag));
    args.tag.iter().for_each(|tag| marks.tag(tag));
    if let Some(note) = &args.note {
        note.trim().clone_into(&mut marks.note);
    }
    if let Some(colour) = args.colour {
        marks.colour = colour.checked_sub(1);
    }
    marks.pinned = (marks.pinned || args.pin) && !args.unpin;
    marks.archived = (marks.archived || args.archive) && !args.unarchive;
    let about = RunAbout { name: name.unwrap_or(&record.name).to_owned(), marks };
    project.set_about(record.id, &about)?;
    tell(record.id, &about)?;
    Ok(Ending::Done)
}

/// The way back and forth, which is the project's: it goes over all runs in the order in which something was said.
fn turn(args: &Mark) -> Result<()> {
    let dir = match (&args.place[..], args.demo) {
        ([dir], false) => PathBuf::from(dir),
        ([], true) => demo::open_demo(None)?,
        _ => return Err(usage("--undo and --redo are about what was said last, whichever run it is: name no run.")),
    };
    let project = Project::open(&dir)?;
    match project.turn_about(args.undo)? {
        Some(run) => tell(run, &RunAbout::of(&project.run(run)?)),
        None if args.undo => bail!("Nothing was said about a run of {} that could be taken back.", dir.display()),
        None => bail!("Nothing was taken back in {} that could be said again.", dir.display()),
    }
}

fn tell(run: RunId, about: &RunAbout) -> Result<()> {
    output::line(format!("{} (run {}): {}", about.name, run.0, said(&about.marks)))
}

fn said(RunMarks { pinned, archived, colour, tags, note }: &RunMarks) -> String {
    let mut said: Vec<String> = Vec::new();
    said.extend(pinned.then(|| "pinned".to_owned()));
    said.extend(archived.then(|| "archived".to_owned()));
    said.extend(colour.map(|colour| format!("colour {}", colour + 1)));
    said.extend((!tags.is_empty()).then(|| format!("tagged {}", tags.join(", "))));
    said.extend((!note.is_empty()).then(|| format!("note: {}", output::one_line(note, 60))));
    if said.is_empty() { "nothing is said about it".to_owned() } else { said.join(", ") }
}
