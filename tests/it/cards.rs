//! Runs on a graphics card: on most test machines the processor in disguise.

use nudge::{
    data::config::RunConfig,
    engine::protocol::Outcome,
    kernels::{
        device,
        gpu::{Card, CardOptions},
    },
};

use crate::{
    fixture,
    toy::{self, Toy, finished, reached, start, value},
};

/// The number that a test's own card has: no machine has so many.
fn on_card(number: usize) -> RunConfig {
    let mut config = toy::config();
    config.train.device = format!("gpu:{number}");
    config
}

#[test]
fn a_run_on_a_card_is_near_the_processors_and_goes_on_to_the_bit() {
    const NUMBER: usize = 1000;
    let Some(card) = fixture::card() else { return };
    device::adopt(NUMBER, &card);
    let toy = Toy::new();
    let (own, outcome) = toy.train(&toy::config());
    assert_eq!(outcome, Outcome::Completed);
    let (whole, outcome) = toy.train(&on_card(NUMBER));
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    let steps = |run| project.steps(run, None).unwrap();
    let (own, on_card_steps) = (steps(own), steps(whole));
    assert_eq!(own.len(), on_card_steps.len());
    for ((step, own), (_, found)) in own.iter().zip(&on_card_steps) {
        let measured = own.iter().find(|(name, _)| name == "loss");
        if let Some((_, loss)) = measured {
            let found = value(found, "loss");
            assert!((found - loss).abs() < 1e-3 * loss.abs().max(1.0), "step {step}: {found} instead of {loss}");
        }
    }

    // Stopped in between, the same bits come out on the same card.
    let parts = toy.record(&on_card(NUMBER));
    let engine = start();
    toy.queue(&engine, parts);
    reached(&engine, parts, 6);
    engine.shut_down();
    assert_eq!(toy.go_on(parts), Outcome::Completed);
    assert_eq!(toy::numbers(&toy.open(), whole), toy::numbers(&toy.open(), parts));
}

#[test]
fn a_card_whose_driver_gives_up_costs_no_more_than_the_steps_since_the_checkpoint() {
    const NUMBER: usize = 1001;
    if fixture::card().is_none() {
        return;
    }
    let card = Card::open(0, CardOptions::default()).unwrap();
    device::adopt(NUMBER, &card);
    let toy = Toy::new();
    let run = toy.record(&on_card(NUMBER));
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 7);
    card.lose();
    let Outcome::Failed { error } = finished(&engine, run) else { panic!("the card is lost") };
    assert!(error.contains("on purpose") && error.contains("last checkpoint"), "{error}");
    engine.shut_down();

    // On another device, from what was saved.
    let project = toy.open();
    let config = toy::config();
    project.set_run_config(run, &config.to_toml().unwrap()).unwrap();
    drop(project);
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    assert!(log.iter().any(|line| line.text.contains("goes on with another device")), "{log:?}");
}
