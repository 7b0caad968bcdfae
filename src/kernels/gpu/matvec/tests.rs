//! Few rows on a card against the processor's, and against themselves among others.

use crate::{
    DType, Generating, Head, HeadOptions, Linear, Lora, Quantized, Tensor, Weight,
    gpu::{CardOptions, tests::card},
    testing::{FORMATS, Implementation, assert_near, random, tensor, values},
};

/// Of the largest magnitude, between a card and the processor.
const TOLERANCE: f32 = 4e-5;

/// A layer with a bias and two adapters, its weight stored some way.
fn layer(by: &Implementation, weight: &Weight) -> Linear {
    let weight = by.weight(weight);
    let [d_out, d_in] = <[usize; 2]>::try_from(weight.dims()).unwrap();
    let lora = |rank: usize, scale| Lora {
        a: by.tensor(&random(7, rank * d_in), (rank, d_in)),
        b: by.tensor(&random(8, rank * d_out), (d_out, rank)),
        a_slot: None,
        b_slot: None,
        scale,
    };
    let bias = Some(by.tensor(&random(9, d_out), d_out));
    Linear { bias, loras: vec![lora(3, 0.5), lora(16, -1.0)], ..Linear::frozen(weight) }
}

/// The same numbers in every way that a weight is stored.
fn weights(rows: usize, columns: usize) -> Vec<Weight> {
    let numbers = random(1, rows * columns);
    let plain = tensor(&numbers, (rows, columns));
    let mut weights: Vec<Weight> = vec![plain.to_dtype(DType::BF16).unwrap().into(), plain.into()];
    let numbers: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
    for format in FORMATS {
        if columns.is_multiple_of(format.numbers()) {
            weights.push(Quantized::quantize(format, &numbers, rows, columns).unwrap().into());
        }
    }
    weights
}

#[test]
fn few_rows_are_as_on_the_processor_however_weights_are_stored() {
    let Some(card) = card(CardOptions::default()) else { return };
    let (card, cpu) = (Implementation::card(&card), Implementation::cpu());
    // Odd numbers of outputs, of numbers in a row, of rows; more rows than a run takes.
    for (rows, d_in, d_out) in [(1, 1, 1), (3, 7, 5), (2, 70, 33), (8, 256, 67), (19, 96, 130), (1, 1280, 9)] {
        for weight in weights(d_out, d_in) {
            let what = format!("{rows}×{d_in}×{d_out} {}", weight.format());
            let of = |by: &Implementation| {
                let x = by.tensor(&random(2, rows * d_in), (rows, d_in));
                let y = by.kernels.linear_rowwise(&x, &layer(by, &weight), Generating::Decode).unwrap();
                let options = HeadOptions { scale: 0.7, softcap: Some(2.0) };
                let logits = by.kernels.logits(&x, Head { weight: &by.weight(&weight), options }).unwrap();
                [values(&y), values(&logits)]
            };
            let [y, logits] = of(&card);
            let [own_y, own_logits] = of(&cpu);
            assert_near(&what, &y, &own_y, TOLERANCE);
            assert_near(&format!("{what}, logits"), &logits, &own_logits, TOLERANCE);
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    const IN: usize = 512;
    const OUT: usize = 70;
    let Some(card) = card(CardOptions::default()) else { return };
    let card = Implementation::card(&card);
    let x = card.tensor(&random(3, 21 * IN), (21, IN));
    for weight in weights(OUT, IN) {
        let format = weight.format();
        let linear = layer(&card, &weight);
        for stage in [Generating::Prefill, Generating::Decode] {
            let of = |x: &Tensor| values(&card.kernels.linear_rowwise(x, &linear, stage).unwrap());
            let all = of(&x);
            for (first, rows) in [(0, 1), (20, 1), (3, 2), (5, 9), (1, 20)] {
                let some = of(&x.rows(first, rows).unwrap());
                assert!(some == all[first * OUT..(first + rows) * OUT], "{format} {stage:?} {first} {rows}");
            }
        }
    }
}
