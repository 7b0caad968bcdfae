//! Blocks of two to four bits a number: the smaller K formats, and those whose four bits name a number of a table.

use super::half;
use crate::simd::multiversion;

/// What the four bits of IQ4_NL and IQ4_XS stand for: steps that are finer near zero.
const STEPS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

#[inline]
fn step(bits: u8) -> f32 {
    f32::from(STEPS[usize::from(bits & 15)])
}

multiversion! {
    pub(super) fn iq4_nl(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<18>().0.iter().zip(out.as_chunks_mut::<32>().0) {
            let d = half(block, 0);
            for i in 0..16 {
                out[i] = d * step(block[2 + i]);
                out[i + 16] = d * step(block[2 + i] >> 4);
            }
        }
    }
}

multiversion! {
    pub(super) fn iq4_xs(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<136>().0.iter().zip(out.as_chunks_mut::<256>().0) {
            let d = half(block, 0);
            let high = u16::from_le_bytes([block[2], block[3]]);
            for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
                let low = block[4 + group / 2] >> (4 * (group % 2)) & 15;
                let scale = i32::from(low) | i32::from(high >> (2 * group) & 3) << 4;
                let d = d * (scale - 32) as f32;
                let bits = &block[8 + 16 * group..][..16];
                for i in 0..16 {
                    out[i] = d * step(bits[i]);
                    out[i + 16] = d * step(bits[i] >> 4);
                }
            }
        }
    }
}

/// The `place`-th two bits of each byte, from the lowest. A function of its own for the reason of [`super::nibbles`].
#[inline(never)]
fn two_bits(bytes: &[u8; 16], place: usize) -> [u8; 16] {
    bytes.map(|byte| byte >> (2 * place) & 3)
}

multiversion! {
    pub(super) fn q2_k(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<84>().0.iter().zip(out.as_chunks_mut::<256>().0) {
            let (d, m) = (half(block, 80), half(block, 82));
            let (bytes, _) = block[16..80].as_chunks::<16>();
            for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let packed = block[group];
                let (scale, offset) = (d * f32::from(packed & 15), m * f32::from(packed >> 4));
                // Of each 128 numbers, 32 bytes hold the first 32 in their lowest bits, the next 32 above them, ..
                let (part, place, side) = (group / 8, group % 8 / 2, group % 2);
                for (out, bits) in out.iter_mut().zip(&two_bits(&bytes[2 * part + side], place)) {
                    *out = scale * f32::from(*bits) - offset;
                }
            }
        }
    }
}

multiversion! {
    pub(super) fn q3_k(blocks: &[u8], out: &mut [f32]) {
        let _ = FMA;
        for (block, out) in blocks.as_chunks::<110>().0.iter().zip(out.as_chunks_mut::<256>().0) {
            let d = half(block, 108);
            for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
                let low = block[96 + group % 8] >> (4 * (group / 8)) & 15;
                let high = block[104 + group % 4] >> (2 * (group / 4)) & 3;
                let scale = d * (i32::from(low | high << 4) - 32) as f32;
                let (part, shift, side) = (group / 8, group % 8 / 2, group % 2);
                let bits = &block[32 + 32 * part + 16 * side..][..16];
                // The third bit, one for each number of 32 bytes; where it is not set, four are taken off.
                let third = &block[16 * side..][..16];
                for i in 0..16 {
                    let number = (bits[i] >> (2 * shift) & 3) | (third[i] >> (4 * part + shift) & 1) << 2;
                    out[i] = scale * (i32::from(number) - 4) as f32;
                }
            }
        }
    }
}
