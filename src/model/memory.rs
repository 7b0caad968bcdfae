//! What a training step takes: the estimate shown before a start, and the choice to recompute.

use std::collections::BTreeMap;

use super::{Policy, Recompute, Row, block::Block, projection::Projection, spec::NormPlaces};
use crate::kernels::Weight;

impl Policy {
    /// How the blocks' matrices are kept: `f32`, `bf16`, `q8_0`, ..; the most used one where they differ.
    pub fn weight_format(&self) -> String {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for projection in self.blocks.iter().flat_map(Block::projections) {
            let weight = &projection.linear().weight;
            *numbers.entry(weight.format()).or_default() += weight.elem_count();
        }
        let most = numbers.into_iter().max_by_key(|(_, count)| *count);
        most.map_or_else(|| self.head.format(), |(format, _)| format)
    }

    /// Whether any matrix is in blocks of a few bits.
    pub(super) fn has_blocks(&self) -> bool {
        self.matrices().any(|weight| weight.dense().is_none())
    }

    /// The embedding, the head and the blocks' matrices; a tied head is the embedding.
    fn matrices(&self) -> impl Iterator<Item = &Weight> {
        let projections = self.blocks.iter().flat_map(Block::projections);
        let tables = [
            Some(&self.embedding),
            (!self.spec.tied).then_some(&self.head),
        ];
        let layers = projections.map(|projection| &projection.linear().weight);
        tables.into_iter().flatten().chain(layers)
    }

    /// Bytes at the peak of a training step on one row: weights, optimizer, gradients and activations.
    pub fn estimate_bytes(&self, row_tokens: usize, answer_tokens: usize) -> u64 {
        let spec = &self.spec;
        let frozen = if self.adapter.is_some() || self.parameters.is_empty() {
            self.matrices().map(Weight::byte_len).sum()
        } else {
            0
        };
        // Values, gradients and two moments.
        let fixed = (frozen + 16 * self.parameters.len()) as u64;
        let kept = self.activation_bytes(row_tokens);
        let recompute = match self.recompute {
            Recompute::Never => false,
            Recompute::Always => true,
            Recompute::Auto => kept > self.activation_budget,
        };
        let inputs = 4 * (spec.layers.len() * spec.hidden_size * row_tokens) as u64;
        let one_block = kept / spec.layers.len() as u64;
        // Inside one block's backward: normed inputs, gradients of gate, up, q, k, v, o and of the residual stream.
        let widths = 4 * spec.hidden_size
            + 4 * spec.intermediate_size
            + 3 * spec.query_width()
            + 2 * spec.kv_width();
        let working = 4 * (widths * row_tokens) as u64;
        // Predictors, u and a slice of the vocabulary.
        let head = 4 * (answer_tokens * (3 * spec.hidden_size + spec.vocab_size.min(4096))) as u64;
        fixed + working + head + if recompute { inputs + one_block } else { kept }
    }

    /// Bytes that one row's blocks keep for the backward without recomputation.
    fn activation_bytes(&self, row_tokens: usize) -> u64 {
        let spec = &self.spec;
        let adapters: usize = self.blocks.first().map_or(0, |block| {
            let ranks = block.projections().flat_map(Projection::adapters);
            ranks.map(|lora| lora.a.dim(0).unwrap_or(0)).sum()
        });
        let streams = match spec.norm_places {
            NormPlaces::Before => 2,                   // x, mid
            NormPlaces::Both | NormPlaces::After => 4, // and what the norms after read
        };
        let widths = streams * spec.hidden_size
            + 2 * (spec.query_width() + spec.kv_width())
            + 2 * spec.intermediate_size
            + spec.heads
            + adapters;
        4 * (spec.layers.len() * widths * row_tokens) as u64
    }

    pub(super) fn recomputes(&self, row: &Row) -> bool {
        match self.recompute {
            Recompute::Never => false,
            Recompute::Always => true,
            Recompute::Auto => self.activation_bytes(row.tokens()) > self.activation_budget,
        }
    }
}
