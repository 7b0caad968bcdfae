//! `nudge import`: preference files into a project, as one change that can be undone.

use std::{ops::ControlFlow, path::Path};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    args::Import,
    ending::{Ending, usage},
    output,
};
use crate::{
    data::{Change, Edit},
    formats::{self, Fault, FieldMap, Format, ImportReport},
    store::Project,
};

/// More lines than this are counted, not listed; `--json` lists all.
const LISTED: usize = 20;

pub fn run(args: &Import) -> Result<Ending> {
    let format: Format = args.format.parse().map_err(usage)?;
    let fields = FieldMap::parse(args.map.iter().map(String::as_str)).map_err(usage)?;
    let mut project = Project::open(&args.project)?;
    let mut reports = Vec::new();
    for file in &args.files {
        reports.push((file.as_path(), read(file, format, &fields)?));
    }
    let edits: Vec<Edit> =
        reports.iter_mut().flat_map(|(_, report)| std::mem::take(&mut report.pairs)).map(Edit::add).collect();
    let came_in = edits.len();
    let label = format!("Import {came_in} pairs");
    // Counted before they were taken out: what each file gave.
    let applied = project.apply(&Change::new(label, edits))?;
    for (file, report) in &reports {
        tell(file, report, args.json)?;
    }
    if args.json {
        output::json(&json!({"pairs": came_in, "revision": applied.revision}))?;
    } else {
        output::line(format!("{came_in} pairs came in; the project holds {}", project.counts()?.total()))?;
    }
    if came_in == 0 {
        anyhow::bail!("Nothing came in. Check --format and --map.");
    }
    Ok(Ending::Done)
}

fn read(file: &Path, format: Format, fields: &FieldMap) -> Result<ImportReport> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let report = formats::read(file, format, fields, &mut |progress| {
        bar.set_length(progress.total_bytes);
        bar.set_position(progress.bytes);
        bar.set_message(format!("{} pairs", progress.pairs));
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    Ok(report)
}

fn tell(file: &Path, report: &ImportReport, is_json: bool) -> Result<()> {
    if is_json {
        let lines = |faults: &[Fault]| -> Vec<serde_json::Value> {
            faults.iter().map(|fault| json!({"line": fault.line, "reason": fault.reason})).collect()
        };
        return output::json(&json!({
            "file": file,
            "format": report.format.name(),
            "faults": lines(&report.faults),
            "notes": lines(&report.notes),
        }));
    }
    for (what, faults) in [("left out", &report.faults), ("came in, but look at it", &report.notes)] {
        for Fault { line, reason } in faults.iter().take(LISTED) {
            output::line(format!("{}, line {line}: {what}: {reason}", file.display()))?;
        }
        if faults.len() > LISTED {
            output::line(format!("{}: {} more {what}; --json lists them all", file.display(), faults.len() - LISTED))?;
        }
    }
    Ok(())
}
