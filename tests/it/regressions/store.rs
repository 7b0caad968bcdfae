//! The project on disk: scale, locks, full disks.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use nudge::{
    data::{
        Change, Edit, Pair, PairId, Prompt,
        config::{Margin, RunConfig},
    },
    engine::protocol::{Event, LogLevel, Outcome},
    model::{LoadOptions, Policy},
    state::{Screen, drafts::EditProgress},
    store::{LogProbKey, Project, ProjectSettings, RunStatus, StoreError, demo},
    text::{Codec, Limits},
};
use rusqlite::Connection;

use crate::{
    stage::Stage,
    terminal,
    toy::{self, Toy, add, ask, finished, reached, start, wait_for},
    window::Window,
};

pub(super) fn pair(n: usize) -> Pair {
    Pair::new(PairId::NEW, Prompt::Text(format!("Question {n}?")), &[&format!("right{n}"), "wrong"])
}

pub(super) fn document(dir: &Path) -> Connection {
    Connection::open(dir.join("project.sqlite")).unwrap()
}

pub(super) fn count(dir: &Path, table: &str) -> i64 {
    document(dir).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn dh3_a_run_waits_for_a_locked_project_and_goes_on_by_itself() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 3);
    let other = document(&toy.project);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waits = |event: &Event| match event {
        Event::Logged { level: LogLevel::Warning, text, .. } if text.contains("holds") => Some(text.clone()),
        _ => None,
    };
    let told = wait_for(&engine, waits);
    assert!(told.contains("goes on by itself"), "{told}");
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let project = toy.open();
    assert_eq!(project.steps(run, Some(0)).unwrap().len(), 12, "no step was lost or done twice");
    let log = project.log(run).unwrap();
    assert!(log.iter().any(|line| line.text.starts_with("Waited ")), "it is in the log as well");
}

#[test]
fn dh3_a_run_that_is_stopped_while_it_waits_saves_its_weights_first() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    let control = toy.queue(&engine, run);
    reached(&engine, run, 2);
    let other = document(&toy.project);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    wait_for(&engine, |event| match event {
        Event::Logged { text, .. } if text.contains("holds") => Some(()),
        _ => None,
    });
    control.stop();
    let step = wait_for(&engine, |event| match event {
        Event::Saved { step, .. } => Some(*step),
        Event::Finished { outcome, .. } => panic!("{outcome:?}"),
        _ => None,
    });
    std::thread::sleep(Duration::from_millis(700));
    other.execute_batch("ROLLBACK").unwrap();
    let outcome = finished(&engine, run);
    engine.shut_down();
    assert!(!matches!(outcome, Outcome::Completed), "{outcome:?}");
    assert!(toy.open().run_dir(run).join(format!("checkpoints/step-{step:06}")).is_dir());
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    assert!(log.iter().any(|line| line.text.contains(&format!("checkpoint of step {step}"))));
}

/// The ways in which a run finds its reference again: without its adapter, and not at all.
fn kinds() -> [RunConfig; 2] {
    let mut full = toy::config();
    full.lora.full = true;
    full.optimizer.learning_rate = 1e-3;
    [toy::config(), full]
}

#[test]
fn dm6_only_the_pairs_that_a_run_visits_are_computed() {
    for mut config in kinds() {
        for margin in [Margin::AnchoredSum, Margin::Sum] {
            let toy = Toy::new();
            config.objective.margin = Some(margin);
            config.data.eval_fraction = 0.0;
            config.train.steps = Some(2);
            config.train.pairs_per_step = 3;
            let (run, outcome) = toy.train(&config);
            assert_eq!(outcome, Outcome::Completed);
            let pairs: std::collections::BTreeSet<PairId> =
                toy.open().visits(run, 1, 2).unwrap().into_iter().map(|(_, visit)| visit.pair).collect();
            assert_eq!(pairs.len(), 6);
            // Two answers each, and the ten reference answers that are measured.
            assert_eq!(count(&toy.project, "reference_log_probs"), 2 * 6 + 10);
            assert!(toy::numbers(&toy.open(), run).keys().any(|(_, name)| name == "rewards/margins"));
        }
    }
}

#[test]
fn dm6_numbers_are_the_same_however_often_it_is_stopped_and_whatever_is_cached() {
    for config in kinds() {
        let whole = Toy::new();
        let (run, outcome) = whole.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let expected = toy::numbers(&whole.open(), run);

        let parts = Toy::new();
        let run = parts.record(&config);
        for step in [0, 2, 6] {
            let engine = start();
            let control = parts.queue(&engine, run);
            if step > 0 {
                reached(&engine, run, step);
            } else {
                wait_for(&engine, |event| matches!(event, Event::Phase { .. }).then_some(()));
            }
            control.stop();
            finished(&engine, run);
            engine.shut_down();
            // As if it had been killed before some of them, or all, were written.
            let some = if step == 2 { "WHERE unicode(hex(key)) % 2 = 0" } else { "" };
            document(&parts.project).execute_batch(&format!("DELETE FROM reference_log_probs {some}")).unwrap();
        }
        assert_eq!(parts.go_on(run), Outcome::Completed);
        let found = toy::numbers(&parts.open(), run);
        for (key, bits) in &expected {
            assert_eq!(found.get(key).copied().map(f64::from_bits), Some(f64::from_bits(*bits)), "{key:?}");
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn dm6_the_time_is_told_apart() {
    let toy = Toy::new();
    let (run, _) = toy.train(&toy::config());
    let log = toy.open().log(run).unwrap();
    let said = log.iter().find(|line| line.text.starts_with("Reference log-probs:")).unwrap();
    assert!(said.text.contains("14 pairs were computed on the way"), "{}", said.text);
    let (again, _) = toy.train(&toy::config());
    let log = toy.open().log(again).unwrap();
    assert!(!log.iter().any(|line| line.text.starts_with("Reference log-probs:")), "all of it was cached");
}

#[test]
fn dl10_damaged_log_probs_are_computed_again_and_that_is_said() {
    let clean = Toy::new();
    let (run, _) = clean.train(&toy::config());
    let expected = toy::numbers(&clean.open(), run);
    document(&clean.project)
        .execute_batch("UPDATE reference_log_probs SET log_probs = zeroblob(length(log_probs))")
        .unwrap();
    let (again, outcome) = clean.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    assert_eq!(toy::numbers(&clean.open(), again), expected);
    let log = clean.open().log(again).unwrap();
    assert!(log.iter().any(|line| line.text.contains("were damaged and are computed again")));
}

#[test]
fn dl10_log_probs_of_another_model_are_forgotten_and_that_is_said() {
    let clean = Toy::new();
    let (run, _) = clean.train(&toy::config());
    let expected = toy::numbers(&clean.open(), run);

    let toy = Toy::new();
    let policy = Policy::load(&toy.model, &LoadOptions::default()).unwrap();
    let codec = Codec::load(&toy.model).unwrap();
    let entries: Vec<(LogProbKey, Vec<f32>)> = (0..20)
        .flat_map(|n| {
            let answers = ["yes sir", "no way"];
            let encoded = codec.encode_answers(&ask(&format!("Is {n} even?")), &answers, Limits::NONE).unwrap();
            let prefix = encoded.prefix;
            let keys = encoded.answers.into_iter().map(|answer| {
                let key = LogProbKey::new(policy.identity(), codec.identity(), &prefix, &answer.ids);
                (key, vec![-0.5; answer.ids.len()])
            });
            keys.collect::<Vec<_>>()
        })
        .collect();
    toy.open().cache_log_probs(&entries).unwrap();
    let (run, outcome) = toy.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    assert_eq!(toy::numbers(&toy.open(), run), expected);
    let log = toy.open().log(run).unwrap();
    assert!(log.iter().any(|line| line.text.contains("are not those of this model")));
}

#[test]
fn dl10_a_scale_beyond_numbers_is_told_as_that() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.lora.alpha = 1e300;
    let (_, outcome) = toy.train(&config);
    let Outcome::Failed { error } = outcome else { panic!("{outcome:?}") };
    assert!(error.contains("lora.alpha is 1e300"), "{error}");
    assert!(!error.contains("cache"), "{error}");
}

/// A disk of its own of so many KiB; absent where this user may not have one.
struct Disk(PathBuf, #[expect(dead_code, reason = "holds the folder it is mounted on")] tempfile::TempDir);

impl Disk {
    fn of(kib: usize) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("disk");
        fs::create_dir(&place).unwrap();
        let size = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&place).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("not tried: this user may not mount a disk");
        }
        is_mounted.then_some(Self(place, dir))
    }

    fn remount(&self, how: &str) {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()));
    }

    /// Leaves so many KiB free.
    fn fill(&self, free_kib: usize) {
        let spare = vec![0; free_kib << 10];
        fs::write(self.0.join("spare"), &spare).unwrap();
        let mut size = 4096;
        while size > 0 {
            let name = self.0.join(format!("filler-{size}"));
            if fs::write(&name, vec![0; size << 10]).is_err() {
                fs::remove_file(&name).ok();
                size /= 2;
            } else {
                fs::rename(&name, self.0.join(format!("kept-{}", fs::read_dir(&self.0).unwrap().count()))).unwrap();
            }
        }
        fs::remove_file(self.0.join("spare")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn dl1_a_project_that_has_no_room_leaves_nothing_behind() {
    for free in [0, 4, 8, 16, 40, 64, 100, 150] {
        let Some(disk) = Disk::of(4096) else { return };
        disk.fill(free);
        let dir = disk.0.join("new/project");
        match Project::create(&dir, &ProjectSettings::default()) {
            Ok(_) => assert!(free > 64, "{free} KiB are not enough"),
            Err(error) => {
                assert!(matches!(error, StoreError::DiskFull(_)), "{free} KiB: {error:?}");
                assert!(!disk.0.join("new").exists(), "{free} KiB");
            }
        }
    }
}

#[test]
fn dl2_whatever_a_full_disk_refuses_is_told_as_a_full_disk() {
    for free in [0, 4, 8, 12, 16, 24, 28, 32, 36, 48, 64, 96, 128] {
        let Some(disk) = Disk::of(8192) else { return };
        let dir = disk.0.join("project");
        add(&mut Project::create(&dir, &ProjectSettings::default()).unwrap(), vec![pair(0)]);
        disk.fill(free);
        let work = || -> Result<(), StoreError> {
            let mut project = Project::open(&dir)?;
            for n in 0..2000 {
                project.apply(&Change::new("Add", vec![Edit::add(pair(n))]))?;
            }
            Ok(())
        };
        let error = work().expect_err("there is no room for this");
        assert!(matches!(error, StoreError::DiskFull(_)), "{free} KiB: {error:?}");
        fs::read_dir(&disk.0).unwrap().flatten().filter(|entry| entry.path().is_file()).for_each(|entry| {
            fs::remove_file(entry.path()).unwrap();
        });
        let mut project = Project::open(&dir).unwrap();
        assert!(project.counts().unwrap().total() >= 1, "what was saved is there");
        add(&mut project, vec![pair(1)]);
    }
}

#[test]
fn dl13_a_demo_that_has_no_room_names_the_disk_that_is_full() {
    let Some(disk) = Disk::of(600) else { return };
    let assets = tempfile::tempdir().unwrap();
    fs::create_dir(assets.path().join("model")).unwrap();
    fs::write(assets.path().join("model/model.safetensors"), vec![0; 1 << 20]).unwrap();
    fs::write(assets.path().join("pairs.jsonl"), "").unwrap();
    let error = demo::open_demo_of(assets.path(), Some(&disk.0.join("data/demo"))).unwrap_err().to_string();
    assert!(error.contains("is full") && error.contains("/disk/data/"), "{error}");
    assert_eq!(fs::read_dir(disk.0.join("data")).unwrap().count(), 0);
}

#[test]
fn dl18_what_cannot_be_written_can_be_looked_at() {
    let Some(disk) = Disk::of(8192) else { return };
    let home = tempfile::tempdir().unwrap();
    let dir = disk.0.join("a project?");
    let mut project = Project::create(&dir, &ProjectSettings::default()).unwrap();
    add(&mut project, vec![toy::labelled("Is it?", "yes", "no")]);
    let run = project
        .create_run(&nudge::store::NewRun {
            name: "first".to_owned(),
            method: "MPO".to_owned(),
            revision: project.revision().unwrap(),
            ..nudge::store::NewRun::default()
        })
        .unwrap();
    project.append_step(run, 1, 10, &[("loss".to_owned(), -0.5)]).unwrap();
    project.set_run_status(run, RunStatus::Completed, None).unwrap();
    drop(project);
    disk.remount("ro");
    let mut project = Project::open(&dir).unwrap();
    assert!(project.is_read_only());
    assert_eq!(project.counts().unwrap().total(), 1);
    assert_eq!(project.series(run, "loss", None).unwrap(), [(1, -0.5)]);
    let error = project.apply(&Change::new("Add", vec![Edit::add(pair(0))])).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    let place = terminal::path(&dir);
    assert!(terminal::out(home.path(), &["runs", &place]).contains("first"));
    assert!(terminal::out(home.path(), &["metrics", &place, "1", "--csv"]).contains("1,-0.5"));
    assert!(terminal::out(home.path(), &["pairs", &place, "--out", "-"]).contains("Is it?"));

    // The window shows it, says so, and keeps what is typed all the same until it can be saved.
    let mut window = Window::open(&dir, Screen::Pairs);
    window.assert_shows("Can only be read");
    window.assert_shows("Is it?");
    window.focus(Role::MultilineTextInput, "Chosen text");
    window.type_text("more ");
    window.focus(Role::MultilineTextInput, "Rejected text");
    window.until("it is refused", |app| {
        let draft = app.views().pairs.draft.as_ref();
        draft.is_some_and(|draft| {
            draft.progress() == EditProgress::Refused && draft.pair.answers[0].text.contains("more ")
        })
    });
    window.assert_shows("Not saved");
    drop(window);
    disk.remount("rw");
    assert!(!Project::open(&dir).unwrap().is_read_only());
}

#[test]
fn dl16_an_open_window_takes_in_what_others_do() {
    let mut stage = Stage::new();
    stage.go("Pairs");
    stage.until("the pairs are listed", |app| app.workspace().pairs.counts.total() == 12);
    let mut other = Project::open(&stage.dir).unwrap();
    let before = other.pairs_at(other.revision().unwrap()).unwrap().remove(0);
    let after = Pair { note: "from elsewhere".to_owned(), ..before.clone() };
    add(&mut other, vec![pair(1), pair(2)]);
    other.apply(&Change::new("Note", vec![Edit::replace(before.clone(), after)])).unwrap();
    stage.until("the new pairs are counted", |app| app.workspace().pairs.counts.total() == 14);
    stage.until("and listed", |app| app.workspace().pairs.ids.len() == 14);
    let summary = |app: &nudge::app::App| app.workspace().project.as_ref().map(|project| project.counts.total());
    assert_eq!(summary(stage.harness.state()), Some(14));

    let run = other
        .create_run(&nudge::store::NewRun {
            name: "theirs".to_owned(),
            method: "MPO".to_owned(),
            revision: other.revision().unwrap(),
            ..nudge::store::NewRun::default()
        })
        .unwrap();
    other.set_run_status(run, RunStatus::Running, None).unwrap();
    other.set_total_steps(run, 40).unwrap();
    other.append_step(run, 7, 10, &[("loss".to_owned(), -0.5)]).unwrap();
    let is_told = |app: &nudge::app::App| app.workspace().runs.elsewhere().is_some_and(|run| run.step == 7);
    stage.until("the run is told", is_told);
    let text = "theirs is going in another program: step 7 of 40";
    stage.harness.get_by_label(text);
    stage.click("Pause the run in the other program");
    stage.until("it is asked to rest", |_| other.is_asked_to_pause(run).unwrap());
    other.set_run_status(run, RunStatus::Paused, None).unwrap();
    stage.until("it rests", |app| app.workspace().runs.record(run).is_some_and(|run| run.status == RunStatus::Paused));
    stage.harness.get_by_label("theirs rests in another program: step 7 of 40");
    stage.click("Resume the run in the other program");
    stage.until("it is asked to go on", |_| !other.is_asked_to_pause(run).unwrap());
    other.set_run_status(run, RunStatus::Running, None).unwrap();
    stage.until("it goes on", |app| {
        app.workspace().runs.record(run).is_some_and(|run| run.status == RunStatus::Running)
    });
    stage.click("Stop the run in the other program");
    stage.until("it is asked to stop", |app| app.workspace().runs.asked_to_stop.contains(&run));
    assert!(other.is_asked_to_stop(run).unwrap());
    stage.harness.get_by_label("theirs is stopping in another program: step 7 of 40");
    other.set_run_status(run, RunStatus::Completed, None).unwrap();
    stage.until("its end as well", |app| {
        let runs = &app.workspace().runs;
        runs.elsewhere().is_none() && runs.asked_to_stop.is_empty()
    });
}
