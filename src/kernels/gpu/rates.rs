//! How fast a card is, and the processor beside it, at the kinds of product that a model is made of: a card that is
//! quick at one of them may be slow at another.

use std::{sync::Arc, time::Instant};

use candle_core::DType;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Generating, Gradients, Head, HeadOptions, HeadWant, InputGradient, Kernels, Linear, Place, Result, cpu::Cpu,
    },
    Card,
    self_test::random,
};

/// Multiplications and additions a second, in GFLOP/s, of products as a model of half a billion parameters has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// A linear layer on the tokens of a row, there and back.
    pub tall: f64,
    /// Log-probs under a slice of the vocabulary, with their gradients.
    pub head: f64,
    /// A linear layer on the next token of a few answers.
    pub decode: f64,
}

/// Of the products of a step, answering a few prompts now and then included, how many are of each kind.
const SHARES: [f64; 3] = [0.84, 0.15, 0.01];

impl Rates {
    /// Of a whole step, GFLOP/s.
    pub fn of_step(&self) -> f64 {
        let seconds: f64 =
            SHARES.iter().zip([self.tall, self.head, self.decode]).map(|(share, rate)| share / rate).sum();
        1.0 / seconds
    }

    /// Each kind, beside another's.
    pub(crate) fn in_words(&self, other: &Self) -> String {
        let kinds =
            [("tall", self.tall, other.tall), ("head", self.head, other.head), ("decode", self.decode, other.decode)];
        let told = kinds.map(|(kind, own, other)| format!("{kind} {own:.0} to {other:.0}"));
        format!("{} GFLOP/s", told.join(", "))
    }
}

/// What the card does.
///
/// # Errors
/// What the driver said.
pub fn rates(card: &Arc<Card>) -> Result<Rates> {
    let kernels = super::kernels::Gpu { card: Arc::clone(card), keeps_bf16: false };
    rates_of(&kernels, &Place::Gpu(Arc::clone(card)))
}

/// The same of the processor, on the threads of the current pool.
pub fn processor_rates() -> Result<Rates> {
    rates_of(&Cpu::default(), &Place::CPU)
}

const TOKENS: usize = 512;
const WIDTH: usize = 896;
const WIDE: usize = 2432;
const ANSWERS: usize = 128;
const ENTRIES: usize = 4096;
const FEW: usize = 4;

fn rates_of(kernels: &dyn Kernels, place: &Place) -> Result<Rates> {
    let matrix = |seed, rows, columns| random(seed, &[rows, columns])?.to_place(place);
    let (x, dy) = (matrix(1, TOKENS, WIDTH)?, matrix(2, TOKENS, WIDE)?);
    let layer = Linear::frozen(matrix(3, WIDE, WIDTH)?);
    let tall = rate(place, 2 * TOKENS * WIDTH * WIDE, || {
        let (_, saved) = kernels.linear(&x, &layer)?;
        let mut none = Gradients::new(1, place)?;
        kernels.linear_backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut none).map(drop)
    })?;
    let (h, table) = (matrix(4, ANSWERS, WIDTH)?, matrix(5, ENTRIES, WIDTH)?.into());
    let targets: Vec<u32> = (0..ANSWERS as u32).collect();
    let head = rate(place, 2 * ANSWERS * WIDTH * ENTRIES, || {
        let head = Head { weight: &table, options: HeadOptions::default() };
        kernels.head(&h, head, &targets, HeadWant::WithU).map(drop)
    })?;
    let few = matrix(6, FEW, WIDTH)?;
    let stored = Linear::frozen(random(7, &[WIDE, WIDTH])?.to_dtype(DType::BF16)?.to_place(place)?);
    let decode =
        rate(place, FEW * WIDTH * WIDE, || kernels.linear_rowwise(&few, &stored, Generating::Decode).map(drop))?;
    Ok(Rates { tall, head, decode })
}

/// GFLOP/s of something that multiplies so often.
fn rate(place: &Place, products: usize, work: impl Fn() -> Result<()>) -> Result<f64> {
    let run = |times: usize| -> Result<f64> {
        let begin = Instant::now();
        for _ in 0..times {
            work()?;
        }
        place.synchronize()?;
        Ok(begin.elapsed().as_secs_f64() / times as f64)
    };
    // The first compiles, the second says how many fit into a fifth of a second.
    run(1)?;
    let times = (0.2 / run(1)?.max(1e-6)).clamp(1.0, 200.0) as usize;
    Ok(2.0 * products as f64 / run(times)?.max(1e-9) / 1e9)
}
