//! Matrices in blocks against their widened twins, through every operation that takes one.

use super::*;
use crate::{
    BlockFormat, Generating, Gradients, Head, HeadOptions, HeadWant, InputGradient, Linear, Lora, cpu,
    testing::{assert_close, assert_same_bits, random, slot, tensor, values},
};

/// A matrix of several panels, in blocks and widened.
fn twins(format: BlockFormat, rows: usize, columns: usize) -> (Weight, Weight) {
    let floats: Vec<f32> = random(2, rows * columns).iter().map(|&x| x as f32).collect();
    let weight = Weight::from(Quantized::quantize(format, &floats, rows, columns).unwrap());
    let widened = weight.widened().unwrap().into();
    (weight, widened)
}

fn doubles(tensor: &Tensor) -> Vec<f64> {
    values(tensor).into_iter().map(f64::from).collect()
}

const FORMATS: [BlockFormat; 3] = [BlockFormat::Q8_0, BlockFormat::Q4K, BlockFormat::Q6K];

fn layer(weight: Weight, d_in: usize, d_out: usize) -> Linear {
    let rank = 3;
    Linear {
        bias: Some(tensor(&random(3, d_out), d_out)),
        loras: vec![Lora {
            a: tensor(&random(4, rank * d_in), (rank, d_in)),
            b: tensor(&random(5, d_out * rank), (d_out, rank)),
            a_slot: Some(slot(0, rank * d_in)),
            b_slot: Some(slot(rank * d_in, rank * d_out)),
            scale: 0.5,
        }],
        ..Linear::frozen(weight)
    }
}

#[test]
fn the_linear_layer_forward_and_backward() {
    let kernels = cpu();
    let (tokens, d_in, d_out) = (37, 512, 2 * PANEL / 512 + 77);
    let x = tensor(&random(1, tokens * d_in), (tokens, d_in));
    let dy = tensor(&random(6, tokens * d_out), (tokens, d_out));
    for format in FORMATS {
        let (blocks, widened) = twins(format, d_out, d_in);
        let run = |weight: Weight, into: Option<f64>| {
            let layer = layer(weight, d_in, d_out);
            let (y, saved) = kernels.linear(&x, &layer).unwrap();
            let mut grads = Gradients::new(3 * (d_in + d_out), &Place::CPU).unwrap();
            let input = into.map_or(InputGradient::Fresh, |value| {
                InputGradient::AddTo(tensor(&vec![value; tokens * d_in], (tokens, d_in)))
            });
            let dx = kernels.linear_backward(&x, &saved, &dy, &layer, input, &mut grads).unwrap().unwrap();
            (y, dx, grads.to_vec().unwrap())
        };
        let (y, dx, grads) = run(blocks.clone(), None);
        let (y_twin, dx_twin, grads_twin) = run(widened.clone(), None);
        assert_close("y", &values(&y), &doubles(&y_twin), 1e-6);
        assert_close("dx", &values(&dx), &doubles(&dx_twin), 1e-6);
        assert_eq!(grads, grads_twin, "adapters do not read the weight");
        let (_, dx, _) = run(blocks.clone(), Some(2.0));
        let (_, dx_twin, _) = run(widened, Some(2.0));
        assert_close("dx added", &values(&dx), &doubles(&dx_twin), 1e-6);
        if format == BlockFormat::Q4K {
            assert_same_bits(|| {
                let (y, dx, grads) = run(blocks.clone(), None);
                vec![values(&y), values(&dx), grads]
            });
        }
    }
}

#[test]
fn generation_gives_the_bits_of_the_widened_matrix() {
    let kernels = cpu();
    let (d_in, d_out) = (256, 1001);
    for format in FORMATS {
        let (blocks, widened) = twins(format, d_out, d_in);
        for tokens in [1, 3, 40] {
            let x = tensor(&random(1, tokens * d_in), (tokens, d_in));
            let of = |weight: &Weight| {
                let layer = layer(weight.clone(), d_in, d_out);
                let stages = [Generating::Prefill, Generating::Decode];
                let [prefill, decode] = stages.map(|stage| kernels.linear_rowwise(&x, &layer, stage).unwrap());
                let options = HeadOptions { scale: 0.5, softcap: Some(20.0) };
                let logits = kernels.logits(&x, Head { weight, options }).unwrap();
                [prefill, decode, logits].map(|y| values(&y))
            };
            assert_eq!(of(&blocks), of(&widened));
            if tokens == 3 {
                assert_same_bits(|| of(&blocks).to_vec());
            }
        }
    }
}

#[test]
fn the_head_and_the_embedding() {
    let kernels = cpu();
    let (answers, width, vocabulary) = (19, 256, 2500);
    let h = tensor(&random(1, answers * width), (answers, width));
    let targets: Vec<u32> = (0..answers as u32).map(|i| i * 131 % 2500).collect();
    let options = HeadOptions::default();
    for format in FORMATS {
        let (blocks, widened) = twins(format, vocabulary, width);
        let head = |weight: &Weight| kernels.head(&h, Head { weight, options }, &targets, HeadWant::WithU).unwrap();
        let (own, twin) = (head(&blocks), head(&widened));
        assert_eq!((own.log_probs, own.lse), (twin.log_probs, twin.lse));
        assert_eq!(values(&own.u.unwrap()), values(&twin.u.unwrap()));
        let embed = |weight: &Weight| values(&kernels.embed(&targets, weight, 1.5).unwrap());
        assert_eq!(embed(&blocks), embed(&widened));
        assert!(kernels.embed(&[2500], &blocks, 1.0).is_err());
    }
}

#[test]
fn a_matrix_of_the_wrong_width_is_an_error() {
    let (blocks, _) = twins(BlockFormat::Q8_0, 4, 64);
    let x = tensor(&random(1, 32), (1, 32));
    let error = cpu().linear(&x, &Linear::frozen(blocks)).unwrap_err();
    assert!(error.to_string().contains("[4, 64]"), "{error}");
}
