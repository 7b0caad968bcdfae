//! Measuring: held-out pairs, KL drift on reference answers and on fresh answers, retention, how answers end.

use std::{collections::HashSet, ops::ControlFlow};

use data::{
    config::Method,
    metrics::{
        END_KNOWN, ENDED, ENDED_HIGH, ENDED_LOW, HELD_OUT_ACCURACY_HIGH, HELD_OUT_ACCURACY_LOW, OWN_MARKS_GAIN,
        REFERENCE_ENDED,
    },
};
use judge::Share;
use model::{Doc, GenerateOptions, LoadOptions, Policy, Sampling};

use crate::{
    dataset::{
        documents::{PairDoc, TextDoc, first},
        inputs,
    },
    error::Result,
    loss::{judge, pair_metrics},
    measure::log_probs::{LogProbs, all_log_probs, log_probs, reference_log_probs, sum},
    memory::process,
    objective::{Objective, PairTerm, TokenMean, accuracy, kl_k3},
    run::{context::Context, training::Training},
};

/// Either the numbers, or nothing because the run is to stop.
type Measured = Result<Option<Vec<(String, f64)>>>;

impl Training {
    /// All measurements of the present step, under the names they are stored by.
    pub fn evaluate(&mut self, context: &mut Context<'_>) -> Measured {
        if self.config.objective.kind == Method::Reward {
            return self.evaluate_scores(context);
        }
        let mut metrics = Vec::new();
        let mut loss = None;
        if !self.dataset.pairs.eval.is_empty() {
            let Some((preference, of_pairs)) = self.held_out_pairs(context)? else {
                return Ok(None);
            };
            loss = Some(preference);
            metrics.push(("eval_loss/preference".to_owned(), preference));
            metrics.extend(of_pairs);
        }

        let ControlFlow::Continue(at_start) = self.anchor_references(context)? else {
            return Ok(None);
        };
        let references = first(self.dataset.references.measured());
        let Some(sums) = self.text_log_probs(references, at_start, context)? else {
            return Ok(None);
        };
        let tokens = scored(references);
        if tokens > 0 {
            let drift = self.anchors.of_references() - sums;
            let mean = TokenMean { weight: self.state.knobs.reference_weight, tokens };
            if let Some(loss) = &mut loss {
                *loss += mean.term(sums);
            }
            metrics.push(("eval_loss/reference".to_owned(), mean.loss(sums)));
            metrics.push(("kl/ref".to_owned(), drift / tokens as f64));
            metrics.push(("kl/ref_per_answer".to_owned(), drift / references.len() as f64));
        }

        let retention = first(self.dataset.retention.measured());
        let Some(sums) = self.text_log_probs(retention, None, context)? else {
            return Ok(None);
        };
        let tokens = scored(retention);
        if tokens > 0 {
            let mean = TokenMean { weight: self.state.knobs.retention_weight, tokens };
            if let Some(loss) = &mut loss {
                *loss += mean.term(sums);
            }
            metrics.push(("eval_loss/retention".to_owned(), mean.loss(sums)));
        }
        // What was sampled is no loss of what is held out: that of the pairs is not what such a run makes smaller.
        if let Some(loss) = loss.filter(|_| !self.config.objective.kind.samples()) {
            metrics.insert(0, ("eval_loss".to_owned(), loss));
        }

        if self.state.step == 0 {
            metrics.extend(self.taught_to_end().map(|share| ("stop/taught".to_owned(), share)));
            metrics.extend(self.references_ended().map(|share| (REFERENCE_ENDED.to_owned(), share)));
            metrics.extend(self.own_marks_gain(context)?.map(|gain| (OWN_MARKS_GAIN.to_owned(), gain)));
        }
        let Some(of_answers) = self.fresh_answers(context)? else {
            return Ok(None);
        };
        metrics.extend(of_answers);
        Ok(Some(metrics))
    }

    /// Share of the chosen answers that end with a token that ends a turn; of the held-out ones where there are any.
    fn taught_to_end(&self) -> Option<f64> {
        let pairs = first(if self.dataset.pairs.eval.is_empty() {
            &self.dataset.pairs.train
        } else {
            &self.dataset.pairs.eval
        });
        let ending = pairs.iter().filter(|pair| self.ends(pair)).count();
        (!pairs.is_empty()).then(|| ending as f64 / pairs.len() as f64)
    }

    /// Whether the chosen answer ends with a token that ends a turn.
    fn ends(&self, pair: &PairDoc) -> bool {
        let last = pair.doc.continuations.first().and_then(|chosen| chosen.last());
        last.is_some_and(|last| self.codec.stop_ids().contains(last))
    }

    /// Share of the measured reference answers that would have ended by themselves as a sample; none without any.
    fn references_ended(&self) -> Option<f64> {
        let references = first(self.dataset.references.measured());
        let ends = |text: &&TextDoc| {
            let answer = text.doc.continuations.first().map_or(&[][..], |answer| answer);
            let last = answer.last().is_some_and(|last| self.codec.stop_ids().contains(last));
            last && answer.len() <= self.config.train.sample_tokens
        };
        (!references.is_empty()).then(|| references.iter().filter(ends).count() as f64 / references.len() as f64)
    }

    /// The mean probability of the tokens that end the chosen answers of these pairs; none where none ends.
    fn end_known(&self, pairs: &[PairDoc], log_probs: &LogProbs) -> Option<f64> {
        let ending = pairs.iter().zip(log_probs).filter(|(pair, _)| self.ends(pair));
        let known = ending.filter_map(|(_, answers)| Some(f64::from(answers.first()?.last()?.exp())));
        let known: Vec<f64> = known.collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// Mean preference loss and `eval_*` of the held-out pairs.
    #[expect(clippy::type_complexity, reason = "loss and metrics, or stopped, or an error")]
    fn held_out_pairs(&mut self, context: &mut Context<'_>) -> Result<Option<(f64, Vec<(String, f64)>)>> {
        let ControlFlow::Continue(at_start) = self.anchor_held_out(context)? else {
            return Ok(None);
        };
        if self.weigh_held_out(context)?.is_break() {
            return Ok(None);
        }
        let pairs = first(&self.dataset.pairs.eval);
        let docs: Vec<&Doc> = pairs.iter().map(|pair| &pair.doc).collect();
        let Some(log_probs) = self.log_probs(&docs, at_start, context)? else {
            return Ok(None);
        };
        let objective = Objective::of(&self.state.knobs.turned(&self.config.objective));
        let judged = pairs.iter().zip(&log_probs).enumerate();
        let terms: Vec<PairTerm> = judged
            .map(|(index, (pair, answers))| {
                let weighed = self.weigher.as_ref().and_then(|weigher| weigher.of_held_out(index));
                judge(&objective, pair, answers, self.anchors.of_held_out(index), weighed)
            })
            .collect();
        let loss = terms.iter().map(|term| term.loss).sum::<f64>() / terms.len() as f64;
        let mut metrics: Vec<_> =
            pair_metrics(&terms).into_iter().map(|(name, value)| (format!("eval_{name}"), value)).collect();
        if let Some(share) = accuracy(&terms) {
            metrics.push((HELD_OUT_ACCURACY_LOW.to_owned(), share.low));
            metrics.push((HELD_OUT_ACCURACY_HIGH.to_owned(), share.high));
        }
        metrics.extend(self.end_known(pairs, &log_probs).map(|known| (END_KNOWN.to_owned(), known)));
        Ok(Some((loss, metrics)))
    }

    /// Σ log π_θ over all scored tokens of some texts.
    fn text_log_probs(
        &self,
        texts: &[TextDoc],
        at_start: Option<LogProbs>,
        context: &mut Context<'_>,
    ) -> Result<Option<f64>> {
        let docs: Vec<&Doc> = texts.iter().map(|text| &text.doc).collect();
        let log_probs = self.log_probs(&docs, at_start, context)?;
        Ok(log_probs.map(|log_probs| log_probs.iter().flatten().map(|values| sum(values)).sum()))
    }

    /// log π_θ of each token of each answer of some documents. Before the first update the policy is the reference, so
    /// its log-probs (`at_start`, where they have just been looked up) are those of the policy.
    fn log_probs(
        &self,
        docs: &[&Doc],
        at_start: Option<LogProbs>,
        context: &mut Context<'_>,
    ) -> Result<Option<LogProbs>> {
        if let Some(at_start) = at_start.filter(|_| self.state.step == 0) {
            return Ok(Some(at_start));
        }
        log_probs(&self.trainer.policy, docs, self.state.budget, &mut |_| context.attend(Some(self.weights())))
    }

    /// `answers/mean_tokens`, `stop/eos_rate` with its interval and `kl/policy_k3` on answers drawn from the policy as
    /// it is now.
    fn fresh_answers(&mut self, context: &mut Context<'_>) -> Measured {
        let wanted = self.config.train.eval_answers;
        let mut prompts: Vec<Vec<u32>> = self.dataset.eval_prompts.clone();
        if prompts.is_empty() {
            // Nothing is held out: the training prompts are all there is.
            prompts = self.dataset.pairs.train.iter().take(wanted).map(|p| p.doc.prefix.to_vec()).collect();
        }
        prompts.truncate(wanted);
        if prompts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let options = GenerateOptions {
            sampling: Sampling::at(1.0),
            max_new: self.config.train.sample_tokens,
            seed: self.config.train.shuffle_seed ^ self.state.step.rotate_left(32),
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let Some(generations) = context.generate("Answering held-out prompts", self.weights(), &prompts, &options)?
        else {
            return Ok(None);
        };
        let count = generations.len() as f64;
        let tokens: usize = generations.iter().map(|g| g.ids.len()).sum();
        let ended = generations.iter().filter(|g| g.stopped_by_eos).count();
        let mut metrics = vec![
            ("answers/mean_tokens".to_owned(), tokens as f64 / count),
            (ENDED.to_owned(), ended as f64 / count),
            ("answers/repeated".to_owned(), generations.iter().map(|g| repeated(&g.ids)).sum::<f64>() / count),
        ];
        if let Some(share) = Share::of_independent(ended, generations.len()) {
            metrics
                .extend([(ENDED_LOW, share.low), (ENDED_HIGH, share.high)].map(|(name, end)| (name.to_owned(), end)));
        }
        let docs: Vec<Doc> = prompts
            .into_iter()
            .zip(generations)
            .filter(|(_, generation)| !generation.ids.is_empty())
            .map(|(prefix, generation)| Doc::new(prefix, vec![generation.ids]))
            .collect();
        let policy = token_log_probs(&self.trainer.policy, &docs, self.state.budget)?;
        if let Some(reference) = self.reference_log_probs(context, &docs)?
            && let Some(kl) = kl_k3(&policy, &reference)
        {
            metrics.push(("kl/policy_k3".to_owned(), kl));
            metrics.push(("kl/policy_k3_per_answer".to_owned(), kl * policy.len() as f64 / docs.len() as f64));
        }
        Ok(Some(metrics))
    }

    /// Log-probs under the model at step 0 of answers that no cache can hold. With an adapter the policy has it in
    /// itself; with full weights the starting weights are read again, if there is room for them.
    fn reference_log_probs(&mut self, context: &Context<'_>, docs: &[Doc]) -> Result<Option<Vec<f32>>> {
        if !self.config.lora.full {
            let docs: Vec<&Doc> = docs.iter().collect();
            let by_doc = reference_log_probs(&self.trainer.policy, &docs, self.state.budget)?;
            return Ok(Some(tokens_of(by_doc)));
        }
        let needed = 6 * self.trainer.policy.total_parameters() as u64;
        if process::free_on(self.trainer.policy.place()) < needed {
            return Ok(None);
        }
        let folder = inputs::model_folder(&context.project, &self.config)?;
        let options = LoadOptions {
            full: false,
            multiplier: Some(self.trainer.policy.compute().multiplier()),
            ..inputs::load_options(&self.config, context.project.dir())
        };
        let reference = Policy::load(&folder, &options)?;
        if reference.identity() != self.state.reference.policy {
            // The folder was changed since the start: then it is no reference any more.
            return Ok(None);
        }
        token_log_probs(&reference, docs, self.state.budget).map(Some)
    }
}

/// Log-probs of every scored token, document after document.
fn token_log_probs(policy: &Policy, docs: &[Doc], budget: usize) -> Result<Vec<f32>> {
    let docs: Vec<&Doc> = docs.iter().collect();
    Ok(tokens_of(all_log_probs(policy, &docs, budget)?))
}

fn tokens_of(by_doc: LogProbs) -> Vec<f32> {
    by_doc.into_iter().flatten().flatten().collect()
}

/// Share of an answer's runs of four tokens that stood in it before.
fn repeated(ids: &[u32]) -> f64 {
    let mut seen = HashSet::new();
    let runs = ids.windows(4);
    let count = runs.len().max(1);
    runs.filter(|run| !seen.insert(*run)).count() as f64 / count as f64
}

fn scored(texts: &[TextDoc]) -> usize {
    texts.iter().map(|text| text.doc.answer_tokens()).sum()
}
