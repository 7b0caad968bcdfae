//! Answers: the cache, the batch, the seed, and how an answer ends.

use std::ops::ControlFlow;

use nudge::model::{GenerateOptions, Policy};

use crate::fixture::{self, Fixture};

const FIXTURE: &str = "smollm";

fn generate(policy: &Policy, prompts: &[Vec<u32>], options: &GenerateOptions) -> Vec<Vec<u32>> {
    let answers = policy
        .generate(prompts, options, &mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    answers.into_iter().map(|answer| answer.ids).collect()
}

fn prompts(fixture: &Fixture) -> Vec<Vec<u32>> {
    fixture
        .pairs()
        .into_iter()
        .map(|[prompt, ..]| prompt)
        .collect()
}

#[test]
fn the_cache_gives_what_the_whole_text_gives() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.lora();
    let options = GenerateOptions {
        max_new: 12,
        ..GenerateOptions::default()
    };
    let prompts = prompts(&fixture);
    for (prompt, answer) in prompts.iter().zip(generate(&policy, &prompts, &options)) {
        assert_eq!(answer.len(), 12);
        let text = [prompt.as_slice(), &answer].concat();
        let logits = policy.logits(&text).unwrap().to_vec2::<f32>().unwrap();
        for (index, &id) in answer.iter().enumerate() {
            let row = &logits[prompt.len() - 1 + index];
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            assert!(
                row[id as usize] > best - 1e-4,
                "token {index} of the answer is not the likeliest"
            );
        }
    }
}

#[test]
fn an_answer_does_not_depend_on_its_company() {
    let fixture = fixture::one(FIXTURE);
    let policy = fixture.lora();
    for (temperature, top_p) in [(0.0, 1.0), (1.0, 1.0), (0.8, 0.9)] {
        let options = GenerateOptions {
            temperature,
            top_p,
            max_new: 16,
            seed: 5,
            stop: vec![7],
        };
        let mut prompts = prompts(&fixture);
        let together = generate(&policy, &prompts, &options);
        for (prompt, answer) in prompts.iter().zip(&together) {
            assert_eq!(
                &generate(&policy, std::slice::from_ref(prompt), &options)[0],
                answer
            );
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
        let options = GenerateOptions {
            temperature: 1.0,
            max_new: 8,
            seed,
            ..GenerateOptions::default()
        };
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
    let mut options = GenerateOptions {
        max_new: 6,
        ..GenerateOptions::default()
    };
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
    assert_eq!(
        answers[0].ids.last(),
        Some(&free[0][2]),
        "the stop token belongs to the answer"
    );
    assert_eq!(
        heard,
        answers
            .iter()
            .map(|answer| answer.ids.clone())
            .collect::<Vec<_>>()
    );

    options.stop.clear();
    let mut count = 0;
    let answers = policy
        .generate(&prompts, &options, &mut |_, _| {
            count += 1;
            if count == 4 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert_eq!(
        answers.iter().map(|answer| answer.ids.len()).sum::<usize>(),
        4
    );
    assert!(answers.iter().all(|answer| !answer.stopped_by_eos));

    // The context is 512 positions long.
    let long: Vec<u32> = prompts[0].iter().copied().cycle().take(509).collect();
    let answer = generate(&policy, &[long], &options);
    assert_eq!(answer[0].len(), 3);
    assert!(
        policy
            .generate(&[vec![]], &options, &mut |_, _| ControlFlow::Continue(()))
            .is_err()
    );
}
