//! How fast the kernels are at the shapes of a small language model (d = 576, 9 heads over 3 key heads, feed-forward
//! 1536, vocabulary 49152), against the plain matrix product that is inside each of them.
//!
//! `cargo bench --bench kernels`. Throughput is in elements = multiplications, so 1 Gelem/s is 2 GFLOP/s.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first error")]

use std::{hint::black_box, time::Duration};

use candle_core::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nudge::kernels::{
    Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, DType, Generating, Gradients, Head, HeadOptions,
    HeadWant, InputGradient, Layout, Linear, Lora, NormOptions, Place, Qkv, RmsNorm, Segment, Slot, Tensor, Weight,
    cpu,
};

const WIDTH: usize = 576;
const FEED: usize = 1536;
const VOCABULARY: usize = 49152;
const TOKENS: usize = 2048;

fn random(rows: usize, cols: usize) -> Tensor {
    candle_core::Tensor::randn(0.0_f32, 0.5, (rows, cols), &Device::Cpu).unwrap().into()
}

fn group<'a>(
    c: &'a mut Criterion,
    name: &str,
    multiplications: usize,
) -> criterion::BenchmarkGroup<'a, criterion::measurement::WallTime> {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(multiplications as u64)).sample_size(10);
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    group
}

/// The product alone: what the others are compared with.
fn plain(c: &mut Criterion) {
    let (x, w) = (random(TOKENS, WIDTH), random(FEED, WIDTH));
    let kernels = cpu();
    group(c, "plain product 2048x576x1536", TOKENS * WIDTH * FEED).bench_function("forward", |b| {
        b.iter(|| black_box(kernels.linear(&x, &Linear::frozen(w.clone())).unwrap()));
    });
}

/// Linear layers of generation: prompts, and a step of 1 and of 8 answers.
fn generation(c: &mut Criterion) {
    let kernels = cpu();
    let layer = Linear::frozen(random(FEED, WIDTH));
    let all = [("prefill", Generating::Prefill, [16, 64, 1000]), ("decode", Generating::Decode, [1, 8, 64])];
    for (name, stage, sizes) in all {
        for rows in sizes {
            let x = random(rows, WIDTH);
            let name = format!("{name} {rows}x576x1536");
            group(c, &name, rows * WIDTH * FEED).bench_function("forward", |b| {
                b.iter(|| black_box(kernels.linear_rowwise(&x, &layer, stage).unwrap()));
            });
        }
    }
}

fn linear(c: &mut Criterion) {
    let kernels = cpu();
    for (name, d_in, d_out) in [("up 576->1536", WIDTH, FEED), ("down 1536->576", FEED, WIDTH)] {
        let rank = 16;
        let mut layer = Linear::frozen(random(d_out, d_in));
        let slot = |offset, len| Some(Slot { offset, len });
        layer.loras.push(Lora {
            a: random(rank, d_in),
            b: random(d_out, rank),
            a_slot: slot(0, rank * d_in),
            b_slot: slot(rank * d_in, rank * d_out),
            scale: 2.0,
        });
        let mut grads = Gradients::new(rank * (d_in + d_out), &Place::CPU).unwrap();
        let (x, dy) = (random(TOKENS, d_in), random(TOKENS, d_out));
        let (_, saved) = kernels.linear(&x, &layer).unwrap();
        let mut group = group(c, &format!("linear + LoRA {name}"), TOKENS * WIDTH * FEED);
        group.bench_function("forward", |b| {
            b.iter(|| black_box(kernels.linear(&x, &layer).unwrap()));
        });
        group.bench_function("backward", |b| {
            b.iter(|| {
                let input = InputGradient::Fresh;
                black_box(kernels.linear_backward(&x, &saved, &dy, &layer, input, &mut grads).unwrap())
            });
        });
    }
}

fn attention(c: &mut Criterion) {
    let kernels = cpu();
    let shape = AttentionShape { heads: 9, kv_heads: 3, head_dim: 64, scale: 0.125, softcap: None, window: None };
    let pair = |start: usize, prompt: usize, answer: usize| {
        let prefix = start..start + prompt;
        [
            Segment { start, len: prompt, prefix: 0..0 },
            Segment { start: start + prompt, len: answer, prefix: prefix.clone() },
            Segment { start: start + prompt + answer, len: answer, prefix },
        ]
    };
    let layouts = [
        ("8 pairs of 128 + 2 x 64", (0..8).flat_map(|i| pair(i * 256, 128, 64)).collect::<Vec<_>>()),
        ("1 pair of 1024 + 2 x 512", pair(0, 1024, 512).to_vec()),
    ];
    for (name, segments) in layouts {
        let layout = Layout::new(segments).unwrap();
        let visible: usize = layout.positions().iter().map(|&position| position as usize + 1).sum();
        let width = |heads: usize| heads * shape.head_dim;
        let (q, k, v) = (random(TOKENS, width(9)), random(TOKENS, width(3)), random(TOKENS, width(3)));
        let d_o = random(TOKENS, width(9));
        let qkv = Qkv { q: &q, k: &k, v: &v };
        let (o, lse) = kernels.attention(qkv, &layout, &shape).unwrap();
        let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
        group(c, &format!("attention {name}"), 2 * visible * width(9)).bench_function("forward", |b| {
            b.iter(|| black_box(kernels.attention(qkv, &layout, &shape).unwrap()));
        });
        group(c, &format!("attention {name}"), 5 * visible * width(9)).bench_function("backward", |b| {
            b.iter(|| black_box(kernels.attention_backward(qkv, outcome, &layout, &shape).unwrap()));
        });
    }
}

fn head(c: &mut Criterion) {
    let kernels = cpu();
    let answers = 512;
    let (h, w) = (random(answers, WIDTH), Weight::from(random(VOCABULARY, WIDTH)));
    let targets: Vec<u32> = (0..answers as u32).map(|i| i * 91).collect();
    let output = Head { weight: &w, options: HeadOptions::default() };
    for (name, want, products) in [("log-probs", HeadWant::LogProbs, 1), ("with u", HeadWant::WithU, 2)] {
        group(c, "head 512 x 49152", products * answers * WIDTH * VOCABULARY).bench_function(name, |b| {
            b.iter(|| black_box(kernels.head(&h, output, &targets, want).unwrap()));
        });
    }
}

/// The operations that only walk over memory; throughput in floats of their first operand.
fn elementwise(c: &mut Criterion) {
    let kernels = cpu();
    let (gate, up) = (random(TOKENS, FEED), random(TOKENS, FEED));
    let mut wide = group(c, "gated 2048x1536", TOKENS * FEED);
    wide.bench_function("forward", |b| {
        b.iter(|| black_box(kernels.gated(&gate, &up, Activation::Silu).unwrap()));
    });
    wide.bench_function("backward", |b| {
        b.iter(|| black_box(kernels.gated_backward(&gate, &up, &gate, Activation::Silu).unwrap()));
    });
    wide.finish();

    let (x, w) = (random(TOKENS, WIDTH), Tensor::from_vec(vec![1.0_f32; WIDTH], WIDTH, &Place::CPU).unwrap());
    let norm = RmsNorm { weight: &w, slot: None, options: NormOptions { eps: 1e-5, plus_one: false } };
    let (_, inv_rms) = kernels.rms_norm(&x, &norm).unwrap();
    let mut grads = Gradients::new(1 << 20, &Place::CPU).unwrap();
    let mut narrow = group(c, "rms norm 2048x576", TOKENS * WIDTH);
    narrow.bench_function("forward", |b| {
        b.iter(|| black_box(kernels.rms_norm(&x, &norm).unwrap()));
    });
    narrow.bench_function("backward", |b| {
        b.iter(|| {
            let input = InputGradient::Fresh;
            black_box(kernels.rms_norm_backward(&x, &norm, &inv_rms, &x, input, &mut grads).unwrap())
        });
    });
    narrow.finish();

    let flat = || Tensor::zeros(1 << 20, DType::F32, &Place::CPU).unwrap();
    let (values, m, v) = (flat(), flat(), flat());
    let step = AdamWStep {
        learning_rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        step: 1,
        gradient_scale: 1.0,
    };
    let all = Slot { offset: 0, len: 1 << 20 };
    group(c, "AdamW 1 Mi parameters", 1 << 20).bench_function("step", |b| {
        let buffers = AdamWBuffers { values: &values, gradients: &grads, m: &m, v: &v };
        b.iter(|| kernels.adamw(buffers, all, &step).unwrap());
    });
    group(c, "norm of 1 Mi gradients", 1 << 20).bench_function("step", |b| b.iter(|| grads.norm_squared().unwrap()));
}

/// A small model: what a call costs when there is little to do.
fn small(c: &mut Criterion) {
    let kernels = cpu();
    let (tokens, width) = (512, 160);
    let (x, layer) = (random(tokens, width), Linear::frozen(random(width, width)));
    group(c, "small linear 512x160x160", tokens * width * width).bench_function("forward", |b| {
        b.iter(|| black_box(kernels.linear(&x, &layer).unwrap()));
    });
    let shape = AttentionShape { heads: 4, kv_heads: 2, head_dim: 40, scale: 0.125, softcap: None, window: None };
    let segment = |start, len, prefix| Segment { start, len, prefix };
    let pair =
        |at: usize| [segment(at, 24, 0..0), segment(at + 24, 20, at..at + 24), segment(at + 44, 20, at..at + 24)];
    let layout = Layout::new((0..8).flat_map(|i| pair(i * 64)).collect()).unwrap();
    let visible: usize = layout.positions().iter().map(|&position| position as usize + 1).sum();
    let (k, v) = (random(tokens, 80), random(tokens, 80));
    let qkv = Qkv { q: &x, k: &k, v: &v };
    let (o, lse) = kernels.attention(qkv, &layout, &shape).unwrap();
    let outcome = AttentionOut { o: &o, lse: &lse, d_o: &x };
    group(c, "small attention", 2 * visible * width).bench_function("forward", |b| {
        b.iter(|| black_box(kernels.attention(qkv, &layout, &shape).unwrap()));
    });
    group(c, "small attention", 5 * visible * width).bench_function("backward", |b| {
        b.iter(|| black_box(kernels.attention_backward(qkv, outcome, &layout, &shape).unwrap()));
    });
}

criterion_group!(benches, plain, linear, generation, attention, head, elementwise, small);
criterion_main!(benches);
