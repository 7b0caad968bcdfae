//! What the tests of all kernels share: random operands, comparison with a plain twin in f64, finite differences, and
//! the same bits with any number of threads.

use candle_core::DType;
use rand::{RngExt as _, SeedableRng as _};

pub(super) use super::implementation::Implementation;
use super::{BlockFormat, Gradients, Place, Qkv, Slot, Tensor, Weight};

/// Blocks that matrices can be rounded to.
pub(super) const FORMATS: [BlockFormat; 9] = [
    BlockFormat::Q8_0,
    BlockFormat::Q4_0,
    BlockFormat::Q4_1,
    BlockFormat::Q5_0,
    BlockFormat::Q5_1,
    BlockFormat::Q2K,
    BlockFormat::Q4K,
    BlockFormat::Q5K,
    BlockFormat::Q6K,
];

/// Operands as f64, so that a twin can be written in straight loops.
pub(super) fn random(seed: u64, len: usize) -> Vec<f64> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // Rounded to f32 first: the kernel and the twin see the same numbers.
    (0..len).map(|_| f64::from(rng.random_range(-1.0_f32..1.0))).collect()
}

pub(super) fn tensor(values: &[f64], dims: impl Into<candle_core::Shape>) -> Tensor {
    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
    Tensor::from_vec(values, dims, &Place::CPU).unwrap()
}

pub(super) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_vec().unwrap()
}

pub(super) fn qkv<'a>(q: &'a Tensor, k: &'a Tensor, v: &'a Tensor) -> Qkv<'a> {
    Qkv { q, k, v }
}

pub(super) fn slot(offset: usize, len: usize) -> Slot {
    Slot { offset, len }
}

/// A gradient buffer that is not empty, so that adding is told from setting.
pub(super) fn gradients(len: usize) -> Gradients {
    let mut grads = Gradients::new(len, &Place::CPU).unwrap();
    let start = tensor(&random(99, len), len);
    grads.add("test", slot(0, len), start.candle().unwrap()).unwrap();
    grads
}

impl Implementation {
    pub(super) fn tensor(&self, values: &[f64], dims: impl Into<candle_core::Shape>) -> Tensor {
        tensor(values, dims).to_place(&self.place).unwrap()
    }

    pub(super) fn weight(&self, weight: &Weight) -> Weight {
        weight.clone().placed(&self.place, DType::F32).unwrap()
    }

    /// Those of [`gradients`], there.
    pub(super) fn gradients(&self, len: usize) -> Gradients {
        gradients(len).to_place(&self.place).unwrap()
    }
}

/// Two implementations give the same: every element within `tolerance` of the largest magnitude. Operands are around 1,
/// so what cancels to nothing is measured against 0.1.
#[track_caller]
pub(super) fn assert_near(what: &str, other: &[f32], own: &[f32], tolerance: f32) {
    assert_eq!(other.len(), own.len(), "{what}: length");
    let size = own.iter().fold(0.1_f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in other.iter().zip(own).enumerate() {
        assert!((a - b).abs() <= tolerance * size, "{what}[{i}]: {a}, and {b} by hand (largest magnitude {size})");
    }
}

/// Every element within `tolerance` of the largest magnitude in `expected`.
#[track_caller]
pub(super) fn assert_close(what: &str, actual: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    let size = expected.iter().fold(1e-3_f64, |m, x| m.max(x.abs()));
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(a) - e).abs() <= tolerance * size,
            "{what}[{i}]: {a} instead of {e} (largest magnitude {size})"
        );
    }
}

/// Checks `gradient` of `f` at `x` by central differences: along single components and along random directions.
#[track_caller]
pub(super) fn assert_gradient(what: &str, x: &[f64], gradient: &[f32], f: impl Fn(&[f64]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{what}: length");
    let size = gradient.iter().fold(1e-2_f64, |m, &g| m.max(f64::from(g).abs()));
    let along = |direction: &dyn Fn(usize) -> f64| {
        let step = 1e-5;
        let shifted = |sign: f64| -> f64 {
            let at: Vec<f64> = x.iter().enumerate().map(|(i, x)| x + sign * step * direction(i)).collect();
            f(&at)
        };
        let difference = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
        let analytic: f64 = gradient.iter().enumerate().map(|(i, &g)| f64::from(g) * direction(i)).sum();
        (difference, analytic)
    };
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(x.len() as u64);
    for _ in 0..x.len().min(10) {
        let one = rng.random_range(0..x.len());
        let (difference, analytic) = along(&|i| f64::from(u8::from(i == one)));
        assert!(
            (difference - analytic).abs() <= 2e-5 * size,
            "{what}: component {one} is {analytic}, finite difference {difference} (largest {size})"
        );
    }
    for seed in 0..2 {
        let direction = random(seed, x.len());
        let (difference, analytic) = along(&|i| direction[i]);
        let tolerance = 2e-5 * size * (x.len() as f64).sqrt();
        assert!(
            (difference - analytic).abs() <= tolerance,
            "{what}: along direction {seed} {analytic}, finite difference {difference} (largest component {size})"
        );
    }
}

/// The results of `run` are the same bits in pools of one, two and three threads.
#[track_caller]
pub(super) fn assert_same_bits(run: impl Fn() -> Vec<Vec<f32>> + Sync + Send) {
    let bits = |threads: usize| -> Vec<Vec<u32>> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(&run).iter().map(|part| part.iter().map(|x| x.to_bits()).collect()).collect()
    };
    let one = bits(1);
    assert!(one == bits(2) && one == bits(3), "the bits depend on the number of threads");
}

/// `Σ a·b`.
pub(super) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
