//! Products in bf16 against straight loops, and their rounding against its bound.

use half::bf16;

use super::*;
use crate::testing::{assert_close, assert_same_bits, random};

/// Shapes around the edges of tiles, blocks and pairs.
const SHAPES: [(usize, usize, usize); 7] =
    [(1, 1, 1), (5, 7, 3), (12, 32, 384), (13, 33, 385), (25, 70, 769), (770, 40, 9), (64, 128, 400)];

/// Values that bf16 holds, so that the twin sees what the kernel sees.
fn exact(seed: u64, len: usize) -> (Vec<f32>, Vec<bf16>) {
    let narrow: Vec<bf16> = random(seed, len).into_iter().map(bf16::from_f64).collect();
    (narrow.iter().map(|x| x.to_f32()).collect(), narrow)
}

fn transposed<T: Copy>(x: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
}

/// Straight loops: `old + factor · a · b`, and the sum of magnitudes that bounds the rounding.
fn twin(a: &[f32], b: &[f32], (m, n, k): (usize, usize, usize), factor: f64, old: f64) -> Vec<f64> {
    let one = |i: usize| {
        let dot: f64 = (0..k).map(|p| f64::from(a[i / n * k + p]) * f64::from(b[p * n + i % n])).sum();
        old + factor * dot
    };
    (0..m * n).map(one).collect()
}

/// All that round, of those that this processor has.
fn rounding() -> impl Iterator<Item = Multiplier> {
    for lacking in Multiplier::ALL.into_iter().filter(|by| !by.is_present()) {
        eprintln!("{} is not tried: this processor lacks it", lacking.name());
    }
    Multiplier::present().filter(|by| by.rounds())
}

#[test]
fn equals_the_plain_twin_in_every_orientation_by_every_multiplier() {
    for shape @ (m, n, k) in SHAPES {
        let ((a, narrow_a), (b, narrow_b)) = (exact(1, m * k), exact(2, k * n));
        let (a_t, b_t) = (transposed(&a, m, k), transposed(&narrow_b, k, n));
        for by in rounding() {
            for add in [false, true] {
                let expected = twin(&a, &b, shape, 0.5, if add { 3.0 } else { 0.0 });
                let check = |what: &str, run: &dyn Fn(Target<'_>)| {
                    let mut c = vec![3.0; m * n];
                    run(Target::new(&mut c, m, n));
                    // f32 sums of exact products.
                    let tolerance = 1e-6 * (k as f64).sqrt();
                    assert_close(&format!("{what} {shape:?} by {}", by.name()), &c, &expected, tolerance);
                };
                let (left, right) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                check("f32·f32", &|c| {
                    product(left, right, 0.5, c, add, by);
                });
                let right = Matrix::new(&b_t, n, k).t();
                check("f32·bf16ᵀ", &|c| {
                    product(left, right, 0.5, c, add, by);
                });
                let left = Matrix::new(&a_t, k, m).t();
                let right = Matrix::new(&narrow_b, k, n);
                check("f32ᵀ·bf16", &|c| {
                    product(left, right, 0.5, c, add, by);
                });
                let left = Matrix::new(&narrow_a, m, k);
                check("bf16·bf16", &|c| {
                    product(left, right, 0.5, c, add, by);
                });
            }
        }
    }
}

/// Deeper than what is packed at once, and longer than a block on either side.
#[test]
fn blocks_of_a_large_product_come_together() {
    let loops = Multiplier::Loops; // too slow for this without optimisation
    for by in rounding().filter(|by| *by != loops) {
        for shape @ (m, n, k) in [(1030, 3, 4100), (3, 1030, 4100)] {
            let ((a, _), (b, narrow)) = (exact(1, m * k), exact(2, k * n));
            let mut c = vec![3.0; m * n];
            let target = Target::new(&mut c, m, n);
            product(Matrix::new(&a, m, k), Matrix::new(&narrow, k, n), 1.0, target, true, by);
            assert_close(by.name(), &c, &twin(&a, &b, shape, 1.0, 3.0), 1e-4);
        }
    }
}

/// Rounding costs each factor at most 2⁻⁸ of itself; of many terms of either sign far less than twice that remains.
#[test]
fn rounding_stays_within_its_bound() {
    let shape @ (m, n, k) = (37, 50, 500);
    let float = |seed, len| -> Vec<f32> { random(seed, len).iter().map(|&x| x as f32).collect() };
    let (a, b) = (float(1, m * k), float(2, k * n));
    let expected = twin(&a, &b, shape, 1.0, 0.0);
    let magnitude = |x: &[f32]| -> Vec<f32> { x.iter().map(|x| x.abs()).collect() };
    let bound = twin(&magnitude(&a), &magnitude(&b), shape, 1.0 / 256.0, 1e-5);
    for by in rounding() {
        let mut c = vec![0.0; m * n];
        product(Matrix::new(&a, m, k), Matrix::new(&b, k, n), 1.0, Target::new(&mut c, m, n), false, by);
        for ((c, expected), bound) in c.iter().zip(&expected).zip(&bound) {
            let off = (f64::from(*c) - expected).abs();
            assert!(off <= *bound, "{c} instead of {expected} ± {bound} by {}", by.name());
        }
    }
}

#[test]
fn rounds_as_the_format_says() {
    let ties = [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.0 - 1.0 / 256.0, f32::MAX, f32::INFINITY, f32::MIN_POSITIVE];
    // Packed in steps, where they fill one and where they do not.
    for len in [STEP, 6] {
        let line: Vec<f32> = ties.iter().copied().cycle().take(len).collect();
        let mut step = [Step::ZERO];
        f32::along(&line, len, 1, len, &mut step);
        let packed = step[0].0[..len / 2].iter().flat_map(|pair| [*pair as u16, (*pair >> 16) as u16]);
        assert!(packed.eq(line.iter().map(|x| bf16::from_f32(*x).to_bits())));
    }
    let mut step = [Step::ZERO];
    f32::along(&[f32::from_bits(0x7f80_0001)], 1, 1, 1, &mut step);
    assert!(bf16::from_bits(step[0].0[0] as u16).is_nan());
}

#[test]
fn nothing_to_sum_is_zero_and_rows_may_lie_apart() {
    for by in rounding() {
        let mut c = [MaybeUninit::new(7.0); 6];
        let target = Target::uninit_columns(&mut c, 2, 3, 1..3);
        product::<f32, f32>(Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 2), 1.0, target, false, by);
        // SAFETY: it held numbers before.
        let c = c.map(|place| unsafe { place.assume_init() });
        assert_eq!(c, [7.0, 0.0, 0.0, 7.0, 0.0, 0.0]);
    }
}

#[test]
fn same_bits_with_any_number_of_threads() {
    let (m, n, k) = (600, 150, 200);
    let ((a, _), (_, b)) = (exact(1, m * k), exact(2, k * n));
    for by in rounding() {
        assert_same_bits(|| {
            let mut c = vec![0.25; m * n];
            let target = Target::new(&mut c, m, n);
            product(Matrix::new(&a, m, k), Matrix::new(&b, n, k).t(), 1.0, target, true, by);
            vec![c]
        });
    }
}
