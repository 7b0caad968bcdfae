//! What every card must do, on whatever card there is: on most test machines the processor in disguise.

use std::sync::Arc;

use super::{Card, CardOptions, cards};
use crate::{DType, Place, Tensor};

/// A card to test on, poisoned; `None`, with a printed reason, where there is none. With `CI` set that is a failure.
pub(crate) fn card(options: CardOptions) -> Option<Arc<Card>> {
    let opened = Card::open(0, CardOptions { poison: true, ..options });
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
    let (card, processor) = (super::rate(&card).unwrap(), super::processor_rate().unwrap());
    assert!(card > 0.0 && processor > 0.0, "{card} {processor}");
    eprintln!("card {:.1} GFLOP/s, processor {:.1}", card / 1e9, processor / 1e9);
}
