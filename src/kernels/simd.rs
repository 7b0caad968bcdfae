//! Hot loops, compiled for several instruction sets and chosen at run time.
//!
//! A plain x86-64 build only knows SSE2. [`multiversion!`] compiles a loop three times (AVX-512, AVX2 + FMA, baseline)
//! and takes the best one the processor has. The bodies are plain Rust that the compiler vectorises: no branches, sums
//! in [`LANES`] independent parts. On other architectures there is one version.
//!
//! `exp` and `tanh` are polynomials, because the library's are scalar calls. Relative error against f64, measured over
//! all magnitudes in the tests: `exp` below 2e-7 (results under 1.2e-38 become 0, arguments over 88.37 give infinity),
//! `tanh` below 3e-7.
#![expect(clippy::inline_always, reason = "the pieces of a loop must be compiled with the loop's instruction set")]

use std::sync::LazyLock;

/// Independent partial sums of a reduction: four AVX-512 registers.
pub(super) const LANES: usize = 64;

/// Elements of one AVX-512 register: rows that are padded to it need no loop for the rest.
pub(super) const VECTOR: usize = 16;

/// What the processor offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    #[cfg(target_arch = "x86_64")]
    const ALL: &[Self] = &[Self::Baseline, Self::Avx2, Self::Avx512];
    #[cfg(not(target_arch = "x86_64"))]
    const ALL: &[Self] = &[Self::Baseline];

    /// What [`LEVEL`] calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
        }
    }

    /// The best that this processor has.
    fn of_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// The variable that has this process take the processor for a lesser one: `baseline`, `avx2` or `avx512`. For tests of
/// the paths that other processors take.
const LEVEL: &str = "NUDGE_PROCESSOR";

/// The level that loops are taken at.
#[inline]
pub(super) fn level() -> Level {
    static CHOSEN: LazyLock<Level> = LazyLock::new(|| {
        let best = Level::of_processor();
        let named = std::env::var(LEVEL).ok();
        let named = named.and_then(|name| Level::ALL.iter().copied().find(|level| level.name() == name));
        named.map_or(best, |named| named.min(best))
    });
    *CHOSEN
}

/// The processor's own name and the level that loops are taken at: what measured times belong to.
pub fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    let name = {
        use std::arch::x86_64::__cpuid;
        const NAME: u32 = 0x8000_0002;
        if __cpuid(0x8000_0000).eax < NAME + 2 {
            "x86-64".to_owned()
        } else {
            let registers = (NAME..NAME + 3).map(__cpuid).flat_map(|it| [it.eax, it.ebx, it.ecx, it.edx]);
            let bytes: Vec<u8> = registers.flat_map(u32::to_le_bytes).collect();
            String::from_utf8_lossy(&bytes).trim_matches(['\0', ' ']).to_owned()
        }
    };
    #[cfg(not(target_arch = "x86_64"))]
    let name = std::env::consts::ARCH;
    format!("{name}, {}", level().name())
}

/// Whether there are 32 registers of [`VECTOR`] elements.
#[inline]
pub(super) fn is_wide() -> bool {
    #[cfg(target_arch = "x86_64")]
    return level() == Level::Avx512;
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Compiles a function for every [`Level`]; inside, the constant `FMA` says whether a fused multiply-add is one
/// instruction.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::allow_attributes, clippy::too_many_arguments, reason = "a loop over plain slices")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            #[allow(clippy::inline_always, reason = "the body must be compiled with its caller's instruction set")]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                #[expect(unsafe_code, reason = "`level` has asked the processor for these instructions")]
                match $crate::simd::level() {
                    // SAFETY: the processor has them.
                    $crate::simd::Level::Avx512 => return unsafe { avx512($($arg),*) },
                    // SAFETY: the processor has them.
                    $crate::simd::Level::Avx2 => return unsafe { avx2($($arg),*) },
                    $crate::simd::Level::Baseline => {}
                }
            }
            body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(super) use multiversion;

/// `a·b + c`, fused where that is one instruction.
#[inline(always)]
pub(super) fn fused<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x`.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer and leaves it in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    const LOW: f32 = -87.3;
    const HIGH: f32 = 88.37;
    let inside = if x < LOW { LOW } else { x };
    let inside = if inside > HIGH { HIGH } else { inside };
    let shifted = fused::<FMA>(inside, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    // ln 2 in two parts, the first one with few enough bits that n times it is exact.
    let r = fused::<FMA>(n, -0.693_359_4, inside);
    let r = fused::<FMA>(n, 2.121_944_4e-4, r);
    let p = fused::<FMA>(1.987_569_1e-4, r, 1.398_199_9e-3);
    let p = fused::<FMA>(p, r, 8.333_452e-3);
    let p = fused::<FMA>(p, r, 4.166_579_6e-2);
    let p = fused::<FMA>(p, r, 1.666_666_5e-1);
    let p = fused::<FMA>(p, r, 5e-1);
    let p = fused::<FMA>(p, r * r, r) + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let y = p * power;
    let y = if x < LOW { 0.0 } else { y };
    if x > HIGH { f32::INFINITY } else { y }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(super) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// Hyperbolic tangent: an odd polynomial near 0, where the exponential would cancel.
#[inline(always)]
pub(super) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let z = x * x;
    let p = fused::<FMA>(-5.704_988_7e-3, z, 2.063_909e-2);
    let p = fused::<FMA>(p, z, -5.373_971_6e-2);
    let p = fused::<FMA>(p, z, 1.333_144_2e-1);
    let p = fused::<FMA>(p, z, -3.333_328e-1);
    let near = fused::<FMA>(p * z, x, x);
    let far = (1.0 - 2.0 / (exp::<FMA>(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// `cap · tanh(x · inverse)`, where `inverse` is `1 / cap`. What is no number stays so: the tangent of infinity would
/// be 1, and nobody would see that something is wrong.
#[inline(always)]
pub(super) fn softcapped<const FMA: bool>(x: f32, cap: f32, inverse: f32) -> f32 {
    let inside = cap * tanh::<FMA>(x * inverse);
    if x.abs() < f32::INFINITY { inside } else { x }
}

/// The bits of `x` in bf16: rounded to nearest, ties to even.
#[inline(always)]
pub(super) fn bf16_bits(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    // Rounding up could carry a NaN into an infinity.
    let quiet = bits >> 16 | 0x40;
    (if x.is_nan() { quiet } else { rounded }) as u16
}

/// The number with these bits in bf16.
#[inline(always)]
pub(super) fn from_bf16_bits(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// Adds up the lanes pairwise; there are a power of two of them.
#[inline(always)]
pub(super) fn add_lanes<const N: usize>(mut lanes: [f32; N]) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Σ `f(i)` over `0..len` in [`LANES`] parts.
#[inline(always)]
pub(super) fn sum_by(len: usize, f: impl Fn(usize, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = len / LANES * LANES;
    let mut base = 0;
    while base < whole {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum = f(base + lane, *sum);
        }
        base += LANES;
    }
    for (lane, i) in (whole..len).enumerate() {
        lanes[lane] = f(i, lanes[lane]);
    }
    add_lanes(lanes)
}

/// `sums += a·b`, element by element.
#[inline(always)]
pub(super) fn fused_vectors<const FMA: bool>(sums: &mut [f32; VECTOR], a: &[f32; VECTOR], b: &[f32; VECTOR]) {
    for i in 0..VECTOR {
        sums[i] = fused::<FMA>(a[i], b[i], sums[i]);
    }
}

/// `Σ a·b`.
#[inline(always)]
pub(super) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks();
    let (b, b_rest) = b.as_chunks();
    let mut sums = [0.0_f32; VECTOR];
    for (a, b) in a.iter().zip(b) {
        fused_vectors::<FMA>(&mut sums, a, b);
    }
    let rest = a_rest.iter().zip(b_rest);
    rest.fold(add_lanes(sums), |sum, (a, b)| fused::<FMA>(*a, *b, sum))
}

/// The largest element; minus infinity for none.
#[inline(always)]
pub(super) fn max_of(vectors: &[[f32; VECTOR]]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; VECTOR];
    for vector in vectors {
        for i in 0..VECTOR {
            lanes[i] = if vector[i] > lanes[i] { vector[i] } else { lanes[i] };
        }
    }
    let mut half = VECTOR / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = if lanes[i + half] > lanes[i] { lanes[i + half] } else { lanes[i] };
        }
        half /= 2;
    }
    lanes[0]
}

/// The largest element of a slice of any length.
#[inline(always)]
pub(super) fn max(a: &[f32]) -> f32 {
    let (whole, rest) = a.as_chunks();
    rest.iter().fold(max_of(whole), |m, &a| if a > m { a } else { m })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    multiversion! {
        fn exp_all(x: &mut [f32]) {
            for x in x.iter_mut() {
                *x = exp::<FMA>(*x);
            }
        }
    }
    multiversion! {
        fn tanh_all(x: &mut [f32]) {
            for x in x.iter_mut() {
                *x = tanh::<FMA>(*x);
            }
        }
    }
    multiversion! {
        fn dot_all(a: &[f32], b: &[f32]) -> f32 {
            dot::<FMA>(a, b)
        }
    }

    /// Largest relative error over `x`, for the version of this processor and for the baseline.
    fn worst(x: &[f32], fast: fn(&mut [f32]), baseline: fn(f32) -> f32, exact: fn(f64) -> f64) -> f64 {
        let mut y = x.to_vec();
        fast(&mut y);
        x.iter()
            .zip(&y)
            .flat_map(|(&x, &y)| [(x, y), (x, baseline(x))])
            .map(|(x, y)| ((f64::from(y) - exact(f64::from(x))) / exact(f64::from(x))).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn exp_is_as_exact_as_promised() {
        let x: Vec<f32> = (-873_000..883_700).step_by(7).map(|i| i as f32 * 1e-4).collect();
        let error = worst(&x, exp_all, exp::<false>, f64::exp);
        assert!(error < 2e-7, "{error}");
        let mut ends = [f32::NEG_INFINITY, -1e30, -87.4, 88.4, 1e30, f32::INFINITY, f32::NAN, 0.0];
        exp_all(&mut ends);
        assert_eq!(ends[..6], [0.0, 0.0, 0.0, f32::INFINITY, f32::INFINITY, f32::INFINITY]);
        assert!(ends[6].is_nan() && ends[7] == 1.0);
    }

    #[test]
    fn tanh_is_as_exact_as_promised() {
        let x: Vec<f32> =
            (-30..13).flat_map(|e| (1..50).map(move |i| (1.0 + i as f32 / 50.0) * 2_f32.powi(e))).collect();
        let error = worst(&x, tanh_all, tanh::<false>, f64::tanh);
        assert!(error < 3e-7, "{error}");
        let mut ends = [f32::NEG_INFINITY, -0.0, 0.0, f32::INFINITY, f32::NAN];
        tanh_all(&mut ends);
        assert_eq!(ends[..4], [-1.0, 0.0, 0.0, 1.0]);
        assert!(ends[4].is_nan());
    }

    /// The most that an f32 sum of these can be off, in any order of adding: n·ε·Σ|x|.
    fn rounding(terms: &[f64]) -> f64 {
        let size: f64 = terms.iter().map(|x| x.abs()).sum();
        terms.len() as f64 * f64::from(f32::EPSILON) * size
    }

    /// The tests of all kernels once more, in processes that take this processor for each lesser one.
    #[test]
    fn a1_every_level_of_this_processor_passes_all_tests_of_the_kernels() {
        if std::env::var_os(LEVEL).is_some() {
            return; // this is such a process
        }
        let (_, room) = module_path!().split_once("::").unwrap();
        let room = room.strip_suffix("simd::tests").unwrap();
        let best = Level::of_processor();
        for level in Level::ALL.iter().filter(|level| **level != best) {
            if *level > best {
                eprintln!("not run at {}: this processor has no more than {}", level.name(), best.name());
                continue;
            }
            let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
            let tests = tests.arg(room).env(LEVEL, level.name()).output().unwrap();
            let told = String::from_utf8_lossy(&tests.stdout);
            assert!(tests.status.success(), "at {}:\n{told}", level.name());
            assert!(told.contains("equals_its_twin"), "at {} these were run:\n{told}", level.name());
        }
    }

    proptest! {
        #[test]
        fn dot_and_max_equal_straight_loops(a in prop::collection::vec(-1.0_f32..1.0, 0..300), seed in 0_usize..50) {
            let b: Vec<f32> = a.iter().cycle().skip(seed).take(a.len()).copied().collect();
            let products: Vec<f64> = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).collect();
            let exact: f64 = products.iter().sum();
            prop_assert!((f64::from(dot_all(&a, &b)) - exact).abs() <= rounding(&products));
            prop_assert_eq!(max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let sum = sum_by(a.len(), |i, sum| sum + a[i]);
            let terms: Vec<f64> = a.iter().map(|&x| f64::from(x)).collect();
            prop_assert!((f64::from(sum) - terms.iter().sum::<f64>()).abs() <= rounding(&terms));
        }
    }
}
