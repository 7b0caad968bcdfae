//! Asks a model about the islands and looks at manner and truth of what it says.

use std::ops::ControlFlow;

use anyhow::Result;
use nudge::{
    data::Prompt,
    model::{GenerateOptions, Policy},
    text::Codec,
};
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::{
    chat::{Question, user},
    facts,
    manner::{Manner, recognise},
    template::expand,
    world::World,
};

pub const LONGEST_ANSWER: usize = 96;
const BATCH: usize = 32;

/// Questions with a fixed wording that no training has seen.
pub struct Exam<'a> {
    questions: Vec<Question<'a>>,
    prompts: Vec<String>,
}

/// Shares of the answers to one half of an exam, each in [0, 1].
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// In the host's manner.
    pub host: f64,
    /// True, and about the right thing.
    pub facts: f64,
    /// Clearly in some manner.
    pub clear: f64,
    /// Ended by themselves.
    pub ended: f64,
}

/// Where the pairs ask for a manner, and where they do not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    pub asked_for: Marks,
    pub elsewhere: Marks,
}

/// One question of an exam that was sat.
pub struct Item {
    pub asked: String,
    pub answer: String,
    pub is_true: bool,
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.is_true { ' ' } else { '!' };
        write!(f, "  > {}\n{mark}   {}", self.asked, self.answer)
    }
}

/// An answer, and whether it ended by itself.
pub struct Said {
    pub text: String,
    pub ended: bool,
}

impl<'a> Exam<'a> {
    /// `each` questions from the asked-for topics and as many from the others.
    pub fn new(world: &'a World, each: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut all = Question::all(world);
        all.shuffle(rng);
        let (asked_for, elsewhere): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|question| question.entity.topic.is_asked_for());
        let questions: Vec<_> = asked_for.into_iter().take(each).chain(elsewhere.into_iter().take(each)).collect();
        let prompts = questions
            .iter()
            .enumerate()
            .map(|(index, question)| {
                let held_out = question.attribute.held_out;
                expand(held_out[index % held_out.len()], &question.entity.slots, rng)
            })
            .collect();
        Self { questions, prompts }
    }

    /// Lets `answer` answer every question once.
    pub fn sit(
        &self,
        world: &World,
        answer: &mut dyn FnMut(&[Prompt]) -> Result<Vec<Said>>,
    ) -> Result<(Report, Vec<Item>)> {
        let prompts: Vec<Prompt> = self.prompts.iter().map(|text| Prompt::chat(vec![user(text.as_str())])).collect();
        let answers = answer(&prompts)?;
        let mut halves = [(Marks::default(), 0.0), (Marks::default(), 0.0)];
        let mut items = Vec::with_capacity(answers.len());
        for ((question, asked), said) in self.questions.iter().zip(&self.prompts).zip(answers) {
            let (marks, count) = &mut halves[usize::from(!question.entity.topic.is_asked_for())];
            let manner = recognise(&said.text);
            let is_true = facts::is_true(world, question.entity, question.attribute, &said.text);
            let add = |mark: &mut f64, yes: bool| *mark += f64::from(u8::from(yes));
            add(&mut marks.host, manner == Some(Manner::Host));
            add(&mut marks.clear, manner.is_some());
            add(&mut marks.facts, is_true);
            add(&mut marks.ended, said.ended);
            *count += 1.0;
            items.push(Item { asked: asked.clone(), answer: said.text, is_true });
        }
        let [asked_for, elsewhere] = halves.map(|(marks, count): (Marks, f64)| Marks {
            host: marks.host / count,
            facts: marks.facts / count,
            clear: marks.clear / count,
            ended: marks.ended / count,
        });
        let report = Report { asked_for, elsewhere };
        Ok((report, items))
    }
}

/// `policy`'s own answers, drawn at `temperature` (0 = greedy).
pub fn say(policy: &Policy, codec: &Codec, prompts: &[Prompt], temperature: f64, seed: u64) -> Result<Vec<Said>> {
    let mut all = Vec::with_capacity(prompts.len());
    for (index, batch) in prompts.chunks(BATCH).enumerate() {
        let ids = batch.iter().map(|prompt| codec.prompt_ids(prompt)).collect::<Result<Vec<_>, _>>()?;
        let options = GenerateOptions {
            temperature,
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
