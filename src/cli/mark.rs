//! `nudge mark`: what people say about a run.

use anyhow::Result;
use store::{RunAbout, RunMarks};

use super::{
    args::Mark,
    ending::{Ending, usage},
    output,
    place::project_and_run,
};

pub fn run(args: &Mark) -> Result<Ending> {
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
    output::line(format!("{} (run {}): {}", about.name, record.id.0, said(&about.marks)))?;
    Ok(Ending::Done)
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
