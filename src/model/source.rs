//! Where a model comes from: a Hugging Face folder, or a GGUF file.

use std::path::Path;

use data::config::Precision;
use half::bf16;

use super::{
    LoadError, Spec,
    gguf::{self, GgufModel},
    identity::{Identity, PIECE},
    tensors::{EMBEDDING, HEAD},
    wanted::Wanted,
    weights::Weights,
};
use ::gguf::Gguf;
use ::kernels::{BlockFormat, Quantized};

/// The weights of a model, wherever they are stored.
pub(super) enum Source {
    Folder(Weights),
    Gguf(Box<GgufModel>),
}

/// How a tensor lies in its file, and what it takes in memory.
pub(super) struct Stored {
    /// `F32`, `BF16`, `Q4_K`, ..
    pub(super) name: String,
    /// Bytes, as a matrix that is not trained.
    pub(super) held: u64,
}

impl Source {
    /// Reads the settings of a model and opens its weights.
    pub(super) fn open(model: &Path) -> Result<(Spec, Self), LoadError> {
        if let Some(path) = Gguf::find(model) {
            let file = GgufModel::open(&path)?;
            let spec = Spec::from_gguf(&file)?;
            return Ok((spec, Self::Gguf(Box::new(file))));
        }
        let (spec, weights) = open_folder(model)?;
        Ok((spec, Self::Folder(weights)))
    }

    /// What was decided where the files of a folder do not agree, as sentences.
    pub(super) fn remarks(&self) -> &[String] {
        match self {
            Self::Folder(weights) => weights.remarks(),
            Self::Gguf(_) => &[],
        }
    }

    /// Errors unless the tensor is there, has this shape, and an element type that can be read.
    pub(super) fn expect(&self, name: &str, shape: &[usize]) -> Result<(), LoadError> {
        match self {
            Self::Folder(weights) => weights.expect(name, shape),
            Self::Gguf(file) => file.expect(name, shape),
        }
    }

    /// Widens a tensor's elements into `values`, which must be as long.
    pub(super) fn read_into(&self, name: &str, shape: &[usize], values: &mut [f32]) -> Result<(), LoadError> {
        match self {
            Self::Folder(weights) => weights.read_into(name, shape, values),
            Self::Gguf(file) => file.read_into(name, shape, values),
        }
    }

    /// Whether the model's own file has this matrix in blocks.
    pub(super) fn has_blocks(&self, name: &str, shape: [usize; 2]) -> Result<bool, LoadError> {
        match self {
            Self::Folder(_) => Ok(false),
            Self::Gguf(file) => Ok(file.quantized(name, shape)?.is_some()),
        }
    }

    /// A tensor's elements as f32.
    pub(super) fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let mut values = vec![0.0; shape.iter().product()];
        self.read_into(name, shape, &mut values)?;
        Ok(values)
    }

    /// What a matrix is stored as and takes in memory; errors unless the tensor is there and can be read.
    pub(super) fn stored(&self, name: &str, shape: &[usize]) -> Result<Stored, LoadError> {
        self.expect(name, shape)?;
        let count: usize = shape.iter().product();
        Ok(match self {
            Self::Folder(weights) => Stored {
                name: format!("{:?}", weights.stored(name)?.0),
                held: count as u64 * if weights.is_bf16(name) { 2 } else { 4 },
            },
            Self::Gguf(file) => {
                let info = file.find(name, shape)?;
                let in_blocks = info.element.block().is_some_and(|(numbers, _)| numbers > 1);
                Stored {
                    name: info.element.name(),
                    held: if in_blocks { info.bytes.len() as u64 } else { 4 * count as u64 },
                }
            }
        })
    }

    /// Whether the model's own file has this tensor in bf16.
    pub(super) fn is_bf16(&self, name: &str) -> bool {
        match self {
            Self::Folder(weights) => weights.is_bf16(name),
            Self::Gguf(_) => false,
        }
    }

    /// A tensor's elements as bf16: as the file has them, or rounded.
    pub(super) fn read_bf16(&self, name: &str, shape: &[usize]) -> Result<Vec<bf16>, LoadError> {
        if let Self::Folder(weights) = self
            && let Some(values) = weights.read_bf16(name, shape)?
        {
            return Ok(values);
        }
        let values = self.read(name, shape)?;
        Ok(values.into_iter().map(bf16::from_f32).collect())
    }

    /// A frozen matrix in blocks: as the file has it, or rounded while it is read. Nothing when it is to stay dense.
    pub(super) fn quantized(
        &self,
        name: &str,
        shape: [usize; 2],
        precision: Precision,
    ) -> Result<Option<Quantized>, LoadError> {
        if precision == Precision::Auto
            && let Self::Gguf(file) = self
        {
            return file.quantized(name, shape);
        }
        let Some(format) = blocks(precision, name, shape[1]) else {
            return Ok(None);
        };
        let values = self.read(name, &shape)?;
        Quantized::quantize(format, &values, shape[0], shape[1])
            .map(Some)
            .map_err(|error| LoadError::Weights { path: self.path().to_owned(), reason: format!("`{name}`: {error}") })
    }

    /// Tensors that no name of `known` means; what every folder may have besides is left out.
    pub(super) fn unused(&self, spec: &Spec) -> Vec<String> {
        let known = spec.tensors().map(|tensor| tensor.name);
        match self {
            Self::Gguf(file) => file.unused(known),
            Self::Folder(weights) => {
                let known: std::collections::HashSet<String> = known.map(|name| weights.stored_name(&name)).collect();
                weights
                    .decoder_names()
                    .filter(|name| !known.contains(*name) && !name.ends_with("rotary_emb.inv_freq"))
                    .filter(|name| !(spec.tied && *name == HEAD))
                    .map(str::to_owned)
                    .collect()
            }
        }
    }

    /// Adds every file that decides the model's numbers.
    pub(super) fn identify(&self, identity: &mut Identity, wanted: &Wanted<'_>) {
        // What is not wanted any more is not read: of a file that stands in no memory yet that is what takes long.
        let while_wanted = |each: &mut dyn FnMut(&[u8]), run: &[u8]| {
            if wanted.holds() {
                each(run);
            }
        };
        match self {
            Self::Folder(weights) => {
                for file in weights.files() {
                    identity.add_read(file.path(), |each| file.read(&mut |run| while_wanted(each, run)));
                }
            }
            Self::Gguf(file) => identity.add_read(file.path(), |each| {
                file.bytes().chunks(16 * PIECE).for_each(|run| while_wanted(each, run));
            }),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Folder(weights) => weights.files().first().map_or(Path::new(""), |file| file.path()),
            Self::Gguf(file) => file.path(),
        }
    }
}

/// The settings and the weights of a Hugging Face folder.
pub(super) fn open_folder(model: &Path) -> Result<(Spec, Weights), LoadError> {
    let mut spec = Spec::read_folder(model)?;
    let mut weights = Weights::open(model)?;
    // As in Transformers: two tables that differ are two, whatever the config says, and one stands for both,
    // whichever of the two it is.
    if spec.tied && weights.differ(EMBEDDING, HEAD) {
        spec.tied = false;
        weights.remark(format!(
            "{} holds `{HEAD}` and `{EMBEDDING}` with different values, though its config ties them \
             (`tie_word_embeddings`): they are kept apart, as Transformers does",
            model.display()
        ));
    } else if spec.tied && weights.shape(EMBEDDING).is_none() && weights.shape(HEAD).is_some() {
        weights.let_stand_for(EMBEDDING, HEAD);
    }
    Ok((spec, weights))
}

/// The blocks that a frozen matrix with rows of `columns` numbers is rounded to.
///
/// Four bits are [`BlockFormat::Q4K`], which loses less than `Q4_0` at the same size (7.5 % of normally distributed
/// weights' size, root mean square, against 8.6 %). Its blocks hold 256 numbers; rows that are no multiple of that
/// take 5.5 bits, as in llama.cpp. The embedding and the head keep 8 bits: they are what every token passes through.
/// Rows that fit no block stay dense.
fn blocks(precision: Precision, name: &str, columns: usize) -> Option<BlockFormat> {
    let table = name == EMBEDDING || name == HEAD;
    let format = match precision {
        Precision::Q4K if table => BlockFormat::Q8_0,
        Precision::Q4K if columns.is_multiple_of(BlockFormat::Q4K.numbers()) => BlockFormat::Q4K,
        Precision::Q4K => BlockFormat::Q5_0,
        Precision::Q8_0 => BlockFormat::Q8_0,
        Precision::Auto | Precision::F32 | Precision::Bf16 => return None,
    };
    columns.is_multiple_of(format.numbers()).then_some(format)
}

impl Spec {
    /// The settings of a model, of a folder or of a GGUF file, without its weights.
    pub fn read(model: &Path) -> Result<Self, LoadError> {
        match Gguf::find(model) {
            Some(path) => Self::from_gguf(&GgufModel::open(&path)?),
            None => Self::read_folder(model),
        }
    }

    /// A sentence unless GGUF files of this architecture can be read.
    pub fn check_gguf(architecture: &str) -> Result<(), String> {
        gguf::check_architecture(architecture)
    }

    pub(super) fn from_gguf(file: &GgufModel) -> Result<Self, LoadError> {
        let text = serde_json::Value::Object(file.config().clone()).to_string();
        Self::parse(&text).map_err(|reason| LoadError::Config { path: file.path().to_owned(), reason })
    }
}
