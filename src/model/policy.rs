//! The model as a whole: a forward that keeps what its backward needs, the backward, and the update.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use half::bf16;

use super::{
    AdamW, AdapterShape, LoadError, Parameters, PolicyError, Result, Row, Spec,
    arithmetic::{Chosen, Products},
    block::{Block, Saved},
    context::{Dropout, PassContext, PassWeights},
    pass::{Ascent, HeadPass, Kept, Pass},
    projection::Projection,
    rope::{RopeCache, Rotation},
    sublayer::Norm,
};
use ::kernels::{
    Compute, DType, Gradients, Head, HeadOptions, HeadWant, Kernels, Layout, Linear, NormOptions, Place, Slot, Tensor,
    Weight,
};
use data::config::{Precision, Recompute};

/// A decoder with its adapters, its gradients, and the buffer of what is trained.
pub struct Policy {
    pub(super) spec: Spec,
    pub(super) kernels: Arc<dyn Kernels>,
    pub(super) place: Place,
    pub(super) embedding: Weight,
    pub(super) embedding_slot: Option<Slot>,
    pub(super) blocks: Vec<Block>,
    pub(super) final_norm: Norm,
    /// The embedding's own tensor and slot when the head is tied to it.
    pub(super) head: Weight,
    pub(super) head_slot: Option<Slot>,
    /// One number of a normed hidden state, where there is such a head: a reward, or a value.
    pub(super) scalar: Option<Linear>,
    pub(super) parameters: Parameters,
    pub(super) gradients: Gradients,
    pub(super) identity: String,
    pub(super) files: String,
    pub(super) adapter: Option<AdapterShape>,
    pub(super) recompute: Recompute,
    /// Bytes that one row's activations may take before `Recompute::Auto` recomputes.
    pub(super) room: u64,
    /// Decides the dropout masks of the next forward.
    pub(super) noise: u64,
    /// One for each rope of the spec.
    pub(super) ropes: Vec<RopeCache>,
    /// The folder or file that the weights were read from.
    pub(super) model: PathBuf,
    pub(super) precision: Precision,
    pub(super) chosen: Chosen,
    /// What was decided while it was loaded, as sentences.
    pub(super) remarks: Vec<String>,
}

impl Policy {
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    pub fn kernels(&self) -> &Arc<dyn Kernels> {
        &self.kernels
    }

    /// Puts something around the kernels that must compute the same, such as a stopwatch.
    pub fn wrap_kernels(&mut self, wrap: impl FnOnce(Arc<dyn Kernels>) -> Arc<dyn Kernels>) {
        self.kernels = wrap(Arc::clone(&self.kernels));
    }

    /// Where the weights are.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// In what the processor multiplies weights, as chosen.
    pub fn compute(&self) -> Compute {
        self.chosen.compute
    }

    /// The element type of dense matrices, and on an accelerator of activations.
    pub fn weight_dtype(&self) -> DType {
        self.head.dense().map_or(DType::F32, Tensor::dtype)
    }

    /// How the weights were asked to be kept: what a second load needs to compute the same numbers.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Whether the model's own weights are what is trained.
    pub fn trains_its_weights(&self) -> bool {
        self.adapter.is_none() && !self.parameters.entries().is_empty()
    }

    /// Numbers that are trained.
    pub fn trainable_parameters(&self) -> usize {
        self.parameters.len()
    }

    /// Numbers in the model and all its adapters.
    pub fn total_parameters(&self) -> usize {
        let adapters: usize = self
            .blocks
            .iter()
            .flat_map(Block::projections)
            .flat_map(Projection::adapters)
            .map(|lora| lora.a.elem_count() + lora.b.elem_count())
            .sum();
        self.spec.parameters() + adapters
    }

    /// A hash (64 hexadecimal digits) of config, weights and frozen adapters: the reference's identity. Two policies
    /// with the same identity compute the same numbers before their first update.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// [`Self::identity`], and the graphics card where one computes: what log-probs depend on to their last digit.
    pub fn numbers(&self) -> String {
        match self.place.card() {
            None => self.identity.clone(),
            Some(card) => format!("{} {card}", self.identity),
        }
    }

    /// A hash of config, weights and frozen adapters as they are on disk: the same however they are kept in memory and
    /// computed with.
    pub fn files(&self) -> &str {
        &self.files
    }

    /// The folder or file that the weights were read from.
    pub fn folder(&self) -> &Path {
        &self.model
    }

    /// What was decided where the files leave room for more than one reading, as sentences.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The flat buffer of what is trained.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The gradients that [`Self::backward`] adds to.
    pub fn gradients(&mut self) -> &mut Gradients {
        &mut self.gradients
    }

    /// In what its matrices are multiplied, and by what.
    pub fn products(&self) -> Products {
        if !self.place.is_cpu() {
            let on_card = matches!(self.place, Place::Gpu(_));
            return Products::Device(if on_card { DType::F32 } else { self.weight_dtype() });
        }
        let rates = self.chosen.rates.as_ref().map(|rates| rates.all().to_vec());
        Products::Processor(self.chosen.compute, rates.unwrap_or_default())
    }

    /// Dropout masks are a function of the adapter's seed and this number: set it before each forward, from step and
    /// micro-batch, so that a resumed run draws the same masks. Without dropout it has no effect.
    pub fn set_noise(&mut self, noise: u64) {
        self.noise = noise;
    }

    /// What the row reads, and what the backward needs. Dropout is active.
    pub fn forward(&self, row: &Row) -> Result<Pass> {
        if self.parameters.is_empty() {
            return Err(PolicyError::Usage(
                "Nothing is trained in this policy; load it with an adapter or with full weights".to_owned(),
            ));
        }
        let dropout = self.dropout();
        let (Ascent { blocks, hidden, inv_rms }, normed) = self.ascend(row, dropout)?;
        let predictors = self.predictors(&normed, row)?;
        let (read, head) = if row.reads.is_scalar() {
            let (read, saved) = self.read_scalars(&predictors)?;
            (read, HeadPass::Scalar { normed: predictors, saved })
        } else {
            let out = self.kernels.head(&predictors, self.output(), &row.targets, HeadWant::WithU)?;
            let u = out.u.ok_or_else(|| PolicyError::Usage("The head gave no gradient rows".to_owned()))?;
            let normed = self.head_slot.map(|_| predictors);
            (out.log_probs, HeadPass::Tokens { normed, u, lse: out.lse })
        };
        Ok(Pass { log_probs: split(&read, &row.scored), row: row.clone(), blocks, hidden, inv_rms, head, dropout })
    }

    /// Up to the final norm, keeping what the way back needs: that, and the normed states of the row's needed rows.
    pub(super) fn ascend(&self, row: &Row, dropout: Option<Dropout>) -> Result<(Ascent, Tensor)> {
        let rotations = self.rotations(row.layout.positions(), &row.lengths)?;
        let context = self.context(&row.layout, &rotations, dropout);
        let recomputed = self.recomputed_blocks(row);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        let hidden = self.hidden(&context, &row.tokens, row.needed(), |index, x, saved| {
            blocks.push(if index < recomputed {
                Kept::Input(x)
            } else {
                Kept::Whole(Box::new(saved.keep(context.kernels)?))
            });
            Ok(())
        })?;
        let (normed, inv_rms) = self.kernels.rms_norm(&hidden, &self.final_norm.operands(context.norm))?;
        Ok((Ascent { blocks, hidden, inv_rms }, normed))
    }

    /// What the row reads; keeps nothing, and no dropout.
    pub fn log_probs(&self, row: &Row) -> Result<Vec<Vec<f32>>> {
        self.log_probs_of(PassWeights::Policy, row)
    }

    /// The same under the weights of step 0, the reference: without the trained adapter, or with what it started from.
    /// Only where an adapter is trained; full weights keep no copy of their start.
    pub fn reference_log_probs(&self, row: &Row) -> Result<Vec<Vec<f32>>> {
        self.has_reference()?;
        self.log_probs_of(PassWeights::Reference, row)
    }

    fn log_probs_of(&self, weights: PassWeights, row: &Row) -> Result<Vec<Vec<f32>>> {
        self.read(row, &self.states(weights, row)?)
    }

    /// Normed hidden states of the row's predictors, `[A, d]`.
    pub(super) fn states(&self, weights: PassWeights, row: &Row) -> Result<Tensor> {
        let rotations = self.rotations(row.layout.positions(), &row.lengths)?;
        let context = PassContext { weights, ..self.context(&row.layout, &rotations, None) };
        let hidden = self.hidden(&context, &row.tokens, row.needed(), |_, _, _| Ok(()))?;
        let (normed, _) = self.kernels.rms_norm(&hidden, &self.final_norm.operands(context.norm))?;
        self.predictors(&normed, row)
    }

    /// What the row reads of the predictors' states.
    pub(super) fn read(&self, row: &Row, states: &Tensor) -> Result<Vec<Vec<f32>>> {
        if row.reads.is_scalar() {
            return Ok(split(&self.read_scalars(states)?.0, &row.scored));
        }
        let out = self.kernels.head(states, self.output(), &row.targets, HeadWant::LogProbs)?;
        Ok(split(&out.log_probs, &row.scored))
    }

    /// Per scored segment its log-probs and its embedding, the mean of the `d` normed hidden states that predict it.
    pub fn embeddings(&self, row: &Row) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        self.embeddings_of(PassWeights::Policy, row)
    }

    /// The same under the weights of step 0, as [`Self::reference_log_probs`] has them.
    pub fn reference_embeddings(&self, row: &Row) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        self.has_reference()?;
        self.embeddings_of(PassWeights::Reference, row)
    }

    fn embeddings_of(&self, weights: PassWeights, row: &Row) -> Result<Vec<(Vec<f32>, Vec<f32>)>> {
        let states = self.states(weights, row)?;
        let rows = states.to_dtype(DType::F32)?.to_vec::<f32>()?;
        let mut rows = rows.chunks(self.spec.hidden_size);
        let mean = |log_probs: Vec<f32>| {
            let mut mean = vec![0.0; self.spec.hidden_size];
            for row in rows.by_ref().take(log_probs.len()) {
                mean.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / log_probs.len() as f32);
            }
            (log_probs, mean)
        };
        Ok(self.read(row, &states)?.into_iter().map(mean).collect())
    }

    /// Logits of every position of one text, `[T, V]`: for tests and inspection, not for training.
    pub fn logits(&self, ids: &[u32]) -> Result<Tensor> {
        self.logits_of(PassWeights::Policy, ids)
    }

    /// The same under the weights of step 0, as [`Self::reference_log_probs`] has them.
    pub fn reference_logits(&self, ids: &[u32]) -> Result<Tensor> {
        self.has_reference()?;
        self.logits_of(PassWeights::Reference, ids)
    }

    /// Full weights have overwritten it.
    pub(super) fn has_reference(&self) -> Result<()> {
        if self.trains_its_weights() {
            return Err(PolicyError::Usage(
                "All weights are trained, so those of step 0 are gone; the reference is the start model, loaded apart"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn logits_of(&self, weights: PassWeights, ids: &[u32]) -> Result<Tensor> {
        let layout = Layout::single(ids.len())?;
        let lengths = vec![ids.len() as u32; ids.len()];
        let rotations = self.rotations(layout.positions(), &lengths)?;
        let context = PassContext { weights, ..self.context(&layout, &rotations, None) };
        let hidden = self.hidden(&context, ids, None, |_, _, _| Ok(()))?;
        self.head_logits(&hidden)
    }

    /// One optimizer step on everything that is trained. `gradient_scale` is what clipping leaves of the gradient, 1
    /// without. The gradients stay as they are: zero them before the next step.
    pub fn update(&mut self, optimizer: &mut AdamW, learning_rate: f64, gradient_scale: f64) -> Result<()> {
        optimizer.apply(self.kernels.as_ref(), &self.parameters, &self.gradients, learning_rate, gradient_scale)
    }

    /// Copies of what is trained, under the names of the files it is saved to.
    pub fn trainable(&self) -> Result<Vec<(String, Tensor)>> {
        self.parameters.snapshot()
    }

    /// Puts saved values back, bit for bit.
    pub fn set_trainable(&mut self, tensors: &[(String, Tensor)]) -> Result<()> {
        self.parameters.restore(tensors)
    }

    /// Writes what is trained into a safetensors file, under the names of the files it is saved to, a run at a time: no
    /// copy of it is made in memory. Gives the blake3 hash of the file.
    pub fn save_trainable(&self, path: &Path) -> Result<blake3::Hash, LoadError> {
        self.parameters.save(path)
    }

    /// Reads back what [`Self::save_trainable`] wrote, bit for bit and a run at a time.
    pub fn load_trainable(&mut self, path: &Path) -> Result<(), LoadError> {
        self.parameters.load(path)
    }

    fn dropout(&self) -> Option<Dropout> {
        let adapter = self.adapter.as_ref().filter(|adapter| adapter.dropout > 0.0)?;
        Some(Dropout { probability: adapter.dropout, seed: adapter.seed.rotate_left(32) ^ self.noise })
    }

    pub(super) fn context<'a>(
        &'a self,
        layout: &'a Layout,
        rotations: &'a [Rotation],
        dropout: Option<Dropout>,
    ) -> PassContext<'a> {
        PassContext {
            kernels: self.kernels.as_ref(),
            layout,
            rotations,
            norm: self.norm_options(),
            activation: self.spec.activation,
            dropout,
            weights: PassWeights::Policy,
            generating: None,
        }
    }

    /// Runs all blocks; the last one for `rows` only. Each block's input and saved values go to `visit`.
    pub(super) fn hidden(
        &self,
        context: &PassContext<'_>,
        tokens: &[u32],
        rows: Option<&[u32]>,
        mut visit: impl FnMut(usize, Tensor, Saved) -> Result<()>,
    ) -> Result<Tensor> {
        self.check_tokens(tokens)?;
        let mut x = self.embed(tokens)?;
        for (index, block) in self.blocks.iter().enumerate() {
            let rows = if index + 1 == self.blocks.len() { rows } else { None };
            let (y, saved) = block.forward(context, x.clone(), rows)?;
            visit(index, std::mem::replace(&mut x, y), saved)?;
        }
        Ok(x)
    }

    /// `[N, d]`, scaled as the family does.
    pub(super) fn embed(&self, tokens: &[u32]) -> Result<Tensor> {
        let scale = self.embedding_scale();
        Ok(self.kernels.embed(tokens, &self.embedding, scale)?)
    }

    /// In the precision that products are taken in, as Transformers has it: √3072 is 55.5 in bf16.
    pub(super) fn embedding_scale(&self) -> f32 {
        let scale = self.spec.embedding_scale as f32;
        match self.chosen.compute {
            Compute::Bf16(_) => bf16::from_f32(scale).to_f32(),
            Compute::F32 => scale,
        }
    }

    /// Final norm and head: `[N, d] -> [N, V]`.
    pub(super) fn head_logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let (normed, _) = self.kernels.rms_norm(hidden, &self.final_norm.operands(self.norm_options()))?;
        Ok(self.kernels.logits(&normed, self.output())?)
    }

    pub(super) fn norm_options(&self) -> NormOptions {
        NormOptions { eps: self.spec.norm_eps as f32, plus_one: self.spec.norm_plus_one }
    }

    pub(super) fn output(&self) -> Head<'_> {
        let softcap = self.spec.logit_softcap.map(|cap| cap as f32);
        Head { weight: &self.head, options: HeadOptions { softcap, ..HeadOptions::default() } }
    }

    pub(super) fn check_tokens(&self, tokens: &[u32]) -> Result<()> {
        let vocab_size = self.spec.vocab_size;
        match tokens.iter().find(|&&id| id as usize >= vocab_size) {
            Some(&id) => Err(PolicyError::Token { id, vocab_size }),
            None => Ok(()),
        }
    }

    fn predictors(&self, normed: &Tensor, row: &Row) -> Result<Tensor> {
        self.check_tokens(&row.targets)?;
        Ok(self.kernels.gather_rows(normed, &row.head_rows)?)
    }

    /// How tokens at `positions` of sequences of `lengths` are rotated.
    pub(super) fn rotations(&self, positions: &[u32], lengths: &[u32]) -> Result<Vec<Rotation>> {
        let ropes = self.ropes.iter();
        ropes.map(|rope| rope.rotation(positions, lengths, &self.place)).collect()
    }
}

/// Cuts the flat log-probs into the row's scored segments.
pub(super) fn split(flat: &[f32], lengths: &[usize]) -> Vec<Vec<f32>> {
    let mut rest = flat;
    lengths
        .iter()
        .map(|&length| {
            let (segment, tail) = rest.split_at(length);
            rest = tail;
            segment.to_vec()
        })
        .collect()
}
