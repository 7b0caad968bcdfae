//! `nudge pairs`: the labelled pairs of a project, to a file other tools read.

use std::{
    io::{self, BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{
    args::Pairs,
    ending::{Ending, usage},
    output,
};
use crate::formats::trl;

pub fn run(args: &Pairs) -> Result<Ending> {
    if args.format != "trl" {
        return Err(usage(format!("There is no format \"{}\" to write; there is trl.", args.format)));
    }
    let project = args.place.open()?;
    let pairs = project.pairs_at(project.revision()?)?;
    let written = if args.out == Path::new("-") {
        let mut out = BufWriter::new(io::stdout().lock());
        let written = trl::write(&mut out, &pairs)?;
        out.flush().context("Could not print")?;
        written
    } else {
        // Written aside first: a file that was there stays whole until the new one is.
        let folder = args.out.parent().filter(|dir| !dir.as_os_str().is_empty());
        let failed = || format!("Could not write {}", args.out.display());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).with_context(failed)?;
        let mut out = BufWriter::new(file.as_file_mut());
        let written = trl::write(&mut out, &pairs)?;
        out.flush().with_context(failed)?;
        drop(out);
        file.persist(&args.out).with_context(failed)?;
        written
    };
    let mut told = vec![format!("{} pairs written", written.written)];
    for (count, why) in [
        (written.undecided, "without a better and a worse answer"),
        (written.other_kind, "of the other kind (texts and conversations cannot share a file)"),
    ] {
        if count > 0 {
            told.push(format!("{count} left out {why}"));
        }
    }
    output::note(told.join(", "));
    Ok(Ending::Done)
}
