//! What multiplies matrices on this processor.

use std::sync::LazyLock;

use crate::simd::is_wide;

/// What takes the large products (weights, and gradients of weights). Sums are f32 in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Multiplier {
    /// The f32 instructions; factors are taken as they are.
    F32,
    /// Plain loops over factors rounded to bf16: the twin of the two below, right on any processor and slow.
    Loops,
    /// An instruction for pairs of bf16 numbers (AVX512-BF16).
    Pairs,
    /// Tile registers of bf16 numbers (AMX).
    Tiles,
}

impl Multiplier {
    pub const ALL: [Self; 4] = [Self::F32, Self::Loops, Self::Pairs, Self::Tiles];

    /// Its name in files and sentences.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Loops => "loops",
            Self::Pairs => "avx512-bf16",
            Self::Tiles => "amx-bf16",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// Whether this processor has it, and the system lets us use it.
    pub fn is_present(self) -> bool {
        static PAIRS: LazyLock<bool> = LazyLock::new(has_pairs);
        static TILES: LazyLock<bool> = LazyLock::new(has_tiles);
        match self {
            Self::F32 | Self::Loops => true,
            Self::Pairs => is_wide() && *PAIRS,
            Self::Tiles => is_wide() && *TILES,
        }
    }

    /// All that can be used here.
    pub fn present() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|multiplier| multiplier.is_present())
    }

    /// Whether its factors are rounded to bf16.
    pub fn rounds(self) -> bool {
        self != Self::F32
    }
}

#[cfg(target_arch = "x86_64")]
fn has_pairs() -> bool {
    is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512f")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_pairs() -> bool {
    false
}

/// Linux hands out the tile registers to a process that asks.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_tiles() -> bool {
    use std::{
        arch::x86_64::{__cpuid_count, __get_cpuid_max},
        ffi::c_long,
    };
    const ARCH_PRCTL: c_long = 158;
    const REQUEST_PERMISSION: c_long = 0x1023;
    const TILE_DATA: c_long = 18;
    /// AMX-BF16 and AMX-TILE in the features of leaf 7.
    const WANTED: u32 = 1 << 22 | 1 << 24;

    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }
    let has = __get_cpuid_max(0).0 >= 7 && __cpuid_count(7, 0).edx & WANTED == WANTED;
    // The system refuses where the processor or the system itself has no tiles.
    // SAFETY: takes two numbers and changes nothing but what this process may use.
    has && unsafe { syscall(ARCH_PRCTL, REQUEST_PERMISSION, TILE_DATA) } == 0
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn has_tiles() -> bool {
    false
}
