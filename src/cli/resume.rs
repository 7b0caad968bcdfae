//! `nudge resume`: goes on with a run from its newest checkpoint, or from one that is named.

use anyhow::Result;
use data::{
    config::{RunConfig, Threads},
    counted,
};
use engine::{fit_to_resume, goes_on_from};
use store::{RunRecord, StoreError};

use super::{
    args::Resume,
    drive::{self, Words},
    ending::Ending,
};

pub fn run(args: &Resume, threads: Option<u16>) -> Result<Ending> {
    let (project, record) = args.of.open()?;
    if record.status.is_live() {
        return Err(StoreError::RunIsLive(record.id).into());
    }
    let mut config = record.config()?;
    refuse_no_steps(args, &record, &config)?;
    if args.steps.is_some() || args.device.is_some() || threads.is_some() {
        config.train.steps = args.steps.or(config.train.steps);
        if let Some(device) = args.device {
            config.train.device = device.to_string();
        }
        if let Some(threads) = threads {
            config.train.threads = Threads::Count(usize::from(threads));
        }
        // What cannot be is refused before it stands in the run's record.
        fit_to_resume(&config)?;
        project.set_run_config(record.id, &config.to_toml()?)?;
    }
    let words = if args.json { Words::Json } else { Words::All };
    drive::drive(&project, record.id, args.step, threads, words)
}

/// Refuses a run that would have no step left to do, while nothing of it was touched.
fn refuse_no_steps(args: &Resume, record: &RunRecord, config: &RunConfig) -> Result<()> {
    let done = goes_on_from(record, args.step)?;
    // 0 until they were counted: a run by its epochs knows only from its data how many there are.
    let total = args.steps.or(config.train.steps).unwrap_or(record.total_steps);
    if total == 0 || done < total {
        return Ok(());
    }
    let id = record.id.0;
    match args.steps {
        Some(steps) => anyhow::bail!(
            "Run {id} has done {}, so it cannot go on to step {steps}; nothing was changed. Give it more, e.g. --steps \
             {}, or go back to an earlier checkpoint with --step",
            counted(done as usize, "step", "steps"),
            done * 2
        ),
        None => anyhow::bail!(
            "Run {id} has done all of its {}. Give it more to go on, e.g. --steps {}",
            counted(total as usize, "step", "steps"),
            done.max(total) * 2
        ),
    }
}
