//! Which rows a workgroup has, and which of the other side it walks through.

use std::{cmp::Reverse, ops::Range};

use crate::{Layout, Segment};

/// Rows of a block at most.
pub(super) const BLOCK: usize = 64;

/// Rows of the other side that a workgroup takes at once.
pub(super) const TILE: usize = 32;

/// What one run may take, in rows of each side and in pairs of a query and a key.
pub(super) struct Limits {
    pub rows: usize,
    pub others: usize,
    pub pairs: u64,
}

/// The blocks of a pass, as numbers that the shaders read.
#[derive(Debug)]
pub(super) struct Plan {
    pub numbers: Vec<u32>,
    /// Where the positions of all rows begin among the numbers; only for blocks of keys.
    pub positions: u32,
    pub parts: Vec<Part>,
}

/// Consecutive blocks that one run does, and the rows that they reach.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub first_block: u32,
    pub blocks: u32,
    pub rows: Range<usize>,
    pub others: Range<usize>,
    /// Pairs of a query and a key that are looked at.
    pub pairs: u64,
    /// Whether an earlier run has done the same rows with others of the other side.
    pub joins: bool,
}

/// Consecutive rows of one segment, and all of the other side that they reach, or a stretch of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    rows: Range<usize>,
    /// Which stretch.
    stretch: usize,
    /// Reached on the other side: from the first to the last.
    others: Range<usize>,
    pairs: u64,
    /// What the shader is told.
    record: Vec<u32>,
    /// Rows of queries that see a block of keys.
    ranges: Vec<Range<usize>>,
}

impl Plan {
    /// Blocks of queries, and the keys that they see.
    pub(super) fn of_queries(layout: &Layout, window: Option<usize>, limits: &Limits) -> Self {
        let of = |segment| query_blocks(segment, window, limits.others);
        let blocks = layout.segments().iter().flat_map(of).collect();
        let (parts, blocks) = cut(blocks, limits);
        let numbers = blocks.into_iter().flat_map(|block| block.record).collect();
        Self { numbers, positions: 0, parts }
    }

    /// Rows of either side that the farthest reaching block of a layout reaches, from the first to the last: what a run
    /// must take where no block is to be done in stretches.
    pub(super) fn reach(layout: &Layout, window: Option<usize>) -> usize {
        let queries = layout.segments().iter().flat_map(|segment| query_blocks(segment, window, usize::MAX));
        let keys = layout.segments().iter().flat_map(|segment| key_blocks(layout, segment, window, usize::MAX));
        queries.chain(keys).map(|block| block.others.len().max(block.rows.len())).max().unwrap_or(0)
    }

    /// Blocks of keys, and the queries that see them.
    pub(super) fn of_keys(layout: &Layout, window: Option<usize>, limits: &Limits) -> Self {
        let of = |segment| key_blocks(layout, segment, window, limits.others);
        let blocks = layout.segments().iter().flat_map(of).collect();
        let (parts, mut blocks) = cut(blocks, limits);
        let mut first = blocks.iter().map(|block| block.record.len() + 2).sum::<usize>();
        for block in &mut blocks {
            block.record.extend([first as u32, block.ranges.len() as u32]);
            first += block.ranges.len() * 2;
        }
        let records = blocks.iter().flat_map(|block| block.record.iter().copied());
        let ranges = blocks.iter().flat_map(|block| &block.ranges);
        let ends = ranges.flat_map(|range| [range.start as u32, range.end as u32]);
        let numbers = records.chain(ends).chain(layout.positions().iter().copied()).collect();
        Self { numbers, positions: first as u32, parts }
    }
}

/// Cuts blocks into runs, those with the first stretch of what they reach before those with the second, and so on. In
/// each run the long ones come first, so that no workgroup works on alone at the end.
fn cut(blocks: Vec<Block>, limits: &Limits) -> (Vec<Part>, Vec<Block>) {
    let mut blocks = blocks;
    blocks.sort_by_key(|block| block.stretch);
    let mut parts: Vec<Part> = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let is_same_stretch = index.checked_sub(1).is_some_and(|before| blocks[before].stretch == block.stretch);
        let joined = parts.last().filter(|_| is_same_stretch).map(|part| Part {
            blocks: part.blocks + 1,
            rows: part.rows.start.min(block.rows.start)..part.rows.end.max(block.rows.end),
            others: part.others.start.min(block.others.start)..part.others.end.max(block.others.end),
            pairs: part.pairs + block.pairs,
            ..*part
        });
        let fits = |part: &Part| {
            part.rows.len() <= limits.rows && part.others.len() <= limits.others && part.pairs <= limits.pairs
        };
        match (joined.filter(fits), parts.last_mut()) {
            (Some(joined), Some(last)) => *last = joined,
            _ => parts.push(Part {
                first_block: index as u32,
                blocks: 1,
                rows: block.rows.clone(),
                others: block.others.clone(),
                pairs: block.pairs,
                joins: block.stretch > 0,
            }),
        }
    }
    for part in &parts {
        let first = part.first_block as usize;
        blocks[first..first + part.blocks as usize].sort_by_key(|block| Reverse(block.pairs));
    }
    (parts, blocks)
}

/// Ranges of rows, in their order, cut into stretches: from the first row of one to its last there are `most` at most.
fn stretches(ranges: impl IntoIterator<Item = Range<usize>>, most: usize) -> Vec<Vec<Range<usize>>> {
    let mut stretches: Vec<Vec<Range<usize>>> = Vec::new();
    // One past the last row of the last stretch, however many it has so far.
    let mut end = 0;
    for mut rest in ranges {
        while !rest.is_empty() {
            if rest.start >= end {
                end = rest.start.saturating_add(most.max(1));
                stretches.push(Vec::new());
            }
            let part = rest.start..rest.end.min(end);
            rest.start = part.end;
            if let Some(stretch) = stretches.last_mut() {
                stretch.push(part);
            }
        }
    }
    stretches
}

/// From the first row of some ranges to the last.
fn span(ranges: &[Range<usize>]) -> Range<usize> {
    match ranges {
        [first, .., last] => first.start..last.end,
        [all] => all.clone(),
        [] => 0..0,
    }
}

/// Positions of a segment's tokens, a block at a time.
fn positions_of(segment: &Segment) -> impl Iterator<Item = Range<usize>> + use<> {
    let (first, end) = (segment.prefix.len(), segment.prefix.len() + segment.len);
    (first..end).step_by(BLOCK).map(move |position| position..end.min(position + BLOCK))
}

/// Rows of a segment's tokens at these positions.
fn rows_at(segment: &Segment, positions: &Range<usize>) -> Range<usize> {
    let row = |position: usize| segment.start + position - segment.prefix.len();
    row(positions.start)..row(positions.end)
}

fn pairs(rows: usize, others: usize) -> u64 {
    (rows.next_multiple_of(BLOCK) * others.next_multiple_of(TILE)) as u64
}

fn query_blocks(segment: &Segment, window: Option<usize>, most: usize) -> impl Iterator<Item = Block> + '_ {
    positions_of(segment).flat_map(move |queries| {
        let rows = rows_at(segment, &queries);
        let first = window.map_or(0, |window| (queries.start + 1).saturating_sub(window));
        let prefix = &segment.prefix;
        let of_prefix = (prefix.start + first).min(prefix.end)..prefix.end;
        let own = segment.start + first.saturating_sub(prefix.len())..rows.end;
        let mut position = first;
        stretches([of_prefix, own], most).into_iter().enumerate().map(move |(stretch, keys)| {
            let first = position;
            position += keys.iter().map(Range::len).sum::<usize>();
            let record =
                [rows.start, rows.len(), queries.start, first, position, prefix.start, prefix.len(), segment.start];
            Block {
                stretch,
                others: span(&keys),
                pairs: pairs(rows.len(), position - first),
                record: record.iter().map(|&number| number as u32).collect(),
                ranges: Vec::new(),
                rows: rows.clone(),
            }
        })
    })
}

fn key_blocks<'a>(
    layout: &'a Layout,
    segment: &'a Segment,
    window: Option<usize>,
    most: usize,
) -> impl Iterator<Item = Block> + 'a {
    positions_of(segment).flat_map(move |keys| {
        let rows = rows_at(segment, &keys);
        // One past the last position that sees any of them.
        let end = window.map_or(usize::MAX, |window| keys.end.saturating_add(window - 1));
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for reader in
            layout.segments().iter().filter(|reader| reader.start == segment.start || reader.prefix == segment.rows())
        {
            let first = keys.start.max(reader.prefix.len());
            let queries = first..end.min(reader.prefix.len() + reader.len);
            if queries.is_empty() {
                continue;
            }
            let queries = rows_at(reader, &queries);
            match ranges.last_mut() {
                Some(last) if last.end == queries.start => last.end = queries.end,
                _ => ranges.push(queries),
            }
        }
        stretches(ranges, most).into_iter().enumerate().map(move |(stretch, ranges)| Block {
            stretch,
            others: span(&ranges),
            pairs: ranges.iter().map(|range| pairs(rows.len(), range.len())).sum(),
            record: vec![rows.start as u32, rows.len() as u32, keys.start as u32],
            ranges,
            rows: rows.clone(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: Limits = Limits { rows: usize::MAX, others: usize::MAX, pairs: u64::MAX };

    /// A prompt of 70 with answers of 3 and 80, and a text of 5.
    fn layout() -> Layout {
        let segment = |start, len, prefix| Segment { start, len, prefix };
        Layout::new(vec![segment(0, 70, 0..0), segment(70, 3, 0..70), segment(73, 80, 0..70), segment(153, 5, 0..0)])
            .unwrap()
    }

    /// Where each range of rows begins and ends.
    type Ends = Vec<(usize, usize)>;

    /// The rows of each block of keys, and the ranges of its queries.
    fn blocks_of_keys(window: Option<usize>) -> Vec<(Range<usize>, Ends)> {
        let layout = layout();
        let blocks = layout.segments().iter().flat_map(|segment| key_blocks(&layout, segment, window, usize::MAX));
        blocks.map(|block| (block.rows, block.ranges.iter().map(|range| (range.start, range.end)).collect())).collect()
    }

    #[test]
    fn keys_of_a_prompt_are_seen_by_all_its_answers() {
        let expected = [
            (0..64, vec![(0, 153)]),
            (64..70, vec![(64, 153)]),
            (70..73, vec![(70, 73)]),
            (73..137, vec![(73, 153)]),
            (137..153, vec![(137, 153)]),
            (153..158, vec![(153, 158)]),
        ];
        assert_eq!(blocks_of_keys(None), expected);
    }

    #[test]
    fn a_window_ends_the_ranges_of_queries() {
        let blocks = blocks_of_keys(Some(10));
        // The key at position 63 is seen up to position 72: by all of the prompt, three of each answer.
        assert_eq!(blocks[0], (0..64, vec![(0, 76)]));
        assert_eq!(blocks[1], (64..70, vec![(64, 82)]));
        let far = blocks_of_keys(Some(2));
        assert_eq!(far[0], (0..64, vec![(0, 65)]));
        // Apart because the rest of the first answer lies between.
        assert_eq!(far[1], (64..70, vec![(64, 71), (73, 74)]));
    }

    #[test]
    fn queries_reach_from_the_first_key_in_their_window_to_themselves() {
        let layout = layout();
        assert_eq!((Plan::reach(&layout, None), Plan::reach(&layout, Some(2))), (153, 68));
        let reach = |window| -> Vec<Range<usize>> {
            layout
                .segments()
                .iter()
                .flat_map(|segment| query_blocks(segment, window, usize::MAX))
                .map(|b| b.others)
                .collect()
        };
        assert_eq!(reach(None), [0..64, 0..70, 0..73, 0..137, 0..153, 153..158]);
        assert_eq!(reach(Some(10)), [0..64, 55..70, 61..73, 61..137, 128..153, 153..158]);
    }

    #[test]
    fn a_run_takes_no_more_than_there_is_room_for() {
        let whole = Plan::of_keys(&layout(), None, &ENDLESS);
        assert_eq!(whole.parts.len(), 1);
        assert_eq!((whole.parts[0].blocks, &whole.parts[0].rows, &whole.parts[0].others), (6, &(0..158), &(0..158)));
        // The longest first.
        assert_eq!(whole.numbers[..3], [0, 64, 0]);
        assert_eq!(whole.numbers[whole.positions as usize..].iter().max(), Some(&149));

        let limits = Limits { rows: 80, ..ENDLESS };
        let rows: Vec<_> = Plan::of_queries(&layout(), None, &limits).parts.into_iter().map(|part| part.rows).collect();
        assert_eq!(rows, [0..73, 73..153, 153..158]);
        let limits = Limits { pairs: 1, ..ENDLESS };
        let parts = Plan::of_queries(&layout(), None, &limits).parts;
        assert!(parts.iter().all(|part| part.blocks == 1) && parts.len() == 6);
    }

    #[test]
    fn what_a_block_reaches_is_done_in_stretches_where_it_is_too_much() {
        let limits = Limits { others: 64, ..ENDLESS };
        let told = |plan: Plan| -> Vec<(Range<usize>, Range<usize>, bool)> {
            plan.parts.into_iter().map(|part| (part.rows, part.others, part.joins)).collect()
        };
        let queries = told(Plan::of_queries(&layout(), None, &limits));
        let expected =
            [(0..153, 0..64, false), (153..158, 153..158, false), (64..153, 64..128, true), (73..153, 128..153, true)];
        assert_eq!(queries, expected);
        assert!(told(Plan::of_keys(&layout(), None, &limits)).iter().all(|(_, others, _)| others.len() <= 64));
        assert!(told(Plan::of_keys(&layout(), Some(2), &ENDLESS)).iter().all(|(.., joins)| !joins));
    }

    /// Whatever is cut, each row meets each of the other side once.
    #[test]
    fn stretches_lose_nothing() {
        let layout = layout();
        for most in [32, 33, 64, 100, usize::MAX] {
            for window in [None, Some(1), Some(10), Some(100)] {
                let segments = || layout.segments().iter();
                let rows = |ranges: &[Range<usize>]| ranges.iter().map(Range::len).sum::<usize>();
                let keys = |most| -> usize {
                    let blocks = segments().flat_map(|segment| key_blocks(&layout, segment, window, most));
                    blocks.map(|block| block.rows.len() * rows(&block.ranges)).sum()
                };
                let queries = |most| -> u32 {
                    let blocks = segments().flat_map(|segment| query_blocks(segment, window, most));
                    blocks.map(|block| block.record[1] * (block.record[4] - block.record[3])).sum()
                };
                assert_eq!((keys(most), queries(most)), (keys(usize::MAX), queries(usize::MAX)), "{most}, {window:?}");
            }
        }
    }
}
