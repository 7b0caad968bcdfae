//! The engine as a window or a command line meets it: requests in, events out, everything in the project.

use std::{collections::BTreeSet, time::Duration};

use nudge::{
    data::config::{DriftAction, Knob},
    engine::{
        Engine, checkpoint_steps,
        protocol::{
            AdapterStrength, AnswerOptions, EstimateBasis, Event, Outcome, Request, RequestId, RunControl, Sampling,
            StoppedBy, Weights,
        },
        score::{IdPair, score_ids},
    },
    model::{Doc, LoadOptions, Policy, Row},
    store::{LogLevel, RunStatus},
};

use crate::toy::{self, Toy, add, ask, finished, labelled, reached, start, value, wait_for};

#[test]
fn training_learns_the_preference_and_everything_is_in_the_project() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    let mut told = Vec::new();
    let outcome = wait_for(&engine, |event| match event {
        Event::Step { step, metrics, .. } => {
            told.push((*step, metrics.clone()));
            None
        }
        Event::Finished { outcome, .. } => Some(outcome.clone()),
        _ => None,
    });
    assert_eq!(outcome, Outcome::Completed);
    engine.shut_down();

    let project = toy.open();
    let record = project.run(run).unwrap();
    assert_eq!((record.status, record.step, record.total_steps), (RunStatus::Completed, 12, 12));
    let stored = project.steps(run, None).unwrap();
    for (step, metrics) in &told {
        let (_, kept) = stored.iter().find(|(s, _)| s == step).unwrap();
        for (name, told) in metrics {
            assert_eq!(value(kept, name), *told, "{name} of step {step}");
        }
    }

    // Before the first update the policy is its own reference.
    let (first, last) = (&told[0].1, &told[11].1);
    assert!((value(first, "loss/preference") + 0.5).abs() < 1e-4);
    assert!(value(first, "rewards/margins").abs() < 1e-3);
    assert!(value(last, "loss/preference") < -0.8, "{last:?}");
    assert_eq!(value(last, "rewards/accuracies"), 1.0);
    assert!(value(last, "logps/chosen_change") > value(last, "logps/rejected_change"));
    let total =
        value(last, "loss/preference") + 0.3 * value(last, "loss/reference") + 0.1 * value(last, "loss/retention");
    assert!((value(last, "loss") - total).abs() < 1e-9);

    let measured = |step: u64| &stored.iter().find(|(s, _)| *s == step).unwrap().1;
    assert!((value(measured(0), "eval_loss/preference") + 0.5).abs() < 1e-4);
    assert!(value(measured(0), "kl/ref").abs() < 1e-4);
    assert!(value(measured(0), "kl/policy_k3").abs() < 1e-4);
    assert!(value(measured(12), "eval_loss/preference") < -0.7);
    assert!(value(measured(12), "kl/policy_k3") > 1e-3);
    let accuracy = "eval_rewards/accuracies";
    assert!(measured(0).iter().all(|(name, _)| name != accuracy), "no pair has moved");
    assert!(value(measured(12), accuracy) > 0.5);
    for name in ["eval_margin/q50", "eval_loss/retention", "kl/ref_per_answer", "answers/mean_tokens", "stop/eos_rate"]
    {
        for step in [0, 6, 12] {
            assert!(value(measured(step), name).is_finite());
        }
    }

    let sampled: BTreeSet<(u64, usize)> =
        project.samples(run).unwrap().into_iter().map(|record| (record.step, record.probe)).collect();
    let expected = [0, 6, 12].into_iter().flat_map(|step| [(step, 0), (step, 1)]);
    assert_eq!(sampled, expected.collect());
    let visits = project.visits(run, 1, 12).unwrap();
    assert_eq!(visits.len(), 12 * 5);
    assert!(visits.iter().any(|(_, visit)| visit.margin > 1.0));
}

#[test]
fn reference_free_dpo_and_ipo_train_too_and_so_do_full_weights() {
    let toy = Toy::new();
    for (key, set) in
        [("objective.margin", "mean"), ("objective.kind", "dpo"), ("objective.kind", "ipo"), ("lora.full", "true")]
    {
        let overrides = [(key.to_owned(), set.to_owned())];
        let mut config = toy::config().with_overrides(&overrides).unwrap();
        config.train.steps = Some(4);
        config.optimizer.learning_rate = 2e-3;
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed, "{key}");
        let margins = toy.open().series(run, "rewards/margins", None).unwrap();
        assert!(margins[3].1 > margins[0].1, "{key} = {set}: {margins:?}");
    }
}

#[test]
fn a_stopped_run_has_a_checkpoint_and_goes_on_from_it() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    let control = toy.queue(&engine, run);
    reached(&engine, run, 3);
    control.stop();
    let Outcome::Stopped { step } = finished(&engine, run) else {
        panic!("it was asked to stop");
    };
    assert!((3..12).contains(&step));
    let record = toy.open().run(run).unwrap();
    assert_eq!(record.status, RunStatus::Stopped);
    assert!(record.dir.join(format!("checkpoints/step-{step:06}/state.json")).is_file());
    engine.shut_down();

    assert_eq!(toy.go_on(run), Outcome::Completed);
    let steps: Vec<u64> = toy.open().series(run, "loss", None).unwrap().iter().map(|p| p.0).collect();
    assert_eq!(steps, (1..=12).collect::<Vec<_>>(), "every step once");
}

#[test]
fn a_run_that_is_stopped_while_its_model_loads_reads_no_more() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    let control = toy.queue(&engine, run);
    control.stop();
    assert_eq!(finished(&engine, run), Outcome::Stopped { step: 0 });
    let log: Vec<String> = toy.open().log(run).unwrap().into_iter().map(|line| line.text).collect();
    assert!(!log.iter().any(|line| line.contains("pairs")), "it has not come to its data: {log:?}");
    engine.shut_down();
    assert_eq!(toy.go_on(run), Outcome::Completed);
}

#[test]
fn dropping_the_engine_stops_the_run_with_a_checkpoint() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    toy.leave_at(run, 1);
    let record = toy.open().run(run).unwrap();
    assert_eq!(record.status, RunStatus::Stopped);
    assert!(record.dir.join("checkpoints").read_dir().unwrap().count() > 0);
}

#[test]
fn a_paused_run_answers_with_its_present_weights() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    let control = toy.queue(&engine, run);
    reached(&engine, run, 2);
    toy.queue(&engine, run);
    control.set_paused(true);
    let at = wait_for(&engine, |event| match event {
        Event::Paused { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(toy.open().run(run).unwrap().status, RunStatus::Paused);
    let request = RequestId(1);
    engine
        .requests
        .send(Request::Generate {
            request,
            source: Weights::Run { project: toy.project.clone(), run, step: None },
            prompt: ask("Is 3 even?"),
            options: AnswerOptions { max_new_tokens: 3, ignore_eos: true, ..AnswerOptions::default() },
            control: RunControl::default().into(),
        })
        .unwrap();
    let answer = wait_for(&engine, |event| match event {
        Event::Generated { request: of, answer } if *of == request => Some(answer.clone()),
        Event::Failed { error, .. } => panic!("{error}"),
        Event::Step { .. } => panic!("a step was done while paused"),
        _ => None,
    });
    assert_eq!((answer.ids.len(), answer.stopped_by), (3, StoppedBy::Limit));
    control.set_paused(false);
    let on = wait_for(&engine, |event| match event {
        Event::Continued { step, .. } => Some(*step),
        _ => None,
    });
    assert_eq!(on, at);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    let events = engine.events.clone();
    engine.shut_down();
    let again = events.try_iter().any(|event| matches!(event, Event::Finished { .. }));
    assert!(!again, "asked for twice, run once");
}

#[test]
fn a_run_answers_at_any_strength_between_its_start_and_beyond_its_end() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    let mut asked = 0;
    let mut answer = |source| {
        asked += 1;
        let request = RequestId(asked);
        let options = AnswerOptions {
            sampling: Sampling::at(1.0),
            max_new_tokens: 12,
            ignore_eos: true,
            ..AnswerOptions::default()
        };
        let prompt = ask("Is 3 even?");
        let control = RunControl::default().into();
        engine.requests.send(Request::Generate { request, source, prompt, options, control }).unwrap();
        wait_for(&engine, |event| match event {
            Event::Generated { request: of, answer } if *of == request => Some(answer.ids.clone()),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        })
    };
    let whole = |step| Weights::Run { project: toy.project.clone(), run, step };
    let part = |percent| {
        let strength = AdapterStrength::percent(percent).unwrap();
        Weights::Scaled { project: toy.project.clone(), run, step: None, strength }
    };
    let (start, end) = (answer(whole(Some(0))), answer(whole(None)));
    assert_ne!(start, end, "it has learnt something");
    assert_eq!(answer(part(0)), start);
    assert_eq!(answer(part(100)), end);
    assert_eq!(answer(part(0)), start, "the one is not scaled by the other");
    assert_eq!(answer(part(150)).len(), 12);
    assert_eq!(AdapterStrength::percent(151), None);
    engine.shut_down();
}

#[test]
fn a_knob_counts_from_the_next_step_and_is_marked() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 2);
    for knob in [Knob::ReferenceWeight(0.0), Knob::Beta(-1.0)] {
        engine.requests.send(Request::Turn { run, knob }).unwrap();
    }
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let project = toy.open();
    let log = project.log(run).unwrap();
    let mark = log.iter().find(|line| line.mark).unwrap();
    assert_eq!(mark.text, "λ ref 0.3 → 0");
    assert!(log.iter().any(|l| l.level == LogLevel::Warning && l.text.contains("β stays")));
    // Without its weight the term is neither computed nor told.
    let last = project.series(run, "loss/reference", None).unwrap();
    assert_eq!(last.last().unwrap().0 + 1, mark.step);
}

#[test]
fn steering_comes_no_lower_than_a_hand_has_turned() {
    let toy = Toy::new();
    let mut config = toy::config();
    config.train.eval_every = 1;
    // Far from any drift of so few steps: there is nothing to hold.
    config.train.kl_limit = Some(100.0);
    config.train.kl_action = DriftAction::Steer;
    let run = toy.record(&config);
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 2);
    engine.requests.send(Request::Turn { run, knob: Knob::ReferenceWeight(0.9) }).unwrap();
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let log = toy.open().log(run).unwrap();
    let marks: Vec<&str> = log.iter().filter(|line| line.mark).map(|line| line.text.as_str()).collect();
    assert_eq!(marks, ["λ ref 0.3 → 0.9"]);
}

#[test]
fn nobody_listening_does_not_hold_the_training_up() {
    let toy = Toy::new();
    let run = toy.record(&toy::config());
    let engine = start();
    toy.queue(&engine, run);
    let Engine { requests, events, .. } = engine;
    drop(events);
    let done = (0..1200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        toy.open().run(run).unwrap().status == RunStatus::Completed
    });
    assert!(done);
    drop(requests);
}

#[test]
fn unusable_pairs_are_set_aside_with_their_reasons() {
    let toy = Toy::new();
    add(
        &mut toy.open(),
        vec![
            labelled("Same?", "yes", "yes"),
            labelled("Empty?", "yes", ""),
            labelled(&"long ".repeat(300), "yes", "no"),
        ],
    );
    let mut config = toy::config();
    config.train.steps = Some(1);
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let log = toy.open().log(run).unwrap();
    let aside: Vec<&str> =
        log.iter().filter(|line| line.text.contains("set aside")).map(|line| line.text.as_str()).collect();
    assert_eq!(aside.len(), 3, "{aside:?}");
}

#[test]
fn faults_before_the_start_are_sentences() {
    let toy = Toy::new();
    let failed = |change: &[(&str, &str)]| {
        let overrides: Vec<(String, String)> = change.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let config = toy::config().with_overrides(&overrides).unwrap();
        match toy.train(&config).1 {
            Outcome::Failed { error } => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(failed(&[("objective.beta", "-1")]).contains("objective.beta is -1"));
    assert!(failed(&[("model.path", "/no/such/folder")]).contains("/no/such/folder"));
    assert!(failed(&[("train.device", "cuda:0")]).contains("cuda:0"));
    assert!(failed(&[("data.max_prompt_tokens", "1")]).contains("nothing to train on"));
}

#[test]
fn preflight_measures_before_the_start() {
    let toy = Toy::new();
    add(&mut toy.open(), vec![labelled("Same?", "yes", "yes")]);
    let engine = start();
    let request = RequestId(7);
    let ask_for = |config| {
        engine
            .requests
            .send(Request::Preflight { request, project: toy.project.clone(), config: Box::new(config), yields: false })
            .unwrap();
        wait_for(&engine, |event| match event {
            Event::Preflight { report, .. } => Some(report.clone()),
            Event::Failed { error, .. } => panic!("{error}"),
            _ => None,
        })
    };
    let report = ask_for(toy::config());
    assert_eq!(report.train_pairs + report.eval_pairs, 20);
    assert_eq!(report.set_aside.len(), 1);
    assert_eq!(report.total_steps, 12);
    assert_eq!(report.asleep, 0.0);
    assert!(report.trainable_parameters > 0 && report.trainable_parameters < report.total_parameters);
    let memory = &report.memory;
    assert!(memory.peak_memory_bytes > memory.estimated_memory_bytes);
    assert!(memory.peak_memory_is == EstimateBasis::Measured && memory.fits());
    assert!(report.estimated_secs > 0.0);
    let measuring = report.measuring;
    assert!(measuring.evaluation_secs > 0.0 && measuring.sample_secs > 0.0 && measuring.anchor_secs > 0.0);
    assert!(report.estimated_secs > measuring.secs(&toy::config().train, 12), "the steps come to it");
    assert_eq!(report.arithmetic.to_string(), "f32 weights, multiplied in f32");
    let (_, measured, expected) = report.golden.iter().find(|g| g.0 == "loss/preference").unwrap();
    assert!((measured - expected).abs() < 1e-4 && *expected == -0.5);

    let mut config = toy::config();
    config.objective.margin = Some(nudge::data::config::Margin::Sum);
    config.objective.beta = 50.0;
    let asleep = ask_for(config);
    assert!(asleep.asleep > 0.3);
    assert!(asleep.warnings.iter().any(|w| w.contains("asleep")));

    toy.open().set_references(&[]).unwrap();
    let warnings = ask_for(toy::config()).warnings;
    assert!(warnings.iter().any(|w| w.contains("λ_ref is 0.3")), "{warnings:?}");
    engine.shut_down();
}

#[test]
fn scores_are_the_policys_own_log_probs() {
    let toy = Toy::new();
    let policy = Policy::load(&toy.model, &LoadOptions::default()).unwrap();
    let pairs: Vec<IdPair> = (1..4u32)
        .map(|n| IdPair {
            prompt: vec![1, 40 + n],
            chosen: vec![50; n as usize],
            rejected: vec![60, 61],
            sft_prompt: None,
            sft_completion: None,
        })
        .collect();
    let mut done = 0;
    let scores = score_ids(&policy, &pairs, &mut |pairs| done = pairs).unwrap();
    assert_eq!(done, 3);
    for (pair, score) in pairs.iter().zip(&scores) {
        let alone = Row::pack(&[Doc::new(pair.prompt.clone(), vec![pair.chosen.clone()])]).unwrap();
        let expected = &policy.log_probs(&alone).unwrap()[0];
        assert_eq!(score.chosen_ids, pair.chosen);
        for (got, want) in score.chosen_logps.iter().zip(expected) {
            assert!((got - want).abs() < 1e-4);
        }
        assert!((score.margin - (score.chosen_logp - score.rejected_logp)).abs() < 1e-12);
    }
}

#[test]
fn a_run_ends_where_it_has_drifted_as_far_as_it_may() {
    const LIMIT: f64 = 0.01;
    let toy = Toy::new();
    let mut config = toy::config();
    config.objective.reference_weight = Some(0.0);
    config.objective.retention_weight = Some(0.0);
    config.train.steps = Some(40);
    config.train.eval_every = 2;
    config.train.kl_limit = Some(LIMIT);
    let (run, outcome) = toy.train(&config);
    let project = toy.open();
    let drift = project.series(run, "kl/policy_k3", None).unwrap();
    let Outcome::Stopped { step } = outcome else {
        panic!("{outcome:?} with a drift of {drift:?}");
    };
    let (before, at) = drift.split_at(drift.len() - 1);
    assert!(before.iter().all(|(_, kl)| *kl <= LIMIT) && at[0].0 == step && at[0].1 > LIMIT, "{drift:?}");
    let log = project.log(run).unwrap();
    assert!(log.iter().any(|line| line.mark && line.text.contains("train.kl_limit")), "{log:?}");
    assert_eq!(checkpoint_steps(&project.run(run).unwrap().checkpoints).last(), Some(&step));
    // Whoever goes on knows it: the next evaluation is the next word.
    assert_eq!(toy.go_on(run), Outcome::Stopped { step: step + 2 });
}
