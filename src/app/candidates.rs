//! Has a model write answers to be labelled, and puts them into the project as they come.

use std::{path::PathBuf, sync::Arc};

use data::{Prompt, Role, Turn, counted};
use engine::protocol::{Event, Request, RunControl};
use state::{
    Command, Notice, Views, Workspace,
    ask::Source,
    candidates::{CandidatesCommand, CandidatesForm, CandidatesUnderWay},
    pairs::{PairsCommand, Strip},
    references::EVERYDAY,
};

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// Asks for what the form says; the prompts of the pairs are read first.
    pub(super) fn draw_candidates(&mut self) {
        let form = &self.views.pairs.candidates;
        if let Some(obstacle) = form.obstacle(&self.workspace.runs, &self.workspace.pairs) {
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
        if let Some(obstacle) =
            self.views.pairs.candidates.for_next().obstacle(&self.workspace.runs, &self.workspace.pairs)
        {
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
        let Some(source) = self.weights_of(form.whose()) else { return };
        let references = form.references;
        let name = match form.whose() {
            Source::Run { run, .. } => format!("run {}", run.0),
            Source::Base | Source::Guest => "start model".to_owned(),
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

    /// One click: the start model's answers to everyday prompts.
    pub(super) fn draw_everyday(&mut self) {
        let form = &mut self.views.pairs.candidates;
        form.references = true;
        form.of_pairs = false;
        let prompts = EVERYDAY.map(|line| Prompt::chat(vec![Turn::new(Role::User, line)]));
        if self.workspace.pairs.candidates.as_ref().is_some_and(CandidatesUnderWay::is_busy) {
            self.workspace.notices.push(Notice::info("Answers are being written"));
            return;
        }
        self.draw_for(prompts.into());
    }

    /// Prompts of a file stand beside those that are typed, to be answered together.
    pub(super) fn take_prompts(&mut self, path: PathBuf) {
        let failure = format!("Could not take the prompts of {}", path.display());
        self.jobs.aside(Lane::Look, failure, move || {
            let prompts = formats::read_prompts(&path, true)?;
            Ok(update(move |workspace, views| offer_prompts(prompts, workspace, views)))
        });
    }
}

/// They wait in the form to be answered.
pub(super) fn offer_prompts(prompts: Vec<Prompt>, workspace: &mut Workspace, views: &mut Views) {
    let told = format!(
        "{} to be answered: choose whose answers, then write them",
        counted(prompts.len(), "prompt waits", "prompts wait")
    );
    workspace.notices.push(Notice::info(told));
    let view = &mut views.pairs;
    view.candidates.of_pairs = false;
    view.candidates.taken = prompts;
    view.strip = Strip::Sample;
    view.strip_opens = true;
}
