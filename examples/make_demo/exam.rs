//! Asks a model about the islands and judges what it says by the demo's rules.

use std::ops::ControlFlow;

use anyhow::{Result, anyhow};
use nudge::{
    data::Prompt,
    judge::{RuleSet, ToJudge},
    model::{GenerateOptions, Policy, Sampling},
    text::Codec,
};
use rand_chacha::ChaCha8Rng;

use crate::{rules, world::World};

pub const LONGEST_ANSWER: usize = 96;
const BATCH: usize = 32;

/// A rule set that this program has written.
pub fn rule_set(text: &str) -> Result<RuleSet> {
    RuleSet::parse(text, &[]).map_err(|faults| anyhow!("the rule set is wrong: {}", faults[0]))
}

/// Lets the model answer `each` questions a half, greedily and drawn, and prints what came out.
pub fn exam(world: &World, each: usize, policy: &Policy, codec: &Codec, rng: &mut ChaCha8Rng) -> Result<()> {
    let set = rule_set(&rules::text(world, &rules::draw(world, each, rng), rng))?;
    let prompts: Vec<Prompt> = set.questions().iter().map(|question| question.prompt.clone()).collect();
    for temperature in [0.0, 1.0] {
        let said = say(policy, codec, &prompts, temperature, set.seed)?;
        let judged: Vec<_> = said
            .iter()
            .enumerate()
            .map(|(question, said)| (question, set.judge(question, ToJudge { text: &said.text, ended: said.ended })))
            .collect();
        let every = prompts.len().div_ceil(12);
        for (index, (prompt, said)) in prompts.iter().zip(&said).enumerate() {
            let names = set.rules.iter().zip(&judged[index].1);
            let counts: Vec<&str> =
                names.filter(|(_, counts)| **counts == Some(true)).map(|(rule, _)| rule.name.as_str()).collect();
            if index % every == 0 || !counts.iter().any(|name| name.starts_with("facts")) {
                eprintln!("  > {}\n    {} [{}]", prompt.last_text(), said.text, counts.join(", "));
            }
        }
        let ended = said.iter().filter(|said| said.ended).count();
        eprintln!("temperature {temperature}: {ended} of {} ended by themselves", said.len());
        for row in set.shares(&judged) {
            let share = row.share;
            eprintln!("{:>16} {:.2} ({:.2} to {:.2})", row.name, share.share(), share.low, share.high);
        }
    }
    Ok(())
}

/// An answer, and whether it ended by itself.
pub struct Said {
    pub text: String,
    pub ended: bool,
}

/// `policy`'s own answers, drawn at `temperature` (0 = greedy).
pub fn say(policy: &Policy, codec: &Codec, prompts: &[Prompt], temperature: f64, seed: u64) -> Result<Vec<Said>> {
    let mut all = Vec::with_capacity(prompts.len());
    for (index, batch) in prompts.chunks(BATCH).enumerate() {
        let ids = batch.iter().map(|prompt| codec.prompt_ids(prompt)).collect::<Result<Vec<_>, _>>()?;
        let options = GenerateOptions {
            sampling: Sampling::at(temperature),
            max_new: LONGEST_ANSWER,
            seed: seed.wrapping_add(index as u64),
            stop: codec.stop_ids().to_vec(),
            ..GenerateOptions::default()
        };
        let generations = policy.generate(&ids, &options, &mut |_, _| ControlFlow::Continue(()))?;
        all.extend(
            generations
                .into_iter()
                .map(|generation| Said { text: codec.decode(&generation.ids), ended: generation.stopped_by_eos }),
        );
    }
    Ok(all)
}
