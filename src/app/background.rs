//! A run goes on without the window: a process of its own takes it up where the window let go of it, and the queue
//! behind it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use state::Notice;
use store::{RunId, RunStatus};

use super::App;

/// What the process says goes here, in the project's `runs`.
const LOG: &str = "background.log";

impl App {
    /// Starts the process for a run that was stopped with a checkpoint; whether the window may close.
    pub(super) fn hand_over(&mut self, run: RunId) -> bool {
        let runs = &self.workspace.runs;
        // It may have ended in the moment in which it was asked to stop.
        let first = runs.record(run).filter(|record| record.status == RunStatus::Stopped).map(|record| record.id);
        let Some(project) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else {
            return true;
        };
        let started = self.program.as_deref().map_err(ToString::to_string).and_then(|program| {
            start(program, &project, first)
                .map_err(|error| format!("{} could not be started: {error}", program.display()))
        });
        match started {
            Ok(()) => true,
            Err(reason) => {
                let name = runs.name(run);
                self.workspace.notices.push(Notice::error(
                    format!("{name} does not go on in the background: {reason}"),
                    "It stands at its checkpoint and the window stays open; Resume goes on with it here",
                ));
                false
            }
        }
    }

    /// Another program than this one for what goes on without a window.
    pub fn set_program(&mut self, program: PathBuf) {
        self.program = Ok(program);
    }
}

/// Trains `first`, then the queue, in a process that outlives this one.
fn start(program: &Path, project: &Path, first: Option<RunId>) -> io::Result<()> {
    let log = File::create(project.join("runs").join(LOG))?;
    let mut command = Command::new(program);
    command.arg("queue").arg(project).args(["--go", "--tell"]);
    if let Some(run) = first {
        command.arg("--first").arg(run.0.to_string());
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    detach(&mut command);
    // Nobody waits for it: the window is about to end.
    command.spawn().map(drop)
}

/// Neither Ctrl-C in the terminal of the window nor its end reaches the process.
#[cfg(unix)]
fn detach(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;

    command.process_group(0);
}

#[cfg(windows)]
fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt as _;

    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}
