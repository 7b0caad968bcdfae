//! `nudge train`: records a run and trains it.

use anyhow::Result;
use data::config::{DataConfig, Suggestion};
use engine::admit;
use store::{NewRun, Project, RunId};
use train::objective;

use super::{
    args::{Settings, Train},
    drive::{self, Words},
    ending::Ending,
    output,
    place::project_dir,
    settings::{self, Resolved},
};

pub fn run(args: &Train, threads: Option<u16>) -> Result<Ending> {
    let mut settings = args.method.on(&args.settings);
    if args.hot {
        settings.set.push(format!("{}=true", DataConfig::LIVE_LABELS.key));
    }
    if args.print_config {
        let project = match (&args.project, args.demo) {
            (None, false) => None,
            (project, demo) => Some(Project::open(&project_dir(project.as_ref(), demo)?)?),
        };
        let resolved = settings.with_threads(threads).resolve(project.as_ref())?;
        output::piece(&settings::print(&resolved)?)?;
        return Ok(Ending::Done);
    }
    let dir = project_dir(args.project.as_ref(), args.demo)?;
    start(&Project::open(&dir)?, args.name.clone(), &settings, threads, args.json)
}

/// Records a run with these settings, drives it to its end and sums it up.
pub fn start(
    project: &Project,
    name: Option<String>,
    settings: &Settings,
    threads: Option<u16>,
    is_json: bool,
) -> Result<Ending> {
    let words = if is_json { Words::Json } else { Words::All };
    let (_, ending) = record_and_drive(project, name, settings, threads, words)?;
    Ok(ending)
}

/// Records a run with these settings and drives it to its end.
pub fn record_and_drive(
    project: &Project,
    name: Option<String>,
    settings: &Settings,
    threads: Option<u16>,
    words: Words,
) -> Result<(RunId, Ending)> {
    let Resolved { config, suggestions } = settings.with_threads(threads).resolve(Some(project))?;
    if words != Words::Json {
        for Suggestion { setting, value, because } in suggestions {
            output::note(format!("{} {value}, because {because}", setting.label));
        }
    }
    // A run that cannot start takes no number.
    admit(project, &config)?;
    // A connection of its own: writing needs one that nobody else holds.
    let mut writer = Project::open(project.dir())?;
    let run = writer.create_run(&NewRun {
        name: name.unwrap_or_default(),
        config_toml: config.to_toml()?,
        method: objective::name(&config.objective),
        revision: writer.revision()?,
        parent: None,
    })?;
    let ending = drive::drive(&writer, run, None, threads, words)?;
    Ok((run, ending))
}
