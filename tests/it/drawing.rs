//! Answers drawn while a run goes on: the run's numbers stay what they are, and a stop does not wait for them.

use std::sync::Arc;

use nudge::{
    data::{Origin, Pair, Prompt},
    engine::{
        Engine,
        protocol::{
            AnswerOptions, Candidates, DrawnPair, Event, Outcome, Pilaf, Request, RequestId, RunControl, Sampling,
            Weights,
        },
    },
};

use crate::toy::{self, Toy, ask, finished, reached, start, wait_for};

const REQUEST: RequestId = RequestId(9);

fn prompts(count: usize) -> Arc<[Prompt]> {
    (0..count).map(|n| ask(&format!("Is {n} odd?"))).collect()
}

fn draw(engine: &Engine, source: Weights, prompts: Arc<[Prompt]>, pilaf: Option<Pilaf>) -> Arc<RunControl> {
    let options = AnswerOptions { sampling: Sampling::at(1.0), max_new_tokens: 4, seed: 3, ..AnswerOptions::default() };
    let control = Arc::new(RunControl::default());
    let request = Request::Draw {
        request: REQUEST,
        source,
        name: "run 1".to_owned(),
        prompts,
        asked: Candidates { options, answers: 2, pilaf },
        control: Arc::clone(&control),
    };
    engine.requests.send(request).unwrap();
    control
}

/// Pairs in the order they came, and how many prompts had none.
fn all(engine: &Engine) -> (Vec<Pair>, usize) {
    let (mut pairs, mut none) = (Vec::new(), 0);
    wait_for(engine, |event| {
        match event {
            Event::Drawn { request, drawn: DrawnPair::Pair { pair, .. } } if *request == REQUEST => {
                pairs.push(pair.as_ref().clone());
            }
            Event::Drawn { request, drawn: DrawnPair::None(_) } if *request == REQUEST => none += 1,
            Event::AllDrawn { request } if *request == REQUEST => return Some(()),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => {}
        }
        None
    });
    (pairs, none)
}

#[test]
fn a_run_is_the_same_to_the_bit_with_answers_drawn_beside_it() {
    let toy = Toy::new();
    let (alone, _) = toy.train(&toy::config());
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 2);
    draw(
        &engine,
        Weights::Run { project: toy.project.clone(), run, step: None },
        prompts(12),
        Some(Pilaf { strength: 0.5, share: 0.5 }),
    );
    let (pairs, none) = all(&engine);
    assert_eq!(pairs.len() + none, 12, "every prompt had its turn");
    assert!(!pairs.is_empty());
    let steps: std::collections::BTreeSet<&str> = pairs
        .iter()
        .map(|pair| match &pair.answers[0].origin {
            Origin::Model(name) => name.split("run 1 at step ").nth(1).unwrap().split(',').next().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(steps.iter().all(|step| step.parse::<u64>().unwrap() >= 2), "{steps:?}");
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();

    let project = toy.open();
    assert_eq!(toy::numbers(&project, run), toy::numbers(&project, alone));
}

#[test]
fn what_is_drawn_is_stopped_and_a_run_does_not_wait_for_it() {
    let toy = Toy::new();
    let engine = start();
    let model = Weights::Model { folder: toy.model.clone(), adapter: None };
    let control = draw(&engine, model.clone(), prompts(10_000), None);
    wait_for(&engine, |event| matches!(event, Event::Drawn { .. }).then_some(()));
    // A run begins between two turns.
    let run = toy.record(&toy::config());
    toy.queue(&engine, run);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    control.stop();
    wait_for(&engine, |event| matches!(event, Event::AllDrawn { request } if *request == REQUEST).then_some(()));
    // The same prompts with the same seed, and in another company, give the same answers.
    draw(&engine, model.clone(), prompts(3), None);
    let (first, _) = all(&engine);
    draw(&engine, model, prompts(40), None);
    let (second, _) = all(&engine);
    assert_eq!(first[..], second[..first.len()]);
    engine.shut_down();
}

#[test]
fn weights_that_are_not_there_cost_a_sentence() {
    let toy = Toy::new();
    let engine = start();
    let run = toy.record(&toy::config());
    draw(&engine, Weights::Run { project: toy.project.clone(), run, step: None }, prompts(2), None);
    let error = wait_for(&engine, |event| match event {
        Event::Failed { request, error } if *request == REQUEST => Some(error.clone()),
        _ => None,
    });
    assert!(error.contains("no checkpoint"), "{error}");
    engine.shut_down();
}
