//! Has a model write answers to be labelled, and puts them into the project as they come.

use std::{path::PathBuf, sync::Arc};

use data::{Prompt, counted};
use engine::protocol::{Event, Request, RunControl};
use state::{
    Command, Notice, Views, Workspace,
    ask::AnswerSource,
    candidates::{CandidatesCommand, CandidatesForm, CandidatesUnderWay, said},
    pairs::{PairsCommand, Strip},
    references::EVERYDAY,
};

use super::{
    App,
    jobs::{Lane, about, update},
};

impl App {
    pub(super) fn apply_candidates(&mut self, command: CandidatesCommand, frame: &eframe::Frame) {
        match command {
            CandidatesCommand::Ask => self.draw_candidates(),
            CandidatesCommand::AskFor(prompts) => self.draw_for(&prompts.into()),
            CandidatesCommand::Next => self.draw_next(),
            CandidatesCommand::NextFor(prompt) => {
                let form = self.views.pairs.candidates.for_next();
                self.draw(&form, &[prompt].into());
            }
            CandidatesCommand::Everyday => self.draw_everyday(),
            CandidatesCommand::Take(Some(path)) => self.take_prompts(path),
            CandidatesCommand::Take(None) => {
                let then = |path| Command::Pairs(PairsCommand::Candidates(CandidatesCommand::Take(Some(path))));
                self.dialogs.pick_file(frame, "Prompts to be answered", &[], then);
            }
            CandidatesCommand::TakeIn(prompts) => self.keep_prompts(prompts),
            CandidatesCommand::ReadWaiting => self.read_waiting(),
            CandidatesCommand::DropWaiting => self.drop_waiting(),
            CandidatesCommand::Keep(answers) => self.keep_references(answers),
            CandidatesCommand::Close => self.workspace.pairs.candidates = None,
        }
    }

    /// Whether a line is what a user says to the model.
    pub(super) fn is_chat(&self) -> bool {
        self.workspace.project.as_ref().is_none_or(|project| project.has_template)
    }

    /// Asks for what the form says; the prompts of the pairs are read first.
    fn draw_candidates(&mut self) {
        let chat = self.is_chat();
        let (view, pairs) = (&mut self.views.pairs, &self.workspace.pairs);
        let prompts = view.candidates.prompts_to_answer(&mut view.to_answer, &pairs.waiting, chat);
        if let Some(obstacle) = view.candidates.obstacle(&self.workspace.runs, pairs, prompts.len()) {
            self.workspace.notices.push(Notice::info(obstacle));
            return;
        }
        if !view.candidates.of_pairs {
            return self.draw_for(&prompts);
        }
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        self.jobs.list(dir.clone(), "Could not read the prompts", |project| {
            let prompts = project.prompts(usize::MAX)?;
            let ask = Command::Pairs(PairsCommand::Candidates(CandidatesCommand::AskFor(prompts)));
            Ok(about(dir, move |_, _| ask))
        });
    }

    fn draw_for(&mut self, prompts: &Arc<[Prompt]>) {
        let form = self.views.pairs.candidates.clone();
        self.draw(&form, prompts);
    }

    /// One more pair for whoever has labelled all there are.
    fn draw_next(&mut self) {
        let form = self.views.pairs.candidates.for_next();
        if let Some(obstacle) = form.obstacle(&self.workspace.runs, &self.workspace.pairs, 0) {
            self.workspace.notices.push(Notice::info(obstacle));
            return;
        }
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        let passed_over = self.workspace.pairs.passed_over.under(&form).clone();
        self.jobs.list(dir.clone(), "Could not find the next prompt", move |project| {
            let next = project.next_prompt(form.seed, &passed_over)?;
            Ok(about(dir, move |workspace, _| {
                if let Some(prompt) = next {
                    return vec![Command::Pairs(PairsCommand::Candidates(CandidatesCommand::NextFor(prompt)))];
                }
                let passed = counted(passed_over.len(), "prompt", "prompts");
                workspace.notices.push(Notice::warning(
                    format!("No prompt is left to be answered: {passed} gave no pair"),
                    "Another temperature, a longer limit or other weights may help: “Sample…” sets them; or take in other prompts",
                ));
                Vec::new()
            }))
        });
    }

    fn draw(&mut self, form: &CandidatesForm, prompts: &Arc<[Prompt]>) {
        let Some(source) = self.weights_of(form.whose()) else { return };
        let references = form.references;
        let name = match form.whose() {
            AnswerSource::Run { run, step: None } => format!("run {}", run.0),
            AnswerSource::Run { run, step: Some(step) } => format!("run {} at step {step}", run.0),
            AnswerSource::Base | AnswerSource::Guest => "start model".to_owned(),
        };
        let asked = form.asked();
        self.views.pairs.candidates.seed = form.seed.wrapping_add(1);
        let prompts = Arc::clone(prompts);
        let control = Arc::new(RunControl::default());
        let request = self.workspace.next_request();
        let drawing = CandidatesUnderWay::new(request, Arc::clone(&control), Arc::clone(&prompts), references);
        if self.ask_engine(Request::Draw { request, source, name, prompts, asked, control }) {
            self.workspace.pairs.candidates = Some(drawing);
            self.views.pairs.strip = Strip::None;
        }
    }

    /// What the engine tells about them. Pairs are saved, and say so if they are not.
    pub(super) fn take_candidates_event(&mut self, event: &Event) -> Vec<Command> {
        let pairs = &mut self.workspace.pairs;
        let is_busy = |drawing: &CandidatesUnderWay| drawing.is_busy();
        let was_busy = pairs.candidates.as_ref().is_some_and(is_busy);
        let save = pairs.take_drawn(event);
        let has_ended = was_busy && !pairs.candidates.as_ref().is_some_and(is_busy) && !pairs.waiting.is_empty();
        let read = has_ended.then_some(PairsCommand::Candidates(CandidatesCommand::ReadWaiting));
        save.into_iter().chain(read).map(Command::Pairs).collect()
    }

    /// One click: the start model's answers to everyday prompts.
    fn draw_everyday(&mut self) {
        let chat = self.is_chat();
        // The form stays as it is: what it asks next is for pairs again.
        let form = CandidatesForm { references: true, of_pairs: false, ..self.views.pairs.candidates.clone() };
        if self.workspace.pairs.candidates.as_ref().is_some_and(CandidatesUnderWay::is_busy) {
            self.workspace.notices.push(Notice::info("Answers are being written"));
            return;
        }
        self.draw(&form, &EVERYDAY.map(|line| said(line, chat)).into());
    }

    /// Prompts of a file wait beside those that are typed, to be answered together.
    pub(super) fn take_prompts(&mut self, path: PathBuf) {
        let Some(project) = &self.workspace.project else { return };
        let (dir, chat) = (project.dir.clone(), project.has_template);
        let failure = format!("Could not take the prompts of {}", path.display());
        self.jobs.aside(Lane::Look, failure, move || {
            let prompts = formats::read_prompts(&path, chat)?;
            Ok(about(dir, move |_, _| keep_prompts(prompts)))
        });
    }

    /// They are in the project from now on, and the strip has them answered. Those for reference answers are only in
    /// the strip: in the project they would wait for pairs.
    fn keep_prompts(&mut self, prompts: Vec<Prompt>) {
        let all = prompts.len();
        if self.views.pairs.prompts_are_for_references() {
            let form = &mut self.views.pairs.candidates;
            form.references = true;
            form.given = Arc::new(prompts);
            let told = format!("{} to be answered by the start model", counted(all, "prompt is", "prompts are"));
            open_strip(&mut self.views);
            self.workspace.notices.push(Notice::info(told));
            return;
        }
        self.jobs.document.write("Could not keep the prompts", move |project| {
            let new = project.take_in_prompts(prompts)?;
            let waiting = Arc::new(project.waiting_prompts()?);
            Ok(update(move |workspace, views| offer(all, new, waiting, workspace, views)))
        });
    }

    pub(super) fn read_waiting(&mut self) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        self.jobs.list(dir.clone(), "Could not read the prompts that wait", |project| {
            let waiting = Arc::new(project.waiting_prompts()?);
            Ok(about(dir, move |workspace, _| workspace.pairs.waiting = waiting))
        });
    }

    fn drop_waiting(&mut self) {
        self.jobs.document.write("Could not drop the prompts that wait", move |project| {
            project.drop_waiting_prompts()?;
            Ok(update(|workspace, _| workspace.pairs.waiting = Arc::default()))
        });
    }
}

/// What is to be done with prompts that a file holds.
pub(super) fn keep_prompts(prompts: Vec<Prompt>) -> Command {
    Command::Pairs(PairsCommand::Candidates(CandidatesCommand::TakeIn(prompts)))
}

/// They wait to be answered.
fn offer(all: usize, new: usize, waiting: Arc<Vec<Prompt>>, workspace: &mut Workspace, views: &mut Views) {
    let known = if new < all { format!(" ({} were there already)", all - new) } else { String::new() };
    let told = format!(
        "{} to be answered{known}: choose whose answers, then write them",
        counted(waiting.len(), "prompt waits", "prompts wait")
    );
    workspace.notices.push(Notice::info(told));
    workspace.pairs.waiting = waiting;
    open_strip(views);
}

fn open_strip(views: &mut Views) {
    let view = &mut views.pairs;
    view.candidates.of_pairs = false;
    view.strip = Strip::Sample;
    view.strip_opens = true;
}
