//! Which heads are worked on at once, and how they are cut out and put back.

use std::ops::Range;

use super::{
    super::{
        super::{AttentionShape, Layout, Result, Tensor, access},
        card::Card,
        columns, linear,
        memory::Piece,
    },
    FORWARD, padded,
    plan::{BLOCK, Plan},
    room,
};

/// Heads worked on at once: so many key heads, each with so many of its query heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AtOnce {
    keys: usize,
    queries: usize,
}

impl AtOnce {
    /// All, or as many as let one operand span all rows that a block of a long document reaches, but one at least.
    ///
    /// # Errors
    /// A sentence, where one head of a block is too much.
    pub(super) fn of(operation: &'static str, card: &Card, layout: &Layout, shape: &AttentionShape) -> Result<Self> {
        let (of_query, group) = (4 * padded(shape).head_dim, shape.group());
        let room = room(card);
        if layout.tokens() * of_query * shape.heads <= room {
            return Ok(Self { keys: shape.kv_heads, queries: group });
        }
        if BLOCK * of_query > room {
            let (name, limit) = (&card.info().name, card.binding_limit());
            let message = format!(
                "{BLOCK} heads of {} numbers are more than the {limit} bytes that one operand of {name} spans",
                shape.head_dim
            );
            return access::fault(operation, message);
        }
        let reach = Plan::reach(layout, shape.window).max(BLOCK);
        match (room / (reach * of_query)).max(1) {
            queries if queries < group => Ok(Self { keys: 1, queries }),
            queries => Ok(Self { keys: (queries / group).min(shape.kv_heads), queries: group }),
        }
    }

    pub(super) fn is_all(self, shape: &AttentionShape) -> bool {
        self == Self { keys: shape.kv_heads, queries: shape.group() }
    }
}

/// Some key heads with all or some of their query heads, as matrices and a shape of their own.
pub(super) struct Group {
    pub(super) keys: Range<usize>,
    pub(super) queries: Range<usize>,
    pub(super) shape: AttentionShape,
}

impl Group {
    /// All heads, so many at a time.
    pub(super) fn all(shape: &AttentionShape, at_once: AtOnce) -> impl Iterator<Item = Self> + '_ {
        let group = shape.group();
        let of_keys = move |keys: Range<usize>| {
            let all = keys.start * group..keys.end * group;
            all.clone().step_by(at_once.queries * keys.len()).map(move |first| {
                let queries = first..all.end.min(first + at_once.queries * keys.len());
                let shape = AttentionShape { heads: queries.len(), kv_heads: keys.len(), ..shape.clone() };
                Self { keys: keys.clone(), queries, shape }
            })
        };
        let keys = (0..shape.kv_heads).step_by(at_once.keys);
        keys.map(move |first| first..shape.kv_heads.min(first + at_once.keys)).flat_map(of_keys)
    }

    pub(super) fn cut(heads: &Range<usize>, of_head: usize, whole: &Tensor) -> Result<Tensor> {
        columns::cut(whole, heads.start * of_head, heads.len() * of_head)
    }

    pub(super) fn put(heads: &Range<usize>, of_head: usize, part: &Tensor, whole: &Piece) -> Result<()> {
        let part = part.gpu(FORWARD, "some heads")?;
        columns::block(whole, heads.start * of_head, part, 0, heads.len() * of_head)
    }

    /// Puts the gradient of its keys, or adds it to that of the query heads before.
    pub(super) fn put_sum(&self, of_head: usize, part: Tensor, whole: &Piece, group: usize) -> Result<()> {
        let is_first = self.queries.start == self.keys.start * group;
        let sum =
            if is_first { part } else { linear::add(&Self::cut(&self.keys, of_head, &whole.clone().into())?, part)? };
        Self::put(&self.keys, of_head, &sum, whole)
    }
}
