//! Whether the model finds its pairs likelier between the turn marks that its tokenizer has than as the chat template
//! writes them.

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
const MOST: usize = 64;
const LEAST: usize = 8;
/// Standard errors that their mean gain has to lie above 0: by accident it does so once in a thousand times.
const SURE: f64 = 3.0;

impl Training {
    /// How many nats a token likelier the answers of pairs are between the tokenizer's own marks, 0 where that may be
    /// an accident; absent where the template writes those marks. Measured before the first step.
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

    /// Of both answers of each pair together, without what ends their turns.
    fn nats_a_token(&self, docs: &[Doc], codec: &Codec) -> Result<Vec<f64>> {
        let policy: &Policy = &self.trainer.policy;
        let all: Vec<&Doc> = docs.iter().collect();
        let log_probs = all_log_probs(policy, &all, self.state.budget)?;
        let nats = docs.iter().zip(&log_probs).map(|(doc, answers)| {
            let each = doc.continuations.iter().zip(answers).map(|(ids, values)| {
                let ends = ids.last().is_some_and(|last| codec.stop_ids().contains(last));
                let values = &values[..values.len() - usize::from(ends && values.len() > 1)];
                sum(values) / values.len() as f64
            });
            each.sum::<f64>() / answers.len() as f64
        });
        Ok(nats.collect())
    }
}

fn doc(pair: &Pair, codec: &Codec, limits: Limits) -> Option<Doc> {
    let (chosen, rejected) = pair.sides()?;
    let encoded = codec.encode_answers(&pair.prompt, &[chosen, rejected], limits).ok()?;
    Some(Doc::new(encoded.prefix, encoded.answers.into_iter().map(|answer| answer.ids)))
}

/// The mean gain of the others, where it is no accident of the few pairs that were asked about.
fn gain(own: &[f64], others: &[f64]) -> f64 {
    let gains: Vec<f64> = own.iter().zip(others).map(|(own, other)| other - own).collect();
    let count = gains.len() as f64;
    let mean = gains.iter().sum::<f64>() / count;
    let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (count - 1.0);
    if mean > 0.0 && mean >= SURE * (variance / count).sqrt() { mean } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_counts_where_it_is_no_accident() {
        let own = [-1.0; 16];
        let others = |by: [f64; 2]| -> Vec<f64> { (0..16).map(|pair| -1.0 + by[pair % 2]).collect() };
        assert!((gain(&own, &others([0.5, 0.5])) - 0.5).abs() < 1e-12);
        // Standard errors of 0.021 and of 0.129.
        assert!((gain(&own, &others([0.18, 0.02])) - 0.1).abs() < 1e-12);
        assert_eq!(gain(&own, &others([0.6, -0.4])), 0.0, "0.1 nats are less than three of them");
        assert_eq!(gain(&own, &others([-0.18, -0.02])), 0.0, "its own marks are likelier");
        // As many pairs gain as lose, and those that gain do so by far more.
        let uneven: Vec<f64> = (0..64).map(|pair| if pair % 2 == 0 { -0.5 } else { -1.01 }).collect();
        assert!((gain(&[-1.0; 64], &uneven) - 0.245).abs() < 1e-12);
        let swapped = gain(&others([0.18, 0.02]), &own);
        assert_eq!(swapped, 0.0, "who is whose counts");
    }
}
