//! `nudge import`: preference files into a project, as one change that can be undone.

use std::{
    cell::RefCell,
    io::{self, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    rc::Rc,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Result;
use data::counted;
use files::{Output, WriteError};
use formats::{self, FieldMap, Format, ImportReport, Options, Reader, RecordFault};
use serde_json::json;
use store::{self, Account, Duplicates, Imported, Project};

use super::{
    args::Import,
    ending::{Ending, on_interrupt, usage},
    output,
};

/// More lines than this are counted, not listed; `--json` lists all that the report holds.
const LISTED: usize = 20;

pub fn run(args: &Import) -> Result<Ending> {
    let options = options(args)?;
    let duplicates: Duplicates = args.duplicates.parse().map_err(usage)?;
    let mut project = Project::open(&args.project)?;
    let files = formats::files(&args.files)?;
    if let Some(rejected) = &args.rejected {
        spare(rejected, &files)?;
        project.refuse_own(rejected)?;
    }
    let mut of_pairs = Vec::with_capacity(files.len());
    for file in files {
        match take_prompts(&file, &options, &project)? {
            Some(came) => tell_prompts(&file, came, args)?,
            None => of_pairs.push(file),
        }
    }
    let files = of_pairs;
    if files.is_empty() {
        return Ok(Ending::Done);
    }
    // Before anything comes in: one of them may be no file of records at all.
    let mut readers: Vec<Reader> = files.iter().map(|file| Reader::open(file, &options)).collect::<Result<_, _>>()?;
    let rejected = args.rejected.as_deref().map(|path| Rejected::create(path, args.overwrite)).transpose()?;
    if let Some(rejected) = &rejected {
        for reader in &mut readers {
            reader.reject_to(rejected.clone());
        }
    }
    // What an import that was killed has left makes room for this one.
    while project.settle()? {}
    let mut import = project.begin_import(duplicates)?;
    let interrupted = on_interrupt("Stopping: the project stays as it was.", || {})?;
    let mut reports = Vec::new();
    for (file, mut reader) in files.iter().zip(readers) {
        if take_in(&mut reader, &mut import, &interrupted)?.is_break() {
            drop(import);
            while project.settle()? {}
            return Ok(Ending::Interrupted);
        }
        reports.push((file.as_path(), reader.into_report()));
    }
    let Imported { applied, account } = import.finish(|Account { added, merged, .. }| match added {
        0 => format!("Merge {}", pairs(merged)),
        _ => format!("Import {}", pairs(added)),
    })?;
    // What another import has brought in the meantime was not taken twice.
    while project.settle()? {}
    let chat = is_chat(&project)?;
    for (file, report) in &reports {
        tell(file, report, report.texts_to_be_continued().filter(|_| chat), args.json)?;
    }
    if let Some(rejected) = rejected {
        rejected.finish()?;
    }
    let Account { added, known, merged } = account;
    if args.json {
        output::json(&json!({"pairs": added, "known": known, "merged": merged, "revision": applied.revision}))?;
    } else {
        output::line(format!("{} came in; the project holds {}", pairs(added), project.counts()?.total()))?;
        if known > 0 {
            let merged = if merged > 0 { format!(", {merged} of which took a label or tags") } else { String::new() };
            output::line(format!("{known} were there already{merged}; --duplicates keep takes them in all the same"))?;
        }
    }
    anyhow::ensure!(added + known > 0, "{}", nothing(&reports));
    Ok(Ending::Done)
}

/// How the files are to be taken, in the words of the command line.
fn options(args: &Import) -> Result<Options> {
    Ok(Options {
        format: args.format.parse::<Format>().map_err(usage)?,
        names: FieldMap::parse(args.map.iter().map(String::as_str)).map_err(usage)?,
        ties: args.ties.parse().map_err(usage)?,
        several: args.several.parse().map_err(usage)?,
        scores: args.scores.parse().map_err(usage)?,
        chat: args.chat,
    })
}

/// Of a file that holds prompts and no answer: they wait in the project, for a model to make pairs of them. Says how
/// many are new and how many there are; absent of a file of pairs.
fn take_prompts(file: &Path, options: &Options, project: &Project) -> Result<Option<(usize, usize)>> {
    if !formats::is_plain_text(file) && formats::prompts_alone(file, options).is_none() {
        return Ok(None);
    }
    let chat = is_chat(project)?;
    let prompts = formats::read_prompts(file, chat)?;
    let all = prompts.len();
    Ok(Some((project.take_in_prompts(prompts)?, all)))
}

/// The project's model has a chat template, or nobody knows whether it has.
fn is_chat(project: &Project) -> Result<bool> {
    Ok(text::has_template(&project.dir().join(&project.settings()?.model)).unwrap_or(true))
}

/// What was found in a file of prompts, and what makes pairs of them.
fn tell_prompts(file: &Path, (new, all): (usize, usize), args: &Import) -> Result<()> {
    if args.json {
        return output::json(&json!({"file": file, "prompts": new, "known_prompts": all - new}));
    }
    let known = if new < all { format!(", {} were there already", all - new) } else { String::new() };
    output::line(format!(
        "{}: {} without answers came in{known}; nudge sample {} has a model answer those that wait",
        file.display(),
        counted(new, "prompt", "prompts"),
        args.project.display()
    ))
}

/// The file of what is left out would take the place of what it is left out of.
fn spare(rejected: &Path, files: &[PathBuf]) -> Result<()> {
    let Ok(rejected) = rejected.canonicalize() else { return Ok(()) };
    let same = |file: &&PathBuf| file.canonicalize().is_ok_and(|file| file == rejected);
    match files.iter().find(same) {
        Some(file) => {
            let sentence = format!("--rejected names {}, which is read from; name another file.", file.display());
            Err(usage(sentence))
        }
        None => Ok(()),
    }
}

/// The file of the records that did not come in, which all files' readers write to.
#[derive(Clone)]
struct Rejected {
    out: Rc<RefCell<Output>>,
    path: PathBuf,
}

impl Rejected {
    fn create(path: &Path, replace: bool) -> Result<Self> {
        let out = Output::create(path, replace).map_err(|error| match error {
            WriteError::Exists { path } => {
                anyhow::anyhow!("{} is there already. Name another file, or say --overwrite.", path.display())
            }
            other => other.into(),
        })?;
        Ok(Self { out: Rc::new(RefCell::new(out)), path: path.to_owned() })
    }

    fn finish(self) -> Result<()> {
        if let Ok(out) = Rc::try_unwrap(self.out) {
            out.into_inner().finish()?;
            output::note(format!("What was left out is in {}.", self.path.display()));
        }
        Ok(())
    }
}

impl Write for Rejected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.borrow_mut().flush()
    }
}

/// All pairs of a file. `Break`: somebody wants no more of them.
fn take_in(reader: &mut Reader, import: &mut store::Import<'_>, interrupted: &AtomicBool) -> Result<ControlFlow<()>> {
    let bar = output::bar(0, "{bar:24} {bytes}/{total_bytes} {msg}");
    while let Some(pair) = reader.next() {
        import.add(pair?)?;
        let at = reader.progress();
        if at.pairs.is_multiple_of(256) {
            if interrupted.load(Ordering::Acquire) {
                return Ok(ControlFlow::Break(()));
            }
            bar.set_length(at.total_bytes);
            bar.set_position(at.bytes);
            bar.set_message(pairs(at.pairs));
        }
    }
    bar.finish_and_clear();
    Ok(ControlFlow::Continue(()))
}

/// `texts`: what is to be said of prompts that are texts, where the project's model has a chat template.
fn tell(file: &Path, report: &ImportReport, texts: Option<String>, is_json: bool) -> Result<()> {
    if is_json {
        let lines = |faults: &[RecordFault]| -> Vec<serde_json::Value> {
            faults.iter().map(|fault| json!({"line": fault.line, "reason": fault.reason})).collect()
        };
        return output::json(&json!({
            "file": file,
            "container": report.container,
            "format": report.format.name,
            "records": report.records,
            "unit": report.unit.word(),
            "faults": lines(&report.faults),
            "more_faults": report.more_faults,
            "notes": lines(&report.notes),
            "more_notes": report.more_notes,
            "unused": report.unused,
            "text_prompts": report.text_prompts,
            "agreement": report.agreement.map(|agreement| {
                json!({"records": agreement.records, "same": agreement.same, "kappa": agreement.kappa})
            }),
        }));
    }
    let name = file.display();
    if report.format != Format::AUTO {
        output::line(format!("{name}: {}, read as {}", report.container, report.recognised()))?;
    }
    for (what, faults, more) in [
        ("left out", &report.faults, report.more_faults),
        ("came in, but look at it", &report.notes, report.more_notes),
    ] {
        for RecordFault { line, reason } in faults.iter().take(LISTED) {
            output::line(format!("{name}, {} {line}: {what}: {reason}", report.unit.word()))?;
        }
        let rest = faults.len().saturating_sub(LISTED) as u64 + more;
        if rest > 0 {
            output::line(format!("{name}: {rest} more {what}; --json lists {}", faults.len()))?;
        }
    }
    if let Some(unused) = report.unused_columns() {
        output::line(format!("{name}: {unused}; --map OURS=THEIRS takes one in"))?;
    }
    if let Some(texts) = texts {
        output::line(format!(
            "{name}: {texts}. If they are what a user says, take this import back (Ctrl+Z in the window) and import with --chat"
        ))?;
    }
    if let Some(agreement) = report.agreement {
        output::line(format!("{name}: {}", agreement.sentence()))?;
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
