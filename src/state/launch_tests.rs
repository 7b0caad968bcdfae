//! The launch sheet: what was typed and what it means.

use data::config::{LoraConfig, Margin, SettingKind, TrainConfig, Word};

use super::*;

fn sheet() -> Launch {
    Launch::from_config(&RunConfig::default())
}

#[test]
fn the_sheet_of_a_config_means_that_config() {
    let mut config = RunConfig::default();
    config.optimizer.learning_rate = 1e-4;
    config.objective.kind = Method::Ipo;
    config.train.steps = Some(40);
    let checked = Launch::from_config(&config).checked().clone();
    assert_eq!(checked.config, config);
    assert_eq!(checked.problems, BTreeMap::new());
}

#[test]
fn a_word_in_a_number_field_is_a_sentence_with_its_label() {
    let mut launch = sheet();
    launch.set(ObjectiveConfig::BETA.key, "a lot");
    let problem = &launch.checked().problems[ObjectiveConfig::BETA.key];
    assert_eq!(problem, "β is “a lot”; it must be a number such as 0.1 or 3e-4");
}

#[test]
fn a_number_out_of_range_is_a_sentence_with_its_label() {
    let mut launch = sheet();
    launch.set(ObjectiveConfig::BETA.key, "0");
    assert_eq!(launch.checked().problems[ObjectiveConfig::BETA.key], "β is 0; it must be a number above 0");
    launch.set(ObjectiveConfig::BETA.key, "0.2");
    assert!(launch.checked().problems.is_empty());
    assert_eq!(launch.checked().config.objective.beta, 0.2);
}

#[test]
fn an_emptied_field_means_the_default() {
    let mut launch = sheet();
    launch.set(LoraConfig::RANK.key, " ");
    assert_eq!(launch.checked().config.lora.rank, RunConfig::default().lora.rank);
    launch.set(TrainConfig::STEPS.key, "40");
    launch.set(TrainConfig::STEPS.key, "");
    assert_eq!(launch.checked().config.train.steps, None);
}

#[test]
fn layers_are_typed_as_people_write_them() {
    let mut launch = sheet();
    launch.set(LoraConfig::TARGETS.key, "q_proj, v_proj");
    assert_eq!(
        launch.checked().config.lora.targets,
        data::config::Targets::Names(vec!["q_proj".into(), "v_proj".into()])
    );
    launch.set(LoraConfig::TARGETS.key, "all-linear");
    assert!(launch.checked().problems.is_empty());
}

#[test]
fn another_method_brings_its_own_defaults() {
    let mut launch = sheet();
    launch.set(ObjectiveConfig::MARGIN.key, Margin::Sum.name());
    launch.set_method(Method::Dpo);
    let checked = launch.checked();
    assert_eq!(checked.problems, BTreeMap::new());
    assert_eq!(checked.config.objective.margin(), Margin::AnchoredSum);
    assert_eq!(checked.config.objective.reference_weight(), 0.0);
}

#[test]
fn what_is_set_counts_for_every_method_that_can_take_it() {
    let mut launch = sheet();
    launch.set(ObjectiveConfig::MARGIN.key, Margin::AnchoredSum.name());
    launch.set(ObjectiveConfig::REFERENCE_WEIGHT.key, "0.7");
    launch.set_method(Method::Ipo);
    let objective = &launch.checked().config.objective;
    assert_eq!((objective.margin(), objective.reference_weight()), (Margin::AnchoredSum, 0.7));
}

#[test]
fn g10_what_was_set_for_a_method_stays_while_others_are_looked_at() {
    let mut launch = sheet();
    launch.set(ObjectiveConfig::REFERENCE_WEIGHT.key, "1");
    launch.set(ObjectiveConfig::RETENTION_WEIGHT.key, "0.2");
    launch.set(ObjectiveConfig::BETA.key, "0.4");
    launch.set(ObjectiveConfig::MARGIN.key, Margin::Mean.name());
    let before = launch.checked().config.clone();
    for method in [Method::Dpo, Method::Ipo, Method::Dpo, Method::Mpo] {
        launch.set_method(method);
    }
    assert_eq!(launch.checked().config, before);

    // Each method has its own, also what it shares with others by name.
    launch.set_method(Method::Dpo);
    launch.set(ObjectiveConfig::BETA.key, "0.05");
    launch.set(ObjectiveConfig::LABEL_SMOOTHING.key, "0.1");
    let dpo = launch.checked().config.clone();
    launch.set_method(Method::Mpo);
    assert_eq!(launch.checked().config, before);
    launch.set_method(Method::Dpo);
    assert_eq!(launch.checked().config, dpo);
    launch.set_method(Method::Dpo);
    assert_eq!(launch.checked().config, dpo, "the same button once more");

    // One that was only looked at follows what is set elsewhere.
    launch.set_method(Method::Mpo);
    launch.set(ObjectiveConfig::BETA.key, "0.7");
    launch.set_method(Method::Ipo);
    assert_eq!(launch.text(ObjectiveConfig::BETA.key), "0.7");
}

#[test]
fn g22_numbers_are_read_as_people_write_them_and_refused_in_a_sentence() {
    let mut launch = sheet();
    for (typed, beta) in [(".5", 0.5), ("5.", 5.0), ("1e-1", 0.1)] {
        launch.set(ObjectiveConfig::BETA.key, typed);
        assert_eq!(launch.checked().problems, BTreeMap::new(), "{typed}");
        assert_eq!(launch.checked().config.objective.beta, beta);
    }
    launch.set(LoraConfig::RANK.key, "08");
    assert_eq!(launch.checked().config.lora.rank, 8);
    for (key, typed, sentence) in [
        (ObjectiveConfig::BETA.key, "1e400", "β is “1e400”, which is larger than any number here"),
        (ObjectiveConfig::BETA.key, "-1", "β is -1; it must be a number above 0"),
        (
            TrainConfig::MICRO_BATCH_TOKENS.key,
            "abc",
            "Tokens a row is “abc”; it must be a whole number such as 16, or the word auto",
        ),
        (TrainConfig::THREADS.key, "-2", "Threads is “-2”; it must be a whole number such as 16, or the word auto"),
        (TrainConfig::STEPS.key, "1e9", "Steps is “1e9”; it must be a whole number"),
    ] {
        let mut launch = sheet();
        launch.set(key, typed);
        let problem = &launch.checked().problems[key];
        assert!(problem.starts_with(sentence), "{problem}");
    }
    let typed_into = |setting: &&Setting| {
        !matches!(setting.kind, SettingKind::Switch | SettingKind::Choice(_) | SettingKind::Numbers(..))
    };
    for field in RunConfig::settings().filter(typed_into) {
        for typed in ["1e400", "abc", "-1", "[", "\"", "99999999999999999999"] {
            let mut launch = sheet();
            launch.set(field.key, typed);
            for sentence in launch.checked().problems.values() {
                assert!(!sentence.contains("invalid type") && !sentence.contains("expected f64"), "{sentence}");
                assert!(!sentence.contains(field.key), "{sentence}");
            }
        }
    }
}

#[test]
fn g22_the_loss_that_cannot_be_drawn_is_named() {
    let mut launch = sheet();
    assert_eq!(launch.checked().faulty_loss(), None);
    launch.set(ObjectiveConfig::REFERENCE_WEIGHT.key, "abc");
    assert_eq!(launch.checked().faulty_loss(), None, "λ is no part of the curves");
    for typed in ["abc", "1e400", "-1", "0"] {
        launch.set(ObjectiveConfig::BETA.key, typed);
        assert_eq!(launch.checked().faulty_loss(), Some("β"), "{typed}");
    }
}

#[test]
fn what_is_not_shown_is_not_judged() {
    let mut launch = sheet();
    launch.set(ObjectiveConfig::TAU.key, "abc");
    assert_eq!(launch.checked().problems, BTreeMap::new());
    launch.set_method(Method::Ipo);
    assert!(launch.checked().problems.contains_key(ObjectiveConfig::TAU.key));
    launch.set_method(Method::Mpo);
    launch.set(LoraConfig::RANK.key, "abc");
    assert!(launch.checked().problems.contains_key(LoraConfig::RANK.key));
    launch.set(LoraConfig::FULL.key, "true");
    assert_eq!(launch.checked().problems, BTreeMap::new());
}

#[test]
fn every_default_can_be_read_back() {
    let full = RunConfig::default();
    assert_eq!(sheet().checked().problems, BTreeMap::new());
    assert_eq!(sheet().checked().config, full);
}

#[test]
fn every_word_of_a_choice_can_be_chosen() {
    for field in RunConfig::settings() {
        let SettingKind::Choice(words) = field.kind else {
            continue;
        };
        let mut launch = sheet();
        let chosen = launch.text(field.key).to_owned();
        assert!(field.unset.is_some() || words.iter().any(|Word { word, .. }| *word == chosen));
        for Word { word, .. } in words {
            launch.set(field.key, *word);
            assert_eq!(launch.checked().problems, BTreeMap::new(), "{word}");
        }
    }
}

#[test]
fn every_field_is_a_key_of_the_config() {
    for field in RunConfig::settings() {
        let mut launch = sheet();
        launch.set(field.key, "");
        assert_eq!(launch.checked().problems.get(field.key), None, "{}", field.key);
    }
}

#[test]
fn what_the_prompts_decide_is_told_as_about() {
    let outlook = |basis: Basis, steps: &str| {
        let mut launch = Launch::following(&RunConfig::default(), &BTreeSet::new());
        launch.set_basis(basis);
        launch.set(TrainConfig::STEPS.key, steps);
        launch.checked().outlook().unwrap()
    };
    let open = Basis { pairs: 81, ..Basis::default() };
    assert_eq!(outlook(open.clone(), ""), "= about 65 steps, 8 passes over about 65 pairs");
    assert_eq!(outlook(open.clone(), "65"), "= 65 steps, 8 passes over about 65 pairs");
    let named = Basis { held_out: 16, trained_on: 65, ..open };
    assert_eq!(outlook(named, ""), "= 65 steps, 8 passes over 65 pairs");
}
