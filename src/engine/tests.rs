//! What happens when something breaks inside the engine: faults are injected where the loop meets the policy.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{
    Engine, EngineOptions,
    config::TokenBudget,
    fault::{Fault, Mishap},
    no_waker,
    protocol::{Event, Outcome, Request, RequestId, RunControl, Sampling, Weights},
    toy::{self, Toy, ask, finished, value, wait_for},
};
use crate::store::{LogLevel, RunStatus};

fn faulty(mishap: impl Fn(u64) -> Mishap + Send + Sync + 'static) -> Engine {
    let options = EngineOptions { fault: Fault::at(mishap), ..EngineOptions::with_threads(1) };
    Engine::start(no_waker(), options).unwrap()
}

#[test]
fn a_panic_fails_the_run_and_the_engine_still_answers() {
    let toy = Toy::new();
    let engine = faulty(|step| if step == 3 { Mishap::Panic } else { Mishap::None });
    let run = toy.record(&toy::config());
    toy.queue(&engine, run);
    let Outcome::Failed { error } = finished(&engine, run) else {
        panic!("step 3 panics");
    };
    assert!(error.contains("an injected panic"), "{error}");
    let record = toy.open().run(run).unwrap();
    assert_eq!(record.status, RunStatus::Failed);
    assert_eq!(record.message, Some(error));
    assert_eq!(record.step, 2, "what was measured before is kept");

    let request = RequestId(5);
    let generate = Request::Generate {
        request,
        source: Weights::Model { folder: toy.model.clone(), adapter: None },
        prompt: ask("Is 3 even?"),
        sampling: Sampling { max_new_tokens: 2, ..Sampling::default() },
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
    let engine = faulty(|step| match step {
        2 | 4 => Mishap::NonFiniteGradient,
        _ => Mishap::None,
    });
    let run = toy.record(&toy::config());
    toy.queue(&engine, run);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
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

#[test]
fn three_in_a_row_stop_on_the_last_good_weights() {
    let toy = Toy::new();
    let engine = faulty(|step| if step > 2 { Mishap::NonFiniteGradient } else { Mishap::None });
    let run = toy.record(&toy::config());
    toy.queue(&engine, run);
    let Outcome::Failed { error } = finished(&engine, run) else {
        panic!("no step after the second can be applied");
    };
    engine.shut_down();
    assert!(error.contains("saved at step 5"), "{error}");
    let checkpoint = toy.open().run_dir(run).join("checkpoints/step-000005");
    assert!(checkpoint.join("state.json").is_file());
    // Whoever resumes without the fault gets to the end.
    assert_eq!(toy.go_on(run), Outcome::Completed);
}

#[test]
fn a_step_without_memory_is_done_again_in_smaller_rows() {
    let toy = Toy::new();
    let left = AtomicU32::new(2);
    let engine = faulty(move |step| {
        let again = step == 3 && left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
        if again { Mishap::OutOfMemory } else { Mishap::None }
    });
    let mut config = toy::config();
    config.train.micro_batch_tokens = TokenBudget::Tokens(512);
    config.train.steps = Some(4);
    let run = toy.record(&config);
    toy.queue(&engine, run);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
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
    let left = AtomicU32::new(STRIKES);
    let engine = faulty(move |step| {
        let again = step == 3 && left.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok();
        if again { Mishap::OutOfMemory } else { Mishap::None }
    });
    let mut config = toy::config();
    config.train.micro_batch_tokens = TokenBudget::Tokens(512);
    config.objective.reference_weight = Some(0.0);
    config.train.steps = Some(30);
    let run = toy.record(&config);
    toy.queue(&engine, run);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
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
    let engine = faulty(|_| Mishap::None);
    let mut config = toy::config();
    config.train.memory_mb = Some(0);
    let run = toy.record(&config);
    toy.queue(&engine, run);
    let Outcome::Failed { error } = finished(&engine, run) else {
        panic!("there is no room for a row");
    };
    engine.shut_down();
    assert!(error.contains("train.memory_mb"), "{error}");
}
