//! A policy beside its reference, over the whole vocabulary.
//!
//! With a linear head u_t = ∂log p(y)/∂h = Wᵀ(e_y − p), h the normed hidden row and l = W·h its logits, h·u_t = l_y −
//! Σ_v p_v·l_v. So the entropy of a position is −log p(y) + h·u, and KL(π ‖ π_ref) = log π(y) − log π_ref(y) + (h_ref −
//! h)·u: a dot product a token instead of another pass over the vocabulary.

use ::kernels::{DType, HeadWant, Tensor};

use super::{Policy, Result, Row, context::PassWeights, policy::split};

/// What a policy and its reference say of a row's answers, by answer and token, in nats.
pub struct Beside {
    /// log π of each token.
    pub log_probs: Vec<Vec<f32>>,
    /// log π_ref of each token.
    pub reference: Vec<Vec<f32>>,
    /// Absent where the head caps its logits.
    pub whole: Option<WholeVocabulary>,
}

/// Before each token, over all that could have come in its place.
pub struct WholeVocabulary {
    /// H(π), not below 0.
    pub entropy: Vec<Vec<f32>>,
    /// KL(π ‖ π_ref), not below 0.
    pub kl: Vec<Vec<f32>>,
}

impl Beside {
    /// Σ H(π) and Σ KL(π ‖ π_ref) of each answer's tokens; none where there are no such numbers.
    pub fn whole_by_answer(&self) -> Vec<Option<(f64, f64)>> {
        let sum = |tokens: &Vec<f32>| tokens.iter().map(|&nats| f64::from(nats)).sum::<f64>();
        match &self.whole {
            None => vec![None; self.log_probs.len()],
            Some(whole) => whole.entropy.iter().zip(&whole.kl).map(|(h, kl)| Some((sum(h), sum(kl)))).collect(),
        }
    }
}

impl Policy {
    /// Only where an adapter is trained. Without dropout, and log-probs to the bit as [`Policy::log_probs`] gives them.
    pub fn beside_reference(&self, row: &Row) -> Result<Beside> {
        self.has_reference()?;
        let own = self.states(PassWeights::Policy, row)?;
        let theirs = self.states(PassWeights::Reference, row)?;
        let output = self.output();
        let is_linear = output.options.softcap.is_none();
        let want = if is_linear { HeadWant::WithU } else { HeadWant::LogProbs };
        let out = self.kernels.head(&own, output, &row.targets, want)?;
        let reference = self.read(row, &theirs)?;
        let whole = out.u.filter(|_| is_linear).map(|u| {
            let flat: Vec<f32> = reference.concat();
            self.whole_vocabulary(row, (&out.log_probs, &flat), [&own, &theirs, &u])
        });
        Ok(Beside { log_probs: split(&out.log_probs, &row.scored), reference, whole: whole.transpose()? })
    }

    /// `log_probs` and `reference` a token; `rows`: the states of both and u, `[A, d]`.
    fn whole_vocabulary(
        &self,
        row: &Row,
        (log_probs, reference): (&[f32], &[f32]),
        rows: [&Tensor; 3],
    ) -> Result<WholeVocabulary> {
        let [own, theirs, u] = rows;
        let flat = |rows: &Tensor| -> Result<Vec<f32>> { Ok(rows.to_dtype(DType::F32)?.to_vec::<f32>()?) };
        let (own, theirs, u) = (flat(own)?, flat(theirs)?, flat(u)?);
        let width = self.spec.hidden_size;
        let dot =
            |states: &[f32], u: &[f32]| states.iter().zip(u).map(|(h, u)| f64::from(*h) * f64::from(*u)).sum::<f64>();
        let (mut entropy, mut kl) = (Vec::with_capacity(log_probs.len()), Vec::with_capacity(log_probs.len()));
        let tokens = own.chunks(width).zip(theirs.chunks(width)).zip(u.chunks(width));
        for (((own, theirs), u), (&now, &before)) in tokens.zip(log_probs.iter().zip(reference)) {
            let own = dot(own, u);
            // What is left of a difference of large numbers may be a little below 0.
            entropy.push((own - f64::from(now)).max(0.0) as f32);
            kl.push((f64::from(now) - f64::from(before) + dot(theirs, u) - own).max(0.0) as f32);
        }
        Ok(WholeVocabulary { entropy: split(&entropy, &row.scored), kl: split(&kl, &row.scored) })
    }
}
