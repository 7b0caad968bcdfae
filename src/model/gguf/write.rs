//! The whole model with its training folded in as one GGUF file, a tensor at a time.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    ops::ControlFlow,
    path::Path,
};

use half::{bf16, f16};

use super::{GgufModel, names, settings};
use crate::{
    LoadError, Policy, PolicyError, Result, Spec,
    merged::Change,
    source::Source,
    tensors::{EMBEDDING, HEAD, Role, TensorSpec},
};
use ::gguf::{BlockFormat, ElementType, build::Build};
use ::kernels::{Quantized, Tensor};

/// What the matrices of a GGUF file are stored as. Norms and biases are f32 in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GgufType {
    F32,
    F16,
    Bf16,
    #[default]
    Q8_0,
    /// The head, or an embedding that doubles as one, is Q6_K, as in llama.cpp's files of these names.
    Q4K,
    Q4_0,
}

impl GgufType {
    pub const ALL: [Self; 6] = [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4K, Self::Q4_0];

    /// Its name in file names and on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Q4_0 => "q4_0",
        }
    }

    /// `general.file_type`, a number of llama.cpp's `llama_ftype`.
    fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4K => 14,
            Self::Bf16 => 32,
        }
    }

    /// What one tensor is stored as. Rows that are no whole number of blocks take the next finer type whose blocks they
    /// fill, as in llama.cpp.
    fn of(self, tensor: &TensorSpec, tied: bool) -> ElementType {
        if tensor.role != Role::Matrix {
            return ElementType::F32;
        }
        let is_head = tensor.name == HEAD || (tied && tensor.name == EMBEDDING);
        let choices: &[BlockFormat] = match self {
            Self::F32 => return ElementType::F32,
            Self::F16 => return ElementType::F16,
            Self::Bf16 => return ElementType::Bf16,
            Self::Q8_0 => &[BlockFormat::Q8_0],
            Self::Q4K | Self::Q4_0 if is_head => &[BlockFormat::Q6K, BlockFormat::Q8_0],
            Self::Q4K => &[BlockFormat::Q4K, BlockFormat::Q5_0],
            Self::Q4_0 => &[BlockFormat::Q4_0],
        };
        let columns = tensor.shape.last().copied().unwrap_or(1);
        let fits = |format: &&BlockFormat| columns.is_multiple_of(format.numbers());
        choices.iter().find(fits).map_or(ElementType::F16, |format| ElementType::Blocks(*format))
    }
}

/// Hears of each tensor, by its Hugging Face name, what a reader of the file will find: its numbers as they were
/// rounded.
pub type OnTensor<'a> = dyn FnMut(&str, Vec<f32>) -> Result<()> + 'a;

/// Writes the model in `base` with the policy's training folded in into one new file. `about` holds what else the file
/// says: its name, its tokenizer. Tensors are read, changed, rounded and written one at a time. Before any of them is
/// written, what the file says of itself is read back; a model that its settings cannot describe is refused by what
/// they lack. `on_share` hears the share written and stops by breaking.
pub fn write_gguf(
    policy: &Policy,
    base: &Path,
    file: &Path,
    about: Build,
    kind: GgufType,
    on_share: &mut dyn FnMut(f32) -> ControlFlow<()>,
    on_tensor: &mut OnTensor<'_>,
) -> Result<(), LoadError> {
    let refused = |what: &str| LoadError::NoGguf { model: base.to_owned(), what: what.to_owned() };
    let failed = |source| LoadError::Write { path: file.to_owned(), source };
    let (spec, source) = Source::open(base)?;
    let architecture = names::whole_architecture(&spec);
    // llama.cpp's Qwen 3 has no place for them, though a file could hold them.
    if architecture == "qwen3" && spec.biases.qkv {
        return Err(refused("the biases of its attention"));
    }
    let mut build = settings::of(&spec).with(about);
    build = build.size("general.file_type", kind.file_type()).size("general.quantization_version", 2);
    let mut planned = Vec::new();
    for tensor in spec.tensors() {
        let own = names::tensor_name(architecture, &tensor.name).ok_or_else(|| refused(&tensor.name))?;
        let element = kind.of(&tensor, spec.tied);
        build = build.declared(&own, &tensor.shape, element);
        planned.push((tensor, element));
    }
    let mut out = File::create_new(file).map_err(failed)?;
    out.write_all(&build.beginning()).and_then(|()| out.set_len(build.byte_len() as u64)).map_err(failed)?;
    let read = Spec::from_gguf(&GgufModel::open(file)?)?;
    if let Some(what) = settings::difference(&spec, &read) {
        return Err(refused(what));
    }
    let mut changed = policy.changed()?;
    let total: usize = planned.iter().map(|(tensor, _)| tensor.shape.iter().product::<usize>()).sum();
    let mut written = 0;
    let mut planned = planned.into_iter();
    let mut out = BufWriter::with_capacity(1 << 20, out);
    build
        .write_rest(&mut out, &mut |_| {
            let (tensor, element) =
                planned.next().ok_or_else(|| Fault::Load(refused("a tensor more than it was said to have")))?;
            let values = values(&source, &tensor, changed.remove(&tensor.name))?;
            let (bytes, rounded) = Turned { spec: &spec, architecture, tensor: &tensor }.stored(values, element)?;
            on_tensor(&tensor.name, rounded).map_err(LoadError::Policy)?;
            written += tensor.shape.iter().product::<usize>();
            match on_share(written as f32 / total.max(1) as f32) {
                ControlFlow::Continue(()) => Ok(bytes),
                ControlFlow::Break(()) => Err(Fault::Load(LoadError::Stopped)),
            }
        })
        .map_err(|fault| match fault {
            Fault::Load(error) => error,
            Fault::Write(error) => failed(error),
        })?;
    if let Some(name) = changed.keys().min() {
        return Err(LoadError::Weights {
            path: base.to_owned(),
            reason: format!("`{name}` was trained, but its files have no tensor of that name"),
        });
    }
    out.flush().map_err(failed)
}

/// What stops the writing.
enum Fault {
    Load(LoadError),
    Write(std::io::Error),
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

fn values(source: &Source, tensor: &TensorSpec, change: Option<Change<'_>>) -> Result<Vec<f32>, LoadError> {
    let read = || source.read(&tensor.name, &tensor.shape);
    match change {
        None => read(),
        Some(change) => change.applied_to(read),
    }
}

/// A tensor on its way into the file: its rows in llama.cpp's order, its norms counted from zero.
struct Turned<'a> {
    spec: &'a Spec,
    architecture: &'a str,
    tensor: &'a TensorSpec,
}

impl Turned<'_> {
    /// The file's bytes of these values, and the values that are read back from them.
    fn stored(&self, mut values: Vec<f32>, element: ElementType) -> Result<(Vec<u8>, Vec<f32>), LoadError> {
        let TensorSpec { name, shape, .. } = self.tensor;
        let columns = if shape.len() > 1 { shape[1] } else { 1 };
        let path = name.rsplit_once('.').map_or(name.as_str(), |(path, _)| path);
        let order = names::row_order(self.spec, self.architecture, path);
        let from_zero = self.architecture.starts_with("gemma") && name.ends_with("norm.weight");
        if let Some(order) = &order {
            let mut turned = vec![0.0; values.len()];
            for (row, &to) in values.chunks(columns).zip(order) {
                turned[to * columns..][..columns].copy_from_slice(row);
            }
            values = turned;
        }
        if from_zero {
            for value in &mut values {
                *value += 1.0;
            }
        }
        let (bytes, mut rounded) = round(values, columns, element)?;
        if rounded.iter().any(|value| !value.is_finite()) {
            return Err(LoadError::NotFinite { tensor: name.clone(), element: element.name() });
        }
        if from_zero {
            for value in &mut rounded {
                *value -= 1.0;
            }
        }
        if let Some(order) = &order {
            let stored = rounded.clone();
            for (row, &from) in rounded.chunks_mut(columns).zip(order) {
                row.copy_from_slice(&stored[from * columns..][..columns]);
            }
        }
        Ok((bytes, rounded))
    }
}

/// Bytes in this element type, and the numbers that they stand for.
fn round(values: Vec<f32>, columns: usize, element: ElementType) -> Result<(Vec<u8>, Vec<f32>), LoadError> {
    let halves = |bits: &dyn Fn(f32) -> u16, wide: &dyn Fn(u16) -> f32| {
        let halves: Vec<u16> = values.iter().map(|&value| bits(value)).collect();
        let bytes = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
        (bytes, halves.into_iter().map(wide).collect())
    };
    let format = match element {
        ElementType::F16 => {
            return Ok(halves(&|value| f16::from_f32(value).to_bits(), &|bits| f16::from_bits(bits).to_f32()));
        }
        ElementType::Bf16 => {
            return Ok(halves(&|value| bf16::from_f32(value).to_bits(), &|bits| bf16::from_bits(bits).to_f32()));
        }
        ElementType::Blocks(format) => format,
        _ => return Ok((values.iter().flat_map(|value| value.to_le_bytes()).collect(), values)),
    };
    let blocks = Quantized::quantize(format, &values, values.len() / columns, columns);
    let blocks = blocks.map_err(|error| LoadError::Policy(PolicyError::from(error)))?;
    Ok((blocks.stored().to_vec(), blocks.dequantize()))
}

impl Policy {
    /// Puts values in the place of those of one trained tensor.
    pub fn set_tensor(&mut self, name: &str, values: Vec<f32>) -> Result<()> {
        let Some((view, slot)) = self.parameters.view(name)? else {
            return Err(PolicyError::Usage(format!("`{name}` is not trained")));
        };
        let flat = Tensor::from_vec(values, view.elem_count(), &self.place)?;
        Ok(self.parameters.values().set_rows(slot.offset, &flat)?)
    }
}
