//! What the operations do with numbers on a device, whatever they compute.

use candle_core::{self as candle, DType, Device};

use crate::{InputGradient, Result, Tensor, access};

/// In f32, for whatever must not lose digits.
pub fn precise(x: &candle::Tensor) -> Result<candle::Tensor> {
    Ok(x.to_dtype(DType::F32)?)
}

/// Row numbers on the device.
pub fn indices(rows: &[u32], device: &Device) -> Result<candle::Tensor> {
    Ok(candle::Tensor::new(rows, device)?)
}

/// A column of one number a row, `[rows, 1]`, on the device.
pub fn column(values: &[f32], device: &Device) -> Result<candle::Tensor> {
    Ok(candle::Tensor::from_slice(values, (values.len(), 1), device)?)
}

/// What an operation does with the gradient of its input, once it is computed.
pub fn deliver(
    operation: &'static str,
    input: InputGradient,
    dx: impl FnOnce() -> Result<candle::Tensor>,
) -> Result<Option<Tensor>> {
    match input {
        InputGradient::Skip => Ok(None),
        InputGradient::Fresh => Ok(Some(dx()?.into())),
        InputGradient::AddTo(sum) => {
            let dx = dx()?;
            access::expect_dims(operation, "sum of input gradients", sum.dims(), dx.dims())?;
            Ok(Some((sum.candle()? + dx)?.into()))
        }
    }
}
