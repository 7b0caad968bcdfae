//! Whether the model finds its pairs likelier between the turn marks that its tokenizer has than as the chat template writes them.

use data::{Pair, PairId};
use model::{Doc, Policy};
use text::{Codec, Limits};

use super::log_probs::{all_log_probs, sum};
use crate::{
    dataset::inputs,
    error::Result,
    run::{context::Context, training::Training},
};

/// So many pairs are asked about, and fewer than this say nothing.
const MOST: usize = 32;
const LEAST: usize = 8;
/// Share of them that have to be likelier.
const SURE: f64 = 0.75;

impl Training {
    /// How many nats a token likelier the chosen answers are between the tokenizer's own marks, 0 where most of them are not;
    /// absent where the template writes those marks. Measured before the first step.
    pub fn own_marks_gain(&self, context: &Context<'_>) -> Result<Option<f64>> {
        let folder = inputs::model_folder(&context.project, &self.config)?;
        let Some((other, _)) = self.codec.with_own_marks(&folder)? else { return Ok(None) };
        let ids: Vec<PairId> = self.dataset.pairs.train.iter().take(MOST).map(|pair| pair.id).collect();
        let pairs = context.project.pairs(&ids)?;
        let data = &self.config.data;
        let limits = Limits { max_prompt: data.max_prompt_tokens, max_answer: data.max_answer_tokens };
        // Both ways or not at all.
        let docs = pairs.iter().filter_map(|pair| Some([doc(pair, &self.codec, limits)?, doc(pair, &other, limits)?]));
        let (own, others): (Vec<Doc>, Vec<Doc>) = docs.map(|[own, other]| (own, other)).unzip();
        if own.len() < LEAST {
            return Ok(None);
        }
        let own = self.nats_a_token(&own, &self.codec)?;
        let others = self.nats_a_token(&others, &other)?;
        Ok(Some(gain(&own, &others)))
    }

    /// Of each answer, without what ends its turn.
    fn nats_a_token(&self, docs: &[Doc], codec: &Codec) -> Result<Vec<f64>> {
        let policy: &Policy = &self.trainer.policy;
        let all: Vec<&Doc> = docs.iter().collect();
        let log_probs = all_log_probs(policy, &all, self.state.budget)?;
        let nats = docs.iter().zip(&log_probs).filter_map(|(doc, answers)| {
            let (ids, values) = (doc.continuations.first()?, answers.first()?);
            let ends = ids.last().is_some_and(|last| codec.stop_ids().contains(last));
            let values = &values[..values.len() - usize::from(ends && values.len() > 1)];
            Some(sum(values) / values.len() as f64)
        });
        Ok(nats.collect())
    }
}

fn doc(pair: &Pair, codec: &Codec, limits: Limits) -> Option<Doc> {
    let (chosen, _) = pair.sides()?;
    let encoded = codec.encode_answers(&pair.prompt, &[chosen], limits).ok()?;
    Some(Doc::new(encoded.prefix, encoded.answers.into_iter().map(|answer| answer.ids)))
}

/// The mean gain of the others, where most of them are likelier.
fn gain(own: &[f64], others: &[f64]) -> f64 {
    let gains: Vec<f64> = own.iter().zip(others).map(|(own, other)| other - own).collect();
    let likelier = gains.iter().filter(|gain| **gain > 0.0).count() as f64;
    if likelier < SURE * gains.len() as f64 { 0.0 } else { gains.iter().sum::<f64>() / gains.len().max(1) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_answers_that_are_likelier_by_accident_are_no_gain() {
        let own = [-1.0; 8];
        let mut others = [-0.5; 8];
        assert!((gain(&own, &others) - 0.5).abs() < 1e-12);
        others[..2].fill(-1.5);
        assert!((gain(&own, &others) - 0.25).abs() < 1e-12);
        others[2] = -1.5;
        assert_eq!(gain(&own, &others), 0.0);
        assert_eq!(gain(&own, &[-2.0; 8]), 0.0);
    }
}
