//! The processor's kernels, tied to the trait.
#![expect(unsafe_code, reason = "the floating-point control register has no safe face")]

use super::{
    Activation, AdamWBuffers, AdamWStep, AttentionOut, AttentionShape, CachedKeys, DType, Generating, Gradients, Head,
    HeadOut, HeadPass, HeadWant, InputGradient, Kernels, Layout, Linear, LinearSaved, Mask, Qkv, Result, RmsNorm,
    RopeTable, Slot, Tensor, Weight, adamw, attention, columns, dropout, embed, gated, gemm::Compute, head, keep,
    linear, norm, rope, rowwise,
};

/// The hand-written implementation for the processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    pub compute: Compute,
}

/// Makes the calling thread treat denormal numbers as zero, for good: sleeping pairs produce gradients so small that
/// arithmetic on them is many times slower. Meant for the start handler of the rayon pool that trains. The kernels must
/// then be called inside that pool (`install`), because small work runs on the calling thread and must give the same
/// bits. A processor that cannot do so is left as it is.
///
/// # Safety
/// Rust takes every thread to compute with the floating-point settings that it started with, and promises nothing for
/// one that does not: the compiler may compute a constant with denormal results that the thread would not give. So the
/// thread must be one of the caller's own, run nothing but code to which a denormal number and zero are the same, and
/// never be handed to anything that relies on them. Rounding and exceptions stay as they are.
pub unsafe fn flush_denormals() {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::asm;

        // Flush-to-zero is bit 15, denormals-are-zero bit 6.
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        let mut control: u32 = 0;
        let mut state = SavedState([0; 512]);
        // SAFETY: writes this thread's floating-point state to a local of the size and alignment that the instruction
        // demands, then reads and writes the control register through another. Only bits that the processor has are
        // set, any other would be a fault. What a changed register means for Rust is the caller's promise.
        unsafe {
            asm!("fxsave64 [{0}]", in(reg) state.0.as_mut_ptr(), options(nostack));
            asm!("stmxcsr [{0}]", in(reg) &raw mut control, options(nostack));
            control |= FLUSH & state.supported();
            asm!("ldmxcsr [{0}]", in(reg) &raw const control, options(nostack, readonly));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        const FLUSH: u64 = 1 << 24;
        let mut control: u64;
        // SAFETY: reads and writes this thread's control register; every processor of this kind has the bit. What that
        // means for Rust is the caller's promise.
        unsafe {
            std::arch::asm!("mrs {0}, fpcr", out(reg) control, options(nomem, nostack));
            control |= FLUSH;
            std::arch::asm!("msr fpcr, {0}", in(reg) control, options(nomem, nostack));
        }
    }
}

/// What `fxsave64` writes.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(16))]
struct SavedState([u8; 512]);

#[cfg(target_arch = "x86_64")]
impl SavedState {
    /// The bits of the control register that this processor has (Intel's manual, volume 1, 11.6.6).
    fn supported(&self) -> u32 {
        /// What a mask of 0 stands for: a processor older than denormals-are-zero.
        const OLDEST: u32 = 0xffbf;
        match u32::from_le_bytes([self.0[28], self.0[29], self.0[30], self.0[31]]) {
            0 => OLDEST,
            mask => mask,
        }
    }
}

impl Kernels for Cpu {
    fn linear(&self, x: &Tensor, linear: &Linear) -> Result<(Tensor, LinearSaved)> {
        linear::forward(x, linear, self.compute.multiplier())
    }

    fn linear_rowwise(&self, x: &Tensor, linear: &Linear, stage: Generating) -> Result<Tensor> {
        rowwise::forward(x, linear, stage)
    }

    fn linear_backward(
        &self,
        x: &Tensor,
        saved: &LinearSaved,
        dy: &Tensor,
        linear: &Linear,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        linear::backward(x, saved, dy, linear, input, grads, self.compute.multiplier())
    }

    fn rms_norm(&self, x: &Tensor, norm: &RmsNorm<'_>) -> Result<(Tensor, Tensor)> {
        norm::forward(x, norm)
    }

    fn rms_norm_backward(
        &self,
        x: &Tensor,
        norm: &RmsNorm<'_>,
        inv_rms: &Tensor,
        dy: &Tensor,
        input: InputGradient,
        grads: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        norm::backward(x, norm, inv_rms, dy, input, grads)
    }

    fn rope(&self, x: Tensor, heads: usize, positions: &[u32], table: &RopeTable, inverse: bool) -> Result<Tensor> {
        rope::rotate(x, heads, positions, table, inverse)
    }

    fn attention(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
        attention::forward(qkv, layout, shape)
    }

    fn attention_backward(
        &self,
        qkv: Qkv<'_>,
        outcome: AttentionOut<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        attention::backward(qkv, outcome, layout, shape)
    }

    fn attention_cached(&self, q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
        attention::cached(q, caches, shape)
    }

    fn gated(&self, gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
        gated::forward(gate, up, activation)
    }

    fn gated_backward(
        &self,
        gate: &Tensor,
        up: &Tensor,
        dh: &Tensor,
        activation: Activation,
    ) -> Result<(Tensor, Tensor)> {
        gated::backward(gate, up, dh, activation)
    }

    fn embed(&self, ids: &[u32], table: &Weight, scale: f32) -> Result<Tensor> {
        embed::gather("embedding", ids, table, scale)
    }

    fn embed_backward(&self, ids: &[u32], dy: &Tensor, scale: f32, slot: Slot, grads: &mut Gradients) -> Result<()> {
        embed::embed_backward(ids, dy, scale, slot, grads)
    }

    fn head(&self, h: &Tensor, head: Head<'_>, targets: &[u32], want: HeadWant) -> Result<HeadOut> {
        head::forward(h, head, targets, want, self.compute.multiplier())
    }

    fn head_backward(&self, u: Tensor, coefficients: &[f32]) -> Result<Tensor> {
        head::scale_rows(u, coefficients)
    }

    fn head_weight_backward(
        &self,
        head: Head<'_>,
        pass: HeadPass<'_>,
        slot: Slot,
        grads: &mut Gradients,
    ) -> Result<()> {
        head::weight_backward(head, pass, slot, grads, self.compute.multiplier())
    }

    fn logits(&self, h: &Tensor, head: Head<'_>) -> Result<Tensor> {
        head::logits(h, head)
    }

    fn keep(&self, x: &Tensor) -> Result<Tensor> {
        match self.compute {
            Compute::F32 => Ok(x.clone()),
            Compute::Bf16(_) => keep::narrow(x),
        }
    }

    fn recall(&self, kept: &Tensor) -> Result<Tensor> {
        match kept.dtype() {
            DType::BF16 => keep::widen(kept),
            _ => Ok(kept.clone()),
        }
    }

    fn add(&self, x: &Tensor, y: Tensor) -> Result<Tensor> {
        linear::add(x, y)
    }

    fn scale(&self, x: &Tensor, factor: f32) -> Result<Tensor> {
        columns::scale(x, factor)
    }

    fn dropout(&self, x: &Tensor, mask: &Mask) -> Result<Tensor> {
        dropout::apply(x, mask)
    }

    fn columns(&self, x: &Tensor, first: usize, width: usize) -> Result<Tensor> {
        columns::cut(x, first, width)
    }

    fn join(&self, parts: &[Tensor]) -> Result<Tensor> {
        columns::join(parts)
    }

    fn gather_rows(&self, x: &Tensor, rows: &[u32]) -> Result<Tensor> {
        embed::gather("gather rows", rows, &x.clone().into(), 1.0)
    }

    fn scatter_rows(&self, dy: &Tensor, rows: &[u32], tokens: usize) -> Result<Tensor> {
        embed::scatter_rows(dy, rows, tokens)
    }

    fn adamw(&self, buffers: AdamWBuffers<'_>, slot: Slot, step: &AdamWStep) -> Result<()> {
        adamw::update(buffers, slot, step)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn denormals_become_zero_on_this_thread_only() {
        let half_of_smallest = || std::hint::black_box(f32::MIN_POSITIVE) * std::hint::black_box(0.5);
        let flushed = std::thread::Builder::new()
            .spawn(move || {
                // SAFETY: the thread computes one number and ends.
                unsafe { super::flush_denormals() };
                half_of_smallest()
            })
            .unwrap();
        assert_eq!(flushed.join().unwrap(), 0.0);
        assert!(half_of_smallest() > 0.0);
    }
}
