//! What is told about measured steps.

use data::MEGABYTE;
use kernels::{Place, gpu::KernelTime};
use serde::Serialize;

use super::{Bench, Held, Stepped, peak::MatmulPeak, timed::StepPart};
use crate::objective;

/// What was measured. Times are medians over the measured steps unless said otherwise.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    pub model: ModelReport,
    pub device: DeviceReport,
    pub dtype: String,
    /// In what the large products are taken, by what, and why.
    pub products: String,
    pub recompute: bool,
    /// Blocks whose forward ran again, of a row where they were most.
    pub recomputed_blocks: usize,
    pub threads: usize,
    pub pairs_per_step: usize,
    /// Tokens that a packed row may hold.
    pub row_tokens: usize,
    pub objective: String,
    pub steps: usize,
    pub step_s: f64,
    /// Processor time of a step over all threads, mean.
    pub cpu_s_per_step: f64,
    pub pairs_per_s: f64,
    /// Prompt and chosen, prompt and rejected: a token counts as often as it would without sharing.
    pub tokens_per_s: f64,
    /// Tokens that were computed, each prompt once.
    pub computed_tokens_per_s: f64,
    /// The most memory that was held on the device, loading included. This and the next three are of a card's own
    /// memory where the model lies there.
    pub peak_memory_mb: f64,
    /// The most that the process held in the machine's memory, where the device is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_peak_memory_mb: Option<f64>,
    /// Held after loading, before the first step.
    pub memory_before_steps_mb: f64,
    /// The most a step held on top of that.
    pub memory_above_mb: f64,
    /// What was foretold for a step, from shapes alone.
    pub estimated_memory_mb: f64,
    /// Products of a step over its time, as a share of `matmul.square_gflops`.
    pub matmul_share: f64,
    pub matmul: MatmulPeak,
    pub parts: Vec<PartReport>,
    /// Of a step on a graphics card, by its own clock, the longest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kernels: Vec<KernelReport>,
    /// Why a card does not tell them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_kernels: Option<String>,
    /// Step-0 log-probs of the pairs, seconds a pair; only where the objective needs them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_s_per_pair: Option<f64>,
    /// Of every step from the first, warm-up included.
    pub losses: Vec<f64>,
}

/// Where it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// `cpu`, `gpu`, or what an accelerator of candle's is called.
    pub kind: String,
    /// What a card's maker calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// `vulkan`, `metal` or `dx12`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Its driver and version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

impl DeviceReport {
    pub(super) fn of(place: &Place) -> Self {
        let plain = |kind: &str| Self { kind: kind.to_owned(), card: None, backend: None, driver: None };
        match place {
            Place::Gpu(card) => Self {
                card: Some(card.info().name.clone()),
                backend: Some(card.info().backend.clone()),
                driver: Some(card.info().driver.clone()),
                ..plain("gpu")
            },
            place if place.is_cpu() => plain("cpu"),
            Place::Candle(device) => plain(if device.is_cuda() { "cuda" } else { "metal" }),
        }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        match (&self.card, &self.backend, &self.driver) {
            (Some(card), Some(backend), Some(driver)) => format!("{card} ({backend} {driver})"),
            _ if self.kind == "cpu" => "the processor".to_owned(),
            _ => self.kind.clone(),
        }
    }
}

/// The model's sizes.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    pub name: String,
    pub parameters: usize,
    pub trained_parameters: usize,
    pub layers: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub vocab_size: usize,
}

/// One part of a step.
#[derive(Debug, Clone, Serialize)]
pub struct PartReport {
    pub name: &'static str,
    /// Seconds of a step, mean.
    pub s: f64,
    /// Share of the step's time.
    pub share: f64,
    /// Matrix products a second in this part; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflops: Option<f64>,
    /// `gflops` as a share of `matmul.square_gflops`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matmul_share: Option<f64>,
}

/// One shader in a step.
#[derive(Debug, Clone, Serialize)]
pub struct KernelReport {
    pub name: &'static str,
    pub runs: u64,
    pub s: f64,
    /// Share of the time of all shaders.
    pub share: f64,
    /// Matrix products a second; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gflops: Option<f64>,
    /// `gflops` as a share of `matmul.square_gflops`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matmul_share: Option<f64>,
}

impl KernelReport {
    pub(super) fn of(times: &[KernelTime], square_gflops: f64) -> Vec<Self> {
        let all: f64 = times.iter().map(|time| time.seconds).sum();
        let told = |&KernelTime { name, runs, seconds, products }: &KernelTime| {
            let gflops = (products > 0).then(|| 2.0 * products as f64 / seconds / 1e9);
            let matmul_share = gflops.map(|gflops| gflops / square_gflops);
            Self { name, runs, s: seconds, share: seconds / all, gflops, matmul_share }
        };
        times.iter().map(told).collect()
    }
}

impl Bench<'_> {
    pub(super) fn report(
        &self,
        name: String,
        steps: &[Stepped],
        losses: Vec<f64>,
        cpu: f64,
        matmul: &MatmulPeak,
        held: Held,
    ) -> BenchReport {
        let count = steps.len() as f64;
        let mean_secs = steps.iter().map(|step| step.secs).sum::<f64>() / count;
        let per_second =
            |what: &dyn Fn(&Stepped) -> f64| median(steps.iter().map(|step| what(step) / step.secs).collect());
        let longest = steps.iter().map(|step| step.longest_row).max().unwrap_or((0, 0));
        let recomputed_blocks = steps.iter().map(|step| step.recomputed_blocks).max();
        let recomputed_blocks = recomputed_blocks.unwrap_or(0);
        let mb = |bytes: u64| bytes as f64 / MEGABYTE as f64;
        let spec = self.trainer.policy.spec();
        let products = self.trainer.policy.products();
        let (parts, operations) = self.parts(count, mean_secs, matmul);
        BenchReport {
            model: ModelReport {
                name,
                parameters: self.trainer.policy.total_parameters(),
                trained_parameters: self.trainer.policy.trainable_parameters(),
                layers: spec.layers.len(),
                hidden_size: spec.hidden_size,
                intermediate_size: spec.intermediate_size,
                heads: spec.heads,
                kv_heads: spec.kv_heads,
                head_dim: spec.head_dim,
                vocab_size: spec.vocab_size,
            },
            device: DeviceReport::of(self.trainer.policy.place()),
            dtype: self.trainer.policy.weight_format(),
            products: products.remark().map_or(products.name().to_owned(), |why| format!("{} {why}", products.name())),
            recompute: recomputed_blocks > 0,
            recomputed_blocks,
            threads: rayon::current_num_threads(),
            pairs_per_step: self.options.pairs_per_step,
            row_tokens: self.row_tokens,
            objective: objective::formula(&self.options.objective),
            steps: steps.len(),
            step_s: median(steps.iter().map(|step| step.secs).collect()),
            cpu_s_per_step: cpu / count,
            pairs_per_s: per_second(&|_| self.options.pairs_per_step as f64),
            tokens_per_s: per_second(&|step| step.tokens as f64),
            computed_tokens_per_s: per_second(&|step| step.computed as f64),
            peak_memory_mb: mb(held.load_peak.max(held.step_peak)),
            host_peak_memory_mb: held.host_peak.map(mb),
            memory_before_steps_mb: mb(held.before),
            memory_above_mb: mb(held.step_peak.saturating_sub(held.before)),
            estimated_memory_mb: mb(self.trainer.policy.estimate_bytes(longest.0, longest.1)),
            matmul_share: operations / count / mean_secs / 1e9 / matmul.square_gflops,
            matmul: matmul.clone(),
            parts,
            kernels: Vec::new(),
            no_kernels: None,
            reference_s_per_pair: self.reference_secs,
            losses,
        }
    }

    /// The parts of a mean step, and all operations of all steps.
    fn parts(&self, count: f64, mean_secs: f64, matmul: &MatmulPeak) -> (Vec<PartReport>, f64) {
        let part = |name, secs: f64, operations: f64| {
            let gflops = (operations > 0.0).then(|| operations / secs / 1e9);
            PartReport {
                name,
                s: secs / count,
                share: secs / count / mean_secs,
                gflops,
                matmul_share: gflops.map(|gflops| gflops / matmul.square_gflops),
            }
        };
        let mut all = 0.0;
        let mut parts = vec![part("data", self.data.as_secs_f64(), 0.0)];
        for kind in StepPart::ALL {
            let (time, operations) = self.watch.taken(kind);
            if !time.is_zero() {
                all += operations as f64;
                parts.push(part(kind.name(), time.as_secs_f64(), operations as f64));
            }
        }
        let told: f64 = parts.iter().map(|part| part.s).sum();
        parts.push(part("other", (mean_secs - told).max(0.0) * count, 0.0));
        (parts, all)
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => f64::NAN,
        all if all.len() % 2 == 1 => all[middle],
        all => f64::midpoint(all[middle - 1], all[middle]),
    }
}
