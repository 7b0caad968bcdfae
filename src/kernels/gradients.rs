//! The flat gradient buffer.

use candle_core::DType;

use super::{Place, Result, Slot, Tensor, access, composed::flat, gpu, parallel, simd::multiversion};

/// The gradients of all trainable parameters in one f32 buffer on the device.
///
/// The processor's kernels change a range in place; the composed ones add a tensor to it. On the processor its own
/// operations run in parallel and their bits do not depend on the number of threads.
#[derive(Debug)]
pub struct Gradients {
    flat: Tensor,
}

const OPERATION: &str = "gradients";

impl Gradients {
    /// `len` zeros.
    pub fn new(len: usize, place: &Place) -> Result<Self> {
        Ok(Self { flat: Tensor::zeros(len, DType::F32, place)? })
    }

    /// The buffer.
    pub fn flat(&self) -> &Tensor {
        &self.flat
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.flat.elem_count()
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets every element to zero.
    pub fn zero(&mut self) -> Result<()> {
        match self.flat.place() {
            Place::Gpu(_) => return gpu::flat::zero(&self.flat),
            place if !place.is_cpu() => return flat::zero(self.flat.candle()?),
            Place::Candle(_) => {}
        }
        access::rewrite(OPERATION, "buffer", &self.flat, &[], |flat| {
            parallel::chunks(flat, parallel::PIECE, |_, piece| piece.fill(0.0));
        })
    }

    /// Σ g², summed in f64.
    pub fn norm_squared(&self) -> Result<f64> {
        match self.flat.place() {
            Place::Gpu(_) => return gpu::flat::norm_squared(&self.flat),
            place if !place.is_cpu() => return flat::norm_squared(self.flat.candle()?),
            Place::Candle(_) => {}
        }
        let flat = access::read(OPERATION, "buffer", &self.flat)?;
        let pieces = flat.len().div_ceil(parallel::PIECE);
        let sums = parallel::map(pieces, flat.len() < parallel::LIGHT, |i| {
            let end = flat.len().min((i + 1) * parallel::PIECE);
            sum_of_squares(&flat[i * parallel::PIECE..end])
        });
        Ok(sums.iter().sum())
    }

    /// Multiplies every element.
    pub fn scale(&mut self, factor: f32) -> Result<()> {
        match self.flat.place() {
            Place::Gpu(_) => return gpu::flat::scale(&self.flat, factor),
            place if !place.is_cpu() => return flat::scale(self.flat.candle()?, factor),
            Place::Candle(_) => {}
        }
        access::rewrite(OPERATION, "buffer", &self.flat, &[], |flat| {
            parallel::chunks(flat, parallel::PIECE, |_, piece| {
                multiply_all(piece, factor);
            });
        })
    }

    /// Whether there is neither NaN nor infinity.
    pub fn is_finite(&self) -> Result<bool> {
        self.flat.is_finite()
    }

    /// The same gradients there.
    #[cfg(test)]
    pub(super) fn to_place(&self, place: &Place) -> Result<Self> {
        Ok(Self { flat: self.flat.to_place(place)? })
    }

    /// A copy, for checkpoints and tests.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        self.flat.to_vec()
    }

    /// Adds a gradient to the range of its parameter, on any device.
    pub(super) fn add(&mut self, operation: &'static str, slot: Slot, gradient: &candle_core::Tensor) -> Result<()> {
        access::slot_range(operation, slot, gradient.elem_count(), self.len())?;
        flat::add(self.flat.candle()?, slot, gradient)
    }

    /// Adds the rows of `gradient[n, width]` to the rows `ids` of the matrix in `slot`, in their order, on any device.
    /// Every id is inside the matrix.
    pub(super) fn add_rows(
        &mut self,
        operation: &'static str,
        slot: Slot,
        ids: &[u32],
        gradient: &candle_core::Tensor,
    ) -> Result<()> {
        access::slot_range(operation, slot, slot.len, self.len())?;
        flat::add_rows(self.flat.candle()?, slot, ids, gradient)
    }

    /// Lets a kernel change the range of one parameter of `len` elements.
    pub(super) fn change<R>(
        &mut self,
        operation: &'static str,
        slot: Slot,
        len: usize,
        change: impl FnOnce(&mut [f32]) -> R,
    ) -> Result<R> {
        let range = access::slot_range(operation, slot, len, self.len())?;
        access::rewrite(operation, "gradients", &self.flat, &[], |flat| change(&mut flat[range]))
    }
}

impl Tensor {
    /// Whether its f32 numbers are all finite.
    pub fn is_finite(&self) -> Result<bool> {
        match self.place() {
            Place::Gpu(_) => return gpu::flat::is_finite(self),
            place if !place.is_cpu() => return flat::is_finite(self.candle()?),
            Place::Candle(_) => {}
        }
        let values = access::read(OPERATION, "buffer", self)?;
        let pieces = values.len().div_ceil(parallel::PIECE);
        let finite = parallel::map(pieces, values.len() < parallel::LIGHT, |i| {
            let end = values.len().min((i + 1) * parallel::PIECE);
            all_finite(&values[i * parallel::PIECE..end])
        });
        Ok(finite.into_iter().all(|finite| finite))
    }
}

multiversion! {
    fn sum_of_squares(x: &[f32]) -> f64 {
        let _ = FMA;
        let mut lanes = [0.0_f64; 16];
        let (whole, rest) = x.as_chunks::<16>();
        for x in whole {
            for i in 0..16 {
                lanes[i] += f64::from(x[i]) * f64::from(x[i]);
            }
        }
        lanes.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
    }
}

multiversion! {
    fn multiply_all(x: &mut [f32], factor: f32) {
        let _ = FMA;
        for x in x.iter_mut() {
*x *= factor;
}
    }
}

multiversion! {
    /// No early end, so that it vectorises: the exponent of NaN and infinity is all ones.
    fn all_finite(x: &[f32]) -> bool {
        let _ = FMA;
        x.iter().fold(0_u32, |bad, x| bad | u32::from(x.to_bits() & 0x7f80_0000 == 0x7f80_0000)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(values: &[f32]) -> Gradients {
        let mut grads = Gradients::new(values.len(), &Place::CPU).unwrap();
        let slot = Slot { offset: 0, len: values.len() };
        grads
            .change("test", slot, values.len(), |flat| {
                flat.copy_from_slice(values);
            })
            .unwrap();
        grads
    }

    #[test]
    fn norm_scale_and_zero_on_sizes_around_the_pieces() {
        for len in [1, 15, 17, parallel::PIECE - 1, 3 * parallel::PIECE + 5] {
            let values: Vec<f32> = (0..len).map(|i| (i % 7) as f32 - 3.0).collect();
            let mut grads = filled(&values);
            let plain: f64 = values.iter().map(|&x| f64::from(x).powi(2)).sum();
            assert_eq!(grads.norm_squared().unwrap(), plain);
            grads.scale(0.5).unwrap();
            assert_eq!(grads.to_vec().unwrap(), values.iter().map(|x| x * 0.5).collect::<Vec<_>>());
            grads.zero().unwrap();
            assert_eq!(grads.norm_squared().unwrap(), 0.0);
        }
    }

    #[test]
    fn one_bad_element_is_found_wherever_it_is() {
        let len = 2 * parallel::PIECE + 3;
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, parallel::PIECE, len - 1] {
                let mut values = vec![1.0; len];
                assert!(filled(&values).is_finite().unwrap());
                values[at] = bad;
                assert!(!filled(&values).is_finite().unwrap());
            }
        }
    }

    #[test]
    fn a_slot_of_the_wrong_size_is_an_error() {
        let mut grads = Gradients::new(10, &Place::CPU).unwrap();
        assert!(grads.change("test", Slot { offset: 5, len: 6 }, 6, |_| ()).is_err());
        assert!(grads.change("test", Slot { offset: 0, len: 6 }, 7, |_| ()).is_err());
        assert!(grads.change("test", Slot { offset: 4, len: 6 }, 6, |_| ()).is_ok());
    }
}
