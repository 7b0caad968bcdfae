//! Attention over the segments of a packed row, block by block of queries.
//!
//! A *block* is some consecutive rows and the rows that at least one of them sees. Short documents share a block,
//! because a device is slow to start on small work; a long segment is cut so that its scores fit [`Limits::scores`].
//! Who sees whom inside a block is told by a bias that is added to the scores: 0, or [`HIDDEN`]. It is made on the
//! device from three numbers a row (position, segment, segment of the prompt), which are uploaded once a layout.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

use candle_core::{D, Device, Tensor};

use super::numbers::precise;
use crate::{
    AttentionOut, AttentionShape, CachedKeys, Layout, Qkv, Result, Tensor as Handle, access, attention::check_operands,
};

const FORWARD: &str = "attention";
const BACKWARD: &str = "attention backward";
const CACHED: &str = "cached attention";

/// Far below any score, and finite: a weight becomes 0 and nothing becomes NaN.
const HIDDEN: f64 = 1e30;

/// How many scores (heads × queries × keys) a block may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Segments are put together in one block up to this many, hidden ones included.
    pub(super) joined: usize,
    /// A segment is cut where it has more: 64 MiB, some three times over.
    pub(super) scores: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { joined: 1 << 22, scores: 1 << 24 }
    }
}

/// Attention, with what the layers of one pass share.
#[derive(Debug, Default)]
pub(super) struct Attention {
    pub(super) limits: Limits,
    /// The last layout's marks: all layers of a pass ask for the same.
    marks: Mutex<Option<(Layout, Marks)>>,
}

impl Attention {
    #[cfg(test)]
    pub(super) fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// `(o, lse)`.
    pub(super) fn forward(&self, qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Handle, Handle)> {
        check_operands(FORWARD, qkv, layout, shape)?;
        let (q, k, v) = (qkv.q.candle()?, qkv.k.candle()?, qkv.v.candle()?);
        let marks = self.marks(layout, q.device())?;
        let (mut o, mut lse) = (Vec::new(), Vec::new());
        for block in blocks(layout, shape, self.limits) {
            let queries = (block.queries(q, shape)? * f64::from(shape.scale))?;
            let (keys, values) = (block.keys(k, shape)?, block.keys(v, shape)?);
            let scores = raw_scores(&queries, &keys)?;
            let scores = match shape.softcap {
                Some(cap) => softcapped(&scores, &cap_tanh(&scores, cap)?, cap)?,
                None => scores,
            };
            let scores = add_bias(&scores, &marks.bias(&block, shape)?)?;
            let maxima = scores.max_keepdim(D::Minus1)?;
            let weights = scores.broadcast_sub(&maxima)?.exp()?;
            drop(scores);
            let totals = weights.sum_keepdim(D::Minus1)?;
            let sums = weights.matmul(&values)?.broadcast_div(&totals)?;
            o.push(block.unstack(&sums, shape)?.to_dtype(q.dtype())?);
            lse.push(block.unstack(&(maxima + totals.log()?)?, shape)?);
        }
        Ok((Tensor::cat(&o, 0)?.into(), Tensor::cat(&lse, 0)?.into()))
    }

    /// `(dq, dk, dv)`.
    pub(super) fn backward(
        &self,
        qkv: Qkv<'_>,
        AttentionOut { o, lse, d_o }: AttentionOut<'_>,
        layout: &Layout,
        shape: &AttentionShape,
    ) -> Result<(Handle, Handle, Handle)> {
        check_operands(BACKWARD, qkv, layout, shape)?;
        let (q, k, v) = (qkv.q.candle()?, qkv.k.candle()?, qkv.v.candle()?);
        let (o, lse, d_o) = (o.candle()?, lse.candle()?, d_o.candle()?);
        access::expect_dims(BACKWARD, "o", o.dims(), q.dims())?;
        access::expect_dims(BACKWARD, "gradient of o", d_o.dims(), q.dims())?;
        access::expect_dims(BACKWARD, "lse", lse.dims(), &[layout.tokens(), shape.heads])?;
        let marks = self.marks(layout, q.device())?;
        let (mut dq, mut dk, mut dv) = (Vec::new(), Sum::like(k)?, Sum::like(v)?);
        for block in blocks(layout, shape, self.limits) {
            let queries = (block.queries(q, shape)? * f64::from(shape.scale))?;
            let (keys, values) = (block.keys(k, shape)?, block.keys(v, shape)?);
            let outputs = block.queries(d_o, shape)?;
            let delta = (&outputs * block.queries(o, shape)?)?.sum_keepdim(D::Minus1)?;
            let scores = raw_scores(&queries, &keys)?;
            let (scores, slope) = match shape.softcap {
                Some(cap) => {
                    let t = cap_tanh(&scores, cap)?;
                    (softcapped(&scores, &t, cap)?, Some(t.sqr()?.affine(-1.0, 1.0)?))
                }
                None => (scores, None),
            };
            let scores = add_bias(&scores, &marks.bias(&block, shape)?)?;
            let weights = scores.broadcast_sub(&block.stack_lse(lse, shape)?)?.exp()?;
            drop(scores);
            dv.add(&block, &weights.transpose(1, 2)?.matmul(&outputs)?)?;
            let d_weights = raw_scores(&outputs, &values)?;
            let mut d_scores = (weights * d_weights.broadcast_sub(&delta)?)?;
            if let Some(slope) = slope {
                d_scores = (d_scores * slope)?;
            }
            dk.add(&block, &d_scores.transpose(1, 2)?.matmul(&queries)?)?;
            let d_queries = (d_scores.matmul(&keys)? * f64::from(shape.scale))?;
            dq.push(block.unstack(&d_queries, shape)?.to_dtype(q.dtype())?);
        }
        Ok((Tensor::cat(&dq, 0)?.into(), dk.finish(k)?.into(), dv.finish(v)?.into()))
    }

    fn marks(&self, layout: &Layout, device: &Device) -> Result<Marks> {
        let mut last = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, marks)) = &*last
            && known == layout
            && marks.positions.device().same_device(device)
        {
            return Ok(marks.clone());
        }
        let marks = Marks::new(layout, device)?;
        *last = Some((layout.clone(), marks.clone()));
        Ok(marks)
    }
}

/// One query row for each cache.
pub(super) fn cached(q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
    shape.check(CACHED)?;
    access::expect_dims(CACHED, "q", q.dims(), &[caches.len(), shape.query_width()])?;
    let (kv_heads, head_dim) = (shape.kv_heads, shape.head_dim);
    let mut o = Vec::with_capacity(caches.len());
    for (row, cache) in caches.iter().enumerate() {
        shape.check_cache(CACHED, cache)?;
        let first = shape.window.map_or(0, |window| cache.len.saturating_sub(window));
        let seen = cache.len - first;
        let heads = |kept: &Tensor| -> Result<Tensor> {
            let rows = kept.narrow(0, first, seen)?;
            let heads = precise(&rows)?.reshape((seen, kv_heads, head_dim))?;
            Ok(heads.transpose(0, 1)?.contiguous()?)
        };
        let query = precise(&q.narrow(0, row, 1)?)?.reshape((kv_heads, shape.group(), head_dim))?;
        let mut scores = raw_scores(&(query * f64::from(shape.scale))?, &heads(cache.keys.candle()?)?)?;
        if let Some(cap) = shape.softcap {
            scores = softcapped(&scores, &cap_tanh(&scores, cap)?, cap)?;
        }
        let maxima = scores.max_keepdim(D::Minus1)?;
        let weights = scores.broadcast_sub(&maxima)?.exp()?;
        let totals = weights.sum_keepdim(D::Minus1)?;
        let sums = weights.matmul(&heads(cache.values.candle()?)?)?.broadcast_div(&totals)?;
        o.push(sums.reshape((1, shape.query_width()))?.to_dtype(q.dtype())?);
    }
    Ok(Tensor::cat(&o, 0)?)
}

/// Stacked queries against keys: `[kv_heads, rows, keys]`.
fn raw_scores(queries: &Tensor, keys: &Tensor) -> Result<Tensor> {
    Ok(queries.matmul(&keys.transpose(1, 2)?)?)
}

/// `tanh(score / cap)`.
fn cap_tanh(scores: &Tensor, cap: f32) -> Result<Tensor> {
    Ok((scores / f64::from(cap))?.tanh()?)
}

/// `cap · t`, where `t` is [`cap_tanh`]. What is no number becomes NaN: the tangent of infinity would be 1.
fn softcapped(scores: &Tensor, t: &Tensor, cap: f32) -> Result<Tensor> {
    Ok(((t * f64::from(cap))? + (scores * 0.0)?)?)
}

/// Adds `bias[queries, keys]` for every head: the rows of `scores` are the block's queries, head after head.
fn add_bias(scores: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let (kv_heads, rows, keys) = scores.dims3()?;
    let queries = bias.dim(0)?;
    let apart = scores.reshape((kv_heads, rows / queries, queries, keys))?;
    Ok(apart.broadcast_add(bias)?.reshape((kv_heads, rows, keys))?)
}

/// What decides who sees whom, one number a row as `[T]` of f32 (exact for any row that fits a memory).
#[derive(Debug, Clone)]
struct Marks {
    positions: Tensor,
    /// Number of the row's segment.
    segments: Tensor,
    /// Number of its prompt's segment; its own where there is none.
    prompts: Tensor,
}

impl Marks {
    fn new(layout: &Layout, device: &Device) -> Result<Self> {
        let mut segments = Vec::with_capacity(layout.tokens());
        let mut prompts = Vec::with_capacity(layout.tokens());
        for (number, segment) in layout.segments().iter().enumerate() {
            let is_prompt = |other: &crate::Segment| other.prefix.is_empty() && other.rows() == segment.prefix;
            let earlier = &layout.segments()[..number];
            let prompt = earlier.iter().rposition(is_prompt).unwrap_or(number);
            segments.extend(std::iter::repeat_n(number as f32, segment.len));
            prompts.extend(std::iter::repeat_n(prompt as f32, segment.len));
        }
        let positions = layout.positions().iter().map(|&position| position as f32);
        let tokens = layout.tokens();
        Ok(Self {
            positions: Tensor::from_vec(positions.collect::<Vec<f32>>(), tokens, device)?,
            segments: Tensor::from_vec(segments, tokens, device)?,
            prompts: Tensor::from_vec(prompts, tokens, device)?,
        })
    }

    /// 0 where a query of the block sees a key, else minus [`HIDDEN`]: `[queries, keys]`. A key is seen when it is of
    /// the query's segment or of its prompt, not later, and inside the window.
    fn bias(&self, block: &Block, shape: &AttentionShape) -> Result<Tensor> {
        let rows = |marks: &Tensor| -> Result<Tensor> {
            let rows = marks.narrow(0, block.rows.start, block.rows.len())?;
            Ok(rows.reshape((block.rows.len(), 1))?)
        };
        let keys = |marks: &Tensor| -> Result<Tensor> {
            let keys = block.gather(marks)?;
            Ok(keys.reshape((1, keys.elem_count()))?)
        };
        let of_key = keys(&self.segments)?;
        let own = of_key.broadcast_eq(&rows(&self.segments)?)?;
        let prompt = of_key.broadcast_eq(&rows(&self.prompts)?)?;
        let distance = rows(&self.positions)?.broadcast_sub(&keys(&self.positions)?)?;
        let mut seen = (precise(&own)? + precise(&prompt)?)?;
        seen = (seen * precise(&distance.ge(0.0)?)?)?;
        if let Some(window) = shape.window {
            seen = (seen * precise(&distance.lt(window as f64)?)?)?;
        }
        Ok(precise(&seen.eq(0.0)?)?.affine(-HIDDEN, 0.0)?)
    }
}

/// Consecutive query rows, and the rows that they may see, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    rows: Range<usize>,
    keys: Vec<Range<usize>>,
}

impl Block {
    /// The block's keys among the rows of `x`.
    fn gather(&self, x: &Tensor) -> Result<Tensor> {
        let parts = self
            .keys
            .iter()
            .map(|rows| x.narrow(0, rows.start, rows.len()))
            .collect::<candle_core::Result<Vec<_>>>()?;
        Ok(match parts.as_slice() {
            [one] => one.clone(),
            parts => Tensor::cat(parts, 0)?,
        })
    }

    /// The block's rows of `x[T, heads·head_dim]` in f32, the query heads of one key head stacked:
    /// `[kv_heads, group·rows, head_dim]`.
    fn queries(&self, x: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
        self.stack(x, shape, shape.head_dim)
    }

    /// The block's rows of `lse[T, heads]`, stacked alike: `[kv_heads, group·rows, 1]`.
    fn stack_lse(&self, lse: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
        self.stack(lse, shape, 1)
    }

    fn stack(&self, x: &Tensor, shape: &AttentionShape, width: usize) -> Result<Tensor> {
        let count = self.rows.len();
        let rows = precise(&x.narrow(0, self.rows.start, count)?)?;
        let heads = rows.reshape((count, shape.heads, width))?.transpose(0, 1)?;
        Ok(heads.contiguous()?.reshape((shape.kv_heads, shape.group() * count, width))?)
    }

    /// Stacked rows back to `[rows, heads·width]`.
    fn unstack(&self, stacked: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
        let (count, width) = (self.rows.len(), stacked.dim(2)?);
        let heads = stacked.reshape((shape.heads, count, width))?;
        let rows = heads.transpose(0, 1)?.contiguous()?;
        Ok(rows.reshape((count, shape.heads * width))?)
    }

    /// The block's keys of `x[T, kv_heads·head_dim]` in f32: `[kv_heads, keys, head_dim]`.
    fn keys(&self, x: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
        let rows = precise(&self.gather(x)?)?;
        let count = rows.dim(0)?;
        let heads = rows.reshape((count, shape.kv_heads, shape.head_dim))?;
        Ok(heads.transpose(0, 1)?.contiguous()?)
    }
}

/// A sum over blocks of gradients of keys or values: `[T, kv_heads·head_dim]` in f32.
struct Sum(Tensor);

impl Sum {
    fn like(x: &Tensor) -> Result<Self> {
        let zeros = Tensor::zeros(x.shape(), candle_core::DType::F32, x.device())?;
        Ok(Self(zeros))
    }

    /// Adds `gradient[kv_heads, keys, head_dim]` to the block's keys.
    fn add(&mut self, block: &Block, gradient: &Tensor) -> Result<()> {
        let rows = gradient.transpose(0, 1)?.contiguous()?.flatten_from(1)?;
        let mut done = 0;
        for keys in &block.keys {
            let before = self.0.narrow(0, keys.start, keys.len())?;
            let sum = (before + rows.narrow(0, done, keys.len())?)?;
            self.0.slice_set(&sum, 0, keys.start)?;
            done += keys.len();
        }
        Ok(())
    }

    fn finish(self, like: &Tensor) -> Result<Tensor> {
        Ok(self.0.to_dtype(like.dtype())?)
    }
}

/// Cuts the row into blocks, in order of rows.
fn blocks(layout: &Layout, shape: &AttentionShape, limits: Limits) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Rows of small segments that share a block so far, and the first key that they see.
    let mut open: Option<(Range<usize>, usize)> = None;
    let fits = |rows: &Range<usize>, first: usize| shape.heads * rows.len() * (rows.end - first) <= limits.joined;
    let close = |blocks: &mut Vec<Block>, open: &mut Option<(Range<usize>, usize)>| {
        blocks
            .extend(open.take().map(|(rows, first)| Block { keys: std::iter::once(first..rows.end).collect(), rows }));
    };
    for segment in layout.segments() {
        let first = if segment.prefix.is_empty() { segment.start } else { segment.prefix.start };
        if let Some((rows, lowest)) = &open {
            let joined = (rows.start..segment.rows().end, first.min(*lowest));
            if fits(&joined.0, joined.1) {
                open = Some(joined);
                continue;
            }
            close(&mut blocks, &mut open);
        }
        if fits(&segment.rows(), first) {
            open = Some((segment.rows(), first));
        } else {
            cut(segment, shape, limits, &mut blocks);
        }
    }
    close(&mut blocks, &mut open);
    blocks
}

/// The blocks of a segment that is too large for one; keys that no query of a block sees are left out.
fn cut(segment: &crate::Segment, shape: &AttentionShape, limits: Limits, blocks: &mut Vec<Block>) {
    let prefix = segment.prefix.len();
    let most_keys = prefix + segment.len;
    let rows = (limits.scores / (shape.heads * most_keys)).clamp(1, segment.len);
    for start in (0..segment.len).step_by(rows) {
        let end = segment.len.min(start + rows);
        // Positions along the chain: the prompt's rows, then the segment's own.
        let from = shape.window.map_or(0, |window| (prefix + start + 1).saturating_sub(window));
        let of_prompt = segment.prefix.start + from.min(prefix)..segment.prefix.end;
        let own = segment.start + from.saturating_sub(prefix)..segment.start + end;
        blocks.push(Block {
            rows: segment.start + start..segment.start + end,
            keys: [of_prompt, own].into_iter().filter(|keys| !keys.is_empty()).collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Segment;

    fn shape(window: Option<usize>) -> AttentionShape {
        AttentionShape { heads: 2, kv_heads: 1, head_dim: 4, scale: 1.0, softcap: None, window }
    }

    fn layout() -> Layout {
        let segment = |start, len, prefix| Segment { start, len, prefix };
        Layout::new(vec![
            segment(0, 2, 0..0),
            segment(2, 1, 0..2),
            segment(3, 6, 0..0),
            segment(9, 3, 3..9),
            segment(12, 4, 3..9),
        ])
        .unwrap()
    }

    #[test]
    fn small_documents_share_a_block_and_long_segments_are_cut() {
        let limits = Limits { joined: 18, scores: 60 };
        let block =
            |rows, keys: &[(usize, usize)]| Block { rows, keys: keys.iter().map(|&(start, end)| start..end).collect() };
        assert_eq!(
            blocks(&layout(), &shape(None), limits),
            [
                block(0..3, &[(0, 3)]),
                block(3..8, &[(3, 8)]),
                block(8..9, &[(3, 9)]),
                block(9..12, &[(3, 9), (9, 12)]),
                block(12..15, &[(3, 9), (12, 15)]),
                block(15..16, &[(3, 9), (12, 16)]),
            ]
        );
        // A window leaves out what is too far back.
        let windowed = blocks(&layout(), &shape(Some(3)), limits);
        assert_eq!(windowed.last(), Some(&block(15..16, &[(13, 16)])));
        let all = Limits { joined: 1 << 20, ..limits };
        assert_eq!(blocks(&layout(), &shape(None), all), [block(0..16, &[(0, 16)])]);
    }

    #[test]
    fn a_long_text_never_has_all_its_scores_at_once() {
        let shape = AttentionShape { heads: 9, ..shape(None) };
        let layout = Layout::single(30_000).unwrap();
        let limits = Limits::default();
        for block in blocks(&layout, &shape, limits) {
            let keys: usize = block.keys.iter().map(ExactSizeIterator::len).sum();
            assert!(shape.heads * block.rows.len() * keys <= limits.scores);
        }
    }
}
