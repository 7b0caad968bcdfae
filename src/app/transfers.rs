//! Files in and out, and looking through all pairs: what takes long, on a thread of its own with its own connection.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{App, Update, pairs::Fresh};
use crate::{
    data::{Change, Edit, Pair, health},
    formats,
    state::{
        Notice, Views, Workspace,
        pairs::{ImportOutcome, Strip, Transfer, TransferProgress},
    },
    store::{Project, Revision},
};

impl App {
    pub(super) fn examine_pairs(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let dir = project.dir.clone();
        self.workspace.pairs.examining = true;
        self.transfers.open("Could not examine the pairs", move |_| {
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

    pub(super) fn import_pairs(&mut self, path: PathBuf, ctx: &egui::Context) {
        let Some((dir, progress)) = self.start_transfer("Reading", &path) else {
            return;
        };
        let ctx = ctx.clone();
        self.views.pairs.strip = Strip::None;
        self.transfers.open("Could not import", move |_| {
            let failure = format!("Could not import {}", path.display());
            let import = || -> anyhow::Result<(ImportOutcome, Option<Fresh>)> {
                let report = formats::read(&path, formats::Format::Auto, &formats::FieldMap::default(), &mut |at| {
                    let share = 1000 * at.bytes / at.total_bytes.max(1);
                    progress.done.store(share, Ordering::Relaxed);
                    progress.pairs.store(at.pairs as u64, Ordering::Relaxed);
                    ctx.request_repaint_after(Duration::from_millis(100));
                    if progress.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                let lines =
                    |faults: Vec<formats::Fault>| faults.into_iter().map(|fault| (fault.line, fault.reason)).collect();
                let mut outcome = ImportOutcome {
                    format: format_name(report.format).to_owned(),
                    added: 0,
                    faults: lines(report.faults),
                    notes: lines(report.notes),
                    cancelled: report.cancelled,
                    file: path.clone(),
                };
                // A cancelled import leaves nothing behind.
                if report.cancelled || report.pairs.is_empty() {
                    return Ok((outcome, None));
                }
                outcome.added = report.pairs.len();
                let name = file_name(&path);
                let label = format!("Import {} pairs from {name}", outcome.added);
                let edits = report.pairs.into_iter().map(Edit::add).collect();
                let mut project = Project::open(&dir)?;
                let applied = project.apply(&Change::new(label, edits))?;
                let fresh = Fresh::read(&project, applied)?;
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

    pub(super) fn export_pairs(&mut self, path: PathBuf) {
        let Some((dir, _)) = self.start_transfer("Writing", &path) else {
            return;
        };
        self.views.pairs.strip = Strip::None;
        let query = self.views.pairs.filter.query();
        self.transfers.open("Could not export", move |_| {
            let export = || -> anyhow::Result<formats::trl::Written> {
                let project = Project::open(&dir)?;
                let pairs = project.pairs(&project.query(&query)?)?;
                write_aside(&path, &pairs)
            };
            let done = export();
            Ok(about(dir, move |workspace, _| {
                workspace.pairs.transfer = None;
                let name = path.display();
                workspace.notices.push(match done {
                    Ok(written) if written.other_kind > 0 => Notice::info(format!(
                        "Wrote {} pairs to {name}; {} with the other kind of prompt were left out, because one file holds plain texts or conversations: filter for them and export again",
                        written.written, written.other_kind
                    )),
                    Ok(written) if written.undecided > 0 => Notice::info(format!(
                        "Wrote {} pairs to {name}; {} without a better answer were left out",
                        written.written, written.undecided
                    )),
                    Ok(written) => {
                        Notice::info(format!("Wrote {} pairs to {name}", written.written))
                    }
                    Err(error) => Notice::from_error(format!("Could not export {name}"), &error),
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
pub(super) fn about(dir: PathBuf, update: impl FnOnce(&mut Workspace, &mut Views) + Send + 'static) -> Update {
    Box::new(move |workspace, views| {
        let project = workspace.project.as_ref();
        if project.is_some_and(|project| project.dir == dir) {
            update(workspace, views);
        }
    })
}

/// Writes beside the target and renames, so that a full disk leaves the old file.
fn write_aside(path: &Path, pairs: &[Pair]) -> anyhow::Result<formats::trl::Written> {
    let aside = path.with_extension("part");
    let write = || -> anyhow::Result<formats::trl::Written> {
        let mut out = BufWriter::new(File::create(&aside)?);
        let written = formats::trl::write(&mut out, pairs)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        std::fs::rename(&aside, path)?;
        Ok(written)
    };
    write().inspect_err(|_| {
        std::fs::remove_file(&aside).ok();
    })
}

fn format_name(format: formats::Format) -> &'static str {
    match format {
        formats::Format::Auto => "unknown",
        formats::Format::Trl => "TRL",
        formats::Format::Hh => "Anthropic HH",
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
