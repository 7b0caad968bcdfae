//! Has a model write answers to be labelled, and puts them into the project as they come.

use std::sync::Arc;

use data::{Prompt, ReferenceAnswer};
use engine::protocol::{Event, Request, RunControl, Weights};
use state::{
    Command, Notice,
    ask::Source,
    candidates::{CandidatesCommand, CandidatesForm, CandidatesUnderWay},
    pairs::{PairsCommand, Strip},
};

use super::{App, jobs::update};

impl App {
    /// Asks for what the form says; the prompts of the pairs are read first.
    pub(super) fn draw_candidates(&mut self) {
        let form = &self.views.pairs.candidates;
        if let Some(obstacle) = form.obstacle(&self.workspace) {
            self.workspace.notices.push(Notice::info(obstacle));
            return;
        }
        if !form.of_pairs {
            return self.draw_for(form.typed());
        }
        self.jobs.document.read("Could not read the prompts", |project| {
            let mut prompts: Vec<Prompt> = Vec::new();
            let mut seen = std::collections::HashSet::new();
            project.each_pair_at(project.revision()?, &mut |pair| {
                if seen.insert(pair.prompt.clone()) {
                    prompts.push(pair.prompt);
                }
                std::ops::ControlFlow::Continue(())
            })?;
            Ok(update(move |_, _| Command::Pairs(PairsCommand::Candidates(CandidatesCommand::AskFor(prompts)))))
        });
    }

    pub(super) fn draw_for(&mut self, prompts: Vec<Prompt>) {
        let form = self.views.pairs.candidates.clone();
        self.draw(&form, prompts);
    }

    /// One more pair for whoever has labelled all there are.
    pub(super) fn draw_next(&mut self) {
        if let Some(obstacle) = self.views.pairs.candidates.for_next().obstacle(&self.workspace) {
            self.workspace.notices.push(Notice::info(obstacle));
            return;
        }
        let seed = self.views.pairs.candidates.seed;
        self.jobs.document.read("Could not find the next prompt", move |project| {
            let next = project.prompt_of_fewest(seed)?;
            let ask = |prompt| Command::Pairs(PairsCommand::Candidates(CandidatesCommand::NextFor(prompt)));
            Ok(update(move |_, _| next.map(ask).into_iter().collect::<Vec<Command>>()))
        });
    }

    pub(super) fn draw(&mut self, form: &CandidatesForm, prompts: Vec<Prompt>) {
        let Some(project) = &self.workspace.project else { return };
        let references = form.references;
        let (source, name) = match form.whose() {
            Source::Base | Source::Guest => {
                (Weights::Model { folder: project.model.clone(), adapter: None }, "start model".to_owned())
            }
            Source::Run { run, step } => {
                (Weights::Run { project: project.dir.clone(), run, step }, format!("run {}", run.0))
            }
        };
        let asked = form.asked();
        self.views.pairs.candidates.seed = form.seed.wrapping_add(1);
        let prompts: Arc<[Prompt]> = prompts.into();
        let control = Arc::new(RunControl::default());
        let request = self.workspace.next_request();
        let drawing = CandidatesUnderWay::new(request, Arc::clone(&control), Arc::clone(&prompts), references);
        if self.ask_engine(Request::Draw { request, source, name, prompts, asked, control }) {
            self.workspace.pairs.candidates = Some(drawing);
            self.views.pairs.strip = Strip::None;
        }
    }

    /// What the engine tells about them. Pairs are saved, and say so if they are not.
    pub(super) fn take_candidates_event(&mut self, event: &Event) -> Option<Command> {
        Some(Command::Pairs(self.workspace.pairs.candidates.as_mut()?.take(event)?))
    }

    /// Those whose prompt has a reference answer already take its place.
    pub(super) fn keep_references(&mut self, new: Vec<ReferenceAnswer>) {
        self.jobs.document.write("Could not save the reference answers", move |project| {
            let mut all = project.references()?;
            all.retain(|known| new.iter().all(|new| new.prompt != known.prompt));
            all.extend(new);
            project.set_references(&all)?;
            Ok(update(|_, _| ()))
        });
    }
}
