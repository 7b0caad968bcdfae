//! `nudge probe-gpu`: tries the graphics cards, each in a process of its own.

use anyhow::{Context as _, Result, bail};
use engine::cards;

use super::{args::ProbeGpu, ending::Ending, output};

pub fn run(args: &ProbeGpu) -> Result<Ending> {
    if let Some(from) = args.from {
        cards::try_here(from, |line| output::line(line).map_err(std::io::Error::other))?;
        return Ok(Ending::Done);
    }
    let program = std::env::current_exe().context("This program does not know where it lies")?;
    let trials = cards::try_all(&program);
    if args.json {
        output::json(&trials)?;
    }
    if let Some(fault) = &trials.fault {
        bail!("{fault}. The processor is used");
    }
    if args.json {
        return Ok(Ending::Done);
    }
    for told in trials.in_words() {
        output::line(told)?;
    }
    output::line(match trials.best() {
        Some(best) => format!("Where a device is chosen by itself, it is gpu:{}", best.number),
        None if trials.cards.is_empty() => "No graphics card answers here (Vulkan, Metal or DirectX 12)".to_owned(),
        None => "Where a device is chosen by itself, it is the processor".to_owned(),
    })?;
    Ok(Ending::Done)
}
