//! The probe prompts: fixed, greedy or by seeds that stay the same, so that only the weights change the answers.

use std::ops::ControlFlow;

use model::{GenerateOptions, Generation, Sampling};
use store::{LogLevel, Probe, Sample, SeedAnswer};

use crate::{
    error::Result,
    run::{context::Context, host::RunEvent, training::Training},
};

/// How answers are drawn.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    pub temperature: f64,
    pub seed: u64,
}

impl Default for Draw {
    fn default() -> Self {
        Self { temperature: 1.0, seed: 0 }
    }
}

/// Text, tokens, and whether it ended by itself.
type Said = (String, usize, bool);

impl Training {
    /// Answers every probe with the present weights, by the likeliest tokens and as `draw` has it; the answers to one
    /// are in the project before they are told.
    ///
    /// A probe that this model cannot be asked (its template refuses the turns) is left out with a warning at step 0.
    pub fn answer_probes(&self, probes: &[Probe], draw: Draw, context: &mut Context<'_>) -> Result<ControlFlow<()>> {
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
        let Some(likeliest) = self.say(&prompts, Draw { temperature: 0.0, seed: 0 }, context)? else {
            return Ok(ControlFlow::Break(()));
        };
        // Each prompt as often as there are seeds: its equals are told apart by their place.
        let seeds = self.config.train.sample_seeds;
        let often: Vec<Vec<u32>> = prompts.iter().flat_map(|ids| vec![ids.clone(); seeds]).collect();
        let Some(drawn) = self.say(&often, draw, context)? else {
            return Ok(ControlFlow::Break(()));
        };
        let mut drawn = drawn.into_iter();
        for ((probe, asked), (answer, tokens, ended)) in asked.into_iter().zip(likeliest) {
            let drawn = drawn.by_ref().take(seeds).map(|(answer, _, ended)| SeedAnswer { answer, ended }).collect();
            let sample = Sample { prompt: asked.prompt.clone(), answer, tokens, ended, drawn };
            let (run, step) = (context.run, self.state.step);
            context.write(None, &mut |project| project.append_sample(run, step, probe, &sample))?;
            context.tell(RunEvent::Sampled { step, probe, sample });
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What the present weights say to prompts: text, tokens, and whether it ended by itself. `None` = stopped
    /// meanwhile.
    fn say(&self, prompts: &[Vec<u32>], draw: Draw, context: &mut Context<'_>) -> Result<Option<Vec<Said>>> {
        if prompts.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let options = GenerateOptions {
            sampling: Sampling::at(draw.temperature),
            seed: draw.seed,
            max_new: self.config.train.sample_tokens,
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let generations = context.generate("Answering the probe prompts", self.weights(), prompts, &options)?;
        let said = |it: Generation| (self.codec.decode(&it.ids), it.ids.len(), it.stopped_by_eos);
        Ok(generations.map(|all| all.into_iter().map(said).collect()))
    }
}
