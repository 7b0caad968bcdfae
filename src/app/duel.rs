//! Has two sets of weights answer the same prompts for a blind duel, and keeps the verdicts as pairs.

use std::{ops::ControlFlow, sync::Arc};

use data::{HeldOutPrompts, Prompt, SplitRule};
use engine::protocol::Request;
use state::{
    Command, Notice,
    answers::AnswersCommand,
    ask::Source,
    duel::{Duel, DuelCommand, DuelPrompts, MOST_PROMPTS},
};
use store::Project;

use super::{
    App,
    jobs::{Lane, update},
    pairs::Fresh,
    transfers::about,
};

impl App {
    pub(super) fn duel(&mut self, command: DuelCommand) {
        let now_ms = self.workspace.now_ms;
        let duel = &mut self.workspace.answers.duel;
        match (command, duel) {
            (DuelCommand::Begin, _) => self.begin_duel(),
            (DuelCommand::BeginWith(prompts), _) => self.begin_duel_with(prompts),
            (DuelCommand::Save, Some(_)) => self.save_duel(),
            (DuelCommand::Press(press), Some(duel)) => duel.press(press, now_ms),
            (DuelCommand::Undo, Some(duel)) => duel.undo(now_ms),
            (DuelCommand::Stop, Some(duel)) => duel.control.stop(),
            (DuelCommand::Reveal, Some(duel)) => duel.revealed = true,
            (DuelCommand::Saved, Some(duel)) => duel.keep(),
            (DuelCommand::Close, duel) => *duel = None,
            // It was closed meanwhile.
            (_, None) => {}
        }
    }

    /// Prompts of pairs that no run trains on are looked for first.
    fn begin_duel(&mut self) {
        let form = &self.views.answers.duel;
        if let Some(obstacle) = form.obstacle(&self.workspace) {
            self.workspace.notices.push(Notice::info(obstacle));
            return;
        }
        if form.of != DuelPrompts::HeldOut {
            return self.begin_duel_with(form.prompts(&self.workspace));
        }
        let Some(project) = &self.workspace.project else { return };
        let (dir, seed) = (project.dir.clone(), form.seed);
        let rule = SplitRule { eval_fraction: project.config.data.eval_fraction, seed: project.config.data.seed };
        self.jobs.aside(Lane::Transfer, "Could not read the prompts", move || {
            let project = Project::open(&dir)?;
            let mut held_out = HeldOutPrompts::new(rule);
            project.each_pair_at(project.revision()?, &mut |pair| {
                held_out.take(pair);
                ControlFlow::Continue(())
            })?;
            let prompts = held_out.some(MOST_PROMPTS, seed);
            Ok(about(dir, move |workspace, _| {
                if prompts.is_empty() {
                    let none = "No prompt is held out; write prompts instead, or take the probe prompts";
                    workspace.notices.push(Notice::info(none));
                    return Vec::new();
                }
                vec![Command::Answers(AnswersCommand::Duel(DuelCommand::BeginWith(prompts)))]
            }))
        });
    }

    fn begin_duel_with(&mut self, prompts: Vec<Prompt>) {
        let form = &self.views.answers.duel;
        let (sides, asked, seed) = (form.sides, form.asked(), form.seed);
        let [Some(first), Some(second)] = sides.map(|source| self.weights_of(source)) else { return };
        let prompts: Arc<[Prompt]> = prompts.into();
        let requests = [self.workspace.next_request(), self.workspace.next_request()];
        let names = sides.map(|source| self.contestant(source));
        let duel = Duel::new(names.clone(), Arc::clone(&prompts), requests, seed, self.workspace.now_ms);
        let control = Arc::clone(&duel.control);
        for ((request, source), name) in requests.into_iter().zip([first, second]).zip(names) {
            let (prompts, control) = (Arc::clone(&prompts), Arc::clone(&control));
            if !self.ask_engine(Request::Draw { request, source, name, prompts, asked: asked.clone(), control }) {
                return;
            }
        }
        self.workspace.answers.duel = Some(duel);
        self.views.answers.duel.seed = seed.wrapping_add(1);
    }

    /// What a contestant is called, and the origin of its answers.
    fn contestant(&self, source: Source) -> String {
        let guest = self.views.answers.ask.guest.as_ref();
        match source {
            Source::Run { run, .. } => self.workspace.runs.name(run),
            Source::Base | Source::Guest => source.describe(guest, |_| String::new(), |_| None),
        }
    }

    fn save_duel(&mut self) {
        let Some(change) = self.workspace.answers.duel.as_ref().and_then(Duel::pairs) else { return };
        self.jobs.document.write("Could not save the verdicts", move |project| {
            let applied = project.apply(&change)?;
            let fresh = Fresh::read(project, applied)?;
            Ok(update(move |workspace, views| {
                fresh.show(workspace, views);
                Command::Answers(AnswersCommand::Duel(DuelCommand::Saved))
            }))
        });
    }
}
