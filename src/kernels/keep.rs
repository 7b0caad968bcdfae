//! Activations that wait for the backward in half of their bytes: rounded to bf16, as the factors of the products are.
#![expect(unsafe_code, reason = "results are written into buffers that hold nothing yet")]

use std::mem::MaybeUninit;

use half::bf16;

use super::{
    Result, Tensor, access,
    buffer::Fresh,
    parallel,
    simd::{bf16_bits, from_bf16_bits, multiversion},
};

/// `x` rounded to bf16.
pub(super) fn narrow(x: &Tensor) -> Result<Tensor> {
    let values = access::read("keep", "x", x)?;
    let mut kept = Fresh::new(values.len());
    parallel::chunks(&mut kept.uninit()[..values.len()], parallel::PIECE, |piece, kept| {
        narrow_to(kept, &values[piece * parallel::PIECE..]);
    });
    // SAFETY: every element has been written.
    unsafe { kept.tensor(x.dims()) }
}

/// What [`narrow`] gave, in f32.
pub(super) fn widen(kept: &Tensor) -> Result<Tensor> {
    let values = access::read_as::<bf16>("recall", "what was kept", kept)?;
    let mut x = Fresh::new(values.len());
    parallel::chunks(&mut x.uninit()[..values.len()], parallel::PIECE, |piece, x| {
        widen_to(x, &values[piece * parallel::PIECE..]);
    });
    // SAFETY: every element has been written.
    unsafe { x.tensor(kept.dims()) }
}

multiversion! {
    fn narrow_to(to: &mut [MaybeUninit<bf16>], from: &[f32]) {
        let _ = FMA;
        for (to, from) in to.iter_mut().zip(from) {
            to.write(bf16::from_bits(bf16_bits(*from)));
        }
    }
}

multiversion! {
    fn widen_to(to: &mut [MaybeUninit<f32>], from: &[bf16]) {
        let _ = FMA;
        for (to, from) in to.iter_mut().zip(from) {
            to.write(from_bf16_bits(from.to_bits()));
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::testing::{random, tensor, values};

    #[test]
    fn what_is_recalled_is_what_candle_rounds_to() {
        for len in [1, 33, 100_003] {
            let x = tensor(&random(1, len), len);
            let kept = narrow(&x).unwrap();
            assert_eq!(kept.dtype(), DType::BF16);
            let rounded = x.to_dtype(DType::BF16).unwrap();
            let expected = values(&rounded.to_dtype(DType::F32).unwrap());
            assert_eq!(values(&widen(&kept).unwrap()), expected);
        }
    }
}
