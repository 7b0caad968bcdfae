//! Attention of one new token for each of several sequences, each over its own cache: the keys are cut into stretches
//! that are worked on at once and joined after, so that a single long sequence keeps a card busy.

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
    concat!(
        include_str!("finite.wgsl"),
        include_str!("sum.wgsl"),
        include_str!("largest.wgsl"),
        include_str!("cached/stretch.wgsl")
    ),
    4,
);
static JOIN_SHADER: Shader =
    Shader::new("cached attention, joined", concat!(include_str!("finite.wgsl"), include_str!("cached/join.wgsl")), 3);

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
    join_all(&o, sums, starts, shape)?;
    Ok(o.into())
}

/// Joins the stretches of each row, those from number `starts[i]` to number `starts[i + 1]`. Where a row has more of
/// them than one operand spans, some at a time become one first, until they do.
fn join_all(o: &Piece, sums: Piece, starts: Vec<usize>, shape: &AttentionShape) -> Result<()> {
    let (card, record) = (o.card(), shape.heads * (shape.head_dim + 2));
    let most = columns::rows_per_run(card, record).max(2);
    let (mut sums, mut starts) = (sums, starts);
    while starts.windows(2).any(|row| row[1] - row[0] > most) {
        let (mut parts, mut rows) = (vec![0], vec![0]);
        for row in starts.windows(2) {
            parts.extend((row[0]..row[1]).step_by(most).map(|first| row[1].min(first + most)));
            rows.push(parts.len() - 1);
        }
        let joined = Piece::new(card, &[parts.len() - 1, record], DType::F32)?;
        join(&joined, &sums, &parts, shape, true)?;
        (sums, starts) = (joined, rows);
    }
    join(o, &sums, &starts, shape, false)
}

/// Joins the stretches of each row, which one operand spans: to the outcome, or to one stretch.
fn join(to: &Piece, sums: &Piece, starts: &[usize], shape: &AttentionShape, is_partial: bool) -> Result<()> {
    let (card, rows, record) = (to.card(), starts.len() - 1, shape.heads * (shape.head_dim + 2));
    let width = if is_partial { record } else { shape.query_width() };
    let most = columns::rows_per_run(card, record);
    let mut first = 0;
    while first < rows {
        let fits = |end: &usize| starts[*end] - starts[first] <= most && end - first <= most;
        let end = (first + 1..=rows).take_while(fits).last().unwrap_or(first + 1);
        let stretches = starts[first]..starts[end];
        let own: Vec<u32> = starts[first..=end].iter().map(|start| (start - stretches.start) as u32).collect();
        let own = Piece::indices(card, &own)?;
        card.run(&Run {
            program: JOIN_SHADER.with(&[("HEAD_DIM", shape.head_dim as u32), ("PARTIAL", u32::from(is_partial))]),
            operands: &[
                to.span(first * width..end * width),
                sums.span(stretches.start * record..stretches.end * record),
                own.all(),
            ],
            parameters: &[shape.heads as u32],
            groups: [shape.heads as u32, (end - first) as u32, 1],
            work: (stretches.len() * shape.query_width()) as u64,
        })?;
        first = end;
    }
    Ok(())
}
