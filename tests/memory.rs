//! What training holds in memory, to the byte: a program of its own, because it counts every allocation.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::path::Path;

use nudge::{
    data::config::{Precision, Recompute, Targets},
    model::{AdamW, AdamWOptions, AdapterShape, Doc, LoadOptions, Policy, Spec, adapter, init},
    text::Codec,
    train::{
        dataset::packing::Packed,
        step::{Loss, Plan, Slopes, Trainer, go_on},
    },
};
use peak_alloc::PeakAlloc;

#[path = "it/hostile_folders/mod.rs"]
mod hostile_folders;

#[global_allocator]
static HELD: PeakAlloc = PeakAlloc;

/// A model of width `d`, feed-forward `ff`, and so on, with random weights.
fn write_model(folder: &Path, [d, ff, layers, heads, kv_heads, vocabulary]: [usize; 6]) {
    let config = format!(
        r#"{{"model_type": "llama", "hidden_size": {d}, "intermediate_size": {ff}, "num_hidden_layers": {layers},
        "num_attention_heads": {heads}, "num_key_value_heads": {kv_heads}, "vocab_size": {vocabulary},
        "rms_norm_eps": 1e-6, "max_position_embeddings": 4096, "tie_word_embeddings": true}}"#
    );
    init::write_random(folder, &Spec::parse(&config).unwrap(), 0).unwrap();
}

fn load(folder: &Path, recompute: Recompute, rank: Option<usize>) -> Policy {
    load_in(Precision::F32, folder, recompute, rank)
}

fn load_in(precision: Precision, folder: &Path, recompute: Recompute, rank: Option<usize>) -> Policy {
    let options = LoadOptions {
        precision,
        recompute,
        full: rank.is_none(),
        adapter: rank.map(|rank| AdapterShape {
            rank,
            alpha: 32.0,
            rslora: false,
            dropout: 0.0,
            targets: Targets::AllLinear,
            seed: 0,
        }),
        ..LoadOptions::default()
    };
    Policy::load(folder, &options).unwrap()
}

/// A prompt with two answers of these lengths.
fn pair(prompt: u32, answer: u32) -> Doc {
    let ids = |first: u32, len: u32| (0..len).map(|i| (first + 7 * i) % 31).collect::<Vec<u32>>();
    Doc::new(ids(1, prompt), vec![ids(2, answer), ids(3, answer)])
}

/// The chosen answer up, the rejected one down.
struct Apart;

impl Loss<()> for Apart {
    fn add(&mut self, (): (), log_probs: &[Vec<f32>], slopes: &mut Slopes) {
        for (answer, slope) in log_probs.iter().zip([-0.1, 0.1]) {
            slopes.answer(slope, answer.len());
        }
    }

    fn value(&self) -> f64 {
        0.0
    }
}

fn trainer(policy: Policy) -> Trainer {
    let optimizer = AdamW::new(policy.parameters(), AdamWOptions::default()).unwrap();
    Trainer { policy, optimizer, memory: None }
}

fn step(trainer: &mut Trainer, row: &Packed<()>) {
    let plan = Plan { step: 1, rows: std::slice::from_ref(row), learning_rate: 1e-4, max_grad_norm: 0.0 };
    trainer.step(plan, &mut Apart, &mut go_on).unwrap().done().unwrap();
}

/// Bytes at the peak of loading and one step, and what was foretold of a step.
fn peak_of_step(
    sizes: [usize; 6],
    precision: Precision,
    recompute: Recompute,
    rank: Option<usize>,
    doc: &Doc,
) -> (f64, f64) {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), sizes);
    let before = HELD.current_usage();
    let mut trainer = trainer(load_in(precision, dir.path(), recompute, rank));
    let packed = Packed::of(&[((), doc)]).unwrap();
    let foretold = trainer.policy.estimate_bytes(packed.row.tokens(), packed.row.answer_tokens());
    HELD.reset_peak_usage();
    step(&mut trainer, &packed);
    ((HELD.peak_usage() - before) as f64, foretold as f64)
}

/// One test, so that nothing else is counted.
#[test]
fn memory_is_foretold_and_flat() {
    what_is_refused_takes_little();
    a_step_takes_what_was_foretold();
    loading_holds_one_copy();
    two_thousand_steps_hold_what_two_hold();
    a_checkpoint_holds_no_second_model();
}

/// Whatever a folder claims to be.
fn what_is_refused_takes_little() {
    let refuse = |all: Vec<hostile_folders::Hostile>, adapted: bool, load: &dyn Fn(&Path) -> Option<String>| {
        for hostile_folders::Hostile { name, says, spoil } in all {
            let dir = tempfile::tempdir().unwrap();
            hostile_folders::write_good(dir.path());
            if adapted {
                hostile_folders::write_adapter(dir.path());
            }
            spoil(dir.path());
            let before = HELD.current_usage();
            HELD.reset_peak_usage();
            let error = load(dir.path()).unwrap_or_default();
            assert!(error.contains(says), "{name}: {error:?}");
            let took = HELD.peak_usage().saturating_sub(before) >> 20;
            assert!(took < 32, "{name} took {took} MiB");
        }
    };
    let policy = |folder: &Path| {
        let loaded = Policy::load(folder, &LoadOptions::default());
        loaded.err().map(|error| error.to_string())
    };
    refuse(hostile_folders::models(), false, &policy);
    refuse(hostile_folders::tokenizers(), false, &|folder| Codec::load(folder).err().map(|error| error.to_string()));
    refuse(hostile_folders::adapters(), true, &|folder| {
        let spec = Spec::read(folder).unwrap();
        let loaded = adapter::load(folder, &spec);
        loaded.err().map(|error| error.to_string())
    });
}

fn a_step_takes_what_was_foretold() {
    // The threads' own workspaces are made once.
    peak_of_step([64, 192, 2, 4, 2, 512], Precision::Bf16, Recompute::Never, Some(8), &pair(300, 60));
    let narrow = [64, 192, 8, 4, 2, 512];
    let wide = [128, 512, 3, 4, 4, 256];
    let flat = [96, 96, 4, 6, 6, 2048];
    for (sizes, prompt, answer) in [(narrow, 300, 60), (wide, 40, 200), (flat, 200, 20)] {
        for precision in [Precision::F32, Precision::Bf16] {
            for recompute in [Recompute::Never, Recompute::Always] {
                for rank in [Some(8), None] {
                    let doc = pair(prompt, answer);
                    let (peak, foretold) = peak_of_step(sizes, precision, recompute, rank, &doc);
                    let ratio = foretold / peak;
                    let what = format!(
                        "{sizes:?}, {precision:?}, {recompute:?}, rank {rank:?}: foretold {foretold}, took {peak}"
                    );
                    assert!((0.9..1.15).contains(&ratio), "{what}");
                }
            }
        }
    }
}

/// The file is read run by run: no second model stands in memory while the first is filled.
fn loading_holds_one_copy() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), [256, 512, 6, 4, 4, 4096]);
    let before = HELD.current_usage();
    HELD.reset_peak_usage();
    let policy = load(dir.path(), Recompute::Never, Some(8));
    let held = HELD.current_usage() - before;
    let peak = HELD.peak_usage() - before;
    assert!(held >= 4 * policy.spec().parameters());
    assert!(peak as f64 <= 1.1 * held as f64, "{peak} at the peak, {held} after");
}

fn two_thousand_steps_hold_what_two_hold() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), [8, 16, 2, 2, 1, 32]);
    let mut trainer = trainer(load(dir.path(), Recompute::Auto, Some(2)));
    let rows = [(5, 3), (9, 2), (3, 4)].map(|(prompt, answer)| Packed::of(&[((), &pair(prompt, answer))]).unwrap());
    let mut run = |steps: usize| {
        HELD.reset_peak_usage();
        for index in 0..steps {
            step(&mut trainer, &rows[index % rows.len()]);
        }
        (HELD.current_usage(), HELD.peak_usage())
    };
    run(6);
    let (held, peak) = run(6);
    let (held_later, peak_later) = run(2000);
    assert_eq!(held_later, held, "nothing is left over from a step");
    assert!(peak_later <= peak + 4096, "{peak} bytes at first, {peak_later} later");
}

/// What is trained and the optimizer's moments go to the disk and come back run by run, whatever they are together.
fn a_checkpoint_holds_no_second_model() {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path(), [256, 512, 6, 4, 4, 4096]);
    for rank in [None, Some(64)] {
        let mut trainer = trainer(load(dir.path(), Recompute::Never, rank));
        step(&mut trainer, &Packed::of(&[((), &pair(9, 5))]).unwrap());
        let Trainer { mut policy, mut optimizer, .. } = trainer;
        let (weights, moments) = (dir.path().join("weights"), dir.path().join("moments"));
        let mut took = |work: &mut dyn FnMut(&mut Policy, &mut AdamW)| {
            let before = HELD.current_usage();
            HELD.reset_peak_usage();
            work(&mut policy, &mut optimizer);
            (HELD.peak_usage() - before) as u64
        };
        let saving = took(&mut |policy, optimizer| {
            policy.save_trainable(&weights).unwrap();
            optimizer.save(&moments).unwrap();
            if rank.is_some() {
                let (layout, part) = (adapter::AdapterFormat::Peft, adapter::AdapterPart::Sum);
                adapter::save(policy, &dir.path().join("adapter"), layout, part, "base").unwrap();
            }
        });
        let loading = took(&mut |policy, optimizer| {
            policy.load_trainable(&weights).unwrap();
            optimizer.load(&moments, 1).unwrap();
        });
        let foretold = policy.saving_bytes();
        let numbers = policy.trainable_parameters();
        let what = format!("rank {rank:?}, {numbers} trained");
        assert!(saving <= foretold + (1 << 20), "{what}: saving took {saving} bytes, foretold {foretold}");
        assert!(loading <= 4 << 20, "{what}: loading took {loading} bytes");
        assert!(rank.is_some() || foretold < 4 * numbers as u64 / 4, "it is no model: {foretold}");
    }
}
