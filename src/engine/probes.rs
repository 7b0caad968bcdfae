//! The probe prompts: fixed, greedy, so that only the weights change the answers.

use std::ops::ControlFlow;

use super::{error::Result, helm::Helm, protocol::Event, step::Trainer};
use crate::{
    model::GenerateOptions,
    store::{Probe, Sample},
};

impl Trainer {
    /// Answers every probe with the present weights; each answer is in the project before it is told.
    ///
    /// A probe that this model cannot be asked (its template refuses the turns) is left out with a warning at step 0.
    pub fn answer_probes(&self, probes: &[Probe], helm: &mut Helm<'_>) -> Result<ControlFlow<()>> {
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
                    helm.log(super::protocol::LogLevel::Warning, text)?;
                }
                Ok(_) | Err(_) => {}
            }
        }
        let options = GenerateOptions {
            max_new: self.config.train.sample_tokens,
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let Some(generations) = helm.generate(&self.policy, &self.codec, &prompts, &options)? else {
            return Ok(ControlFlow::Break(()));
        };
        for ((probe, asked), generation) in asked.into_iter().zip(generations) {
            let sample = Sample {
                prompt: asked.prompt.clone(),
                answer: self.codec.decode(&generation.ids),
                tokens: generation.ids.len(),
                ended: generation.stopped_by_eos,
            };
            let (run, step) = (helm.run(), self.state.step);
            helm.write(None, &mut |project| project.append_sample(run, step, probe, &sample))?;
            helm.send(Event::Sampled { run, step, probe, answer: sample.answer });
        }
        Ok(ControlFlow::Continue(()))
    }
}
