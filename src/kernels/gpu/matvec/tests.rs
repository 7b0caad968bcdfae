//! Few rows on a card against the processor's, and against themselves among others.

use crate::{
    DType, Generating, Head, HeadOptions, Kernels, Linear, Lora, Quantized, Tensor, Weight,
    cpu::Cpu,
    gpu::{CardOptions, bridge::Bridge, tests::card},
    testing::{FORMATS, random, tensor, values},
};

/// Of the largest magnitude, between a card and the processor.
const TOLERANCE: f32 = 4e-5;

#[track_caller]
fn same(what: &str, card: &[f32], processor: &[f32]) {
    assert_eq!(card.len(), processor.len(), "{what}: length");
    let size = processor.iter().fold(0.1_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in card.iter().zip(processor).enumerate() {
        assert!((a - b).abs() <= TOLERANCE * size, "{what}[{i}]: {a} on the card, {b} on the processor");
    }
}

/// A layer with a bias and two adapters, its weight stored some way.
fn layer(weight: impl Into<Weight>) -> Linear {
    let weight = weight.into();
    let [d_out, d_in] = <[usize; 2]>::try_from(weight.dims()).unwrap();
    let lora = |rank: usize, scale| Lora {
        a: tensor(&random(7, rank * d_in), (rank, d_in)),
        b: tensor(&random(8, rank * d_out), (d_out, rank)),
        a_slot: None,
        b_slot: None,
        scale,
    };
    let bias = Some(tensor(&random(9, d_out), d_out));
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
    let card = Bridge::new(&card);
    // Odd numbers of outputs, of numbers in a row, of rows; more rows than a run takes.
    for (rows, d_in, d_out) in [(1, 1, 1), (3, 7, 5), (2, 70, 33), (8, 256, 67), (19, 96, 130), (1, 1280, 9)] {
        let x = tensor(&random(2, rows * d_in), (rows, d_in));
        for weight in weights(d_out, d_in) {
            let what = format!("{rows}×{d_in}×{d_out} {}", weight.format());
            let linear = layer(weight.clone());
            let of = |kernels: &dyn Kernels| kernels.linear_rowwise(&x, &linear, Generating::Decode).unwrap();
            same(&what, &values(&of(&card)), &values(&of(&Cpu::default())));
            let head = Head { weight: &weight, options: HeadOptions { scale: 0.7, softcap: Some(2.0) } };
            let of = |kernels: &dyn Kernels| kernels.logits(&x, head).unwrap();
            same(&format!("{what}, logits"), &values(&of(&card)), &values(&of(&Cpu::default())));
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_others() {
    const IN: usize = 512;
    const OUT: usize = 70;
    let Some(card) = card(CardOptions::default()) else { return };
    let card = Bridge::new(&card);
    let x = tensor(&random(3, 21 * IN), (21, IN));
    for weight in weights(OUT, IN) {
        let format = weight.format();
        let linear = layer(weight);
        for stage in [Generating::Prefill, Generating::Decode] {
            let of = |x: &Tensor| values(&card.linear_rowwise(x, &linear, stage).unwrap());
            let all = of(&x);
            for (first, rows) in [(0, 1), (20, 1), (3, 2), (5, 9), (1, 20)] {
                let some = of(&x.rows(first, rows).unwrap());
                assert!(some == all[first * OUT..(first + rows) * OUT], "{format} {stage:?} {first} {rows}");
            }
        }
    }
}
