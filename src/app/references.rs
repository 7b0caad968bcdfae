//! Reference answers and retention text: read with what the pairs are about, changed one by one.

use std::{collections::HashSet, ops::ControlFlow, path::PathBuf, sync::Arc};

use data::{Prompt, PromptKey, ReferenceAnswer, TopicCoverage, counted};
use state::{
    Command, Notice,
    pairs::PairsCommand,
    reference_history::{ListChange, ReferenceChange},
    references::{References, ReferencesCommand, changed, taken_in},
};
use store::Project;

use super::{
    App,
    jobs::{Lane, Update, update},
};

/// Prompts of pairs whose words are looked at.
const LOOKED_AT: usize = 20_000;

impl App {
    pub(super) fn apply_references(&mut self, command: ReferencesCommand, frame: &eframe::Frame) {
        match command {
            ReferencesCommand::Read => self.read_references(),
            ReferencesCommand::Change { before, after } => self.change_reference(before, after),
            ReferencesCommand::AddText(text) => {
                let passages = text.replace("\r\n", "\n");
                let new = passages.split("\n\n").map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
                let new: Vec<String> = new.collect();
                self.change_retention(move |all| all.extend(new));
            }
            ReferencesCommand::DropText(text) => {
                self.change_retention(move |all| {
                    if let Some(place) = all.iter().position(|one| *one == text) {
                        all.remove(place);
                    }
                });
            }
            ReferencesCommand::Turn { back } => self.turn_references(back),
            ReferencesCommand::Make(change) => self.make_again(change),
            ReferencesCommand::ReadTexts(path) => self.read_texts(path),
            ReferencesCommand::PickTexts => {
                let then = |path| Command::Pairs(PairsCommand::References(ReferencesCommand::ReadTexts(path)));
                self.dialogs.pick_file(frame, "Retention text", &[], then);
            }
        }
    }

    pub(super) fn change_reference(&mut self, before: Option<ReferenceAnswer>, after: Option<ReferenceAnswer>) {
        self.change_references(move |all| changed(all, before.as_ref(), after));
    }

    /// With a connection of its own: it goes through the prompts of all pairs.
    fn read_references(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let dir = project.dir.clone();
        let references = &mut self.workspace.pairs.references;
        let asked = (self.workspace.pairs.revision, references.changes);
        references.asked = Some(asked);
        self.jobs.aside(Lane::Transfer, "Could not read the reference answers", move || {
            let read = read(&Project::open(&dir)?)?;
            Ok(update(move |workspace, _| {
                if workspace.project.as_ref().is_some_and(|project| project.dir == dir) {
                    let references = &mut workspace.pairs.references;
                    (references.known, references.known_as_of) = (Some(Arc::new(read)), Some(asked));
                }
            }))
        });
    }

    /// Those whose prompt has a reference answer already take its place, unless that one is pinned.
    pub(super) fn keep_references(&mut self, new: Vec<ReferenceAnswer>) {
        self.change_references(move |all| taken_in(all, new));
    }

    fn change_references(&mut self, change: impl FnOnce(&mut Vec<ReferenceAnswer>) + Send + 'static) {
        self.jobs.document.write("Could not save the reference answers", move |project| {
            let before = project.references()?;
            let mut all = before.clone();
            change(&mut all);
            project.set_references(&all)?;
            Ok(touched(Some(all.len()), ListChange::between(&before, &all).map(ReferenceChange::Answers)))
        });
    }

    fn change_retention(&mut self, change: impl FnOnce(&mut Vec<String>) + Send + 'static) {
        self.jobs.document.write("Could not save the retention text", move |project| {
            let before = project.retention()?;
            let mut all = before.clone();
            change(&mut all);
            project.set_retention(&all)?;
            Ok(touched(None, ListChange::between(&before, &all).map(ReferenceChange::Retention)))
        });
    }

    /// The step is taken from the history when all writes before it are there.
    fn turn_references(&mut self, back: bool) {
        self.jobs.document.write("Could not undo", move |_| {
            Ok(update(move |workspace, _| {
                let change = workspace.pairs.references.history.turn(back);
                let make = |change| Command::Pairs(PairsCommand::References(ReferencesCommand::Make(change)));
                change.map(make).into_iter().collect::<Vec<Command>>()
            }))
        });
    }

    /// A step of the history, which knows of it already.
    fn make_again(&mut self, change: ReferenceChange) {
        self.jobs.document.write("Could not save the reference answers", move |project| {
            let answers = match change {
                ReferenceChange::Answers(change) => {
                    let mut all = project.references()?;
                    change.apply(&mut all);
                    project.set_references(&all)?;
                    Some(all.len())
                }
                ReferenceChange::Retention(change) => {
                    let mut all = project.retention()?;
                    change.apply(&mut all);
                    project.set_retention(&all)?;
                    None
                }
            };
            Ok(touched(answers, None))
        });
    }

    fn read_texts(&mut self, path: PathBuf) {
        let failure = format!("Could not take in {}", path.display());
        self.jobs.document.write(failure, move |project| {
            let (new, faults) = formats::read_texts(&path)?;
            let came = counted(new.len(), "passage of retention text", "passages of retention text");
            let told = match faults.first() {
                None => format!("{came} came in"),
                Some(first) => format!("{came} came in, {} did not: {}", faults.len(), first.reason),
            };
            let before = project.retention()?;
            let mut all = before.clone();
            all.extend(new);
            project.set_retention(&all)?;
            let step = ListChange::between(&before, &all).map(ReferenceChange::Retention);
            Ok(update(move |workspace, views| {
                workspace.notices.push(Notice::info(told));
                touched(None, step)(workspace, views)
            }))
        });
    }
}

/// What is known of them is read again. `step`: what can be taken back.
fn touched(answers: Option<usize>, step: Option<ReferenceChange>) -> Update {
    update(move |workspace, _| {
        let references = &mut workspace.pairs.references;
        references.changes += 1;
        if let Some(step) = step {
            references.history.did(step);
        }
        if let (Some(project), Some(answers)) = (&mut workspace.project, answers) {
            project.references = answers;
        }
    })
}

fn read(project: &Project) -> anyhow::Result<References> {
    let (answers, retention) = (project.references()?, project.retention()?);
    let mut about = HashSet::new();
    let mut prompts: Vec<Prompt> = Vec::new();
    project.each_pair_at(project.revision()?, &mut |pair| {
        if about.insert(PromptKey::of(&pair.prompt)) && prompts.len() < LOOKED_AT {
            prompts.push(pair.prompt);
        }
        ControlFlow::Continue(())
    })?;
    let asked: Vec<Prompt> = answers.iter().map(|answer| answer.prompt.clone()).collect();
    let coverage = TopicCoverage::of(&prompts, &asked);
    Ok(References { answers, retention, coverage, about })
}
