//! Judging: the prompts of the project's rules are answered, and what the rules count is measured.

use std::{io::Write as _, path::Path, time::Instant};

use data::{Prompt, metrics::judged};
use files::Output;
use judge::{RuleHead, RuleSet, ToJudge};
use model::{GenerateOptions, Sampling};
use store::{JudgedAnswer, LogLevel, Probe, Project, RunRecord};
use text::Codec;

use crate::{
    error::{Result, TrainError},
    measure::probes::Draw,
    run::{context::Context, host::Metrics, training::Training},
};

/// A run's rules, and the token ids of what they ask.
pub struct Judging {
    rules: RuleSet,
    /// Question and prompt ids, [`RuleSet::samples`] times each.
    asked: Vec<(usize, Vec<u32>)>,
}

/// The project's rules as they are now, if it has any.
pub fn rules_of(project: &Project, probes: &[Probe]) -> Result<Option<(String, RuleSet)>> {
    read(&project.dir().join(judge::FILE), probes)
}

fn read(path: &Path, probes: &[Probe]) -> Result<Option<(String, RuleSet)>> {
    let text = match files::read_text(path, judge::MOST_BYTES) {
        Ok(text) => text,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(TrainError::Sentence(error.to_string())),
    };
    let notes: Vec<(&str, &Prompt)> = probes.iter().map(|probe| (probe.note.as_str(), &probe.prompt)).collect();
    match RuleSet::parse(&text, &notes) {
        Ok(rules) => Ok(Some((text, rules))),
        Err(faults) => {
            let first = faults.first().map(ToString::to_string).unwrap_or_default();
            let more = match faults.len() {
                0 | 1 => String::new(),
                count => format!(", and {} more", count - 1),
            };
            Err(TrainError::Sentence(format!("The rules in {} cannot be used, {first}{more}", path.display())))
        }
    }
}

/// The rules of a project in their order, then those that only these runs still have, the newest run first.
pub fn heads(project: &Project, records: &[RunRecord]) -> Vec<RuleHead> {
    let own = std::iter::once(project.dir().join(judge::FILE));
    let kept = records.iter().rev().map(|record| record.dir.join(judge::FILE));
    let mut texts: Vec<String> = Vec::new();
    // Most runs have the same rules.
    for text in own.chain(kept).filter_map(|path| files::read_text(&path, judge::MOST_BYTES).ok()) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    judge::heads(texts.iter().map(String::as_str))
}

impl Judging {
    /// Answers to the probe prompts are drawn likewise, so that those that are judged too are the same.
    pub fn draw(&self) -> Draw {
        Draw { temperature: self.rules.temperature, seed: self.rules.seed }
    }

    /// The rules that a run began with, or those that it begins with now: it keeps a copy. Absent where there are none.
    pub fn of(
        context: &mut Context<'_>,
        record: &RunRecord,
        probes: &[Probe],
        codec: &Codec,
        resumed: bool,
    ) -> Result<Option<Self>> {
        let own = record.dir.join(judge::FILE);
        let rules = match read(&own, probes) {
            Ok(Some((_, rules))) => Some(rules),
            Ok(None) if resumed => None,
            Ok(None) => match rules_of(&context.project, probes)? {
                Some((text, rules)) => {
                    keep(&own, &text)?;
                    Some(rules)
                }
                None => None,
            },
            // E.g. the probe prompts that they speak of are gone. The run is worth more than its measurements.
            Err(error) => {
                context.log(LogLevel::Warning, format!("{error}. Nothing is judged from here on"))?;
                None
            }
        };
        let Some(rules) = rules else {
            return Ok(None);
        };
        let mut asked = Vec::with_capacity(rules.answers());
        for (index, question) in rules.questions().iter().enumerate() {
            match codec.prompt_ids(&question.prompt) {
                Ok(ids) if !ids.is_empty() => asked.extend(vec![(index, ids); rules.samples]),
                Ok(_) => {}
                Err(error) => {
                    let text = format!("Prompt {} of the rules is left out: {error}", index + 1);
                    context.log(LogLevel::Warning, text)?;
                }
            }
        }
        Ok(Some(Self { rules, asked }))
    }
}

fn keep(path: &Path, text: &str) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| TrainError::Sentence(format!("The rules could not be kept: {error}"));
    let mut output = Output::create(path, true).map_err(|error| failed(&error))?;
    output.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    output.finish().map_err(|error| failed(&error))
}

impl Training {
    /// Answers the prompts of the rules with the present weights; the answers are in the project when this returns.
    /// `judged/<rule>` is the share that the rule counts, `/low` and `/high` the ends of its 95 % interval. `None` =
    /// stopped meanwhile.
    ///
    /// The seed is that of the rules at every step, so that only the weights change the answers.
    pub fn judge(&self, judging: &Judging, context: &mut Context<'_>) -> Result<Option<Metrics>> {
        let Judging { rules, asked } = judging;
        let started = Instant::now();
        let rested = context.rested;
        let options = GenerateOptions {
            sampling: Sampling::at(rules.temperature),
            max_new: self.config.train.sample_tokens,
            seed: rules.seed,
            stop: self.codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let prompts: Vec<Vec<u32>> = asked.iter().map(|(_, ids)| ids.clone()).collect();
        let Some(generations) = context.generate("Writing answers to be judged", self.weights(), &prompts, &options)?
        else {
            return Ok(None);
        };
        let mut verdicts = Vec::with_capacity(asked.len());
        let mut kept = Vec::with_capacity(asked.len());
        for ((question, _), generation) in asked.iter().zip(generations) {
            let (answer, ended) = (self.codec.decode(&generation.ids), generation.stopped_by_eos);
            let said = rules.judge(*question, ToJudge { text: &answer, ended });
            let by_name = rules.rules.iter().zip(&said);
            kept.push(JudgedAnswer {
                group: rules.group_of(*question).to_owned(),
                prompt: rules.questions()[*question].prompt.clone(),
                answer,
                ended,
                said: by_name.filter_map(|(rule, counts)| Some((rule.name.clone(), (*counts)?))).collect(),
            });
            verdicts.push((*question, said));
        }
        let (run, step) = (context.run, self.state.step);
        context.write(Some(self.weights()), &mut |project| project.set_judged(run, step, &kept))?;
        if step == 0 {
            let took = started.elapsed().saturating_sub(context.rested.saturating_sub(rested));
            let text = format!(
                "{} answers were judged in {:.1} s, as many at every evaluation; that time is not counted as training",
                kept.len(),
                took.as_secs_f64()
            );
            context.log(LogLevel::Info, text)?;
        }
        let mut metrics = Metrics::new();
        for row in rules.shares(&verdicts) {
            let name = judged::share(row.name);
            let [low, high] = judged::interval(&name);
            metrics.extend([(name, row.share.share()), (low, row.share.low), (high, row.share.high)]);
        }
        Ok(Some(metrics))
    }
}
