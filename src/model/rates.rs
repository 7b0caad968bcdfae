//! What each multiplier of this processor does a second with a model's own shapes: measured when a choice depends on
//! it, in some milliseconds, and kept by processor, program version and threads in a small file of the user's cache
//! folder.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use half::bf16;
use serde::{Deserialize, Serialize};

use super::Spec;
use ::files;
use ::kernels::{self, Compute, Gradients, InputGradient, KernelError, Linear, Multiplier, Place, Tensor};

/// Rows of the measured product: a short row of tokens.
const ROWS: usize = 256;
/// Numbers of the measured matrix at most; a wider one is cut.
const NUMBERS: usize = 1 << 20;
/// The best of so many times counts; the multipliers take turns, so that a disturbance meets them all.
const TIMES: usize = 4;
/// How much quicker than f32 a multiplier has to be that rounds.
const WORTH_ROUNDING: f64 = 1.15;

/// GFLOP/s of the multipliers that this processor has, [`Multiplier::Loops`] aside: they never win.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rates(Vec<(Multiplier, f64)>);

impl Rates {
    /// Known or measured, on the current pool.
    pub(super) fn of(spec: &Spec) -> Self {
        Self::known(spec).unwrap_or_else(|| {
            let rates = Self::measure(spec).unwrap_or_else(|error| {
                tracing::debug!("products could not be measured: {error}");
                Self(vec![(Multiplier::F32, 0.0)])
            });
            let mut remembered = remembered();
            remembered.insert(key(spec), &rates);
            if let Some(file) = file()
                && let Err(error) = remembered.write(&file)
            {
                tracing::debug!("what products take is measured again next time: {}: {error}", file.display());
            }
            rates
        })
    }

    /// What was measured before.
    pub(super) fn known(spec: &Spec) -> Option<Self> {
        let mut remembered = remembered();
        let key = key(spec);
        if let Some(rates) = remembered.get(&key) {
            return Some(rates);
        }
        let rates = Remembered::read(&file()?).get(&key)?;
        remembered.insert(key, &rates);
        Some(rates)
    }

    pub(super) fn all(&self) -> &[(Multiplier, f64)] {
        &self.0
    }

    /// The quickest; f32 unless another is clearly quicker.
    pub(super) fn best(&self) -> Multiplier {
        let f32 = self.0.iter().find(|(by, _)| !by.rounds()).map_or(0.0, |(_, rate)| *rate);
        let quicker = self.0.iter().filter(|(by, rate)| by.rounds() && *rate > WORTH_ROUNDING * f32);
        quicker.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(Multiplier::F32, |(by, _)| *by)
    }

    /// A linear layer of the feed-forward's shape with a frozen bf16 matrix, there and back.
    fn measure(spec: &Spec) -> Result<Self, KernelError> {
        let [d_in, d_out] = shape(spec);
        let numbers = |len: usize, seed: usize| (0..len).map(move |i| ((i * 31 + seed) % 251) as f32 / 251.0 - 0.5);
        let tensor = |rows: usize, columns: usize, seed| {
            Tensor::from_vec(numbers(rows * columns, seed).collect(), (rows, columns), &Place::CPU)
        };
        let (x, dy) = (tensor(ROWS, d_in, 1)?, tensor(ROWS, d_out, 2)?);
        let weight: Vec<bf16> = numbers(d_out * d_in, 3).map(bf16::from_f32).collect();
        let layer = Linear::frozen(Tensor::from_vec(weight, (d_out, d_in), &Place::CPU)?);
        let mut gradients = Gradients::new(0, &Place::CPU)?;
        let candidates: Vec<Multiplier> = Multiplier::present().filter(|by| *by != Multiplier::Loops).collect();
        let mut best = vec![f64::INFINITY; candidates.len()];
        for _ in 0..TIMES {
            for (by, best) in candidates.iter().zip(&mut best) {
                let kernels = kernels::cpu_in(Compute::Bf16(*by));
                let started = Instant::now();
                let (_, saved) = kernels.linear(&x, &layer)?;
                kernels.linear_backward(&x, &saved, &dy, &layer, InputGradient::Fresh, &mut gradients)?;
                *best = best.min(started.elapsed().as_secs_f64());
            }
        }
        let operations = (2 * 2 * ROWS * d_in * d_out) as f64;
        Ok(Self(candidates.into_iter().zip(best).map(|(by, secs)| (by, operations / secs / 1e9)).collect()))
    }
}

/// Width in and out of the measured layer.
fn shape(spec: &Spec) -> [usize; 2] {
    let d = spec.hidden_size.clamp(1, NUMBERS);
    [d, spec.intermediate_size.clamp(1, NUMBERS / d)]
}

/// What a measurement belongs to besides processor and program.
fn key(spec: &Spec) -> String {
    let [d_in, d_out] = shape(spec);
    format!("{d_in}x{d_out}, {} threads", rayon::current_num_threads())
}

/// What this process knows; a choice made once is made alike again.
fn remembered() -> std::sync::MutexGuard<'static, Remembered> {
    static REMEMBERED: LazyLock<Mutex<Remembered>> = LazyLock::new(|| Mutex::new(Remembered::of_here()));
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether [`forget_at_exit`] was called.
static IN_MEMORY: AtomicBool = AtomicBool::new(false);

/// From now on this process keeps what it measures to itself, and reads no file: for tests.
pub fn forget_at_exit() {
    IN_MEMORY.store(true, Ordering::Relaxed);
}

/// The file, where the user has a cache folder.
fn file() -> Option<PathBuf> {
    if IN_MEMORY.load(Ordering::Relaxed) {
        return None;
    }
    directories::ProjectDirs::from("", "", "nudge").map(|dirs| dirs.cache_dir().join("products.json"))
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Remembered {
    program: String,
    processor: String,
    /// By [`key`], then by [`Multiplier::name`]: GFLOP/s.
    rates: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Remembered {
    fn of_here() -> Self {
        // Without optimisation packing takes longer than multiplying.
        let build = if cfg!(debug_assertions) { ", debug" } else { "" };
        Self {
            program: format!("{}{build}", env!("CARGO_PKG_VERSION")),
            processor: kernels::processor(),
            rates: BTreeMap::new(),
        }
    }

    /// What the file says of this processor and this program; nothing if it cannot be read.
    fn read(file: &Path) -> Self {
        let here = Self::of_here();
        let read = files::read_text(file, files::SETTINGS).ok();
        let read: Option<Self> = read.and_then(|text| serde_json::from_str(&text).ok());
        read.filter(|read| read.program == here.program && read.processor == here.processor).unwrap_or(here)
    }

    /// Adds to what the file says already. Another process sees the old file or the new one, never half of one.
    fn write(&self, file: &Path) -> io::Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut all = Self::read(file);
        all.rates.extend(self.rates.clone());
        let aside = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&aside, &all)?;
        aside.persist(file)?;
        Ok(())
    }

    /// `None` also where not every multiplier of this processor was measured, or a number is none.
    fn get(&self, key: &str) -> Option<Rates> {
        let of_key = self.rates.get(key)?;
        let rate = |by: Multiplier| of_key.get(by.name()).copied().filter(|rate| rate.is_finite() && *rate >= 0.0);
        let all = Multiplier::present().filter(|by| *by != Multiplier::Loops);
        all.map(|by| rate(by).map(|rate| (by, rate))).collect::<Option<Vec<_>>>().map(Rates)
    }

    fn insert(&mut self, key: String, rates: &Rates) {
        let named = rates.0.iter().map(|(by, rate)| (by.name().to_owned(), *rate));
        self.rates.insert(key, named.collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(of: &[(Multiplier, f64)]) -> Rates {
        Rates(of.to_vec())
    }

    /// Every multiplier of this processor, f32 with 100 and the others with this.
    fn here(rounding: f64) -> Rates {
        let all = Multiplier::present().filter(|by| *by != Multiplier::Loops);
        Rates(all.map(|by| (by, if by.rounds() { rounding } else { 100.0 })).collect())
    }

    #[test]
    fn a2_the_quickest_is_chosen_and_f32_when_it_is_close() {
        use Multiplier::{F32, Pairs, Tiles};
        assert_eq!(rates(&[(F32, 213.0), (Pairs, 89.0)]).best(), F32);
        assert_eq!(rates(&[(F32, 100.0), (Pairs, 110.0)]).best(), F32);
        assert_eq!(rates(&[(F32, 100.0), (Pairs, 180.0)]).best(), Pairs);
        assert_eq!(rates(&[(F32, 213.0), (Pairs, 300.0), (Tiles, 900.0)]).best(), Tiles);
        assert_eq!(rates(&[]).best(), F32);
    }

    #[test]
    fn a2_what_was_measured_is_found_again_and_added_to() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("new").join("products.json");
        for (key, rounding) in [("a", 50.0), ("b", 500.0)] {
            let mut one = Remembered::of_here();
            one.insert(key.to_owned(), &here(rounding));
            one.write(&file).unwrap();
        }
        let read = Remembered::read(&file);
        assert_eq!((read.get("a"), read.get("b"), read.get("c")), (Some(here(50.0)), Some(here(500.0)), None));
    }

    #[test]
    fn a2_a_broken_or_foreign_cache_is_no_error_and_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("products.json");
        let mut other = Remembered::of_here();
        other.insert("a".to_owned(), &here(50.0));
        other.processor.push('!');
        let foreign = serde_json::to_string(&other).unwrap();
        let text = foreign.replace('!', "").replace("100.0", "-1.0");
        for content in ["", "{", "[1, 2]", &foreign, &text] {
            fs::write(&file, content).unwrap();
            assert_eq!(Remembered::read(&file).get("a"), None, "{content}");
            let mut one = Remembered::of_here();
            one.insert("a".to_owned(), &here(70.0));
            one.write(&file).unwrap();
            assert_eq!(Remembered::read(&file).get("a"), Some(here(70.0)));
        }
        // A folder in its place can neither be read nor written.
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert_eq!(Remembered::read(&folder).get("a"), None);
        assert!(Remembered::of_here().write(&folder).is_err());
    }
}
