//! Tiny models with what PyTorch, Transformers, PEFT and TRL compute on them. Read from `tests/fixtures`, or from the
//! folder that `NUDGE_FIXTURES` names (with `models/` and `expected/` in it), where every model of a supported family
//! is tried.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use candle_core::{DType, Device, Tensor};
use nudge::{
    data::config::{Precision, Recompute, Targets},
    kernels::{
        self, Compute, Kernels, Multiplier,
        gpu::{Card, CardOptions},
    },
    model::{AdapterShape, LoadOptions, Policy, Spec},
};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

/// Of a number's power of two: bf16 has eight bits, so rounding to nearest moves a number by up to half of 2⁻⁷ of it.
const HALF_A_UNIT_OF_BF16: f64 = 1.0 / 256.0;

/// Which kernels compute, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The processor's own.
    Processor,
    /// The same in bf16, products by this. Not among [`Self::all`]: its bounds are bf16's.
    Bf16(Multiplier),
    /// Those composed of candle's operations, on the processor.
    Composed,
    /// Our own on a graphics card: on most test machines the processor in disguise.
    Card,
    /// The same on the first CUDA device.
    #[cfg(feature = "cuda")]
    Cuda,
}

impl Place {
    /// Those that can be tried here: a card where a driver answers (always, with `CI` set), CUDA only in a build with
    /// it, on a machine that has it.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Processor, Self::Composed];
        all.extend(card().map(|_| Self::Card));
        #[cfg(feature = "cuda")]
        let all = {
            use nudge::kernels::device::{DeviceChoice, open};
            let mut all = all;
            match open(DeviceChoice::Cuda(0)) {
                Ok(_) => all.push(Self::Cuda),
                Err(error) => eprintln!("not tried on CUDA: {error}"),
            }
            all
        };
        all
    }

    /// In bf16 by all that this processor has, plain loops and f32 products among them.
    pub fn all_in_bf16() -> Vec<Self> {
        for lacking in Multiplier::ALL.into_iter().filter(|by| !by.is_present()) {
            eprintln!("not tried by {}: this processor lacks it", lacking.name());
        }
        Multiplier::present().map(Self::Bf16).collect()
    }

    pub fn device(self) -> kernels::Place {
        match self {
            Self::Processor | Self::Bf16(_) | Self::Composed => kernels::Place::CPU,
            Self::Card => kernels::Place::Gpu(card().unwrap()),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                use nudge::kernels::device::{DeviceChoice, open};
                open(DeviceChoice::Cuda(0)).unwrap().place
            }
        }
    }

    pub fn kernels(self, activations: DType) -> Arc<dyn Kernels> {
        match self {
            Self::Processor => kernels::cpu(),
            Self::Bf16(by) => kernels::cpu_in(Compute::Bf16(by)),
            Self::Composed => kernels::composed(activations).unwrap(),
            Self::Card => kernels::device::kernels_for(&self.device(), activations, Compute::F32).unwrap(),
            #[cfg(feature = "cuda")]
            Self::Cuda => kernels::composed(activations).unwrap(),
        }
    }
}

/// The first graphics card, whose new buffers are full of NaN; `None`, with a printed reason, where no driver answers.
pub fn card() -> Option<Arc<Card>> {
    static CARD: OnceLock<Option<Arc<Card>>> = OnceLock::new();
    let opened = CARD.get_or_init(|| match Card::open(0, CardOptions { poison: true, ..CardOptions::default() }) {
        Ok(card) => Some(card),
        Err(error) if std::env::var_os("CI").is_some() => panic!("with CI set a card must answer: {error}"),
        Err(error) => {
            eprintln!("not tried on a graphics card: {error}");
            None
        }
    });
    opened.clone()
}

pub struct Fixture {
    pub name: String,
    /// Where its policies compute.
    pub place: Place,
    /// The model, as Hugging Face lays it out.
    pub folder: PathBuf,
    /// A PEFT adapter for it, A and B not zero.
    pub adapter: PathBuf,
    /// `expected.json`.
    pub expected: Value,
    /// `expected.safetensors`; empty where only the small files were kept.
    pub tensors: HashMap<String, Tensor>,
    /// `adapter_logits.safetensors`, likewise.
    pub adapter_logits: HashMap<String, Tensor>,
}

pub fn root() -> PathBuf {
    std::env::var_os("NUDGE_FIXTURES").map_or_else(own_root, PathBuf::from)
}

/// The project's own set.
pub fn own_root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Every fixture whose family can be loaded, by name, in every place.
pub fn all() -> Vec<Fixture> {
    all_in(&Place::all())
}

/// The same in these places.
pub fn all_in(places: &[Place]) -> Vec<Fixture> {
    let models = root().join("models");
    let mut names: Vec<String> = fs::read_dir(&models)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !refused_for_its_type(&models.join(name)))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no model of a supported family in {}", models.display());
    let read = |place: Place| {
        // Where the card is the processor in disguise, a model takes a minute of every core.
        let step = if place == Place::Card { 4 } else { 1 };
        names.iter().step_by(step).map(move |name| Fixture::read(name, place))
    };
    places.iter().flat_map(|place| read(*place)).collect()
}

/// One with every file, of the project's own set; its name is the same in any other seed's set.
pub fn one(name: &str) -> Fixture {
    one_on(name, Place::Processor)
}

/// The same in another place.
pub fn one_on(name: &str, place: Place) -> Fixture {
    Fixture::read(name, place)
}

/// Only an unknown family excuses a model from the tests; a fault in a known one must show.
fn refused_for_its_type(folder: &Path) -> bool {
    matches!(Spec::read(folder), Err(error) if error.to_string().contains("known types"))
}

/// How far apart two lists of numbers are, by some measure.
pub type Distance = fn(&[f64], &[f64]) -> f64;

impl Fixture {
    fn read(name: &str, place: Place) -> Self {
        let expected = root().join("expected").join(name);
        let text = fs::read_to_string(expected.join("expected.json")).unwrap();
        let tensors = |file: &str| {
            let path = expected.join(file);
            if path.is_file() { candle_core::safetensors::load(path, &Device::Cpu).unwrap() } else { HashMap::new() }
        };
        Self {
            name: format!("{name} ({place:?})"),
            place,
            folder: root().join("models").join(name),
            adapter: expected.join("adapter"),
            expected: serde_json::from_str(&text).unwrap(),
            tensors: tensors("expected.safetensors"),
            adapter_logits: tensors("adapter_logits.safetensors"),
        }
    }

    /// The same model in another place.
    pub fn at(&self, place: Place) -> Self {
        let name = self.name.split(' ').next().unwrap();
        Self { folder: self.folder.clone(), ..Self::read(name, place) }
    }

    /// A copy of the model in `to` whose matrices are in f32, each number moved by up to `share` of its power of two,
    /// at random.
    pub fn moved(&self, share: f64, seed: u64, to: &Path) -> Self {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        for entry in fs::read_dir(&self.folder).unwrap() {
            let from = entry.unwrap().path();
            let to = to.join(from.file_name().unwrap());
            if from.extension().is_none_or(|extension| extension != "safetensors") {
                fs::copy(&from, &to).unwrap();
                continue;
            }
            let mut tensors: Vec<_> =
                candle_core::safetensors::load(&from, &Device::Cpu).unwrap().into_iter().collect();
            tensors.sort_by(|a, b| a.0.cmp(&b.0));
            let moved = tensors.into_iter().map(|(name, tensor)| {
                if tensor.rank() != 2 {
                    return (name, tensor);
                }
                let mut values: Vec<f32> =
                    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
                for value in values.iter_mut().filter(|value| **value != 0.0) {
                    let power = f64::from(value.abs()).log2().floor().exp2();
                    *value = (f64::from(*value) + power * share * rng.random_range(-1.0..1.0)) as f32;
                }
                (name, Tensor::from_vec(values, tensor.shape(), &Device::Cpu).unwrap())
            });
            candle_core::safetensors::save(&moved.collect::<HashMap<_, _>>(), to).unwrap();
        }
        Self { folder: to.to_owned(), ..self.at(self.place) }
    }

    /// How far off rounding to bf16 may bring what `measure` gives of this model, each by its own `distance`: twice
    /// what it takes to move every number of its matrices by as much as rounding does, in f32 arithmetic and at random.
    /// Rounding both factors of a product is twice that in square; the rest is for the chance in either.
    pub fn bf16_bounds<const N: usize>(
        &self,
        distances: [Distance; N],
        measure: impl Fn(&Self) -> [Vec<f64>; N],
    ) -> [f64; N] {
        const TIMES: f64 = 2.0;
        const COPIES: u64 = 3;
        let exact = measure(self);
        let mut most = [0.0_f64; N];
        for seed in 0..COPIES {
            let dir = tempfile::tempdir().unwrap();
            let moved = measure(&self.moved(HALF_A_UNIT_OF_BF16, seed, dir.path()));
            for (i, most) in most.iter_mut().enumerate() {
                *most = most.max(distances[i](&moved[i], &exact[i]));
            }
        }
        most.map(|most| TIMES * most)
    }

    /// Nothing is trained.
    pub fn base(&self) -> Policy {
        self.load(&LoadOptions::default())
    }

    /// Every weight is trained.
    pub fn full(&self) -> Policy {
        self.load(&LoadOptions { full: true, ..LoadOptions::default() })
    }

    /// The fixture's adapter is trained.
    pub fn lora(&self) -> Policy {
        self.lora_with(|_| {})
    }

    /// The fixture's adapter is trained, with other options.
    pub fn lora_with(&self, change: impl FnOnce(&mut LoadOptions)) -> Policy {
        let mut options = Self::adapter_options();
        change(&mut options);
        let mut policy = self.load(&options);
        policy.set_trainable(&for_policy(self.adapter_tensors())).unwrap();
        policy
    }

    /// What the fixture's adapter needs.
    pub fn adapter_options() -> LoadOptions {
        LoadOptions {
            adapter: Some(AdapterShape {
                rank: 4,
                alpha: 8.0,
                rslora: false,
                dropout: 0.0,
                targets: Targets::AllLinear,
                seed: 0,
            }),
            recompute: Recompute::Never,
            ..LoadOptions::default()
        }
    }

    pub fn load(&self, options: &LoadOptions) -> Policy {
        let loaded = if let Place::Bf16(by) = self.place {
            let options = LoadOptions { precision: Precision::Bf16, multiplier: Some(by), ..options.clone() };
            Policy::load(&self.folder, &options)
        } else {
            let kernels = self.place.kernels(DType::F32);
            Policy::load_with(&self.folder, options, kernels, &self.place.device())
        };
        loaded.unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    pub fn adapter_tensors(&self) -> Vec<(String, Tensor)> {
        let path = self.adapter.join("adapter_model.safetensors");
        candle_core::safetensors::load(path, &Device::Cpu).unwrap().into_iter().collect()
    }

    /// Token ids of the batch's `input_ids.<which>`, one row.
    pub fn input_ids(&self, which: &str) -> Option<Vec<u32>> {
        let ids = self.tensors.get(&format!("input_ids.{which}"))?;
        Some(ids.flatten_all().unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap())
    }

    pub fn pairs(&self) -> Vec<[Vec<u32>; 3]> {
        let pairs = self.expected["preference"]["pairs"].as_array().unwrap();
        pairs.iter().map(|pair| ["prompt", "chosen", "rejected"].map(|key| ids(&pair[key]))).collect()
    }
}

pub fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// All elements as f64.
pub fn elements(tensor: &impl Elements) -> Vec<f64> {
    tensor.elements()
}

/// Tensors of files and of policies.
pub trait Elements {
    fn elements(&self) -> Vec<f64>;
}

impl Elements for Tensor {
    fn elements(&self) -> Vec<f64> {
        self.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }
}

impl Elements for kernels::Tensor {
    fn elements(&self) -> Vec<f64> {
        self.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
    }
}

/// What a file holds, for a policy.
pub fn for_policy(tensors: Vec<(String, Tensor)>) -> Vec<(String, kernels::Tensor)> {
    tensors.into_iter().map(|(name, tensor)| (name, tensor.into())).collect()
}

/// ‖got − want‖ / ‖want‖.
pub fn relative(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let difference: f64 = got.iter().zip(want).map(|(g, w)| (g - w).powi(2)).sum();
    let size: f64 = want.iter().map(|w| w.powi(2)).sum();
    if difference == 0.0 { 0.0 } else { (difference / size).sqrt() }
}

pub fn largest_difference(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max)
}
