//! What is kept of the records of a file until another one needs it, in bounded memory.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
};

use super::{agreement::Tally, labels::Labels};
use ::data::{Answer, Prompt, Turn};

/// Bytes of answers that may wait for another, and of conversations that may be gone on with.
const MOST: usize = 256 << 20;

/// What is kept of a file's records.
#[derive(Default)]
pub struct Kept {
    pub waiting: RefCell<Waiting>,
    pub chains: RefCell<Chains>,
    pub votes: RefCell<Tally>,
    /// Of the file's first records, before any of them is read.
    pub labels: Labels,
}

/// Answers of one label that wait for one of the other, by their prompt.
#[derive(Default)]
pub struct Waiting {
    answers: HashMap<Prompt, VecDeque<(u64, bool, Answer)>>,
    bytes: usize,
}

impl Waiting {
    /// The answer of the other label that has waited longest for this one; without any, this one waits.
    pub fn pair_up(
        &mut self,
        prompt: Prompt,
        place: u64,
        good: bool,
        answer: Answer,
    ) -> Result<Option<[Answer; 2]>, String> {
        let same = self.answers.entry(prompt).or_default();
        let other = same.pop_front_if(|(_, other, _)| *other != good);
        let Some((_, _, other)) = other else {
            self.bytes += answer.text.len();
            if self.bytes > MOST {
                return Err(format!("more than {} MiB of answers wait for one of the other label", MOST >> 20));
            }
            same.push_back((place, good, answer));
            return Ok(None);
        };
        self.bytes -= other.text.len();
        Ok(Some(if good { [answer, other] } else { [other, answer] }))
    }

    /// The places of answers that nothing came for.
    pub fn alone(&mut self) -> Vec<(u64, String)> {
        let all = std::mem::take(&mut self.answers).into_values().flatten();
        let mut alone: Vec<(u64, String)> = all
            .map(|(place, good, _)| {
                let other = if good { "bad" } else { "good" };
                (place, format!("an unpaired record: no {other} answer to the same prompt was left for it"))
            })
            .collect();
        alone.sort_unstable();
        alone
    }
}

/// Conversations up to and with their chosen answer, by their id.
#[derive(Default)]
pub struct Chains {
    turns: HashMap<String, Vec<Turn>>,
    bytes: usize,
}

impl Chains {
    pub fn get(&self, id: &str) -> Option<&[Turn]> {
        self.turns.get(id).map(Vec::as_slice)
    }

    pub fn put(&mut self, id: String, turns: Vec<Turn>) -> Result<(), String> {
        self.bytes += turns.iter().map(Turn::len_bytes).sum::<usize>();
        if self.bytes > MOST {
            return Err(format!("more than {} MiB of conversations may go on", MOST >> 20));
        }
        self.turns.insert(id, turns);
        Ok(())
    }
}
