//! `nudge import`: preference files into a project, as one change that can be undone.

use std::path::Path;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{
    args::Import,
    ending::{Ending, usage},
    output,
};
use crate::{
    data::counted,
    formats::{Fault, FieldMap, Format, ImportReport, Reader},
    store::{self, Project},
};

/// More lines than this are counted, not listed; `--json` lists all that the report holds.
const LISTED: usize = 20;

pub fn run(args: &Import) -> Result<Ending> {
    let format: Format = args.format.parse().map_err(usage)?;
    let fields = FieldMap::parse(args.map.iter().map(String::as_str)).map_err(usage)?;
    let mut project = Project::open(&args.project)?;
    // Before anything comes in: one of them may be no file of records at all.
    let readers = args.files.iter().map(|file| Reader::open(file, format, &fields));
    let readers: Vec<Reader> = readers.collect::<Result<_, _>>()?;
    let mut import = project.begin_import()?;
    let mut came_in = 0;
    let mut reports = Vec::new();
    for (file, mut reader) in args.files.iter().zip(readers) {
        take_in(&mut reader, &mut import)?;
        came_in += reader.progress().pairs;
        reports.push((file.as_path(), reader.into_report()));
    }
    let applied = import.finish(&format!("Import {}", pairs(came_in)))?;
    for (file, report) in &reports {
        tell(file, report, args.json)?;
    }
    if args.json {
        output::json(&json!({"pairs": came_in, "revision": applied.revision}))?;
    } else {
        output::line(format!("{} came in; the project holds {}", pairs(came_in), project.counts()?.total()))?;
    }
    anyhow::ensure!(came_in > 0, "{}", nothing(&reports));
    if let Err(error) = settle(&mut project) {
        // The pairs are in; the window or the next import does the rest.
        output::note(format!("The search index of the project could not be brought up to date now: {error}"));
    }
    Ok(Ending::Done)
}

/// What an import leaves for later, so that it holds nobody up: the search index. Ctrl-C loses nothing of it.
fn settle(project: &mut Project) -> Result<()> {
    let bar = ProgressBar::new(project.unindexed()?).with_style(
        ProgressStyle::with_template("{bar:24} indexing for the search")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    while project.settle()? {
        bar.set_position(bar.length().unwrap_or(0).saturating_sub(project.unindexed()?));
    }
    bar.finish_and_clear();
    Ok(())
}

/// All pairs of a file.
fn take_in(reader: &mut Reader, import: &mut store::Import<'_>) -> Result<()> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{bar:24} {bytes}/{total_bytes} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    while let Some(pair) = reader.next() {
        import.add(pair?)?;
        let at = reader.progress();
        if at.pairs.is_multiple_of(256) {
            bar.set_length(at.total_bytes);
            bar.set_position(at.bytes);
            bar.set_message(pairs(at.pairs));
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn tell(file: &Path, report: &ImportReport, is_json: bool) -> Result<()> {
    if is_json {
        let lines = |faults: &[Fault]| -> Vec<serde_json::Value> {
            faults.iter().map(|fault| json!({"line": fault.line, "reason": fault.reason})).collect()
        };
        return output::json(&json!({
            "file": file,
            "format": report.format.name(),
            "records": report.records,
            "faults": lines(&report.faults),
            "more_faults": report.more_faults,
            "notes": lines(&report.notes),
            "more_notes": report.more_notes,
            "unused": report.unused,
        }));
    }
    let name = file.display();
    for (what, faults, more) in [
        ("left out", &report.faults, report.more_faults),
        ("came in, but look at it", &report.notes, report.more_notes),
    ] {
        for Fault { line, reason } in faults.iter().take(LISTED) {
            output::line(format!("{name}, line {line}: {what}: {reason}"))?;
        }
        let rest = faults.len().saturating_sub(LISTED) as u64 + more;
        if rest > 0 {
            output::line(format!("{name}: {rest} more {what}; --json lists {}", faults.len()))?;
        }
    }
    if let Some(unused) = report.unused_columns() {
        output::line(format!("{name}: {unused}; --map OURS=THEIRS takes one in"))?;
    }
    Ok(())
}

fn pairs(count: usize) -> String {
    counted(count, "pair", "pairs")
}

/// Why not one pair came in.
fn nothing(reports: &[(&Path, ImportReport)]) -> String {
    let empty = |report: &ImportReport| report.records == 0;
    match reports {
        [(file, report)] if empty(report) => format!("Nothing came in: {} holds no records.", file.display()),
        all if all.iter().all(|(_, report)| empty(report)) => "Nothing came in: the files hold no records.".to_owned(),
        [(_, report)] if report.records == 1 => "Nothing came in: the only record was left out, see above.".to_owned(),
        all => {
            let records: u64 = all.iter().map(|(_, report)| report.records).sum();
            format!("Nothing came in: all {records} records were left out, see the reasons above.")
        }
    }
}
