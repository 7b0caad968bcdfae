//! The whole model with its adapters folded in, as a Hugging Face folder: `W + Σ scale·B A`.

mod files;

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use half::{bf16, f16};
use safetensors::{Dtype, View};

pub(super) use files::Change;
pub use files::{MergedOptions, write_merged};

use super::{
    LoadError, Policy, PolicyError, Result,
    projection::Projection,
    source, tensor_file,
    tensors::{EMBEDDING, HEAD},
};
use ::kernels::{Tensor, Weight};

/// The element type of the written weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightType {
    #[default]
    F32,
    F16,
    Bf16,
}

impl WeightType {
    fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }

    /// `torch_dtype` of the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::Bf16 => "bfloat16",
        }
    }

    fn bytes(self, values: &[f32]) -> Vec<u8> {
        match self {
            Self::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Self::F16 => values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect(),
            Self::Bf16 => values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect(),
        }
    }
}

/// Writes `config.json` and `model.safetensors` into `dir`, which is created. Tokenizer files are the caller's
/// business.
pub fn save_merged(policy: &Policy, dir: &Path, stored: WeightType) -> Result<(), LoadError> {
    let path = dir.join("model.safetensors");
    let failed = |source| LoadError::Write { path: path.clone(), source };
    // What was rounded on the way in is read again as it was; blocks that the file itself has would round the adapter
    // away.
    let original = match (policy.has_blocks(), policy.precision.rounds()) {
        // On an accelerator the blocks were widened, but they are rounded all the same.
        (_, true) => Some(source::Source::open(&policy.model)?.1),
        (false, false) => None,
        (true, false) => {
            return Err(LoadError::MergedBlocks { path: policy.model.clone() });
        }
    };
    fs::create_dir_all(dir).map_err(failed)?;
    let tensors = policy.sources();
    let trained = policy.parameters().entries();
    let is_trained = |name: &str| trained.iter().any(|entry| entry.name == name);
    let fault = RefCell::new(None);
    let views = policy.spec().tensors().map(|spec| {
        let merged = Merged {
            source: &tensors[&spec.name],
            original: original.as_ref().filter(|_| !is_trained(&spec.name)),
            name: spec.name.clone(),
            shape: spec.shape,
            stored,
            fault: &fault,
        };
        (spec.name, merged)
    });
    tensor_file::write(&path, views, "pt")?;
    if let Some(error) = fault.take() {
        fs::remove_file(&path).map_err(failed)?;
        return Err(error);
    }
    let config = format!("{:#}\n", policy.spec().to_config_json(stored.name()));
    fs::write(dir.join("config.json"), config).map_err(failed)
}

impl Policy {
    /// ‖ΔW‖ of the adapters by the kind of layer (`q_proj`, ..), over all blocks, Frobenius.
    pub fn adapter_norms(&self) -> Result<BTreeMap<String, f64>> {
        let mut squares: BTreeMap<String, f64> = BTreeMap::new();
        for projection in self.blocks.iter().flat_map(super::block::Block::projections) {
            let Some((first, rest)) = projection.adapters().split_first() else {
                continue;
            };
            let mut sum = first.delta()?;
            for lora in rest {
                for (value, more) in sum.iter_mut().zip(lora.delta()?) {
                    *value += more;
                }
            }
            let path = projection.path();
            let kind = path.rsplit('.').next().unwrap_or(path).to_owned();
            *squares.entry(kind).or_default() += sum.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>();
        }
        Ok(squares.into_iter().map(|(kind, sum)| (kind, sum.sqrt())).collect())
    }
}

/// A tensor as it will be written; adapters are folded in when it is its turn, so that one copy exists at a time.
enum Source<'a> {
    Plain(&'a Tensor),
    Matrix(&'a Weight),
    Adapted(&'a Projection),
}

struct Merged<'a> {
    source: &'a Source<'a>,
    /// The model before it was rounded.
    original: Option<&'a source::Source>,
    name: String,
    shape: Vec<usize>,
    stored: WeightType,
    /// Where the first failure goes: the trait has no room for one.
    fault: &'a RefCell<Option<LoadError>>,
}

impl View for Merged<'_> {
    fn dtype(&self) -> Dtype {
        self.stored.dtype()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.values() {
            Ok(values) => Cow::Owned(self.stored.bytes(&values)),
            Err(error) => {
                self.fault.borrow_mut().get_or_insert(error);
                Cow::Owned(vec![0; self.data_len()])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.stored.dtype().bitsize() / 8
    }
}

impl Merged<'_> {
    fn values(&self) -> Result<Vec<f32>, LoadError> {
        match self.source {
            Source::Plain(tensor) => Ok(tensor.to_vec().map_err(PolicyError::from)?),
            Source::Matrix(weight) => self.dense(weight),
            Source::Adapted(projection) => {
                let mut values = self.dense(&projection.linear().weight)?;
                for lora in projection.adapters() {
                    let delta = lora.delta().map_err(PolicyError::from)?;
                    values.iter_mut().zip(delta).for_each(|(value, delta)| *value += delta);
                }
                Ok(values)
            }
        }
    }

    fn dense(&self, weight: &Weight) -> Result<Vec<f32>, LoadError> {
        match self.original {
            Some(original) => original.read(&self.name, &self.shape),
            None => Ok(weight.to_vec().map_err(PolicyError::from)?),
        }
    }
}

impl Policy {
    fn sources(&self) -> HashMap<String, Source<'_>> {
        let mut tensors = HashMap::new();
        tensors.insert(EMBEDDING.to_owned(), Source::Matrix(&self.embedding));
        tensors.insert(self.final_norm.name.clone(), Source::Plain(&self.final_norm.weight));
        tensors.insert(HEAD.to_owned(), Source::Matrix(&self.head));
        for block in &self.blocks {
            for norm in block.norms() {
                tensors.insert(norm.name.clone(), Source::Plain(&norm.weight));
            }
            for projection in block.projections() {
                let path = projection.path();
                tensors.insert(format!("{path}.weight"), Source::Adapted(projection));
                if let Some(bias) = &projection.linear().bias {
                    tensors.insert(format!("{path}.bias"), Source::Plain(bias));
                }
            }
        }
        tensors
    }
}
