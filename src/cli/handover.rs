//! `nudge handover`, `nudge follow`, `nudge takeback`: a run on another machine.

use std::{
    io::{self, Read as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ::handover::{Follower, HeardAway, Listener, WantedBack, give_up, hand_over, refuse, take_back};
use anyhow::{Context as _, Result};
use data::{config::Suggestion, counted};
use engine::{admit, compute_pool, protocol::LogLevel};
use serde_json::json;
use store::{NewRun, Project, RunId};
use train::{objective, run::host::RunEvent};

use super::{
    args::{Follow, Handover, Takeback},
    drive::{self, as_object},
    ending::{Ending, on_interrupt},
    live::Live,
    output,
    place::find,
    settings::Resolved,
};

/// How often a folder is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// After so long without a word it is said.
const SILENCE: Duration = Duration::from_mins(5);

pub fn run(args: &Handover, threads: Option<u16>) -> Result<Ending> {
    let mut project = Project::open(&args.project)?;
    let Resolved { config, suggestions } =
        args.method.on(&args.settings).with_threads(threads).resolve(Some(&project))?;
    refuse(&config)?;
    admit(&project, &config)?;
    if !args.json {
        for Suggestion { setting, value, because } in suggestions {
            output::note(format!("{} {value}, because {because}", setting.label));
        }
    }
    let run = project.create_run(&NewRun {
        name: args.name.clone().unwrap_or_default(),
        config_toml: config.to_toml()?,
        method: objective::name(&config.objective),
        revision: project.revision()?,
        parent: None,
    })?;
    // Whoever goes through the queue is not to train it, also where this process is killed.
    project.set_run_status(run, store::RunStatus::Running, None)?;
    let stop = stop_flag("Stopping; nothing is left of the folder. Ctrl-C again leaves at once.")?;
    let handed =
        listening(threads, args.json, &stop, |listener| Ok(hand_over(listener, &args.project, run, &args.to)?));
    let handed = match handed {
        Ok(handed) => handed,
        Err(error) => {
            // What could not be handed over is no run; the error is what counts.
            project.set_run_status(run, store::RunStatus::Failed, None)?;
            project.delete_run(run)?;
            return if stop.load(Ordering::Acquire) { Ok(Ending::Interrupted) } else { Err(error) };
        }
    };
    let folder = handed.folder.display();
    if args.json {
        output::json(&json!({"run": run, "folder": folder.to_string(), "steps": handed.steps, "model": handed.model}))?;
        return Ok(Ending::Done);
    }
    output::line(format!("Run {} is away: {} are in {folder}", run.0, counted(handed.steps, "step", "steps")))?;
    output::line(format!("Copy it to where {} is, and go on with START.txt in it", handed.model))?;
    Ok(Ending::Done)
}

pub fn follow(args: &Follow) -> Result<Ending> {
    let project = Project::open(&args.project)?;
    let run = find(&project, &args.run)?.id;
    let mut follower = Follower::new(&args.project, run)?;
    let mut told = Telling { live: Live::new(args.json), run, is_json: args.json, total: follower.total() };
    let ended = if args.from == Path::new("-") {
        follow_input(&mut follower, &mut told)
    } else {
        follow_place(&mut follower, &mut told, args)
    };
    told.live.finish();
    if let Some(remark) = follower.remark() {
        output::note(remark);
    }
    let has_ended = ended?;
    let record = project.run(run)?;
    if !args.json {
        let what = if has_ended { "has done all its steps there; nudge takeback brings it home" } else { "is away" };
        output::line(format!("Run {} {what}: step {} of {} heard", run.0, record.step, record.total_steps))?;
    }
    Ok(Ending::Done)
}

/// Gives whether the run's last step was heard.
fn follow_input(follower: &mut Follower, told: &mut Telling) -> Result<bool> {
    let mut bytes = vec![0; 1 << 16];
    let mut input = io::stdin().lock();
    loop {
        let read = match input.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.context("Could not read standard input")?,
        };
        if read == 0 {
            return Ok(false);
        }
        if told.all(follower.hear(&bytes[..read])?)? {
            return Ok(true);
        }
    }
}

fn follow_place(follower: &mut Follower, told: &mut Telling, args: &Follow) -> Result<bool> {
    let stop = stop_flag("Ends; what was heard is in the project.")?;
    let (mut last_heard, mut is_said) = (Instant::now(), false);
    loop {
        let heard = follower.look(&args.from)?;
        if !heard.is_empty() {
            (last_heard, is_said) = (Instant::now(), false);
        }
        let has_ended = told.all(heard)?;
        if has_ended || args.once || stop.load(Ordering::Acquire) {
            return Ok(has_ended);
        }
        if last_heard.elapsed() > SILENCE && !is_said {
            is_said = true;
            let text = "Nothing was heard for 5 minutes: the run there has ended, or what brings its words here has";
            told.live.logged(LogLevel::Warning, text);
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// What is shown of what is heard.
struct Telling {
    live: Live,
    run: RunId,
    is_json: bool,
    total: u64,
}

impl Telling {
    /// Whether the last step was among it.
    fn all(&mut self, heard: Vec<HeardAway>) -> Result<bool> {
        let mut has_ended = false;
        for heard in heard {
            match heard {
                HeardAway::Started { step, .. } => self.live.started(step + 1, self.total),
                HeardAway::Measured { step, metrics } => {
                    if metrics.iter().any(|(name, _)| name == "loss") {
                        self.live.step(step, &metrics, None);
                    } else {
                        self.live.evaluated(step, &metrics);
                    }
                    if self.is_json {
                        output::json(&json!({"run": self.run, "step": step, "metrics": as_object(metrics)}))?;
                    }
                }
                HeardAway::Saved { step } => self.live.saved(step),
                HeardAway::Failed(why) => self.live.logged(LogLevel::Warning, &format!("It ended there: {why}")),
                HeardAway::Ended => has_ended = true,
            }
        }
        Ok(has_ended)
    }
}

pub fn takeback(args: &Takeback, threads: Option<u16>) -> Result<Ending> {
    let project = Project::open(&args.project)?;
    let record = find(&project, &args.run)?;
    let Some(from) = args.from.as_ref().filter(|_| !args.give_up) else {
        give_up(&project, &record)?;
        output::line(format!("Run {} is given up there; nudge resume begins it again here", record.id.0))?;
        return Ok(Ending::Done);
    };
    let wanted = WantedBack { step: args.step, unproven: args.unproven };
    let stop = stop_flag("Stopping; nothing was taken back. Ctrl-C again leaves at once.")?;
    let back = listening(threads, args.json, &stop, |listener| {
        Ok(take_back(listener, &args.project, record.id, from, wanted)?)
    })?;
    if let Some(doubt) = &back.doubt {
        output::note(format!("{doubt}. It was taken back all the same, as asked"));
    }
    let checkpoint = back.checkpoint.display().to_string();
    if args.json {
        output::json(&json!({
            "run": record.id, "step": back.step, "total_steps": back.total, "checkpoint": checkpoint,
            "proven": back.doubt.is_none(), "answers": back.answers, "worst": output::number(back.worst),
        }))?;
        return Ok(Ending::Done);
    }
    let proven = if back.doubt.is_none() { "proven" } else { "not proven" };
    output::line(format!(
        "Step {} of {} of run {} is home: {checkpoint}, {proven} on {} (furthest off {:.1e})",
        back.step,
        back.total,
        record.id.0,
        counted(back.answers, "answer", "answers"),
        back.worst
    ))?;
    Ok(Ending::Done)
}

fn stop_flag(sentence: &'static str) -> Result<Arc<AtomicBool>> {
    on_interrupt(sentence, || {})
}

/// Works on the compute threads, with phases and warnings shown meanwhile.
fn listening<T: Send>(
    threads: Option<u16>,
    is_json: bool,
    stop: &AtomicBool,
    work: impl FnOnce(&mut Listener<'_>) -> Result<T> + Send,
) -> Result<T> {
    let pool = compute_pool(drive::threads(threads)).context("The system refuses threads")?;
    let mut live = Live::new(is_json);
    let done = pool.install(|| {
        let mut show = |event| match event {
            RunEvent::Phase { what, done } => live.phase(&what, done),
            RunEvent::Logged { level, text, .. } => live.logged(level, &text),
            _ => {}
        };
        work(&mut Listener::new(&mut show, stop))
    });
    live.finish();
    done
}
