//! How much what comes last in an answer hangs on each of its tokens: the gradient of an output at the inputs.

use super::{Policy, PolicyError, Result, Row};
use ::kernels::{DType, Tensor};

impl Policy {
    /// Of each scored segment and token ‖∂z/∂e‖₁, e being the token's embedding and z the largest logit where the
    /// segment's last token is predicted; that token itself has 0. Without dropout. The scale of a segment is its own:
    /// a soft-cap and the family's factor on embeddings are left out. [`Self::gradients`] are zeroed.
    pub fn attributions(&mut self, row: &Row) -> Result<Vec<Vec<f32>>> {
        if row.reads.is_scalar() {
            return Err(PolicyError::Usage("Attributions are of answers that are predicted, not of scores".to_owned()));
        }
        let ends = row.scored.iter().scan(0, |read, tokens| {
            *read += tokens;
            Some(*read - 1)
        });
        let ends: Vec<u32> = ends.map(|end| row.head_rows[end]).collect();
        let input = self.with_gradients(|policy, gradients| {
            let (ascent, normed) = policy.ascend(row, None)?;
            let kernels = policy.kernels.as_ref();
            let logits = kernels.logits(&kernels.gather_rows(&normed, &ends)?, policy.output())?;
            // ∂z/∂(normed row) is the head's row of the token that is likeliest there.
            let seeds = kernels.embed(&largest(&logits)?, &policy.head, 1.0)?;
            let d_normed = kernels.scatter_rows(&seeds, &ends, normed.dims()[0])?;
            policy.descend(row, ascent, &d_normed, (None, true), gradients)
        })?;
        self.gradients.zero()?;
        let input = input
            .ok_or_else(|| PolicyError::Usage("A model without blocks has no inputs to attribute to".to_owned()))?;
        let width = self.spec.hidden_size;
        let values = input.to_dtype(DType::F32)?.to_vec::<f32>()?;
        let norms: Vec<f32> = values.chunks(width).map(|token| token.iter().map(|value| value.abs()).sum()).collect();
        let mut read = 0;
        let of_segment = |&tokens: &usize| {
            // What predicts a token is the row of the token before it.
            let mut importance: Vec<f32> = (read + 1..read + tokens).map(|next| norms[row.place(next)]).collect();
            importance.push(0.0);
            read += tokens;
            importance
        };
        Ok(row.scored.iter().map(of_segment).collect())
    }
}

/// The place of the largest number of each row of `logits[N, V]`.
fn largest(logits: &Tensor) -> Result<Vec<u32>> {
    let vocab_size = logits.dims()[1];
    let values = logits.to_dtype(DType::F32)?.to_vec::<f32>()?;
    let of_row = |row: &[f32]| {
        let best = (0u32..).zip(row).reduce(|best, other| if other.1 > best.1 { other } else { best });
        best.map_or(0, |(place, _)| place)
    };
    Ok(values.chunks(vocab_size).map(of_row).collect())
}
