//! `nudge answers`: how a run answered the probes, step by step.

use anyhow::Result;
use serde_json::json;

use super::{args::Answers, ending::Ending, output, place::project_and_run};
use crate::store::SampleRecord;

pub fn run(args: &Answers) -> Result<Ending> {
    let (project, record) = project_and_run(&args.place, args.demo)?;
    let mut samples = project.samples(record.id)?;
    samples.sort_by_key(|sample| (sample.probe, sample.step));
    let notes: Vec<String> = project.probes()?.into_iter().map(|probe| probe.note).collect();
    let mut printed: Option<usize> = None;
    for (index, record) in samples.iter().enumerate() {
        if args.ends && !is_end(&samples, index) {
            continue;
        }
        let SampleRecord { step, probe, sample } = record;
        if args.json {
            output::json(&json!({
                "probe": probe,
                "step": step,
                "prompt": sample.prompt,
                "answer": sample.answer,
                "tokens": sample.tokens,
                "ended": sample.ended,
            }))?;
            continue;
        }
        if printed != Some(*probe) {
            let note = notes.get(*probe).filter(|note| !note.is_empty());
            let note = note.map_or(String::new(), |note| format!("  ({note})"));
            let gap = if printed.is_some() { "\n" } else { "" };
            output::line(format!("{gap}{}{note}", sample.prompt.last_text().trim()))?;
            printed = Some(*probe);
        }
        let cut = if sample.ended { "" } else { " […]" };
        let answer = sample.answer.trim().replace('\n', "\n             ");
        output::line(format!("  step {step:>5}  {answer}{cut}"))?;
    }
    if samples.is_empty() && !args.json {
        output::line(format!("Run {} has not answered any probe.", record.id.0))?;
    }
    Ok(Ending::Done)
}

/// The first or the last answer to its probe.
fn is_end(samples: &[SampleRecord], index: usize) -> bool {
    let probe = |index: usize| samples.get(index).map(|sample| sample.probe);
    let here = probe(index);
    index == 0 || probe(index - 1) != here || probe(index + 1) != here
}
