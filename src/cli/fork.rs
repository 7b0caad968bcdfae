//! `nudge fork`: a new run that goes on from a checkpoint of another one, with changed settings or without some pairs.

use anyhow::Result;
use data::{
    PairId,
    config::{Threads, validate},
};
use engine::{admit, fork};
use store::{LeftOut, PairQuery, Project};

use super::{
    args::Fork,
    drive::{self, Words},
    ending::{Ending, usage},
    settings::overrides,
};

pub fn run(args: &Fork, threads: Option<u16>) -> Result<Ending> {
    let (mut project, record) = args.of.open()?;
    let config = record.config()?;
    let mut config = config.with_overrides(&overrides(&args.set)?).map_err(|error| usage(error.to_string()))?;
    config.train.steps = args.steps.or(config.train.steps);
    if let Some(device) = args.device {
        config.train.device = device.to_string();
    }
    if let Some(threads) = threads {
        config.train.threads = Threads::Count(usize::from(threads));
    }
    let faults: Vec<String> = validate(&config).into_iter().map(|(_, sentence)| sentence).collect();
    if !faults.is_empty() {
        return Err(usage(faults.join("\n")));
    }
    admit(&project, &config)?;
    let left_out = left_out(&project, &args.without_tag, &args.without)?;
    let run = fork::fork(
        &mut project,
        &fork::Fork { run: record.id, at: args.at, name: args.name.clone(), config, left_out },
    )?;
    let words = if args.json { Words::Json } else { Words::All };
    drive::drive(&project, run, Some(args.at).filter(|at| *at > 0), threads, words)
}

/// The pairs with one of these tags, and those of these numbers.
fn left_out(project: &Project, tags: &[String], numbers: &[i64]) -> Result<Option<LeftOut>> {
    let mut left_out: Option<LeftOut> = None;
    let mut add = |which: String, pairs: Vec<PairId>| {
        let more = LeftOut::new(which, pairs);
        left_out = Some(match left_out.take() {
            Some(before) => before.and(more),
            None => more,
        });
    };
    for tag in tags {
        let pairs = project.query(&PairQuery { tag: Some(tag.clone()), ..PairQuery::default() })?;
        if pairs.is_empty() {
            let known: Vec<String> = project.tags()?.into_iter().map(|(tag, _)| tag).collect();
            let known = if known.is_empty() {
                "no pair has a tag".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            anyhow::bail!("No pair is tagged \"{tag}\"; {known}.");
        }
        add(format!("tagged “{tag}”"), pairs);
    }
    if !numbers.is_empty() {
        let ids: Vec<PairId> = numbers.iter().copied().map(PairId).collect();
        let found = project.pairs(&ids)?;
        if let Some(missing) = ids.iter().find(|id| !found.iter().any(|pair| pair.id == **id)) {
            anyhow::bail!("There is no pair {}. `nudge pairs` writes them with their numbers.", missing.0);
        }
        add("named by number".to_owned(), ids);
    }
    Ok(left_out)
}
