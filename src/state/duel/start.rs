//! Whether a duel can begin, and about which prompts.

use data::Prompt;

use super::form::{DuelForm, DuelPrompts, MOST_PROMPTS};
use crate::{
    Workspace,
    ask::AnswerSource,
    candidates::{no_weights, typed_prompts},
};

impl DuelForm {
    /// The prompts that are known without reading the project.
    pub fn prompts(&self, workspace: &Workspace) -> Vec<Prompt> {
        match self.of {
            DuelPrompts::Typed => {
                let chat = workspace.project.as_ref().is_none_or(|project| project.has_template);
                typed_prompts(&self.typed, chat)
            }
            DuelPrompts::Probes => {
                let probes = workspace.answers.probes.iter().flatten();
                probes.map(|probe| probe.prompt.clone()).take(MOST_PROMPTS).collect()
            }
            DuelPrompts::HeldOut => Vec::new(),
        }
    }

    /// Why it cannot begin now, as a sentence.
    pub fn obstacle(&self, workspace: &Workspace) -> Option<String> {
        let newest = |source| match source {
            AnswerSource::Run { run, step: None } if !workspace.runs.is_going(run) => {
                AnswerSource::Run { run, step: workspace.runs.checkpoints(run).last().copied() }
            }
            other => other,
        };
        if newest(self.sides[0]) == newest(self.sides[1]) {
            return Some("Choose two different sets of weights".to_owned());
        }
        for side in self.sides {
            if let AnswerSource::Run { run, .. } = side
                && let Some(reason) = no_weights(&workspace.runs, run)
            {
                return Some(format!("{}: {reason}", workspace.runs.name(run)));
            }
        }
        let none = match self.of {
            DuelPrompts::HeldOut if workspace.project.as_ref().is_none_or(|project| project.counts.total() == 0) => {
                "There are no pairs yet; write prompts instead"
            }
            DuelPrompts::Probes if self.prompts(workspace).is_empty() => {
                "There are no probe prompts; write some instead"
            }
            DuelPrompts::Typed if self.prompts(workspace).is_empty() => "Write a prompt first, one a line",
            _ => return self.asked().check().err(),
        };
        Some(none.to_owned())
    }
}
