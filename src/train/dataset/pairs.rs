//! The pairs of a run: held in memory where they are few, read from the document as they are wanted where they may be
//! many.

use std::{ops::ControlFlow, path::Path};

use data::{HoldOut, Pair, PromptKey, SplitRule};
use store::{Project, Revision};

use crate::error::Result;

/// Pairs in the order of their ids, and on which side of the hold-out some of their prompts are known to stand.
pub struct Pairs {
    of: Place,
    known: Vec<(PromptKey, bool)>,
}

enum Place {
    Memory(Vec<Pair>),
    /// A hold on the document of its own, so that others may be written to meanwhile.
    Document(Box<Project>, Revision),
}

/// What of some pairs is held out.
pub struct Held {
    pub hold_out: HoldOut,
    /// How many pairs there are, on both sides.
    pub pairs: usize,
}

impl Pairs {
    pub fn held(pairs: Vec<Pair>) -> Self {
        Self { of: Place::Memory(pairs), known: Vec::new() }
    }

    /// Those of a revision, in memory that does not grow with them.
    pub fn at(project: &Project, revision: Revision) -> Result<Self> {
        let project = Box::new(Project::open(project.dir())?);
        Ok(Self { of: Place::Document(project, revision), known: Vec::new() })
    }

    /// Prompts that are known to stand on a side, `true` for held out, whatever the pairs say.
    #[must_use]
    pub fn keeping(self, known: Vec<(PromptKey, bool)>) -> Self {
        Self { known, ..self }
    }

    /// The folder of their project; nothing where they are in memory.
    pub fn folder(&self) -> Option<&Path> {
        match &self.of {
            Place::Memory(_) => None,
            Place::Document(project, _) => Some(project.dir()),
        }
    }

    /// Which prompts are held out, and how many pairs there are; no text is read for it.
    pub fn held_out(&self, rule: SplitRule) -> Result<Held> {
        let mut held = Held { hold_out: HoldOut::new(rule).keeping(self.known.iter().copied()), pairs: 0 };
        let mut tell = |prompt, split| {
            held.hold_out.tell(prompt, split);
            held.pairs += 1;
        };
        match &self.of {
            Place::Memory(pairs) => {
                for pair in pairs {
                    tell(PromptKey::of(&pair.prompt), pair.split);
                }
            }
            Place::Document(project, revision) => project.each_prompt_at(*revision, &mut tell)?,
        }
        Ok(held)
    }

    pub fn count(&self) -> Result<usize> {
        match &self.of {
            Place::Memory(pairs) => Ok(pairs.len()),
            Place::Document(project, revision) => {
                let mut count = 0;
                project.each_prompt_at(*revision, &mut |_, _| count += 1)?;
                Ok(count)
            }
        }
    }

    /// At most `most` pairs at a time.
    pub fn each_chunk(&self, most: usize, each: &mut dyn FnMut(&[Pair])) -> Result<()> {
        match &self.of {
            Place::Memory(pairs) => pairs.chunks(most).for_each(each),
            Place::Document(project, revision) => {
                let mut chunk = Vec::with_capacity(most);
                project.each_pair_at(*revision, &mut |pair| {
                    chunk.push(pair);
                    if chunk.len() == most {
                        each(&chunk);
                        chunk.clear();
                    }
                    ControlFlow::Continue(())
                })?;
                each(&chunk);
            }
        }
        Ok(())
    }

    /// One by one. `Break` ends it.
    pub fn each(&self, each: &mut dyn FnMut(&Pair) -> ControlFlow<()>) -> Result<()> {
        match &self.of {
            Place::Memory(pairs) => {
                for pair in pairs {
                    if each(pair).is_break() {
                        break;
                    }
                }
            }
            Place::Document(project, revision) => project.each_pair_at(*revision, &mut |pair| each(&pair))?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Change, Edit, PairId, Prompt, Split};
    use store::ProjectSettings;

    #[test]
    fn pairs_in_the_document_are_as_those_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let splits = [Split::Auto, Split::Auto, Split::Train, Split::Eval];
        let pair = |n: usize| Pair {
            split: splits[n % 4],
            ..Pair::new(PairId::NEW, Prompt::Text(format!("question {}", n % 23)), &["yes", "no"])
        };
        project.apply(&Change::new("Add", (0..40).map(pair).map(Edit::add).collect())).unwrap();
        let revision = project.revision().unwrap();
        let all = project.pairs_at(revision).unwrap();
        // What comes later is not theirs.
        project.apply(&Change::new("Add", vec![Edit::add(pair(2))])).unwrap();

        let known = || vec![(PromptKey::of(&all[5].prompt), true), (PromptKey::of(&all[6].prompt), false)];
        let in_memory = Pairs::held(all.clone()).keeping(known());
        let in_document = Pairs::at(&project, revision).unwrap().keeping(known());
        let rule = SplitRule { eval_fraction: 0.4, seed: 2 };
        let [memory, document] = [&in_memory, &in_document].map(|pairs| pairs.held_out(rule).unwrap());
        assert_eq!((memory.pairs, document.pairs), (40, 40));
        for pair in &all {
            let key = PromptKey::of(&pair.prompt);
            assert_eq!(memory.hold_out.holds_out(key), document.hold_out.holds_out(key));
        }
        for pairs in [&in_memory, &in_document] {
            let mut met = Vec::new();
            pairs.each_chunk(16, &mut |chunk| met.extend_from_slice(chunk)).unwrap();
            assert_eq!(met, all);
            let mut first = Vec::new();
            let mut two = |pair: &Pair| {
                first.push(pair.id);
                if first.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            pairs.each(&mut two).unwrap();
            assert_eq!(first, [all[0].id, all[1].id]);
        }
    }
}
