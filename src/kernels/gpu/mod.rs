//! Our own kernels for any graphics card, in WGSL over wgpu.
//!
//! A [`Card`] is a card in use: its memory ([`Piece`]s of buffers that are used again), its compiled shaders and the
//! batch of commands that is being recorded. An operation is a file in Rust beside its shader; it checks shapes, cuts
//! what is larger than one operand may be, and has the shader run. Everything is f32 but frozen weights, which stay as
//! they are stored and are widened a panel at a time just before a product.
//!
//! Sums are made in a fixed order and there are no atomic operations on floats, so the same card, driver and program
//! give the same bits. Between cards they differ in the last digits. Masks choose between values and never multiply,
//! because a shader may take infinity and NaN for impossible.

mod adamw;
mod attention;
mod blocks;
mod cached;
mod card;
mod columns;
mod commands;
mod driver;
mod dropout;
mod elementwise;
mod embed;
pub(crate) mod flat;
mod gated;
mod gemm;
mod head;
mod heaps;
mod keep;
mod kernels;
mod linear;
mod lists;
mod matvec;
mod memory;
mod norm;
mod pace;
mod pool;
mod profile;
mod rates;
mod recording;
mod rope;
mod self_test;
mod shader;
mod stored;
#[cfg(test)]
pub(crate) mod tests;
mod validation;
mod weight;

pub use attention::key_gradient_parts;
pub use blocks::Blocks;
pub use card::Card;
pub use driver::{CardInfo, CardOptions, cards};
pub use gemm::split_bytes;
pub use head::{ROWS as HEAD_ROWS, SLICE as HEAD_SLICE};
pub use heaps::CardMemory;
pub(crate) use kernels::kernels;
pub use memory::Piece;
pub(crate) use memory::taken_by;
pub use profile::KernelTime;
pub use rates::{Rates, processor_rates, rates};
pub use self_test::self_test;
pub use weight::PANEL;
