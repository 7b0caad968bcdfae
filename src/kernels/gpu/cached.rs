//! Attention of one new token for each of several sequences, each over its own cache: the keys are cut into stretches that
//! are worked on at once and joined after, so that a single long sequence keeps a card busy.

use candle_core::DType;

use super::{
    super::{AttentionShape, CachedKeys, Result, Tensor, access},
    attention::check_width,
    columns,
    commands::{Run, number},
    memory::Piece,
    shader::Shader,
};

static STRETCH_SHADER: Shader = Shader::of_products(
    "cached attention",
    concat!(include_str!("sum.wgsl"), include_str!("largest.wgsl"), include_str!("cached/stretch.wgsl")),
    4,
);
static JOIN_SHADER: Shader = Shader::new("cached attention, joined", include_str!("cached/join.wgsl"), 3);

const OPERATION: &str = "cached attention";

/// Keys that a workgroup takes.
const STRETCH: usize = 64;

/// `o[N, heads·hd]`: row `i` of `q` over the keys of cache `i`. A row's bits are independent of the other rows.
pub(super) fn forward(q: &Tensor, caches: &[CachedKeys<'_>], shape: &AttentionShape) -> Result<Tensor> {
    shape.check(OPERATION)?;
    check_width(OPERATION, shape)?;
    let (wide, narrow) = (shape.query_width(), shape.key_width());
    access::expect_dims(OPERATION, "q", q.dims(), &[caches.len(), wide])?;
    for cache in caches {
        shape.check_cache(OPERATION, cache)?;
    }
    let q = q.gpu(OPERATION, "q")?;
    let card = q.card();
    let o = Piece::new(card, q.dims(), DType::F32)?;
    let seen = |cache: &CachedKeys<'_>| shape.window.map_or(cache.len, |window| window.min(cache.len));
    let mut starts = vec![0];
    for cache in caches {
        starts.push(starts[starts.len() - 1] + seen(cache).div_ceil(STRETCH));
    }
    let per_stretch = shape.heads * (shape.head_dim + 2);
    let stretches = starts[caches.len()];
    let sums = Piece::new(card, &[stretches, per_stretch], DType::F32)?;
    // Whole stretches of keys that one operand may span.
    let at_once = (columns::rows_per_run(card, narrow) / STRETCH).max(1) * STRETCH;
    let constants = [("HEAD_DIM", shape.head_dim as u32)];
    for (row, cache) in caches.iter().enumerate() {
        let (keys, values) = (cache.keys.gpu(OPERATION, "keys")?, cache.values.gpu(OPERATION, "values")?);
        let first_key = cache.len - seen(cache);
        for first in (0..seen(cache)).step_by(at_once) {
            let count = at_once.min(seen(cache) - first);
            let rows = (first_key + first) * narrow..(first_key + first + count) * narrow;
            let stretches = starts[row] + first / STRETCH..starts[row] + (first + count).div_ceil(STRETCH);
            card.run(&Run {
                program: STRETCH_SHADER.with(&constants),
                operands: &[
                    sums.span(stretches.start * per_stretch..stretches.end * per_stretch),
                    q.span(row * wide..(row + 1) * wide),
                    keys.span(rows.clone()),
                    values.span(rows),
                ],
                parameters: &[
                    shape.heads as u32,
                    shape.group() as u32,
                    count as u32,
                    number(shape.scale),
                    number(shape.softcap.unwrap_or(0.0)),
                ],
                groups: [shape.heads as u32, stretches.len() as u32, 1],
                work: (count * wide * 2) as u64,
            })?;
        }
    }
    let starts: Vec<u32> = starts.iter().map(|&start| start as u32).collect();
    let starts = Piece::indices(card, &starts)?;
    card.run(&Run {
        program: JOIN_SHADER.with(&constants),
        operands: &[o.all(), sums.all(), starts.all()],
        parameters: &[shape.heads as u32],
        groups: [shape.heads as u32, caches.len() as u32, 1],
        work: (stretches * wide) as u64,
    })?;
    Ok(o.into())
}
