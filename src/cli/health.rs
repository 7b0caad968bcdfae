//! `nudge health`: what is suspicious about the pairs, and mending a kind of it at once.

use std::ops::ControlFlow;

use anyhow::Result;
use data::{
    PairId, counted,
    health::{Finding, FindingKind, Health, LengthBias, Remedy},
};
use serde_json::{Value, json};
use store::Project;

use super::{
    args,
    ending::{Ending, usage},
    output,
};

/// More pairs than this are counted, not listed; `--json` lists all.
const LISTED: usize = 10;

pub fn run(args: &args::Health) -> Result<Ending> {
    let asked = args.mend.as_deref().map(|kind| asked(kind, args.by.as_deref())).transpose()?;
    let mut project = args.place.open()?;
    let bar = output::bar(100, "{bar:24} {percent} % looked at");
    let (revision, health) = project.examine(judge::language_of, &mut |done| {
        bar.set_position((100.0 * done) as u64);
        ControlFlow::Continue(())
    })?;
    bar.finish_and_clear();
    if let Some(mended) = project.mend_search()? {
        output::note(format!("{mended}."));
    }
    if let Some((kind, remedy)) = asked {
        return mend(&mut project, &health, kind, remedy, args.json);
    }
    if args.json {
        let findings: Vec<Value> = health.findings.iter().map(as_json).collect();
        let sources = health.length_by_source.iter();
        let sources: Vec<Value> = sources.map(|(file, bias)| json!({"file": file, "length": lengths(bias)})).collect();
        output::json(&json!({
            "revision": revision,
            "pairs": health.pairs,
            "decided": health.decided,
            "findings": findings,
            "length": lengths(&health.length),
            "length_by_source": sources,
            "length_over_time": health.over_time.map(|(halves, _)| halves.map(|bias| lengths(&bias))),
            "languages": health.languages.iter().map(|(name, count)| json!({"name": name, "answers": count})).collect::<Vec<_>>(),
        }))?;
        return Ok(Ending::Done);
    }
    print(&health)?;
    Ok(Ending::Done)
}

fn asked(kind: &str, remedy: Option<&str>) -> Result<(FindingKind, Remedy)> {
    let kinds = || FindingKind::ALL.map(FindingKind::word).join(", ");
    let kind = FindingKind::ALL
        .into_iter()
        .find(|known| known.word() == kind)
        .ok_or_else(|| usage(format!("There is no kind of finding \"{kind}\"; there are {}.", kinds())))?;
    let remedies = kind.remedies();
    let found = match remedy {
        None => remedies.first(),
        Some(word) => remedies.iter().find(|known| known.word() == word),
    };
    let words: Vec<&str> = remedies.iter().map(|remedy| remedy.word()).collect();
    found
        .map(|remedy| (kind, *remedy))
        .ok_or_else(|| usage(format!("{} are mended by {}.", kind.word(), words.join(", "))))
}

fn mend(project: &mut Project, health: &Health, kind: FindingKind, remedy: Remedy, is_json: bool) -> Result<Ending> {
    let Some(finding) = health.finding(kind) else {
        anyhow::bail!("No pairs {}; nothing was changed.", kind.does(0));
    };
    let applied = project.remedy(finding, remedy)?;
    if is_json {
        output::json(&json!({"pairs": applied.pairs, "change": applied.label, "revision": applied.revision}))?;
    } else {
        let changed = counted(applied.pairs.len(), "pair", "pairs");
        output::line(format!("{}: {changed} changed, as one step that can be undone", applied.label))?;
    }
    Ok(Ending::Done)
}

fn as_json(finding: &Finding) -> Value {
    let remedies: Vec<&str> = finding.kind.remedies().iter().map(|remedy| remedy.word()).collect();
    json!({"kind": finding.kind.word(), "pairs": finding.count, "groups": finding.groups, "remedies": remedies})
}

fn lengths(bias: &LengthBias) -> Value {
    json!({
        "compared": bias.compared,
        "longer_chosen": bias.longer_chosen,
        "mean_chosen": bias.mean_chosen,
        "mean_rejected": bias.mean_rejected,
    })
}

fn print(health: &Health) -> Result<()> {
    output::line(format!("{}, {} with a better answer", counted(health.pairs, "pair", "pairs"), health.decided))?;
    if health.is_clean() {
        output::line("Nothing suspicious was found")?;
    }
    for finding in &health.findings {
        let kind = finding.kind;
        let ids: Vec<PairId> = finding.groups.iter().flatten().take(LISTED).copied().collect();
        let ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
        let more = if finding.count > ids.len() { ", …" } else { "" };
        let remedies: Vec<&str> = kind.remedies().iter().map(|remedy| remedy.word()).collect();
        output::line(format!(
            "{} {} ({}{more}). {}. --mend {} --by {}",
            counted(finding.count, "pair", "pairs"),
            kind.does(finding.count),
            ids.join(", "),
            kind.about(),
            kind.word(),
            remedies.join("|"),
        ))?;
    }
    let share = |bias: &LengthBias| bias.longer_share().map(|share| format!("{:.0} %", 100.0 * share));
    if let Some(longer) = share(&health.length) {
        output::line(format!(
            "The longer answer is chosen in {longer} of {}",
            counted(health.length.compared, "pair", "pairs")
        ))?;
    }
    for (file, bias) in &health.length_by_source {
        if let Some(longer) = share(bias) {
            output::line(format!("  of {file}: {longer} of {}", bias.compared))?;
        }
    }
    if let Some(([older, newer], _)) = &health.over_time
        && let (Some(older), Some(newer)) = (share(older), share(newer))
    {
        output::line(format!("  in the older half of the verdicts {older}, in the newer {newer}"))?;
    }
    let total: usize = health.languages.iter().map(|(_, count)| count).sum();
    if health.languages.len() > 1 {
        let named = health.languages.iter();
        let named: Vec<String> =
            named.map(|(name, count)| format!("{name} {:.0} %", 100.0 * *count as f64 / total as f64)).collect();
        output::line(format!("Languages of the chosen answers (guessed from {total}): {}", named.join(", ")))?;
    }
    Ok(())
}
