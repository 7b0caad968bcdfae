//! `nudge` without a command: the window, or where there is none, the demo in the terminal.

use std::{
    env,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
    time::Duration,
};

use anyhow::Result;
use app::{self, Leave, Renderer, WindowOptions};
use kernels::device;
use store::{Project, StoreError, demo};

use super::{
    args::Settings,
    ending::{Ending, leave_within, on_interrupt_telling},
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
        return Err(StoreError::NotAProject(dir.clone()).into());
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
    let interrupted = on_interrupt_telling(move || {
        let is_training = asked.ask();
        leave_within(PATIENCE);
        if is_training {
            "Saving what was typed and a checkpoint, then closing. Once more leaves at once."
        } else {
            "Saving what was typed, then closing. Once more leaves at once."
        }
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
