//! The answers of a step as people read them.

use store::{Project, SampledAnswer, SampledGroup};

use super::rollout::{Rollout, RolloutGroup};
use crate::{loss::StepDoc, run::training::Training};

impl Training {
    /// Prompts and answers in words, with what each counted.
    pub(super) fn in_words(&self, rollout: &Rollout, project: &Project) -> Vec<SampledGroup> {
        rollout.groups.iter().map(|group| self.group_in_words(group, project)).collect()
    }

    fn group_in_words(&self, group: &RolloutGroup, project: &Project) -> SampledGroup {
        let pair = match group.of {
            StepDoc::Pair(index) => Some(self.dataset.pairs.train[index].id),
            StepDoc::Reference(_) | StepDoc::Retention(_) | StepDoc::Rollout(_) => None,
        };
        // A pair that is gone by now leaves what the model was asked, as it was asked.
        let asked = pair.and_then(|id| project.pair(id).ok()?).map(|pair| pair.prompt.last_text().to_owned());
        let said = group.doc.continuations.iter().zip(&group.answers);
        let answers = said.map(|(ids, answer)| SampledAnswer {
            text: self.codec.decode(ids),
            tokens: ids.len(),
            ended: answer.ended,
            score: answer.score,
            kl: answer.kl(),
        });
        SampledGroup {
            pair,
            prompt: asked.unwrap_or_else(|| self.codec.decode(&group.doc.prefix)),
            answers: answers.collect(),
        }
    }
}
