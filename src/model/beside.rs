//! Further policies on one frozen base.
//!
//! A reward model and a critic are a policy's base with adapters of their own and a scalar head. Each is a [`Policy`]
//! with buffers, gradients and an optimizer of its own; the tensors of the base are there once.

use super::{
    AdapterShape, LoadError, Parameters, Policy, PolicyError, Result, ScalarHead,
    block::Block,
    lora::{a_name, b_name},
    rope::RopeCache,
    scalar::{SCORE_BIAS, head_of},
    tensors::SCORE_WEIGHT,
    trained::Trained,
};
use ::kernels::{DType, Gradients, InputGradient, Linear, LinearSaved, Lora, Place, Slot, Tensor};

impl Policy {
    /// A policy on the same base and frozen adapters, with a new adapter of its own and, with `head`, a scalar head. It
    /// begins as this one's reference; nothing of what this one learnt is in it.
    pub fn beside(&self, shape: &AdapterShape, head: Option<ScalarHead>) -> Result<Self, LoadError> {
        if self.trains_its_weights() {
            return Err(PolicyError::Usage(
                "All weights are trained, so there is no frozen base that another adapter could share".to_owned(),
            )
            .into());
        }
        let trained = Trained::New(shape);
        let mut planned = trained.planned(&self.spec);
        planned.extend(head.into_iter().flat_map(|head| head.planned(&self.spec)));
        let place = &self.place;
        let parameters =
            Parameters::build(planned, place, |entry, values| trained.fill(&self.spec, &entry.name, values))?;
        let mut blocks = self.blocks.clone();
        for projection in blocks.iter_mut().flat_map(Block::projections_mut) {
            let [a, b] = [a_name(projection.path()), b_name(projection.path())];
            let halves = parameters.view(&a)?.zip(parameters.view(&b)?);
            projection.carry(halves.map(|((a, a_slot), (b, b_slot))| Lora {
                a,
                b,
                a_slot: Some(a_slot),
                b_slot: Some(b_slot),
                scale: shape.scale() as f32,
            }));
        }
        Ok(Self {
            spec: self.spec.clone(),
            kernels: self.kernels.clone(),
            place: place.clone(),
            embedding: self.embedding.clone(),
            embedding_slot: None,
            blocks,
            final_norm: self.final_norm.clone(),
            head: self.head.clone(),
            head_slot: None,
            scalar: head_of(&parameters)?,
            gradients: Gradients::new(parameters.len(), place).map_err(PolicyError::from)?,
            parameters,
            identity: self.identity.clone(),
            files: self.files.clone(),
            adapter: Some(shape.clone()),
            recompute: self.recompute,
            room: self.room,
            noise: 0,
            ropes: self.spec.ropes.iter().map(|rope| RopeCache::new(rope.clone(), self.spec.head_dim)).collect(),
            model: self.model.clone(),
            precision: self.precision,
            chosen: self.chosen.clone(),
            remarks: Vec::new(),
        })
    }

    /// Whether it makes rewards or values instead of text.
    pub fn has_scalar_head(&self) -> bool {
        self.scalar.is_some()
    }

    /// Where ∂L/∂w lies in [`Self::gradients`], where there is such a head.
    pub fn score_slot(&self) -> Option<Slot> {
        self.scalar.as_ref()?.weight_slot
    }

    /// Starts as a copy of `other`, which has an adapter of the same shape and a scalar head, with its numbers on
    /// another scale: v' = (v − mean)/std.
    pub fn start_from(&mut self, other: &Self, mean: f64, std: f64) -> Result<()> {
        let mut values = other.trainable()?;
        for (name, values) in &mut values {
            if name == SCORE_WEIGHT {
                let scaled = values.to_vec::<f32>()?.into_iter().map(|value| value * (1.0 / std) as f32);
                *values = Tensor::from_vec(scaled.collect(), values.dims(), &Place::CPU)?;
            }
        }
        let bias = Tensor::from_vec(vec![(-mean / std) as f32], 1, &Place::CPU)?;
        values.push((SCORE_BIAS.to_owned(), bias));
        self.set_trainable(&values)
    }

    /// w, where there is such a head.
    pub(super) fn score(&self) -> Result<Option<Vec<f32>>> {
        let weight = self.scalar.as_ref().and_then(|head| head.weight.dense());
        Ok(weight.map(Tensor::to_vec::<f32>).transpose()?)
    }

    fn scalar(&self) -> Result<&Linear> {
        let missing = || PolicyError::Usage("A policy without a scalar head gives no rewards and no values".to_owned());
        self.scalar.as_ref().ok_or_else(missing)
    }

    /// `normed[A,d]` gives A numbers, and what the backward wants back.
    pub(super) fn read_scalars(&self, normed: &Tensor) -> Result<(Vec<f32>, LinearSaved)> {
        let (values, saved) = self.kernels.linear(normed, self.scalar()?)?;
        Ok((values.to_dtype(DType::F32)?.to_vec()?, saved))
    }

    /// Adds the head's own gradient and gives that of `normed`.
    pub(super) fn scalars_backward(
        &self,
        normed: &Tensor,
        saved: &LinearSaved,
        slopes: &[f32],
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let slopes = Tensor::from_vec(slopes.to_vec(), (slopes.len(), 1), &self.place)?.to_dtype(normed.dtype())?;
        let head = self.scalar()?;
        let dx = self.kernels.linear_backward(normed, saved, &slopes, head, InputGradient::Fresh, gradients)?;
        dx.ok_or_else(|| PolicyError::Usage("The scalar head gave no gradient".to_owned()))
    }
}
