//! What happens when something breaks in a step: a host lets it break where the run meets the policy.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use nudge::{
    data::config::TokenBudget,
    engine::{
        Engine, EngineOptions, compute_pool,
        protocol::{AnswerOptions, Event, Request, RequestId, RunControl, Weights},
    },
    kernels::{Place, Tensor},
    model::{Policy, PolicyError},
    store::{LogLevel, RunId, RunStatus},
    train::{
        TrainError,
        run::{
            Task,
            host::{CurrentWeights, Host, Outcome, Rest, RolloutStage, RunEvent, Signal, Wishes},
            train,
        },
    },
};

use crate::toy::{self, Toy, ask, finished, value, wait_for};

/// What goes wrong at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    None,
    OutOfMemory,
    NonFiniteGradient,
    /// The weights are not those that the step began with.
    Moved,
    /// Somebody stops the run.
    Stop,
}

/// Lets a mishap happen before each micro-batch of a step, and asks for nothing.
struct Faulty<F> {
    mishap: F,
    /// Whether a reading finds no memory.
    no_room: Box<dyn FnMut(RolloutStage) -> bool + Send>,
    wishes: Wishes,
    signal: Signal,
}

impl<F: Fn(u64) -> Mishap> Host for Faulty<F> {
    fn signal(&self) -> Signal {
        self.signal
    }

    fn attend(&mut self, _: Option<CurrentWeights<'_>>, _: Option<Duration>) -> Vec<Rest> {
        Vec::new()
    }

    fn wishes(&mut self) -> &mut Wishes {
        &mut self.wishes
    }

    fn tell(&mut self, _: RunEvent) {}

    fn before_micro_batch(&mut self, step: u64, policy: &mut Policy) -> Result<(), TrainError> {
        match (self.mishap)(step) {
            Mishap::None => Ok(()),
            Mishap::NonFiniteGradient => Ok(policy.gradients().scale(f32::NAN).map_err(PolicyError::from)?),
            Mishap::Moved => {
                let mut weights = policy.trainable()?;
                for (_, values) in &mut weights {
                    let numbers = values.to_vec::<f32>().map_err(PolicyError::from)?;
                    let moved = numbers.into_iter().map(|number| number + 0.05).collect::<Vec<f32>>();
                    *values = Tensor::from_vec(moved, values.dims(), &Place::CPU).map_err(PolicyError::from)?;
                }
                Ok(policy.set_trainable(&weights)?)
            }
            Mishap::Stop => {
                self.signal = Signal::Stop;
                Ok(())
            }
            Mishap::OutOfMemory => Err(out_of_memory()),
        }
    }

    fn before_reading(&mut self, what: RolloutStage) -> Result<(), TrainError> {
        if (self.no_room)(what) { Err(out_of_memory()) } else { Ok(()) }
    }
}

fn out_of_memory() -> TrainError {
    let words = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
    TrainError::Policy(PolicyError::Kernel(candle_core::Error::Cuda(words.into()).into()))
}

/// Trains a recorded run to its end, with what goes wrong at its steps.
pub fn train_with(toy: &Toy, run: RunId, mishap: impl Fn(u64) -> Mishap + Send) -> Outcome {
    train_faulty(toy, run, mishap, Box::new(|_| false))
}

/// The same where some of what is read of answers finds no memory.
pub fn train_without_room(
    toy: &Toy,
    run: RunId,
    no_room: impl FnMut(RolloutStage) -> bool + Send + 'static,
) -> Outcome {
    train_faulty(toy, run, |_| Mishap::None, Box::new(no_room))
}

fn train_faulty(
    toy: &Toy,
    run: RunId,
    mishap: impl Fn(u64) -> Mishap + Send,
    no_room: Box<dyn FnMut(RolloutStage) -> bool + Send>,
) -> Outcome {
    let mut host = Faulty { mishap, no_room, wishes: Wishes::default(), signal: Signal::GoOn };
    let task = Task { project: toy.project.clone(), run, from: None };
    compute_pool(1).unwrap().install(|| train(&mut host, &task))
}

/// Step 3 finds no memory so many times.
fn strikes(times: u32) -> impl Fn(u64) -> Mishap {
    let left = Cell::new(times);
    move |step| {
        if step != 3 || left.get() == 0 {
            return Mishap::None;
        }
        left.set(left.get() - 1);
        Mishap::OutOfMemory
    }
}

#[test]
fn a_panic_fails_the_run_and_the_engine_still_answers() {
    let toy = Toy::new();
    let is_due = Arc::new(AtomicBool::new(false));
    let due = Arc::clone(&is_due);
    // Called on the engine's thread, out of the run that tells something.
    let waker = Arc::new(move || assert!(!due.swap(false, Relaxed), "an injected panic"));
    let engine = Engine::start(waker, EngineOptions::with_threads(1)).unwrap();
    let mut config = toy::config();
    // It is not at its end before the panic is due.
    config.train.steps = Some(100_000);
    let run = toy.record(&config);
    toy.queue(&engine, run);
    let step = toy::reached(&engine, run, 2);
    is_due.store(true, Relaxed);
    let Outcome::Failed { error } = finished(&engine, run) else {
        panic!("a step after the second panics");
    };
    assert!(error.contains("an injected panic"), "{error}");
    let record = toy.open().run(run).unwrap();
    assert_eq!(record.status, RunStatus::Failed);
    assert_eq!(record.message, Some(error));
    assert!(record.step >= step, "what was measured before is kept");

    let request = RequestId(5);
    let generate = Request::Generate {
        request,
        source: Weights::Model { folder: toy.model.clone(), adapter: None },
        prompt: ask("Is 3 even?"),
        options: AnswerOptions { max_new_tokens: 2, ..AnswerOptions::default() },
        control: RunControl::default().into(),
    };
    engine.requests.send(generate).unwrap();
    let answered = wait_for(&engine, |event| match event {
        Event::Generated { request: of, answer } if *of == request => Some(answer.ids.len()),
        Event::Failed { error, .. } => panic!("{error}"),
        _ => None,
    });
    assert!((1..=2).contains(&answered));
    engine.shut_down();
}

#[test]
fn a_step_without_a_number_is_left_out_and_named() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let outcome = train_with(&toy, run, |step| match step {
        2 | 4 => Mishap::NonFiniteGradient,
        _ => Mishap::None,
    });
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    let refused: Vec<_> = project
        .log(run)
        .unwrap()
        .into_iter()
        .filter(|line| line.level == LogLevel::Warning && line.text.contains("not applied"))
        .collect();
    assert_eq!(refused.iter().map(|line| line.step).collect::<Vec<_>>(), [2, 4]);
    let visited = project.visits(run, 2, 2).unwrap();
    assert_eq!(visited.len(), 5);
    for (_, visit) in visited {
        assert!(refused[0].text.contains(&visit.pair.0.to_string()));
    }
    let (_, metrics) = &project.steps(run, Some(1)).unwrap()[0];
    assert!(value(metrics, "loss").is_finite());
    assert!(value(metrics, "grad_norm").is_nan(), "what went wrong is on the charts");
}

/// Nothing good is on disk yet, and the weights may be: they are put aside for whoever names them.
#[test]
fn three_in_a_row_put_the_last_weights_aside() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let outcome = train_with(&toy, run, |step| if step > 2 { Mishap::NonFiniteGradient } else { Mishap::None });
    let Outcome::Failed { error } = outcome else {
        panic!("no step after the second can be applied");
    };
    assert!(error.contains("No earlier checkpoint") && error.contains("`--step 5`"), "{error}");
    let checkpoint = toy.open().run_dir(run).join("checkpoints/doubtful-000005");
    assert!(checkpoint.join("state.json").is_file());
    let Outcome::Failed { error } = toy.go_on(run) else {
        panic!("that checkpoint is in doubt");
    };
    assert!(error.contains("no checkpoint left after which a step gave numbers"), "{error}");
    assert_eq!(toy.open().run(run).unwrap().status, RunStatus::Failed);
    // Whoever resumes without the fault gets to the end.
    assert_eq!(toy.go_on_from(run, Some(5)), Outcome::Completed);
}

#[test]
fn dm3_a_run_falls_back_to_the_newest_weights_that_gave_numbers() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.checkpoint_every = 2;
    config.train.keep = 10;
    // Step 6 is the last one that is applied: what it began with is good, what it made is not.
    let run = toy.record(&config);
    let outcome = train_with(&toy, run, |step| if step > 6 { Mishap::NonFiniteGradient } else { Mishap::None });
    let Outcome::Failed { error } = outcome else {
        panic!("no step after the sixth can be applied");
    };
    assert!(error.contains("back at the checkpoint of step 4"), "{error}");
    let folders = || {
        let entries = std::fs::read_dir(toy.open().run_dir(run).join("checkpoints")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let left = ["doubtful-000006", "doubtful-000008", "doubtful-000009", "step-000002", "step-000004"];
    assert_eq!(folders(), left);
    // It goes on from there as if nothing had been.
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let (whole, _) = toy.train(&config);
    let losses = |run| toy.open().series(run, "loss", None).unwrap();
    assert_eq!(losses(run), losses(whole));
    assert!(folders().iter().all(|name| name.starts_with("step-")), "{:?}", folders());
}

#[test]
fn a_step_whose_pairs_are_all_set_aside_is_none_for_the_optimizer() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.pairs_per_step = 1;
    config.objective.reference_weight = Some(0.0);
    config.objective.retention_weight = Some(0.0);
    config.train.micro_batch_tokens = TokenBudget::Tokens(1);
    config.train.checkpoint_every = 1;
    config.train.keep = 100;
    config.train.steps = Some(4);
    let run = toy.record(&config);
    // One pair a step, and that of step 3 never fits.
    let outcome = train_with(&toy, run, |step| if step == 3 { Mishap::OutOfMemory } else { Mishap::None });
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    let said = project.log(run).unwrap();
    assert!(said.iter().any(|line| line.step == 3 && line.text.contains("Step 3 changed nothing")), "{said:?}");
    let bytes = |step: u64, file: &str| {
        std::fs::read(project.run_dir(run).join(format!("checkpoints/step-{step:06}/{file}"))).unwrap()
    };
    for file in ["trainable.safetensors", "optimizer.safetensors"] {
        assert!(bytes(2, file) == bytes(3, file), "{file} has moved");
        assert!(bytes(3, file) != bytes(4, file));
    }
    let (_, metrics) = &project.steps(run, Some(2)).unwrap()[0];
    assert!(metrics.iter().any(|(name, _)| name == "epoch"), "the step counts");
}

#[test]
fn a_run_that_finds_no_room_for_one_pair_ends_with_what_was_saved() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.pairs_per_step = 1;
    config.objective.reference_weight = Some(0.0);
    config.objective.retention_weight = Some(0.0);
    config.train.checkpoint_every = 2;
    config.train.steps = Some(8);
    let run = toy.record(&config);
    let outcome = train_with(&toy, run, |step| if step >= 3 { Mishap::OutOfMemory } else { Mishap::None });
    let Outcome::Failed { error } = outcome else { panic!("{outcome:?}") };
    assert!(error.contains("no room for one pair at a time") && error.contains("last checkpoint"), "{error}");
    // Not all pairs were put aside one after the other.
    let log = toy.open().log(run).unwrap();
    assert_eq!(log.iter().filter(|line| line.text.contains("changed nothing")).count(), 3, "{log:?}");
    assert_eq!(toy.go_on(run), Outcome::Completed);
}

#[test]
fn a_step_without_memory_is_done_again_in_smaller_rows() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.micro_batch_tokens = TokenBudget::Tokens(512);
    config.train.steps = Some(4);
    let run = toy.record(&config);
    assert_eq!(train_with(&toy, run, strikes(2)), Outcome::Completed);
    let project = toy.open();
    let said: Vec<String> = project
        .log(run)
        .unwrap()
        .into_iter()
        .filter(|line| line.text.contains("tried again"))
        .inspect(|line| assert!(line.mark && line.step == 3, "drawn where it happened"))
        .map(|line| line.text)
        .collect();
    assert_eq!(said.len(), 2);
    assert!(said[1].contains("rows hold 128 tokens"), "{said:?}");
    let met = |run| project.visits(run, 1, 4).unwrap().iter().map(|(s, v)| (*s, v.pair)).collect::<Vec<_>>();
    let (undisturbed, _) = toy.train(&config);
    assert_eq!(met(run), met(undisturbed), "the batches are the same");
}

#[test]
fn what_never_fits_is_set_aside_by_name_and_met_no_more() {
    const STRIKES: u32 = 8;
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.micro_batch_tokens = TokenBudget::Tokens(512);
    config.objective.reference_weight = Some(0.0);
    config.train.steps = Some(30);
    let run = toy.record(&config);
    assert_eq!(train_with(&toy, run, strikes(STRIKES)), Outcome::Completed);
    let project = toy.open();
    let said: Vec<String> = project
        .log(run)
        .unwrap()
        .into_iter()
        .filter(|line| line.text.contains("tried again"))
        .map(|line| line.text)
        .collect();
    assert_eq!(said.len(), STRIKES as usize);
    let aside: Vec<i64> = said
        .iter()
        .filter(|text| text.contains("set aside"))
        .map(|text| text.split(' ').nth(1).unwrap().parse().unwrap())
        .collect();
    assert!((1..5).contains(&aside.len()), "{said:?}");
    assert_eq!(project.visits(run, 3, 3).unwrap().len(), 5 - aside.len());
    let later = project.visits(run, 3, 30).unwrap();
    assert!(later.iter().all(|(_, visit)| !aside.contains(&visit.pair.0)));
}

#[test]
fn a_limit_that_nothing_fits_is_a_sentence() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.memory_mb = Some(0);
    let (_, outcome) = toy.train(&config);
    let Outcome::Failed { error } = outcome else {
        panic!("there is no room for a row");
    };
    assert!(error.contains("train.memory_mb"), "{error}");
}
