//! Who answers in a duel, and what.

use data::Prompt;
use engine::protocol::{Candidates, Sampling};

use crate::{
    Workspace,
    ask::Source,
    candidates::{no_weights, typed_prompts},
};

/// More prompts than a person judges in one sitting are not asked.
pub const MOST_PROMPTS: usize = 100;

/// Where the prompts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DuelPrompts {
    /// Of pairs that neither side was trained on.
    #[default]
    HeldOut,
    Probes,
    Typed,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct DuelForm {
    pub sides: [Source; 2],
    pub of: DuelPrompts,
    /// One a line.
    pub typed: String,
    pub temperature: f64,
    pub longest_tokens: usize,
    /// Decides the answers, the prompts where there are many, and who stands on which side. Another one each time.
    pub seed: u64,
}

impl Default for DuelForm {
    fn default() -> Self {
        Self {
            sides: [Source::Base; 2],
            of: DuelPrompts::default(),
            typed: String::new(),
            temperature: 0.7,
            longest_tokens: 256,
            seed: 0,
        }
    }
}

impl DuelForm {
    pub fn asked(&self) -> Candidates {
        let sampling = Sampling {
            temperature: self.temperature,
            max_new_tokens: self.longest_tokens,
            seed: self.seed,
            ..Sampling::default()
        };
        Candidates { sampling, answers: 1, pilaf: None }
    }

    /// The prompts that are known without reading the project.
    pub fn prompts(&self, workspace: &Workspace) -> Vec<Prompt> {
        match self.of {
            DuelPrompts::Typed => typed_prompts(&self.typed),
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
            Source::Run { run, step: None } if !workspace.runs.is_going(run) => {
                Source::Run { run, step: workspace.runs.checkpoints(run).last().copied() }
            }
            other => other,
        };
        if newest(self.sides[0]) == newest(self.sides[1]) {
            return Some("Choose two different sets of weights".to_owned());
        }
        for side in self.sides {
            if let Source::Run { run, .. } = side
                && let Some(reason) = no_weights(workspace, run)
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
