//! `nudge pairs`: the pairs of a project, to files other tools read.

use std::{io, ops::ControlFlow, path::Path, sync::atomic::Ordering};

use anyhow::Result;
use data::{Pair, SplitRule, config::typed::likeliest};
use files::WriteError;
use formats::{
    Format, FormatError,
    write::{self, WritePlan},
};

use super::{
    args::Pairs,
    ending::{Ending, on_interrupt, usage},
    output,
};

/// Pairs that are held at a time where not all are written, and between two looks at whether to go on.
const BATCH: usize = 512;

/// The format of this name, if pairs can be written in it.
fn written_as(name: &str) -> Result<Format> {
    let format = name.parse::<Format>().ok().filter(|format| write::formats().any(|known| known == *format));
    format.ok_or_else(|| {
        let known: Vec<&str> = write::formats().map(|format| format.name).collect();
        let meant = likeliest(name, known.iter().copied());
        let meant = meant.map_or_else(String::new, |name| format!(" Did you mean {name}?"));
        usage(format!("Pairs cannot be written as \"{name}\"; there are {}.{meant}", known.join(", ")))
    })
}

pub fn run(args: &Pairs) -> Result<Ending> {
    let format = written_as(&args.format)?;
    let project = args.place.open()?;
    let revision = project.revision()?;
    let chosen = args.which.narrows().then(|| args.which.find(&project)).transpose()?;
    let splits = args.splits.then_some(SplitRule { eval_fraction: args.eval_fraction, seed: args.split_seed });
    let plan = WritePlan { path: args.out.clone(), format, replace: args.overwrite, splits };
    let count = match &chosen {
        Some(chosen) => chosen.len(),
        None => project.counts()?.total(),
    };
    let bar = output::bar(count * plan.passes(), "{bar:24} {percent} %");
    let interrupted = on_interrupt("Stopping: no file is left of it.", || {})?;
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<()>| {
        let mut seen = 0_u64;
        let mut see = |pair: &Pair| {
            seen += 1;
            if seen.is_multiple_of(BATCH as u64) {
                bar.inc(BATCH as u64);
                anyhow::ensure!(!interrupted.load(Ordering::Acquire), "interrupted");
            }
            see(pair)
        };
        if let Some(chosen) = &chosen {
            return chosen.chunks(BATCH).try_for_each(|batch| project.pairs(batch)?.iter().try_for_each(&mut see));
        }
        let mut seen = Ok(());
        project.each_pair_at(revision, &mut |pair| {
            seen = see(&pair);
            if seen.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        seen
    };
    let to_stream = args.out == Path::new("-");
    if !to_stream {
        project.refuse_own(&args.out)?;
    }
    let written = if to_stream {
        write::to_stream(format, &mut io::BufWriter::new(io::stdout().lock()), &mut each)
    } else {
        write::to_path(&plan, &mut each)
    };
    bar.finish_and_clear();
    if written.is_err() && interrupted.load(Ordering::Acquire) {
        return Ok(Ending::Interrupted);
    }
    let written = written.map_err(|error| match error.downcast_ref() {
        Some(FormatError::Output(WriteError::Exists { path })) => {
            anyhow::anyhow!("{} is there already. Name another file, or say --overwrite.", path.display())
        }
        _ => error,
    })?;
    anyhow::ensure!(!written.files.is_empty(), "{}.", written.sentence());
    output::note(format!("{}.", written.sentence()));
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_that_is_only_read_or_unknown_is_told_those_that_are_written() {
        for (name, meant) in [("argilla", ""), ("auto", ""), ("tlr", " Did you mean trl?"), ("", "")] {
            let said = written_as(name).unwrap_err().to_string();
            assert!(said.contains("trl, ") || said.contains(", trl"), "{said}");
            assert!(!said.contains("prodigy") && said.ends_with(&format!(".{meant}")), "{said}");
        }
        assert_eq!(written_as("trl").unwrap().name, "trl");
    }
}
