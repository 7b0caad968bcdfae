//! What a training step takes, counted from the tensors that are there and the shapes that will be, and how many blocks
//! keep all that their backward needs.
//!
//! The numbers are bytes of tensors. An allocator's slack and the program itself come on top; whoever has to keep to a
//! limit corrects the estimate by what a step was seen to take.

mod card;
#[cfg(test)]
mod on_card;

use std::{collections::BTreeMap, path::Path};

use data::size;

use super::{
    LoadError, LoadOptions, Policy, Row, Spec, block::Block, flat_file, projection::Projection, source::Source,
    spec::NormPlaces,
};
use ::kernels::{Compute, DType, Place, Weight, device};
use card::{OnCard, Rows};
use data::config::{Precision, Recompute};

/// Bytes of one number of an activation, a gradient or a moment.
pub(super) const FLOAT: u64 = 4;
/// What kernels work with on the processor, beside what they are given and what they give: answer rows and vocabulary
/// entries that the head works on at a time.
const OF_HEAD: (usize, usize) = (512, 1024);
/// Query rows and keys whose weights, and their gradients, each thread works on at a time.
const OF_ATTENTION: (usize, usize) = (128, 256);

/// The last block's backward comes right after its forward: to run that again would free nothing.
const LEAST_WHOLE: usize = 1;

/// Errors when the weights alone are more than all the memory that there is. Nothing is allocated before.
pub(super) fn check(
    model: &Path,
    spec: &Spec,
    weights: &Source,
    options: &LoadOptions,
    place: &Place,
) -> Result<(), LoadError> {
    let needed: u64 = spec
        .tensors()
        .map(|tensor| {
            let numbers = tensor.shape.iter().product::<usize>() as u64;
            let trained = if options.full { 3 * FLOAT * numbers } else { 0 };
            trained + least_bytes(numbers, (&tensor.name, &tensor.shape), weights, options, place)
        })
        .sum();
    match total(place) {
        Some(total) if needed > total => {
            Err(LoadError::Memory { path: model.to_owned(), needed: size(needed), total: size(total) })
        }
        _ => Ok(()),
    }
}

/// Bytes that so many numbers take at least, however they are kept in the end.
fn least_bytes(
    numbers: u64,
    (name, shape): (&str, &[usize]),
    weights: &Source,
    options: &LoadOptions,
    place: &Place,
) -> u64 {
    // Blocks of a file stay in the file; a device has a copy of them.
    let in_file = |rows, columns| weights.has_blocks(name, [rows, columns]).unwrap_or(false);
    match (options.precision, shape) {
        _ if options.full => FLOAT * numbers,
        (Precision::Auto, &[rows, columns]) if in_file(rows, columns) => {
            if place.is_cpu() {
                0
            } else {
                numbers / 4
            }
        }
        (Precision::Q8_0 | Precision::Q4K, _) => numbers / 2,
        (Precision::Bf16, _) => 2 * numbers,
        _ if weights.is_bf16(name) => 2 * numbers,
        _ => FLOAT * numbers,
    }
}

/// All the memory that the device has, or this program may have; nothing where nobody says.
fn total(place: &Place) -> Option<u64> {
    if !place.is_cpu() {
        return device::memory(place).map(|memory| memory.total);
    }
    let mut system = sysinfo::System::new().ok()?;
    system.refresh_memory();
    let own = system.total_memory() + system.total_swap();
    (own > 0).then_some(own)
}

/// Bytes that other programs leave us on the device; a guess where nobody says.
pub(super) fn available(place: &Place) -> u64 {
    const GUESS: u64 = 4 << 30;
    if let Some(memory) = device::memory(place) {
        return memory.free;
    }
    let Ok(mut system) = sysinfo::System::new() else {
        return GUESS;
    };
    system.refresh_memory();
    match system.available_memory() {
        0 => GUESS,
        bytes => bytes,
    }
}

/// Bytes a token that a block keeps or works with.
struct Widths {
    /// Kept by a block whose forward does not run again.
    whole: u64,
    /// Kept by one whose forward does: its input.
    input: u64,
    /// Beside what is kept, in the backward of the feed-forward half at its widest, and of attention.
    feeding: u64,
    attending: u64,
}

impl Policy {
    /// How the blocks' matrices are kept: `f32`, `bf16`, `q8_0`, ..; the most used one where they differ.
    pub fn weight_format(&self) -> String {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for projection in self.blocks.iter().flat_map(Block::projections) {
            let weight = &projection.linear().weight;
            *numbers.entry(weight.format()).or_default() += weight.elem_count();
        }
        let most = numbers.into_iter().max_by_key(|(_, count)| *count);
        most.map_or_else(|| self.head.format(), |(format, _)| format)
    }

    /// Whether any matrix is in blocks of a few bits.
    pub(super) fn has_blocks(&self) -> bool {
        self.matrices().any(|weight| weight.dense().is_none())
    }

    /// The embedding, the head and the blocks' matrices; a tied head is the embedding.
    fn matrices(&self) -> impl Iterator<Item = &Weight> {
        let projections = self.blocks.iter().flat_map(Block::projections);
        let tables = [Some(&self.embedding), (!self.spec.tied).then_some(&self.head)];
        let layers = projections.map(|projection| &projection.linear().weight);
        tables.into_iter().flatten().chain(layers)
    }

    /// Bytes at the peak of a training step on one row: weights, optimizer, gradients, and [`Self::row_bytes`].
    pub fn estimate_bytes(&self, row_tokens: usize, answer_tokens: usize) -> u64 {
        self.fixed_bytes() + self.row_bytes(row_tokens, answer_tokens)
    }

    /// Bytes that are held whatever the row: weights as they are stored, and of what is trained the values, gradients
    /// and two moments.
    pub fn fixed_bytes(&self) -> u64 {
        let bytes: usize = self.matrices().map(Weight::byte_len).sum();
        let numbers: usize = self.matrices().map(Weight::elem_count).sum();
        // Norms and biases.
        let rest = self.spec.parameters().saturating_sub(numbers);
        let bytes = bytes as u64 + FLOAT * rest as u64;
        let is_full = self.adapter.is_none() && !self.parameters.is_empty();
        let frozen = if is_full { 0 } else { bytes };
        frozen + 4 * device::taken_by(&self.place, FLOAT * self.parameters.len() as u64)
    }

    /// Bytes that writing a checkpoint takes, between two steps, when no row is in memory. What is trained goes to the
    /// disk run by run; an adapter is put together for PEFT besides, with those below it.
    pub fn saving_bytes(&self) -> u64 {
        let adapters = self.blocks.iter().flat_map(Block::projections).flat_map(Projection::adapters);
        let numbers: usize = adapters.map(|lora| lora.a.elem_count() + lora.b.elem_count()).sum();
        let is_adapter = !self.trains_its_weights() && !self.parameters.is_empty();
        flat_file::RUN_BYTES + if is_adapter { FLOAT * numbers as u64 } else { 0 }
    }

    /// Bytes of one row's forward and backward at their peak, with as much recomputation as there will be.
    pub fn row_bytes(&self, row_tokens: usize, answer_tokens: usize) -> u64 {
        self.bytes_with(self.whole_blocks(row_tokens, answer_tokens), row_tokens, answer_tokens)
    }

    /// The least that a row can do with.
    pub fn least_row_bytes(&self, row_tokens: usize, answer_tokens: usize) -> u64 {
        let whole = match self.recompute {
            Recompute::Never => self.blocks.len(),
            Recompute::Auto | Recompute::Always => LEAST_WHOLE,
        };
        self.bytes_with(whole, row_tokens, answer_tokens)
    }

    /// Bytes that the activations of one row may take from now on: `Recompute::Auto` recomputes the blocks that do not
    /// fit. What is computed stays the same, to the bit.
    pub fn set_room(&mut self, bytes: u64) {
        self.room = bytes;
    }

    /// How many of the last blocks keep all that their backward needs. The last ones, because they are freed first:
    /// when the others run their forward again, the memory is there.
    fn whole_blocks(&self, row_tokens: usize, answer_tokens: usize) -> usize {
        let layers = self.blocks.len();
        match self.recompute {
            Recompute::Never => layers,
            Recompute::Always => LEAST_WHOLE,
            Recompute::Auto => (LEAST_WHOLE..=layers)
                .rev()
                .find(|&whole| self.bytes_with(whole, row_tokens, answer_tokens) <= self.room)
                .unwrap_or(LEAST_WHOLE),
        }
    }

    /// Blocks of this row whose forward runs again.
    pub fn recomputed_blocks(&self, row: &Row) -> usize {
        self.blocks.len() - self.whole_blocks(row.tokens(), row.answer_tokens())
    }

    fn bytes_with(&self, whole: usize, row_tokens: usize, answer_tokens: usize) -> u64 {
        let adapters = self.blocks.first().into_iter().flat_map(Block::projections).flat_map(Projection::adapters);
        let ranks: Vec<usize> = adapters.map(|lora| lora.a.dims()[0]).collect();
        if !matches!(self.place, Place::Gpu(_)) {
            let (compute, ranks) = (self.chosen.compute, ranks.iter().sum());
            return row_bytes(&self.spec, compute, ranks, whole, row_tokens, answer_tokens);
        }
        let is_f32 = |weight: &Weight| weight.dense().is_some_and(|tensor| tensor.dtype() == DType::F32);
        let mut matrices = self.blocks.iter().flat_map(Block::projections);
        let on_card = OnCard {
            place: &self.place,
            spec: &self.spec,
            kept: kept_number(self.chosen.compute),
            ranks: &ranks,
            is_widened: [!matrices.all(|layer| is_f32(&layer.linear().weight)), !is_f32(&self.head)],
            is_full: self.trains_its_weights(),
            is_scalar: self.scalar.is_some(),
        };
        on_card.row_bytes(whole, Rows { tokens: row_tokens, answers: answer_tokens })
    }
}

/// Bytes of a number that waits for the backward.
fn kept_number(compute: Compute) -> u64 {
    match compute {
        Compute::F32 => FLOAT,
        Compute::Bf16(_) => FLOAT / 2,
    }
}

/// Bytes that a row's forward and backward take when `whole` blocks keep all they need; `ranks`: of one block's
/// adapters together.
fn row_bytes(
    spec: &Spec,
    compute: Compute,
    ranks: usize,
    whole: usize,
    row_tokens: usize,
    answer_tokens: usize,
) -> u64 {
    let widths = Widths::of(spec, compute, ranks);
    let again = (spec.layers.len() - whole) as u64;
    let kept = again * widths.input + whole as u64 * widths.whole;
    // Final hidden states, predictors, their gradients and u, which stay until the end.
    let finished = FLOAT * (4 * spec.hidden_size * answer_tokens) as u64;
    let tokens = row_tokens as u64;
    let (queries, keys) = OF_ATTENTION;
    let attention = FLOAT * (2 * queries * keys.min(row_tokens) * rayon::current_num_threads()) as u64;
    let (rows, entries) = OF_HEAD;
    let head = FLOAT * (answer_tokens.min(rows) * spec.vocab_size.min(entries)) as u64;
    let working = (widths.feeding * tokens).max(widths.attending * tokens + attention);
    kept * tokens + working + finished + head
}

/// Bytes at the peak of a step that trains a new adapter of this rank on all linear layers, of a model whose own
/// weights are `held` bytes: what [`Policy::fixed_bytes`] and [`Policy::least_row_bytes`] would say once it is loaded.
/// `again`: all blocks but the least run their forward again.
pub(super) fn adapter_training_bytes(
    spec: &Spec,
    compute: Compute,
    held: u64,
    rank: usize,
    row_tokens: usize,
    again: bool,
) -> u64 {
    let linears = || (0..spec.layers.len()).flat_map(|layer| spec.linears(layer));
    let trained: usize = linears().map(|it| rank * (it.input + it.output)).sum();
    let ranks = rank * spec.linears(0).count();
    let whole = if again { LEAST_WHOLE } else { spec.layers.len() };
    let row = row_bytes(spec, compute, ranks, whole, row_tokens, row_tokens / 2);
    held + 4 * FLOAT * trained as u64 + row
}

impl Widths {
    fn of(spec: &Spec, compute: Compute, ranks: usize) -> Self {
        let (d, ff) = (spec.hidden_size, spec.intermediate_size);
        let (q, kv) = (spec.query_width(), spec.kv_width());
        let streams = match spec.norm_places {
            NormPlaces::Before => 2,                   // x, mid
            NormPlaces::Both | NormPlaces::After => 4, // and what the norms after read
        };
        // Gradients of gate and up, once more side by side.
        let joint = if spec.fused { 2 * ff } else { 0 };
        let bytes = |kept: u64, floats: usize| kept + FLOAT * floats as u64;
        // Besides: q, o; k, v; gate, up.
        let activations = (streams * d + 2 * q + 2 * kv + 2 * ff) as u64;
        let kept = kept_number(compute);
        // What waited in half of its bytes is read in all of them.
        let recalled = |numbers: usize| (FLOAT - kept) * numbers as u64;
        // Gate, up, o and mid; the gradients of the activated gate, of gate and of up, and dy.
        let feeding = bytes(recalled(2 * ff + q + d), 3 * ff + d + joint);
        // q, k, v, o and x; their gradients and those of mid, when gate, up and mid are gone.
        let attending =
            bytes(recalled(2 * q + 2 * kv + d), 2 * q + 2 * kv + 2 * d).saturating_sub(kept * (2 * ff + d) as u64);
        Self {
            // Besides: log-sums; low-rank values.
            whole: bytes(kept * activations, spec.heads + ranks),
            input: bytes(0, d),
            feeding,
            attending,
        }
    }
}
