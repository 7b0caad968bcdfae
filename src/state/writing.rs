//! Texts that are being written and are in no record of the project yet. The project keeps them, so that neither
//! closing the window nor opening another project loses them.

use data::Prompt;
use serde::{Deserialize, Serialize};
use store::Probe;

use super::{Views, Workspace, ask, compare::edits::RunDraft, judged::RulesDraft};

/// Under this the project has them among its settings.
pub const KEY: &str = "writing";

/// All of them; what is as the project has it anyway is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UnsavedTexts {
    /// The rule set, and as what it began.
    pub rules: Option<(String, Option<String>)>,
    pub probes: Option<Vec<Probe>>,
    /// What the ask box says.
    pub ask: Option<Prompt>,
    /// Prompts of a duel.
    pub duel: String,
    /// Name, tags and note of a run.
    pub run: Option<RunDraft>,
    /// A new retention text.
    pub retention: String,
}

impl UnsavedTexts {
    pub fn of(workspace: &Workspace, views: &Views) -> Self {
        let answers = &views.answers;
        let rules = answers.judged.writing.as_ref().filter(|draft| draft.is_written());
        let probes = answers.editing.as_ref().filter(|probes| workspace.answers.probes.as_ref() != Some(probes));
        let run = views.compare.draft.as_ref().filter(|draft| {
            let record = workspace.runs.record(draft.run);
            record.is_none_or(|record| RunDraft { fresh: draft.fresh, ..RunDraft::of(record) } != **draft)
        });
        Self {
            rules: rules.map(|draft| (draft.text.clone(), draft.saved.clone())),
            probes: probes.cloned(),
            ask: Some(&answers.ask.prompt).filter(|prompt| !ask::is_blank(prompt)).cloned(),
            duel: answers.duel.typed.clone(),
            run: run.cloned(),
            retention: views.pairs.references.text.clone(),
        }
    }

    /// They are where they were being written.
    pub fn put(self, views: &mut Views) {
        let answers = &mut views.answers;
        if let Some((text, saved)) = self.rules {
            answers.judged.writing = Some(RulesDraft::go_on(text, saved));
        }
        answers.editing = self.probes;
        if let Some(prompt) = self.ask {
            answers.ask.prompt = prompt;
        }
        answers.duel.typed = self.duel;
        views.compare.draft = self.run;
        views.pairs.references.text = self.retention;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_comes_back_and_what_is_not_is_nothing() {
        let (workspace, mut views) = (Workspace::default(), Views::default());
        assert_eq!(UnsavedTexts::of(&workspace, &views), UnsavedTexts::default());
        views.answers.judged.writing = Some(RulesDraft::new(None));
        assert_eq!(UnsavedTexts::of(&workspace, &views), UnsavedTexts::default(), "the example, as it came");
        let texts = UnsavedTexts {
            rules: Some(("[[rule]]".to_owned(), Some("before".to_owned()))),
            probes: Some(vec![Probe {
                prompt: Prompt::Text("p".to_owned()),
                note: "asked for".to_owned(),
                stays: false,
            }]),
            ask: Some(Prompt::Text("Who?".to_owned())),
            duel: "Why?".to_owned(),
            run: None,
            retention: "The bar is dry".to_owned(),
        };
        texts.clone().put(&mut views);
        assert_eq!(UnsavedTexts::of(&workspace, &views), texts);
    }
}
