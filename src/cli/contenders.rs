//! The runs that a comparison trains: which they are, and those of them that are there from an earlier time.

use ::train::{
    objective::{Objective, match_first_gradient},
    rlhf::teacher,
};
use anyhow::Result;
use data::config::{Contender, Method, ObjectiveConfig, RunConfig};
use store::{Project, RunId, RunRecord, RunStatus, StoreError};

use super::{
    args::{Compare, Settings},
    drive::{self, Words},
    ending::{Ending, usage},
    output,
    train::record_and_drive,
};

/// Trains them one after the other. Gives those that are there then, and how it ended, an error of one of them
/// included; where that was too early, what is missing is told.
pub fn train_all(args: &Compare, project: &Project, threads: Option<u16>) -> Result<(Vec<RunId>, Result<Ending>)> {
    let planned = planned(args, project)?;
    let earlier = if args.go_on { Earlier::of(project)? } else { Earlier::default() };
    let words = Words::of(args.json);
    let mut runs = Vec::new();
    let mut ended = Ok(Ending::Done);
    let mut left = planned.into_iter();
    for Planned { title, name, settings } in left.by_ref() {
        let config = settings.with_threads(threads).resolve(Some(project))?.config;
        let begun = earlier.of_settings(&config).filter(|run| !runs.contains(&run.id));
        output::note(match begun {
            None => format!("\n{title}"),
            Some(run) if run.status == RunStatus::Completed => format!("\n{title}: run {} is there already", run.id.0),
            Some(run) => format!("\n{title}: run {} goes on after step {}", run.id.0, run.step),
        });
        let done = match begun {
            None => record_and_drive(project, name, &settings, threads, words),
            Some(run) if run.status == RunStatus::Completed => Ok((run.id, Ending::Done)),
            Some(run) if run.status.is_live() => Err(StoreError::RunIsLive(run.id).into()),
            Some(run) => drive::drive(project, run.id, None, threads, words).map(|ending| (run.id, ending)),
        };
        let ending = done.map(|(run, ending)| {
            runs.push(run);
            ending
        });
        if !matches!(ending, Ok(Ending::Done)) {
            ended = ending.map_err(|error| error.context(format!("{title} could not be trained")));
            break;
        }
    }
    let untrained: Vec<String> = left.map(|planned| planned.title).collect();
    if !matches!(ended, Ok(Ending::Done)) && !runs.is_empty() {
        output::note(missing(project, &runs, &untrained)?);
    }
    Ok((runs, ended))
}

/// What a comparison that ended early lacks, and how it goes on.
fn missing(project: &Project, runs: &[RunId], untrained: &[String]) -> Result<String> {
    let records = runs.iter().map(|run| project.run(*run)).collect::<Result<Vec<_>, _>>()?;
    let half = records.iter().filter(|run| run.status != RunStatus::Completed).map(|run| match run {
        RunRecord { id, name, total_steps: 0, .. } => format!("{name} (run {}) has not begun", id.0),
        RunRecord { id, name, step, total_steps, .. } => {
            format!("{name} (run {}) has done {step} of {total_steps} steps", id.0)
        }
    });
    let none = (!untrained.is_empty()).then(|| format!("Not trained: {}", untrained.join(", ")));
    let lacks: Vec<String> = half.chain(none).collect();
    let lacks = lacks.join("; ");
    Ok(format!("\nThe comparison is not whole. {lacks}. The same command with --go-on goes on with what is missing."))
}

/// The runs that a comparison may find there, on the labels that the project has now.
#[derive(Default)]
struct Earlier(Vec<(RunRecord, RunConfig)>);

impl Earlier {
    fn of(project: &Project) -> Result<Self> {
        project.mark_interrupted()?;
        let (mut runs, now) = (project.runs()?, project.revision()?);
        runs.retain(|run| {
            run.revision == now && run.parent_step.is_none() && run.away.is_none() && run.left_out.is_none()
        });
        let with_settings = |run: RunRecord| Some((run.config().ok()?, run)).map(|(config, run)| (run, config));
        Ok(Self(runs.into_iter().filter_map(with_settings).collect()))
    }

    /// The newest of these settings.
    fn of_settings(&self, wanted: &RunConfig) -> Option<&RunRecord> {
        let is_it = |config: &RunConfig| {
            let mut config = config.clone();
            if wanted.reward.run.is_none() {
                // Which reward model a run has found it has noted.
                (config.reward.run, config.reward.step) = (None, wanted.reward.step);
            }
            config == *wanted
        };
        self.0.iter().rev().find(|(_, config)| is_it(config)).map(|(run, _)| run)
    }
}

/// A run that is to be trained.
struct Planned {
    title: String,
    /// Absent: its method.
    name: Option<String>,
    settings: Settings,
}

fn planned(args: &Compare, project: &Project) -> Result<Vec<Planned>> {
    let mut methods = Vec::new();
    for method in &args.methods {
        if methods.contains(method) {
            return Err(usage(format!("Method {} is named twice; --seeds 2 trains two runs of each.", method.word())));
        }
        methods.push(*method);
    }
    let is_kind = |setting: &&String| setting.split('=').next().is_some_and(|key| key.trim() == "objective.kind");
    if let Some(kind) = args.settings.set.iter().find(is_kind) {
        return Err(usage(format!(
            "{kind} would make every run of the comparison the same method; --methods names them."
        )));
    }
    let with = |contender: Contender, more: &[String]| {
        let mut settings = args.settings.clone();
        let mut own = vec![format!("{}={}", ObjectiveConfig::KIND.key, contender.method.name())];
        let negatives = contender.negatives(&methods);
        own.extend(negatives.map(|which| format!("{}={}", ObjectiveConfig::NEGATIVES.key, which.name())));
        // First, so that what was typed may say more of the method.
        settings.set.splice(0..0, own);
        settings.set.extend_from_slice(more);
        settings
    };
    if let Some(sampler) = Contender::lacks_scores(&methods) {
        let config = with(sampler, &[]).resolve(Some(project))?.config;
        // Known before the first run: behind the others it would be known after hours.
        teacher::find(project, &config, false).map_err(|error| {
            usage(format!("{error}. Nothing was started; --methods reward,{} fits one first.", sampler.word()))
        })?;
    }
    let mut constants = vec![Vec::new(); methods.len()];
    if args.matched {
        let resolved = methods.iter().map(|method| Ok(with(*method, &[]).resolve(Some(project))?.config));
        let mut configs = resolved.collect::<Result<Vec<_>>>()?;
        for sentence in match_first_gradient(&mut configs) {
            output::note(sentence);
        }
        let set = |config: &RunConfig| {
            let (_, key, value) = Objective::of(&config.objective).constant();
            let learns_from_pairs = Method::PREFERENCE.contains(&config.objective.kind);
            learns_from_pairs.then(|| format!("{key}={value:?}")).into_iter().collect()
        };
        constants = configs.iter().map(set).collect();
    }
    // Each seed with all methods before the next one: an interrupted comparison is still one.
    let mut planned = Vec::new();
    for seed in 0..args.seeds {
        for (method, constants) in methods.iter().zip(&constants) {
            let mut more = constants.clone();
            let mut title = method.label().to_owned();
            let mut name = method.several.then(|| title.clone());
            if args.seeds > 1 {
                more.push(format!("train.shuffle_seed={seed}"));
                title = format!("{title} seed {seed}");
                name = Some(title.clone());
            }
            planned.push(Planned { title, name, settings: with(*method, &more) });
        }
    }
    Ok(planned)
}
