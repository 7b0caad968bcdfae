//! Frozen matrices in blocks of a few bits a number, kept on the card as the file has them.

use std::{fmt, ops::Range, sync::Arc};

use candle_core::DType;

use super::{
    super::{BlockFormat, KernelError, Quantized, Result},
    Card,
    columns::rows_per_run,
    commands::{Run, groups, number},
    memory::{Piece, Span},
    shader::Shader,
    stored::{Format, Stored},
};

static BLOCKS: Shader = Shader::new("blocks", concat!(include_str!("stored.wgsl"), include_str!("blocks.wgsl")), 3);

/// The number of a format in the shader; nothing for those that it does not read, which are widened when they are
/// loaded.
fn code(format: BlockFormat) -> Option<u32> {
    Some(match format {
        BlockFormat::Q8_0 => 0,
        BlockFormat::Q4_0 => 1,
        BlockFormat::Q4_1 => 2,
        BlockFormat::Q5_0 => 3,
        BlockFormat::Q5_1 => 4,
        BlockFormat::Q4K => 5,
        BlockFormat::Q5K => 6,
        BlockFormat::Q6K => 7,
        BlockFormat::Q2K | BlockFormat::Q3K | BlockFormat::Iq4Nl | BlockFormat::Iq4Xs => return None,
    })
}

/// A matrix `[rows, columns]` in blocks on a card.
#[derive(Clone)]
pub struct Blocks {
    format: BlockFormat,
    code: u32,
    rows: usize,
    columns: usize,
    words: Piece,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} [{}, {}] on a card", self.format, self.rows, self.columns)
    }
}

impl Blocks {
    /// Whether matrices of this format stay as they are.
    pub(crate) fn can_hold(format: BlockFormat) -> bool {
        code(format).is_some()
    }

    pub(crate) fn upload(card: &Arc<Card>, matrix: &Quantized) -> Result<Self> {
        let format = matrix.format();
        let Some(code) = code(format) else {
            return Err(KernelError::Gpu(format!("no shader reads {}", format.name())));
        };
        let (rows, columns) = matrix.dims();
        let mut bytes = matrix.stored().to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = Piece::upload(card, &bytes, &[bytes.len() / 4], DType::U32)?;
        Ok(Self { format, code, rows, columns, words })
    }

    pub(crate) fn format(&self) -> BlockFormat {
        self.format
    }

    /// `(rows, columns)`.
    pub(crate) fn dims(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Bytes it takes.
    pub(crate) fn byte_len(&self) -> usize {
        self.rows * self.row_bytes()
    }

    pub(crate) fn is_on(&self, card: &Arc<Card>) -> bool {
        Arc::ptr_eq(self.words.card(), card)
    }

    /// The same matrix in the processor's memory.
    pub(crate) fn download(&self) -> Result<Quantized> {
        let bytes = self.words.read()?;
        let range = 0..self.byte_len();
        Quantized::new(self.format, self.rows, self.columns, Arc::new(bytes), range)
    }

    fn layout(&self) -> Format {
        Format { code: self.code, numbers: self.format.numbers(), bytes: self.format.bytes() }
    }

    fn row_bytes(&self) -> usize {
        self.layout().row_bytes(self.columns)
    }

    /// What a product reads.
    pub(super) fn stored(&self) -> Stored<'_> {
        Stored { piece: &self.words, format: self.layout(), rows: self.rows, columns: self.columns }
    }

    /// Some rows in f32.
    pub(super) fn widened(&self, rows: Range<usize>) -> Result<Piece> {
        let card = self.words.card();
        let to = Piece::new(card, &[rows.len(), self.columns], DType::F32)?;
        let step = rows_per_run(card, self.columns);
        for first in (0..rows.len()).step_by(step) {
            let part = first..rows.len().min(first + step);
            let from = rows.start + part.start..rows.start + part.end;
            let target = to.span(part.start * self.columns..part.end * self.columns);
            self.run(target, from, part.len(), None, 1.0)?;
        }
        Ok(to)
    }

    /// `scale` times these rows, `[ids.len(), columns]`.
    pub(super) fn gather(&self, ids: &[u32], scale: f32) -> Result<Piece> {
        let card = self.words.card();
        let to = Piece::new(card, &[ids.len(), self.columns], DType::F32)?;
        let numbers = Piece::indices(card, ids)?;
        let step = rows_per_run(card, self.columns);
        for first in (0..ids.len()).step_by(step) {
            let part = first..ids.len().min(first + step);
            for from in (0..self.rows).step_by(step) {
                let target = to.span(part.start * self.columns..part.end * self.columns);
                let rows = from..self.rows.min(from + step);
                self.run(target, rows, part.len(), Some(numbers.span(part.clone())), scale)?;
            }
        }
        Ok(to)
    }

    fn run(&self, to: Span<'_>, from: Range<usize>, count: usize, ids: Option<Span<'_>>, scale: f32) -> Result<()> {
        let (words, start) = self.words.words(from.start * self.row_bytes()..from.end * self.row_bytes());
        let blocks = words.all();
        let [code, block, bytes] = self.layout().constants();
        self.words.card().run(&Run {
            program: BLOCKS.with(&[code, block, bytes, ("BY_IDS", u32::from(ids.is_some()))]),
            operands: &[to, blocks, ids.unwrap_or(blocks)],
            parameters: &[
                count as u32,
                self.columns as u32,
                from.start as u32,
                from.len() as u32,
                start,
                self.row_bytes() as u32,
                number(scale),
            ],
            groups: groups(count * self.columns / 4, 64),
            work: (count * self.columns) as u64 * 4,
        })
    }
}
