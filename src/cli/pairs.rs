//! `nudge pairs`: the pairs of a project, to files other tools read.

use std::{io, ops::ControlFlow, path::Path};

use anyhow::Result;
use data::{Pair, SplitRule};
use files::WriteError;
use formats::{
    Format, FormatError,
    write::{self, Plan},
};

use super::{
    args::Pairs,
    ending::{Ending, usage},
    output,
};

/// Pairs that are held at a time where not all are written.
const BATCH: usize = 512;

pub fn run(args: &Pairs) -> Result<Ending> {
    let format: Format = args.format.parse().map_err(usage)?;
    if !write::formats().any(|known| known == format) {
        let known: Vec<&str> = write::formats().map(|format| format.name).collect();
        return Err(usage(format!("The format \"{}\" is only read; there are {}.", args.format, known.join(", "))));
    }
    let project = args.place.open()?;
    let revision = project.revision()?;
    let chosen = args.which.narrows().then(|| args.which.find(&project)).transpose()?;
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<()>| {
        if let Some(chosen) = &chosen {
            return chosen.chunks(BATCH).try_for_each(|batch| project.pairs(batch)?.iter().try_for_each(&mut *see));
        }
        let mut seen = Ok(());
        project.each_pair_at(revision, &mut |pair| {
            seen = see(&pair);
            if seen.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        seen
    };
    let written = if args.out == Path::new("-") {
        write::to_stream(format, &mut io::BufWriter::new(io::stdout().lock()), &mut each)?
    } else {
        project.refuse_own(&args.out)?;
        let splits = args.splits.then_some(SplitRule { eval_fraction: args.eval_fraction, seed: args.split_seed });
        let plan = Plan { path: args.out.clone(), format, replace: args.overwrite, splits };
        write::to_path(&plan, &mut each).map_err(|error| match error.downcast_ref() {
            Some(FormatError::Output(WriteError::Exists { path })) => {
                anyhow::anyhow!("{} is there already. Name another file, or say --overwrite.", path.display())
            }
            _ => error,
        })?
    };
    anyhow::ensure!(!written.files.is_empty(), "{}.", written.sentence());
    output::note(format!("{}.", written.sentence()));
    Ok(Ending::Done)
}
