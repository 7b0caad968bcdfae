//! A checkpoint that cannot be written: the run waits with its weights in memory for what somebody decides.

use std::{fs, path::PathBuf, sync::Arc};

use nudge::{
    engine::{
        Engine,
        protocol::{Event, Outcome, Request, RunControl, SaveAnswer},
    },
    store::{RunId, RunStatus},
};

use crate::{
    terminal::{self, SMALL, json_lines, out},
    toy::{self, Toy, finished, start, wait_for},
};

/// A run of twelve steps whose checkpoints, the first after step 5, have a file in their way.
struct Blocked {
    toy: Toy,
    engine: Engine,
    run: RunId,
    control: Arc<RunControl>,
    obstacle: PathBuf,
}

impl Blocked {
    fn new() -> Self {
        let toy = Toy::new();
        let run = toy.record(&toy::config());
        let obstacle = toy.open().run_dir(run).join("checkpoints");
        fs::write(&obstacle, "in the way").unwrap();
        let engine = start();
        let control = toy.queue(&engine, run);
        Self { toy, engine, run, control, obstacle }
    }

    /// Waits until a checkpoint has failed; gives its step.
    fn failed(&self) -> u64 {
        wait_for(&self.engine, |event| match event {
            Event::SaveFailed { step, error, .. } => {
                let named = format!("The checkpoint of step {step} could not be saved");
                assert!(error.starts_with(&named), "{error}");
                Some(*step)
            }
            Event::Finished { outcome, .. } => panic!("{outcome:?}"),
            _ => None,
        })
    }

    fn settle(&self, answer: SaveAnswer) {
        let run = self.run;
        self.engine.requests.send(Request::Settle { run, answer }).unwrap();
    }

    fn status(&self) -> RunStatus {
        self.toy.open().run(self.run).unwrap().status
    }
}

#[test]
fn it_is_tried_again_when_there_is_room() {
    let blocked = Blocked::new();
    assert_eq!(blocked.failed(), 5);
    assert_eq!(blocked.status(), RunStatus::Paused);
    blocked.settle(SaveAnswer::TryAgain);
    assert_eq!(blocked.failed(), 5, "the obstacle is still there");
    fs::remove_file(&blocked.obstacle).unwrap();
    blocked.settle(SaveAnswer::TryAgain);
    assert_eq!(finished(&blocked.engine, blocked.run), Outcome::Completed);
    assert!(blocked.obstacle.join("step-000012/state.json").is_file());
    let steps = blocked.toy.open().steps(blocked.run, Some(0)).unwrap();
    assert_eq!(steps.len(), 12, "no step was lost or done twice");
    let Blocked { engine, .. } = blocked;
    engine.shut_down();
}

#[test]
fn another_place_takes_it_and_the_run_goes_on_from_there() {
    let blocked = Blocked::new();
    let other = tempfile::tempdir().unwrap();
    blocked.failed();
    blocked.settle(SaveAnswer::Elsewhere(other.path().to_owned()));
    assert_eq!(finished(&blocked.engine, blocked.run), Outcome::Completed);
    let Blocked { toy, engine, run, .. } = blocked;
    engine.shut_down();
    let folder = other.path().join(format!("project-run-{}", run.0));
    assert!(folder.join("step-000012/state.json").is_file());
    let project = toy.open();
    assert_eq!(&project.run(run).unwrap().checkpoints[1..], std::slice::from_ref(&folder));

    let mut config = toy::config();
    config.train.steps = Some(14);
    let config = config.to_toml().unwrap();
    project.set_run_config(run, &config).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let log = project.log(run).unwrap();
    let said = |text: &str| log.iter().any(|line| line.text.contains(text));
    assert!(said("Continues from the checkpoint of step 12"));
    assert!(folder.join("step-000014/state.json").is_file());

    let mut project = project;
    project.delete_run(run).unwrap();
    assert!(!folder.exists());
}

#[test]
fn the_run_goes_on_without_it_or_ends() {
    let blocked = Blocked::new();
    for step in [5, 10, 12] {
        assert_eq!(blocked.failed(), step, "each is asked for once");
        blocked.settle(SaveAnswer::GoOn);
    }
    assert_eq!(finished(&blocked.engine, blocked.run), Outcome::Completed);

    let blocked = Blocked::new();
    blocked.failed();
    blocked.control.stop();
    let Outcome::Failed { error } = finished(&blocked.engine, blocked.run) else {
        panic!("its last steps are not saved");
    };
    assert!(error.contains("checkpoint of step 5"), "{error}");
    assert_eq!(blocked.status(), RunStatus::Failed);
}

#[test]
fn in_a_terminal_without_anybody_the_run_stops_with_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = terminal::project(home);
    let first = std::path::Path::new(&project).join("runs/1");
    fs::create_dir_all(&first).unwrap();
    fs::write(first.join("checkpoints"), "in the way").unwrap();
    let mut args = vec!["train", &project, "--steps", "4"];
    args.extend(SMALL);
    let output = terminal::run(home, &args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("The checkpoint of step 2 could not be saved"), "{errors}");
    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    assert_eq!(runs[0]["status"], "failed");
    assert_eq!(runs[0]["step"], 2, "what was measured is kept");

    fs::remove_file(first.join("checkpoints")).unwrap();
    let more = json_lines(&out(home, &["resume", &project, "1", "--json"]));
    assert_eq!(more.last().unwrap()["status"], "completed");
}
