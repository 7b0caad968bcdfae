//! `sums = left · right` of two packed panels, by the processor's instructions and by plain loops.

use super::panel::{PAIRS, Pair, SIDE, Step};
use crate::{
    gemm::Multiplier,
    simd::{fused, multiversion},
};

/// A tile of the target.
#[repr(C, align(64))]
pub(super) struct Sums(pub(super) [[f32; SIDE]; SIDE]);

impl Sums {
    pub(super) const ZERO: Self = Self([[0.0; SIDE]; SIDE]);
}

/// What multiplies two panels; only made for a processor that has it.
#[derive(Clone, Copy)]
pub(super) struct Tile(Multiplier);

impl Tile {
    /// # Panics
    /// The processor lacks it: whoever chooses a multiplier asks first.
    pub(super) fn of(by: Multiplier) -> Self {
        assert!(by.is_present(), "this processor has no {}", by.name());
        Self(by)
    }

    /// How many times more it does than f32 in the same time, roughly: what is a small product to it.
    pub(super) fn speed(self) -> usize {
        match self.0 {
            Multiplier::Tiles => 8,
            _ => 1,
        }
    }

    /// `sums = left · right`; what was in `sums` is overwritten.
    pub(super) fn multiply(self, left: &[Step], right: &[Step], sums: &mut Sums) {
        assert!(left.len() == right.len(), "depths of two panels");
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has these instructions, see `of`.
            Multiplier::Pairs => unsafe { by_pairs(left, right, sums) },
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            // SAFETY: the processor has these instructions and the system lets us use them, see `of`.
            Multiplier::Tiles => unsafe { by_tiles(left, right, sums) },
            _ => by_loops(left, right, sums),
        }
    }
}

multiversion! {
    fn by_loops(left: &[Step], right: &[Step], sums: &mut Sums) {
        let low = |pair: Pair| f32::from_bits(pair << 16);
        let high = |pair: Pair| f32::from_bits(pair & 0xffff_0000);
        sums.0.as_flattened_mut().fill(0.0);
        for (left, right) in left.iter().zip(right) {
            let (left, _) = left.0.as_chunks::<PAIRS>();
            let (right, _) = right.0.as_chunks::<SIDE>();
            for (left, sums) in left.iter().zip(&mut sums.0) {
                for (left, right) in left.iter().zip(right) {
                    for (right, sum) in right.iter().zip(sums.iter_mut()) {
                        *sum = fused::<FMA>(low(*left), low(*right), *sum);
                        *sum = fused::<FMA>(high(*left), high(*right), *sum);
                    }
                }
            }
        }
    }
}

/// Rows whose sums are kept in registers at once: two registers each.
#[cfg(target_arch = "x86_64")]
const ROWS: usize = 8;

/// By the instruction that multiplies sixteen pairs and adds each two products to a sum (AVX512-BF16).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
fn by_pairs(left: &[Step], right: &[Step], sums: &mut Sums) {
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_ps,
    };
    // SAFETY: two types of the same register.
    let pairs = |register: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(register) };
    for (block, sums) in sums.0.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
        let mut acc = [[_mm512_setzero_ps(); 2]; ROWS];
        for (left, right) in left.iter().zip(right) {
            let left = &left.0.as_chunks::<PAIRS>().0.as_chunks::<ROWS>().0[block];
            for (at, right) in right.0.as_chunks::<SIDE>().0.iter().enumerate() {
                // SAFETY: both loads are inside the chunk of 32 pairs.
                let (first, second) = unsafe {
                    let right = right.as_ptr();
                    (_mm512_loadu_si512(right.cast()), _mm512_loadu_si512(right.add(SIDE / 2).cast()))
                };
                let (first, second) = (pairs(first), pairs(second));
                for i in 0..ROWS {
                    let row = pairs(_mm512_set1_epi32(left[i][at].cast_signed()));
                    acc[i][0] = _mm512_dpbf16_ps(acc[i][0], row, first);
                    acc[i][1] = _mm512_dpbf16_ps(acc[i][1], row, second);
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums) {
            let at = sums.as_mut_ptr();
            // SAFETY: a row of sums has room for two registers.
            unsafe {
                _mm512_storeu_ps(at, acc[0]);
                _mm512_storeu_ps(at.add(SIDE / 2), acc[1]);
            }
        }
    }
}

/// How the tile registers are cut: all eight have 16 rows of 64 bytes.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
static CONFIG: TileConfig = TileConfig {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// By the tile registers (AMX-BF16): four hold the sums, two a step of either panel. In assembly, because the compiler
/// has no stable name for these instructions yet.
///
/// # Safety
/// The processor has them, and the system has permitted this process to use them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
unsafe fn by_tiles(left: &[Step], right: &[Step], sums: &mut Sums) {
    // SAFETY: reads `left.len()` steps of 2 KiB of each panel, which are as many, and writes the 4 KiB of `sums`. The
    // tile registers are no one else's: they are configured here and released at the end.
    unsafe {
        std::arch::asm!(
            "ldtilecfg [{config}]",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "test {steps}, {steps}",
            "jz 3f",
            "2:",
            "tileloadd tmm4, [{left} + {line}*1]",
            "tileloadd tmm6, [{right} + {pair}*1]",
            "tileloadd tmm7, [{right} + {pair}*1 + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{left} + {line}*1 + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, 2048",
            "add {right}, 2048",
            "dec {steps}",
            "jnz 2b",
            "3:",
            "tilestored [{sums} + {pair}*1], tmm0",
            "tilestored [{sums} + {pair}*1 + 64], tmm1",
            "tilestored [{sums} + {pair}*1 + 2048], tmm2",
            "tilestored [{sums} + {pair}*1 + 2112], tmm3",
            "tilerelease",
            config = in(reg) &raw const CONFIG,
            left = inout(reg) left.as_ptr() => _,
            right = inout(reg) right.as_ptr() => _,
            steps = inout(reg) left.len() => _,
            line = in(reg) 64_usize,
            pair = in(reg) 128_usize,
            sums = in(reg) sums.0.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
