//! The backward pass.
//!
//! With `p = exp(s − lse)` recomputed block by block: `dv = pᵀ do`, `ds = p·(do vᵀ − Σ do·o)`, `dq = scale·ds k`,
//! `dk = scale·dsᵀ q`. Keys are shared by all queries after them, so their gradients are sums. To be the same bits with
//! any number of threads they are summed by one task for each (document, key head) in a fixed order; where that gives
//! too few tasks, a document's queries are cut into chunks by cost, each with its own sums, which are added in order.
#![expect(unsafe_code, reason = "tasks write disjoint places of the results from several threads")]

use std::{mem::MaybeUninit, ops::Range};

use super::{
    AttentionShape, KEYS, KeyBlock, QueryBlock, check_operands, cost, forward::head_rows, key_blocks, query_blocks,
    stack, whole_vectors,
};
use crate::{
    AttentionOut, Layout, Qkv, Result, Segment, Tensor, access,
    buffer::{Fresh, Shared},
    gemm::{Matrix, Target},
    parallel,
    simd::{VECTOR, dot, exp, multiversion, tanh},
};

const BACKWARD: &str = "attention backward";

/// Tasks that a call is cut into when it has enough work. A fixed number: the sums depend on it.
const TASKS: usize = 24;

/// Chunks of one document at most: each holds its own key and value gradients.
const MOST_CHUNKS: usize = 8;

/// Multiplications (of one of the five products) below which a chunk is not worth its sums.
const CHUNK: usize = 1 << 20;

/// A prompt and the answers that continue it: the segments that share keys.
struct Document<'a> {
    /// Each segment and where its rows begin among the document's rows.
    segments: Vec<(&'a Segment, usize)>,
    rows: usize,
}

/// Query blocks of one document and one key head, and where their key gradients go.
struct Task {
    document: usize,
    key_head: usize,
    /// Index of the segment in its document, and the block.
    blocks: Vec<(usize, QueryBlock)>,
}

/// The operands as slices.
#[derive(Clone, Copy)]
struct Operands<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    o: &'a [f32],
    lse: &'a [f32],
    d_o: &'a [f32],
    shape: &'a AttentionShape,
}

/// `(dq, dk, dv)`.
pub(crate) fn backward(
    qkv: Qkv<'_>,
    outcome: AttentionOut<'_>,
    layout: &Layout,
    shape: &AttentionShape,
) -> Result<(Tensor, Tensor, Tensor)> {
    check_operands(BACKWARD, qkv, layout, shape)?;
    let (Qkv { q, k, v }, AttentionOut { o, lse, d_o }) = (qkv, outcome);
    let tokens = layout.tokens();
    access::expect_dims(BACKWARD, "o", o.dims(), &[tokens, shape.query_width()])?;
    access::expect_dims(BACKWARD, "lse", lse.dims(), &[tokens, shape.heads])?;
    access::expect_dims(BACKWARD, "gradient of o", d_o.dims(), &[tokens, shape.query_width()])?;
    let read = |operand, tensor| access::read(BACKWARD, operand, tensor);
    let (q, k, v) = (read("q", q)?, read("k", k)?, read("v", v)?);
    let (o, lse, d_o) = (read("o", o)?, read("lse", lse)?, read("gradient of o", d_o)?);
    let operands = Operands { q: &q, k: &k, v: &v, o: &o, lse: &lse, d_o: &d_o, shape };

    let documents = documents(layout);
    let (tasks, work) = plan(&documents, shape);
    let small = work < CHUNK;
    let mut dq = Fresh::new(tokens * shape.query_width());
    let (mut dk, mut dv) = (Fresh::new(tokens * shape.key_width()), Fresh::new(tokens * shape.key_width()));
    let dq_places = Shared::new(dq.uninit());
    let (dk_places, dv_places) = (Shared::new(dk.uninit()), Shared::new(dv.uninit()));

    // Tasks of one document and key head follow one another.
    let groups: Vec<Range<usize>> = {
        let starts_group = |i: usize| {
            i == 0 || (tasks[i].document, tasks[i].key_head) != (tasks[i - 1].document, tasks[i - 1].key_head)
        };
        let starts: Vec<usize> = (0..tasks.len()).filter(|&i| starts_group(i)).collect();
        let ends = starts.iter().skip(1).copied().chain([tasks.len()]);
        starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
    };
    let write_group = |group: &Range<usize>, sums: &[KeyGradients]| {
        let task = &tasks[group.start];
        // SAFETY: a document's rows and a key head belong to one group.
        unsafe {
            write_keys(&documents[task.document], task.key_head, sums, shape, &dk_places, &dv_places);
        };
    };
    let run = |task: usize| run_task(&documents, &tasks[task], operands, &dq_places);
    if groups.len() == tasks.len() {
        parallel::for_each(groups.len(), small, |i| write_group(&groups[i], &[run(i)]));
    } else {
        let sums = parallel::map(tasks.len(), small, run);
        parallel::for_each(groups.len(), small, |i| {
            write_group(&groups[i], &sums[groups[i].clone()]);
        });
    }
    // SAFETY: the documents cover all rows; tasks wrote all heads of `dq`, groups all heads of `dk` and `dv`.
    unsafe {
        let key_dims = (tokens, shape.key_width());
        Ok((dq.tensor((tokens, shape.query_width()))?, dk.tensor(key_dims)?, dv.tensor(key_dims)?))
    }
}

/// Groups the segments by prompt.
fn documents(layout: &Layout) -> Vec<Document<'_>> {
    let mut documents: Vec<Document<'_>> = Vec::new();
    for segment in layout.segments() {
        if segment.prefix.is_empty() {
            documents.push(Document { segments: vec![(segment, 0)], rows: segment.len });
        } else if let Some(document) = documents.iter_mut().rev().find(|d| d.segments[0].0.rows() == segment.prefix) {
            document.segments.push((segment, document.rows));
            document.rows += segment.len;
        }
    }
    documents
}

/// Cuts the call in tasks, from shapes alone; also gives the multiplications of one of its five products.
fn plan(documents: &[Document<'_>], shape: &AttentionShape) -> (Vec<Task>, usize) {
    let blocks: Vec<Vec<(usize, QueryBlock, usize)>> = documents
        .iter()
        .map(|document| {
            let of_segment = |(index, (segment, _)): (usize, &(&Segment, usize))| {
                let segment: &Segment = segment;
                query_blocks(segment, shape.block_tokens())
                    .map(|block| (index, block, cost(segment, &block, shape) * shape.head_dim))
                    .collect::<Vec<_>>()
            };
            document.segments.iter().enumerate().flat_map(of_segment).collect()
        })
        .collect();
    let costs: Vec<usize> = blocks.iter().map(|blocks| blocks.iter().map(|(_, _, cost)| cost).sum()).collect();
    let total = costs.iter().sum::<usize>() * shape.kv_heads;
    let mut tasks = Vec::new();
    for (document, (blocks, &cost)) in blocks.iter().zip(&costs).enumerate() {
        let chunks = (cost * TASKS).div_ceil(total.max(1)).min(cost / CHUNK).clamp(1, MOST_CHUNKS);
        for key_head in 0..shape.kv_heads {
            let mut done = 0;
            let mut chunk = Vec::new();
            let mut index = 1;
            for &(segment, block, cost_of_block) in blocks {
                chunk.push((segment, block));
                done += cost_of_block;
                if index < chunks && done >= cost * index / chunks {
                    tasks.push(Task { document, key_head, blocks: std::mem::take(&mut chunk) });
                    index += 1;
                }
            }
            if !chunk.is_empty() {
                tasks.push(Task { document, key_head, blocks: chunk });
            }
        }
    }
    (tasks, total)
}

/// Gradients of one key head over a document's rows: `[rows, head_dim]` each.
struct KeyGradients {
    dk: Vec<f32>,
    dv: Vec<f32>,
}

/// Runs the blocks of a task: writes `dq`, gives the sums of `dk` and `dv`.
fn run_task(
    documents: &[Document<'_>],
    task: &Task,
    operands: Operands<'_>,
    dq_places: &Shared<'_, MaybeUninit<f32>>,
) -> KeyGradients {
    let document = &documents[task.document];
    let hd = operands.shape.head_dim;
    let mut sums = KeyGradients { dk: vec![0.0; document.rows * hd], dv: vec![0.0; document.rows * hd] };
    let tokens = task.blocks.iter().map(|(_, block)| block.tokens).max();
    let rows = tokens.unwrap_or(0) * operands.shape.group();
    let keys = document.rows.min(KEYS).next_multiple_of(VECTOR);
    let mut workspace = Workspace::new(operands, task.key_head, rows, keys);
    for (segment, block) in &task.blocks {
        let (segment, own_rows) = document.segments[*segment];
        workspace.start(block);
        for keys in key_blocks(segment, block, operands.shape.window) {
            // Rows of the keys among the document's rows: the prompt comes first.
            let first = if keys.position < segment.prefix.len() {
                keys.position
            } else {
                own_rows + keys.position - segment.prefix.len()
            };
            let at = first * hd..(first + keys.len) * hd;
            let (dk, dv) = (&mut sums.dk[at.clone()], &mut sums.dv[at]);
            workspace.add(block, &keys, dk, dv);
        }
        // SAFETY: a block's rows and heads belong to one task.
        unsafe { workspace.finish(block, dq_places) };
    }
    sums
}

/// Buffers of one query block.
struct Workspace<'a> {
    operands: Operands<'a>,
    key_head: usize,
    /// Stacked rows: `scale·q`, the gradient of `o`, and the sum of `ds k`.
    queries: Vec<f32>,
    outputs: Vec<f32>,
    dq: Vec<f32>,
    /// Scores, then weights; and their gradients.
    weights: Vec<f32>,
    d_scores: Vec<f32>,
    /// Of each row: log-sum-exp, and `Σ do·o`.
    lse: Vec<f32>,
    delta: Vec<f32>,
}

impl<'a> Workspace<'a> {
    fn new(operands: Operands<'a>, key_head: usize, rows: usize, keys: usize) -> Self {
        let hd = operands.shape.head_dim;
        Self {
            operands,
            key_head,
            queries: vec![0.0; rows * hd],
            outputs: vec![0.0; rows * hd],
            dq: vec![0.0; rows * hd],
            weights: vec![0.0; rows * keys],
            d_scores: vec![0.0; rows * keys],
            lse: vec![0.0; rows],
            delta: vec![0.0; rows],
        }
    }

    /// Where a stacked row of the block is among all heads of all tokens.
    fn place(&self, block: &QueryBlock, row: usize) -> usize {
        let shape = self.operands.shape;
        let head = self.key_head * shape.group() + row / block.tokens;
        (block.row + row % block.tokens) * shape.heads + head
    }

    /// Takes in the block's queries.
    fn start(&mut self, block: &QueryBlock) {
        let Operands { q, o, lse, d_o, shape, .. } = self.operands;
        let hd = shape.head_dim;
        let rows = block.tokens * shape.group();
        stack(&mut self.queries, q, block, self.key_head, shape, shape.scale);
        stack(&mut self.outputs, d_o, block, self.key_head, shape, 1.0);
        for row in 0..rows {
            let at = self.place(block, row);
            let gradient = &self.outputs[row * hd..(row + 1) * hd];
            self.lse[row] = lse[at];
            self.delta[row] = dot_rows(&o[at * hd..(at + 1) * hd], gradient);
        }
        self.dq[..rows * hd].fill(0.0);
    }

    /// Adds what one key block has to do with the queries: to `dq`, and to the keys' own `dk` and `dv`.
    fn add(&mut self, block: &QueryBlock, keys: &KeyBlock, dk: &mut [f32], dv: &mut [f32]) {
        let Operands { k, v, shape, .. } = self.operands;
        let (rows, hd, len) = (block.tokens * shape.group(), shape.head_dim, keys.len);
        let stride = keys.stride();
        let k = head_rows(k, keys, self.key_head, shape);
        let v = head_rows(v, keys, self.key_head, shape);
        let queries = Matrix::new(&self.queries, rows, hd);
        let outputs = Matrix::new(&self.outputs, rows, hd);
        let weights = &mut self.weights[..rows * stride];
        let d_scores = &mut self.d_scores[..rows * stride];
        queries.times(k.t()).alone().set(Target::strided(weights, rows, len, stride));
        outputs.times(v.t()).alone().set(Target::strided(d_scores, rows, len, stride));
        let score_rows = weights.chunks_mut(stride).zip(d_scores.chunks_mut(stride));
        for (row, (weights, d_scores)) in score_rows.enumerate() {
            let visible = keys.visible(block.position + row % block.tokens, shape.window);
            let (lse, delta) = (self.lse[row], self.delta[row]);
            differentiate(weights, d_scores, visible, shape.softcap, lse, delta);
        }
        let weights = Matrix::strided(weights, rows, len, stride);
        let d_scores = Matrix::strided(d_scores, rows, len, stride);
        weights.t().times(outputs).alone().add_to(Target::new(dv, len, hd));
        d_scores.t().times(queries).alone().add_to(Target::new(dk, len, hd));
        d_scores.times(k).alone().add_to(Target::new(&mut self.dq, rows, hd));
    }

    /// Writes the block's `dq`.
    ///
    /// # Safety
    /// No one else writes these rows for these heads.
    unsafe fn finish(&self, block: &QueryBlock, places: &Shared<'_, MaybeUninit<f32>>) {
        let shape = self.operands.shape;
        let hd = shape.head_dim;
        for row in 0..block.tokens * shape.group() {
            let at = self.place(block, row);
            // SAFETY: the caller's promise.
            let place = unsafe { places.part(at * hd..(at + 1) * hd) };
            for (to, dq) in place.iter_mut().zip(&self.dq[row * hd..]) {
                to.write(dq * shape.scale);
            }
        }
    }
}

/// Adds up the chunks' sums and writes them to the rows of a document.
///
/// # Safety
/// No one else writes this document and key head.
unsafe fn write_keys(
    document: &Document<'_>,
    key_head: usize,
    sums: &[KeyGradients],
    shape: &AttentionShape,
    dk: &Shared<'_, MaybeUninit<f32>>,
    dv: &Shared<'_, MaybeUninit<f32>>,
) {
    let hd = shape.head_dim;
    for (segment, first) in &document.segments {
        for row in 0..segment.len {
            let from = (first + row) * hd..(first + row + 1) * hd;
            let at = (segment.start + row) * shape.key_width() + key_head * hd;
            // SAFETY: the caller's promise.
            let (dk, dv) = unsafe { (dk.part(at..at + hd), dv.part(at..at + hd)) };
            for (i, from) in from.enumerate() {
                dk[i].write(sums.iter().map(|sum| sum.dk[from]).sum());
                dv[i].write(sums.iter().map(|sum| sum.dv[from]).sum());
            }
        }
    }
}

multiversion! {
    fn dot_rows(a: &[f32], b: &[f32]) -> f32 {
        dot::<FMA>(a, b)
    }
}

multiversion! {
    /// One row: scores become weights `p`, and `do·v` becomes the gradient of the raw scores.
    fn differentiate(
        scores: &mut [f32],
        d_scores: &mut [f32],
        visible: Range<usize>,
        softcap: Option<f32>,
        lse: f32,
        delta: f32,
    ) {
        let whole = visible.start / VECTOR * VECTOR..visible.end.next_multiple_of(VECTOR);
        d_scores[..whole.start].fill(0.0);
        d_scores[whole.end..].fill(0.0);
        let (d_scores, _) = d_scores[whole].as_chunks_mut::<VECTOR>();
        let scores = whole_vectors(scores, visible);
        if let Some(cap) = softcap {
            let inverse = 1.0 / cap;
            for (score, d_score) in scores.as_flattened_mut().iter_mut().zip(d_scores.as_flattened_mut()) {
                // A hidden score gives -1 here: its weight is taken from the score itself.
                let t = tanh::<FMA>(*score * inverse);
                let capped = if score.abs() < f32::INFINITY { cap * t } else { *score };
                let p = exp::<FMA>(capped - lse);
                *score = p;
                *d_score = p * (*d_score - delta) * (1.0 - t * t);
            }
        } else {
            for (score, d_score) in scores.iter_mut().zip(d_scores) {
                for i in 0..VECTOR {
                    let p = exp::<FMA>(score[i] - lse);
                    score[i] = p;
                    d_score[i] = p * (d_score[i] - delta);
                }
            }
        }
    }
}
