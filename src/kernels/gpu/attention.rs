//! Attention over the segments of a packed row, in blocks, with a running softmax.
//!
//! A workgroup has a block of up to 64 rows of one segment and one head, and walks through the rows of the other side a
//! tile at a time: a block of queries through the keys of its chain, a block of keys, in the backward, through the
//! queries that see it. What is where is written on the host into a *plan* of plain numbers, because only it knows
//! segments. Numbers are read and written four at a time; heads that are no whole vectors are copied with zeros behind
//! them.
//!
//! Where a document is longer than one operand may span, heads are done some at a time, and where that is not enough,
//! what a block reaches in stretches, each joined to those before.

mod heads;
mod plan;
#[cfg(test)]
mod tests;

use std::{ops::Range, sync::Arc};

use candle_core::DType;

use super::{
    super::{AttentionOut, AttentionShape, Layout, Qkv, Result, Tensor, access, attention::check_operands},
    card::Card,
    columns,
    commands::{Run, groups, number},
    gemm::{self, Matrix},
    memory::{Piece, Span},
    shader::Shader,
};
use heads::{AtOnce, Group};
use plan::{Limits, Part, Plan};

static FORWARD_SHADER: Shader = Shader::of_products(
    "attention",
    concat!(
        include_str!("attention/tile.wgsl"),
        include_str!("attention/chain.wgsl"),
        include_str!("attention/forward.wgsl")
    ),
    6,
);
static STATS_SHADER: Shader =
    Shader::new("attention stats", concat!(include_str!("sum.wgsl"), include_str!("attention/stats.wgsl")), 4);
static QUERIES_SHADER: Shader = Shader::of_products(
    "attention backward, queries",
    concat!(
        include_str!("attention/tile.wgsl"),
        include_str!("attention/chain.wgsl"),
        include_str!("attention/queries.wgsl")
    ),
    7,
);
static KEYS_SHADER: Shader = Shader::of_products(
    "attention backward, keys",
    concat!(include_str!("attention/tile.wgsl"), include_str!("attention/keys.wgsl")),
    8,
);

const FORWARD: &str = "attention";
const BACKWARD: &str = "attention backward";

/// The widest head whose sums fit a workgroup's registers.
const WIDEST: usize = 256;

/// The widest head for which both gradients of the keys' side do.
const WIDEST_FOR_BOTH: usize = 128;

/// Workgroups that keep a large card busy: with fewer, the query heads of one key head are shared out.
const BUSY: usize = 256;

/// Vectors of four that the shaders stage at once.
const STAGED: usize = 512;

pub(super) fn check_width(operation: &'static str, shape: &AttentionShape) -> Result<()> {
    if shape.head_dim <= WIDEST {
        return Ok(());
    }
    let message = format!("heads of {} numbers, and on a graphics card {WIDEST} are the most", shape.head_dim);
    access::fault(operation, message)
}

/// The same with heads of whole vectors of four, as the shaders of blocks and tiles read and write them.
fn padded(shape: &AttentionShape) -> AttentionShape {
    AttentionShape { head_dim: shape.head_dim.next_multiple_of(4), ..shape.clone() }
}

/// A matrix of heads as whole vectors: itself, or a copy with zeros behind each head.
fn pad(piece: &Piece, heads: usize, shape: &AttentionShape) -> Result<Piece> {
    let (width, tokens) = (padded(shape).head_dim, piece.len() / heads / shape.head_dim);
    if width == shape.head_dim && piece.start().is_multiple_of(16) {
        return Ok(piece.clone());
    }
    let copy = Piece::zeros(piece.card(), &[tokens * heads, width], DType::F32)?;
    columns::block(&copy, 0, &piece.reshape(&[tokens * heads, shape.head_dim])?, 0, shape.head_dim)?;
    copy.reshape(&[tokens, heads * width])
}

/// The matrix without what [`pad`] puts behind each head.
fn trim(piece: Piece, heads: usize, shape: &AttentionShape) -> Result<Tensor> {
    let width = padded(shape).head_dim;
    if width == shape.head_dim {
        return Ok(piece.into());
    }
    let tokens = piece.len() / heads / width;
    let trimmed = Piece::new(piece.card(), &[tokens * heads, shape.head_dim], DType::F32)?;
    columns::block(&trimmed, 0, &piece.reshape(&[tokens * heads, width])?, 0, shape.head_dim)?;
    Ok(trimmed.reshape(&[tokens, heads * shape.head_dim])?.into())
}

/// The constants of the shaders of blocks and tiles.
fn constants(shape: &AttentionShape) -> [(&'static str, u32); 2] {
    let vectors = shape.head_dim / 4;
    let staged = 1 << (STAGED / vectors).min(plan::TILE).ilog2();
    [("VECTORS", vectors as u32), ("STAGED", staged)]
}

/// Parts that the query heads of a key head are cut into, `most` at most: by the shape alone, so that the bits are the
/// same every time.
fn parts(blocks: usize, heads: usize, kv_heads: usize, most: usize) -> usize {
    let group = heads / kv_heads;
    let mut possible = (1..=group).filter(|&parts| group.is_multiple_of(parts) && parts <= most);
    let is_enough = |parts: &usize| blocks * kv_heads * parts >= BUSY;
    possible.clone().find(is_enough).or_else(|| possible.next_back()).unwrap_or(1)
}

/// How many times the gradients of keys and values are there while they are summed, of a row of one text.
pub fn key_gradient_parts(tokens: usize, heads: usize, kv_heads: usize) -> usize {
    parts(tokens.div_ceil(plan::BLOCK), heads, kv_heads, usize::MAX)
}

/// What all shaders of blocks and tiles are told first: of the heads, of the part of the plan, of how scores are made.
fn parameters(part: &Part, shape: &AttentionShape) -> Vec<u32> {
    let window = shape.window.and_then(|window| u32::try_from(window).ok()).unwrap_or(u32::MAX);
    vec![
        shape.heads as u32,
        shape.group() as u32,
        part.first_block,
        part.rows.start as u32,
        part.others.start as u32,
        number(shape.scale),
        number(shape.softcap.unwrap_or(0.0)),
        window,
        u32::from(part.joins),
    ]
}

/// The numbers of these rows.
fn rows_of<'a>(piece: &'a Piece, rows: &Range<usize>, width: usize) -> Span<'a> {
    piece.span(rows.start * width..rows.end * width)
}

/// Bytes that one operand may span, with what aligning it takes.
fn room(card: &Card) -> usize {
    (card.binding_limit() as usize).saturating_sub(512)
}

/// What one run may take: `products` multiplications for each pair of rows and component of a head.
fn limits(card: &Card, shape: &AttentionShape, row_width: usize, other_width: usize, products: usize) -> Limits {
    let numbers = room(card) / 4;
    let per_pair = (shape.heads * shape.head_dim * products) as u64;
    Limits { rows: numbers / row_width, others: numbers / other_width, pairs: card.pace.budget() / per_pair }
}

/// `(o, lse)`.
pub(super) fn forward(qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
    check_operands(FORWARD, qkv, layout, shape)?;
    check_width(FORWARD, shape)?;
    let card = qkv.q.gpu(FORWARD, "q")?.card();
    let at_once = AtOnce::of(FORWARD, card, layout, shape)?;
    if at_once.is_all(shape) {
        return forward_whole(qkv, layout, shape);
    }
    let (tokens, width) = (layout.tokens(), shape.head_dim);
    let o = Piece::new(card, &[tokens, shape.query_width()], DType::F32)?;
    let lse = Piece::new(card, &[tokens, shape.heads], DType::F32)?;
    for group in Group::all(shape, at_once) {
        let q = Group::cut(&group.queries, width, qkv.q)?;
        let (k, v) = (Group::cut(&group.keys, width, qkv.k)?, Group::cut(&group.keys, width, qkv.v)?);
        let (some_o, some_lse) = forward_whole(Qkv { q: &q, k: &k, v: &v }, layout, &group.shape)?;
        Group::put(&group.queries, width, &some_o, &o)?;
        Group::put(&group.queries, 1, &some_lse, &lse)?;
    }
    Ok((o.into(), lse.into()))
}

/// The same for heads that fit.
fn forward_whole(qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
    let q = pad(qkv.q.gpu(FORWARD, "q")?, shape.heads, shape)?;
    let k = pad(qkv.k.gpu(FORWARD, "k")?, shape.kv_heads, shape)?;
    let v = pad(qkv.v.gpu(FORWARD, "v")?, shape.kv_heads, shape)?;
    let (card, given) = (q.card(), shape);
    let shape = &padded(given);
    let (wide, narrow, tokens) = (shape.query_width(), shape.key_width(), layout.tokens());
    let o = Piece::new(card, &[tokens, wide], DType::F32)?;
    let lse = Piece::new(card, &[tokens, shape.heads], DType::F32)?;
    let plan = Plan::of_queries(layout, shape.window, &limits(card, shape, wide, narrow, 2));
    let numbers = Piece::indices(card, &plan.numbers)?;
    for part in &plan.parts {
        let parameters = parameters(part, shape);
        card.run(&Run {
            program: FORWARD_SHADER.with(&constants(shape)),
            operands: &[
                rows_of(&o, &part.rows, wide),
                rows_of(&lse, &part.rows, shape.heads),
                rows_of(&q, &part.rows, wide),
                rows_of(&k, &part.others, narrow),
                rows_of(&v, &part.others, narrow),
                numbers.all(),
            ],
            parameters: &parameters,
            groups: [shape.heads as u32, part.blocks, 1],
            work: part.pairs * (wide * 2) as u64,
        })?;
    }
    Ok((trim(o, given.heads, given)?, lse.into()))
}

/// What the backward reads, its heads whole vectors.
#[derive(Clone, Copy)]
struct Operands<'a> {
    q: &'a Piece,
    k: &'a Piece,
    v: &'a Piece,
    d_o: &'a Piece,
    /// Log-sum-exp and `Σ do·o` of each query's head, `[T, heads, 2]`.
    stats: &'a Piece,
    card: &'a Arc<Card>,
    layout: &'a Layout,
    shape: &'a AttentionShape,
}

/// `(dq, dk, dv)`.
pub(super) fn backward(
    qkv: Qkv<'_>,
    outcome: AttentionOut<'_>,
    layout: &Layout,
    shape: &AttentionShape,
) -> Result<(Tensor, Tensor, Tensor)> {
    check_operands(BACKWARD, qkv, layout, shape)?;
    check_width(BACKWARD, shape)?;
    let AttentionOut { o, lse, d_o } = outcome;
    let (tokens, wide) = (layout.tokens(), shape.query_width());
    access::expect_dims(BACKWARD, "o", o.dims(), &[tokens, wide])?;
    access::expect_dims(BACKWARD, "lse", lse.dims(), &[tokens, shape.heads])?;
    access::expect_dims(BACKWARD, "gradient of o", d_o.dims(), &[tokens, wide])?;
    let card = d_o.gpu(BACKWARD, "gradient of o")?.card();
    let at_once = AtOnce::of(BACKWARD, card, layout, shape)?;
    if at_once.is_all(shape) {
        return backward_whole(qkv, outcome, layout, shape);
    }
    let width = shape.head_dim;
    let like = |tensor: &Tensor| Piece::new(card, tensor.dims(), DType::F32);
    let (dq, dk, dv) = (like(qkv.q)?, like(qkv.k)?, like(qkv.v)?);
    for group in Group::all(shape, at_once) {
        let of_queries = |whole| Group::cut(&group.queries, width, whole);
        let of_keys = |whole| Group::cut(&group.keys, width, whole);
        let (q, k, v) = (of_queries(qkv.q)?, of_keys(qkv.k)?, of_keys(qkv.v)?);
        let (o, d_o, lse) = (of_queries(o)?, of_queries(d_o)?, Group::cut(&group.queries, 1, lse)?);
        let outcome = AttentionOut { o: &o, lse: &lse, d_o: &d_o };
        let (some_dq, some_dk, some_dv) = backward_whole(Qkv { q: &q, k: &k, v: &v }, outcome, layout, &group.shape)?;
        Group::put(&group.queries, width, &some_dq, &dq)?;
        group.put_sum(width, some_dk, &dk, shape.group())?;
        group.put_sum(width, some_dv, &dv, shape.group())?;
    }
    Ok((dq.into(), dk.into(), dv.into()))
}

/// The same for heads that fit.
fn backward_whole(
    qkv: Qkv<'_>,
    outcome: AttentionOut<'_>,
    layout: &Layout,
    shape: &AttentionShape,
) -> Result<(Tensor, Tensor, Tensor)> {
    let AttentionOut { o, lse, d_o } = outcome;
    let d_o = d_o.gpu(BACKWARD, "gradient of o")?;
    let stats = stats(o.gpu(BACKWARD, "o")?, lse.gpu(BACKWARD, "lse")?, d_o, shape)?;
    let operands = Operands {
        q: &pad(qkv.q.gpu(BACKWARD, "q")?, shape.heads, shape)?,
        k: &pad(qkv.k.gpu(BACKWARD, "k")?, shape.kv_heads, shape)?,
        v: &pad(qkv.v.gpu(BACKWARD, "v")?, shape.kv_heads, shape)?,
        d_o: &pad(d_o, shape.heads, shape)?,
        stats: &stats,
        card: d_o.card(),
        layout,
        shape: &padded(shape),
    };
    let dq = trim(operands.queries()?, shape.heads, shape)?;
    let (dk, dv) = operands.keys()?;
    Ok((dq, trim(dk, shape.kv_heads, shape)?, trim(dv, shape.kv_heads, shape)?))
}

/// The log-sum-exp of each query's head beside `Σ do·o`.
fn stats(o: &Piece, lse: &Piece, d_o: &Piece, shape: &AttentionShape) -> Result<Piece> {
    let (tokens, wide) = access::matrix(BACKWARD, "o", o.dims())?;
    let card = o.card();
    let stats = Piece::new(card, &[tokens, shape.heads, 2], DType::F32)?;
    let step = columns::rows_per_run(card, wide.max(2 * shape.heads));
    for first in (0..tokens).step_by(step) {
        let rows = first..tokens.min(first + step);
        let heads = rows.len() * shape.heads;
        card.run(&Run {
            program: STATS_SHADER.with(&[("HEAD_DIM", shape.head_dim as u32)]),
            operands: &[
                rows_of(&stats, &rows, shape.heads * 2),
                rows_of(lse, &rows, shape.heads),
                rows_of(o, &rows, wide),
                rows_of(d_o, &rows, wide),
            ],
            parameters: &[heads as u32],
            groups: groups(heads, 16),
            work: (rows.len() * wide) as u64,
        })?;
    }
    Ok(stats)
}

impl Operands<'_> {
    /// `dq`.
    fn queries(self) -> Result<Piece> {
        let Self { q, k, v, d_o, stats, card, layout, shape } = self;
        let (wide, narrow) = (shape.query_width(), shape.key_width());
        let dq = Piece::new(card, q.dims(), DType::F32)?;
        let plan = Plan::of_queries(layout, shape.window, &limits(card, shape, wide, narrow, 3));
        let numbers = Piece::indices(card, &plan.numbers)?;
        for part in &plan.parts {
            let parameters = parameters(part, shape);
            card.run(&Run {
                program: QUERIES_SHADER.with(&constants(shape)),
                operands: &[
                    rows_of(&dq, &part.rows, wide),
                    rows_of(q, &part.rows, wide),
                    rows_of(k, &part.others, narrow),
                    rows_of(v, &part.others, narrow),
                    rows_of(d_o, &part.rows, wide),
                    rows_of(stats, &part.rows, shape.heads * 2),
                    numbers.all(),
                ],
                parameters: &parameters,
                groups: [shape.heads as u32, part.blocks, 1],
                work: part.pairs * (wide * 3) as u64,
            })?;
        }
        Ok(dq)
    }

    /// `(dk, dv)`.
    fn keys(self) -> Result<(Piece, Piece)> {
        let Self { k, v, card, layout, shape, .. } = self;
        let (wide, narrow, tokens) = (shape.query_width(), shape.key_width(), layout.tokens());
        let plan = Plan::of_keys(layout, shape.window, &limits(card, shape, narrow, wide, 4));
        let numbers = Piece::indices(card, &plan.numbers)?;
        let (dk, dv) = (Piece::new(card, k.dims(), DType::F32)?, Piece::new(card, v.dims(), DType::F32)?);
        let parts = self.head_parts(plan.parts.iter().map(|part| part.blocks as usize).sum());
        if parts == 1 {
            self.key_gradients(&dk, &dv, 1, &plan, &numbers)?;
        } else {
            let of_parts = || Piece::new(card, &[parts, tokens, narrow], DType::F32);
            let (dk_parts, dv_parts) = (of_parts()?, of_parts()?);
            self.key_gradients(&dk_parts, &dv_parts, parts, &plan, &numbers)?;
            for (whole, of_parts) in [(&dk, &dk_parts), (&dv, &dv_parts)] {
                gemm::sum_parts(card, Matrix::new(whole, tokens, narrow), of_parts, parts, false)?;
            }
        }
        Ok((dk, dv))
    }

    /// Parts that the query heads of a key head are cut into, each with gradients of its own, as far as one operand
    /// spans them all.
    fn head_parts(self, blocks: usize) -> usize {
        let of_part = self.layout.tokens() * self.shape.key_width();
        parts(blocks, self.shape.heads, self.shape.kv_heads, (room(self.card) / 4 / of_part).max(1))
    }

    fn key_gradients(self, dk: &Piece, dv: &Piece, parts: usize, plan: &Plan, numbers: &Piece) -> Result<()> {
        let Self { q, k, v, d_o, stats, card, layout, shape } = self;
        let (wide, narrow) = (shape.query_width(), shape.key_width());
        let passes: &[u32] = if shape.head_dim <= WIDEST_FOR_BOTH { &[3] } else { &[1, 2] };
        for part in &plan.parts {
            // With several parts each has a matrix of its own, and all rows of them all are in reach.
            let written = if parts == 1 { part.rows.clone() } else { 0..parts * layout.tokens() };
            let mut parameters = parameters(part, shape);
            parameters.extend([
                parts as u32,
                (layout.tokens() * narrow / 4) as u32,
                written.start as u32,
                plan.positions,
            ]);
            let [head_dim, staged] = constants(shape);
            for &gradients in passes {
                card.run(&Run {
                    program: KEYS_SHADER.with(&[head_dim, staged, ("GRADIENTS", gradients)]),
                    operands: &[
                        rows_of(dk, &written, narrow),
                        rows_of(dv, &written, narrow),
                        rows_of(q, &part.others, wide),
                        rows_of(k, &part.rows, narrow),
                        rows_of(v, &part.rows, narrow),
                        rows_of(d_o, &part.others, wide),
                        rows_of(stats, &part.others, shape.heads * 2),
                        numbers.all(),
                    ],
                    parameters: &parameters,
                    groups: [(shape.kv_heads * parts) as u32, part.blocks, 1],
                    work: part.pairs * (wide * 4) as u64,
                })?;
            }
        }
        Ok(())
    }
}
