//! Token weights: TIS-DPO and TI-DPO from the settings to the last checkpoint, and the gradients that TI-DPO reads.

use std::fs;

use nudge::{
    data::{
        PairId,
        config::{Contrast, Every, LastToken, Method, RunConfig, TokenWeights, Transform},
        metrics::METRICS,
    },
    engine::{Speakers, protocol::Outcome, read},
    model::{Doc, LoadOptions, Policy, Row},
    store::RunId,
};

use crate::{
    fixture,
    resume::{assert_same, config as resumable},
    toy::{self, Toy},
};

fn by(weights: TokenWeights, config: RunConfig) -> RunConfig {
    let mut config = config;
    config.objective.token_weights = weights;
    config
}

fn says(toy: &Toy, run: RunId, what: &str) -> bool {
    toy.open().log(run).unwrap().iter().any(|line| line.text.contains(what))
}

const FITTED: &str = "Fitted the contrast pair for the token weights";
const FOUND: &str = "is in the project already";

/// Whatever the method, weights that are all 1 are what a run has always been: to the bit, in every number and in what
/// it learnt.
#[test]
fn weights_of_one_change_no_bit_of_a_run() {
    let toy = Toy::new();
    for kind in Method::PREFERENCE {
        let mut plain = toy::config();
        plain.objective.kind = kind;
        let mut ones = by(TokenWeights::Tis, plain.clone());
        (ones.tis.ranks, ones.tis.steps) = ([1.0, 1.0], Some(2));
        let (plain, outcome) = toy.train(&plain);
        assert_eq!(outcome, Outcome::Completed);
        let (weighed, outcome) = toy.train(&ones);
        assert_eq!(outcome, Outcome::Completed);
        let mut numbers = toy::numbers(&toy.open(), weighed);
        let of_weights = |name: &str| name.contains("weights/") || name.contains("weighted_margins");
        assert!(numbers.iter().any(|((_, name), _)| of_weights(name)));
        numbers.retain(|(_, name), _| !of_weights(name));
        assert_eq!(numbers, toy::numbers(&toy.open(), plain), "{kind:?}");
    }
}

#[test]
fn a_contrast_pair_is_fitted_once_and_weighs_tokens_for_every_method() {
    let toy = Toy::new();
    let mut first = None;
    for kind in Method::PREFERENCE {
        let mut config = by(TokenWeights::Tis, toy::config());
        config.objective.kind = kind;
        config.tis.transform = Transform::Exp;
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        assert_eq!((says(&toy, run, FITTED), says(&toy, run, FOUND)), (first.is_none(), first.is_some()));
        let project = toy.open();
        let of = |name: &str| project.series(run, name, None).unwrap();
        for metric in
            METRICS.iter().filter(|metric| metric.key.contains("weight") && !metric.key.contains("importance"))
        {
            assert!(!of(metric.key).is_empty() && !of(&format!("eval_{}", metric.key)).is_empty(), "{}", metric.key);
        }
        // The pair moved apart, so weights differ; before the first update they change no loss.
        assert!(of("weights/std").iter().all(|(_, std)| *std > 0.0));
        let weights = of("weights/mean");
        assert_eq!(*first.get_or_insert_with(|| weights.clone()), weights, "the same pair, the same weights");
        let loss = of("loss/preference")[0].1;
        let golden = match kind {
            Method::Mpo => -0.5,
            Method::Dpo => std::f64::consts::LN_2,
            _ => 1.0 / (4.0 * config.objective.tau * config.objective.tau),
        };
        assert!((loss - golden).abs() < 1e-4 * golden.abs(), "{kind:?}: {loss}");
    }
    // Other settings, another pair.
    let mut sft = by(TokenWeights::Tis, toy::config());
    sft.tis.contrast = Contrast::Sft;
    let (run, outcome) = toy.train(&sft);
    assert_eq!(outcome, Outcome::Completed);
    assert!(says(&toy, run, FITTED) && says(&toy, run, "nats a token"));
    assert_eq!(fs::read_dir(toy.open().dir().join("contrast")).unwrap().count(), 2);
}

#[test]
fn weighed_runs_resume_to_the_bit() {
    let toy = Toy::new();
    for (weights, every, triplet) in [
        (TokenWeights::Tis, Every::Start, 0.0),
        (TokenWeights::Ti, Every::Step, 0.0),
        (TokenWeights::Ti, Every::Start, 0.0),
        (TokenWeights::Ti, Every::Step, 0.1),
    ] {
        let mut config = by(weights, resumable());
        (config.ti.every, config.ti.triplet_weight, config.ti.anchor_tokens) = (every, triplet, 6);
        let (whole, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);

        let parts = toy.record(&config);
        toy.stop_at(parts, 7);
        // What can be computed again is, and comes out the same.
        fs::remove_dir_all(toy.open().dir().join("contrast")).ok();
        let document = rusqlite::Connection::open(toy.project.join("project.sqlite")).unwrap();
        document.execute("DELETE FROM reference_log_probs", ()).unwrap();
        drop(document);
        assert_eq!(toy.go_on(parts), Outcome::Completed);
        assert_eq!(says(&toy, parts, "so it is fitted again"), weights == TokenWeights::Tis);
        // The time that gradients took is no number of the run.
        assert_same(&toy, whole, parts);
    }
}

/// At step 0 the term is its margin and pulls nothing; then it pulls, with the policy's own answers.
#[test]
fn the_triplet_term_samples_answers_and_adds_its_share() {
    let toy = Toy::new();
    let mut config = by(TokenWeights::Ti, toy::config());
    (config.ti.triplet_weight, config.ti.triplet_margin, config.ti.anchor_tokens) = (0.5, 0.002, 6);
    (config.objective.reference_weight, config.objective.retention_weight) = (Some(0.0), Some(0.0));
    config.objective.kind = Method::Dpo;
    let (run, outcome) = toy.train(&config);
    assert_eq!(outcome, Outcome::Completed);
    let project = toy.open();
    let of = |name: &str| project.series(run, name, None).unwrap();
    let (loss, preference, triplet) = (of("loss")[0].1, of("loss/preference")[0].1, of("ti/triplet"));
    assert!((triplet[0].1 - 0.002).abs() < 1e-6, "{triplet:?}");
    assert!((loss - preference - 0.5 * triplet[0].1).abs() < 1e-6);
    assert!(triplet.iter().skip(1).any(|(_, value)| (value - 0.002).abs() > 1e-4), "{triplet:?}");
    assert!(of("ti/anchor_length").iter().all(|(_, tokens)| (1.0..=6.0).contains(tokens)));
    assert!(of("ti/triplet_active").iter().all(|(_, share)| (0.0..=1.0).contains(share)));
}

/// Weights of a checkpoint, as the token view shows them.
#[test]
fn the_weights_of_a_run_can_be_looked_at() {
    let toy = Toy::new();
    let project = toy.open();
    let pair = project.pair(PairId(1)).unwrap().unwrap();
    let mut tis = by(TokenWeights::Tis, toy::config());
    tis.tis.last_token = LastToken::Zero;
    for (config, last_counts) in [(tis, false), (by(TokenWeights::Ti, toy::config()), true), (toy::config(), true)] {
        let (run, outcome) = toy.train(&config);
        assert_eq!(outcome, Outcome::Completed);
        let step = toy.open().run(run).unwrap().step;
        let mut speakers = Speakers::default();
        let seen = read(&mut speakers, project.dir(), Some((run, step)), &pair.prompt, &pair.answers).unwrap();
        if !config.weighs_tokens() {
            assert!(seen.weights.unwrap_err().contains("objective.token_weights"));
            continue;
        }
        let weights = seen.weights.unwrap();
        assert_eq!(weights.len(), 2);
        for (weights, log_probs) in weights.iter().zip(&seen.now) {
            assert_eq!(weights.len(), log_probs.len());
            assert!(weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0));
            assert_eq!(*weights.last().unwrap() > 0.0, last_counts);
        }
    }
    let start = read(&mut Speakers::default(), project.dir(), None, &pair.prompt, &pair.answers).unwrap();
    assert!(start.weights.unwrap_err().contains("choose a checkpoint"));
}

/// ‖∂z/∂e‖₁ by central differences of the token's row in the embedding table, where the token occurs once.
#[test]
fn attributions_are_the_slopes_of_the_largest_logit() {
    const STEP: f32 = 1e-2;
    let fixture = fixture::one("llama_mha");
    let options = LoadOptions { full: true, ..LoadOptions::default() };
    let mut policy = Policy::load(&fixture.folder, &options).unwrap();
    let doc = Doc::new(vec![3, 7, 11], vec![vec![40, 41, 42, 43], vec![50, 51, 52], vec![60]]);
    let row = Row::pack(std::slice::from_ref(&doc)).unwrap();
    let found = policy.attributions(&row).unwrap();
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [4, 3, 1]);
    assert!(policy.gradients().to_vec().unwrap().iter().all(|value| *value == 0.0), "nothing is left in the gradients");

    let trained = policy.trainable().unwrap();
    let table = trained.iter().position(|(name, _)| name.contains("embed_tokens")).unwrap();
    let (name, embeddings) = (trained[table].0.clone(), trained[table].1.clone());
    let (values, dims) = (embeddings.to_vec::<f32>().unwrap(), embeddings.dims().to_vec());
    let width = dims[1];
    let mut worst: f32 = 0.0;
    for (answer, found) in doc.continuations.iter().zip(&found) {
        let (last, before) = answer.split_last().unwrap();
        assert_eq!(found.last(), Some(&0.0), "{last} is predicted, and predicts nothing");
        let ids: Vec<u32> = doc.prefix.iter().chain(before).copied().collect();
        let largest = |policy: &Policy, of: Option<usize>| {
            let logits = policy.logits(&ids).unwrap();
            let vocab = logits.dims()[1];
            let logits = logits.to_vec::<f32>().unwrap();
            let end = &logits[logits.len() - vocab..];
            let at = of.unwrap_or_else(|| (0..vocab).max_by(|a, b| end[*a].total_cmp(&end[*b])).unwrap());
            (at, end[at])
        };
        let (target, _) = largest(&policy, None);
        for (token, found) in before.iter().zip(found) {
            let mut norm = 0.0;
            for column in 0..width {
                let mut at = |by: f32| {
                    let mut moved = values.clone();
                    moved[*token as usize * width + column] += by;
                    let moved =
                        nudge::kernels::Tensor::from_vec(moved, dims.clone(), &nudge::kernels::Place::CPU).unwrap();
                    let mut all = trained.clone();
                    all[table] = (name.clone(), moved);
                    policy.set_trainable(&all).unwrap();
                    largest(&policy, Some(target)).1
                };
                norm += ((at(STEP) - at(-STEP)) / (2.0 * STEP)).abs();
            }
            policy.set_trainable(&trained).unwrap();
            worst = worst.max((norm - found).abs() / found.abs().max(1e-3));
        }
    }
    assert!(worst < 0.02, "{worst}");
}
