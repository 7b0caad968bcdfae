//! A GGUF file that llama.cpp takes with `--lora`: for each adapted tensor `<its name>.lora_a` `[r, in]` and `.lora_b`
//! `[out, r]`, rows of q and k in the file's order, and ΔW = `adapter.lora.alpha` / r · B A.
//!
//! Source: `convert_lora_to_gguf.py` and `src/llama-adapter.cpp` of llama.cpp. It has no rank-stabilised scale, so the
//! alpha written is the one that makes the same scale.

use std::{collections::BTreeMap, path::Path};

use half::{bf16, f16};

use super::{
    factors::{Factors, Shaped},
    files::{Halves, LoadedAdapter, finish, frozen, put_half, take_halves, unusable},
};
use crate::{
    LoadError, Spec,
    gguf::names::{architecture, row_order, tensor_name},
    identity::Identity,
};
use ::gguf::{ElementType, Gguf, build::Build};

/// The file's name in its folder.
pub(super) const FILE: &str = "adapter.gguf";
const HALVES: [&str; 2] = [".lora_a", ".lora_b"];

/// Reads an adapter file for a model of this spec.
pub(super) fn load(path: &Path, spec: &Spec) -> Result<LoadedAdapter, LoadError> {
    let fault = unusable(path);
    let file = Gguf::open(path).map_err(|error| LoadError::Gguf(error.to_string()))?;
    let expected = architecture(spec);
    for (key, wanted) in [("general.type", "adapter"), ("adapter.type", "lora"), ("general.architecture", expected)] {
        let found = file.text(key).unwrap_or_default();
        if found != wanted {
            return Err(fault(format!("its `{key}` is {found:?}, expected {wanted:?}")));
        }
    }
    // llama.cpp takes 0, and so an absent one, for a scale of 1.
    let alpha = file.number("adapter.lora.alpha").filter(|&alpha| alpha != 0.0);
    let mut halves = halves(&file).map_err(&fault)?;
    let mut loras = BTreeMap::new();
    for linear in spec.all_linears() {
        let Some(own) = tensor_name(expected, &linear.weight()) else {
            continue;
        };
        let Some((a, b)) = take_halves(&mut halves, &own).map_err(&fault)? else {
            continue;
        };
        let rank = file.tensor(&b).and_then(|info| info.shape.last().copied());
        let rank = rank.filter(|&rank| rank > 0).unwrap_or(1);
        let a = read(&file, &a, [rank, linear.input]).map_err(&fault)?;
        let mut b = read(&file, &b, [linear.output, rank]).map_err(&fault)?;
        if let Some(order) = row_order(spec, expected, &linear.path) {
            let stored = b.clone();
            for (row, &from) in b.chunks_mut(rank).zip(&order) {
                row.copy_from_slice(&stored[from * rank..][..rank]);
            }
        }
        let scale = alpha.map_or(1.0, |alpha| alpha / rank as f64);
        let lora = frozen(&linear, rank, a, b, scale)?;
        loras.insert(linear.path, lora);
    }
    let mut identity = Identity::default();
    identity.add_file(path, file.bytes());
    finish(halves, loras, identity, Vec::new()).map_err(fault)
}

fn halves(file: &Gguf) -> Result<Halves, String> {
    let mut halves = Halves::new();
    for name in file.tensor_names() {
        let found = HALVES.into_iter().enumerate();
        let mut found = found.filter_map(|(half, end)| Some((name.strip_suffix(end)?, half)));
        let Some((path, half)) = found.next() else {
            return Err(format!("`{name}` is not the A or B of a matrix"));
        };
        put_half(&mut halves, path, half, name)?;
    }
    Ok(halves)
}

fn read(file: &Gguf, name: &str, shape: [usize; 2]) -> Result<Vec<f32>, String> {
    let info = file.tensor(name).filter(|info| info.shape == shape).ok_or_else(|| {
        let found = file.tensor(name).map(|info| info.shape.clone());
        let found = found.unwrap_or_default();
        format!("`{name}` has shape {found:?}, but this model makes {shape:?}; it belongs to another model")
    })?;
    let bytes = &file.bytes()[info.bytes.clone()];
    let pairs = || bytes.as_chunks::<2>().0.iter();
    Ok(match info.element {
        ElementType::F32 => {
            let numbers = bytes.as_chunks::<4>().0.iter();
            numbers.map(|&bytes| f32::from_le_bytes(bytes)).collect()
        }
        ElementType::F16 => pairs().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        ElementType::Bf16 => pairs().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        other => {
            return Err(format!("`{name}` is stored as {}; only F32, F16 and BF16 adapters can be read", other.name()));
        }
    })
}

/// Writes the file into `dir`.
pub(super) fn save(factors: &Factors, spec: &Spec, dir: &Path, base_model: &str) -> Result<(), LoadError> {
    let architecture = architecture(spec);
    let mut file = Build::default()
        .text("general.architecture", architecture)
        .text("general.type", "adapter")
        .text("general.base_model.0.name", base_model)
        .text("adapter.type", "lora")
        .number("adapter.lora.alpha", (factors.scale() * factors.rank as f64) as f32);
    for (path, (a, b)) in &factors.layers {
        let Some(own) = tensor_name(architecture, &format!("{path}.weight")) else {
            return Err(unusable(dir)(format!("llama.cpp has no name for `{path}`")));
        };
        let b = match row_order(spec, architecture, path) {
            None => b.clone(),
            Some(order) => in_order(b, &order),
        };
        for (end, factor) in HALVES.into_iter().zip([a, &b]) {
            file = file.floats(&format!("{own}{end}"), &factor.shape, &factor.values);
        }
    }
    let path = dir.join(FILE);
    std::fs::write(&path, file.bytes()).map_err(|source| LoadError::Write { path, source })
}

/// Row `i` goes to place `order[i]`.
fn in_order(matrix: &Shaped, order: &[usize]) -> Shaped {
    let columns = matrix.shape[1];
    let mut values = vec![0.0; matrix.values.len()];
    for (row, &to) in matrix.values.chunks(columns).zip(order) {
        values[to * columns..][..columns].copy_from_slice(row);
    }
    Shaped { shape: matrix.shape, values }
}
