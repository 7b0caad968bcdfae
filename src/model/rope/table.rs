//! Cosines and sines, and where each token finds its own.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{Rope, RopeScaling};
use crate::Result;
use ::kernels::{DType, Place, RopeTable, Tensor};

/// Where each token of a call finds its cosines and sines.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) table: RopeTable,
    /// The table's row for each token.
    pub(crate) rows: Vec<u32>,
}

/// Tables by era; each grows with the longest position seen, so that a context of a million tokens costs nothing until
/// it is used.
#[derive(Debug)]
pub(crate) struct RopeCache {
    rope: Rope,
    head_dim: usize,
    tables: Mutex<BTreeMap<u32, RopeTable>>,
}

impl RopeCache {
    pub(crate) fn new(rope: Rope, head_dim: usize) -> Self {
        Self { rope, head_dim, tables: Mutex::default() }
    }

    pub(crate) fn rope(&self) -> &Rope {
        &self.rope
    }

    /// For tokens at `positions` of sequences of `lengths`.
    pub(crate) fn rotation(&self, positions: &[u32], lengths: &[u32], place: &Place) -> Result<Rotation> {
        let mut reach: BTreeMap<u32, u32> = BTreeMap::new();
        for (&position, &length) in positions.iter().zip(lengths) {
            let needed = reach.entry(self.rope.era(length)).or_default();
            *needed = (*needed).max(position + 1);
        }
        let mut tables = Vec::with_capacity(reach.len());
        let mut first_row = BTreeMap::new();
        let mut rows = 0;
        for (&era, &needed) in &reach {
            let table = self.reach(era, needed as usize, place)?;
            first_row.insert(era, rows);
            rows += table.cos.dims()[0] as u32;
            tables.push(table);
        }
        let table = match tables.as_slice() {
            [table] => table.clone(),
            tables => {
                let cat = |of: fn(&RopeTable) -> &Tensor| -> Result<Tensor> {
                    let width = of(&tables[0]).dims()[1];
                    let all = Tensor::zeros((rows as usize, width), DType::F32, place)?;
                    let mut first = 0;
                    for part in tables.iter().map(of) {
                        all.set_rows(first, part)?;
                        first += part.dims()[0];
                    }
                    Ok(all)
                };
                RopeTable { cos: cat(|table| &table.cos)?, sin: cat(|table| &table.sin)? }
            }
        };
        let rows = positions.iter().zip(lengths);
        let rows = rows.map(|(&position, &length)| first_row[&self.rope.era(length)] + position).collect();
        Ok(Rotation { table, rows })
    }

    /// The table of an era, with at least `needed` rows.
    fn reach(&self, era: u32, needed: usize, place: &Place) -> Result<RopeTable> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let reaches = |table: &&RopeTable| table.cos.dims()[0] >= needed;
        if let Some(table) = tables.get(&era).filter(reaches) {
            return Ok(table.clone());
        }
        let table = self.table(era, needed.next_power_of_two(), place)?;
        // Past its context every length is an era of its own under dynamic scaling: those are not kept.
        if !matches!(self.rope.scaling, RopeScaling::Dynamic { .. } if era > 0) {
            tables.insert(era, table.clone());
        }
        Ok(table)
    }

    fn table(&self, era: u32, rows: usize, place: &Place) -> Result<RopeTable> {
        let frequencies = self.rope.inverse_frequencies(self.head_dim, era);
        let factor = self.rope.attention_factor();
        let make = |f: fn(f32) -> f32| {
            let values: Vec<f32> = (0..rows)
                .flat_map(|position| frequencies.iter().map(move |frequency| f(position as f32 * frequency) * factor))
                .collect();
            Tensor::from_vec(values, (rows, frequencies.len()), place)
        };
        Ok(RopeTable { cos: make(f32::cos)?, sin: make(f32::sin)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Rope {
        Rope { theta: 10000.0, partial: 1.0, scaling: RopeScaling::None }
    }

    #[test]
    fn a_row_of_sequences_of_unlike_length_rotates_each_by_its_own() {
        let longrope = Rope {
            scaling: RopeScaling::LongRope {
                short: vec![1.0, 2.0],
                long: vec![3.0, 5.0],
                attention_factor: 1.0,
                original_max_positions: 8,
            },
            ..plain()
        };
        let dynamic = Rope { scaling: RopeScaling::Dynamic { factor: 2.0, max_positions: 8 }, ..plain() };
        for rope in [longrope, dynamic] {
            assert!(rope.ages(8) && !rope.ages(7));
            let cache = RopeCache::new(rope, 4);
            let (positions, lengths) = ([5, 5, 3], [8, 12, 8]);
            let mixed = cache.rotation(&positions, &lengths, &Place::CPU).unwrap();
            let cosines = |rotation: &Rotation, token: usize| {
                rotation.table.cos.rows(rotation.rows[token] as usize, 1).unwrap().to_vec::<f32>().unwrap()
            };
            for token in 0..3 {
                let alone = cache.rotation(&positions[token..=token], &lengths[token..=token], &Place::CPU).unwrap();
                assert_eq!(cosines(&mixed, token), cosines(&alone, 0));
            }
            assert_ne!(cosines(&mixed, 0), cosines(&mixed, 1), "{:?}", cache.rope);
        }
    }
}
