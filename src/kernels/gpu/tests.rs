//! What every card must do, on whatever card there is: on most test machines the processor in disguise.

use std::{collections::BTreeSet, sync::Arc};

use super::{Card, CardOptions, Piece, cards, recording::TRANSFER};
use crate::{
    AttentionOut, AttentionShape, BlockFormat, CachedKeys, DType, Gradients, InputGradient, KernelError, Layout,
    Linear, Place, Quantized, RopeTable, Segment, Tensor, Weight,
    agreement::{ATTENDED, attended},
    testing::{Implementation, assert_near, qkv, random, tensor, values},
};

/// A card to test on, poisoned unless it has little memory, and watched by the validation layers; `None`, with a
/// printed reason, where there is none. With `CI` set that is a failure.
pub(crate) fn card(options: CardOptions) -> Option<Arc<Card>> {
    let poison = options.memory_limit.is_none();
    let opened = Card::open(0, CardOptions { poison, validated: true, ..options });
    match opened {
        Ok(card) => Some(card),
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set a card must answer: {error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn cards_are_named() {
    for card in cards() {
        eprintln!("{card:?}");
        assert!(!card.name.is_empty() && card.largest_binding > 0);
    }
}

#[test]
fn numbers_come_back_as_they_went_there() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(card);
    for len in [1_usize, 3, 64, 65, 70_001] {
        let values: Vec<f32> = (0..len).map(|i| i as f32 - 7.5).collect();
        let tensor = Tensor::from_vec(values.clone(), len, &place).unwrap();
        assert_eq!(tensor.to_vec::<f32>().unwrap(), values);
        assert_eq!(tensor.copy().unwrap().to_vec::<f32>().unwrap(), values);
        let halves: Vec<half::bf16> = values.iter().map(|&x| half::bf16::from_f32(x)).collect();
        let tensor = Tensor::from_vec(halves.clone(), len, &place).unwrap();
        assert_eq!(tensor.to_vec::<half::bf16>().unwrap(), halves);
        assert_eq!(Tensor::zeros(len, DType::F32, &place).unwrap().to_vec::<f32>().unwrap(), vec![0.0; len]);
    }
}

#[test]
fn rows_are_views_that_can_be_set() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(card);
    let tensor = Tensor::from_vec((0..15).map(|i| i as f32).collect(), (5, 3), &place).unwrap();
    let rows = tensor.rows(1, 2).unwrap();
    assert_eq!(rows.to_vec::<f32>().unwrap(), [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    tensor.set_rows(3, &Tensor::from_vec(vec![-1.0_f32; 3], (1, 3), &place).unwrap()).unwrap();
    assert_eq!(tensor.rows(3, 2).unwrap().to_vec::<f32>().unwrap(), [-1.0, -1.0, -1.0, 12.0, 13.0, 14.0]);
    assert!(tensor.rows(4, 2).is_err());
    assert_eq!(tensor.reshape((3, 5)).unwrap().dims(), [3, 5]);
    assert!(tensor.reshape((4, 4)).is_err());
}

#[test]
fn a_buffer_is_used_again_only_behind_the_commands_that_read_it() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(card);
    let mut sums = Vec::new();
    for round in 0..40 {
        // The first tensor's buffer is free while the sum that reads it may still wait to be handed over.
        let x = Tensor::from_vec(vec![round as f32; 1000], 1000, &place).unwrap();
        let sum = Tensor::zeros(1000, DType::F32, &place).unwrap();
        super::elementwise::add(sum.gpu("", "").unwrap(), x.gpu("", "").unwrap()).unwrap();
        sums.push(sum);
    }
    for (round, sum) in sums.iter().enumerate() {
        assert_eq!(sum.to_vec::<f32>().unwrap(), vec![round as f32; 1000]);
    }
}

#[test]
fn a_lost_card_is_told_and_nothing_hangs() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(Arc::clone(&card));
    let tensor = Tensor::zeros(10, DType::F32, &place).unwrap();
    card.lose();
    let error = tensor.to_vec::<f32>().unwrap_err().to_string();
    assert!(error.contains("on purpose"), "{error}");
}

#[test]
fn a_card_that_computes_rightly_passes_its_self_test() {
    let Some(card) = card(CardOptions::default()) else { return };
    super::self_test(&card).unwrap();
    // Every shader, and every way of storing numbers in blocks.
    let compiled = card.pipelines.compiled();
    let names: BTreeSet<&str> = compiled.iter().map(|(name, _)| *name).collect();
    for name in ["narrow", "widen_bf16", "squares", "blocks", "dropout", "matvec", "head_finish", "scatter"] {
        assert!(names.contains(name), "{name} is not among {names:?}");
    }
    for code in 0..super::self_test::STORED.len() as u32 {
        let is_read =
            |name: &str| compiled.iter().any(|(known, constants)| *known == name && constants.contains(&code));
        assert!(is_read("blocks") && is_read("matvec"), "format {code}: {compiled:?}");
    }
    let (card, processor) = (super::rates(&card).unwrap(), super::processor_rates().unwrap());
    eprintln!("card to processor: {}", card.in_words(&processor));
    for rates in [card, processor] {
        let all = [rates.tall, rates.head, rates.decode];
        assert!(all.iter().all(|&rate| rate > 0.0 && rate.is_finite()), "{rates:?}");
        let (least, most) = all.iter().fold((f64::MAX, 0.0_f64), |(a, b), &rate| (a.min(rate), b.max(rate)));
        assert!((least..=most).contains(&rates.of_step()), "{rates:?}");
    }
}

/// Products, attention forward and backward: what is cut by time.
fn cut_by_time(card: &Arc<Card>) -> Vec<Vec<f32>> {
    let by = Implementation::card(card);
    let kernels = &by.kernels;
    let of = |seed, rows: usize, columns: usize| by.tensor(&random(seed, rows * columns), (rows, columns));
    let (x, layer) = (of(1, 200, 1100), Linear::frozen(of(2, 150, 1100)));
    let (y, saved) = kernels.linear(&x, &layer).unwrap();
    let mut grads = Gradients::new(1, &by.place).unwrap();
    let dx = kernels.linear_backward(&x, &saved, &y, &layer, InputGradient::Fresh, &mut grads).unwrap().unwrap();
    let segment = |start, len, prefix| Segment { start, len, prefix };
    let layout = Layout::new(vec![segment(0, 150, 0..0), segment(150, 70, 0..150), segment(220, 5, 0..0)]).unwrap();
    let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 8, scale: 0.4, softcap: None, window: None };
    let (q, k, v, d_o) = (of(3, 225, 32), of(4, 225, 16), of(5, 225, 16), of(6, 225, 32));
    let (o, lse) = kernels.attention(qkv(&q, &k, &v), &layout, &shape).unwrap();
    let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
    let (dq, dk, dv) = kernels.attention_backward(qkv(&q, &k, &v), outcome, &layout, &shape).unwrap();
    [y, dx, o, lse, dq, dk, dv].iter().map(values).collect()
}

#[test]
fn how_much_is_handed_over_at_once_changes_no_bit() {
    let of = |batch_work| card(CardOptions { batch_work, ..CardOptions::default() }).map(|card| cut_by_time(&card));
    let (Some(whole), Some(tiles), Some(between)) = (of(Some(u64::MAX)), of(Some(1)), of(Some(20_000_000))) else {
        return;
    };
    assert!(whole == tiles && whole == between);
}

#[test]
fn what_a_batch_takes_is_learned_from_those_before() {
    let Some(card) = card(CardOptions::default()) else { return };
    let before = card.pace.budget();
    let x = tensor(&random(1, 512 * 512), (512, 512)).to_place(&Place::Gpu(Arc::clone(&card))).unwrap();
    let layer = Linear::frozen(x.clone());
    let kernels = super::kernels(&card, false);
    for _ in 0..40 {
        kernels.linear(&x, &layer).unwrap();
    }
    card.wait().unwrap();
    assert_ne!(card.pace.budget(), before);
}

#[test]
fn a_list_that_was_asked_for_before_is_there_and_nothing_is_handed_over_for_it() {
    let Some(card) = card(CardOptions::default()) else { return };
    let zeros = Piece::zeros(&card, &[4], DType::F32).unwrap();
    let lists: Vec<Vec<u32>> = (0..20).map(|n| vec![n, 7, n + 1]).collect();
    let pieces: Vec<Piece> = lists.iter().map(|list| Piece::indices(&card, list).unwrap()).collect();
    let again = Piece::indices(&card, &lists[19]).unwrap();
    assert!(again.buffer().unwrap() == pieces[19].buffer().unwrap());
    // The first ones made room, and whoever holds them still has them.
    assert!(Piece::indices(&card, &lists[0]).unwrap().buffer().unwrap() != pieces[0].buffer().unwrap());
    assert!(card.recording().unwrap().is_idle(), "nothing was handed over");
    for (list, piece) in lists.iter().zip(pieces) {
        assert_eq!(Tensor::from(piece).to_vec::<u32>().unwrap(), *list);
    }
    assert_eq!(Tensor::from(zeros).to_vec::<f32>().unwrap(), [0.0; 4]);
}

#[test]
fn what_is_written_is_not_written_into_what_waiting_commands_read() {
    let Some(card) = card(CardOptions::default()) else { return };
    let upload = |value: f32| Piece::upload(&card, bytemuck::bytes_of(&[value; 64]), &[64], DType::F32).unwrap();
    let sum = Piece::zeros(&card, &[64], DType::F32).unwrap();
    for value in 1..=30 {
        // Free again while the addition still waits.
        super::elementwise::add(&sum, &upload(value as f32)).unwrap();
    }
    assert_eq!(Tensor::from(sum).to_vec::<f32>().unwrap(), [465.0; 64]);
}

#[test]
fn shaders_are_timed_by_the_cards_own_clock() {
    let Some(card) = card(CardOptions::default()) else { return };
    if let Err(error) = card.watch() {
        eprintln!("skipped: {error}");
        return;
    }
    cut_by_time(&card);
    let told = card.watched().unwrap();
    let gemm = told.iter().find(|kernel| kernel.name == "gemm").unwrap();
    assert!(gemm.runs >= 2 && gemm.seconds > 0.0, "{gemm:?}");
    assert_eq!(gemm.products, 2 * 200 * 150 * 1100);
    assert!(told.iter().any(|kernel| kernel.name.starts_with("attention backward")), "{told:?}");
    cut_by_time(&card);
    assert_eq!(card.watched().unwrap(), []);
}

#[test]
fn a_document_longer_than_one_operand_is_done_some_heads_at_a_time_or_in_stretches() {
    let Some(small) = card(CardOptions { binding_limit: Some(16 << 10), ..CardOptions::default() }) else { return };
    let small = Implementation::card(&small);
    let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 10, scale: 0.4, softcap: None, window: None };
    let segment = |start, len, prefix| Segment { start, len, prefix };
    // Heads of 12 numbers, two queries' to a key's: 82 tokens fit with all heads, 165 with one key head, 330 with one
    // query head.
    for tokens in [150, 200, 330, 340, 1100] {
        let layout =
            Layout::new(vec![segment(0, tokens - 50, 0..0), segment(tokens - 50, 50, 0..tokens - 50)]).unwrap();
        for shape in [&shape, &AttentionShape { softcap: Some(1.5), window: Some(400), ..shape.clone() }] {
            let (found, expected) =
                (attended(&small, &layout, shape), attended(&Implementation::cpu(), &layout, shape));
            for ((what, found), expected) in ATTENDED.iter().zip(&found).zip(&expected) {
                assert_near(&format!("{what} of {tokens}"), &values(found), &values(expected), 4e-5);
            }
        }
    }
    let wide = AttentionShape { heads: 1, kv_heads: 1, head_dim: 256, ..shape };
    let x = small.tensor(&random(1, 70 * 256), (70, 256));
    let error = small.kernels.attention(qkv(&x, &x, &x), &Layout::single(70).unwrap(), &wide).unwrap_err().to_string();
    assert!(error.contains("heads of 256 numbers") && error.contains("16384 bytes"), "{error}");
}

#[test]
fn a_card_without_any_extra_computes_rightly() {
    // No half precision, no subgroups, no clock, operands of 128 MiB: what every card has.
    let Some(card) = card(CardOptions { bare: true, ..CardOptions::default() }) else { return };
    super::self_test(&card).unwrap();
    assert!(card.binding_limit() <= 128 << 20);
    let error = card.watch().unwrap_err().to_string();
    assert!(error.contains("no clock"), "{error}");
}

#[test]
fn what_has_no_room_spoils_nothing_else() {
    const MANY: usize = 1 << 20; // 4 MiB
    let options = CardOptions { memory_limit: Some(10 << 20), ..CardOptions::default() };
    let Some(card) = card(options) else { return };
    let place = Place::Gpu(Arc::clone(&card));
    let sum = tensor(&random(1, 64), 64).to_place(&place).unwrap();
    super::elementwise::add(sum.gpu("", "").unwrap(), sum.gpu("", "").unwrap()).unwrap();
    let first = Tensor::zeros(MANY, DType::F32, &place).unwrap();
    // As a tensor, on the way to the card, and on the way back.
    let second = Tensor::zeros(2 * MANY, DType::F32, &place).map(drop);
    let uploaded = Tensor::from_vec(vec![1.0_f32; MANY], MANY, &place).map(drop);
    let whole = Tensor::zeros(MANY, DType::F32, &place).unwrap();
    let read = first.to_vec::<f32>().map(drop);
    for (what, refused) in [("zeros", second), ("upload", uploaded), ("read", read)] {
        let error = refused.unwrap_err();
        assert!(matches!(error, KernelError::OutOfMemory(_)), "{what}: {error}");
    }
    drop((first, whole));
    // What was asked before is done, and what is asked now.
    let twice: Vec<f32> = random(1, 64).iter().map(|&x| 2.0 * x as f32).collect();
    assert_eq!(sum.to_vec::<f32>().unwrap(), twice);
    assert_eq!(Tensor::from_vec(vec![3.0_f32; 1000], 1000, &place).unwrap().to_vec::<f32>().unwrap(), vec![3.0; 1000]);
}

#[test]
fn weights_are_not_in_memory_twice_while_they_are_loaded() {
    let Some(card) = card(CardOptions::default()) else { return };
    let part = vec![7_u8; 9 << 20];
    let loaded: Vec<Piece> = (0..20)
        .map(|_| {
            let piece = Piece::upload(&card, &part, &[part.len() / 4], DType::U32).unwrap();
            assert!(card.recording().unwrap().staged() < TRANSFER);
            piece
        })
        .collect();
    assert!(loaded.iter().all(|piece| piece.read().unwrap() == part));
}

#[test]
fn the_peak_begins_anew_when_it_is_forgotten() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(Arc::clone(&card));
    let held = |len: usize| drop(Tensor::zeros(len << 18, DType::F32, &place).unwrap());
    held(40);
    assert!(card.memory().peak >= 40 << 20);
    card.forget_peak();
    held(3);
    assert!((3 << 20..10 << 20).contains(&card.memory().peak), "{:?}", card.memory());
}

#[test]
fn buffers_of_other_sizes_are_given_back_before_more_is_held() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(Arc::clone(&card));
    for mebibytes in [1, 3, 2, 5, 9, 4, 7, 13, 6, 11] {
        drop(Tensor::zeros(mebibytes << 18, DType::F32, &place).unwrap());
    }
    assert!(card.memory().peak < 14 << 20, "{:?}", card.memory());
    assert!(card.memory().used <= card.memory().peak);
}

#[test]
fn a_card_that_somebody_panicked_over_is_not_used_again() {
    let Some(card) = card(CardOptions::default()) else { return };
    let place = Place::Gpu(Arc::clone(&card));
    let tensor = Tensor::zeros(4, DType::F32, &place).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _recording = card.recording().unwrap();
        panic!("in the middle");
    }));
    assert!(panicked.is_err() && !card.is_sound());
    let error = tensor.to_vec::<f32>().unwrap_err().to_string();
    assert!(error.contains("begin anew"), "{error}");
}

#[test]
fn a_table_larger_than_an_operand_is_read_in_pieces() {
    let Some(small) = card(CardOptions { binding_limit: Some(2048), ..CardOptions::default() }) else { return };
    let rotated = |by: &Implementation| {
        let table =
            RopeTable { cos: by.tensor(&random(1, 700 * 3), (700, 3)), sin: by.tensor(&random(2, 700 * 3), (700, 3)) };
        let x = by.tensor(&random(3, 5 * 16), (5, 16));
        values(&by.kernels.rope(x, 2, &[699, 0, 127, 128, 300], &table, true).unwrap())
    };
    assert_near("x", &rotated(&Implementation::card(&small)), &rotated(&Implementation::cpu()), 1e-6);
}

#[test]
fn a_cache_longer_than_an_operand_is_joined_in_pieces() {
    let Some(small) = card(CardOptions { binding_limit: Some(4096), ..CardOptions::default() }) else { return };
    let shape = AttentionShape { heads: 2, kv_heads: 1, head_dim: 8, scale: 0.4, softcap: None, window: None };
    let attended = |by: &Implementation, lengths: &[usize]| {
        let of = |seed: usize, rows: usize, width| by.tensor(&random(seed as u64, rows * width), (rows, width));
        let kept: Vec<_> = lengths.iter().map(|&len| (of(len, len, 8), of(len + 1, len, 8), len)).collect();
        let caches: Vec<_> = kept.iter().map(|(keys, values, len)| CachedKeys { keys, values, len: *len }).collect();
        let q: Vec<f64> = lengths.iter().flat_map(|&len| random(len as u64 + 2, 16)).collect();
        let q = by.tensor(&q, (lengths.len(), 16));
        values(&by.kernels.attention_cached(&q, &caches, &shape).unwrap())
    };
    // One operand spans 44 stretches of 64 keys.
    let lengths = [3000, 50, 2900, 2816];
    let by_card = attended(&Implementation::card(&small), &lengths);
    assert_near("o", &by_card, &attended(&Implementation::cpu(), &lengths), 4e-5);
    // A row's bits are its own.
    assert_eq!(by_card[32..48], attended(&Implementation::card(&small), &lengths[2..3]));
}

#[test]
fn blocks_on_one_card_are_no_operands_of_another() {
    let (Some(one), Some(other)) = (card(CardOptions::default()), card(CardOptions::default())) else { return };
    let numbers: Vec<f32> = random(1, 512).iter().map(|&x| x as f32).collect();
    let weight = Weight::from(Quantized::quantize(BlockFormat::Q8_0, &numbers, 2, 256).unwrap());
    let there = weight.clone().placed(&Place::Gpu(one), DType::F32).unwrap();
    let other = Place::Gpu(other);
    let moved = there.placed(&other, DType::F32).unwrap();
    let Weight::OnCard(blocks) = &moved else { panic!("{moved:?}") };
    assert!(matches!(&other, Place::Gpu(card) if blocks.is_on(card)));
    assert_eq!(moved.to_vec().unwrap(), weight.to_vec().unwrap());
}
