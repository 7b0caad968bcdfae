//! Answers to choose between: several to each prompt, from whatever weights are at hand.

use std::collections::HashSet;

use data::{Answer, Origin, Pair, PairId, Prompt};
use model::{Mix, MixSide, Policy};
use text::Codec;
use train::{Result, TrainError};

use crate::{
    answers::answer_all,
    protocol::{AnswerOptions, Candidates, DrawnPair, Generated, Pilaf, Sampling, StoppedBy},
};

/// Prompts whose answers are drawn together.
const AT_ONCE: usize = 16;

/// Draws answers to all prompts with `policy`'s weights; `each` hears of every prompt once, by its index, unless it is
/// no longer `wanted` (asked before every token). `whose` is written into the answers' origin, e.g.
/// `run 7 at step 120`.
///
/// What comes out for a prompt depends on the prompt and the seed, not on the other prompts.
pub fn draw(
    policy: &Policy,
    codec: &Codec,
    prompts: &[Prompt],
    asked: &Candidates,
    whose: &str,
    wanted: &dyn Fn() -> bool,
    each: &mut dyn FnMut(usize, DrawnPair),
) -> Result<()> {
    if asked.pilaf.is_some() && policy.trains_its_weights() {
        let sentence = "PILAF needs the weights of the start beside those of the run, and a run of all weights (lora.full) has only its own; draw without PILAF, or from a run that trained an adapter";
        return Err(TrainError::Sentence(sentence.to_owned()));
    }
    let mut ready: Vec<Asking> = Vec::with_capacity(AT_ONCE);
    let source = Source { policy, codec, asked, whose, wanted };
    for (index, prompt) in prompts.iter().enumerate() {
        match source.ask(index, prompt) {
            Ok(asking) => ready.push(asking),
            Err(reason) => each(index, DrawnPair::None(reason)),
        }
        if ready.len() == AT_ONCE {
            source.answer(std::mem::take(&mut ready), prompts, each)?;
        }
        if !wanted() {
            return Ok(());
        }
    }
    source.answer(ready, prompts, each)
}

/// Whose answers are drawn, and how.
struct Source<'a> {
    policy: &'a Policy,
    codec: &'a Codec,
    asked: &'a Candidates,
    whose: &'a str,
    wanted: &'a dyn Fn() -> bool,
}

/// A prompt and the answers that it has so far, no two alike.
struct Asking {
    index: usize,
    ids: Vec<u32>,
    answers: Vec<Answer>,
    pilaf: Option<Pilaf>,
    /// What the model said that was no new answer.
    repeated: Option<String>,
}

/// One answer to be drawn.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Plain,
    Mixed(Mix),
}

impl Source<'_> {
    fn ask(&self, index: usize, prompt: &Prompt) -> Result<Asking, String> {
        let ids = self.codec.prompt_ids(prompt).map_err(|error| error.to_string())?;
        let context = self.policy.spec().max_positions;
        if ids.len() >= context {
            return Err(format!(
                "the prompt has {} tokens and the model's context only {context}, so there is no room for an answer",
                ids.len()
            ));
        }
        let pilaf = self.asked.pilaf.filter(|pilaf| share_of(self.asked.options.seed, &ids) < pilaf.share);
        Ok(Asking { index, ids, answers: Vec::new(), pilaf, repeated: None })
    }

    /// Up to three rounds: prompts whose answers are alike are asked again, the last time without PILAF.
    fn answer(
        &self,
        mut asking: Vec<Asking>,
        prompts: &[Prompt],
        each: &mut dyn FnMut(usize, DrawnPair),
    ) -> Result<()> {
        for round in 0..3 {
            let last = round == 2;
            for one in &mut asking {
                if round > 0 && one.pilaf.is_some() {
                    // An answer of π⁺ and one of π⁻, or two plain ones: never one of each.
                    one.answers.clear();
                }
                if last {
                    one.pilaf = None;
                }
            }
            for way in self.ways() {
                self.round(way, round, &mut asking)?;
                if !(self.wanted)() {
                    return Ok(());
                }
            }
            let (done, open): (Vec<_>, Vec<_>) = asking
                .into_iter()
                .partition(|one| one.answers.len() >= self.wanted_of(one) || (last && one.answers.len() > 1));
            for one in done {
                let Asking { index, answers, pilaf, repeated, .. } = one;
                let mut pair = Pair::new(PairId::NEW, prompts[index].clone(), &[]);
                pair.answers = answers;
                let (pilaf, again) = (pilaf.is_some(), repeated.is_some());
                each(index, DrawnPair::Pair { pair: Box::new(pair), pilaf, again });
            }
            asking = open;
        }
        for one in asking {
            let said = match one.repeated.as_deref().map(str::trim) {
                Some("") | None => "the model ended every answer at once".to_owned(),
                Some(text) => format!("the model gave the same answer each time: “{}”", beginning(text)),
            };
            each(one.index, DrawnPair::None(format!("{said}; a higher temperature gives more variety")));
        }
        Ok(())
    }

    fn ways(&self) -> Vec<Way> {
        let mixed = |pilaf: Pilaf, side| Way::Mixed(Mix { strength: pilaf.strength, side });
        let pilaf = self.asked.pilaf.into_iter();
        let sides = pilaf.flat_map(|pilaf| [mixed(pilaf, MixSide::Optimistic), mixed(pilaf, MixSide::Pessimistic)]);
        std::iter::once(Way::Plain).chain(sides).collect()
    }

    /// Answers that a pair of this prompt has.
    fn wanted_of(&self, one: &Asking) -> usize {
        if one.pilaf.is_some() { 2 } else { self.asked.answers }
    }

    /// Draws what is missing in one way, for all prompts that are to be answered so.
    fn round(&self, way: Way, round: u64, asking: &mut [Asking]) -> Result<()> {
        let mut places = Vec::new();
        for (place, one) in asking.iter().enumerate() {
            let missing = match (way, one.pilaf) {
                (Way::Plain, None) => self.asked.answers.saturating_sub(one.answers.len()),
                (Way::Mixed(_), Some(_)) => 1,
                _ => 0,
            };
            places.extend(std::iter::repeat_n(place, missing));
        }
        let prompts: Vec<Vec<u32>> = places.iter().map(|place| asking[*place].ids.clone()).collect();
        if prompts.is_empty() {
            return Ok(());
        }
        let options = self.options(way, round);
        let generated = answer_all(self.policy, self.codec, prompts, &options, self.wanted, &mut |_, _| {})?;
        let origin = self.origin(way);
        for (place, generated) in places.into_iter().zip(generated) {
            let one = &mut asking[place];
            let is_cut = generated.is_cut();
            let Generated { text, stopped_by, .. } = generated;
            if stopped_by == StoppedBy::Cancelled {
                continue;
            }
            let known: HashSet<&str> = one.answers.iter().map(|answer| answer.text.trim()).collect();
            if text.trim().is_empty() || known.contains(text.trim()) {
                one.repeated = Some(text);
            } else {
                let origin = Origin::Model(origin.clone());
                one.answers.push(Answer::new(text, if is_cut { origin.cut() } else { origin }));
            }
        }
        Ok(())
    }

    /// Every way and round has random numbers of its own: with the same ones π⁺ and π⁻ would say nearly the same.
    fn options(&self, way: Way, round: u64) -> AnswerOptions {
        let (stream, mix) = match way {
            Way::Plain => (0, None),
            Way::Mixed(mix) => (1 + mix.side as u64, Some(mix)),
        };
        let seed = self.asked.options.seed.wrapping_add((round * 3 + stream).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        AnswerOptions { seed, mix, ..self.asked.options.clone() }
    }

    fn origin(&self, way: Way) -> String {
        let AnswerOptions { sampling: Sampling { temperature, top_p, .. }, seed, .. } = &self.asked.options;
        let whose = match way {
            Way::Plain => self.whose.to_owned(),
            Way::Mixed(Mix { strength, side }) => {
                data::pilaf::origin(side == MixSide::Optimistic, strength, self.whose)
            }
        };
        format!("{whose}, temperature {temperature}, top-p {top_p}, seed {seed}")
    }
}

/// A number in [0, 1) that the seed and the prompt decide.
fn share_of(seed: u64, ids: &[u32]) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for id in ids {
        hasher.update(&id.to_le_bytes());
    }
    let mut bits = [0; 4];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..4]);
    f64::from(u32::from_le_bytes(bits)) / (f64::from(u32::MAX) + 1.0)
}

/// Enough of a text to know it again.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= SHOWN && line.len() == text.len() {
        return line.to_owned();
    }
    line.chars().take(SHOWN).chain(['…']).collect()
}
