//! Inverted dropout. The mask is never stored: it is a function of a seed and the element's place, made again in the
//! backward, and every device drops the same elements.

use rayon::prelude::*;

use super::{Place, Result, Tensor};

/// An element is zero with a given probability, else divided by what is left of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mask {
    /// Where the random bits begin.
    pub seed: u64,
    /// Elements whose 32 random bits are below this are dropped.
    pub threshold: u32,
    /// Factor of the others.
    pub keep: f32,
}

impl Mask {
    pub fn new(probability: f64, seed: u64) -> Self {
        let threshold = (probability * f64::from(u32::MAX)) as u32;
        Self { seed, threshold, keep: (1.0 / (1.0 - probability)) as f32 }
    }

    /// The factor of each of `len` elements: 0 or `keep`.
    pub(super) fn factors(&self, len: usize) -> Vec<f32> {
        let mut factors = vec![1.0; len];
        self.scale(&mut factors);
        factors
    }

    fn scale(&self, values: &mut [f32]) {
        const PIECE: usize = 1 << 14;
        values.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
            for (i, value) in values.iter_mut().enumerate() {
                let place = (piece * PIECE + i) as u64;
                *value = if self.drops(place) { 0.0 } else { *value * self.keep };
            }
        });
    }

    /// SplitMix64 at a counter: any element's bits without those before it.
    fn drops(&self, place: u64) -> bool {
        let mut z = self.seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) as u32) < self.threshold
    }
}

/// `x` under the mask.
pub(super) fn apply(x: &Tensor, mask: &Mask) -> Result<Tensor> {
    let mut values = x.to_vec::<f32>()?;
    mask.scale(&mut values);
    Tensor::from_vec(values, x.dims(), &Place::CPU)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_repeats_from_its_seed() {
        let factors = Mask::new(0.25, 3).factors(100_000);
        let zeros = factors.iter().filter(|&&x| x == 0.0).count() as f64 / factors.len() as f64;
        assert!((zeros - 0.25).abs() < 0.01, "{zeros}");
        assert!(factors.iter().all(|&x| x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(factors, Mask::new(0.25, 3).factors(100_000));
        assert_ne!(factors, Mask::new(0.25, 4).factors(100_000));
        let twos = Tensor::from_vec(vec![2.0_f32; 100_000], (100, 1000), &Place::CPU).unwrap();
        let dropped = apply(&twos, &Mask::new(0.25, 3)).unwrap().to_vec::<f32>().unwrap();
        assert!(dropped.iter().zip(&factors).all(|(x, factor)| *x == 2.0 * factor));
    }
}
