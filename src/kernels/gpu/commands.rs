//! What a card can be asked for: a shader is run, a piece is cleared, copied, written and read.

use super::{
    super::{KernelError, Result},
    card::Card,
    memory::{Piece, Span},
    recording::{Dispatch, TRANSFER},
    shader::Program,
};

/// One run of a shader.
pub(super) struct Run<'a> {
    pub program: Program<'a>,
    pub operands: &'a [Span<'a>],
    /// What follows the operands' first elements in the parameters; see [`number`].
    pub parameters: &'a [u32],
    pub groups: [u32; 3],
    /// Multiplications, roughly: how long it will take, compared with others.
    pub work: u64,
}

/// A float among a shader's parameters.
pub(super) fn number(value: f32) -> u32 {
    value.to_bits()
}

/// Workgroups of `size` threads for `count` threads, in two dimensions because one has an end. The shader's own number
/// is `id.x + id.y * groups.x * size`.
pub(super) fn groups(count: usize, size: u32) -> [u32; 3] {
    const LARGEST: u32 = 65_535;
    let groups = count.div_ceil(size as usize) as u32;
    let rows = groups.div_ceil(LARGEST).max(1);
    [groups.div_ceil(rows), rows, 1]
}

impl Card {
    /// Has a shader run, after everything that was asked before.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<()> {
        if run.groups.contains(&0) {
            return Ok(());
        }
        let pipeline = self.pipelines.get(&self.driver, run.program)?;
        let alignment = u64::from(self.driver.device.limits().min_storage_buffer_offset_alignment);
        let mut parameters: Vec<u32> = Vec::with_capacity(run.operands.len() + run.parameters.len());
        let mut ranges = Vec::with_capacity(run.operands.len());
        for operand in run.operands {
            let first = operand.start / alignment * alignment;
            let element = operand.piece.dtype().size_in_bytes() as u64;
            parameters.push(((operand.start - first) / element) as u32);
            let bytes = (operand.start - first + operand.bytes).next_multiple_of(4).max(4);
            if bytes > self.driver.binding_limit.max(alignment) {
                return Err(self.driver.fault(format_args!(
                    "{} reads {} at once, and the card allows {}",
                    run.program.shader.name,
                    data::size(bytes),
                    data::size(self.driver.binding_limit)
                )));
            }
            ranges.push((operand.piece.buffer()?, first, bytes));
        }
        parameters.extend_from_slice(run.parameters);
        self.recording()?.run(&Dispatch {
            shader: run.program.shader,
            pipeline: &pipeline,
            parameters: &parameters,
            operands: &ranges,
            groups: run.groups,
            work: run.work,
        })
    }
}

impl Piece {
    /// Overwrites its elements with those of another piece of the same card, type and number.
    pub(crate) fn set(&self, from: &Self) -> Result<()> {
        if from.len() != self.len() || from.dtype() != self.dtype() {
            let (operation, operand, got) = ("copy on the card", "source", from.dims().to_vec());
            return Err(KernelError::Shape { operation, operand, got, expected: format!("{:?}", self.dims()) });
        }
        let (from, to) = (from.all(), self.all());
        let (source, target) = (from.piece.buffer()?, to.piece.buffer()?);
        if from.bytes == 0 {
            return Ok(());
        }
        let is_whole = [from.start, to.start, from.bytes].iter().all(|at| at.is_multiple_of(4));
        if !is_whole || source == target {
            let message = format!("{} bytes from {} to {}", from.bytes, from.start, to.start);
            return Err(KernelError::Value { operation: "copy on the card", message });
        }
        self.card().recording()?.copy((source, from.start), (target, to.start), from.bytes);
        Ok(())
    }

    /// Sets every element of a piece to zero that begins with a whole word.
    pub(super) fn clear(&self) -> Result<()> {
        let bytes = self.bytes().next_multiple_of(4).max(4);
        self.card().recording()?.clear(self.buffer()?, self.start(), bytes);
        Ok(())
    }

    /// Puts bytes into it, after everything that was asked before.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 != self.bytes() || !self.start().is_multiple_of(4) {
            let message = format!("{} bytes for {}", bytes.len(), self.bytes());
            return Err(KernelError::Value { operation: "upload", message });
        }
        self.card().recording()?.write(self.buffer()?, self.start(), bytes)
    }

    /// Its elements' bytes, in row order. Waits for the card.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let card = self.card();
        let mut bytes = Vec::with_capacity(self.bytes() as usize);
        let end = self.start() + self.bytes();
        let mut at = self.start();
        while at < end {
            let part = (end - at).min(TRANSFER);
            // Copies are of whole words.
            let first = at / 4 * 4;
            let len = (at + part - first).next_multiple_of(4);
            card.recording()?.read(self.buffer()?, first, len, |words| {
                bytes.extend_from_slice(&words[(at - first) as usize..][..part as usize]);
            })?;
            at += part;
        }
        Ok(bytes)
    }
}
