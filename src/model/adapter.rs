//! Adapters in and out, in the three layouts that other tools read.
//!
//! - `peft`: `adapter_config.json` and `adapter_model.safetensors`, the common tongue.
//! - `mlx`: what mlx-lm reads, both factors transposed. `gguf`: what llama.cpp reads, rows of q and k in its order.
//! - `factors`: the one A and B of each layer that any of them writes; `files`: what reading them has in common;
//!   `config`: the keys of PEFT's config; `chosen`: the layers that it means.
//!
//! Reading refuses by name whatever would change the numbers and is not understood, and any tensor that is not an A or
//! B of a known layer.

mod chosen;
mod config;
mod factors;
mod files;
mod gguf;
mod mlx;
mod peft;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use self::{factors::AdapterPart, files::LoadedAdapter};
use self::{
    factors::Factors,
    files::{CONFIG, unusable},
};
use super::{LoadError, Policy, Spec};

/// Whose files an adapter is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdapterFormat {
    /// Hugging Face PEFT, which vLLM and others read too.
    #[default]
    Peft,
    /// mlx-lm.
    Mlx,
    /// llama.cpp: one GGUF file.
    Gguf,
}

impl AdapterFormat {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Peft, Self::Mlx, Self::Gguf];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peft => "peft",
            Self::Mlx => "mlx",
            Self::Gguf => "gguf",
        }
    }
}

/// Reads an adapter for a model of this spec: a PEFT or an mlx-lm folder, or a GGUF file.
pub fn load(path: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    if is_mlx(path) {
        return mlx::load(path, spec);
    }
    let is_peft = path.join(peft::TENSORS).is_file();
    match ::gguf::Gguf::find(path).filter(|_| !is_peft) {
        Some(file) => gguf::load(&file, spec),
        None => peft::load(path, spec),
    }
}

/// The folder of a model, if a PEFT adapter lies beside its weights: Transformers applies it without being asked.
pub fn beside(model: &Path) -> Option<PathBuf> {
    let has = |name: &str| fs::symlink_metadata(model.join(name)).is_ok();
    (has("config.json") && has(CONFIG) && !is_mlx(model)).then(|| model.to_owned())
}

/// Whether an adapter's folder is one of mlx-lm, which nobody applies unasked.
fn is_mlx(dir: &Path) -> bool {
    !dir.join(peft::TENSORS).is_file() && dir.join(mlx::TENSORS).is_file()
}

/// Writes one adapter into the folder `dir`, which is created. `base_model` is what it says it belongs to.
///
/// [`AdapterPart::Sum`] stacks the rows of frozen adapters and of the trained one, so that the result on the bare base
/// model is this policy.
pub fn save(
    policy: &Policy,
    dir: &Path,
    layout: AdapterFormat,
    part: AdapterPart,
    base_model: &str,
) -> Result<(), LoadError> {
    let factors = Factors::of(policy, part, dir)?;
    fs::create_dir_all(dir).map_err(|source| LoadError::Write { path: dir.to_owned(), source })?;
    if factors.score.is_some() && layout != AdapterFormat::Peft {
        return Err(unusable(dir)(format!("{} reads no reward models; export it for PEFT", layout.name())));
    }
    match layout {
        AdapterFormat::Peft => peft::save(&factors, policy.spec(), dir, base_model),
        AdapterFormat::Mlx => mlx::save(&factors, policy.spec(), dir, base_model),
        AdapterFormat::Gguf => gguf::save(&factors, policy.spec(), dir, base_model),
    }
}
