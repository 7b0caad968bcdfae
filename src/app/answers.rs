//! Answers: probe prompts, the ask box, pairs made of what was answered.

use data::{Change, Edit};
use engine::{
    protocol::{AdapterStrength, Event, Request, Weights},
    sampling_of,
};
use state::{Notice, ask::AnswerSource, labelling::Side, sampling::Drawing};
use store::{Probe, RunId};

use super::{
    App,
    jobs::{Lane, update},
};

impl App {
    /// Another project is open: its probes, and its newest run beside the model it started from.
    pub(super) fn answers_opened(&mut self) {
        let view = &mut self.views.answers;
        let runs = &self.workspace.runs;
        let with_weights = runs.records.iter().rev().find(|run| runs.no_weights(run.id).is_none());
        if let Some(run) = with_weights {
            let newest = AnswerSource::Run { run: run.id, step: None };
            view.ask.column_mut(Side::Right).source = newest;
            view.duel.sides[1] = newest;
        }
        self.learn_drawing();
        self.jobs.document.read("Could not read the probe prompts", |project| {
            let probes = project.probes()?;
            Ok(update(move |workspace, _| {
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
        self.jobs.aside(Lane::Look, "Could not read the model's settings", move || {
            let own = sampling_of(&model);
            Ok(update(move |workspace, views| {
                let ask = &mut views.answers.ask;
                if let Ok(own) = own {
                    ask.drawing.learn(own);
                }
                // Without a run both sides are the same model: its likeliest answer twice would be of no use.
                let newest = |run| workspace.runs.checkpoints(run).last().copied();
                if ask.drawing.is_greedy() && ask.same_weights(&model, newest) {
                    ask.drawing.set.sampling.temperature = Drawing::VARIED;
                }
            }))
        });
    }

    /// An event that may be about an answer: sampled, streamed, finished or failed.
    pub(super) fn take_answers_event(&mut self, event: &Event) {
        let now_ms = self.workspace.now_ms;
        if self.workspace.answers.duel.as_mut().is_some_and(|duel| duel.take(event, now_ms)) {
            return;
        }
        let ask = &mut self.views.answers.ask;
        if ask.receive(event, now_ms) {
            return;
        }
        self.workspace.answers.take(event);
        self.workspace.judged.take(event);
        // A run that begins is what one wants to talk to, unless something was chosen already.
        if let Event::Started { run, .. } = event
            && !ask.busy()
            && ask.column(Side::Right).source == AnswerSource::Base
        {
            ask.column_mut(Side::Right).source = AnswerSource::Run { run: *run, step: None };
        }
        if let Event::Started { run, .. } = event
            && self.views.answers.duel.sides == [AnswerSource::Base; 2]
        {
            self.views.answers.duel.sides[1] = AnswerSource::Run { run: *run, step: None };
        }
    }

    pub(super) fn read_samples(&mut self, run: RunId) {
        if !self.workspace.answers.ask(run) {
            return;
        }
        self.jobs.document.read("Could not read the answers", move |project| {
            let samples = project.samples(run)?;
            Ok(update(move |workspace, _| {
                workspace.answers.fill(run, samples);
            }))
        });
    }

    /// A source as the engine knows it; none without a project, or where the guest is gone.
    pub(super) fn weights_of(&self, source: AnswerSource) -> Option<Weights> {
        let project = self.workspace.project.as_ref()?;
        let guest = self.views.answers.ask.guest.as_ref();
        Some(match source {
            AnswerSource::Base => Weights::Model { folder: project.model.clone(), adapter: None },
            AnswerSource::Guest => Weights::Model { folder: guest?.folder.clone(), adapter: guest?.adapter.clone() },
            AnswerSource::Run { run, step } => Weights::Run { project: project.dir.clone(), run, step },
        })
    }

    pub(super) fn ask_weights(&mut self) {
        let Some(project) = &self.workspace.project else {
            return;
        };
        let model = project.model.clone();
        // A run that has ended answers from its last checkpoint; one that is going, from weights that move on.
        let runs: Vec<(RunId, String, Option<u64>)> = self
            .workspace
            .runs
            .records
            .iter()
            .map(|run| {
                let runs = &self.workspace.runs;
                let saved = runs.checkpoints(run.id).last().copied();
                let step = if runs.is_going(run.id) { None } else { saved };
                (run.id, run.name.clone(), step)
            })
            .collect();
        let named = |id: RunId| runs.iter().find(|(run, ..)| *run == id);
        let view = &mut self.views.answers;
        view.preferred = None;
        let workspace = &mut self.workspace;
        let questions = view.ask.start(
            &model,
            || workspace.next_request(),
            |run| named(run).map_or_else(|| format!("run {}", run.0), |(_, name, _)| name.clone()),
            |run| named(run).and_then(|(_, _, step)| *step),
        );
        for question in questions {
            let Some(source) = self.weights_of(question.source) else { continue };
            let source = match (source, question.scaled.and_then(AdapterStrength::percent)) {
                (Weights::Run { project, run, step }, Some(strength)) => {
                    Weights::Scaled { project, run, step, strength }
                }
                (source, _) => source,
            };
            let request = question.request;
            let sent = self.ask_engine(Request::Generate {
                request,
                source,
                prompt: question.prompt,
                options: question.options,
                control: question.control,
            });
            if !sent {
                self.views.answers.ask.refuse(request, "The engine is busy; try again in a moment");
            }
        }
    }

    pub(super) fn prefer(&mut self, side: Side) {
        let Some(pair) = self.views.answers.ask.prefer(side, self.workspace.now_ms) else {
            return;
        };
        let label = "New pair from two answers";
        self.jobs.document.write("Could not save the new pair", move |project| {
            let applied = project.apply(&Change::new(label, vec![Edit::add(pair)]))?;
            let (undo, counts) = (project.can_undo()?, project.counts()?);
            Ok(update(move |workspace, views| {
                workspace.pairs.undo = undo;
                workspace.pairs.redo = None;
                workspace.pairs.counts = counts.clone();
                workspace.pairs.changed(&applied.pairs, Vec::new());
                workspace.pairs.revision = applied.revision;
                if let Some(project) = &mut workspace.project {
                    project.counts = counts;
                }
                views.answers.preferred = applied.pairs.first().copied();
            }))
        });
    }

    pub(super) fn set_probes(&mut self, probes: Vec<Probe>) {
        self.jobs.document.write("Could not save the probe prompts", move |project| {
            project.set_probes(&probes)?;
            Ok(update(move |workspace, _| {
                workspace.notices.push(Notice::info("Probe prompts saved; the next run is asked these"));
                workspace.answers.probes = Some(probes);
            }))
        });
    }
}
