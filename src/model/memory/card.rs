//! What a row takes in a graphics card's memory: tensor by tensor, because each has a buffer of a size that is rounded
//! up, and moment by moment, because what is given back is used again at once.

use super::{FLOAT, NormPlaces, Spec};
use ::kernels::{
    Place, device,
    gpu::{HEAD_ROWS, HEAD_SLICE, PANEL, key_gradient_parts, split_bytes},
};

/// A model on a card, as a row meets it.
pub(super) struct OnCard<'a> {
    pub(super) place: &'a Place,
    pub(super) spec: &'a Spec,
    /// Bytes of a number that waits for the backward.
    pub(super) kept: u64,
    /// Of each adapter of a block.
    pub(super) ranks: &'a [usize],
    /// Whether the blocks' matrices, and the head, are widened before they are multiplied.
    pub(super) is_widened: [bool; 2],
    /// Whether all weights are trained.
    pub(super) is_full: bool,
    /// Whether the scalar head reads the row, which makes one number of each row and knows no vocabulary.
    pub(super) is_scalar: bool,
}

/// Rows of a packed row: all, and those that something is read of.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) tokens: usize,
    pub(super) answers: usize,
}

impl OnCard<'_> {
    fn taken(&self, rows: usize, width: usize, number: u64) -> u64 {
        match (rows * width) as u64 * number {
            0 => 0,
            bytes => device::taken_by(self.place, bytes),
        }
    }

    /// So many matrices of f32.
    fn floats<const N: usize>(&self, rows: usize, widths: [usize; N]) -> u64 {
        widths.iter().map(|&width| self.taken(rows, width, FLOAT)).sum()
    }

    fn queries(&self) -> usize {
        self.spec.query_width()
    }

    fn keys(&self) -> usize {
        self.spec.kv_width()
    }

    /// What the attention half of a block keeps, each number in so many bytes: x, q, k, v, o and the log-sums.
    fn attended(&self, rows: usize, number: u64) -> u64 {
        let widths = [self.spec.hidden_size, self.queries(), self.queries(), self.keys(), self.keys()];
        let matrices: u64 = widths.iter().map(|&width| self.taken(rows, width, number)).sum();
        matrices + self.floats(rows, [self.spec.heads])
    }

    /// What the other half keeps: mid, gate, up, and what norms after read.
    fn output(&self, rows: usize, number: u64) -> u64 {
        let (d, ff) = (self.spec.hidden_size, self.spec.intermediate_size);
        let normed = match self.spec.norm_places {
            NormPlaces::Before => 0,
            NormPlaces::Both | NormPlaces::After => 2,
        };
        (1 + normed) * self.taken(rows, d, number) + 2 * self.taken(rows, ff, number)
    }

    /// Low-rank values of a block.
    fn low(&self, rows: usize) -> u64 {
        self.ranks.iter().map(|&rank| self.taken(rows, rank, FLOAT)).sum()
    }

    /// All that a block keeps, `rows` of them past attention.
    fn whole(&self, tokens: usize, rows: usize) -> u64 {
        let some_o = if rows < tokens { self.taken(rows, self.queries(), self.kept) } else { 0 };
        self.attended(tokens, self.kept) + self.output(rows, self.kept) + some_o + self.low(tokens)
    }

    /// What a layer's product takes beside its operands: a panel of the matrix in f32, parts of sums, a low-rank
    /// gradient.
    fn product(&self, rows: usize, [outputs, inputs]: [usize; 2]) -> u64 {
        let panel = PANEL.min(outputs * inputs);
        let panel = if self.is_widened[0] { self.taken(1, panel, FLOAT) } else { 0 };
        let largest = self.ranks.iter().copied().max().unwrap_or(0);
        let sums = split_bytes([rows, inputs, outputs]).max(split_bytes([outputs.max(inputs), largest, rows]));
        panel + sums + self.floats(rows, [largest])
    }

    /// The backward of a block at its widest, with what it has kept, `rows` of them past attention.
    fn block(&self, tokens: usize, rows: usize) -> u64 {
        let Spec { hidden_size: d, intermediate_size: ff, fused, .. } = *self.spec;
        let q = self.queries();
        let is_some = rows < tokens;
        // o is readable again already; the rest of attention waits. And the gradient of the block's result.
        let widened_o = self.taken(tokens, q, FLOAT) - self.taken(tokens, q, self.kept);
        let some_o = if is_some { self.floats(rows, [q]) } else { 0 };
        let half = self.attended(tokens, self.kept) + widened_o + some_o + self.low(tokens) + self.floats(rows, [d]);
        let gates = self.floats(rows, [ff, ff]);
        let normed_after = if self.spec.norm_places == NormPlaces::Before { 0 } else { self.floats(rows, [d, d]) };
        // The activated gate's gradient comes of a product; then there are three gradients at once.
        let activated = gates + self.product(rows, [d, ff]) + normed_after;
        let feeding = half + self.output(rows, FLOAT) + activated.max(gates + self.floats(rows, [ff]));
        // Gate and up are gone when their gradients go through their layers.
        let joint = if fused { gates } else { 0 };
        let through = half + self.output(rows, FLOAT) + self.floats(rows, [d, d]) + joint + self.product(rows, [ff, d]);
        // Those of some rows stay while there are those of all.
        let scattered = if is_some { self.floats(rows, [d, q]) } else { 0 };
        let attending = self.attended(tokens, FLOAT) + self.low(tokens) + scattered + self.attending(tokens);
        feeding.max(through).max(attending)
    }

    /// What the backward of attention works with: gradients of its results and of mid, and what its shaders want
    /// besides.
    fn attending(&self, tokens: usize) -> u64 {
        let Spec { hidden_size: d, heads, kv_heads, head_dim, fused, .. } = *self.spec;
        let (q, kv) = (self.queries(), self.keys());
        let parts = key_gradient_parts(tokens, heads, kv_heads);
        let of_parts = if parts > 1 { 2 * self.taken(parts * tokens, kv, FLOAT) } else { 0 };
        // Heads of whole vectors, with zeros behind them.
        let wide = head_dim.next_multiple_of(4);
        let (wide_q, wide_kv) = (heads * wide, kv_heads * wide);
        let is_padded = wide > head_dim;
        let copies = self.floats(tokens, [wide_q, wide_q, wide_q]) + self.floats(tokens, [wide_kv; 4]);
        let normed = if self.spec.query_key_norm.is_some() { self.floats(tokens, [q, kv]) } else { 0 };
        let results = self.floats(tokens, [q, kv, kv]);
        let gradients = self.floats(tokens, [d, q]) + results + normed;
        let shaders = self.floats(tokens, [2 * heads]) + of_parts + if is_padded { copies } else { 0 };
        // q, k, v and o are gone when their gradients go through their layers.
        let joint = if fused { self.floats(tokens, [q + 2 * kv]) } else { 0 };
        let layers = self.floats(tokens, [d, d]) + joint + self.product(tokens, [q, d]);
        gradients + shaders.max(layers.saturating_sub(self.floats(tokens, [q, q, kv, kv])))
    }

    /// A row's forward and backward at their peak when `whole` blocks keep all they need.
    pub(super) fn row_bytes(&self, whole: usize, Rows { tokens, answers }: Rows) -> u64 {
        let Spec { hidden_size: d, intermediate_size: ff, .. } = *self.spec;
        let layers = self.spec.layers.len();
        let rows = answers.min(tokens);
        let angles = self.spec.ropes.len() as u64 * self.floats(tokens, [self.spec.head_dim]);
        // What blocks keep below the last so many.
        let below = |last: usize| {
            let whole = whole.saturating_sub(last);
            let again = layers.saturating_sub(last + whole);
            again as u64 * self.taken(tokens, d, FLOAT) + whole as u64 * self.whole(tokens, tokens)
        };
        // The last states, u, and the gradients of both; the predictors, where the head learns.
        let learns = if self.is_full || self.is_scalar { self.floats(answers, [d]) } else { 0 };
        let finished = self.floats(rows, [d, d]) + self.floats(answers, [d]) + learns;
        let head = self.whole(tokens, rows) + self.head(rows, answers);
        let last = below(1) + head.max(finished + self.block(tokens, rows));
        if layers < 2 {
            return angles + last;
        }
        // A forward that runs again has all in f32 until it is done.
        let again = self.attended(tokens, FLOAT) + self.output(tokens, FLOAT) + self.low(tokens);
        let again = if whole < 2 { again + self.floats(tokens, [ff, d, d]) } else { 0 };
        angles + last.max(below(2) + finished + self.block(tokens, tokens).max(again))
    }

    /// What the log-probs, or the scalar head's numbers, are made with, beside what the blocks keep.
    fn head(&self, rows: usize, answers: usize) -> u64 {
        let (d, vocabulary) = (self.spec.hidden_size, self.spec.vocab_size);
        if self.is_scalar {
            return self.floats(rows, [d, d]) + self.floats(answers, [d, 1]);
        }
        let (some, slice) = (answers.min(HEAD_ROWS), HEAD_SLICE.min(vocabulary));
        let panel = if self.is_widened[1] { self.floats(slice, [d]) } else { 0 };
        let product = panel + split_bytes([some, d, slice]);
        // The last states and the normed ones, predictors, u and running sums; the targets' own rows come at the end.
        let states = self.floats(rows, [d, d]) + self.floats(answers, [d, d, 4]);
        states + self.floats(some, [slice]) + product.max(self.floats(answers, [d]))
    }
}
