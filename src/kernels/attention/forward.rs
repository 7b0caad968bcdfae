//! The forward pass, for packed rows and for one token over a cache.
#![expect(unsafe_code, reason = "query blocks write disjoint places of the result from several threads")]

use std::{mem::MaybeUninit, ops::Range};

use super::{
    AttentionShape, CachedKeys, KEYS, KeyBlock, QueryBlock, check_operands, cost, key_blocks, query_blocks, stack,
    whole_vectors,
};
use crate::{
    Layout, Qkv, Result, Tensor, access,
    buffer::{Fresh, Shared},
    gemm::{Matrix, Target},
    parallel,
    simd::{VECTOR, add_lanes, exp, max_of, multiversion, softcapped},
};

const FORWARD: &str = "attention";
const CACHED: &str = "cached attention";

/// Multiplications below which all blocks run on the caller's thread.
const SMALL: usize = 1 << 20;

/// Buffers of one query block.
struct Workspace {
    queries: Vec<f32>,
    scores: Vec<f32>,
    sums: Vec<f32>,
    /// Running maximum of each row's scores, and the sum of `exp(score − maximum)`.
    maxima: Vec<f32>,
    totals: Vec<f32>,
}

impl Workspace {
    /// For blocks of up to `tokens`.
    fn new(shape: &AttentionShape, tokens: usize) -> Self {
        let rows = tokens * shape.group();
        Self {
            queries: vec![0.0; rows * shape.head_dim],
            scores: vec![0.0; rows * KEYS],
            sums: vec![0.0; rows * shape.head_dim],
            maxima: vec![0.0; rows],
            totals: vec![0.0; rows],
        }
    }

    /// Forgets the last block.
    fn start(&mut self) {
        self.sums.fill(0.0);
        self.maxima.fill(f32::NEG_INFINITY);
        self.totals.fill(0.0);
    }

    /// Adds one key block to the running softmax of the stacked queries.
    fn add(&mut self, block: &QueryBlock, keys: &KeyBlock, k: Matrix<'_>, v: Matrix<'_>, shape: &AttentionShape) {
        let (rows, hd, stride) = (block.tokens * shape.group(), shape.head_dim, keys.stride());
        let scores = &mut self.scores[..rows * stride];
        Matrix::new(&self.queries, rows, hd).times(k.t()).alone().set(Target::strided(scores, rows, keys.len, stride));
        for (row, scores) in scores.chunks_mut(stride).enumerate() {
            let visible = keys.visible(block.position + row % block.tokens, shape.window);
            let sums = &mut self.sums[row * hd..(row + 1) * hd];
            let (maximum, total) = (&mut self.maxima[row], &mut self.totals[row]);
            weigh(scores, visible, shape.softcap, maximum, total, sums);
        }
        Matrix::strided(scores, rows, keys.len, stride).times(v).alone().add_to(Target::new(&mut self.sums, rows, hd));
    }

    /// Writes the block's results.
    ///
    /// # Safety
    /// No other block of this call has the same rows and the same key head.
    unsafe fn finish(
        &self,
        block: &QueryBlock,
        key_head: usize,
        shape: &AttentionShape,
        o: &Shared<'_, MaybeUninit<f32>>,
        lse: Option<&Shared<'_, MaybeUninit<f32>>>,
    ) {
        let hd = shape.head_dim;
        for head in 0..shape.group() {
            for token in 0..block.tokens {
                let row = head * block.tokens + token;
                let at = (block.row + token) * shape.heads + key_head * shape.group() + head;
                let inverse = 1.0 / self.totals[row];
                // SAFETY: the caller promises that these places belong to this block.
                let place = unsafe { o.part(at * hd..(at + 1) * hd) };
                place.iter_mut().zip(&self.sums[row * hd..]).for_each(|(to, sum)| _ = to.write(sum * inverse));
                if let Some(lse) = lse {
                    // SAFETY: as above.
                    let place = unsafe { lse.part(at..at + 1) };
                    place[0].write(self.maxima[row] + self.totals[row].ln());
                }
            }
        }
    }
}

/// `(o, lse)`.
pub(crate) fn forward(qkv: Qkv<'_>, layout: &Layout, shape: &AttentionShape) -> Result<(Tensor, Tensor)> {
    check_operands(FORWARD, qkv, layout, shape)?;
    let Qkv { q, k, v } = qkv;
    let (q, k, v) = (access::read(FORWARD, "q", q)?, access::read(FORWARD, "k", k)?, access::read(FORWARD, "v", v)?);
    let (q, k, v): (&[f32], &[f32], &[f32]) = (&q, &k, &v);
    let tokens = layout.tokens();
    let mut tasks = Vec::new();
    for segment in layout.segments() {
        for block in query_blocks(segment, shape.block_tokens()) {
            tasks.extend((0..shape.kv_heads).map(|key_head| (segment, block, key_head)));
        }
    }
    let work: usize = tasks.iter().map(|(segment, block, _)| cost(segment, block, shape) * shape.head_dim * 2).sum();

    let (mut o, mut lse) = (Fresh::new(tokens * shape.query_width()), Fresh::new(tokens * shape.heads));
    let (o_places, lse_places) = (Shared::new(o.uninit()), Shared::new(lse.uninit()));
    parallel::for_each_with(
        tasks.len(),
        work < SMALL,
        || Workspace::new(shape, shape.block_tokens()),
        |workspace, task| {
            let (segment, block, key_head) = &tasks[task];
            workspace.start();
            stack(&mut workspace.queries, q, block, *key_head, shape, shape.scale);
            for keys in key_blocks(segment, block, shape.window) {
                let (k, v) = (head_rows(k, &keys, *key_head, shape), head_rows(v, &keys, *key_head, shape));
                workspace.add(block, &keys, k, v, shape);
            }
            // SAFETY: the tasks are distinct pairs of rows and key head.
            unsafe { workspace.finish(block, *key_head, shape, &o_places, Some(&lse_places)) };
        },
    );
    // SAFETY: the segments cover all rows, and every head of a row has been written.
    unsafe { Ok((o.tensor((tokens, shape.query_width()))?, lse.tensor((tokens, shape.heads))?)) }
}

/// One query row for each cache.
pub(crate) fn cached(q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
    shape.check(CACHED)?;
    access::expect_dims(CACHED, "q", q.dims(), &[caches.len(), shape.query_width()])?;
    let q = access::read(CACHED, "q", q)?;
    let q: &[f32] = &q;
    let mut views = Vec::with_capacity(caches.len());
    for cache in caches {
        shape.check_cache(CACHED, cache)?;
        views.push((
            access::read(CACHED, "keys", cache.keys)?,
            access::read(CACHED, "values", cache.values)?,
            cache.len,
        ));
    }
    let slices: Vec<(&[f32], &[f32], usize)> = views.iter().map(|(k, v, len)| (&**k, &**v, *len)).collect();
    let work = caches.iter().map(|cache| cache.len * shape.query_width() * 2).sum::<usize>();

    let mut o = Fresh::new(caches.len() * shape.query_width());
    let places = Shared::new(o.uninit());
    parallel::for_each_with(
        caches.len() * shape.kv_heads,
        work < SMALL,
        || Workspace::new(shape, 1),
        |workspace, task| {
            let (row, key_head) = (task / shape.kv_heads, task % shape.kv_heads);
            let (k, v, len) = slices[row];
            let block = QueryBlock { row, position: len - 1, tokens: 1 };
            let first = shape.window.map_or(0, |window| len.saturating_sub(window));
            workspace.start();
            stack(&mut workspace.queries, q, &block, key_head, shape, shape.scale);
            for position in (first..len).step_by(KEYS) {
                let keys = KeyBlock { row: position, position, len: KEYS.min(len - position) };
                let (k, v) = (head_rows(k, &keys, key_head, shape), head_rows(v, &keys, key_head, shape));
                workspace.add(&block, &keys, k, v, shape);
            }
            // SAFETY: the tasks are distinct pairs of row and key head.
            unsafe { workspace.finish(&block, key_head, shape, &places, None) };
        },
    );
    // SAFETY: every head of every row has been written.
    unsafe { o.tensor((caches.len(), shape.query_width())) }
}

/// The rows of a key block for one key head.
pub(super) fn head_rows<'a>(data: &'a [f32], keys: &KeyBlock, key_head: usize, shape: &AttentionShape) -> Matrix<'a> {
    let first = keys.row * shape.key_width() + key_head * shape.head_dim;
    Matrix::strided(&data[first..], keys.len, shape.head_dim, shape.key_width())
}

multiversion! {
    /// Turns the visible scores of one row into weights relative to the running maximum, the others into 0, and brings
    /// what was summed before to the new maximum.
    fn weigh(
        scores: &mut [f32],
        visible: Range<usize>,
        softcap: Option<f32>,
        maximum: &mut f32,
        total: &mut f32,
        sums: &mut [f32],
    ) {
        if visible.is_empty() {
            scores.fill(0.0);
            return;
        }
        let scores = whole_vectors(scores, visible);
        if let Some(cap) = softcap {
            let inverse = 1.0 / cap;
            for score in scores.as_flattened_mut() {
                // A hidden score stays minus infinity.
                *score = softcapped::<FMA>(*score, cap, inverse);
            }
        }
        let largest = max_of(scores);
        if largest > *maximum {
            let factor = exp::<FMA>(*maximum - largest);
            *maximum = largest;
            *total *= factor;
            for sum in sums.iter_mut() {
                *sum *= factor;
            }
        }
        let shift = *maximum;
        let mut lanes = [0.0_f32; VECTOR];
        for chunk in scores {
            for i in 0..VECTOR {
                let weight = exp::<FMA>(chunk[i] - shift);
                chunk[i] = weight;
                lanes[i] += weight;
            }
        }
        *total += add_lanes(lanes);
    }
}
