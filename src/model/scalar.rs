//! The scalar head: `v = w·n + b`, n the final normed hidden row, which is what Transformers'
//! `..ForSequenceClassification` feeds to its `score`.

use super::{Parameters, Result, Spec, parameters::Planned, tensors::SCORE_WEIGHT};
use ::kernels::{Linear, Place, Tensor};

/// As PEFT names it, likewise.
pub(super) const SCORE_BIAS: &str = "base_model.model.score.bias";

/// A head that makes one number of a hidden state; it begins at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScalarHead {
    /// w, as sequence classification in Transformers has it.
    Plain,
    /// w and b.
    WithBias,
}

impl ScalarHead {
    pub(super) fn planned(self, spec: &Spec) -> Vec<Planned> {
        let weight = Planned { name: SCORE_WEIGHT.to_owned(), shape: vec![1, spec.hidden_size], decays: true };
        let bias = Planned { name: SCORE_BIAS.to_owned(), shape: vec![1], decays: false };
        match self {
            Self::Plain => vec![weight],
            Self::WithBias => vec![weight, bias],
        }
    }
}

/// Whether a trained tensor belongs to the scalar head.
pub(super) fn is_part(name: &str) -> bool {
    [SCORE_WEIGHT, SCORE_BIAS].contains(&name)
}

/// A head that is not trained any more.
pub(super) fn frozen(weight: &[f32], place: &Place) -> Result<Linear> {
    let weight = Tensor::from_vec(weight.to_vec(), (1, weight.len()), place)?;
    Ok(Linear { weight: weight.into(), weight_slot: None, bias: None, bias_slot: None, loras: Vec::new() })
}

/// The head among what is trained, if it is there.
pub(super) fn head_of(parameters: &Parameters) -> Result<Option<Linear>> {
    let Some((weight, slot)) = parameters.view(SCORE_WEIGHT)? else {
        return Ok(None);
    };
    let (bias, bias_slot) = parameters.view(SCORE_BIAS)?.unzip();
    Ok(Some(Linear { weight: weight.into(), weight_slot: Some(slot), bias, bias_slot, loras: Vec::new() }))
}
