//! `nudge pairs`: the labelled pairs of a project, to a file other tools read.

use std::{io, ops::ControlFlow, path::Path};

use anyhow::Result;

use super::{
    args::Pairs,
    ending::{Ending, usage},
    output,
};
use crate::{
    data::Pair,
    files::WriteError,
    formats::{FormatError, write},
};

pub fn run(args: &Pairs) -> Result<Ending> {
    if args.format != "trl" {
        return Err(usage(format!("There is no format \"{}\" to write; there is trl.", args.format)));
    }
    let project = args.place.open()?;
    let revision = project.revision()?;
    let mut each = |see: &mut dyn FnMut(&Pair) -> Result<()>| {
        let mut seen = Ok(());
        project.each_pair_at(revision, &mut |pair| {
            seen = see(&pair);
            if seen.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        seen
    };
    let written = if args.out == Path::new("-") {
        write::to_stream(&mut io::BufWriter::new(io::stdout().lock()), &mut each)?
    } else {
        write::to_path(&args.out, args.overwrite, &mut each).map_err(|error| match error.downcast_ref() {
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
