//! `nudge` without a command: the window, or where there is none, the demo in the terminal.

use std::{
    env,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::Result;
use app::{self, Leave, Renderer, WindowOptions};
use clap::CommandFactory as _;
use kernels::device;
use store::{Project, StoreError, demo};

use super::{
    args::{Args, Settings},
    ending::{Ending, leave_within, on_interrupt, usage},
    output, train,
};

/// Where Linux and its kin say that there is a display.
const DISPLAYS: [&str; 3] = ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"];

/// How long saving may take once the system wants the program to end: it would not wait for ever either.
const PATIENCE: Duration = Duration::from_mins(1);

pub fn run(project: Option<PathBuf>, renderer: Renderer, threads: Option<u16>) -> Result<Ending> {
    if let Some(dir) = &project
        && !Project::is_project(dir)
    {
        return Err(not_a_project(dir));
    }
    if !has_display() {
        return without_window("There is no display here", project.as_deref(), threads);
    }
    // A first look takes seconds, and a driver may fall over meanwhile: neither holds up the window, only what would
    // work on a card.
    engine::cards::try_before_use();
    if !engine::cards::remember()
        && let Err(error) = std::thread::Builder::new().name("nudge-cards".to_owned()).spawn(device::trials_before_use)
    {
        tracing::debug!("graphics cards are not tried: {error}");
    }
    let leave = Leave::default();
    let asked = leave.clone();
    let sentence = "Saving what was typed and a checkpoint, then closing. Once more leaves at once.";
    let interrupted = on_interrupt(sentence, move || {
        asked.ask();
        leave_within(PATIENCE);
    })?;
    let options = WindowOptions { renderer, threads: threads.map(usize::from), leave };
    match app::run(project.clone(), options) {
        Ok(()) if interrupted.load(Ordering::Acquire) => Ok(Ending::Interrupted),
        Ok(()) => Ok(Ending::Done),
        Err(error) => {
            tracing::info!("{error:#}");
            let why = format!("{error} on {}", displays());
            without_window(&why, project.as_deref(), threads)
        }
    }
}

/// What was typed is no project; perhaps a command was meant.
fn not_a_project(dir: &Path) -> anyhow::Error {
    let word = dir.to_string_lossy();
    let commands: Vec<String> =
        Args::command().get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    match similar::get_close_matches(&*word, &commands, 1, 0.6).first() {
        Some(command) if !dir.exists() => {
            usage(format!("There is neither a command nor a project \"{word}\". Did you mean \"{command}\"?"))
        }
        _ => StoreError::NotAProject(dir.to_owned()).into(),
    }
}

/// One sentence; then the demo, unless a project was meant.
fn without_window(why: &str, project: Option<&Path>, threads: Option<u16>) -> Result<Ending> {
    if let Some(dir) = project {
        anyhow::bail!(
            "{why}, so no window can be opened. In the terminal `nudge train {}` trains this project.",
            dir.display()
        );
    }
    output::note(format!("{why}, so here is the demo in the terminal; `nudge --help` lists what else there is."));
    let demo = Project::open(&demo::open_demo(None)?)?;
    train::start(&demo, None, &Settings::default(), threads, false)
}

/// What was tried, in words.
fn displays() -> String {
    let set = DISPLAYS.iter().filter_map(|name| {
        let value = env::var(name).ok().filter(|value| !value.is_empty())?;
        Some(format!("{name}={value}"))
    });
    let set: Vec<String> = set.collect();
    if set.is_empty() { "this screen".to_owned() } else { set.join(", ") }
}

/// Whether a window could open. Elsewhere than on Linux and its kin there is always a display to try.
fn has_display() -> bool {
    if cfg!(any(target_os = "macos", target_os = "windows")) {
        return true;
    }
    DISPLAYS.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
}
