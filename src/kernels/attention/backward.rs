//! The backward pass.
//!
//! With `p = exp(s − lse)` recomputed block by block: `dv = pᵀ do`, `ds = p·(do vᵀ − Σ do·o)`, `dq = scale·ds k`,
//! `dk = scale·dsᵀ q`. Keys are shared by all queries after them, so their gradients are sums. To be the same bits with
//! any number of threads they are summed by one task for each (document, key head) in a fixed order; where that gives
//! too few tasks, a document's queries are cut into chunks by cost, each with its own sums, which are added in order.
#![expect(
    unsafe_code,
    reason = "tasks write disjoint places of the results from several threads"
)]

use std::{mem::MaybeUninit, ops::Range};

use candle_core::Tensor;

use super::{
    AttentionShape, KEYS, QueryBlock, check_operands, cost, forward::head_rows, key_blocks,
    query_blocks, stack,
};
use crate::kernels::{
    Layout, Result, Segment, access,
    buffer::{Fresh, Shared},
    gemm::{Matrix, Target, Threads, Write, multiply},
    parallel,
    simd::{dot, exp, multiversion, tanh},
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
#[expect(clippy::too_many_arguments, reason = "the trait's signature")]
pub(in crate::kernels) fn backward(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    o: &Tensor,
    lse: &Tensor,
    d_o: &Tensor,
    layout: &Layout,
    shape: &AttentionShape,
) -> Result<(Tensor, Tensor, Tensor)> {
    check_operands(BACKWARD, q, k, v, layout, shape)?;
    let tokens = layout.tokens();
    access::expect_dims(BACKWARD, "o", o, &[tokens, shape.query_width()])?;
    access::expect_dims(BACKWARD, "lse", lse, &[tokens, shape.heads])?;
    access::expect_dims(
        BACKWARD,
        "gradient of o",
        d_o,
        &[tokens, shape.query_width()],
    )?;
    let read = |operand, tensor| access::read(BACKWARD, operand, tensor);
    let (q, k, v) = (read("q", q)?, read("k", k)?, read("v", v)?);
    let (o, lse, d_o) = (
        read("o", o)?,
        read("lse", lse)?,
        read("gradient of o", d_o)?,
    );
    let operands = Operands {
        q: &q,
        k: &k,
        v: &v,
        o: &o,
        lse: &lse,
        d_o: &d_o,
        shape,
    };

    let documents = documents(layout);
    let (tasks, work) = plan(&documents, shape);
    let small = work < CHUNK;
    let mut dq = Fresh::new(tokens * shape.query_width());
    let (mut dk, mut dv) = (
        Fresh::new(tokens * shape.key_width()),
        Fresh::new(tokens * shape.key_width()),
    );
    let dq_places = Shared::new(dq.uninit());
    let (dk_places, dv_places) = (Shared::new(dk.uninit()), Shared::new(dv.uninit()));

    // Tasks of one document and key head follow one another.
    let groups: Vec<Range<usize>> = {
        let starts_group = |i: usize| {
            i == 0
                || (tasks[i].document, tasks[i].key_head)
                    != (tasks[i - 1].document, tasks[i - 1].key_head)
        };
        let starts: Vec<usize> = (0..tasks.len()).filter(|&i| starts_group(i)).collect();
        let ends = starts.iter().skip(1).copied().chain([tasks.len()]);
        starts
            .iter()
            .copied()
            .zip(ends)
            .map(|(start, end)| start..end)
            .collect()
    };
    let write_group = |group: &Range<usize>, sums: &[KeyGradients]| {
        let task = &tasks[group.start];
        // SAFETY: a document's rows and a key head belong to one group.
        unsafe {
            write_keys(
                &documents[task.document],
                task.key_head,
                sums,
                shape,
                &dk_places,
                &dv_places,
            )
        };
    };
    let run = |task: usize| run_task(&documents, &tasks[task], operands, &dq_places);
    if groups.len() == tasks.len() {
        parallel::for_each(groups.len(), small, |i| write_group(&groups[i], &[run(i)]));
    } else {
        let sums = parallel::map(tasks.len(), small, run);
        parallel::for_each(groups.len(), small, |i| {
            write_group(&groups[i], &sums[groups[i].clone()])
        });
    }
    // SAFETY: the documents cover all rows; tasks wrote all heads of `dq`, groups all heads of `dk` and `dv`.
    unsafe {
        let key_dims = (tokens, shape.key_width());
        Ok((
            dq.tensor((tokens, shape.query_width()))?,
            dk.tensor(key_dims)?,
            dv.tensor(key_dims)?,
        ))
    }
}

/// Groups the segments by prompt.
fn documents(layout: &Layout) -> Vec<Document<'_>> {
    let mut documents: Vec<Document<'_>> = Vec::new();
    for segment in layout.segments() {
        if segment.prefix.is_empty() {
            documents.push(Document {
                segments: vec![(segment, 0)],
                rows: segment.len,
            });
        } else if let Some(document) = documents
            .iter_mut()
            .rev()
            .find(|d| d.segments[0].0.rows() == segment.prefix)
        {
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
            document
                .segments
                .iter()
                .enumerate()
                .flat_map(of_segment)
                .collect()
        })
        .collect();
    let costs: Vec<usize> = blocks
        .iter()
        .map(|blocks| blocks.iter().map(|(_, _, cost)| cost).sum())
        .collect();
    let total = costs.iter().sum::<usize>() * shape.kv_heads;
    let mut tasks = Vec::new();
    for (document, (blocks, &cost)) in blocks.iter().zip(&costs).enumerate() {
        let chunks = (cost * TASKS)
            .div_ceil(total.max(1))
            .min(cost / CHUNK)
            .clamp(1, MOST_CHUNKS);
        for key_head in 0..shape.kv_heads {
            let mut done = 0;
            let mut chunk = Vec::new();
            let mut index = 1;
            for &(segment, block, cost_of_block) in blocks {
                chunk.push((segment, block));
                done += cost_of_block;
                if index < chunks && done >= cost * index / chunks {
                    tasks.push(Task {
                        document,
                        key_head,
                        blocks: std::mem::take(&mut chunk),
                    });
                    index += 1;
                }
            }
            if !chunk.is_empty() {
                tasks.push(Task {
                    document,
                    key_head,
                    blocks: chunk,
                });
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
    let Operands {
        q,
        k,
        v,
        o,
        lse,
        d_o,
        shape,
    } = operands;
    let document = &documents[task.document];
    let (hd, key_head) = (shape.head_dim, task.key_head);
    let mut sums = KeyGradients {
        dk: vec![0.0; document.rows * hd],
        dv: vec![0.0; document.rows * hd],
    };
    let most_rows = task
        .blocks
        .iter()
        .map(|(_, block)| block.tokens)
        .max()
        .unwrap_or(0)
        * shape.group();
    let mut queries = vec![0.0; most_rows * hd];
    let mut outputs = vec![0.0; most_rows * hd];
    let mut dq = vec![0.0; most_rows * hd];
    // Rows of `most_rows` scores: weights, and their gradients.
    let (mut weights, mut d_scores) = (vec![0.0; most_rows * KEYS], vec![0.0; most_rows * KEYS]);
    let (mut row_lse, mut row_delta) = (vec![0.0; most_rows], vec![0.0; most_rows]);

    for (segment, block) in &task.blocks {
        let (segment, own_rows) = document.segments[*segment];
        let rows = block.tokens * shape.group();
        stack(&mut queries, q, block, key_head, shape, shape.scale);
        stack(&mut outputs, d_o, block, key_head, shape, 1.0);
        for row in 0..rows {
            let (token, head) = (
                block.row + row % block.tokens,
                key_head * shape.group() + row / block.tokens,
            );
            let at = token * shape.heads + head;
            row_lse[row] = lse[at];
            row_delta[row] = dot_rows(
                &o[at * hd..(at + 1) * hd],
                &outputs[row * hd..(row + 1) * hd],
            );
        }
        dq[..rows * hd].fill(0.0);
        for keys in key_blocks(segment, block, shape.window) {
            let (k, v) = (
                head_rows(k, &keys, key_head, shape),
                head_rows(v, &keys, key_head, shape),
            );
            let (weights, d_scores) = (
                &mut weights[..rows * keys.len],
                &mut d_scores[..rows * keys.len],
            );
            let (q_rows, o_rows) = (
                Matrix::new(&queries, rows, hd),
                Matrix::new(&outputs, rows, hd),
            );
            multiply(
                1.0,
                q_rows,
                k.t(),
                Write::Set,
                Target::new(weights, rows, keys.len),
                Threads::One,
            );
            multiply(
                1.0,
                o_rows,
                v.t(),
                Write::Set,
                Target::new(d_scores, rows, keys.len),
                Threads::One,
            );
            for row in 0..rows {
                let visible = keys.visible(block.position + row % block.tokens, shape.window);
                let at = row * keys.len..(row + 1) * keys.len;
                let (weights, d_scores) = (&mut weights[at.clone()], &mut d_scores[at]);
                differentiate(
                    weights,
                    d_scores,
                    visible,
                    shape.softcap,
                    row_lse[row],
                    row_delta[row],
                );
            }
            let (weights, d_scores) = (
                Matrix::new(weights, rows, keys.len),
                Matrix::new(d_scores, rows, keys.len),
            );
            // Rows of the keys among the document's rows: the prompt comes first.
            let first = if keys.position < segment.prefix.len() {
                keys.position
            } else {
                own_rows + keys.position - segment.prefix.len()
            };
            let at = first * hd..(first + keys.len) * hd;
            let (dk, dv) = (&mut sums.dk[at.clone()], &mut sums.dv[at]);
            multiply(
                1.0,
                weights.t(),
                o_rows,
                Write::Add,
                Target::new(dv, keys.len, hd),
                Threads::One,
            );
            multiply(
                1.0,
                d_scores.t(),
                q_rows,
                Write::Add,
                Target::new(dk, keys.len, hd),
                Threads::One,
            );
            multiply(
                1.0,
                d_scores,
                k,
                Write::Add,
                Target::new(&mut dq, rows, hd),
                Threads::One,
            );
        }
        for row in 0..rows {
            let (token, head) = (
                block.row + row % block.tokens,
                key_head * shape.group() + row / block.tokens,
            );
            let at = token * shape.heads + head;
            // SAFETY: a block's rows and heads belong to one task.
            let place = unsafe { dq_places.part(at * hd..(at + 1) * hd) };
            place
                .iter_mut()
                .zip(&dq[row * hd..])
                .for_each(|(to, dq)| _ = to.write(dq * shape.scale));
        }
    }
    sums
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
        for hidden in [0..visible.start, visible.end..scores.len()] {
            scores[hidden.clone()].fill(0.0);
            d_scores[hidden].fill(0.0);
        }
        let (scores, d_scores) = (&mut scores[visible.clone()], &mut d_scores[visible]);
        if let Some(cap) = softcap {
            let inverse = 1.0 / cap;
            for (score, d_score) in scores.iter_mut().zip(d_scores) {
                let t = tanh::<FMA>(*score * inverse);
                let p = exp::<FMA>(cap * t - lse);
                *score = p;
                *d_score = p * (*d_score - delta) * (1.0 - t * t);
            }
        } else {
            for (score, d_score) in scores.iter_mut().zip(d_scores) {
                let p = exp::<FMA>(*score - lse);
                *score = p;
                *d_score = p * (*d_score - delta);
            }
        }
    }
}
