//! Answers: the cache, the batch, the seed, and how an answer ends.

use std::ops::ControlFlow;

use nudge::{
    engine::{
        answer_all,
        protocol::{AnswerOptions, Generated, StoppedBy},
        sampling_of,
    },
    model::{GenerateOptions, Mix, MixSide, Policy, Sampling},
    text::Codec,
};

use crate::fixture::{self, Fixture};

const FIXTURE: &str = "smollm";

fn generate(policy: &Policy, prompts: &[Vec<u32>], options: &GenerateOptions) -> Vec<Vec<u32>> {
    let answers = policy.generate(prompts, options, &mut |_, _| ControlFlow::Continue(())).unwrap();
    answers.into_iter().map(|answer| answer.ids).collect()
}

fn prompts(fixture: &Fixture) -> Vec<Vec<u32>> {
    fixture.pairs().into_iter().map(|[prompt, ..]| prompt).collect()
}

#[test]
fn the_cache_gives_what_the_whole_text_gives() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.lora();
    let options = GenerateOptions { max_new: 12, ..GenerateOptions::default() };
    let prompts = prompts(&fixture);
    for (prompt, answer) in prompts.iter().zip(generate(&policy, &prompts, &options)) {
        assert_eq!(answer.len(), 12);
        let text = [prompt.as_slice(), &answer].concat();
        let logits = policy.logits(&text).unwrap();
        let (vocabulary, logits) = (logits.dims()[1], logits.to_vec::<f32>().unwrap());
        for (index, &id) in answer.iter().enumerate() {
            let row = &logits[(prompt.len() - 1 + index) * vocabulary..][..vocabulary];
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            assert!(row[id as usize] > best - 1e-4, "token {index} of the answer is not the likeliest");
        }
    }
}

#[test]
fn an_answer_does_not_depend_on_its_company() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.lora();
    for (temperature, top_p) in [(0.0, 1.0), (1.0, 1.0), (0.8, 0.9)] {
        let options = GenerateOptions {
            sampling: Sampling { top_p, ..Sampling::at(temperature) },
            max_new: 16,
            seed: 5,
            stop: vec![7],
            ..GenerateOptions::default()
        };
        let mut prompts = prompts(&fixture);
        let together = generate(&policy, &prompts, &options);
        for (prompt, answer) in prompts.iter().zip(&together) {
            assert_eq!(&generate(&policy, std::slice::from_ref(prompt), &options)[0], answer);
        }
        prompts.reverse();
        let mut reversed = generate(&policy, &prompts, &options);
        reversed.reverse();
        assert_eq!(reversed, together);
    }
}

#[test]
fn sampling_follows_its_seed() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let draw = |seed| {
        let options = GenerateOptions { sampling: Sampling::at(1.0), max_new: 8, seed, ..GenerateOptions::default() };
        let prompt = prompts(&fixture).remove(0);
        generate(&policy, &[prompt.clone(), prompt], &options)
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let twice = draw(1);
    assert_ne!(twice[0], twice[1], "the same prompt twice is two draws");
}

#[test]
fn answers_end_at_a_stop_token_at_a_limit_or_when_told() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let prompts = prompts(&fixture);
    let mut options = GenerateOptions { max_new: 6, ..GenerateOptions::default() };
    let free = generate(&policy, &prompts, &options);
    assert!(free.iter().all(|ids| ids.len() == 6));

    options.stop = vec![free[0][2]];
    let mut heard = vec![Vec::new(); prompts.len()];
    let answers = policy
        .generate(&prompts, &options, &mut |prompt, id| {
            heard[prompt].push(id);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(answers[0].stopped_by_eos && answers[0].ids.len() <= 3);
    assert_eq!(answers[0].ids.last(), Some(&free[0][2]), "the stop token belongs to the answer");
    assert_eq!(heard, answers.iter().map(|answer| answer.ids.clone()).collect::<Vec<_>>());

    options.stop.clear();
    // The context is 512 positions long.
    let long: Vec<u32> = prompts[0].iter().copied().cycle().take(509).collect();
    let answer = generate(&policy, &[long], &options);
    assert_eq!(answer[0].len(), 3);
    assert!(policy.generate(&[vec![]], &options, &mut |_, _| ControlFlow::Continue(())).is_err());
}

/// Also while prompts are computed, when there is no token yet that could be heard; and no number changes by asking.
#[test]
fn what_is_no_longer_wanted_stops_within_a_block_or_a_token() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let prompts = prompts(&fixture);
    let options = GenerateOptions { max_new: 6, ..GenerateOptions::default() };
    let free = generate(&policy, &prompts, &options);
    let blocks = policy.spec().layers.len();
    // Wanted for so many times that it is asked: block by block of the prompts, then token by token.
    for times in 0..blocks + 8 {
        let asked = std::cell::Cell::new(0);
        let wanted = || {
            asked.set(asked.get() + 1);
            asked.get() <= times
        };
        let answers =
            policy.generate_while(&prompts, &options, &wanted, &mut |_, _| ControlFlow::Continue(())).unwrap();
        let tokens = if times < blocks { 0 } else { (times - blocks + 1).min(options.max_new) };
        for (answer, free) in answers.iter().zip(&free) {
            assert_eq!(answer.ids, free[..tokens], "wanted {times} times");
            assert!(!answer.stopped_by_eos);
        }
    }
}

#[test]
fn one_answer_may_be_ended_and_the_others_go_on() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let prompts = prompts(&fixture);
    let options = GenerateOptions { max_new: 6, ..GenerateOptions::default() };
    let free = generate(&policy, &prompts, &options);
    let mut heard = vec![0; prompts.len()];
    let answers = policy
        .generate(&prompts, &options, &mut |prompt, _| {
            heard[prompt] += 1;
            if prompt == 0 && heard[0] == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(answers[0].ids, free[0][..2]);
    for (answer, free) in answers.iter().zip(&free).skip(1) {
        assert_eq!(&answer.ids, free);
    }
}

#[test]
fn the_penalty_is_on_the_prompt_and_on_the_answer() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let sampling = Sampling { repetition_penalty: 1e6, ..Sampling::default() };
    let options = GenerateOptions { sampling, max_new: 24, ..GenerateOptions::default() };
    let prompts = prompts(&fixture);
    for (prompt, answer) in prompts.iter().zip(generate(&policy, &prompts, &options)) {
        let mut all = [prompt.as_slice(), &answer].concat();
        let before = prompt.iter().collect::<std::collections::HashSet<_>>().len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), before + answer.len(), "a token came twice");
    }
}

/// [`Mix`] in a whole generation, at its ends: where the pessimistic policy is the reference, and where both are one.
#[test]
fn a_mixture_draws_from_policy_and_reference_together() {
    let fixture = fixture::one(FIXTURE);
    let (policy, base) = (fixture.lora(), fixture.base());
    let prompts = prompts(&fixture);
    for temperature in [0.0, 1.0] {
        let plain =
            GenerateOptions { sampling: Sampling::at(temperature), max_new: 12, seed: 5, ..GenerateOptions::default() };
        let mixed = |strength, side| GenerateOptions { mix: Some(Mix { strength, side }), ..plain.clone() };
        let of_policy = generate(&policy, &prompts, &plain);
        let of_base = generate(&base, &prompts, &plain);
        assert_ne!(of_policy, of_base, "the adapter does something");
        assert_eq!(generate(&policy, &prompts, &mixed(1.0, MixSide::Pessimistic)), of_base);
        let bold = mixed(1.0, MixSide::Optimistic);
        let together = generate(&policy, &prompts, &bold);
        assert_ne!(together, of_policy);
        for (prompt, answer) in prompts.iter().zip(&together) {
            assert_eq!(&generate(&policy, std::slice::from_ref(prompt), &bold)[0], answer, "alone as in company");
        }
        // What both agree on is what either would say.
        let untrained = fixture.load(&Fixture::adapter_options());
        assert_eq!(generate(&untrained, &prompts, &bold), of_base);
    }
}

#[test]
fn a_mixture_wants_a_reference() {
    let fixture = fixture::one(FIXTURE);
    let mix = Some(Mix { strength: 0.1, side: MixSide::Optimistic });
    let options = GenerateOptions { mix, max_new: 1, ..GenerateOptions::default() };
    let refused = fixture.full().generate(&prompts(&fixture), &options, &mut |_, _| ControlFlow::Continue(()));
    assert!(refused.unwrap_err().to_string().contains("those of step 0 are gone"));
}

/// All answers, and for each what was shown of it.
fn say(policy: &Policy, codec: &Codec, prompts: &[Vec<u32>], options: &AnswerOptions) -> Vec<(Generated, String)> {
    let mut shown = vec![String::new(); prompts.len()];
    let answers = answer_all(policy, codec, prompts.to_vec(), options, &|| true, &mut |index, text| {
        shown[index] += &text;
    });
    answers.unwrap().into_iter().zip(shown).collect()
}

#[test]
fn an_answer_is_cut_before_a_stop_text_across_tokens() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let codec = Codec::load(&fixture.folder).unwrap();
    let prompts = prompts(&fixture);
    let mut options = AnswerOptions { max_new_tokens: 16, ignore_eos: true, ..AnswerOptions::default() };
    let free = say(&policy, &codec, &prompts, &options);
    for (answer, shown) in &free {
        assert_eq!((&answer.text, answer.stopped_by), (shown, StoppedBy::Limit));
    }
    // From the middle of one token into the next ones.
    let whole: Vec<char> = free[0].0.text.chars().collect();
    let stop: String = whole[whole.len() / 3..whole.len() / 3 + 6].iter().collect();
    options.stop = vec![stop.clone()];
    let cut = say(&policy, &codec, &prompts, &options);
    for ((cut, shown), (free, _)) in cut.iter().zip(&free) {
        assert_eq!(&cut.text, shown);
        match free.text.split_once(&stop) {
            Some((before, _)) => {
                assert_eq!((cut.text.as_str(), cut.stopped_by), (before, StoppedBy::Stop));
                assert!(cut.ids.len() <= free.ids.len() && free.ids.starts_with(&cut.ids));
            }
            None => assert_eq!(cut.ids, free.ids),
        }
    }
    assert_eq!(cut[0].0.stopped_by, StoppedBy::Stop);
}

#[test]
fn a_prompt_as_long_as_the_context_is_refused_by_name() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.base();
    let codec = Codec::load(&fixture.folder).unwrap();
    let prompt = vec![vec![1; policy.spec().max_positions]];
    let options = AnswerOptions::default();
    let answers = answer_all(&policy, &codec, prompt, &options, &|| true, &mut |_, _| ());
    assert!(answers.unwrap_err().to_string().contains("context"));
}

#[test]
fn sampling_is_as_the_models_makers_say() {
    let folder = tempfile::tempdir().unwrap();
    let read = || sampling_of(folder.path());
    assert_eq!(read().unwrap(), Sampling::default(), "no file");
    let write = |text: &str| std::fs::write(folder.path().join("generation_config.json"), text).unwrap();
    write(r#"{"do_sample": false, "temperature": 0.6, "eos_token_id": [1, 2]}"#);
    assert_eq!(read().unwrap(), Sampling::default(), "not asked to sample");
    write(r#"{"do_sample": true, "temperature": 0.6, "top_p": 0.95, "repetition_penalty": 1.1}"#);
    let asked = Sampling { temperature: 0.6, top_p: 0.95, top_k: 50, repetition_penalty: 1.1, ..Sampling::default() };
    assert_eq!(read().unwrap(), asked);
    for bad in [r#"{"do_sample": true, "top_p": 2}"#, r#"{"top_k": -1}"#, "[["] {
        write(bad);
        assert!(read().unwrap_err().to_string().contains("generation_config.json"), "{bad}");
    }
}
