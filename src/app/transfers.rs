//! Files in and out, and looking through all pairs: what takes long, on a thread of its own with its own connection.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use data::{Pair, counted};
use files::{Output, WriteError};
use formats::{
    self, FieldMap, Format, FormatError, ImportReport, Options, Reader, RecordFault,
    write::{self, Written},
};
use state::{
    Notice,
    intake::{Preview, PreviewRow},
    pairs::{ImportOutcome, Replacing, Strip, Transfer, TransferProgress},
};
use store::{Account, Added, Duplicates, Imported, Project, StoreError};

use super::{
    App,
    candidates::keep_prompts,
    jobs::{Lane, about},
    pairs::Fresh,
};

/// Pairs of an export that are held at a time.
const BATCH: usize = 512;

impl App {
    pub(super) fn examine_pairs(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let dir = project.dir.clone();
        let health = &mut self.workspace.pairs.health;
        if health.is_under_way() {
            return;
        }
        let mine = health.begin();
        let (examinations, ctx) = (Arc::clone(&health.examinations), self.ctx.clone());
        self.jobs.aside(Lane::Transfer, "Could not examine the pairs", move || {
            let mut watch = |done| {
                ctx.request_repaint_after(Duration::from_millis(100));
                examinations.tell(mine, done)
            };
            let began = Instant::now();
            let mut examine = || {
                let project = Project::open(&dir)?;
                Ok((project.examine(judge::language_of, &mut watch)?, project.mend_search()?))
            };
            let found: Result<_, StoreError> = examine();
            let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            Ok(about(dir, move |workspace, _| match found {
                Ok((found, mended)) => {
                    workspace.pairs.health.end(Some(found), took_ms);
                    if let Some(sentence) = mended {
                        workspace.notices.push(Notice::info(sentence));
                    }
                }
                Err(StoreError::CutShort) => workspace.pairs.health.end(None, took_ms),
                Err(error) => {
                    workspace.pairs.health.fail();
                    workspace.notices.push(Notice::from_error("Could not examine the pairs", &error.into()));
                }
            }))
        });
    }

    /// Reads the first pairs of a file, and says what it is.
    pub(super) fn look_at(&mut self, path: PathBuf) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else {
            return;
        };
        let Some((options, _)) = self.options() else {
            return;
        };
        let failure = format!("Could not look at {}", path.display());
        let chat = self.is_chat();
        self.jobs.aside(Lane::Transfer, "Could not look at the file", move || {
            let looked = look(&path, &options, chat);
            Ok(about(dir, move |workspace, views| match looked {
                Ok(look) => {
                    views.pairs.intake.looked(&look.columns);
                    workspace.pairs.look = Some(look);
                }
                Err(error) => {
                    workspace.notices.push(Notice::from_error(failure, &error));
                }
            }))
        });
    }

    /// How files are taken in, as chosen; what is wrong with it is told.
    fn options(&mut self) -> Option<(Options, Duplicates)> {
        match self.views.pairs.intake.options() {
            Ok(options) => Some(options),
            Err(reason) => {
                self.workspace.notices.push(Notice::warning("The names of columns cannot be read", &reason));
                None
            }
        }
    }

    /// Reads files, and those of folders, as one change.
    pub(super) fn import_pairs(&mut self, paths: Vec<PathBuf>) {
        let Some((options, duplicates)) = self.options() else {
            return;
        };
        let Some(path) = paths.first().cloned() else {
            return;
        };
        if paths.len() == 1 && formats::is_plain_text(&path) {
            self.take_prompts(path);
            return;
        }
        let Some((dir, progress)) = self.start_transfer("Reading", &path) else {
            return;
        };
        let view = &mut self.views.pairs.intake;
        if let Some(look) = self.workspace.pairs.look.take_if(|look| look.file == path) {
            view.remember(&look.columns);
            view.names.clear();
        }
        let known = view.known.clone();
        let ctx = self.ctx.clone();
        let chat = self.is_chat();
        self.views.pairs.strip = Strip::None;
        self.jobs.aside(Lane::Transfer, "Could not import", move || {
            if let [file] = &paths[..]
                && let Some(prompts) = formats::prompts_alone(file, &options)
            {
                return Ok(about(dir, move |workspace, _| {
                    workspace.pairs.transfer = None;
                    keep_prompts(prompts)
                }));
            }
            let failure = format!("Could not import {}", path.display());
            let import = || -> anyhow::Result<(ImportOutcome, Option<Fresh>)> {
                let files = formats::files(&paths)?;
                let readers = files.iter().map(|file| Reader::open(file, &with_known_names(file, &options, &known)?));
                let readers: Vec<Reader> = readers.collect::<Result<_, _>>()?;
                let mut project = Project::open(&dir)?;
                let lost = project.can_redo()?;
                let mut import = project.begin_import(duplicates)?;
                let mut outcome = ImportOutcome { file: path.clone(), ..ImportOutcome::default() };
                let count = readers.len() as u64;
                for (at, (file, mut reader)) in (0..).zip(files.iter().zip(readers)) {
                    let mut added = [0, 0];
                    while let Some(pair) = reader.next() {
                        match import.add(pair?)? {
                            Added::New => added[0] += 1,
                            Added::Known => added[1] += 1,
                        }
                        let now = reader.progress();
                        let done = [at * now.total_bytes + now.bytes, count * now.total_bytes];
                        tell(&progress, &ctx, done, outcome.added + added[0]);
                        if progress.cancelled() {
                            break;
                        }
                    }
                    outcome.cancelled = progress.cancelled();
                    take(&mut outcome, file, added, reader.into_report(), chat);
                    if outcome.cancelled {
                        break;
                    }
                }
                // A cancelled import leaves nothing behind.
                if outcome.cancelled || outcome.added + outcome.known == 0 {
                    return Ok((outcome, None));
                }
                let label = |account: Account| {
                    format!("Import {} from {}", counted(account.added, "pair", "pairs"), file_name(&path))
                };
                let Imported { applied, account } = import.finish(label)?;
                let come_since = account.known - outcome.known;
                if come_since > 0 {
                    outcome.remarks.push(format!("{come_since} came from elsewhere meanwhile, and are there once"));
                }
                (outcome.added, outcome.known) = (account.added, account.known);
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

    /// Writes the report of the last import, as a line of JSON for each record it lists.
    pub(super) fn save_report(&mut self) {
        let (Some(project), Some(import)) = (&self.workspace.project, self.workspace.pairs.import.clone()) else {
            return;
        };
        let dir = project.dir.clone();
        self.jobs.aside(Lane::Transfer, "Could not save the report", move || {
            let saved = write_report(&dir.join("imports"), &import);
            Ok(about(dir, move |workspace, _| {
                workspace.notices.push(match saved {
                    Ok(path) => Notice::info(format!("The report is in {}", path.display())),
                    Err(error) => Notice::from_error("Could not save the report", &error),
                });
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
        let plan = self.views.pairs.intake.plan(&path, replace);
        let query = self.views.pairs.query();
        let only = self.views.pairs.listed_only(&self.workspace.pairs);
        self.jobs.aside(Lane::Transfer, "Could not export", move || {
            let export = || -> anyhow::Result<Written> {
                let project = Project::open(&dir)?;
                project.refuse_own(&path)?;
                let ids = only.map_or_else(|| project.query(&query).map(Arc::new), Ok)?;
                if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                    std::fs::create_dir_all(folder)?;
                }
                let mut seen = 0;
                let all = plan.passes() * ids.len();
                let mut each = |see: &mut dyn FnMut(&Pair) -> anyhow::Result<()>| {
                    for batch in ids.chunks(BATCH) {
                        project.pairs(batch)?.iter().try_for_each(&mut *see)?;
                        seen += batch.len();
                        // They are looked at, then written.
                        let written = (seen + ids.len()).saturating_sub(all);
                        tell(&progress, &ctx, [seen as u64, all as u64], written);
                        anyhow::ensure!(!progress.cancelled(), "It was cancelled; nothing was written");
                    }
                    Ok(())
                };
                write::to_path(&plan, &mut each)
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

/// How much of all is done.
fn tell(progress: &TransferProgress, ctx: &egui::Context, [done, all]: [u64; 2], pairs: usize) {
    progress.done.store(1000 * done / all.max(1), Ordering::Relaxed);
    progress.pairs.store(pairs as u64, Ordering::Relaxed);
    ctx.request_repaint_after(Duration::from_millis(100));
}

/// The first pairs of a file, and what is wrong with those before them.
const LOOKED_AT: usize = 3;

/// `chat`: the project's model has a chat template.
fn look(path: &Path, options: &Options, chat: bool) -> anyhow::Result<Preview> {
    let files = formats::files(&[path.to_owned()])?;
    let first = files.first().map_or(path, PathBuf::as_path);
    let mut reader = Reader::open(first, options)?;
    let mut rows = Vec::new();
    while rows.len() < LOOKED_AT
        && let Some(pair) = reader.next()
    {
        rows.push(PreviewRow::of(&pair?));
    }
    let report = reader.into_report();
    let what = if report.format == Format::AUTO { report.container.clone() } else { recognised(&report) };
    let what = if files.len() > 1 { format!("{} files, the first: {what}", files.len()) } else { what };
    let faults = report.faults.iter().chain(&report.notes).take(LOOKED_AT);
    let remarks = faults.map(|fault| format!("{} {}: {}", report.unit.word(), fault.line, fault.reason));
    let mut remarks: Vec<String> = remarks.collect();
    if chat && report.text_prompts > 0 {
        remarks.push(
            "Its prompts are texts, which the model goes on with word by word, without its chat template. If they are what a user says, tick “Text prompts are what a user says”"
                .to_owned(),
        );
    }
    remarks.extend(report.unused_columns().map(|unused| format!("Of these records {unused}")));
    Ok(Preview { file: path.to_owned(), what, columns: report.columns.join(", "), rows, remarks })
}

/// The options for a file: where no names of columns are given, those that are known for its columns.
fn with_known_names(file: &Path, options: &Options, known: &BTreeMap<String, String>) -> Result<Options, FormatError> {
    let mut options = options.clone();
    // A pipe can be read only once.
    if options.names == FieldMap::default() && !known.is_empty() && file.is_file() {
        let mut reader = Reader::open(file, &options)?;
        reader.next();
        let names = known.get(&reader.into_report().columns.join(", "));
        options.names = names.and_then(|names| FieldMap::parse(names.split_whitespace()).ok()).unwrap_or_default();
    }
    Ok(options)
}

/// "CSV, read as TRL, by chosen and rejected".
fn recognised(report: &ImportReport) -> String {
    format!("{}, read as {}", report.container, report.recognised())
}

/// Writes a report into a folder that is made if need be, under the name of the file it is about.
fn write_report(folder: &Path, import: &ImportOutcome) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}.report.jsonl", file_name(&import.file)));
    let mut out = Output::create(&path, true)?;
    for (what, lines) in [("left out", &import.faults), ("look at", &import.notes)] {
        for (line, reason) in lines {
            let record = serde_json::json!({"file": import.file, "line": line, "what": what, "reason": reason});
            writeln!(out, "{record}")?;
        }
    }
    out.finish()?;
    Ok(path)
}

/// What the screen shows of one more file of an import.
/// `chat`: the project's model has a chat template.
fn take(outcome: &mut ImportOutcome, file: &Path, [added, known]: [usize; 2], report: ImportReport, chat: bool) {
    outcome.added += added;
    outcome.known += known;
    let alone = file == outcome.file;
    let of = |text: String| if alone { text } else { format!("{}: {text}", file_name(file)) };
    if report.format != Format::AUTO {
        report.format.title.clone_into(&mut outcome.format);
        outcome.remarks.push(of(recognised(&report)));
    }
    if report.records == 0 && !outcome.cancelled {
        outcome.remarks.push(of("The file holds no records".to_owned()));
    }
    if known > 0 {
        outcome.remarks.push(of(format!("{known} were there already")));
    }
    for (count, what) in [(report.more_faults, "were left out"), (report.more_notes, "deserve a look")] {
        if count > 0 {
            outcome.remarks.push(of(format!("{count} more records {what} that are not listed here")));
        }
    }
    outcome.remarks.extend(report.unused_columns().map(|unused| format!("Of {} {unused}", file_name(file))));
    outcome.remarks.extend(report.texts_to_be_continued().filter(|_| chat).map(|texts| {
        of(format!(
            "{texts}. If they are what a user says: undo this import (Ctrl+Z), then import with “Text prompts are what a user says” ticked"
        ))
    }));
    outcome.remarks.extend(report.agreement.map(|agreement| of(agreement.sentence())));
    let lines =
        |faults: Vec<RecordFault>| faults.into_iter().map(move |fault| (fault.line, fault.reason)).collect::<Vec<_>>();
    outcome.faults.extend(lines(report.faults));
    outcome.notes.extend(lines(report.notes));
}

/// The question that an export raises which found a file in its place.
fn replacing(path: &Path, error: &anyhow::Error) -> Option<Replacing> {
    let Some(FormatError::Output(WriteError::Exists { path: there })) = error.downcast_ref() else {
        return None;
    };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let end = path.extension().map_or_else(String::new, |end| format!(".{}", end.to_string_lossy()));
    let names = (2..1000).map(|number| path.with_file_name(format!("{stem}-{number}{end}")));
    let mut free =
        names.filter(|name| write::targets(name).into_iter().all(|target| target.symlink_metadata().is_err()));
    Some(Replacing { path: path.to_owned(), there: there.clone(), free: free.next()? })
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
