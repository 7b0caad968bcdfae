//! `nudge bundle`: a run in one file; `nudge open`: such a file in the window.

use anyhow::Result;
use app::Renderer;
use data::size;
use serde_json::json;
use store::Project;

use super::{
    args::{Bundle, Open},
    ending::Ending,
    output, window,
};

pub fn run(args: &Bundle) -> Result<Ending> {
    let (project, record) = args.of.open()?;
    let bundled = export::bundle(&project, record.id, &args.out, args.overwrite)?;
    if args.json {
        output::json(&json!({"run": record.id, "file": args.out, "step": bundled.step, "bytes": bundled.bytes}))?;
        return Ok(Ending::Done);
    }
    let weights = bundled.step.map_or_else(
        || "it has no checkpoint, so none of its weights are in it".to_owned(),
        |step| format!("with its weights of step {step}"),
    );
    // Standard output may be where it went.
    output::note(format!("{} is in {}, {weights}: {}.", record.name, args.out.display(), size(bundled.bytes)));
    output::note(format!("`nudge open {}` shows it, also on another machine.", args.out.display()));
    Ok(Ending::Done)
}

pub fn open(args: &Open, renderer: Renderer, threads: Option<u16>) -> Result<Ending> {
    if let Some(dir) = &args.to {
        Project::unbundle(&args.file, dir)?;
        output::line(format!("It is in {}, to be looked at; `nudge runs {}` lists it.", dir.display(), dir.display()))?;
        return Ok(Ending::Done);
    }
    let dir = Project::open_bundle(&args.file)?;
    window::run(Some(dir), renderer, threads)
}
