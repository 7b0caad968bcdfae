//! Training, stopping, resuming, checkpoints.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use nudge::{
    data::{
        PairId,
        config::{RunConfig, Schedule},
    },
    engine::{
        Engine,
        protocol::{AnswerOptions, Event, Generated, Outcome, Request, RequestId, RunControl, StoppedBy, Weights},
    },
    store::{LogLevel, Project, RunId, RunStatus},
    text::Codec,
};

use crate::{
    stage::{self, Stage},
    terminal::{self, SMALL, json_lines, out, sentence},
    toy::{self, Toy, ask, finished, reached, start, wait_for},
    window::PATIENCE,
};

/// A run of the toy that was stopped on the way, and the step it reached.
fn stopped(toy: &Toy, config: &RunConfig) -> (RunId, u64) {
    let run = toy.record(config);
    (run, toy.stop_at(run, 3))
}

fn log_says(toy: &Toy, run: RunId, text: &str) -> bool {
    toy.open().log(run).unwrap().iter().any(|line| line.text.contains(text))
}

/// Steps of a run's folders whose name begins so.
fn folders(toy: &Toy, run: RunId, kind: &str) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(toy.open().run_dir(run).join("checkpoints")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut steps: Vec<u64> = names.filter_map(|name| name.strip_prefix(kind)?.parse().ok()).collect();
    steps.sort_unstable();
    steps
}

/// Losses of a run by step, to the bit.
fn losses(toy: &Toy, run: RunId) -> BTreeMap<u64, u64> {
    let series = toy.open().series(run, "loss", None).unwrap();
    series.into_iter().map(|(step, loss)| (step, loss.to_bits())).collect()
}

#[test]
fn dm2_a_refused_number_of_steps_leaves_the_run_as_it_was() {
    let toy = Toy::new();
    let (run, step) = stopped(&toy, &toy::config());
    let home = tempfile::tempdir().unwrap();
    let (project, id) = (terminal::path(&toy.project), run.0.to_string());
    let before = toy.open().run(run).unwrap();
    let file = before.dir.join("config.toml");
    let text = fs::read_to_string(&file).unwrap();
    for refused in [
        &["--steps", "1"][..],
        &["--steps", &step.to_string()],
        &["--steps", "40", "--device", "cuda:77"],
        &["--step", "77"],
        &["--step", &step.to_string(), "--steps", "2"],
    ] {
        let said = sentence(home.path(), &[&["resume", &project, &id], refused].concat(), 1);
        assert!(!said.contains("because"), "{said}");
        assert_eq!(toy.open().run(run).unwrap(), before, "{refused:?}: {said}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text, "{refused:?}");
    }
    let said = sentence(home.path(), &["resume", &project, &id, "--steps", "1"], 1);
    assert!(said.contains(&format!("has done {step} steps")) && said.contains("nothing was changed"), "{said}");
    // The run goes on as ever.
    out(home.path(), &["resume", &project, &id]);
    let record = toy.open().run(run).unwrap();
    assert_eq!((record.status, record.step, record.total_steps), (RunStatus::Completed, 12, 12));
    let said = sentence(home.path(), &["resume", &project, &id, "--steps", "7"], 1);
    assert!(said.contains("has done 12 steps"), "{said}");
    assert!(fs::read_to_string(&file).unwrap().contains("steps = 12"));
}

/// What an earlier version made of a run whose steps were refused, and the way out of it.
#[test]
fn dm2_a_run_that_was_damaged_so_can_be_repaired() {
    let toy = Toy::new();
    let (run, step) = stopped(&toy, &toy::config());
    let mut config = toy::config();
    config.train.steps = Some(step - 1);
    toy.open().set_run_config(run, &config.to_toml().unwrap()).unwrap();
    let Outcome::Failed { error } = toy.go_on(run) else {
        panic!("it has fewer steps than are done");
    };
    assert!(error.contains("already at its last step"), "{error}");
    assert_eq!(toy.open().run(run).unwrap().status, RunStatus::Stopped, "it is what it was");

    toy.open().set_run_status(run, RunStatus::Completed, None).unwrap();
    let home = tempfile::tempdir().unwrap();
    let (project, id) = (terminal::path(&toy.project), run.0.to_string());
    let said = sentence(home.path(), &["resume", &project, &id], 1);
    assert!(said.contains("has done all of its"), "{said}");
    out(home.path(), &["resume", &project, &id, "--steps", "12"]);
    let (whole, _) = toy.train(&toy::config());
    assert_eq!(losses(&toy, run), losses(&toy, whole));
}

/// Every value of the trained tensors of a checkpoint.
fn values(checkpoint: &Path) -> Vec<f32> {
    let bytes = fs::read(checkpoint.join("trainable.safetensors")).unwrap();
    let head = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[head..].chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn dm3_weights_that_give_no_numbers_are_never_saved() {
    let toy = Toy::new();
    for (rate, checkpoint_every, eval_every) in [(1e38, 1, 0), (1e38, 2, 1), (1e20, 1, 0), (1e20, 3, 2), (1e30, 5, 6)] {
        let mut config = toy::config();
        config.optimizer.learning_rate = rate;
        config.optimizer.warmup_steps = 0;
        config.train.checkpoint_every = checkpoint_every;
        config.train.eval_every = eval_every;
        let (run, outcome) = toy.train(&config);
        let Outcome::Failed { error } = outcome else {
            panic!("at a rate of {rate} nothing can be learnt");
        };
        assert!(error.contains("lower learning rate"), "{error}");
        let dir = toy.open().run_dir(run).join("checkpoints");
        for kind in ["step-", "doubtful-"] {
            for step in folders(&toy, run, kind) {
                let values = values(&dir.join(format!("{kind}{step:06}")));
                assert!(values.iter().all(|value| value.is_finite()), "rate {rate}, {kind}{step}");
            }
        }
        assert!(folders(&toy, run, "step-").is_empty(), "the first update spoilt all that came after it");
    }
}

#[test]
fn dm3_an_earlier_step_can_be_named() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.checkpoint_every = 2;
    config.train.keep = 10;
    let (whole, _) = toy.train(&config);
    let (run, _) = toy.train(&config);
    let home = tempfile::tempdir().unwrap();
    let (project, id) = (terminal::path(&toy.project), run.0.to_string());
    for (from, first) in [("4", "continues from the checkpoint of step 4"), ("0", "begins again at step 0, as asked")] {
        let said = terminal::run(home.path(), &["resume", &project, &id, "--step", from]);
        assert!(said.status.success());
        assert!(String::from_utf8_lossy(&said.stderr).to_lowercase().contains(first));
        assert_eq!(losses(&toy, run), losses(&toy, whole), "from {from}");
        assert_eq!(folders(&toy, run, "step-"), [2, 4, 6, 8, 10, 12]);
    }
    let said = sentence(home.path(), &["resume", &project, &id, "--step", "5"], 1);
    assert!(said.contains("there are those of 2, 4, 6, 8, 10, 12"), "{said}");
}

#[test]
fn dm4_a_run_whose_folder_is_gone_is_not_begun_again_in_silence() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let project = terminal::project(home);
    let mut args = vec!["train", &project, "--steps", "8", "--json"];
    args.extend(SMALL);
    out(home, &args);
    let measured = out(home, &["metrics", &project, "1"]);
    fs::remove_dir_all(Path::new(&project).join("runs/1")).unwrap();
    let said = sentence(home, &["resume", &project, "1", "--steps", "12"], 1);
    assert!(said.contains("none of its checkpoints is left") && said.contains("--step 0"), "{said}");
    assert_eq!(out(home, &["metrics", &project, "1"]), measured, "what it measured stays");
    let runs = json_lines(&out(home, &["runs", &project, "--json"]));
    assert_eq!((&runs[0]["status"], &runs[0]["total_steps"]), (&"completed".into(), &8.into()));

    let shown = out(home, &["resume", &project, "1", "--step", "0", "--steps", "4"]);
    assert!(shown.contains("step 4 of 4,") && !shown.contains("from step"), "{shown}");
}

/// A run as a killed process leaves it before its first checkpoint, with metrics of an evaluation past what comes next.
#[test]
fn g15_a_run_without_a_checkpoint_begins_again_and_says_so() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.checkpoint_every = 0;
    let (whole, _) = toy.train(&config);
    let run = toy.record(&config);
    let mut project = toy.open();
    for step in 1..=32 {
        project.append_step(run, step, step, &[("loss".to_owned(), 1.0), ("eval_loss".to_owned(), 1.0)]).unwrap();
    }
    project.set_run_status(run, RunStatus::Interrupted, None).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    assert!(log_says(&toy, run, "Begins again at step 0, because it ended after step 32, before its first checkpoint"));
    assert_eq!(losses(&toy, run), losses(&toy, whole));
    let evaluated = project.series(run, "eval_loss", None).unwrap();
    assert_eq!(evaluated.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 6, 12]);
}

#[test]
fn dl4_one_epoch_meets_every_pair_once() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = None;
    config.train.epochs = 2.0;
    config.train.pairs_per_step = 4;
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    let mut met: BTreeMap<PairId, usize> = BTreeMap::new();
    for (_, visit) in project.visits(run, 0, u64::MAX).unwrap() {
        *met.entry(visit.pair).or_default() += 1;
    }
    assert!(!met.len().is_multiple_of(4), "{} pairs fit steps of 4, so nothing is shown", met.len());
    assert!(met.values().all(|times| *times == 2), "{met:?}");
    let epochs = project.series(run, "epoch", None).unwrap();
    assert_eq!(epochs.last().unwrap().1, 2.0);
}

#[test]
fn dl5_a_longer_run_says_how_its_learning_rate_goes_on() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = Some(5);
    let (run, _) = toy.train(&config);
    let home = tempfile::tempdir().unwrap();
    let (project, id) = (terminal::path(&toy.project), run.0.to_string());
    let output = terminal::run(home.path(), &["resume", &project, &id, "--steps", "10"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("The run has 10 steps now, not 5") && said.contains("step 6 takes"), "{said}");
    let log = toy.open().log(run).unwrap();
    let mark = log.iter().find(|line| line.text.contains("The run has 10 steps now")).unwrap();
    assert!(mark.mark, "drawn where the rate bends");
    let rates = toy.open().series(run, "learning_rate", None).unwrap();
    let named = format!("step 6 takes {:.3e} after {:.3e}", rates[5].1, rates[4].1);
    assert!(mark.text.contains(&named), "{} / {named}", mark.text);

    config.optimizer.schedule = Schedule::Constant;
    let (run, _) = toy.train(&config);
    out(home.path(), &["resume", &project, &run.0.to_string(), "--steps", "8"]);
    assert!(!log_says(&toy, run, "steps now"), "a constant rate does not bend");
}

#[test]
fn dl6_a_warm_up_as_long_as_the_run_is_told_by_the_run_too() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = Some(2);
    let (run, _) = toy.train(&config);
    let log = toy.open().log(run).unwrap();
    let told = log.iter().find(|line| line.text.contains("The warm-up of 2 steps is as long as the run")).unwrap();
    assert_eq!(told.level, LogLevel::Warning);
    config.train.steps = Some(4);
    let (run, _) = toy.train(&config);
    assert!(!log_says(&toy, run, "warm-up"));
}

#[test]
fn g4_a_checkpoint_that_was_asked_for_stays() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = Some(40);
    config.train.checkpoint_every = 20; // long after the one that is asked for
    config.train.keep = 0;
    config.train.eval_every = 0;
    config.train.sample_every = 0;
    let run = toy.record(&config);
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 2);
    engine.requests.send(Request::Checkpoint { run }).unwrap();
    let asked = wait_for(&engine, |event| match event {
        Event::Saved { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    assert!(folders(&toy, run, "step-").contains(&asked), "{asked} of {:?}", folders(&toy, run, "step-"));
    // And when the run goes on.
    config.train.steps = Some(60);
    toy.open().set_run_config(run, &config.to_toml().unwrap()).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let kept = folders(&toy, run, "step-");
    assert!(kept.contains(&asked) && kept.len() <= 3, "{asked} of {kept:?}");
}

/// A question to the weights of the run that is going.
fn question(toy: &Toy, run: RunId, request: u64, max_new_tokens: usize) -> Request {
    Request::Generate {
        request: RequestId(request),
        source: Weights::Run { project: toy.project.clone(), run, step: None },
        prompt: ask("Is 3 even?"),
        options: AnswerOptions { max_new_tokens, ignore_eos: true, ..AnswerOptions::default() },
        control: Arc::new(RunControl::default()),
    }
}

/// Everything said until all questions are answered and the run has ended.
fn until_all(engine: &Engine, questions: usize) -> (Vec<String>, Vec<Generated>) {
    let (mut said, mut answers) = (Vec::new(), Vec::new());
    let mut has_ended = false;
    while !has_ended || answers.len() < questions {
        wait_for(engine, |event| {
            match event {
                Event::Resting { why, .. } => said.push(why.clone().unwrap_or_else(|| "trains".to_owned())),
                Event::Finished { .. } => {
                    has_ended = true;
                    said.push("finished".to_owned());
                }
                Event::Generated { answer, .. } => {
                    answers.push(answer.clone());
                    said.push("answered".to_owned());
                }
                Event::Failed { error, .. } => panic!("{error}"),
                _ => {}
            }
            Some(())
        });
    }
    (said, answers)
}

#[test]
fn a_question_inside_a_run_is_told_and_ended_by_a_stop() {
    const QUESTIONS: usize = 8;
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = Some(100_000);
    config.train.eval_every = 0;
    config.train.sample_every = 0;
    let run = toy.record(&config);
    let engine = start();
    let control = toy.queue(&engine, run);
    reached(&engine, run, 2);
    for number in 0..QUESTIONS {
        engine.requests.send(question(&toy, run, number as u64, 100)).unwrap();
    }
    wait_for(&engine, |event| matches!(event, Event::Token { .. }).then_some(()));
    control.stop();
    let (said, answers) = until_all(&engine, QUESTIONS);
    engine.shut_down();
    let ended = said.iter().position(|word| word == "finished").unwrap();
    let before = said[..ended].iter().filter(|word| *word == "answered").count();
    assert!(before < QUESTIONS, "a stop waits for no question: {said:?}");
    assert!(said.iter().any(|word| word == "trains"), "{said:?}");
    // Those that the stop put off are answered in full by what it saved.
    assert_eq!(answers.last().unwrap().stopped_by, StoppedBy::Limit);
    assert!(log_says(&toy, run, "while an answer was written; that time is not counted"));
}

#[test]
fn a_question_inside_a_run_does_not_count_as_training() {
    const QUESTIONS: usize = 24;
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.steps = Some(60);
    config.train.eval_every = 0;
    config.train.sample_every = 0;
    let run = toy.record(&config);
    let engine = start();
    let started = std::time::Instant::now();
    toy.queue(&engine, run);
    reached(&engine, run, 1);
    for number in 0..QUESTIONS {
        engine.requests.send(question(&toy, run, number as u64, 100)).unwrap();
    }
    until_all(&engine, QUESTIONS);
    let whole = started.elapsed().as_secs_f64();
    engine.shut_down();
    let project = toy.open();
    let log = project.log(run).unwrap();
    let rests: Vec<f64> =
        log.iter().filter_map(|line| line.text.strip_prefix("Rested ")?.split(' ').next()?.parse().ok()).collect();
    let rested: f64 = rests.iter().sum();
    assert!(rested > 0.0, "the run rested for {} of {QUESTIONS} questions", rests.len());
    let trained = project.step_times(run).unwrap().last().unwrap().1 as f64 / 1000.0;
    // Each rest is told to a millisecond.
    let rounding = 0.0005 * rests.len() as f64 + 0.005;
    assert!(trained + rested <= whole + rounding, "{trained} s trained and {rested} s rested in {whole} s");
}

#[test]
fn a_doubled_bos_can_be_accepted_as_the_error_says() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let codec = Codec::load(Path::new(&terminal::model())).unwrap();
    let bos = codec.decode_all(&[codec.bos().unwrap()]);
    let project = terminal::path(&home.join("project"));
    out(home, &["new", &project, "--model", &terminal::model()]);
    let lines: Vec<String> = (0..6)
        .map(|n| serde_json::json!({"prompt": format!("{bos}{bos}Is {n} even?"), "chosen": " Yes.", "rejected": " No, never."}))
        .map(|line| line.to_string())
        .collect();
    let file = home.join("doubled.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    out(home, &["import", &project, &terminal::path(&file)]);
    let mut args = vec!["train", &project, "--steps", "2", "--set", "data.eval_fraction=0"];
    let refused = sentence(home, &args, 1);
    let advised = "data.allow_doubled_bos";
    assert!(refused.contains(advised), "{refused}");
    let set = format!("{advised}=true");
    args.extend(["--set", &set]);
    out(home, &args);
    let printed = out(home, &["train", "--print-config"]);
    assert!(printed.contains("allow_doubled_bos = false"), "{printed}");
    let config = home.join("run.toml");
    fs::write(&config, "[data]\nallow_doubled_bos = true\neval_fraction = 0\n[train]\nsteps = 1\n").unwrap();
    out(home, &["train", &project, "--config", &terminal::path(&config)]);
}

/// A run that the window asked the engine for, at step 1 of 80.
fn live(stage: &mut Stage) -> (RunId, Arc<RunControl>) {
    stage.click("Start run");
    let requests = stage.requests.clone();
    stage.until("the engine is asked to train", move |_| !requests.is_empty());
    let Ok(Request::Train { run, control, .. }) = stage.requests.try_recv() else {
        panic!("nothing is trained");
    };
    stage.say([Event::Started { run, first_step: 1, total_steps: 80, arithmetic: stage::arithmetic() }]);
    stage.say([stage::step(run, 1, 80)]);
    (run, control)
}

fn is_closing(stage: &Stage) -> bool {
    let viewports = &stage.harness.output().viewport_output;
    viewports.values().any(|output| output.commands.contains(&egui::ViewportCommand::Close))
}

#[test]
fn g16_a_window_that_is_told_to_end_saves_first() {
    let mut stage = Stage::new();
    let (run, control) = live(&mut stage);
    stage.go("Pairs");
    stage.harness.state_mut().views_mut().pairs.select(Some(PairId(1)));
    stage.until("the pair is here", |app| app.views().pairs.draft.is_some());
    stage.harness.state_mut().views_mut().pairs.draft.as_mut().unwrap().pair.note = "typed just now".to_owned();
    assert!(stage.harness.state().leave().ask(), "a run is to be saved");
    stage.harness.step();
    assert!(control.stopping(), "the run is to stop with a checkpoint");
    assert!(!is_closing(&stage), "the checkpoint is being written");
    let dir = stage.dir.clone();
    stage.until("what was typed is on disk", |_| {
        let pair = Project::open(&dir).unwrap().pair(PairId(1)).unwrap().unwrap();
        pair.note == "typed just now"
    });
    assert!(stage.says("has written its checkpoint"));
    // Nobody is left to keep the window open.
    stage.click("Keep the window open");
    stage.events.send(Event::Finished { run, outcome: Outcome::Stopped { step: 1 } }).unwrap();
    let asked = std::time::Instant::now();
    while !is_closing(&stage) {
        assert!(asked.elapsed() < PATIENCE, "it closes");
        std::thread::sleep(Duration::from_millis(5));
        stage.harness.step();
    }
}

#[test]
fn g16_a_window_without_a_run_closes_at_once() {
    let mut stage = Stage::new();
    assert!(!stage.harness.state().leave().ask(), "there is no run to be saved");
    stage.harness.step();
    assert!(is_closing(&stage));
}

#[cfg(unix)]
#[test]
fn dm9_every_signal_that_ends_a_program_saves_a_checkpoint_in_the_terminal() {
    use std::io::{BufRead as _, BufReader};
    for signal in ["-TERM", "-HUP"] {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let project = terminal::project(home);
        let mut args = vec!["train", &project, "--steps", "100000", "--json"];
        args.extend(SMALL);
        let mut child = terminal::nudge(home, &args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_trained = |line: &std::io::Result<String>| line.as_ref().unwrap().contains("\"loss\"");
        assert!(lines.by_ref().any(|line| is_trained(&line)));
        let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let last: serde_json::Value = serde_json::from_str(&lines.map_while(Result::ok).last().unwrap()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(last["status"], "stopped", "{signal}");
        assert!(Path::new(last["checkpoint"].as_str().unwrap()).is_dir(), "{signal}");
    }
}
