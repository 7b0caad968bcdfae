//! Carries out what the Answers screen asks for.

use std::path::PathBuf;

use super::App;
use crate::{
    data::{Change, Edit},
    engine::protocol::{Event, Request, Sampling, Weights},
    state::{Notice, answers::AnswersCommand, ask::Source, labelling::Side},
    store::{Probe, RunId},
};

impl App {
    /// Another project is open: its probes, and its newest run beside the model it started from.
    pub(super) fn answers_opened(&mut self) {
        let view = &mut self.views.answers;
        view.ask.stop();
        *view = crate::state::answers::AnswersView { tab: view.tab, more: view.more, ..Default::default() };
        if let Some(run) = self.workspace.runs.records.last() {
            view.ask.column_mut(Side::Right).source = Source::Run { run: run.id, step: None };
        }
        self.learn_drawing();
        self.files.read("Could not read the probe prompts", |project| {
            let probes = project.probes()?;
            Ok(Box::new(move |workspace, _| {
                workspace.answers.probes = Some(probes);
            }))
        });
    }

    /// The ask box starts from the model's own settings. A model that cannot be read says so when it is asked.
    pub(super) fn learn_drawing(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let model = project.model.clone();
        self.models.open("Could not read the model's settings", move |_| {
            let own = Sampling::of_model(&model);
            Ok(Box::new(move |_, views| {
                if let Ok(own) = own {
                    views.answers.ask.drawing.learn(own);
                }
            }))
        });
    }

    pub(super) fn apply_answers(&mut self, command: AnswersCommand, _frame: &eframe::Frame) {
        match command {
            AnswersCommand::ReadSamples(run) => self.read_samples(run),
            AnswersCommand::Ask => self.ask_weights(),
            AnswersCommand::Stop => self.views.answers.ask.stop(),
            AnswersCommand::Prefer(side) => self.prefer(side),
            AnswersCommand::SetProbes(probes) => self.set_probes(probes),
        }
    }

    /// An event that may be about an answer: sampled, streamed, finished or failed.
    pub(super) fn take_answers_event(&mut self, event: &Event) {
        let now_ms = self.workspace.now_ms;
        let ask = &mut self.views.answers.ask;
        if ask.receive(event, now_ms) {
            return;
        }
        self.workspace.answers.take(event);
        // A run that begins is what one wants to talk to, unless something was chosen already.
        if let Event::Started { run, .. } = event
            && !ask.busy()
            && ask.column(Side::Right).source == Source::Base
        {
            ask.column_mut(Side::Right).source = Source::Run { run: *run, step: None };
        }
    }

    fn read_samples(&mut self, run: RunId) {
        if !self.workspace.answers.ask(run) {
            return;
        }
        self.files.read("Could not read the answers", move |project| {
            let samples = project.samples(run)?;
            let checkpoints = checkpoints(&project.run(run)?.checkpoints);
            Ok(Box::new(move |workspace, _| {
                workspace.answers.fill(run, samples, checkpoints);
            }))
        });
    }

    fn ask_weights(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let (model, dir) = (project.model.clone(), project.dir.clone());
        // A run that has ended answers from its last checkpoint; one that is going, from weights that move on.
        let runs: Vec<(RunId, String, Option<u64>)> = self
            .workspace
            .runs
            .records
            .iter()
            .map(|run| {
                let saved = self.workspace.answers.grid(run.id).and_then(|grid| grid.checkpoints.last().copied());
                let live = self.workspace.runs.live.as_ref();
                let going = live.is_some_and(|live| live.run == run.id);
                let step = if going { None } else { saved };
                (run.id, run.name.clone(), step)
            })
            .collect();
        let named = |id: RunId| runs.iter().find(|(run, ..)| *run == id);
        let view = &mut self.views.answers;
        view.preferred = None;
        let workspace = &mut self.workspace;
        let questions = view.ask.start(
            || workspace.next_request(),
            |run| named(run).map_or_else(|| format!("run {}", run.0), |(_, name, _)| name.clone()),
            |run| named(run).and_then(|(_, _, step)| *step),
        );
        for question in questions {
            let source = match question.source {
                Source::Base => Weights::Model { folder: model.clone(), adapter: None },
                Source::Guest => match &self.views.answers.ask.guest {
                    Some(guest) => Weights::Model { folder: guest.folder.clone(), adapter: guest.adapter.clone() },
                    None => continue,
                },
                Source::Run { run, step } => Weights::Run { project: dir.clone(), run, step },
            };
            let request = question.request;
            let sent = self.ask_engine(Request::Generate {
                request,
                source,
                prompt: question.prompt,
                sampling: question.sampling,
                control: question.control,
            });
            if !sent {
                self.views.answers.ask.refuse(request, "The engine is busy; try again in a moment");
            }
        }
    }

    fn prefer(&mut self, side: Side) {
        let Some(pair) = self.views.answers.ask.prefer(side, self.workspace.now_ms) else {
            return;
        };
        let label = "New pair from two answers";
        self.files.write("Could not save the new pair", move |project| {
            let applied = project.apply(&Change::new(label, vec![Edit::add(pair)]))?;
            let (undo, counts) = (project.can_undo()?, project.counts()?);
            Ok(Box::new(move |workspace, views| {
                workspace.pairs.undo = undo;
                workspace.pairs.redo = None;
                workspace.pairs.counts = counts;
                workspace.pairs.changed(&applied.pairs, Vec::new());
                workspace.pairs.revision = applied.revision;
                if let Some(project) = &mut workspace.project {
                    project.counts = counts;
                }
                views.answers.preferred = applied.pairs.first().copied();
            }))
        });
    }

    fn set_probes(&mut self, probes: Vec<Probe>) {
        self.files.write("Could not save the probe prompts", move |project| {
            project.set_probes(&probes)?;
            Ok(Box::new(move |workspace, _| {
                workspace.notices.push(Notice::info("Probe prompts saved; the next run is asked these"));
                workspace.answers.probes = Some(probes);
            }))
        });
    }
}

/// Steps whose weights are in a run's folders, ascending. A folder that cannot be read has none.
fn checkpoints(folders: &[PathBuf]) -> Vec<u64> {
    let entries = folders.iter().flat_map(std::fs::read_dir).flatten();
    let mut steps: Vec<u64> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            name.to_str()?.strip_prefix("step-")?.parse().ok()
        })
        .collect();
    steps.sort_unstable();
    steps
}
