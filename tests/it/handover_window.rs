//! A window that is open while a run is taken back in a terminal.

use std::fs;

use nudge::{
    data::config::RunConfig,
    store::{LogLevel, NewRun, Project, RunStatus},
};

use crate::stage::Stage;

#[test]
fn an_open_window_lists_the_checkpoints_that_a_terminal_has_taken_back() {
    let mut stage = Stage::with(egui::Theme::Light, [1280.0, 800.0], |project| {
        let run = project
            .create_run(&NewRun { config_toml: RunConfig::default().to_toml().unwrap(), ..NewRun::default() })
            .unwrap();
        project.set_away(run, "c0ffee").unwrap();
    });
    let project = Project::open(&stage.dir).unwrap();
    let record = project.runs().unwrap().remove(0);
    stage.until("the runs are here", |app| app.workspace().runs.record(record.id).is_some());
    assert_eq!(stage.harness.state().workspace().runs.checkpoints(record.id), [0; 0]);
    // Of another step it is taken back a second time, and then the run's record says nothing new.
    for (step, all) in [(6, &[6][..]), (8, &[6, 8])] {
        fs::create_dir_all(record.checkpoints.last().unwrap().join(format!("step-{step:06}"))).unwrap();
        project.append_mark(record.id, step, LogLevel::Info, "taken back").unwrap();
        project.set_run_status(record.id, RunStatus::Stopped, None).unwrap();
        stage.until("the checkpoint is listed", |app| app.workspace().runs.checkpoints(record.id) == all);
    }
}
