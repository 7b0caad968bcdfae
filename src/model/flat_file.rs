//! Parts of flat f32 buffers as a safetensors file, written and read a run at a time: what is trained and what an
//! optimizer remembers are as large as a model, and no second one has to fit beside them.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use safetensors::{
    Dtype, SafeTensorError,
    tensor::{Metadata, TensorInfo},
};

use super::{LoadError, PolicyError, weights::Weights};
use ::kernels::{Slot, Tensor};

/// Numbers that are copied at a time.
const RUN: usize = 1 << 18;
/// Bytes of a number.
const WIDTH: usize = size_of::<f32>();
/// Bytes that a run takes in memory on its way: as numbers, as bytes, and on an accelerator as a copy.
pub(super) const RUN_BYTES: u64 = (3 * RUN * WIDTH) as u64;

/// A piece of a flat buffer under its name in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    /// `[len]`, on any device.
    pub(super) buffer: &'a Tensor,
    pub(super) slot: Slot,
}

impl Part<'_> {
    /// Hands over the piece in runs.
    fn read(&self, each: &mut dyn FnMut(&[f32]) -> Result<(), LoadError>) -> Result<(), LoadError> {
        let Slot { offset, len } = self.slot;
        for start in (0..len).step_by(RUN) {
            let run = self.buffer.rows(offset + start, RUN.min(len - start)).and_then(|run| run.to_vec());
            each(&run.map_err(PolicyError::from)?)?;
        }
        Ok(())
    }

    /// Puts a run in its place, `start` numbers into the piece.
    fn write(&self, start: usize, run: Vec<f32>) -> Result<(), LoadError> {
        let length = run.len();
        let run = Tensor::from_vec(run, length, &self.buffer.place());
        let set = run.and_then(|run| self.buffer.set_rows(self.slot.offset + start, &run));
        Ok(set.map_err(PolicyError::from)?)
    }
}

/// Writes the parts into a new file and waits until it is on the disk. Gives the blake3 hash of what was written, not
/// of what the disk has made of it.
pub(super) fn save(path: &Path, parts: &[Part<'_>]) -> Result<blake3::Hash, LoadError> {
    let failed = |source| LoadError::Write { path: path.to_owned(), source };
    let mut parts = parts.to_vec();
    parts.sort_by_key(|part| part.name);
    let header = header(&parts).map_err(|error| failed(std::io::Error::other(error)))?;
    let file = File::create(path).map_err(failed)?;
    let mut file = Hashing { file: BufWriter::new(file), hasher: blake3::Hasher::new() };
    file.write_all(&(header.len() as u64).to_le_bytes()).and_then(|()| file.write_all(&header)).map_err(failed)?;
    let mut bytes = Vec::with_capacity(RUN * WIDTH);
    for part in &parts {
        part.read(&mut |run| {
            bytes.clear();
            bytes.extend(run.iter().flat_map(|number| number.to_le_bytes()));
            file.write_all(&bytes).map_err(failed)
        })?;
    }
    let Hashing { file, hasher } = file;
    let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    Ok(hasher.finalize())
}

/// The header as `safetensors` writes it.
fn header(parts: &[Part<'_>]) -> Result<Vec<u8>, SafeTensorError> {
    let mut end = 0;
    let tensors = parts.iter().map(|part| {
        let start = end;
        end += part.slot.len * WIDTH;
        let info = TensorInfo { dtype: Dtype::F32, shape: part.shape.to_vec(), data_offsets: (start, end) };
        (part.name.to_owned(), info)
    });
    let tensors = tensors.collect();
    let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut header = serde_json::to_vec(&Metadata::new(Some(about), tensors)?)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Reads the parts back into their buffers, bit for bit. All must be there with their shapes, and nothing else: that is
/// looked at before the first number is changed.
pub(super) fn load(path: &Path, parts: &[Part<'_>]) -> Result<(), LoadError> {
    let fault = |reason: String| LoadError::Weights { path: path.to_owned(), reason };
    let weights = Weights::open_file(path)?;
    let given = weights.names().map(|name| (name, weights.shape(name).unwrap_or_default()));
    same(parts, given).map_err(fault)?;
    for part in parts {
        let (dtype, ..) = weights.stored(part.name)?;
        if dtype != Dtype::F32 {
            return Err(fault(format!("`{}` is stored as {dtype}; expected F32", part.name)));
        }
    }
    for part in parts {
        let mut start = 0;
        weights.runs(part.name, RUN * WIDTH, &mut |bytes| {
            let run: Vec<f32> = bytes.as_chunks().0.iter().map(|&number| f32::from_le_bytes(number)).collect();
            let length = run.len();
            part.write(start, run)?;
            start += length;
            Ok(())
        })?;
    }
    Ok(())
}

/// A sentence unless what is given are these parts, by name and shape.
pub(super) fn same<'a>(parts: &[Part<'_>], given: impl Iterator<Item = (&'a str, &'a [usize])>) -> Result<(), String> {
    let mut given: BTreeMap<&str, &[usize]> = given.collect();
    for Part { name, shape, .. } in parts {
        match given.remove(name) {
            None => return Err(format!("The checkpoint lacks `{name}`")),
            Some(found) if found != *shape => {
                return Err(format!(
                    "`{name}` has shape {found:?} in the checkpoint, expected {shape:?}; it belongs to other settings"
                ));
            }
            Some(_) => {}
        }
    }
    match given.into_keys().next() {
        None => Ok(()),
        Some(name) => {
            Err(format!("The checkpoint holds `{name}`, which is not trained here; it belongs to other settings"))
        }
    }
}

/// A file whose bytes are hashed on their way.
struct Hashing {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use ::kernels::{DType, Place};
    use safetensors::tensor::TensorView;

    use super::*;

    #[test]
    fn what_is_written_is_what_safetensors_writes_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let count = RUN * 2 + 5;
        let values: Vec<f32> = (0..count).map(|i| (i as f32).sin()).collect();
        let buffer = Tensor::from_vec(values.clone(), count, &Place::CPU).unwrap();
        let shapes = [
            ("w", vec![RUN + 1, 1], Slot { offset: 0, len: RUN + 1 }),
            ("a", vec![2, 2], Slot { offset: RUN + 1, len: 4 }),
        ];
        let parts = |buffer| -> Vec<Part<'_>> {
            let parts = shapes.iter();
            parts.map(|(name, shape, slot)| Part { name, shape, buffer, slot: *slot }).collect()
        };
        let hash = save(&path, &parts(&buffer)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(hash, blake3::hash(&bytes));

        let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let views = shapes.iter().map(|(name, shape, slot)| {
            let data = &raw[slot.offset * WIDTH..][..slot.len * WIDTH];
            (*name, TensorView::new(Dtype::F32, shape.clone(), data).unwrap())
        });
        let about = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        assert!(bytes == safetensors::serialize(views, Some(about)).unwrap(), "to the byte");

        let empty = Tensor::zeros(count, DType::F32, &Place::CPU).unwrap();
        load(&path, &parts(&empty)).unwrap();
        let back: Vec<f32> = empty.to_vec().unwrap();
        assert!(back[..RUN + 5] == values[..RUN + 5] && back[RUN + 5..].iter().all(|&value| value == 0.0));
    }

    #[test]
    fn a_foreign_file_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let buffer = Tensor::zeros(6, DType::F32, &Place::CPU).unwrap();
        let slot = |offset, len| Slot { offset, len };
        let v = Part { name: "v", shape: &[2], buffer: &buffer, slot: slot(0, 2) };
        let w = Part { name: "w", shape: &[2, 2], buffer: &buffer, slot: slot(2, 4) };
        save(&path, &[v, w]).unwrap();
        let target = Tensor::from_vec(vec![1.0_f32; 6], 6, &Place::CPU).unwrap();
        for (parts, what) in [
            (vec![Part { buffer: &target, ..v }], "holds `w`"),
            (vec![Part { buffer: &target, ..v }, Part { buffer: &target, shape: &[4], ..w }], "[2, 2]"),
            (vec![Part { buffer: &target, ..v }, Part { buffer: &target, name: "x", ..w }], "lacks `x`"),
        ] {
            let error = load(&path, &parts).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert_eq!(target.to_vec::<f32>().unwrap(), [1.0; 6]);
    }
}
