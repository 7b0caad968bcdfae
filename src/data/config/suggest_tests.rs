//! What the rule for settings makes of pairs and models.

use super::*;

fn of_pairs(pairs: usize, parameters: u64) -> Basis {
    Basis::of(pairs, Some(parameters))
}

/// Pairs whose prompts stand at these places between 0 and 1.
fn at_places(places: &[f64]) -> Basis {
    let at = |place: f64| {
        let near = |key: &u64| (0.0..1e-4).contains(&(SplitRule::place(0, PromptKey(*key)) - place));
        PromptKey((0..1_000_000).find(near).unwrap())
    };
    let open: Vec<_> = places.iter().map(|place| (at(*place), 1)).collect();
    Basis { open: open.into(), ..of_pairs(places.len(), 1_000_000) }
}

/// The share, why, and how many are held out by it.
fn share(basis: &Basis) -> (f64, String, usize) {
    let mut config = RunConfig::default();
    let suggestions = config.follow(basis, |_| false);
    let of_share = suggestions.into_iter().find(|one| one.setting == DataConfig::EVAL_FRACTION).unwrap();
    assert!(config.knows_sides(basis));
    (config.data.eval_fraction, of_share.because, basis.pairs - config.pairs_to_train_on(basis))
}

#[test]
fn few_pairs_hold_out_four_whatever_chance_says() {
    let places = |few: &[f64]| {
        let rest = (0..20 - few.len()).map(|n| 0.55 + 0.02 * n as f64);
        few.iter().copied().chain(rest).collect::<Vec<_>>()
    };
    let unlucky = at_places(&places(&[0.1, 0.27, 0.31, 0.42, 0.45]));
    assert_eq!(share(&unlucky), (0.421, "0.2 would hold out 1 of your 20 pairs".to_owned(), 4));
    let lucky = at_places(&places(&[0.01, 0.02, 0.05, 0.12, 0.19, 0.3]));
    assert_eq!(share(&lucky), (0.2, "you have 20 pairs".to_owned(), 5));
    // Of ten a fifth is two; beyond half of the prompts nothing is looked for.
    assert_eq!(share(&at_places(&[0.3, 0.41, 0.42, 0.5, 0.6, 0.7, 0.7, 0.8, 0.9, 0.9])).2, 2);
    assert_eq!(share(&at_places(&[0.3, 0.6, 0.6, 0.6, 0.6, 0.7, 0.7, 0.8, 0.9, 0.9])).2, 1);
}

#[test]
fn pairs_that_are_held_out_by_hand_and_prompts_of_many_pairs_count_as_what_they_are() {
    let unlucky = at_places(&[0.3, 0.4, 0.45, 0.6, 0.7, 0.8, 0.8, 0.9, 0.9, 0.9]);
    let with_pins = Basis { pairs: 20, held_out: 3, trained_on: 7, ..unlucky.clone() };
    let (part, _, held_out) = share(&with_pins);
    assert_eq!((part, held_out), (0.301, 4));
    assert_eq!(share(&Basis { pairs: 24, held_out: 4, trained_on: 10, ..unlucky.clone() }).0, 0.2);
    // One prompt of most pairs stays where it is trained on.
    let mut open = unlucky.open.to_vec();
    open[0].1 = 15;
    assert_eq!(share(&Basis { pairs: 24, open: open.into(), ..unlucky }).2, 0);
}

#[test]
fn pairs_that_join_move_no_prompt_that_was_trained_on() {
    let keys: Vec<(PromptKey, usize)> = (0..300u64).map(|key| (PromptKey(key * 7919 + 3), 1)).collect();
    let mut before = 1.0;
    for pairs in 20..=300 {
        let (part, _, held_out) = share(&Basis { open: keys[..pairs].into(), ..of_pairs(pairs, 1_000_000) });
        assert!(part <= before && held_out >= 4, "{pairs}: {part}, {held_out}");
        before = part;
    }
}

fn followed(pairs: usize, parameters: u64) -> (RunConfig, Vec<Suggestion>) {
    let mut config = RunConfig::default();
    let suggestions = config.follow(&of_pairs(pairs, parameters), |_| false);
    (config, suggestions)
}

fn steps(config: &RunConfig, pairs: usize) -> u64 {
    Length::of(&config.train, config.pairs_to_train_on(&of_pairs(pairs, 0))).steps
}

#[test]
fn eighty_pairs_are_enough_for_a_run_that_learns() {
    let (config, suggestions) = followed(81, 1_000_000);
    assert_eq!((config.train.pairs_per_step, config.train.epochs, steps(&config, 81)), (8, 8.0, 65));
    assert_eq!(config.optimizer.warmup_steps, 6);
    assert_eq!((config.optimizer.learning_rate, config.objective.beta), (1e-3, 1.0));
    assert_eq!(config.data.eval_fraction, 0.2);
    assert!(suggestions.iter().any(|suggestion| suggestion.because.contains("81 pairs")));
}

#[test]
fn the_reason_for_so_many_passes_is_the_one_that_decided() {
    let why = |pairs| {
        let (config, suggestions) = followed(pairs, 1_000_000);
        let of_epochs = suggestions.into_iter().find(|one| one.setting.key == TrainConfig::EPOCHS.key).unwrap();
        (config.train.epochs, of_epochs.because)
    };
    assert_eq!(why(10), (20.0, "a pair that is met more often is learnt by heart, and you have 10 pairs".to_owned()));
    assert_eq!(why(81).1, "60 steps are the least that moves an adapter, and you have 81 pairs");
    assert_eq!(why(1000).0, 1.1);
    for (pairs, part) in [(3000, 0.71), (10_000, 0.2), (30_000, 0.13)] {
        let because = format!("longer runs made the demo's model forget, and you have {pairs} pairs");
        assert_eq!(why(pairs), (part, because));
    }
    let (config, _) = followed(2000, 8_000_000_000);
    assert_eq!((config.train.epochs, steps(&config, 2000)), (1.0, 113));
}

#[test]
fn pairs_whose_side_is_set_are_not_shared_out_once_more() {
    let mut config = RunConfig::default();
    config.data.eval_fraction = 0.1;
    let basis = Basis { held_out: 240, trained_on: 340, ..of_pairs(680, 0) };
    assert_eq!(config.pairs_to_train_on(&basis), 340 + 90);
    assert!(!config.knows_sides(&basis), "the prompts of a hundred decide");
    assert!(config.knows_sides(&Basis { trained_on: 440, ..basis.clone() }));
    config.data.eval_fraction = 0.0;
    assert!(config.knows_sides(&basis), "who has no side is trained on");
    assert_eq!(config.pairs_to_train_on(&Basis { held_out: 680, ..of_pairs(680, 0) }), 0);
}

#[test]
fn a_run_of_any_number_of_pairs_gets_past_its_warm_up() {
    for pairs in [1, 2, 5, 12, 30, 81, 150, 300, 1000, 3000, 9999, 10_000, 30_000, 1_000_000] {
        let (config, _) = followed(pairs, 500_000_000);
        let steps = steps(&config, pairs);
        assert!(config.optimizer.warmup_steps * 2 <= steps, "{pairs}: {} of {steps}", config.optimizer.warmup_steps);
        assert!(steps >= 60 || config.train.epochs == 20.0, "{pairs}: {steps}");
        assert!(steps <= 120, "{pairs}: {steps}");
        assert!(config.train.eval_every >= 1 && config.train.checkpoint_every >= 1);
        assert_eq!(crate::config::validate(&config), [], "{pairs}");
    }
}

#[test]
fn more_pairs_take_fewer_epochs_and_hold_out_a_smaller_share() {
    let all: Vec<RunConfig> =
        [30, 81, 300, 3000, 30_000].into_iter().map(|pairs| followed(pairs, 1_000_000).0).collect();
    assert!(all.is_sorted_by(|a, b| a.train.epochs >= b.train.epochs));
    assert!(all.is_sorted_by(|a, b| a.data.eval_fraction >= b.data.eval_fraction));
    assert_eq!(all[4].data.eval_fraction, 0.017);
}

#[test]
fn a_run_ends_before_it_forgets_and_sooner_where_margins_go_on_growing() {
    let most = |kind, beta, tau| {
        let mut config = RunConfig::default();
        (config.objective.kind, config.objective.beta, config.objective.tau) = (kind, beta, tau);
        config.most_steps(&Basis { bytes: 238, ..of_pairs(30_000, 1_000_000) })
    };
    assert_eq!([0.1, 0.4, 0.5, 1.0].map(|beta| most(Method::Mpo, beta, 0.1)), [60, 60, 120, 120]);
    assert_eq!([0.1, 0.5].map(|beta| most(Method::Dpo, beta, 0.1)), [60, 120]);
    assert_eq!(most(Method::Ipo, 1.0, 1.0), 60, "its strength is τ");
    let of_many = |kind, pairs| {
        let mut config = RunConfig::default();
        config.objective.kind = kind;
        config.follow(&of_pairs(pairs, 1_000_000), |_| false);
        steps(&config, pairs)
    };
    assert!((115..=120).contains(&of_many(Method::Mpo, 30_000)) && (115..=120).contains(&of_many(Method::Mpo, 3000)));
    assert!((55..=60).contains(&of_many(Method::Dpo, 30_000)) && (55..=60).contains(&of_many(Method::Ipo, 3000)));
    let mut config = RunConfig::default();
    config.objective.kind = Method::Reward;
    config.follow(&of_pairs(30_000, 1_000_000), |_| false);
    assert_eq!(config.train.epochs, 1.0, "of a reward model nothing was tried");
}

#[test]
fn larger_models_learn_slower_and_whole_ones_slower_still() {
    let rate = |parameters, full| learning_rate(parameters, full);
    assert_eq!([1_000_000, 500_000_000, 8_000_000_000].map(|size| rate(size, false)), [1e-3, 2e-4, 1e-4]);
    assert_eq!(rate(500_000_000, true), 2e-5);
}

#[test]
fn what_was_chosen_stays_and_the_rest_follows_it() {
    let mut config = RunConfig::default();
    config.train.steps = Some(200);
    let chosen = [TrainConfig::STEPS, TrainConfig::EPOCHS, OptimizerConfig::LEARNING_RATE];
    config.follow(&of_pairs(81, 1_000_000), |setting| chosen.contains(setting));
    assert_eq!(config.optimizer.learning_rate, RunConfig::default().optimizer.learning_rate);
    assert_eq!((config.optimizer.warmup_steps, config.train.eval_every), (20, 16));
}

#[test]
fn no_share_is_held_out_of_pairs_that_name_their_side() {
    let share = |held_out, trained_on| {
        let basis = Basis { held_out, trained_on, ..of_pairs(100, 1_000_000) };
        let suggestions = RunConfig::default().follow(&basis, |_| false);
        suggestions.into_iter().find(|one| one.setting == DataConfig::EVAL_FRACTION).map(|one| one.because)
    };
    assert_eq!(share(0, 0).as_deref(), Some("you have 100 pairs"));
    assert_eq!(share(10, 60).as_deref(), Some("30 of your 100 pairs name no side"));
    assert_eq!(share(20, 80), None);
}

#[test]
fn nothing_is_said_about_data_that_is_not_there() {
    let (config, suggestions) = followed(0, 1_000_000);
    assert_eq!(suggestions.len(), 1);
    assert_eq!(config.train, TrainConfig::default());
}

#[test]
fn the_strength_of_mpo_follows_the_length_of_the_pairs_and_no_other_method_has_one() {
    let beta = |bytes, kind| {
        let mut config = RunConfig::default();
        config.objective.kind = kind;
        let suggestions = config.follow(&Basis { bytes, ..of_pairs(81, 1_000_000) }, |_| false);
        let because = suggestions.into_iter().find(|one| one.setting == ObjectiveConfig::BETA).map(|one| one.because);
        (config.objective.beta, because.unwrap_or_default())
    };
    let why = "with 0.1 MPO made the demo's model forget";
    assert_eq!(beta(0, Method::Mpo), (1.0, why.to_owned()));
    assert_eq!(beta(238, Method::Mpo), (1.0, format!("{why}, and your pairs are as short")));
    let why = "longer pairs learn slower with 1, and yours have about 950 bytes of text";
    assert_eq!(beta(957, Method::Mpo), (0.3, why.to_owned()));
    assert_eq!([475, 9000].map(|bytes| beta(bytes, Method::Mpo).0), [0.5, 0.1]);
    assert_eq!(beta(238, Method::Dpo), (0.1, String::new()));
}
