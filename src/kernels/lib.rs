//! The differentiable operations of a training step, each with its own backward.
//!
//! # Bird's-eye view
//!
//! [`Kernels`] is one trait: a forward, and a backward that is written by hand. candle's own autograd is not used: it
//! keeps gradients of frozen weights and frees no activation before the end. What crosses the trait is a [`Tensor`], a
//! handle of numbers on some [`Place`], or a plain value, so an implementation is free to live on any device. [`cpu()`]
//! is the hand-written one for the processor, [`composed()`] is made of candle's operations and runs on all that candle
//! serves.
//!
//! One operation a file: its types, its forward, its backward, and in its tests a *plain twin* (straight loops in
//! f64) that it must equal and whose finite differences its backward must equal.
//!
//! # Conventions
//!
//! - `T` tokens of one packed row (no batch axis, no padding: [`Layout`] says who sees whom), `d` model width,
//!   `A` answer tokens, `V` vocabulary. Every matrix is row-major and contiguous.
//! - Gradients of parameters are *added* to ranges ([`Slot`]) of one flat buffer ([`Gradients`]); gradients of
//!   activations are returned. A parameter without a slot is frozen and costs nothing in the backward.
//! - Trainable parameters are views into one flat f32 buffer, so that [`Kernels::adamw`] is one pass.
//! - A tensor taken *by value* may be changed in place and handed back: its storage is reused, so no one else may
//!   still need its old content. A tensor taken by reference is never changed.
//! - The same input gives the same bits with any number of threads: work is cut into fixed pieces and every float
//!   is summed in a fixed order. An exact resume rests on this.
//! - All work runs in the current rayon pool (`ThreadPool::install` chooses it); small work stays on the caller's
//!   thread. Call [`flush_denormals`] in the pool's start handler.

mod access;
mod adamw;
#[cfg(test)]
mod agreement;
mod attention;
mod buffer;
mod columns;
mod composed;
mod cpu;
pub mod device;
mod device_memory;
mod dropout;
mod embed;
mod error;
mod gated;
mod gemm;
pub mod gpu;
mod gradients;
mod head;
mod implementation;
mod input_gradient;
mod keep;
mod layout;
mod linear;
mod norm;
mod operations;
mod parallel;
mod place;
mod quantized;
mod rope;
mod rowwise;
mod simd;
mod slot;
mod tensor;
#[cfg(test)]
mod testing;
mod weight;

use std::sync::Arc;

pub use adamw::{AdamWBuffers, AdamWStep};
pub use attention::{AttentionOut, AttentionShape, CachedKeys, Qkv};
pub use candle_core::DType;
pub use cpu::flush_denormals;
pub use dropout::Mask;
pub use error::{KernelError, Result};
pub use gated::Activation;
pub use gemm::{Compute, Multiplier};
pub use gguf::BlockFormat;
pub use gradients::Gradients;
pub use head::{Head, HeadOptions, HeadOut, HeadPass, HeadWant};
pub use input_gradient::InputGradient;
pub use layout::{Layout, Segment};
pub use linear::{Linear, LinearSaved, Lora};
pub use norm::{NormOptions, RmsNorm};
pub use operations::Kernels;
pub use place::Place;
pub use quantized::{Bytes, Quantized};
pub use rope::RopeTable;
pub use rowwise::Generating;
pub use simd::processor;
pub use slot::Slot;
pub use tensor::Tensor;
pub use weight::Weight;

/// The implementation made of candle's operations, for any device; `activations` is f32 or bf16.
pub fn composed(activations: DType) -> Result<Arc<dyn Kernels>> {
    Ok(Arc::new(composed::Composed::new(activations)?))
}

/// The hand-written implementation for the processor, in f32.
pub fn cpu() -> Arc<dyn Kernels> {
    cpu_in(Compute::F32)
}

/// The same as `compute` says.
pub fn cpu_in(compute: Compute) -> Arc<dyn Kernels> {
    Arc::new(cpu::Cpu { compute })
}
