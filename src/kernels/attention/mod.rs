//! Attention over the segments of a packed row, in blocks, with a running softmax.
//!
//! A *query block* is some consecutive tokens of one segment, for all query heads of one key head at once: their rows
//! are stacked into one matrix, so that the products are big enough. Its keys come in *key blocks*: first those of the
//! prefix, then those of its own segment up to its last token. Scores of one pair of blocks are all that ever exists.

mod backward;
mod forward;
#[cfg(test)]
pub(super) mod tests;

use std::ops::Range;

use super::{Layout, Result, Segment, Tensor, access, simd::VECTOR};

pub(super) use backward::backward;
pub(super) use forward::{cached, forward};

/// Heads and how scores are made of `q·k`.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionShape {
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`. Query head `i` reads key head `i / (heads / kv_heads)`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Factor of `q·k`, usually `1/sqrt(head_dim)`.
    pub scale: f32,
    /// `score = cap · tanh(scale·q·k / cap)` (Gemma 2).
    pub softcap: Option<f32>,
    /// A query at position `p` sees positions `> p − window`; `None` sees everything before it.
    pub window: Option<usize>,
}

impl AttentionShape {
    /// Query heads that share one key head.
    pub(super) fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    pub(super) fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    pub(super) fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Tokens in a query block: about 128 stacked rows.
    fn block_tokens(&self) -> usize {
        (128 / self.group()).clamp(16, 128)
    }

    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        if self.kv_heads == 0 || self.head_dim == 0 || !self.heads.is_multiple_of(self.kv_heads) || self.heads == 0 {
            return access::fault(operation, format!("{self:?}: key heads must divide query heads, and none may be 0"));
        }
        if self.window == Some(0) {
            return access::fault(operation, "a window of 0 tokens hides even the token itself".into());
        }
        Ok(())
    }

    pub(super) fn check_cache(&self, operation: &'static str, cache: &CachedKeys<'_>) -> Result<()> {
        let (capacity, width) = access::matrix(operation, "keys", cache.keys.dims())?;
        access::expect_dims(operation, "values", cache.values.dims(), &[capacity, width])?;
        if width != self.key_width() || cache.len == 0 || cache.len > capacity {
            let message = format!("{} keys in use of a cache {:?}", cache.len, cache.keys.dims());
            return access::fault(operation, message);
        }
        Ok(())
    }
}

/// What attention over a row reads.
#[derive(Debug, Clone, Copy)]
pub struct Qkv<'a> {
    /// `[T, heads·hd]`.
    pub q: &'a Tensor,
    /// `[T, kv_heads·hd]`.
    pub k: &'a Tensor,
    /// `[T, kv_heads·hd]`.
    pub v: &'a Tensor,
}

/// What it gave, and the gradient of that.
#[derive(Debug, Clone, Copy)]
pub struct AttentionOut<'a> {
    /// `[T, heads·hd]`.
    pub o: &'a Tensor,
    /// `[T, heads]`.
    pub lse: &'a Tensor,
    /// Gradient of `o`.
    pub d_o: &'a Tensor,
}

/// The keys and values that one sequence of a generation has so far.
#[derive(Debug, Clone, Copy)]
pub struct CachedKeys<'a> {
    /// `[capacity, kv_heads·head_dim]`, rotated.
    pub keys: &'a Tensor,
    /// `[capacity, kv_heads·head_dim]`.
    pub values: &'a Tensor,
    /// Rows in use; row `i` is position `i`.
    pub len: usize,
}

/// Keys in a key block at most.
const KEYS: usize = 256;

/// Consecutive tokens of one segment.
#[derive(Debug, Clone, Copy)]
struct QueryBlock {
    /// First row.
    row: usize,
    /// Position of the first token along its chain.
    position: usize,
    tokens: usize,
}

/// Consecutive keys of one chain.
#[derive(Debug, Clone, Copy)]
struct KeyBlock {
    /// First row.
    row: usize,
    /// Position of the first key along the chain.
    position: usize,
    len: usize,
}

impl KeyBlock {
    /// Elements from one row of scores to the next: whole vectors.
    fn stride(&self) -> usize {
        self.len.next_multiple_of(VECTOR)
    }

    /// Which of these keys a query at `position` sees.
    fn visible(&self, position: usize, window: Option<usize>) -> Range<usize> {
        let first = window.map_or(0, |window| (position + 1).saturating_sub(window));
        let to = (position + 1).saturating_sub(self.position).min(self.len);
        first.saturating_sub(self.position).min(to)..to
    }
}

/// The vectors of a row of scores in which something is visible; what is hidden in them becomes minus infinity, so that
/// its weight is 0, and all others become 0. The loops over rows have no odd ends this way.
#[inline(always)]
#[expect(clippy::inline_always, reason = "part of loops that are compiled for several instruction sets")]
fn whole_vectors(row: &mut [f32], visible: Range<usize>) -> &mut [[f32; VECTOR]] {
    let whole = visible.start / VECTOR * VECTOR..visible.end.next_multiple_of(VECTOR);
    row[..whole.start].fill(0.0);
    row[whole.end..].fill(0.0);
    row[whole.start..visible.start].fill(f32::NEG_INFINITY);
    row[visible.end..whole.end].fill(f32::NEG_INFINITY);
    row[whole].as_chunks_mut().0
}

/// The query blocks of a segment.
fn query_blocks(segment: &Segment, tokens: usize) -> impl Iterator<Item = QueryBlock> + '_ {
    (0..segment.len).step_by(tokens).map(move |first| QueryBlock {
        row: segment.start + first,
        position: segment.prefix.len() + first,
        tokens: tokens.min(segment.len - first),
    })
}

/// The keys that at least one token of the block sees, in order of position.
fn key_blocks<'a>(
    segment: &'a Segment,
    block: &QueryBlock,
    window: Option<usize>,
) -> impl Iterator<Item = KeyBlock> + use<'a> {
    let prefix = segment.prefix.len();
    let first = window.map_or(0, |window| (block.position + 1).saturating_sub(window));
    let end = block.position + block.tokens;
    let cut = |from: usize, to: usize, row_of_position_0: isize| {
        (from..to.max(from)).step_by(KEYS).map(move |position| KeyBlock {
            row: (position as isize + row_of_position_0) as usize,
            position,
            len: KEYS.min(to - position),
        })
    };
    let own = segment.start as isize - prefix as isize;
    cut(first, prefix, segment.prefix.start as isize).chain(cut(first.max(prefix), end, own))
}

/// Multiplications per component of a head that the scores of a block cost.
fn cost(segment: &Segment, block: &QueryBlock, shape: &AttentionShape) -> usize {
    key_blocks(segment, block, shape.window).map(|keys| keys.len).sum::<usize>() * block.tokens * shape.group()
}

/// Checks `q`, `k`, `v` against the layout.
pub(super) fn check_operands(
    operation: &'static str,
    Qkv { q, k, v }: Qkv<'_>,
    layout: &Layout,
    shape: &AttentionShape,
) -> Result<()> {
    shape.check(operation)?;
    access::expect_dims(operation, "q", q.dims(), &[layout.tokens(), shape.query_width()])?;
    access::expect_dims(operation, "k", k.dims(), &[layout.tokens(), shape.key_width()])?;
    access::expect_dims(operation, "v", v.dims(), &[layout.tokens(), shape.key_width()])
}

/// Copies the rows of a block for all query heads of key head `key_head`, stacked head by head, times `factor`.
fn stack(to: &mut [f32], from: &[f32], block: &QueryBlock, key_head: usize, shape: &AttentionShape, factor: f32) {
    let (group, hd) = (shape.group(), shape.head_dim);
    for head in 0..group {
        for token in 0..block.tokens {
            let at = (block.row + token) * shape.query_width() + (key_head * group + head) * hd;
            let row = &mut to[(head * block.tokens + token) * hd..][..hd];
            row.iter_mut().zip(&from[at..at + hd]).for_each(|(to, from)| *to = from * factor);
        }
    }
}
