//! The one A and B of each layer that an adapter file holds, whatever its layout.

use std::{borrow::Cow, collections::BTreeMap, path::Path};

use safetensors::{Dtype, View};

use super::files::{rank_of, unusable};
use crate::{LoadError, Policy, PolicyError, block::Block, projection::Projection};
use ::kernels::Lora;

/// What of a policy that carries more than one adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AdapterPart {
    /// The sum of all, for the bare base model.
    #[default]
    Sum,
    /// The trained one alone, to go on top of those that were frozen into its reference.
    Newest,
}

impl AdapterPart {
    pub const ALL: [Self; 2] = [Self::Sum, Self::Newest];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Newest => "newest",
        }
    }
}

/// A matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shaped {
    pub(super) shape: [usize; 2],
    pub(super) values: Vec<f32>,
}

impl Shaped {
    pub(super) fn transposed(&self) -> Self {
        let [rows, columns] = self.shape;
        let at = |i: usize| self.values[i % rows * columns + i / rows];
        Self { shape: [columns, rows], values: (0..rows * columns).map(at).collect() }
    }
}

impl View for &Shaped {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// One adapter that stands for one or more of a policy's: ΔW = α/r · B A in every layer.
pub(super) struct Factors {
    /// A `[r, in]` and B `[out, r]` by module path.
    pub(super) layers: BTreeMap<String, (Shaped, Shaped)>,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    /// α/√r instead.
    pub(super) rslora: bool,
    pub(super) dropout: f64,
    /// The head of a reward model, `[1, d]`.
    pub(super) score: Option<Shaped>,
    /// Names by which PEFT finds these layers and no others.
    pub(super) targets: Vec<String>,
}

impl Factors {
    /// `dir` is where they are going, for the error when there are none.
    pub(super) fn of(policy: &Policy, part: AdapterPart, dir: &Path) -> Result<Self, LoadError> {
        let all: Vec<&Projection> = policy.blocks.iter().flat_map(Block::projections).collect();
        let adapted: Vec<(&str, &[Lora])> = all
            .iter()
            .map(|projection| match part {
                AdapterPart::Sum => (projection.path(), projection.adapters()),
                AdapterPart::Newest => (projection.path(), projection.trained()),
            })
            .filter(|(_, adapters)| !adapters.is_empty())
            .collect();
        let width = |adapters: &[Lora]| adapters.iter().map(rank_of).sum::<usize>();
        let Some(rank) = adapted.iter().map(|(_, adapters)| width(adapters)).max() else {
            return Err(unusable(dir)("this policy carries no adapter; save its full weights instead".to_owned()));
        };
        // One adapter of one rank and scale keeps its settings; anything else carries its scales in B, and α = r makes
        // every reader's own factor 1.
        let own = policy.adapter.as_ref().filter(|shape| {
            adapted.iter().all(|(_, adapters)| {
                matches!(adapters, [one] if rank_of(one) == shape.rank && one.scale == shape.scale() as f32)
            })
        });
        let mut layers = BTreeMap::new();
        for (path, adapters) in &adapted {
            layers.insert((*path).to_owned(), stack(adapters, rank, own.is_none())?);
        }
        Ok(Self {
            targets: targets(&all, &layers),
            score: policy.score()?.map(|values| Shaped { shape: [1, values.len()], values }),
            layers,
            rank,
            alpha: own.map_or(rank as f64, |shape| shape.alpha),
            rslora: own.is_some_and(|shape| shape.rslora),
            dropout: own.map_or(0.0, |shape| shape.dropout),
        })
    }

    /// What B A is multiplied with.
    pub(super) fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }
}

/// Names such as `q_proj` where they mean the adapted layers alone, else whole paths.
fn targets(all: &[&Projection], adapted: &BTreeMap<String, (Shaped, Shaped)>) -> Vec<String> {
    let kind = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let mut kinds: Vec<String> = adapted.keys().map(|path| kind(path)).collect();
    kinds.sort();
    kinds.dedup();
    let meant = all.iter().filter(|projection| kinds.contains(&kind(projection.path())));
    if meant.count() == adapted.len() { kinds } else { adapted.keys().cloned().collect() }
}

/// A's one under the other and B's side by side, filled with zeros up to `rank`; B times its scale when `scaled`.
fn stack(adapters: &[Lora], rank: usize, scaled: bool) -> Result<(Shaped, Shaped), LoadError> {
    let (input, output) = (adapters[0].a.dims()[1], adapters[0].b.dims()[0]);
    let mut a = Vec::with_capacity(rank * input);
    let mut b = vec![0.0f32; output * rank];
    let mut column = 0;
    for lora in adapters {
        a.extend(lora.a.to_vec::<f32>().map_err(PolicyError::from)?);
        let factor = if scaled { lora.scale } else { 1.0 };
        let values = lora.b.to_vec::<f32>().map_err(PolicyError::from)?;
        for (row, values) in values.chunks(rank_of(lora)).enumerate() {
            for (i, value) in values.iter().enumerate() {
                b[row * rank + column + i] = value * factor;
            }
        }
        column += rank_of(lora);
    }
    a.resize(rank * input, 0.0);
    let shaped = |shape, values| Shaped { shape, values };
    Ok((shaped([rank, input], a), shaped([output, rank], b)))
}
