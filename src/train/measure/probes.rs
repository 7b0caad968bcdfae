//! The probe prompts: fixed, greedy, so that only the weights change the answers.

use std::ops::ControlFlow;

use model::GenerateOptions;
use store::{LogLevel, Probe, Sample};

use crate::{
    error::Result,
    run::{context::Context, host::RunEvent, training::Training},
};

impl Training {
    /// Answers every probe with the present weights; each answer is in the project before it is told.
    ///
    /// A probe that this model cannot be asked (its template refuses the turns) is left out with a warning at step 0.
    pub fn answer_probes(&self, probes: &[Probe], context: &mut Context<'_>) -> Result<ControlFlow<()>> {
        let mut asked = Vec::new();
        let mut prompts = Vec::new();
        for (number, probe) in probes.iter().enumerate() {
            match self.codec.prompt_ids(&probe.prompt) {
                Ok(ids) if !ids.is_empty() => {
                    asked.push((number, probe));
                    prompts.push(ids);
                }
                Err(error) if self.state.step == 0 => {
                    let text = format!("Probe {} is left out: {error}", number + 1);
                    context.log(LogLevel::Warning, text)?;
                }
                Ok(_) | Err(_) => {}
            }
        }
        let options = GenerateOptions {
            max_new: self.config.train.sample_tokens,
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let Some(generations) = context.generate(self.weights(), &prompts, &options)? else {
            return Ok(ControlFlow::Break(()));
        };
        for ((probe, asked), generation) in asked.into_iter().zip(generations) {
            let sample = Sample {
                prompt: asked.prompt.clone(),
                answer: self.codec.decode(&generation.ids),
                tokens: generation.ids.len(),
                ended: generation.stopped_by_eos,
            };
            let (run, step) = (context.run, self.state.step);
            context.write(None, &mut |project| project.append_sample(run, step, probe, &sample))?;
            context.tell(RunEvent::Sampled { step, probe, answer: sample.answer });
        }
        Ok(ControlFlow::Continue(()))
    }
}
