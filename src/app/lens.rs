//! What steps of a run met: the pair lens, and the answers that were sampled.

use std::sync::Arc;

use data::PairId;
use state::{Notice, Screen, lens::StepRange, rollouts::Wanted, train::Sheet};

use super::{App, jobs::about};

impl App {
    pub(super) fn read_stretch(&mut self, stretch: StepRange, last: u64) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        self.workspace.lens.asked = Some((stretch, last));
        self.jobs.list(dir.clone(), "Could not read the pairs of these steps", move |project| {
            let met = project.pairs_in_steps(stretch.run, stretch.from, stretch.to);
            Ok(about(dir, move |workspace, _| {
                let lens = &mut workspace.lens;
                if lens.asked != Some((stretch, last)) {
                    return;
                }
                lens.failed = met.is_err();
                match met {
                    Ok(met) => lens.met = Some((stretch, Arc::new(met))),
                    Err(error) => {
                        let failure = "Could not read the pairs of these steps";
                        workspace.notices.push(Notice::from_error(failure, &error.into()));
                    }
                }
            }))
        });
    }

    /// The answers that a run sampled in a step, and of which other steps there are some.
    pub(super) fn read_rollout(&mut self, wanted: Wanted) {
        let Some(dir) = self.workspace.project.as_ref().map(|project| project.dir.clone()) else { return };
        self.workspace.rollouts.asked = Some(wanted);
        self.jobs.list(dir.clone(), "Could not read the sampled answers", move |project| {
            let steps = project.rollout_steps(wanted.run)?;
            let step = wanted.step.filter(|step| steps.contains(step)).or(steps.last().copied());
            let groups = step.map(|step| project.rollout(wanted.run, step)).transpose()?.flatten();
            Ok(about(dir, move |workspace, _| workspace.rollouts.take(wanted, steps, step.zip(groups))))
        });
    }

    /// Shows the last step that met a pair, in the charts of the run.
    pub(super) fn show_steps(&mut self, pair: PairId) {
        let Some(Some(history)) = self.workspace.pairs.histories.get(pair) else { return };
        let Some((step, _)) = history.visits.last() else { return };
        let view = &mut self.views.train;
        view.sheet = Sheet::Run;
        view.shown = Some(history.run);
        view.lens.open(history.run, *step, *step);
        view.lens.selected = Some(pair);
        view.lens.reveal = true;
        self.views.screen = Screen::Train;
    }
}
