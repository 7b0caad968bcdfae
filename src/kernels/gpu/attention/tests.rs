//! Attention on a card against the processor's, against the plain twin and its finite differences, and against itself.

use std::sync::OnceLock;

use proptest::prelude::*;

use crate::{
    AttentionShape, Layout,
    agreement::{ATTENDED, attended, documents, over_caches},
    attention::tests::{check_by, check_caches_by, layout, shape},
    gpu::{CardOptions, tests::card},
    testing::{Implementation, assert_near, qkv, random, values},
};

/// The card that all tests share, because a program is compiled once a card.
fn by_card() -> Option<&'static Implementation> {
    static CARD: OnceLock<Option<Implementation>> = OnceLock::new();
    CARD.get_or_init(|| card(CardOptions::default()).map(|card| Implementation::card(&card))).as_ref()
}

/// Of the largest magnitude, between a card and the processor.
const TOLERANCE: f32 = 4e-5;

/// `o`, `lse`, `dq`, `dk`, `dv` of random operands.
fn results(by: &Implementation, layout: &Layout, shape: &AttentionShape) -> Vec<Vec<f32>> {
    attended(by, layout, shape).iter().map(values).collect()
}

#[track_caller]
fn as_on_the_processor(layout: &Layout, shape: &AttentionShape) {
    let Some(by) = by_card() else { return };
    let (card, processor) = (results(by, layout, shape), results(&Implementation::cpu(), layout, shape));
    for (what, (a, b)) in ATTENDED.iter().zip(card.iter().zip(&processor)) {
        assert_near(what, a, b, TOLERANCE);
    }
}

/// Segments shorter and longer than a block and a tile.
fn lengths() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![1..6_usize, 28..36_usize, 60..70_usize, 1..140_usize]
}

fn shapes() -> impl Strategy<Value = AttentionShape> {
    let head_dim = prop::sample::select(vec![1_usize, 3, 5, 8, 18]);
    let (softcap, window) = (prop::option::of(0.5..3.0_f32), prop::option::of(1..150_usize));
    (1..3_usize, 1..4_usize, head_dim, softcap, window).prop_map(|(kv_heads, group, head_dim, softcap, window)| {
        AttentionShape { heads: kv_heads * group, kv_heads, head_dim, scale: 0.7, softcap, window }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_rows_are_as_on_the_processor(layout in documents(lengths()), shape in shapes()) {
        as_on_the_processor(&layout, &shape);
    }

    /// Operands of 12 KiB: whatever reaches far is done in stretches.
    #[test]
    fn random_rows_in_stretches_are_as_on_the_processor(layout in documents(lengths()), shape in shapes()) {
        static SMALL: OnceLock<Option<Implementation>> = OnceLock::new();
        let options = CardOptions { binding_limit: Some(12 << 10), ..CardOptions::default() };
        let Some(by) = SMALL.get_or_init(|| card(options).map(|card| Implementation::card(&card))) else { return Ok(()) };
        let (card, processor) = (results(by, &layout, &shape), results(&Implementation::cpu(), &layout, &shape));
        for (what, (a, b)) in ATTENDED.iter().zip(card.iter().zip(&processor)) {
            assert_near(what, a, b, TOLERANCE);
        }
    }

    #[test]
    fn random_caches_are_as_on_the_processor(shape in shapes(), lengths in prop::collection::vec(1..300_usize, 1..4)) {
        let Some(card) = by_card() else { return Ok(()) };
        let run = |by: &Implementation| values(&over_caches(by, &shape, 301, &lengths));
        assert_near("o", &run(card), &run(&Implementation::cpu()), TOLERANCE);
    }
}

#[test]
fn gradients_are_those_of_the_twin() {
    let Some(by) = by_card() else { return };
    let check = |documents: &[&[usize]], shape: &AttentionShape| check_by(by, 1e-5, documents, shape);
    check(&[&[1]], &shape(1, 1, 4));
    check(&[&[5, 3, 7], &[1, 2], &[9]], &shape(6, 2, 5));
    check(&[&[33, 17, 1]], &shape(4, 4, 8));
    check(&[&[70, 20, 65]], &shape(2, 1, 4));
    check(&[&[3, 40]], &AttentionShape { window: Some(8), ..shape(8, 1, 4) });
    check(&[&[13, 6, 8]], &AttentionShape { softcap: Some(2.0), window: Some(5), ..shape(4, 2, 6) });
}

#[test]
fn a_long_prompt_with_two_answers() {
    as_on_the_processor(&layout(&[&[700, 420, 380]]), &AttentionShape { scale: 0.125, ..shape(2, 1, 64) });
}

#[test]
fn a_long_text_through_a_window() {
    let shape = AttentionShape { window: Some(300), softcap: Some(20.0), ..shape(1, 1, 64) };
    as_on_the_processor(&layout(&[&[1100], &[90, 30]]), &shape);
}

/// Every number of components a thread has, whole and not.
#[test]
fn heads_of_many_widths() {
    for (head_dim, group) in [(64, 2), (80, 1), (128, 2), (130, 1), (192, 1), (255, 1), (256, 2)] {
        let shape = AttentionShape { scale: 0.1, ..shape(group, 1, head_dim) };
        as_on_the_processor(&layout(&[&[70, 35, 3]]), &shape);
    }
    let too_wide = shape(1, 1, 257);
    let Some(by) = by_card() else { return };
    let x = by.tensor(&random(1, 257), (1, 257));
    let error = by.kernels.attention(qkv(&x, &x, &x), &layout(&[&[1]]), &too_wide).unwrap_err().to_string();
    assert!(error.contains("257") && error.contains("256"), "{error}");
}

/// So many blocks that the query heads of a key head stay together, and so many that they go by twos.
#[test]
fn heads_that_share_keys_together_and_apart() {
    let documents: Vec<&[usize]> = (0..130).map(|i| if i % 10 == 0 { &[2, 1][..] } else { &[1][..] }).collect();
    as_on_the_processor(&layout(&documents), &shape(6, 2, 5));
    as_on_the_processor(&layout(&documents), &shape(4, 1, 5));
}

#[test]
fn scores_far_apart_do_not_overflow() {
    let shape = AttentionShape { scale: 400.0, ..shape(2, 1, 4) };
    let Some(by) = by_card() else { return };
    let layout = layout(&[&[100, 30]]);
    let (card, processor) = (results(by, &layout, &shape), results(&Implementation::cpu(), &layout, &shape));
    // The rounding of a score of some hundreds is a part of its weight.
    for (a, b) in card[0].iter().zip(&processor[0]) {
        assert!((a - b).abs() < 4e-4, "{a} on the card, {b} on the processor");
    }
    assert!(card.iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn the_bits_are_the_same_twice_and_in_pieces() {
    let Some(by) = by_card() else { return };
    let layout = layout(&[&[90, 70], &[100], &[20, 30, 66]]);
    let shape = shape(2, 2, 20);
    let bits = |by: &Implementation| -> Vec<Vec<u32>> {
        results(by, &layout, &shape).iter().map(|part| part.iter().map(|x| x.to_bits()).collect()).collect()
    };
    let once = bits(by);
    assert!(once == bits(by), "the bits differ from one time to the next");
    // Room for one document at a time.
    let with_limit = |limit| {
        let card = card(CardOptions { binding_limit: Some(limit), ..CardOptions::default() })?;
        Some(Implementation::card(&card))
    };
    let (Some(rows), Some(stretches)) = (with_limit(160 * 40 * 4 + 1024), with_limit(80 * 20 * 4)) else { return };
    assert!(once == bits(&rows), "the bits depend on how rows are cut into runs");
    // Sums are made in another order then, the same every time.
    assert!(bits(&stretches) == bits(&stretches), "the bits of stretches differ from one time to the next");
}

#[test]
fn caches_give_the_last_row_of_the_whole() {
    let Some(by) = by_card() else { return };
    check_caches_by(by, 1e-5);
}
