//! Labels that join a run on its way: at an end of an epoch, marked, recorded, and exact to go on from.

use nudge::{
    data::{
        Change, Choice, Edit, Pair, PairId, Split, Strength,
        config::{Margin, Method, RunConfig},
    },
    engine::protocol::Outcome,
    export::RunHistory,
    store::{LabelChanges, RunId},
};

use crate::{
    resume::{checkpoints, metrics, remove_after, weights},
    toy::{self, Toy, finished, labelled, reached, start},
};

const STEPS: u64 = 14;

pub fn config() -> RunConfig {
    let mut config = toy::config();
    config.train.steps = Some(STEPS);
    // Never the end of an epoch by itself.
    config.train.pairs_per_step = 4;
    config.train.checkpoint_every = 2;
    config.train.keep = 20;
    config.train.eval_every = 4;
    config
}

/// Three new pairs, one flipped, one deleted, one that is no label any more.
fn edit(toy: &Toy) {
    let mut project = toy.open();
    let pairs = project.pairs(&(1..=20).map(PairId).collect::<Vec<_>>()).unwrap();
    let flipped = |pair: &Pair| {
        let mut after = pair.clone();
        let choice = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Strongly };
        after.verdict.as_mut().unwrap().choice = choice;
        Edit::replace(pair.clone(), after)
    };
    let skipped = |pair: &Pair| {
        let mut after = pair.clone();
        after.verdict.as_mut().unwrap().choice = Choice::Skip;
        Edit::replace(pair.clone(), after)
    };
    let mut edits: Vec<Edit> =
        (0..3).map(|n| Edit::add(labelled(&format!("Is {n} odd?"), "yes sir", "no way"))).collect();
    edits.extend([flipped(&pairs[4]), Edit::delete(pairs[7].clone()), skipped(&pairs[11])]);
    project.apply(&Change::new("While it runs", edits)).unwrap();
}

/// Something else again, later than what joined.
pub fn edit_once_more(toy: &Toy) {
    toy::add(&mut toy.open(), vec![labelled("Is it late?", "yes sir", "no way")]);
}

/// A run that has been asked to take in what was edited since it was recorded.
pub fn asked(toy: &Toy, config: &RunConfig) -> RunId {
    let run = toy.record(config);
    edit(toy);
    toy.open().ask_to_take_in(run, true).unwrap();
    run
}

fn marks(toy: &Toy, run: RunId) -> Vec<(u64, String)> {
    let log = toy.open().log(run).unwrap();
    log.into_iter().filter(|line| line.mark).map(|line| (line.step, line.text)).collect()
}

/// Trains until a step is done, then everything ends as a killed process ends: without the checkpoint of an orderly
/// stop.
fn killed_after(toy: &Toy, run: RunId, step: u64, last_checkpoint: u64) {
    toy.leave_at(run, step);
    remove_after(&toy.open().run_dir(run), last_checkpoint);
}

fn assert_same(whole: (&Toy, RunId), parts: (&Toy, RunId), last: u64) {
    let (mine, theirs) = (metrics(whole.0, whole.1), metrics(parts.0, parts.1));
    for (key, bits) in &mine {
        assert_eq!(theirs.get(key).copied().map(f64::from_bits), Some(f64::from_bits(*bits)), "{key:?}");
    }
    assert_eq!(mine.len(), theirs.len());
    assert!(weights(whole.0, whole.1, last) == weights(parts.0, parts.1, last), "weights and moments");
    assert_eq!(whole.0.open().take_ins(whole.1).unwrap(), parts.0.open().take_ins(parts.1).unwrap());
    assert_eq!(marks(whole.0, whole.1), marks(parts.0, parts.1));
}

#[test]
fn labels_join_at_the_next_end_of_an_epoch_and_a_killed_run_goes_on_to_the_bit() {
    let whole = Toy::new();
    let run = asked(&whole, &config());
    assert_eq!(whole.go_on(run), Outcome::Completed);
    let joined = whole.open().take_ins(run).unwrap();
    let [taken] = joined[..] else { panic!("once: {joined:?}") };
    assert_eq!(taken.labels, LabelChanges { added: 3, changed: 1, removed: 2 });
    let border = taken.step;
    let told = marks(&whole, run);
    let expected = "Takes in 6 labels (3 new, 1 changed, 2 removed): data revision 1 → 2";
    assert!(told[0].0 == border + 1 && told[0].1.starts_with(expected), "{told:?}");
    // The epoch ended there, and the next one met everything else once.
    let epochs = whole.open().series(run, "epoch", None).unwrap();
    assert_eq!(epochs[border as usize - 1], (border, 1.0));
    let visits = |pair| whole.open().pair_history(run, PairId(pair)).unwrap();
    assert!((21..=23).all(|pair| visits(pair).iter().all(|(step, ..)| *step > border)));
    assert!((21..=23).any(|pair| !visits(pair).is_empty()));
    assert!([8, 12].iter().all(|pair| visits(*pair).iter().all(|(step, ..)| *step <= border)));
    let seen = |step: u64| {
        let path = whole.open().run_dir(run).join(format!("checkpoints/step-{step:06}/state.json"));
        let index: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        index["state"]["seen"].clone()
    };
    let first = serde_json::json!({"step": 0, "revision": 1});
    assert_eq!(seen(2), serde_json::json!([first]));
    assert_eq!(seen(STEPS), serde_json::json!([first, {"step": border, "revision": 2}]));

    // Killed before labels joined, and after; what is edited after that joins neither.
    for (step, last_checkpoint) in [(border - 1, 2), (border + 3, 2), (border + 5, border + 2)] {
        let toy = Toy::new();
        let run = asked(&toy, &config());
        killed_after(&toy, run, step, last_checkpoint);
        if step > border {
            edit_once_more(&toy);
        }
        assert_eq!(toy.go_on(run), Outcome::Completed, "killed after step {step}");
        assert_same((&whole, whole_run(&whole)), (&toy, run), STEPS);
    }
}

fn whole_run(toy: &Toy) -> RunId {
    toy.open().runs().unwrap()[0].id
}

#[test]
fn full_weights_and_epochs_take_labels_in_exactly_too() {
    let mut config = config();
    config.lora.full = true;
    config.train.steps = None;
    config.train.epochs = 3.0;
    config.optimizer.learning_rate = 1e-3;
    let whole = Toy::new();
    let run = asked(&whole, &config);
    assert_eq!(whole.go_on(run), Outcome::Completed);
    let border = whole.open().take_ins(run).unwrap()[0].step;
    let record = whole.open().run(run).unwrap();
    let epochs = whole.open().series(run, "epoch", None).unwrap();
    assert_eq!(epochs.last().unwrap(), &(record.total_steps, 3.0), "the rest of its epochs are of the new pairs");

    let toy = Toy::new();
    let run = asked(&toy, &config);
    killed_after(&toy, run, border + 3, 2);
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let (mine, theirs) = (metrics(&whole, whole_run(&whole)), metrics(&toy, run));
    assert!(mine == theirs);
    let model = |toy: &Toy, run| {
        let step = record.total_steps;
        std::fs::read(toy.open().run_dir(run).join(format!("checkpoints/step-{step:06}/model.safetensors"))).unwrap()
    };
    assert!(model(&whole, whole_run(&whole)) == model(&toy, run));
}

#[test]
fn a_setting_takes_labels_in_without_being_asked_and_a_named_step_forgets() {
    let toy = Toy::new();
    let mut config = config();
    config.data.live_labels = true;
    config.objective.kind = Method::Dpo;
    config.objective.margin = Some(Margin::AnchoredSum);
    let run = toy.record(&config);
    edit(&toy);
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 5);
    edit_once_more(&toy);
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let joined = toy.open().take_ins(run).unwrap();
    assert_eq!(joined.len(), 2, "{joined:?}");
    assert_eq!(joined[1].labels, LabelChanges { added: 1, changed: 0, removed: 0 });
    assert_eq!(toy.open().newest_revision_of(run).unwrap(), joined[1].revision);

    // Back to a step that is named: what joined later is dropped with the rest, and the labels of now join.
    toy.open().ask_to_take_in(run, false).unwrap();
    assert_eq!(toy.go_on_from(run, Some(2)), Outcome::Completed);
    let again = toy.open().take_ins(run).unwrap();
    assert_eq!((again.len(), again[0].step, again[0].revision), (1, joined[0].step, joined[1].revision));
}

#[test]
fn a_run_that_is_killed_twice_takes_in_again_what_joined_later_than_it_came() {
    let toy = Toy::new();
    let run = asked(&toy, &config());
    let engine = start();
    toy.queue(&engine, run);
    reached(&engine, run, 6);
    edit_once_more(&toy);
    toy.open().ask_to_take_in(run, true).unwrap();
    assert_eq!(finished(&engine, run), Outcome::Completed);
    engine.shut_down();
    let joined = toy.open().take_ins(run).unwrap();
    let [first, second] = joined[..] else { panic!("{joined:?}") };
    let measured = metrics(&toy, run);

    // It goes through the first once more, and is killed before it comes to the second.
    remove_after(&toy.open().run_dir(run), 2);
    killed_after(&toy, run, first.step + 1, 2);
    assert!(toy.open().run(run).unwrap().step < second.step);
    assert_eq!(toy.open().take_ins(run).unwrap(), joined);
    assert_eq!(toy.go_on(run), Outcome::Completed);
    assert_eq!(toy.open().take_ins(run).unwrap(), joined);
    assert!(metrics(&toy, run) == measured);
}

#[test]
fn held_out_prompts_stay_held_out_and_a_run_without_pairs_left_keeps_what_it_has() {
    let toy = Toy::new();
    let run = toy.record(&config());
    let mut project = toy.open();
    let pairs = project.pairs(&(1..=20).map(PairId).collect::<Vec<_>>()).unwrap();
    let pinned = |split| {
        let pin = move |pair: &Pair| Edit::replace(pair.clone(), Pair { split, ..pair.clone() });
        Change::new("Pin", pairs.iter().map(pin).collect())
    };
    project.apply(&pinned(Split::Train)).unwrap();
    project.ask_to_take_in(run, true).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    // No label changed, so nothing is marked; and no pair that was measured is trained on.
    let joined = project.take_ins(run).unwrap();
    assert!(joined.len() == 1 && joined[0].labels.is_none(), "{joined:?}");
    assert!(marks(&toy, run).is_empty());
    let never_met = |id: &i64| project.pair_history(run, PairId(*id)).unwrap().is_empty();
    let held_out: Vec<i64> = (1..=20).filter(never_met).collect();
    assert!((3..=8).contains(&held_out.len()), "{held_out:?}");
    let told = RunHistory::of(&project, &project.run(run).unwrap()).unwrap();
    let (_, sides) = told.facts.iter().find(|(label, _)| label == "Labelled pairs").unwrap();
    let out = held_out.len();
    assert_eq!(*sides, format!("{} to train on, {out} held out", 20 - out), "the report knows their sides");

    // Everything is deleted: a sentence, and the run goes on.
    let mut longer = config();
    longer.train.steps = Some(STEPS + 8);
    project.set_run_config(run, &longer.to_toml().unwrap()).unwrap();
    let now = project.pairs(&(1..=20).map(PairId).collect::<Vec<_>>()).unwrap();
    project.apply(&Change::new("Delete all", now.into_iter().map(Edit::delete).collect())).unwrap();
    project.ask_to_take_in(run, true).unwrap();
    assert_eq!(toy.go_on(run), Outcome::Completed);
    let log = project.log(run).unwrap();
    let said = |text: &str| log.iter().filter(|line| line.text.contains(text)).count();
    assert_eq!(said("The labels made meanwhile do not join; the run goes on with those it has"), 1);
    assert_eq!(said("Not taken in: 20 removed labels"), 1);
    assert_eq!(project.take_ins(run).unwrap(), joined);
    assert!(checkpoints(&project.run_dir(run)).contains(&(STEPS + 8)));
}
