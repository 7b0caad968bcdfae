//! Token weights as part of a run: the contrast pair that there is by its first step, weights computed as pairs are
//! met.

use std::{ops::ControlFlow, time::Instant};

use data::PairSide;
use model::{Doc, Policy, PolicyError};
use store::LogLevel;

use super::{
    TokenReads, at_start, narrowest, reads,
    weigher::{Which, contrasts, of_answers, weighs_each_step},
};
use crate::{
    dataset::{documents::first, packing::pack},
    error::{Result, TrainError},
    loss::StepDoc,
    measure::{
        log_probs::LogProbs,
        reference::{ReadRow, Reference, ReferenceSource, StartWeights},
    },
    run::{checkpoint::Contrasted, context::Context, host::CurrentWeights, training::Training},
    step::{StepEnd, Trainer, fit_memory},
};

/// What is read of documents, or nothing because the run is to stop.
type Read = Result<StepEnd<StepDoc, Option<LogProbs>>>;

impl Training {
    /// Has the contrast pair that the run's weights come from, where they come from one: the one that it had before,
    /// one that the project has, or a new one. `Break` = stopped meanwhile.
    pub fn ready_contrast(&mut self, before: Option<Contrasted>, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        if reads(&self.config) != Some(TokenReads::Contrasts) {
            return Ok(ControlFlow::Continue(()));
        }
        if before.is_some() {
            self.state.contrast = before;
            return Ok(ControlFlow::Continue(()));
        }
        let name = self.contrast_name();
        if let Some(found) = Contrasted::find(context.project.dir(), &name) {
            let text =
                "The contrast pair for the token weights is in the project already, fitted on the same pairs before";
            context.log(LogLevel::Info, text)?;
            self.state.contrast = Some(found);
            return Ok(ControlFlow::Continue(()));
        }
        self.fit(&name, context)
    }

    /// Finds or computes the token weights of a step's pairs, whose step-0 log-probs are known. `Break` = stopped
    /// meanwhile.
    pub fn weigh(&mut self, chosen: &[usize], context: &mut Context<'_>) -> Result<StepEnd<StepDoc, ControlFlow<()>>> {
        let which: Vec<Which> = chosen.iter().map(|&index| Which::Train(index)).collect();
        self.weigh_these(&which, context)
    }

    /// The same of the held-out pairs that an evaluation uses.
    pub fn weigh_held_out(&mut self, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        let count = first(&self.dataset.pairs.eval).len();
        let which: Vec<Which> = (0..count).map(Which::HeldOut).collect();
        self.weigh_these(&which, context)?.done()
    }

    fn weigh_these(&mut self, which: &[Which], context: &mut Context<'_>) -> Result<StepEnd<StepDoc, ControlFlow<()>>> {
        let Some(weigher) = &mut self.weigher else {
            return Ok(StepEnd::Done(ControlFlow::Continue(())));
        };
        weigher.spent = std::time::Duration::ZERO;
        let each_step = weighs_each_step(&self.config);
        let unknown = if each_step { which.to_vec() } else { weigher.unknown(which) };
        if unknown.is_empty() {
            return Ok(StepEnd::Done(ControlFlow::Continue(())));
        }
        let pair = |which: &Which| match *which {
            Which::Train(index) => &self.dataset.pairs.train[index],
            Which::HeldOut(index) => &self.dataset.pairs.eval[index],
        };
        let docs: Vec<Doc> = unknown.iter().map(|which| pair(which).doc.clone()).collect();
        let (begun, rested) = (Instant::now(), context.rested);
        let read = match reads(&self.config) {
            Some(TokenReads::Contrasts) => self.contrasts(&docs, context)?,
            Some(TokenReads::StartGradients) => self.start_gradients(&docs, context)?,
            Some(TokenReads::Gradients) | None => match self.gradients(&unknown, &docs, context)?.or_end() {
                Ok(read) => read,
                Err(end) => return Ok(end),
            },
        };
        let Some(read) = read else {
            return Ok(StepEnd::Done(ControlFlow::Break(())));
        };
        let spent = begun.elapsed().saturating_sub(context.rested.saturating_sub(rested));
        let Self { weigher: Some(weigher), config, codec, anchors, .. } = self else {
            return Ok(StepEnd::Done(ControlFlow::Continue(())));
        };
        if each_step {
            weigher.spent = spent;
        } else {
            anchors.weighed_in(spent);
        }
        for ((which, doc), read) in unknown.into_iter().zip(&docs).zip(read) {
            weigher.set(which, of_answers(config, &read, &doc.continuations, codec.stop_ids()));
        }
        Ok(StepEnd::Done(ControlFlow::Continue(())))
    }

    /// log π⁺ − log π⁻ of each token, from the cache or the contrast pair. `None` = stopped meanwhile.
    fn contrasts(&mut self, docs: &[Doc], context: &mut Context<'_>) -> Result<Option<LogProbs>> {
        let docs: Vec<&Doc> = docs.iter().collect();
        let mut read = Vec::with_capacity(2);
        for (place, side) in [PairSide::Chosen, PairSide::Rejected].into_iter().enumerate() {
            let Some(contrasted) = self.state.contrast.clone() else {
                return Err(TrainError::Sentence("Tokens are weighed before there is a contrast pair".to_owned()));
            };
            let named = contrasted.as_reference(side, self.codec.identity());
            if !named.has_all(&self.anchors.cache, &docs)? && self.open_contrast(&contrasted, context)?.is_break() {
                return Ok(None);
            }
            let Self { trainer, codec, anchors, weigher: Some(weigher), state, .. } = self else { return Ok(None) };
            let policy = &mut trainer.policy;
            let found = match &mut weigher.contrast {
                Some(sets) => keep_reading(
                    (&named, codec, &mut anchors.cache),
                    (&mut sets[place], Some(policy), state.budget),
                    (&docs, "Weighing tokens"),
                    &mut |set, row| Ok(set.log_probs(row)?),
                    context,
                )?,
                // All of them are in the cache: nothing is read.
                None => keep_reading(
                    (&named, codec, &mut anchors.cache),
                    (policy, None, state.budget),
                    (&docs, "Weighing tokens"),
                    &mut |_, _| Err(TrainError::Sentence("The contrast pair is not at hand".to_owned())),
                    context,
                )?,
            };
            let Some(found) = found else { return Ok(None) };
            read.push(found);
        }
        Ok(Some(contrasts(&read[0], &read[1])))
    }

    /// Loads the contrast pair, if it is not at hand; fits it again where its files are gone. `Break` = stopped
    /// meanwhile.
    fn open_contrast(&mut self, contrasted: &Contrasted, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        if self.weigher.as_ref().is_none_or(|weigher| weigher.contrast.is_some()) {
            return Ok(ControlFlow::Continue(()));
        }
        let project = context.project.dir().to_owned();
        let mut opened = contrasted.open(&project, &self.trainer.policy, &self.config)?;
        if opened.is_none() {
            let gone = "the contrast pair that its token weights come from is gone from the project, and";
            if self.contrast_name() != contrasted.name {
                return Err(TrainError::Resume(format!(
                    "{gone} the pairs that it was fitted on are others by now. Put the folder contrast/{} back, or start a new run",
                    contrasted.name
                )));
            }
            let text = "The contrast pair for the token weights is gone from the project, so it is fitted again";
            context.log(LogLevel::Warning, text)?;
            if self.fit(&contrasted.name.clone(), context)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.state.contrast.as_ref() != Some(contrasted) {
                return Err(TrainError::Resume(format!(
                    "{gone} fitted again it is another one, as on another machine. Put the folder contrast/{} back, or start a new run",
                    contrasted.name
                )));
            }
            opened = contrasted.open(&project, &self.trainer.policy, &self.config)?;
        }
        if let Some(weigher) = &mut self.weigher {
            weigher.contrast = opened;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// ‖∂z/∂e‖₁ of each token under the model that the run started from. `None` = stopped meanwhile.
    fn start_gradients(&mut self, docs: &[Doc], context: &mut Context<'_>) -> Result<Option<LogProbs>> {
        let docs: Vec<&Doc> = docs.iter().collect();
        let Self { trainer, codec, anchors, weigher: Some(weigher), state, config, .. } = self else {
            return Ok(None);
        };
        let start = match &mut weigher.start {
            Some(start) => start,
            start => start.insert(trainer.policy.beside(&narrowest(config), None)?),
        };
        let named = at_start(&state.reference);
        let memory = trainer.memory.map(|memory| memory.seen_from(&trainer.policy, start));
        keep_reading(
            (&named, codec, &mut anchors.cache),
            (start, Some(&trainer.policy), state.budget),
            (&docs, "Weighing tokens"),
            &mut |start, row| {
                memory.map_or(Ok(()), |memory| fit_memory(start, memory, row))?;
                Ok(start.attributions(row)?)
            },
            context,
        )
    }

    /// The same under the weights as they are.
    fn gradients(&mut self, which: &[Which], docs: &[Doc], context: &mut Context<'_>) -> Read {
        let mut read: LogProbs = vec![Vec::new(); docs.len()];
        for packed in pack(docs.iter().enumerate(), self.state.budget).map_err(PolicyError::from)? {
            if context.attend(Some(self.weights()))?.is_break() {
                return Ok(StepEnd::Done(None));
            }
            let Trainer { policy, memory, .. } = &mut self.trainer;
            let room = memory.map_or(Ok(()), |memory| fit_memory(policy, memory, &packed.row));
            match room.and_then(|()| Ok(policy.attributions(&packed.row)?)) {
                Ok(found) => packed.by_owner(&found).for_each(|(place, answers)| read[place] = answers.to_vec()),
                Err(error) if error.is_out_of_memory() => {
                    let alone = packed.alone().and_then(|place| match which[place] {
                        Which::Train(index) => Some(StepDoc::Pair(index)),
                        Which::HeldOut(_) => None,
                    });
                    return Ok(StepEnd::OutOfMemory { error, alone });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(StepEnd::Done(Some(read)))
    }
}

/// Reads documents under a name, from the cache or with `read`; whoever asks meanwhile is answered by `speaker`. `None`
/// = stopped meanwhile.
fn keep_reading(
    (named, codec, cache): (&Reference, &text::Codec, &mut store::Project),
    (policy, speaker, budget): (&mut Policy, Option<&Policy>, usize),
    (docs, phase): (&[&Doc], &str),
    read: &mut ReadRow<'_>,
    context: &mut Context<'_>,
) -> Result<Option<LogProbs>> {
    let mut failed = None;
    let mut source = ReferenceSource { cache, policy, origin: &StartWeights::Gone, budget };
    let found = named.kept(&mut source, docs, read, &mut |_, done| {
        if docs.len() > 64 {
            context.phase(phase, Some(done));
        }
        let weights = speaker.map(|policy| CurrentWeights { policy, codec });
        context.attend(weights).unwrap_or_else(|error| {
            failed = Some(error);
            ControlFlow::Break(())
        })
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(found.map(|found| found.log_probs)),
    }
}
