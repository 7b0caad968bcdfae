//! Carries out what is asked about judged answers and the rules for them.

use std::{io::Write as _, path::Path};

use anyhow::{Context as _, bail};
use files::{self, Output};
use state::{Notice, judged::RulesDraft};
use store::RunId;
use train::measure::judging;

use super::{App, jobs::update};

impl App {
    pub(super) fn read_judged(&mut self, run: RunId, step: Option<u64>) {
        if !self.workspace.judged.ask(run, step) {
            return;
        }
        self.jobs.document.read("Could not read the judged answers", move |project| {
            let steps = project.judged_steps(run)?;
            let step = step.filter(|step| steps.contains(step)).or(steps.last().copied());
            let answers = step.map_or_else(|| Ok(Vec::new()), |step| project.judged(run, step))?;
            Ok(update(move |workspace, _| {
                workspace.judged.fill(run, steps, step, answers);
            }))
        });
    }

    /// Opens the project's rule set to be written.
    pub(super) fn write_rules(&mut self) {
        self.jobs.document.read("Could not read the rules", |project| {
            let saved = rules(project.dir())?;
            Ok(update(move |_, views| {
                views.answers.judged.writing = Some(RulesDraft::new(saved));
            }))
        });
    }

    /// `before`: what the writing began with; a file that somebody else has changed meanwhile is not replaced.
    pub(super) fn save_rules(&mut self, before: Option<String>, text: String) {
        self.jobs.document.write("Could not save the rules", move |project| {
            if rules(project.dir())? != before {
                bail!(
                    "{} was changed by another program since it was opened here. Copy your text, close the rules and open them again",
                    project.dir().join(judge::FILE).display()
                );
            }
            let mut output = Output::create(&project.dir().join(judge::FILE), true)?;
            output.write_all(text.as_bytes()).context("Could not write the rules")?;
            output.finish()?;
            let heads = judging::heads(project, &project.runs()?);
            Ok(update(move |workspace, views| {
                workspace.runs.rules = heads;
                workspace.pace.forget();
                workspace.notices.push(Notice::info("Rules saved; the next run is judged by them"));
                if let Some(draft) = &mut views.answers.judged.writing {
                    draft.saved = Some(text);
                }
            }))
        });
    }
}

/// The rule set of a project's folder, if there is one.
fn rules(dir: &Path) -> anyhow::Result<Option<String>> {
    match files::read_text(&dir.join(judge::FILE), judge::MOST_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
