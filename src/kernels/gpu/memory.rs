//! The card's memory: buffers in use, and pieces of them.

use std::{fmt, ops::Range, sync::Arc};

use candle_core::DType;

use super::{
    super::{KernelError, Result},
    card::Card,
};

/// A buffer in use; back into the pool with its last piece.
pub(super) struct Block {
    card: Arc<Card>,
    /// Always there until it is dropped.
    buffer: Option<wgpu::Buffer>,
    /// Whether others read it too, and it never goes back into the pool.
    is_shared: bool,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes on {:?}", self.buffer.as_ref().map_or(0, wgpu::Buffer::size), self.card)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take()
            && !self.is_shared
        {
            self.card.pool.put(buffer);
        }
    }
}

/// The least that a buffer is rounded up to, and the most that it grows by.
const GRAIN: u64 = 256;
const COARSEST: u64 = 4 << 20;

/// A size that buffers are made in: an eighth of a power of two apart, so that most can be used again, and none larger
/// than the `limit` of one.
fn rounded(bytes: u64, limit: u64) -> u64 {
    let least = bytes.max(GRAIN);
    let step = (least.next_power_of_two() / 16).clamp(GRAIN, COARSEST);
    least.next_multiple_of(step).min(limit / 4 * 4).max(bytes)
}

/// Bytes of the card's memory that a tensor of so many takes, whatever it is used for.
pub(crate) fn taken_by(bytes: u64) -> u64 {
    rounded(bytes, u64::MAX)
}

/// What is uploaded in one piece and larger than this is a weight.
const LASTING: u64 = 64 << 10;

const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// Numbers in rows, without gaps, in the card's memory. A clone is the same memory.
#[derive(Debug, Clone)]
pub struct Piece {
    block: Arc<Block>,
    /// First byte.
    start: u64,
    dims: Vec<usize>,
    dtype: DType,
}

/// Some consecutive elements of a piece: what one operand of a shader spans.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span<'a> {
    pub(super) piece: &'a Piece,
    /// First byte in the buffer, and how many there are.
    pub(super) start: u64,
    pub(super) bytes: u64,
}

impl Piece {
    /// A place for numbers that are not there yet.
    ///
    /// # Errors
    /// [`KernelError::OutOfMemory`].
    pub(crate) fn new(card: &Arc<Card>, dims: &[usize], dtype: DType) -> Result<Self> {
        let piece = Self::of_pool(card, dims, dtype, rounded)?;
        if let Some(poison) = &card.poison {
            card.recording()?.spread(poison, piece.buffer()?);
        }
        Ok(piece)
    }

    /// The same, to be written as a whole, in a buffer of a size that is made of its own and of the largest there may
    /// be.
    fn of_pool(card: &Arc<Card>, dims: &[usize], dtype: DType, size: fn(u64, u64) -> u64) -> Result<Self> {
        let bytes = (dims.iter().product::<usize>() * dtype.size_in_bytes()) as u64;
        let limit = card.driver.buffer_limit;
        let size = size(bytes, limit);
        if bytes > limit {
            return Err(card.driver.fault(format_args!(
                "a tensor {dims:?} of {} is larger than the {} that one buffer can have; choose another device, or train an adapter instead of all weights",
                data::size(bytes),
                data::size(limit)
            )));
        }
        let buffer = if let Some(buffer) = card.pool.take(size) {
            buffer
        } else {
            card.pool.make_room(size);
            card.recording()?.create(size, USAGE)?
        };
        card.pool.count(buffer.size());
        Ok(Self::of_buffer(card, buffer, false, dims, dtype))
    }

    fn of_buffer(card: &Arc<Card>, buffer: wgpu::Buffer, is_shared: bool, dims: &[usize], dtype: DType) -> Self {
        let block = Arc::new(Block { card: Arc::clone(card), buffer: Some(buffer), is_shared });
        Self { block, start: 0, dims: dims.to_vec(), dtype }
    }

    /// Zeros.
    pub(crate) fn zeros(card: &Arc<Card>, dims: &[usize], dtype: DType) -> Result<Self> {
        let piece = Self::new(card, dims, dtype)?;
        piece.clear()?;
        Ok(piece)
    }

    /// These bytes, which are its elements in row order. Nothing is waited for and nothing handed over, until they are
    /// many. Many are a weight, which stays: its buffer is no larger than it has to be.
    pub(crate) fn upload(card: &Arc<Card>, bytes: &[u8], dims: &[usize], dtype: DType) -> Result<Self> {
        let exact = |bytes: u64, limit: u64| bytes.next_multiple_of(GRAIN).min(limit / 4 * 4).max(bytes);
        let piece = Self::of_pool(card, dims, dtype, if bytes.len() as u64 > LASTING { exact } else { rounded })?;
        piece.write(bytes)?;
        Ok(piece)
    }

    /// Indices or offsets that a kernel reads. The last lists that were asked for are on the card already.
    pub(super) fn indices(card: &Arc<Card>, indices: &[u32]) -> Result<Self> {
        let dims = [indices.len()];
        if let Some(buffer) = card.lists.find(indices) {
            return Ok(Self::of_buffer(card, buffer, true, &dims, DType::U32));
        }
        let bytes = (indices.len() * DType::U32.size_in_bytes()) as u64;
        let buffer = card.recording()?.create(rounded(bytes, card.driver.buffer_limit), USAGE)?;
        let piece = Self::of_buffer(card, buffer, true, &dims, DType::U32);
        piece.write(bytemuck::cast_slice(indices))?;
        card.lists.keep(indices, piece.buffer()?);
        Ok(piece)
    }

    /// Plain numbers that a kernel reads.
    pub(super) fn numbers(card: &Arc<Card>, numbers: &[f32]) -> Result<Self> {
        Self::upload(card, bytemuck::cast_slice(numbers), &[numbers.len()], DType::F32)
    }

    pub(crate) fn card(&self) -> &Arc<Card> {
        &self.block.card
    }

    pub(crate) fn dims(&self) -> &[usize] {
        &self.dims
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    fn element(&self) -> u64 {
        self.dtype.size_in_bytes() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.len() as u64 * self.element()
    }

    /// First byte in the buffer.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn buffer(&self) -> Result<&wgpu::Buffer> {
        self.block.buffer.as_ref().ok_or_else(|| KernelError::Gpu("a buffer was given back".to_owned()))
    }

    /// The same elements under another shape.
    pub(crate) fn reshape(&self, dims: &[usize]) -> Result<Self> {
        if dims.iter().product::<usize>() != self.len() {
            let (operation, operand, got) = ("reshape", "tensor", self.dims.clone());
            return Err(KernelError::Shape {
                operation,
                operand,
                got,
                expected: format!("as many elements as {dims:?}"),
            });
        }
        Ok(Self { dims: dims.to_vec(), ..self.clone() })
    }

    /// Rows `start..start + len` along the first axis.
    pub(crate) fn rows(&self, start: usize, len: usize) -> Result<Self> {
        let (rows, width) = match self.dims.split_first() {
            Some((&rows, rest)) => (rows, rest.iter().product::<usize>()),
            None => (1, 1),
        };
        if start + len > rows {
            let message = format!("rows {start}..{} of {rows}", start + len);
            return Err(KernelError::Value { operation: "rows", message });
        }
        let mut view = self.clone();
        view.start += (start * width) as u64 * self.element();
        match view.dims.first_mut() {
            Some(first) => *first = len,
            None => view.dims = vec![len],
        }
        Ok(view)
    }

    /// The same memory as words of four bytes, `words` of them.
    pub(super) fn as_words(&self, words: usize) -> Self {
        Self { dims: vec![words], dtype: DType::U32, ..self.clone() }
    }

    /// The whole words that hold these bytes of it, and where in the first one they begin.
    pub(super) fn words(&self, bytes: Range<usize>) -> (Self, u32) {
        let first = self.start + bytes.start as u64;
        let start = first / 4 * 4;
        let words = (self.start + bytes.end as u64 - start).div_ceil(4) as usize;
        (Self { start, ..self.as_words(words) }, (first - start) as u32)
    }

    /// All of it.
    pub(super) fn all(&self) -> Span<'_> {
        Span { piece: self, start: self.start, bytes: self.bytes() }
    }

    /// These elements of it.
    pub(super) fn span(&self, elements: Range<usize>) -> Span<'_> {
        let element = self.element();
        let start = self.start + elements.start as u64 * element;
        Span { piece: self, start, bytes: elements.len() as u64 * element }
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn sizes_are_a_few_steps_apart_and_waste_little() {
        for bytes in [1, 255, 256, 257, 1000, 65_537, 1_000_001, (1 << 30) + 5] {
            let size = rounded(bytes, u64::MAX);
            assert!(size >= bytes && size.is_multiple_of(256), "{bytes}: {size}");
            assert!(size as f64 <= (bytes as f64 * 1.13).max(bytes as f64 + 256.0), "{bytes}: {size}");
        }
    }

    #[test]
    fn what_fits_the_largest_buffer_is_not_rounded_past_it() {
        const LIMIT: u64 = (1 << 31) - 1;
        for bytes in [LIMIT / 4 * 4, LIMIT / 4 * 4 - 4096, 1 << 30] {
            let size = rounded(bytes, LIMIT);
            assert!((bytes..=LIMIT).contains(&size) && size.is_multiple_of(4), "{bytes}: {size}");
        }
    }
}
