//! `nudge resume`: goes on with a run from its newest checkpoint.

use anyhow::{Context as _, Result};

use super::{args::Resume, drive, ending::Ending, place::project_and_run};
use crate::{
    engine::config::{RunConfig, Threads},
    store::{RunStatus, StoreError},
};

pub fn run(args: &Resume, threads: Option<u16>) -> Result<Ending> {
    let (project, record) = project_and_run(&args.place, args.demo)?;
    if record.status.is_live() {
        return Err(StoreError::RunIsLive(record.id).into());
    }
    if args.steps.is_none() && record.status == RunStatus::Completed {
        anyhow::bail!(
            "Run {} has done all of its {} steps. Give it more to go on, e.g. --steps {}",
            record.id.0,
            record.total_steps,
            record.total_steps * 2
        );
    }
    if args.steps.is_some() || args.device.is_some() || threads.is_some() {
        let mut config = RunConfig::from_toml(&record.config_toml).context("The run's own settings cannot be read")?;
        config.train.steps = args.steps.or(config.train.steps);
        if let Some(device) = args.device {
            config.train.device = device.to_string();
        }
        if let Some(threads) = threads {
            config.train.threads = Threads::Count(usize::from(threads));
        }
        project.set_run_config(record.id, &config.to_toml()?)?;
    }
    drive::drive(&project, record.id, threads, args.json)
}
