//! The policy against itself: what must not change its numbers, and what its files say.

use std::{fs, ops::ControlFlow, path::Path};

use nudge::model::{
    AdamW, AdamWOptions, AdapterShape, Doc, GenerateOptions, LoadOptions, Policy, Recompute, Row,
    Spec, Stored, Targets, adapter, init, save_merged,
};

use crate::fixture::{self, Fixture, elements, largest_difference, relative};

const FIXTURE: &str = "smollm";

fn docs(fixture: &Fixture) -> Vec<Doc> {
    let pairs = fixture
        .pairs()
        .into_iter()
        .map(|[prompt, chosen, rejected]| Doc {
            prefix: prompt,
            continuations: vec![chosen, rejected],
        });
    let text = fixture::ids(&fixture.expected["preference"]["pretrain"][0]);
    // A text, and an answer of one token, which takes no row of its own.
    let short = Doc {
        prefix: text[..4].to_vec(),
        continuations: vec![vec![text[4]], text[5..].to_vec()],
    };
    pairs.chain([Doc::text(&text).unwrap(), short]).collect()
}

/// Unlike coefficients for the scored segments of any row.
fn coefficients(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| [0.7, -0.4, 0.25][i % 3] * (1.0 + i as f32 / 8.0))
        .collect()
}

fn log_probs_and_gradients(
    policy: &mut Policy,
    rows: &[Row],
    coefficients: &[f32],
) -> (Vec<Vec<f32>>, Vec<f32>) {
    policy.gradients().zero().unwrap();
    let mut log_probs = Vec::new();
    let mut rest = coefficients;
    for row in rows {
        let pass = policy.forward(row).unwrap();
        log_probs.extend(pass.log_probs().to_vec());
        let (these, others) = rest.split_at(row.scored().len());
        rest = others;
        policy.backward(pass, these).unwrap();
    }
    (log_probs, policy.gradients().to_vec().unwrap())
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

fn check_same(got: &(Vec<Vec<f32>>, Vec<f32>), want: &(Vec<Vec<f32>>, Vec<f32>)) {
    let off = largest_difference(&wide(&got.0.concat()), &wide(&want.0.concat()));
    assert!(off < 1e-5, "log-probs off by {off:e}");
    let off = relative(&wide(&got.1), &wide(&want.1));
    assert!(off < 1e-5, "gradients off by {off:e}");
}

#[test]
fn sharing_a_prompt_changes_nothing() {
    let fixture = fixture::one(FIXTURE);
    for mut policy in [fixture.lora(), fixture.full()] {
        let shared = docs(&fixture);
        let apart: Vec<Doc> = shared
            .iter()
            .flat_map(|doc| {
                doc.continuations.iter().map(|continuation| Doc {
                    prefix: doc.prefix.clone(),
                    continuations: vec![continuation.clone()],
                })
            })
            .collect();
        let coefficients = coefficients(apart.len());
        let together =
            log_probs_and_gradients(&mut policy, &[Row::pack(&shared).unwrap()], &coefficients);
        let apart =
            log_probs_and_gradients(&mut policy, &[Row::pack(&apart).unwrap()], &coefficients);
        check_same(&together, &apart);
    }
}

#[test]
fn packing_changes_nothing() {
    let fixture = fixture::one(FIXTURE);
    for mut policy in [fixture.lora(), fixture.full()] {
        let docs = docs(&fixture);
        let rows: Vec<Row> = docs
            .iter()
            .map(|doc| Row::pack(std::slice::from_ref(doc)).unwrap())
            .collect();
        let packed = [Row::pack(&docs).unwrap()];
        let coefficients = coefficients(packed[0].scored().len());
        let together = log_probs_and_gradients(&mut policy, &packed, &coefficients);
        let one_by_one = log_probs_and_gradients(&mut policy, &rows, &coefficients);
        check_same(&together, &one_by_one);
        assert_eq!(
            policy.log_probs(&packed[0]).unwrap(),
            together.0,
            "scoring and training agree"
        );
    }
}

#[test]
fn recomputing_activations_changes_no_bit() {
    let fixture = fixture::one(FIXTURE);
    let rows = [Row::pack(&docs(&fixture)).unwrap()];
    let coefficients = coefficients(rows[0].scored().len());
    for dropout in [0.0, 0.3] {
        let policy = |recompute| {
            fixture.lora_with(|options| {
                options.recompute = recompute;
                options.adapter.as_mut().unwrap().dropout = dropout;
            })
        };
        let (mut keeps, mut recomputes) = (policy(Recompute::Never), policy(Recompute::Always));
        assert!(recomputes.forward(&rows[0]).unwrap().recomputes());
        assert!(!keeps.forward(&rows[0]).unwrap().recomputes());
        let kept = log_probs_and_gradients(&mut keeps, &rows, &coefficients);
        let recomputed = log_probs_and_gradients(&mut recomputes, &rows, &coefficients);
        assert!(kept == recomputed);
        assert!(recomputes.estimate_bytes(4096, 1024) < keeps.estimate_bytes(4096, 1024));
    }
}

#[test]
fn dropout_has_the_gradient_of_its_own_mask() {
    let fixture = fixture::one(FIXTURE);
    let row = Row::pack(&docs(&fixture)).unwrap();
    let weights = coefficients(row.scored().len());
    let mut policy = fixture.lora_with(|options| options.adapter.as_mut().unwrap().dropout = 0.3);
    let without = fixture.lora();
    let loss = |policy: &Policy| -> f64 {
        let pass = policy.forward(&row).unwrap();
        let sums = pass
            .log_probs()
            .iter()
            .map(|tokens| tokens.iter().map(|&x| f64::from(x)).sum::<f64>());
        sums.zip(&weights)
            .map(|(sum, &weight)| sum * f64::from(weight))
            .sum()
    };
    policy.set_noise(1);
    let first = loss(&policy);
    assert_eq!(first, loss(&policy), "one seed, one mask");
    policy.set_noise(2);
    assert_ne!(first, loss(&policy), "another mask");
    assert_ne!(first, loss(&without));
    assert_eq!(
        policy.log_probs(&row).unwrap(),
        without.log_probs(&row).unwrap(),
        "scoring drops nothing"
    );

    // Along the gradient the loss changes by its squared length.
    let (_, gradient) = log_probs_and_gradients(&mut policy, std::slice::from_ref(&row), &weights);
    let squared: f64 = gradient.iter().map(|&g| f64::from(g).powi(2)).sum();
    let start = policy.trainable().unwrap();
    let step = 1e-2 / squared.sqrt();
    let mut at = |sign: f64| {
        let moved: Vec<_> = policy
            .parameters()
            .entries()
            .iter()
            .zip(&start)
            .map(|(entry, (name, tensor))| {
                let slice = &gradient[entry.slot.offset..][..entry.slot.len];
                let direction =
                    candle_core::Tensor::from_slice(slice, tensor.shape(), tensor.device())
                        .unwrap();
                (
                    name.clone(),
                    (tensor + (direction * (sign * step)).unwrap()).unwrap(),
                )
            })
            .collect();
        policy.set_trainable(&moved).unwrap();
        loss(&policy)
    };
    let measured = (at(1.0) - at(-1.0)) / (2.0 * step);
    assert!(
        (measured / squared - 1.0).abs() < 1e-2,
        "measured {measured}, gradient says {squared}"
    );
}

#[test]
fn a_resumed_optimizer_goes_on_to_the_bit() {
    let fixture = fixture::one(FIXTURE);
    let row = Row::pack(&docs(&fixture)).unwrap();
    let weights = coefficients(row.scored().len());
    let train = |policy: &mut Policy, optimizer: &mut AdamW, steps: usize| {
        for _ in 0..steps {
            log_probs_and_gradients(policy, std::slice::from_ref(&row), &weights);
            policy.update(optimizer, 1e-3, 0.5).unwrap();
        }
    };
    let options = AdamWOptions {
        weight_decay: 0.1,
        ..AdamWOptions::default()
    };
    for load in [Fixture::lora, Fixture::full] {
        let mut policy = load(&fixture);
        let mut optimizer = AdamW::new(policy.parameters(), options).unwrap();
        train(&mut policy, &mut optimizer, 2);
        let (weights, state) = (policy.trainable().unwrap(), optimizer.state().unwrap());
        train(&mut policy, &mut optimizer, 2);

        let mut resumed = load(&fixture);
        let mut other = AdamW::new(resumed.parameters(), options).unwrap();
        resumed.set_trainable(&weights).unwrap();
        other.restore(&state).unwrap();
        train(&mut resumed, &mut other, 2);
        assert_eq!(other.step(), 4);
        let bits = |policy: &Policy| policy.parameters().values().to_vec1::<f32>().unwrap();
        assert!(bits(&policy) == bits(&resumed));
    }
}

#[test]
fn norms_and_biases_do_not_decay() {
    let mut policy = fixture::one(FIXTURE).full();
    let options = AdamWOptions {
        weight_decay: 0.5,
        ..AdamWOptions::default()
    };
    let mut optimizer = AdamW::new(policy.parameters(), options).unwrap();
    let before = policy.trainable().unwrap();
    policy.update(&mut optimizer, 0.1, 1.0).unwrap(); // without any gradient
    for ((name, before), (_, after)) in before.iter().zip(policy.trainable().unwrap()) {
        let factor = if name.contains("norm") { 1.0 } else { 0.95 };
        let want: Vec<f64> = elements(before)
            .iter()
            .map(|value| value * factor)
            .collect();
        assert!(relative(&elements(&after), &want) < 1e-6, "{name}");
    }
}

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

#[test]
fn a_saved_adapter_is_the_policy_again() {
    let fixture = fixture::one(FIXTURE);
    let input = fixture.pairs().remove(0).concat();
    let dir = tempfile::tempdir().unwrap();
    for (rslora, frozen_below) in [(false, false), (true, false), (false, true)] {
        let mut policy = fixture.lora_with(|options| {
            options.adapter.as_mut().unwrap().rslora = rslora;
            if frozen_below {
                options.frozen_adapters.push(fixture.adapter.clone());
            }
        });
        adapter::save_peft(&policy, dir.path(), "some/model").unwrap();
        let loaded = fixture.load(&LoadOptions {
            frozen_adapters: vec![dir.path().to_owned()],
            ..LoadOptions::default()
        });
        let want = elements(&policy.logits(&input).unwrap());
        let off = largest_difference(&elements(&loaded.logits(&input).unwrap()), &want);
        assert!(
            off < 1e-4,
            "rslora {rslora}, frozen below {frozen_below}: off by {off:e}"
        );
        policy.set_adapter_enabled(false);
        let base = elements(&policy.logits(&input).unwrap());
        assert!(
            largest_difference(&base, &want) > 0.1,
            "the adapter does something"
        );
    }
    let config = fs::read_to_string(dir.path().join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["r"], 8, "two adapters of rank 4 stacked");
    assert_eq!(config["base_model_name_or_path"], "some/model");
}

#[test]
fn a_merged_model_needs_no_adapter() {
    let fixture = fixture::one(FIXTURE);
    let input = fixture.pairs().remove(0).concat();
    let policy = fixture.lora_with(|options| options.frozen_adapters.push(fixture.adapter.clone()));
    let want = elements(&policy.logits(&input).unwrap());
    let dir = tempfile::tempdir().unwrap();
    for (stored, tolerance) in [
        (Stored::F32, 1e-4),
        (Stored::F16, 0.05),
        (Stored::Bf16, 0.5),
    ] {
        save_merged(&policy, dir.path(), stored).unwrap();
        let merged = Policy::load(dir.path(), &LoadOptions::default()).unwrap();
        assert_eq!(merged.spec(), policy.spec());
        let off = largest_difference(&elements(&merged.logits(&input).unwrap()), &want);
        assert!(off < tolerance, "{stored:?}: off by {off:e}");
    }
}

#[test]
fn an_adapter_that_is_not_understood_is_refused_by_name() {
    let fixture = fixture::one(FIXTURE);
    let spec = Spec::read(&fixture.folder).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = |name: &str| fs::copy(fixture.adapter.join(name), dir.path().join(name)).unwrap();
    copy("adapter_model.safetensors");
    let good = fs::read_to_string(fixture.adapter.join("adapter_config.json")).unwrap();
    for (from, to, what) in [
        (r#""use_dora": false"#, r#""use_dora": true"#, "use_dora"),
        (r#""peft_type": "LORA""#, r#""peft_type": "IA3""#, "IA3"),
        (r#""bias": "none""#, r#""bias": "all""#, "bias"),
        (r#""r": 4"#, r#""r": 8"#, "rank"),
        (
            r#""alpha_pattern": {}"#,
            r#""alpha_pattern": {"q_proj": 2}"#,
            "alpha_pattern",
        ),
    ] {
        let changed = good.replace(from, to);
        assert_ne!(changed, good);
        fs::write(dir.path().join("adapter_config.json"), changed).unwrap();
        let error = adapter::load_peft(dir.path(), &spec)
            .unwrap_err()
            .to_string();
        assert!(error.contains(what), "{error}");
    }
    copy("adapter_config.json");
    let other = Spec { layers: 1, ..spec };
    let error = adapter::load_peft(dir.path(), &other)
        .unwrap_err()
        .to_string();
    assert!(error.contains("layers.1."), "{error}");
}

#[test]
fn the_identity_names_what_the_reference_is() {
    let fixture = fixture::one(FIXTURE);
    let base = fixture.base();
    assert_eq!(base.identity().len(), 64);
    assert_eq!(
        base.identity(),
        fixture.lora().identity(),
        "a new adapter is not part of the reference"
    );
    assert_eq!(base.identity(), fixture.full().identity());
    let with_adapter = fixture.load(&LoadOptions {
        frozen_adapters: vec![fixture.adapter.clone()],
        ..LoadOptions::default()
    });
    assert_ne!(base.identity(), with_adapter.identity());

    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(fixture.folder.join(name), dir.path().join(name)).unwrap();
    }
    let load = |dir: &Path| {
        Policy::load(dir, &LoadOptions::default())
            .unwrap()
            .identity()
            .to_owned()
    };
    assert_eq!(
        load(dir.path()),
        base.identity(),
        "a moved folder is the same model"
    );
    let path = dir.path().join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    assert_ne!(load(dir.path()), base.identity());
}

fn tiny_spec() -> Spec {
    Spec::parse(
        r#"{"model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "attention_bias": true, "mlp_bias": true}"#,
    )
    .unwrap()
}

#[test]
fn a_model_made_from_scratch_is_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let spec = tiny_spec();
    init::write_random(dir.path(), &spec, 3).unwrap();
    let mut policy = Policy::load(
        dir.path(),
        &LoadOptions {
            full: true,
            ..LoadOptions::default()
        },
    )
    .unwrap();
    assert_eq!(policy.spec(), &spec);
    assert_eq!(policy.trainable_parameters(), spec.parameters());
    assert_eq!(policy.total_parameters(), spec.parameters());

    // It learns a text by heart.
    let row = Row::pack(&[Doc::text(&[1, 5, 9, 2, 30, 31, 7]).unwrap()]).unwrap();
    let mut optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    let mut total = 0.0;
    for _ in 0..60 {
        let (log_probs, _) =
            log_probs_and_gradients(&mut policy, std::slice::from_ref(&row), &[-1.0]);
        total = log_probs[0].iter().sum();
        policy.update(&mut optimizer, 1e-2, 1.0).unwrap();
    }
    assert!(total > -1.0, "log-prob of the text is still {total}");
}

#[test]
fn a_fresh_adapter_changes_nothing_and_unused_requests_are_refused() {
    let fixture = fixture::one(FIXTURE);
    let shape = |targets| AdapterShape {
        rank: 3,
        alpha: 6.0,
        rslora: false,
        dropout: 0.0,
        targets,
        seed: 9,
    };
    let names =
        |names: &[&str]| Targets::Names(names.iter().map(|&name| name.to_owned()).collect());
    let load = |targets| {
        let options = LoadOptions {
            adapter: Some(shape(targets)),
            ..LoadOptions::default()
        };
        Policy::load(&fixture.folder, &options)
    };
    let policy = load(names(&["q_proj", "down_proj"])).unwrap();
    let spec = policy.spec();
    let per_layer =
        3 * (spec.hidden_size + spec.query_width() + spec.intermediate_size + spec.hidden_size);
    assert_eq!(policy.trainable_parameters(), spec.layers * per_layer);
    let input = fixture.pairs().remove(0).concat();
    let want = elements(&fixture.base().logits(&input).unwrap());
    assert_eq!(elements(&policy.logits(&input).unwrap()), want);

    let error = load(names(&["q_proj", "wq"])).err().unwrap().to_string();
    assert!(
        error.contains("`wq`") && error.contains("gate_proj"),
        "{error}"
    );
    let row = Row::pack(&[Doc::text(&input).unwrap()]).unwrap();
    assert!(fixture.base().forward(&row).is_err(), "nothing is trained");
    let outside = Row::pack(&[Doc::text(&[1, 512]).unwrap()]).unwrap();
    let error = policy.log_probs(&outside).unwrap_err().to_string();
    assert!(error.contains("512"), "{error}");
}

#[test]
fn a_bad_folder_costs_a_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    init::write_random(folder, &tiny_spec(), 0).unwrap();
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let weights = fs::read(folder.join("model.safetensors")).unwrap();
    let refuse = |what: &str| {
        let error = Policy::load(folder, &LoadOptions::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(what), "{error}");
    };
    for (from, to, what) in [
        (
            r#""hidden_size": 16"#,
            r#""hidden_size": 32"#,
            "has shape [40, 16], expected [40, 32]",
        ),
        (
            r#""num_hidden_layers": 2"#,
            r#""num_hidden_layers": 1024"#,
            "`model.layers.2.",
        ),
        (
            r#""tie_word_embeddings": false"#,
            r#""tie_word_embeddings": 1"#,
            "tie_word_embeddings",
        ),
        (
            r#""vocab_size": 40"#,
            r#""vocab_size": 4000000000000"#,
            "vocab_size",
        ),
        (
            r#""model_type": "llama""#,
            r#""model_type": "zebra""#,
            "`zebra`",
        ),
    ] {
        let changed = config.replace(from, to);
        assert_ne!(changed, config, "{from}");
        fs::write(folder.join("config.json"), changed).unwrap();
        refuse(what);
    }
    fs::write(folder.join("config.json"), &config).unwrap();
    fs::write(
        folder.join("model.safetensors"),
        &weights[..weights.len() / 2],
    )
    .unwrap();
    refuse("partly downloaded");
    fs::remove_file(folder.join("model.safetensors")).unwrap();
    refuse("only safetensors");
    fs::remove_file(folder.join("config.json")).unwrap();
    refuse("config.json");
}
