//! What is trained: one flat f32 buffer, and the names and shapes of its parts.
//!
//! Blocks hold views into the buffer, so one fused optimizer pass over it is an update of the whole policy.

use std::{collections::HashMap, path::Path};

use super::{
    LoadError, PolicyError, Result,
    flat_file::{self, Part},
};
use ::kernels::{Place, Slot, Tensor};

/// One trained tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As in the file it is saved to: PEFT names for adapters, Hugging Face names for full weights.
    pub name: String,
    pub shape: Vec<usize>,
    /// Where it lies in the flat buffer, and its gradient in the gradient buffer.
    pub slot: Slot,
    /// Weight decay applies: not to norms and biases, as in Transformers' trainer.
    pub decays: bool,
}

/// The flat buffer and its table of contents. Parameters that decay come first.
#[derive(Debug)]
pub struct Parameters {
    values: Tensor,
    entries: Vec<Parameter>,
    index: HashMap<String, usize>,
    decaying: usize,
}

/// A tensor to be trained, before the buffer exists.
pub(super) struct Planned {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) decays: bool,
}

impl Parameters {
    /// Lays out the buffer and lets `fill` write each part's starting values.
    pub(super) fn build<E: From<PolicyError>>(
        mut planned: Vec<Planned>,
        place: &Place,
        mut fill: impl FnMut(&Parameter, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, E> {
        planned.sort_by_key(|plan| !plan.decays); // stable: file order within each half
        let mut entries = Vec::with_capacity(planned.len());
        let mut offset = 0;
        for Planned { name, shape, decays } in planned {
            let len = shape.iter().product();
            entries.push(Parameter { name, shape, slot: Slot { offset, len }, decays });
            offset += len;
        }
        let mut values = vec![0.0f32; offset];
        for entry in &entries {
            let Slot { offset, len } = entry.slot;
            fill(entry, &mut values[offset..offset + len])?;
        }
        let decaying = entries.iter().filter(|entry| entry.decays).map(|entry| entry.slot.len).sum();
        let index = entries.iter().enumerate().map(|(i, entry)| (entry.name.clone(), i)).collect();
        let values = Tensor::from_vec(values, offset, place).map_err(PolicyError::from)?;
        Ok(Self { values, entries, index, decaying })
    }

    /// The flat buffer, `[len]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// Number of trained numbers.
    pub fn len(&self) -> usize {
        self.values.elem_count()
    }

    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The parts, in the order of the buffer.
    pub fn entries(&self) -> &[Parameter] {
        &self.entries
    }

    /// The part of this name as a view of the buffer (it changes with every update), and its slot.
    pub(super) fn view(&self, name: &str) -> Result<Option<(Tensor, Slot)>> {
        let Some(&index) = self.index.get(name) else {
            return Ok(None);
        };
        let Parameter { shape, slot, .. } = &self.entries[index];
        let view = self.values.rows(slot.offset, slot.len)?.reshape(shape.as_slice())?;
        Ok(Some((view, *slot)))
    }

    /// Whether every value is a finite number.
    pub fn are_finite(&self) -> Result<bool> {
        Ok(self.values.is_finite()?)
    }

    /// The ranges that decay and that do not; either may be empty.
    pub(super) fn halves(&self) -> (Slot, Slot) {
        let decaying = Slot { offset: 0, len: self.decaying };
        let rest = Slot { offset: self.decaying, len: self.len() - self.decaying };
        (decaying, rest)
    }

    /// All parts as they stand in a file.
    fn parts(&self) -> Vec<Part<'_>> {
        let parts = self.entries.iter();
        parts
            .map(|Parameter { name, shape, slot, .. }| Part { name, shape, buffer: &self.values, slot: *slot })
            .collect()
    }

    /// Writes all parts into a safetensors file, a run at a time; gives its blake3 hash.
    pub(super) fn save(&self, path: &Path) -> Result<blake3::Hash, LoadError> {
        flat_file::save(path, &self.parts())
    }

    /// Reads them back, bit for bit. Every part must be there with its shape, and nothing else.
    pub(super) fn load(&mut self, path: &Path) -> Result<(), LoadError> {
        flat_file::load(path, &self.parts())
    }

    /// Copies of all parts by name.
    pub fn snapshot(&self) -> Result<Vec<(String, Tensor)>> {
        let flat = self.values.to_vec::<f32>()?;
        self.entries
            .iter()
            .map(|entry| {
                let values = flat[entry.slot.offset..][..entry.slot.len].to_vec();
                let tensor = Tensor::from_vec(values, entry.shape.as_slice(), &Place::CPU)?;
                Ok((entry.name.clone(), tensor))
            })
            .collect()
    }

    /// Writes all parts back, bit for bit. Every part must be there with its shape, and nothing else.
    pub fn restore(&mut self, tensors: &[(String, Tensor)]) -> Result<()> {
        flat_file::same(&self.parts(), tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.dims())))
            .map_err(PolicyError::Usage)?;
        let given: HashMap<&str, &Tensor> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut flat = Vec::with_capacity(self.len());
        for entry in &self.entries {
            if let Some(tensor) = given.get(entry.name.as_str()) {
                flat.extend(tensor.to_vec::<f32>()?);
            }
        }
        self.overwrite(flat)
    }

    fn overwrite(&mut self, flat: Vec<f32>) -> Result<()> {
        let len = flat.len();
        let flat = Tensor::from_vec(flat, len, &self.values.place())?;
        Ok(self.values.set_rows(0, &flat)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Parameters {
        let plan =
            |name: &str, shape: &[usize], decays| Planned { name: name.to_owned(), shape: shape.to_vec(), decays };
        let planned = vec![plan("norm", &[2], false), plan("w", &[2, 3], true), plan("v", &[1, 2], true)];
        Parameters::build::<PolicyError>(planned, &Place::CPU, |entry, values| {
            values.fill(entry.slot.offset as f32);
            Ok(())
        })
        .unwrap()
    }

    #[test]
    fn what_decays_comes_first_and_views_follow_the_buffer() {
        let mut parameters = small();
        let names: Vec<_> = parameters.entries().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["w", "v", "norm"]);
        let (decaying, rest) = parameters.halves();
        assert_eq!((decaying.offset, decaying.len, rest.offset, rest.len), (0, 8, 8, 2));
        let (view, slot) = parameters.view("v").unwrap().unwrap();
        assert_eq!((view.dims(), slot.offset), (&[1usize, 2][..], 6));
        let mut state = parameters.snapshot().unwrap();
        state[1].1 = Tensor::from_vec(vec![7.0f32, 8.0], (1, 2), &Place::CPU).unwrap();
        parameters.restore(&state).unwrap();
        assert_eq!(view.to_vec::<f32>().unwrap(), [7.0, 8.0]);
    }

    #[test]
    fn a_foreign_checkpoint_is_refused() {
        let mut parameters = small();
        let state = parameters.snapshot().unwrap();
        let error = |state: &[(String, Tensor)], parameters: &mut Parameters| {
            parameters.restore(state).unwrap_err().to_string()
        };
        assert!(error(&state[1..], &mut parameters).contains("lacks `w`"));
        let mut extra = state.clone();
        extra.push(("x".to_owned(), state[0].1.clone()));
        assert!(error(&extra, &mut parameters).contains("`x`"));
        let mut bent = state;
        bent[0].1 = bent[0].1.reshape((3, 2)).unwrap();
        assert!(error(&bent, &mut parameters).contains("[3, 2]"));
    }
}
