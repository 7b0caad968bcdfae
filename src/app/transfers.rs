//! Files in and out, and looking through all pairs: what takes long, on a thread of its own with its own connection.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    App,
    jobs::{Lane, Next, Update, update},
    pairs::Fresh,
};
use crate::{
    data::{Pair, counted, health},
    files::WriteError,
    formats::{
        Fault, FieldMap, Format, FormatError, ImportReport, Reader,
        write::{self, Written},
    },
    state::{
        Notice, Views, Workspace,
        pairs::{ImportOutcome, Replacing, Strip, Transfer, TransferProgress},
    },
    store::{Project, Revision},
};

/// Pairs of an export that are held at a time.
const BATCH: usize = 512;

impl App {
    pub(super) fn examine_pairs(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let dir = project.dir.clone();
        self.workspace.pairs.examining = true;
        self.jobs.aside(Lane::Transfer, "Could not examine the pairs", move || {
            let examine = || -> anyhow::Result<(Revision, health::Health)> {
                let project = Project::open(&dir)?;
                let revision = project.revision()?;
                Ok((revision, health::examine(&project.pairs_at(revision)?)))
            };
            let found = examine();
            Ok(about(dir, move |workspace, _| {
                workspace.pairs.examining = false;
                match found {
                    Ok((revision, health)) => {
                        workspace.pairs.health = Some((revision, Arc::new(health)));
                    }
                    Err(error) => {
                        workspace.notices.push(Notice::from_error("Could not examine the pairs", &error));
                    }
                }
            }))
        });
    }

    pub(super) fn import_pairs(&mut self, path: PathBuf) {
        let Some((dir, progress)) = self.start_transfer("Reading", &path) else {
            return;
        };
        let ctx = self.ctx.clone();
        self.views.pairs.strip = Strip::None;
        self.jobs.aside(Lane::Transfer, "Could not import", move || {
            let failure = format!("Could not import {}", path.display());
            let import = || -> anyhow::Result<(ImportOutcome, Option<Fresh>)> {
                let mut reader = Reader::open(&path, Format::Auto, &FieldMap::default())?;
                let mut project = Project::open(&dir)?;
                let lost = project.can_redo()?;
                let mut import = project.begin_import()?;
                while let Some(pair) = reader.next() {
                    import.add(pair?)?;
                    let at = reader.progress();
                    tell(&progress, &ctx, [at.bytes, at.total_bytes], at.pairs);
                    if progress.cancelled() {
                        break;
                    }
                }
                let (added, cancelled) = (reader.progress().pairs, progress.cancelled());
                let outcome = outcome(&path, added, reader.into_report(), cancelled);
                // A cancelled import leaves nothing behind.
                if cancelled || added == 0 {
                    return Ok((outcome, None));
                }
                let pairs = counted(added, "pair", "pairs");
                let applied = import.finish(&format!("Import {pairs} from {}", file_name(&path)))?;
                let mut fresh = Fresh::read(&project, applied)?;
                fresh.lost = lost;
                Ok((outcome, Some(fresh)))
            };
            let done = import();
            Ok(about(dir, move |workspace, views| {
                workspace.pairs.transfer = None;
                match done {
                    Ok((outcome, fresh)) => {
                        workspace.pairs.import = Some(outcome);
                        if let Some(fresh) = fresh {
                            fresh.show(workspace, views);
                        }
                    }
                    Err(error) => {
                        workspace.notices.push(Notice::from_error(failure, &error));
                    }
                }
            }))
        });
    }

    /// Writes what the table shows. Where that would replace a file unasked, the screen asks.
    pub(super) fn export_pairs(&mut self, path: PathBuf, replace: bool) {
        let Some((dir, progress)) = self.start_transfer("Writing", &path) else {
            return;
        };
        let ctx = self.ctx.clone();
        self.views.pairs.strip = Strip::None;
        self.workspace.pairs.replacing = None;
        let query = self.views.pairs.filter.query();
        let only = self.views.pairs.only.as_ref().map(|only| Arc::clone(&only.ids));
        self.jobs.aside(Lane::Transfer, "Could not export", move || {
            let export = || -> anyhow::Result<Written> {
                let project = Project::open(&dir)?;
                let ids = only.map_or_else(|| project.query(&query).map(Arc::new), Ok)?;
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder)?;
                }
                let mut seen = 0;
                let mut each = |see: &mut dyn FnMut(&Pair) -> anyhow::Result<()>| {
                    for batch in ids.chunks(BATCH) {
                        project.pairs(batch)?.iter().try_for_each(&mut *see)?;
                        seen += batch.len();
                        // They are looked at, then written.
                        let done = [seen as u64, 2 * ids.len() as u64];
                        tell(&progress, &ctx, done, seen.saturating_sub(ids.len()));
                        anyhow::ensure!(!progress.cancelled(), "It was cancelled; nothing was written");
                    }
                    Ok(())
                };
                write::to_path(&path, replace, &mut each)
            };
            let done = export();
            let replacing = done.as_ref().err().and_then(|error| replacing(&path, error));
            Ok(about(dir, move |workspace, views| {
                workspace.pairs.transfer = None;
                if replacing.is_some() {
                    workspace.pairs.replacing = replacing;
                    views.pairs.strip = Strip::Export;
                    return;
                }
                workspace.notices.push(match done {
                    Ok(written) => Notice::info(written.sentence()),
                    Err(error) => Notice::from_error(format!("Could not export {}", path.display()), &error),
                });
            }))
        });
    }

    fn start_transfer(&mut self, verb: &str, path: &Path) -> Option<(PathBuf, Arc<TransferProgress>)> {
        let dir = self.workspace.project.as_ref()?.dir.clone();
        if self.workspace.pairs.transfer.is_some() {
            self.workspace.notices.push(Notice::info("One file at a time: wait for the one under way, or cancel it"));
            return None;
        }
        let progress = Arc::new(TransferProgress::default());
        self.workspace.pairs.transfer =
            Some(Transfer { what: format!("{verb} {}", file_name(path)), progress: Arc::clone(&progress) });
        Some((dir, progress))
    }
}

/// An update that is only for the project in `dir`: another one may be open by the time a transfer ends.
pub(super) fn about<N: Next>(
    dir: PathBuf,
    apply: impl FnOnce(&mut Workspace, &mut Views) -> N + Send + 'static,
) -> Update {
    update(move |workspace, views| {
        let is_open = workspace.project.as_ref().is_some_and(|project| project.dir == dir);
        if is_open { apply(workspace, views).commands() } else { Vec::new() }
    })
}

/// How much of all is done.
fn tell(progress: &TransferProgress, ctx: &egui::Context, [done, all]: [u64; 2], pairs: usize) {
    progress.done.store(1000 * done / all.max(1), Ordering::Relaxed);
    progress.pairs.store(pairs as u64, Ordering::Relaxed);
    ctx.request_repaint_after(Duration::from_millis(100));
}

/// What the screen shows of an import.
fn outcome(path: &Path, added: usize, report: ImportReport, cancelled: bool) -> ImportOutcome {
    let mut remarks = Vec::new();
    if report.records == 0 && !cancelled {
        remarks.push("The file holds no records".to_owned());
    }
    for (count, what) in [(report.more_faults, "were left out"), (report.more_notes, "deserve a look")] {
        if count > 0 {
            remarks.push(format!("{count} more records {what} that are not listed here"));
        }
    }
    if let Some(unused) = report.unused_columns() {
        remarks.push(format!("Of this file {unused}"));
    }
    let lines = |faults: Vec<Fault>| faults.into_iter().map(|fault| (fault.line, fault.reason)).collect();
    ImportOutcome {
        file: path.to_owned(),
        format: format_name(report.format).to_owned(),
        added,
        faults: lines(report.faults),
        notes: lines(report.notes),
        remarks,
        cancelled,
    }
}

/// The question that an export raises which found a file in its place.
fn replacing(path: &Path, error: &anyhow::Error) -> Option<Replacing> {
    let Some(FormatError::Output(WriteError::Exists { path: there })) = error.downcast_ref() else {
        return None;
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
    let names = (2..1000).map(|number| path.with_file_name(format!("{stem}-{number}{end}")));
    let mut free = names.filter(|name| write::targets(name).iter().all(|target| target.symlink_metadata().is_err()));
    Some(Replacing { path: path.to_owned(), there: there.clone(), free: free.next()? })
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Auto => "unknown",
        Format::Trl => "TRL",
        Format::Hh => "Anthropic HH",
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
