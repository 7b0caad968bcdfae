//! The way back through a pass, to the gradients of what is trained.

use super::{
    Policy, PolicyError, Result, Row,
    context::Dropout,
    pass::{Ascent, HeadPass, Kept, Pass},
};
use ::kernels::{Gradients, InputGradient, Slot, Tensor};

impl Policy {
    /// Goes back through a pass with one coefficient a scored segment, ∂L/∂(each token log-prob of it), and adds the
    /// gradients of what is trained.
    pub fn backward(&mut self, pass: Pass, coefficients: &[f32]) -> Result<()> {
        let scored = &pass.row.scored;
        if coefficients.len() != scored.len() {
            return Err(PolicyError::Usage(format!(
                "The row has {} scored answers but {} coefficients were given",
                scored.len(),
                coefficients.len()
            )));
        }
        let per_token: Vec<f32> = coefficients
            .iter()
            .zip(scored)
            .flat_map(|(&coefficient, &tokens)| std::iter::repeat_n(coefficient, tokens))
            .collect();
        self.backward_tokens(pass, &per_token)
    }

    /// The same with one coefficient for each number that the row reads, in the row's order.
    pub fn backward_tokens(&mut self, pass: Pass, per_token: &[f32]) -> Result<()> {
        let Pass { row, blocks, hidden, inv_rms, head, dropout, .. } = pass;
        if per_token.len() != row.answer_tokens() {
            return Err(PolicyError::Usage(format!(
                "The row has {} scored tokens but {} coefficients were given",
                row.answer_tokens(),
                per_token.len()
            )));
        }

        self.with_gradients(|policy, gradients| {
            let kernels = policy.kernels.as_ref();
            let d_predictors = match head {
                HeadPass::Scalar { normed, saved } => policy.scalars_backward(&normed, &saved, per_token, gradients)?,
                HeadPass::Tokens { normed, u, lse } => {
                    if let (Some(slot), Some(h)) = (policy.head_slot, normed) {
                        let (targets, coefficients) = (&row.targets, per_token);
                        let pass = ::kernels::HeadPass { h: &h, targets, lse: &lse, coefficients };
                        kernels.head_weight_backward(policy.output(), pass, slot, gradients)?;
                    }
                    kernels.head_backward(u, per_token)?
                }
            };
            let d_normed = kernels.scatter_rows(&d_predictors, &row.head_rows, hidden.dims()[0])?;
            let needs_input = policy.embedding_slot.is_some();
            let dx = policy.descend(
                &row,
                Ascent { blocks, hidden, inv_rms },
                &d_normed,
                (dropout, needs_input),
                gradients,
            )?;
            if let (Some(slot), Some(dx)) = (policy.embedding_slot, dx) {
                policy.embed_backward(&row.tokens, dx, slot, gradients)?;
            }
            Ok(())
        })
    }

    /// The gradient buffer is taken out meanwhile, so that the rest may be borrowed.
    pub(super) fn with_gradients<T>(&mut self, work: impl FnOnce(&Self, &mut Gradients) -> Result<T>) -> Result<T> {
        let mut gradients = std::mem::replace(&mut self.gradients, Gradients::new(0, &self.place)?);
        let result = work(self, &mut gradients);
        self.gradients = gradients;
        result
    }

    /// From the final norm down; gives the gradient of the blocks' input, `[T, d]`, where it is wanted. Each part of
    /// what was kept is freed when it is done with.
    pub(super) fn descend(
        &self,
        row: &Row,
        Ascent { blocks: mut kept, hidden, inv_rms }: Ascent,
        d_normed: &Tensor,
        (dropout, needs_input): (Option<Dropout>, bool),
        gradients: &mut Gradients,
    ) -> Result<Option<Tensor>> {
        let kernels = self.kernels.as_ref();
        let rotations = self.rotations(row.layout.positions(), &row.lengths)?;
        let context = self.context(&row.layout, &rotations, dropout);
        let (norm, input) = (self.final_norm.operands(context.norm), InputGradient::Fresh);
        let mut dy = kernels.rms_norm_backward(&hidden, &norm, &inv_rms, d_normed, input, gradients)?;
        for (index, block) in self.blocks.iter().enumerate().rev() {
            let rows = if index + 1 == self.blocks.len() { row.needed() } else { None };
            let saved = match kept.pop() {
                Some(Kept::Whole(saved)) => *saved,
                // Kept and recalled like the others: what is computed does not depend on what is recomputed.
                Some(Kept::Input(x)) => block.forward(&context, x, rows)?.1.keep(kernels)?,
                None => break,
            };
            let Some(gradient) = dy.take() else { break };
            dy = block.backward(&context, saved, gradient, rows, index > 0 || needs_input, gradients)?;
        }
        Ok(dy)
    }

    /// The padding token learns nothing from its uses as input, as in Transformers.
    fn embed_backward(&self, tokens: &[u32], dx: Tensor, slot: Slot, gradients: &mut Gradients) -> Result<()> {
        let scale = self.embedding_scale();
        let Some(padding) = self.spec.padding.filter(|padding| tokens.contains(padding)) else {
            return Ok(self.kernels.embed_backward(tokens, &dx, scale, slot, gradients)?);
        };
        let (rows, ids): (Vec<u32>, Vec<u32>) = (0u32..).zip(tokens).filter(|&(_, &id)| id != padding).unzip();
        if ids.is_empty() {
            return Ok(());
        }
        let dx = self.kernels.gather_rows(&dx, &rows)?;
        Ok(self.kernels.embed_backward(&ids, &dx, scale, slot, gradients)?)
    }
}
